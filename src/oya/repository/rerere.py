"""Remembered resolutions: `git rerere`, with a memory of oya's own.

Never the user's `.git/rr-cache`: git works in a folder that is made for one merge and holds the
files in conflict alone. What it has learnt there is laid into the memory, an entry a conflict, by
one rename; what the memory knows of a conflict is handed to it there. So a death leaves an entry
whole or not at all, and what others do to the memory is at most forgotten.
"""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from oya.errors import GitError, OyaError
from oya.folders import is_real_folder, take_away, temporary
from oya.processes.orphans import marks
from oya.repository.drivers import FILE as ATTRIBUTES
from oya.repository.drivers import is_plain, write_files
from oya.repository.port import Merged
from oya.repository.run import Git

if TYPE_CHECKING:
    from oya.repository.git import GitRepository

KEPT: Final = 1000
"""Resolutions that are remembered; the oldest go."""
LARGEST: Final = 1_000_000
"""Bytes of a file in conflict; a larger one is left to whoever resolves it."""
MOST: Final = 50
"""Files of one merge that are looked at."""
_ENABLED = ("-c", "rerere.enabled=true", "-c", "rerere.autoUpdate=false", "rerere")
_ID = re.compile(r"[0-9a-f]{40,64}")
_IMAGES = ("preimage", "postimage")
_BY = "by"

_Stages = Mapping[str, Sequence[tuple[str, str, str]]]


class Rerere:
    """The memory of one repository, in its cache. One caller at a time teaches it."""

    def __init__(self, repo: GitRepository) -> None:
        self._repo = repo
        self._folder = repo.place.cache / "rerere"

    async def recall(self, ours: str, theirs: str, merged: Merged) -> Merged:
        """`merged` with those conflicts resolved that were resolved before."""
        if not merged.conflicts or not await asyncio.to_thread(_names, self._folder):
            return merged
        try:
            files = await self._in_conflict(ours, theirs, merged)
            found = await self._recalled(files, await self._repo.stages(ours, theirs))
            changes = {path: data for path, (data, _) in found.items()}
            tree = await self._repo.write_tree(merged.tree, changes) if found else merged.tree
        except (OyaError, OSError):
            return merged
        return replace(
            merged,
            tree=tree,
            conflicts=tuple(path for path in merged.conflicts if path not in found),
            helped=(
                *merged.helped,
                *(f"{path} as it was resolved for {by}" for path, (_, by) in found.items()),
            ),
        )

    async def learn(self, ours: str, theirs: str, resolved: str, by: str) -> None:
        """See `Repository.remember`. Raises `GitError` if the commits cannot be read."""
        repo, (before, *_) = self._repo, await self._repo.parents(resolved)
        files = await self._in_conflict(ours, theirs, await repo.merge_tree(ours, theirs))
        answers = {}
        for path in files:
            same = await repo.read_file(before, path) == await repo.read_file(ours, path)
            data = await repo.read_file(resolved, path) if same else None
            if data is not None and len(data) <= LARGEST:
                answers[path] = data
        if not answers:
            return
        files = {path: files[path] for path in answers}
        try:
            async with _desk(self._repo, files, await repo.stages(ours, theirs)) as desk:
                await desk.rerere()
                ids = desk.pending()
                await asyncio.to_thread(write_files, desk.work, answers)
                await desk.rerere()
                entries = {id: desk.entry(id) for id in ids.values() if _ID.fullmatch(id)}
            await asyncio.to_thread(self._keep, entries, by)
        except OSError as error:
            raise GitError(f"{self._folder} cannot be written: {error.strerror}") from error

    async def _in_conflict(self, ours: str, theirs: str, merged: Merged) -> dict[str, bytes]:
        """Path → the text with markers. A file of attributes would speak for others, so none."""
        files = {}
        for path in merged.conflicts[:MOST]:
            if is_plain(path) and path.rpartition("/")[2] != ATTRIBUTES:
                data = await self._repo.read_file(merged.tree, path)
                if data is not None and len(data) <= LARGEST:
                    files[path] = data
        return files

    async def _recalled(
        self, files: Mapping[str, bytes], stages: _Stages
    ) -> dict[str, tuple[bytes, str]]:
        """Path → its resolution, and whose that was."""
        async with _desk(self._repo, files, stages) as desk:
            await desk.rerere()
            ids = desk.pending()
            known = {}
            for id in dict.fromkeys(_bare(id) for id in ids.values()):
                if entry := await asyncio.to_thread(self._entry, id):
                    known[id] = entry
            if not known:
                return {}
            await asyncio.to_thread(desk.put, known)
            await desk.rerere()
            left = desk.pending()
            return {
                path: ((desk.work / path).read_bytes(), known[_bare(id)][_BY].decode())
                for path, id in ids.items()
                if path not in left and _bare(id) in known
            }

    def _entry(self, id: str) -> dict[str, bytes]:
        """An entry of the memory; empty where there is none that is whole."""
        found = {}
        for name in (*_IMAGES, _BY):
            path = self._folder / id / name
            try:
                found[name] = path.read_bytes() if path.stat().st_size <= LARGEST else b""
            except OSError:
                return {}
        return found

    def _keep(self, entries: Mapping[str, Mapping[str, bytes]], by: str) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for half in self._folder.glob(".*"):  # what a death has left
            take_away(half)
        for id, entry in entries.items():
            if all(name in entry for name in _IMAGES):
                self._put(id, {**entry, _BY: by.encode("utf-8", "replace")})
        for name in _names(self._folder)[:-KEPT]:
            take_away(self._folder / name)

    def _put(self, id: str, entry: Mapping[str, bytes]) -> None:
        made = Path(tempfile.mkdtemp(prefix=".", dir=self._folder))
        for name, data in entry.items():
            with (made / name).open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        take_away(self._folder / id)
        made.rename(self._folder / id)


@dataclass(frozen=True, slots=True)
class _Desk:
    """A git directory that knows of nothing but one merge, and `work`, its worktree."""

    git: Git
    folder: Path
    work: Path

    async def rerere(self) -> None:
        """Let git look at the files, and note what it sees."""
        await self.git(*_ENABLED, env=_env(self.work), cwd=self.work)

    def pending(self) -> dict[str, str]:
        """Path → id of the conflicts that are not resolved."""
        rows = (self.folder / "MERGE_RR").read_bytes().decode("utf-8", "surrogateescape")
        pairs = (row.partition("\t") for row in rows.split("\0") if row)
        return {path: id for id, _, path in pairs}

    def entry(self, id: str) -> dict[str, bytes]:
        """What git has noted of a conflict: images by name."""
        there = self.folder / "rr-cache" / id
        paths = {name: there / name for name in _IMAGES}
        return {name: path.read_bytes() for name, path in paths.items() if path.is_file()}

    def put(self, entries: Mapping[str, Mapping[str, bytes]]) -> None:
        """Let git know these, and nothing else, as if it had not looked at the files yet."""
        take_away(self.folder / "rr-cache")
        (self.folder / "MERGE_RR").unlink()
        for id, entry in entries.items():
            write_files(self.folder / "rr-cache" / id, {name: entry[name] for name in _IMAGES})


@asynccontextmanager
async def _desk(
    repo: GitRepository, files: Mapping[str, bytes], stages: _Stages
) -> AsyncIterator[_Desk]:
    async with temporary() as at:
        folder, work = at / "git", at / "work"
        for part in (folder / "objects", folder / "refs", folder / "rr-cache", work):
            part.mkdir(parents=True)
        (folder / "HEAD").write_text("ref: refs/heads/merge\n")
        await asyncio.to_thread(write_files, work, files)
        desk = _Desk(Git(folder, marks=marks(repo.place.repo_id, "git")), folder, work)
        rows = "".join(
            f"{mode} {blob} {stage}\t{path}\0"
            for path in files
            for mode, blob, stage in stages.get(path, ())
        ).encode("utf-8", "surrogateescape")
        await desk.git("update-index", "-z", "--index-info", stdin=rows, env=_env(work), cwd=work)
        yield desk


def _env(work: Path) -> dict[str, str]:
    return {"GIT_WORK_TREE": str(work), "GIT_INDEX_FILE": str(work.parent / "index")}


def _bare(id: str) -> str:
    """Without the number that tells two files with the same conflict apart."""
    return id.partition(".")[0]


def _names(folder: Path) -> list[str]:
    """The entries, the oldest first."""
    try:
        there = [path for path in folder.iterdir() if _ID.fullmatch(path.name)]
    except FileNotFoundError:
        return []
    aged = [(path.lstat().st_mtime_ns, path.name) for path in there if is_real_folder(path)]
    return [name for _, name in sorted(aged)]
