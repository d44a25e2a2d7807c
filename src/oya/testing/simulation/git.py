"""Git on the simulated machine: the port over objects that are values, and refs in a table.

Merges are by path, not by line. Of `rev`, it knows ids, full names of refs, branches, and HEAD.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime

from oya.beads import PATH
from oya.beads.merge import merge_files
from oya.errors import GitError, RemoteError, TrackerError
from oya.repository.port import (
    FileChange,
    Followed,
    Identity,
    Merged,
    Pushed,
    PushEnd,
    Said,
    upstream_ref,
)
from oya.testing.simulation.life import Life
from oya.testing.simulation.objects import EMPTY_ID, File, Files, Objects, is_path, lay, merge
from oya.testing.simulation.remote import Remote
from oya.trackers.jsonl import decode

SLOWEST = 0.01
"""Seconds that a command of git takes at most."""
USER = "Ada"
_NAMED = 3


@dataclass
class GitDisk:
    """What of git outlives a daemon. `head` is the branch of the user's worktree (None:
    detached, at `detached`), `working` what lies in that, `busy` what it is in the middle of.
    `notes` are those of a ref and a commit, `remotes` those that are configured, by name."""

    objects: Objects = field(default_factory=Objects)
    refs: dict[str, str] = field(default_factory=dict)
    notes: dict[tuple[str, str], str] = field(default_factory=dict)
    head: str | None = "main"
    detached: str | None = None
    working: dict[str, bytes] = field(default_factory=dict)
    busy: str = ""
    remotes: dict[str, Remote] = field(default_factory=dict)

    @property
    def at(self) -> str | None:
        """The commit that the worktree stands at, if there is one yet."""
        return self.refs.get(f"refs/heads/{self.head}") if self.head else self.detached

    def tracked(self) -> Files:
        """The files of that commit."""
        return self.objects.files(self.at) if self.at else {}

    def dirty(self) -> tuple[str, ...]:
        """Tracked files of the worktree that are not as in its commit."""
        return tuple(p for p, file in self.tracked().items() if self.working.get(p) != file.data)

    def check_out(self, commit: str) -> None:
        """Make the tracked files of the worktree those of the commit; others stay."""
        for path in self.tracked():
            self.working.pop(path, None)
        for path, file in self.objects.files(commit).items():
            self.working[path] = file.data

    def commit(self, changes: Mapping[str, File | None], message: str, at: str) -> str:
        """What the user does: change these files (None: remove), and commit them on the branch."""
        files = dict(self.tracked())
        for path, file in changes.items():
            if file is None:
                files.pop(path, None)
                self.working.pop(path, None)
            else:
                files[path] = file
                self.working[path] = file.data
        tree, parents = self.objects.add_tree(files), (self.at,) if self.at else ()
        commit = self.objects.add_commit(tree, parents, message, USER, at)
        self.refs[f"refs/heads/{self.head}"] = commit
        return commit


class SimulatedGit:
    """`repository.port.Repository`, and the `Follow` beside it, over a `GitDisk`.

    `now` gives the time that commits are stamped with. `moving` hears of every ref before
    it is set or deleted (None), with what it was.
    """

    def __init__(
        self,
        disk: GitDisk,
        life: Life,
        now: Callable[[], datetime],
        moving: Callable[[str, str | None, str | None], None] | None = None,
        failing: Callable[[], bool] = lambda: False,
    ) -> None:
        self._disk = disk
        self._life = life
        self._now = now
        self._moving = moving or (lambda name, old, new: None)
        self._failing = failing
        self._objects = disk.objects

    # refs

    async def read_ref(self, name: str) -> str | None:
        await self._reads()
        return self._disk.refs.get(name)

    async def read_refs(self, *names: str) -> dict[str, str]:
        await self._reads()
        return {name: self._disk.refs[name] for name in names if name in self._disk.refs}

    async def set_ref(self, name: str, new: str) -> None:
        await self._writes(f"set {_room(name)}")
        self._put(name, new)
        await self._written(f"set {_room(name)}")

    async def cas_ref(self, name: str, new: str, old: str | None) -> bool:
        await self._writes(f"cas {_room(name)}")
        if self._disk.refs.get(name) != old:
            return False
        self._put(name, new)
        await self._written(f"cas {_room(name)}")
        return True

    async def delete_ref(self, name: str, old: str | None = None) -> None:
        await self._writes(f"delete {_room(name)}")
        at = self._disk.refs.get(name)
        if at is None:
            return
        if old is not None and at != old:
            raise GitError(f"{name} is at {at}, not at {old}")
        self._moving(name, at, None)
        del self._disk.refs[name]
        await self._written(f"delete {_room(name)}")

    def _put(self, name: str, new: str) -> None:
        if new not in self._objects.commits:
            raise GitError(f"{name}: there is no object {new}")
        if name not in self._disk.refs:
            self._require_room(name)
        self._moving(name, self._disk.refs.get(name), new)
        self._disk.refs[name] = new

    def _require_room(self, name: str) -> None:
        """A ref is a file to git, and what is above another one a folder."""
        refs, above = self._disk.refs, name
        while (above := above.rpartition("/")[0]) and above not in refs:
            pass
        below = f"\n{name}/" in "\n".join(("", *refs))
        if above or below:
            raise GitError(f"{name} cannot be made: there is {above or f'{name}/…'}")

    async def clear_locks(self) -> tuple[str, ...]:
        return ()

    async def list_refs(self, prefix: str) -> dict[str, str]:
        await self._reads()
        below = prefix.rstrip("/") + "/"
        return {
            name: self._disk.refs[name]
            for name in sorted(self._disk.refs)
            if name == prefix or name.startswith(below)
        }

    # commits

    async def resolve(self, rev: str) -> str | None:
        await self._reads()
        return self._resolved(rev)

    def _resolved(self, rev: str) -> str | None:
        if rev == "HEAD":
            return self._disk.at
        if rev in self._objects.commits:
            return rev
        return self._disk.refs.get(rev) or self._disk.refs.get(f"refs/heads/{rev}")

    def _commit(self, rev: str) -> str:
        found = self._resolved(rev)
        if found is None:
            raise GitError(f"there is no commit {rev}")
        return found

    async def tree_of(self, commit: str) -> str:
        await self._reads()
        if commit in self._objects.trees:
            return commit
        return self._objects.commits[self._commit(commit)].tree

    async def parents(self, commit: str) -> tuple[str, ...]:
        await self._reads()
        return self._objects.commits[self._commit(commit)].parents

    async def first_parents(self, commit: str, limit: int) -> tuple[str, ...]:
        await self._reads()
        found = [self._commit(commit)]
        while len(found) < limit and (parents := self._objects.commits[found[-1]].parents):
            found.append(parents[0])
        return tuple(found)

    async def subject(self, commit: str) -> str:
        await self._reads()
        message = self._objects.commits[self._commit(commit)].message
        return " ".join(message.strip("\n").partition("\n\n")[0].split("\n"))

    async def is_ancestor(self, older: str, newer: str) -> bool:
        await self._reads()
        return self._objects.is_ancestor(self._commit(older), self._commit(newer))

    async def merge_base(self, a: str, b: str) -> str | None:
        await self._reads()
        return self._objects.merge_base(self._commit(a), self._commit(b))

    async def count(self, older: str, newer: str) -> int:
        await self._reads()
        return self._count(self._commit(older), self._commit(newer))

    def _count(self, older: str, newer: str) -> int:
        known = set(self._objects.ancestors(older))
        return sum(1 for commit in self._objects.ancestors(newer) if commit not in known)

    async def messages(self, older: str, newer: str, limit: int) -> list[Said]:
        await self._reads()
        known = set(self._objects.ancestors(self._commit(older)))
        new = [c for c in self._objects.ancestors(self._commit(newer)) if c not in known]
        new.sort(key=lambda commit: (-self._objects.commits[commit].depth, commit))
        return [Said(commit, self._objects.commits[commit].message) for commit in new[:limit]]

    async def contains(self, ref: str, commit: str) -> bool:
        await self._reads()
        tip = self._disk.refs.get(ref)
        return tip is not None and self._objects.is_ancestor(self._commit(commit), tip)

    async def head_branch(self) -> str | None:
        await self._reads()
        return self._disk.head

    async def merge_tree(self, ours: str, theirs: str, *, base: str | None = None) -> Merged:
        await self._reads()
        before = base or self._objects.merge_base(self._commit(ours), self._commit(theirs))
        if before is None:
            raise GitError(f"{ours} and {theirs} have nothing in common")
        files, conflicts = merge(self._files(before), self._files(ours), self._files(theirs))
        return Merged(self._objects.add_tree(files), conflicts)

    async def help_merge(self, ours: str, theirs: str, merged: Merged, *, landed: str) -> Merged:
        return merged  # merges here are by path: nothing is there that could help

    async def remember(self, ours: str, theirs: str, resolved: str, by: str) -> None:
        pass

    async def commit_tree(
        self, tree: str, parents: Sequence[str], message: str, *, author: Identity | None = None
    ) -> str:
        await self._writes("commit")
        if tree not in self._objects.trees:
            raise GitError(f"there is no tree {tree}")
        found = tuple(dict.fromkeys(self._commit(parent) for parent in parents))
        by = author.name if author else USER
        at = f"{self._now():%s}"
        return self._objects.add_commit(tree, found, message, by, at)

    # trees

    def _files(self, rev: str) -> Files:
        found = self._resolved(rev)
        try:
            return self._objects.files(found or rev)
        except KeyError:
            raise GitError(f"there is no tree {rev}") from None

    async def write_tree(self, tree: str, changes: Mapping[str, bytes | None]) -> str:
        await self._writes("tree")
        before = self._files(tree)
        files = {path: file for path, file in before.items() if changes.get(path, b"") is not None}
        for path, data in changes.items():
            if data is not None and is_path(path):
                mode = before[path].mode if path in before else "100644"
                lay(files, path, File(data, mode))
        return self._objects.add_tree(files)

    async def take_paths(self, tree: str, source_tree: str, paths: Collection[str]) -> str:
        await self._writes("tree")
        source = self._files(source_tree)
        files = {p: f for p, f in self._files(tree).items() if not _within(p, paths)}
        for path, file in source.items():
            if _within(path, paths):
                lay(files, path, file)
        return self._objects.add_tree(files)

    async def diff(self, a: str, b: str) -> tuple[FileChange, ...]:
        await self._reads()
        before, after = self._files(a), self._files(b)
        paths = sorted(p for p in {**before, **after} if before.get(p) != after.get(p))
        return tuple(_change(path, before.get(path), after.get(path)) for path in paths)

    async def diff_text(self, a: str, b: str, limit: int = 100_000) -> str:
        changes = await self.diff(a, b)
        before, after = self._files(a), self._files(b)
        text = "".join(
            f"diff --git a/{c.path} b/{c.path}\n"
            + _lines("-", before.get(c.path))
            + _lines("+", after.get(c.path))
            for c in changes
        )
        data = text.encode()
        if len(data) <= limit:
            return text
        return f"{data[:limit].decode('utf-8', 'replace')}\n[cut after {limit} bytes]\n"

    async def read_file(self, rev: str, path: str) -> bytes | None:
        await self._reads()
        with suppress(GitError):
            found = self._files(rev).get(path)
            return found.data if found else None
        return None

    async def list_root(self, rev: str) -> dict[str, str]:
        await self._reads()
        return root_of(self._objects, self._files(rev))

    async def list_files(self, rev: str) -> dict[str, str]:
        await self._reads()
        return {path: file.blob for path, file in self._files(rev).items()}

    async def add_note(self, commit: str, text: str, ref: str = "refs/notes/oya") -> None:
        await self._writes("note")
        self._disk.notes[ref, self._commit(commit)] = text
        await self._written("note")

    # remotes

    async def fetch(self, remote: str, branch: str) -> str | None:
        await self._writes("fetch")
        there = await self._reach(remote)
        tip, ref = there.refs.get(f"refs/heads/{branch}"), upstream_ref(remote, branch)
        if tip is None:
            if (known := self._disk.refs.pop(ref, None)) is not None:
                self._moving(ref, known, None)
        else:
            self._put(ref, tip)
        await self._written("fetch")
        return tip

    async def remote_tip(self, remote: str, branch: str) -> str | None:
        await self._reads()
        return (await self._reach(remote)).refs.get(f"refs/heads/{branch}")

    async def push(self, remote: str, commit: str, branch: str, expect: str | None) -> Pushed:
        new, name = self._commit(commit), f"refs/heads/{branch}"
        if expect is not None and not self._objects.is_ancestor(self._commit(expect), new):
            raise GitError(f"{commit} does not contain {expect}, which it should stand on")
        await self._writes("push")
        try:
            there = await self._reach(remote)
        except RemoteError as error:
            return Pushed(PushEnd.UNREACHABLE, str(error))
        tip = there.refs.get(name)
        if tip != new:
            if tip is not None and not self._objects.is_ancestor(tip, new):
                return Pushed(PushEnd.MOVED, "fetch first")
            if there.refuses:
                return Pushed(PushEnd.REFUSED, there.refuses)
            there.take(name, new)
        await self._written("push")
        if there.loses:
            return Pushed(PushEnd.UNREACHABLE, f"{remote} hung up")
        return Pushed(PushEnd.OK)

    async def _reach(self, remote: str) -> Remote:
        there = self._disk.remotes.get(remote)
        if there is None:
            raise RemoteError(f"there is no remote {remote}")
        if there.slow:
            await self._life.turn("", there.slow)
        if there.unreachable:
            raise RemoteError(f"{remote} cannot be reached: {there.unreachable}")
        return there

    # the user's worktree

    async def follow(self, branch: str, line: str) -> Followed:
        """See `port.Follow`."""
        await self._writes("follow")
        disk, name = self._disk, f"refs/heads/{branch}"
        tip = disk.refs.get(name)
        if tip is None:
            return Followed(0, f"there is no branch {branch}")
        if self._objects.is_ancestor(line, tip):
            return Followed(0)
        behind = self._count(tip, line)
        if not self._objects.is_ancestor(tip, line):
            return Followed(behind, f"{branch} has commits that did not go through oya")
        note = ""
        if disk.head == branch:
            if why := self._in_the_way(line):
                return Followed(behind, why)
            changed = disk.working[PATH] if PATH in disk.dirty() else None
            before = disk.tracked().get(PATH)
            disk.check_out(line)
            if changed is not None and before is not None:
                there = disk.working[PATH]
                disk.working[PATH] = merge_files(before.data, there, changed)
                if there != before.data:
                    note = f"your changes in {PATH} stay, merged with what landed there"
        self._put(name, line)
        await self._written("follow")
        return Followed(0, moved=True, note=note)

    def _in_the_way(self, line: str) -> str:
        """What keeps the worktree where it is; empty if nothing does."""
        disk = self._disk
        if disk.busy:
            return f"the checkout is in the middle of {disk.busy}"
        there = self._files(line)
        mergeable = PATH in disk.working and PATH in there and _is_backlog(disk.working[PATH])
        if dirty := [path for path in disk.dirty() if path != PATH or not mergeable]:
            more = f" and {len(dirty) - _NAMED} more" if len(dirty) > _NAMED else ""
            return f"the checkout has changes in {', '.join(sorted(dirty)[:_NAMED])}{more}"
        tracked = disk.tracked()
        new = [path for path in there if path not in tracked]
        if untracked := [path for path in new if path in disk.working]:
            return f"untracked files would be overwritten: {', '.join(untracked[:_NAMED])}"
        return ""

    async def _reads(self) -> None:
        await self._life.glance()
        if self._failing():
            raise GitError("the simulated disk cannot be read")

    async def _writes(self, step: str) -> None:
        await self._life.turn(f"git {step}")
        if self._failing():
            raise GitError("the simulated disk is full")

    async def _written(self, step: str) -> None:
        await self._life.turn(f"git {step} done", self._life.moment(SLOWEST))


def _is_backlog(data: bytes) -> bool:
    with suppress(TrackerError):
        decode(data)
        return True
    return False


def root_of(objects: Objects, files: Files) -> dict[str, str]:
    """Name → mode, kind and id of what stands at the top of a tree."""
    below: dict[str, dict[str, File]] = {}
    found: dict[str, str] = {}
    for path, file in files.items():
        top, _, rest = path.partition("/")
        if rest:
            below.setdefault(top, {})[rest] = file
        else:
            found[top] = f"{file.mode} blob {file.blob}"
    found |= {top: f"040000 tree {objects.add_tree(inner)}" for top, inner in below.items()}
    return {name: found[name] for name in sorted(found)}


def _room(name: str) -> str:
    """Which kind of ref this is: `attempts`, `line` …"""
    parts = name.split("/")
    return parts[2] if parts[1] == "oya" else parts[1]


def _within(path: str, paths: Collection[str]) -> bool:
    return path in paths or any(path.startswith(f"{over}/") for over in paths)


def _change(path: str, before: File | None, after: File | None) -> FileChange:
    return FileChange(
        _status(before, after),
        path,
        after.mode if after else "000000",
        after.blob if after else EMPTY_ID,
        before.mode if before else "000000",
        before.blob if before else EMPTY_ID,
    )


def _status(before: File | None, after: File | None) -> str:
    if before is None:
        return "A"
    if after is None:
        return "D"
    return "M" if before.kind == after.kind else "T"


def _lines(sign: str, file: File | None) -> str:
    text = file.data.decode("utf-8", "replace") if file else ""
    return "".join(f"{sign}{line}\n" for line in text.splitlines())
