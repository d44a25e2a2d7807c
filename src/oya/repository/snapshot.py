"""What an agent left in its folder, as a commit: its own commits, and its files as they lie."""

from __future__ import annotations

import asyncio
import contextlib
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from oya.crashpoints import point
from oya.repository.checkout import Checkout
from oya.repository.git import Entry, GitRepository
from oya.repository.port import OYA, FileChange, Head
from oya.repository.record import Record, fingerprint
from oya.repository.run import both

_NEVER_TAKEN = (".beads", ".oya/out", ".oya/gate")
_REPOSITORY = "160000"


@dataclass(slots=True)
class _Sorted:
    """The changed paths: to take, to leave out, and files that are folders by now."""

    wanted: list[str] = field(default_factory=list)
    unwanted: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)


class Snapshot:
    """Makes heads; files over `max_file` bytes are left out, `never` are as at the start."""

    def __init__(self, repo: GitRepository, max_file: int, never: Sequence[str] = ()) -> None:
        self._repo = repo
        self._max_file = max_file
        self._never = (*_NEVER_TAKEN, *never)

    async def __call__(self, checkout: Checkout, record: Record, ref: str, message: str) -> Head:
        """Commit what is in the folder, if it is anything new, and set `ref` to the head."""
        parents, left_out = [record.head], list[str]()
        agents = await asyncio.to_thread(checkout.head)
        if agents and agents not in (record.head, record.start):
            if await checkout.take_commits(agents, ref):
                parents, left_out = await self._take_over(checkout, record, agents)
            else:
                left_out = [".git"]
        left_out += await self._take_files(checkout, record)
        # Always: a crash may have come between taking files and this.
        tree = await checkout.write_tree()
        commit = parents[0]
        if len(parents) > 1 or tree != await self._tree_of(commit, record):
            commit = await self._repo.commit_tree(tree, parents, message, author=OYA)
        point("workspace.taken")
        await self._repo.set_ref(ref, commit)
        point("workspace.held")
        return Head(commit, tree, tuple(dict.fromkeys(left_out)))

    async def _tree_of(self, commit: str, record: Record) -> str:
        return record.tree if commit == record.head else await self._repo.tree_of(commit)

    async def _take_over(
        self, checkout: Checkout, record: Record, agents: str
    ) -> tuple[list[str], list[str]]:
        """Load the agent's own head without what must not be in it: parents, and what that was."""
        changes, follows = await both(
            self._repo.diff(record.start, agents), self._repo.is_ancestor(record.head, agents)
        )
        if not follows and await self._repo.is_ancestor(agents, record.head):
            return [record.head], []  # taken before, and `.git` is as it was then
        await checkout.load(agents)
        never = [change for change in changes if self._is_never_taken(change.path)]
        added = [change for change in changes if change.status != "D" and change not in never]
        sizes = await self._sizes([c.blob for c in added if c.mode != _REPOSITORY])
        unwanted = [
            change
            for change in added
            if change.mode == _REPOSITORY or sizes.get(change.blob, 0) > self._max_file
        ]
        await checkout.put(_undo(change) for change in (*unwanted, *never))
        parents = [agents] if follows else [record.head, agents]
        return parents, [change.path for change in unwanted]

    async def _sizes(self, blobs: Sequence[str]) -> dict[str, int]:
        if not blobs:
            return {}
        asked = "".join(f"{blob}\n" for blob in blobs).encode()
        form = "--batch-check=%(objectname) %(objectsize)"
        out = await self._repo.git("cat-file", form, stdin=asked)
        words = (line.split() for line in out.text.splitlines())
        return {name: int(size) for name, size in words if size.isdigit()}

    async def _take_files(self, checkout: Checkout, record: Record) -> list[str]:
        """Take the files as they lie there into the index; what was left out."""
        paths = await checkout.changed()
        found = await asyncio.to_thread(self._sort, checkout.folder, record, paths)
        await checkout.put((None, "0" * len(record.head), path) for path in found.gone)
        return found.unwanted + await checkout.add(found.wanted)

    def _sort(self, folder: Path, record: Record, paths: Sequence[str]) -> _Sorted:
        found = _Sorted()
        for path in paths:
            there = folder / path
            if self._is_never_taken(path) or (
                path in record.prepared and fingerprint(there) == record.prepared[path]
            ):
                continue
            self._place_in(found, path, there)
        return found

    def _is_never_taken(self, path: str) -> bool:
        return any(path == name or path.startswith(f"{name}/") for name in self._never)

    def _place_in(self, found: _Sorted, path: str, there: Path) -> None:
        try:
            seen = there.lstat()
        except OSError:
            found.wanted.append(path)  # deleted
            return
        regular = stat.S_ISREG(seen.st_mode)
        if path.endswith("/") or (regular and seen.st_size > self._max_file):
            found.unwanted.append(path)
        elif stat.S_ISDIR(seen.st_mode):
            found.gone.append(path)
        elif regular or stat.S_ISLNK(seen.st_mode):
            found.wanted.append(path)
            if regular and not seen.st_mode & stat.S_IRUSR:
                with contextlib.suppress(OSError):
                    there.chmod(stat.S_IMODE(seen.st_mode) | stat.S_IRUSR)
        else:
            found.unwanted.append(path)


def _undo(change: FileChange) -> Entry:
    """The index entry from before the change."""
    return (None if change.status == "A" else change.old_mode, change.old_blob, change.path)
