"""Workspaces: one folder per attempt, in which an agent may do what it likes.

Its work becomes a commit in the user's repository under `refs/oya/attempts/…`, before
the folder goes; so does that of a daemon that died. How the folder is written and read
without trusting what is in it: `checkout`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from oya.crashpoints import point
from oya.errors import GitError, OyaError, PrepareFailed
from oya.folders import is_real_folder, take_away
from oya.repository.checkout import BYTE_CODE, Checkout, literal, tags_of
from oya.repository.copies import NO_COPIES, Copies
from oya.repository.earlier import merged, set_aside
from oya.repository.encode import decode, encode
from oya.repository.git import GitRepository
from oya.repository.places import Place
from oya.repository.port import Harvested, Head, Hook, Workspace
from oya.repository.record import Record, fingerprint, load
from oya.repository.run import both
from oya.repository.snapshot import Snapshot


class GitWorkspaces:
    """See `port.Workspaces`: folders on disk, filled and read by oya's own git.

    `max_file` is in bytes. Each new workspace gets `copies`, which get into no commit, then
    `prepare` is awaited with its folder; what it makes there is not taken for the
    agent's work, and where it fails, whoever works there is told. Different workspaces may be
    used at the same time, one only by one caller at a time.
    """

    def __init__(
        self,
        repo: GitRepository,
        place: Place,
        *,
        max_file: int = 10_000_000,
        copies: Copies = NO_COPIES,
        prepare: Hook | None = None,
    ) -> None:
        self._repo = repo
        self._work = place.cache / "work"
        self._admin = place.admin / "work"
        self._kept = place.cache / "kept"
        self._gone = place.cache / "gone"
        self._snapshot = Snapshot(repo, max_file, copies.paths)
        self._copies = copies
        own = (".oya/out/", ".oya/gate/", *map(literal, copies.paths))
        self._exclude = "\n".join((BYTE_CODE, *(f"/{path}" for path in own)))
        self._prepare = prepare
        self._live: set[str] = set()

    def attempt_ref(self, bead: str, epoch: int) -> str:
        """Where the newest head of an attempt is kept."""
        return f"refs/oya/attempts/{encode(bead)}/{epoch}"

    def base_ref(self, bead: str, epoch: int) -> str:
        """What holds the start of an attempt while its workspace exists."""
        return f"refs/oya/base/{encode(bead)}/{epoch}"

    def folder(self, bead: str, epoch: int) -> Path:
        """Where the workspace of an attempt is, while there is one."""
        return self._work / f"{encode(bead)}.{epoch}"

    async def create(
        self, bead: str, epoch: int, *, start: str, merge: Sequence[str] = ()
    ) -> Workspace:
        """Make a workspace at `start`, with the commits of `merge` merged in one by one.

        `GitError` if it cannot be made; nothing is left of it then.
        """
        key = self.folder(bead, epoch).name
        if key in await asyncio.to_thread(_names, self._work):
            raise GitError(f"there already is a workspace for {bead}, epoch {epoch}")
        self._live.add(key)
        try:
            return await self._create(key, bead, epoch, start, merge)
        except BaseException:
            await asyncio.shield(self._discard(key, bead, epoch))
            raise

    async def _create(
        self, key: str, bead: str, epoch: int, start: str, merge: Sequence[str]
    ) -> Workspace:
        base_ref = self.base_ref(bead, epoch)
        await set_aside(self._repo, self.attempt_ref(bead, epoch), encode(bead))
        await self._repo.set_ref(base_ref, start)
        point("workspace.base_held")
        commit, conflicts = await merged(self._repo, start, merge)
        if commit != start:
            await self._repo.set_ref(base_ref, commit)
        branch = f"oya/{encode(bead)}"
        admin = self._admin / key
        tree = await self._repo.tree_of(commit)
        folder = str(self._work / key)
        record = Record(bead, epoch, branch, commit, commit, tree, conflicts, folder=folder)
        record.save(admin)
        point("workspace.recorded")
        workspace = Workspace(bead, epoch, self._work / key, branch, commit, conflicts)
        checkout = self._checkout(key)
        await self._fill(checkout, record)
        point("workspace.filled")
        prepared: dict[str, tuple[int, int]] = {}
        if self._prepare:
            try:
                await self._prepare(workspace.path, {})
            except PrepareFailed as failed:
                workspace = replace(workspace, unprepared=failed.told)
            prepared = _fingerprints(workspace.path, await checkout.changed())
        replace(record, ready=True, prepared=prepared).save(admin)
        point("workspace.ready")
        return workspace

    async def _fill(self, checkout: Checkout, record: Record) -> None:
        """A clean checkout of the newest head, where there was nothing."""
        await asyncio.to_thread(checkout.make_usable)
        _, tags = await both(checkout.fill(record.head), tags_of(self._repo))
        await self._lay(checkout, record, tags)
        await asyncio.to_thread(self._copies.lay, checkout.folder)

    async def _lay(self, checkout: Checkout, record: Record, tags: str) -> None:
        branch = f"refs/heads/{record.branch}"
        await asyncio.to_thread(checkout.lay_git, record.head, branch, tags, self._exclude)

    async def commit(self, ws: Workspace, message: str, *, last: bool = False) -> Head:
        """Make what is in the folder the attempt's head, and keep that under its ref.

        The head's tree is what lies there, apart from what `Head.left_out` names;
        `.beads/` and `.oya/out/` are as at the start. Commits that the agent made
        itself, on whatever branch it stands, are the head's history. Afterwards the
        folder's `.git` is new and clean, at that head. May be called again and again.
        `last`: nobody works there any more, so nothing is written there, which may lie on a
        full disk.

        `GitError` if it cannot be read; then nothing was changed, and `harvest` saves it.
        """
        key = self._key(ws)
        record = load(self._admin / key)
        if record is None:
            record = await self._from_workspace(ws)
        checkout = self._checkout(key)
        if not is_real_folder(ws.path):
            if last:
                await self._repo.set_ref(self.attempt_ref(ws.bead, ws.epoch), record.head)
                return Head(record.head, record.tree)
            await self._refill(checkout, record)
        await asyncio.to_thread(checkout.make_usable)
        head, tags = await both(self._read(checkout, record, message), tags_of(self._repo))
        record = record.at(head.commit, head.tree)
        record.save(self._admin / key)
        point("workspace.head_recorded")
        if not last:
            await self._lay(checkout, record, tags)
            point("workspace.laid")
        return head

    async def snapshot(self, ws: Workspace) -> Head:
        """See `port.Workspaces.snapshot`."""
        key = self._key(ws)
        record = load(self._admin / key)
        if record is None or not is_real_folder(ws.path):
            raise GitError(f"the workspace of {ws.bead} is not there")
        checkout = self._checkout(key)
        await asyncio.to_thread(checkout.make_usable)
        return await self._read(checkout, record, "A look in the middle of a turn")

    async def _read(self, checkout: Checkout, record: Record, message: str) -> Head:
        ref = self.attempt_ref(record.bead, record.epoch)
        try:
            return await self._snapshot(checkout, record, ref, message)
        except GitError:
            # An index that a crash has spoilt: once more, from the newest head.
            checkout.forget_index()
            await checkout.load(record.head)
            return await self._snapshot(checkout, record, ref, message)

    async def _refill(self, checkout: Checkout, record: Record) -> None:
        """The agent deleted the folder itself: that is no work, so the newest head is back."""
        checkout.forget_index()
        replace(record, ready=False).save(self._admin / checkout.folder.name)
        await self._fill(checkout, record)
        record.save(self._admin / checkout.folder.name)

    async def restore(self, ws: Workspace, commit: str, paths: Collection[str]) -> None:
        """Put these files back as they are in `commit`; those it lacks are removed."""
        checkout = self._checkout(self._key(ws))
        await asyncio.to_thread(checkout.make_usable)
        there = await self._repo.list_files(commit)
        missing = [path for path in paths if path not in there]
        await asyncio.to_thread(_take_away_within, checkout.folder, missing)
        await checkout.put((None, "0" * len(ws.start), path) for path in missing)
        await checkout.restore(commit, [path for path in paths if path in there])

    async def remove(self, ws: Workspace) -> None:
        """Remove the folder and what held its start; the attempt's ref stays.

        Call `commit` first: what is not committed is gone.
        """
        await self._discard(self._key(ws), ws.bead, ws.epoch)

    async def leftovers(self, *, every: bool = False) -> list[tuple[str, int, Path]]:
        """Bead, epoch and folder of workspaces that are not of this object."""
        names = await asyncio.to_thread(_names, self._work)
        for others in (self._admin, self._gone):  # oya may end between them
            names += await asyncio.to_thread(_names, others)
        found = []
        for key in sorted({*names}):
            if every or key not in self._live:
                bead, epoch = self._whose(key)
                found.append((bead, epoch, self._work / key))
        return found

    async def harvest(self, path: Path) -> Harvested:
        """Save the work in a leftover folder under its attempt's ref, and remove it.

        Never raises for what is in it: a folder that cannot be read is moved to `kept`.
        """
        key = path.name
        bead, epoch = self._whose(key)
        record = load(self._admin / key)
        if record and record.folder:
            await asyncio.to_thread(_bring, Path(record.folder), path)
        gone = not await asyncio.to_thread(
            os.path.lexists, path
        )  # its work was under the ref before that
        if gone or (record and not record.ready):
            await self._discard(key, bead, epoch)
            return Harvested(None)
        start = record.start if record else await self._repo.read_ref(self.base_ref(bead, epoch))
        if start is None:
            return Harvested(None, await self._move_aside(key, bead, epoch))
        workspace = Workspace(bead, epoch, path, f"oya/{encode(bead)}", start)
        try:
            head = await self.commit(workspace, f"What {bead} had when oya ended", last=True)
        except (OyaError, OSError):
            return Harvested(None, await self._move_aside(key, bead, epoch))
        await self.remove(workspace)
        return Harvested(head)

    async def _from_workspace(self, ws: Workspace) -> Record:
        """A record that was lost: as if nothing had been snapshotted yet."""
        tree = await self._repo.tree_of(ws.start)
        record = Record(ws.bead, ws.epoch, ws.branch, ws.start, ws.start, tree, ready=True)
        checkout = self._checkout(self._key(ws))
        if is_real_folder(ws.path):
            await asyncio.to_thread(checkout.make_usable)
            checkout.forget_index()
            await checkout.load(ws.start)
        return record

    async def _move_aside(self, key: str, bead: str, epoch: int) -> Path:
        kept = await asyncio.to_thread(_free_name, self._kept, key)
        await asyncio.to_thread((self._work / key).rename, kept)
        await self._discard(key, bead, epoch)
        return kept

    async def _discard(self, key: str, bead: str, epoch: int) -> None:
        self._live.discard(key)  # what is left of it, if this fails, is a leftover
        point("workspace.discarding")
        # First out of sight: half a folder must never be taken for what an agent has left.
        await asyncio.to_thread(_set_out, self._work / key, self._gone / key)
        point("workspace.set_out")
        await asyncio.to_thread(take_away, self._gone / key)
        point("workspace.folder_gone")
        await asyncio.to_thread(take_away, self._checkout(key).aside)
        await asyncio.to_thread(take_away, self._admin / key)
        point("workspace.record_gone")
        await self._repo.delete_ref(self.base_ref(bead, epoch))
        point("workspace.base_gone")

    def _whose(self, key: str) -> tuple[str, int]:
        record = load(self._admin / key)
        if record:
            return record.bead, record.epoch
        name, _, epoch = key.rpartition(".")
        return decode(name), int(epoch) if epoch.isdigit() else 0

    def _key(self, ws: Workspace) -> str:
        return ws.path.name

    def _checkout(self, key: str) -> Checkout:
        return Checkout(self._repo, self._work / key, self._admin / key)


def _bring(made: Path, path: Path) -> None:
    """A workspace that was made elsewhere, to where workspaces are now; links stay links."""
    with contextlib.suppress(OSError):
        if not os.path.lexists(path) and is_real_folder(made) and made.stat().st_uid == os.getuid():
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(made, path)


def _fingerprints(folder: Path, paths: Sequence[str]) -> dict[str, tuple[int, int]]:
    seen = ((path, fingerprint(folder / path)) for path in paths)
    return {path: found for path, found in seen if found}


def _take_away_within(folder: Path, paths: Sequence[str]) -> None:
    """Remove files of the folder, and none that a symlink in it leads to."""
    for path in paths:
        parts = path.split("/")
        over = [folder.joinpath(*parts[:count]) for count in range(1, len(parts))]
        if ".." not in parts and all(is_real_folder(one) for one in over):
            take_away(folder / path)


def _set_out(folder: Path, to: Path) -> None:
    """Move what lies there, whatever it is, in one step; nothing is fine."""
    take_away(to)
    to.parent.mkdir(parents=True, exist_ok=True)
    if is_real_folder(folder):
        folder.chmod(0o700)  # one that may not be written to cannot be moved
    with contextlib.suppress(FileNotFoundError):
        folder.rename(to)


def _names(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir())
    except FileNotFoundError:
        return []


def _free_name(folder: Path, key: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(10_000):
        path = folder / (f"{key}-{number}" if number else key)
        if not os.path.lexists(path):
            return path
    raise OyaError(f"{folder} is full of kept workspaces", hint=f"Look at them: ls {folder}")
