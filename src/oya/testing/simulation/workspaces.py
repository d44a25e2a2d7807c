"""Workspaces and answers on the simulated machine: a folder is a table of files."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from itertools import count
from pathlib import Path

from oya.agents.answers import MAX_BYTES, OUT, answer_path
from oya.errors import GitError
from oya.lifecycle.model import Role
from oya.repository.earlier import merged, set_aside
from oya.repository.encode import decode, encode
from oya.repository.port import OYA, Harvested, Head, Workspace
from oya.testing.simulation.git import SimulatedGit
from oya.testing.simulation.life import Life
from oya.testing.simulation.objects import FILE, File, Objects, lay, take_away

WORK = Path("/simulated/work")
KEPT = Path("/simulated/kept")
NEVER_TAKEN = (".beads/", ".oya/out/", ".oya/gate/")

Folder = dict[str, bytes]


@dataclass
class Record:
    """What oya keeps beside a folder; `ready` once everything was checked out."""

    bead: str
    epoch: int
    start: str
    head: str
    ready: bool = False


@dataclass
class FolderDisk:
    """What of the folders outlives a daemon; `kept` are those that were moved aside."""

    folders: dict[Path, Folder] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)
    kept: dict[Path, Folder] = field(default_factory=dict)

    def work_in(self, path: Path) -> Folder:
        """The files of a folder that belong to its agent's work."""
        folder = self.folders.get(path, {})
        return {p: data for p, data in folder.items() if not p.startswith(NEVER_TAKEN)}


class SimulatedWorkspaces:
    """`repository.port.Workspaces` over a `FolderDisk`; each step may be the last."""

    def __init__(self, disk: FolderDisk, repo: SimulatedGit, objects: Objects, life: Life) -> None:
        self._disk = disk
        self._repo = repo
        self._objects = objects
        self._life = life
        self._live: set[str] = set()

    def attempt_ref(self, bead: str, epoch: int) -> str:
        """See `Workspaces.attempt_ref`."""
        return f"refs/oya/attempts/{encode(bead)}/{epoch}"

    def base_ref(self, bead: str, epoch: int) -> str:
        """See `Workspaces.base_ref`."""
        return f"refs/oya/base/{encode(bead)}/{epoch}"

    def folder(self, bead: str, epoch: int) -> Path:
        """See `Workspaces.folder`."""
        return _folder(f"{encode(bead)}.{epoch}")

    async def create(
        self, bead: str, epoch: int, *, start: str, merge: Sequence[str] = ()
    ) -> Workspace:
        """See `Workspaces.create`."""
        key = self.folder(bead, epoch).name
        if _folder(key) in self._disk.folders:
            raise GitError(f"there already is a workspace for {bead}, epoch {epoch}")
        self._live.add(key)
        try:
            return await self._create(key, bead, epoch, start, merge)
        except BaseException:
            if not self._life.over:
                await asyncio.shield(self._discard(key, bead, epoch))
            raise

    async def _create(
        self, key: str, bead: str, epoch: int, start: str, merge: Sequence[str]
    ) -> Workspace:
        await set_aside(self._repo, self.attempt_ref(bead, epoch), encode(bead))
        await self._repo.set_ref(self.base_ref(bead, epoch), start)
        commit, conflicts = await merged(self._repo, start, merge)
        if commit != start:
            await self._repo.set_ref(self.base_ref(bead, epoch), commit)
        await self._life.turn("workspace record")
        self._disk.records[key] = record = Record(bead, epoch, commit, commit)
        await self._life.turn("workspace fill")
        self._fill(_folder(key), commit)
        await self._life.turn("workspace ready", self._life.moment(0.05))
        record.ready = True
        return Workspace(bead, epoch, _folder(key), f"oya/{encode(bead)}", commit, conflicts)

    def _fill(self, path: Path, commit: str) -> None:
        files = self._objects.files(commit)
        self._disk.folders[path] = {name: file.data for name, file in files.items()}

    async def commit(self, ws: Workspace, message: str, *, last: bool = False) -> Head:
        """See `Workspaces.commit`."""
        await self._life.turn("workspace snapshot")
        record = self._disk.records.get(ws.path.name)
        if record is None:
            record = Record(ws.bead, ws.epoch, ws.start, ws.start, ready=True)
            self._disk.records[ws.path.name] = record
        if ws.path not in self._disk.folders and last:
            await self._repo.set_ref(self.attempt_ref(ws.bead, ws.epoch), record.head)
            return Head(record.head, self._objects.commits[record.head].tree)
        if ws.path not in self._disk.folders:
            self._fill(ws.path, record.head)
        tree = self._tree(ws.path, record.start)
        head = record.head
        if tree != self._objects.commits[head].tree:
            head = await self._repo.commit_tree(tree, (head,), message, author=OYA)
        await self._repo.set_ref(self.attempt_ref(ws.bead, ws.epoch), head)
        record.head = head
        return Head(head, tree)

    async def snapshot(self, ws: Workspace) -> Head:
        """See `Workspaces.snapshot`."""
        await self._life.turn("workspace look")
        record = self._disk.records.get(ws.path.name)
        if record is None or ws.path not in self._disk.folders:
            raise GitError(f"the workspace of {ws.bead} is not there")
        tree = self._tree(ws.path, record.start)
        head = record.head
        if tree != self._objects.commits[head].tree:
            head = await self._repo.commit_tree(tree, (head,), "look", author=OYA)
        await self._repo.set_ref(self.attempt_ref(ws.bead, ws.epoch), head)
        return Head(head, tree)

    def _tree(self, path: Path, start: str) -> str:
        before = self._objects.files(start)
        files = {}
        for name, data in self._disk.work_in(path).items():
            file = before.get(name)
            if file is None or file.data != data:
                file = File(data, file.mode if file else FILE)
            files[name] = file
        files |= {name: file for name, file in before.items() if name.startswith(NEVER_TAKEN)}
        return self._objects.add_tree(files)

    async def restore(self, ws: Workspace, commit: str, paths: Collection[str]) -> None:
        """See `Workspaces.restore`."""
        await self._life.turn("workspace restore")
        files = self._objects.files(commit)
        folder = self._disk.folders.setdefault(ws.path, {})
        for path in paths:
            if path in files:
                lay(folder, path, files[path].data)
            else:
                take_away(folder, path)

    async def remove(self, ws: Workspace) -> None:
        """See `Workspaces.remove`."""
        await self._discard(ws.path.name, ws.bead, ws.epoch)

    async def _move_aside(self, key: str, bead: str, epoch: int) -> Path:
        await self._life.turn("workspace keep")
        if _folder(key) not in self._disk.folders:
            raise FileNotFoundError(_folder(key))
        free = (KEPT / (f"{key}-{number}" if number else key) for number in count())
        kept = next(path for path in free if path not in self._disk.kept)
        self._disk.kept[kept] = self._disk.folders.pop(_folder(key))
        await self._discard(key, bead, epoch)
        return kept

    async def leftovers(self, *, every: bool = False) -> list[tuple[str, int, Path]]:
        """See `Workspaces.leftovers`."""
        await self._life.turn()
        names = {path.name for path in self._disk.folders} | set(self._disk.records)
        found = [
            (*self._whose(key), _folder(key))
            for key in sorted(names - (set() if every else self._live))
        ]
        return [(bead, epoch, path) for bead, epoch, path in found]

    async def harvest(self, path: Path) -> Harvested:
        """See `Workspaces.harvest`."""
        await self._life.turn("workspace harvest")
        key = path.name
        bead, epoch = self._whose(key)
        record = self._disk.records.get(key)
        if path not in self._disk.folders or (record and not record.ready):
            await self._discard(key, bead, epoch)
            return Harvested(None)
        start = record.start if record else await self._repo.read_ref(self.base_ref(bead, epoch))
        if start is None:
            return Harvested(None, await self._move_aside(key, bead, epoch))
        workspace = Workspace(bead, epoch, path, f"oya/{encode(bead)}", start)
        try:
            head = await self.commit(workspace, f"What {bead} had when oya ended")
        except GitError:
            return Harvested(None, await self._move_aside(key, bead, epoch))
        await self.remove(workspace)
        return Harvested(head)

    def _whose(self, key: str) -> tuple[str, int]:
        record = self._disk.records.get(key)
        if record:
            return record.bead, record.epoch
        name, _, epoch = key.rpartition(".")
        return decode(name), int(epoch) if epoch.isdigit() else 0

    async def _discard(self, key: str, bead: str, epoch: int) -> None:
        self._live.discard(key)
        await self._life.turn("workspace folder away")
        self._disk.folders.pop(_folder(key), None)
        await self._life.turn("workspace record away")
        self._disk.records.pop(key, None)
        await self._repo.delete_ref(self.base_ref(bead, epoch))


class SimulatedAnswers:
    """`agents.answers.AnswerFiles` over a `FolderDisk`."""

    def __init__(self, disk: FolderDisk, life: Life) -> None:
        self._disk = disk
        self._life = life

    def make_room(self, workspace: Path, role: Role) -> None:
        """See `AnswerFiles.make_room`."""
        self._life.require()
        folder = self._disk.folders.get(workspace)
        if folder is None:
            raise FileNotFoundError(workspace)
        for path in (OUT.partition("/")[0], OUT):
            folder.pop(path, None)
        take_away(folder, answer_name(role))

    def read(self, workspace: Path, role: Role) -> bytes | None:
        """See `AnswerFiles.read`."""
        self._life.require()
        data = self._disk.folders.get(workspace, {}).get(answer_name(role))
        return None if data is None else data[: MAX_BYTES + 1]


@lru_cache(maxsize=1000)
def _folder(key: str) -> Path:
    return WORK / key


@cache
def answer_name(role: Role) -> str:
    """Where in a folder the answer of a role lies."""
    return str(answer_path(Path(), role))
