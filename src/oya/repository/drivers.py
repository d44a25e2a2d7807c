"""Merge drivers: what the user has configured for a path may resolve a conflict there.

A driver is a program of the user's, and runs without a sandbox. So what is merged never chooses
it: of `.gitattributes`, only those of a landed commit count. (Those of the user, in their home
and in `.git/info`, git obeys at every merge.)
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from oya.errors import GitError
from oya.folders import folders_over, temporary
from oya.repository.environment import worktree_env
from oya.repository.port import Merged

if TYPE_CHECKING:
    from oya.repository.git import GitRepository

FILE: Final = ".gitattributes"
DEADLINE: Final = 30.0
"""Seconds that a merge with drivers may take."""
_MOST = 100  # paths in conflict
_LARGEST = 1_000_000  # bytes of one file of attributes
_NO_HELP = frozenset({"unspecified", "set", "unset", "text", "binary"})


async def driven(
    repo: GitRepository, ours: str, theirs: str, merged: Merged, landed: str
) -> Merged:
    """`merged` with the conflicts resolved that drivers resolve; as it is where there is none.

    A driver that fails, hangs or is not there resolves nothing.
    """
    paths = [path for path in merged.conflicts if is_plain(path)]
    if not 0 < len(paths) <= _MOST:
        return merged
    try:
        async with temporary() as folder:
            if not await _lay(repo, landed, paths, folder):
                return merged
            drivers = await _drivers(repo, folder, paths)
            if not drivers:
                return merged
            again = await repo.merge_in(folder, ours, theirs, DEADLINE)
        done = {path: name for path, name in drivers.items() if path not in again.conflicts}
        return await _taken(repo, merged, again, done)
    except (GitError, OSError):
        return merged


def is_plain(path: str) -> bool:
    """Whether a path of a tree can be laid in a folder of oya's: within it, and not as git's."""
    return all(part not in ("", ".", "..") and part.lower() != ".git" for part in path.split("/"))


async def _lay(repo: GitRepository, landed: str, paths: list[str], folder: Path) -> bool:
    """Put the attributes that are about these paths into the folder; whether there are any."""
    over = {FILE, *(f"{above}/{FILE}" for path in paths for above in folders_over(path))}
    found: dict[str, bytes] = {}
    files = await repo.entries(landed, sorted(over))
    for path, (mode, _) in files.items():
        data = await repo.read_file(landed, path) if mode.startswith("100") else None
        if data and len(data) <= _LARGEST:
            found[path] = data
    await asyncio.to_thread(write_files, folder, found)
    return bool(found)


async def _drivers(repo: GitRepository, folder: Path, paths: list[str]) -> dict[str, str]:
    """Path → the driver that its attributes name, where they name one."""
    asked = "".join(f"{path}\0" for path in paths).encode("utf-8", "surrogateescape")
    out = await repo.git(
        "check-attr", "-z", "--stdin", "merge", stdin=asked, env=worktree_env(folder), cwd=folder
    )
    fields = out.fields
    named = zip(fields[::3], fields[2::3], strict=True)
    return {path: name for path, name in named if name not in _NO_HELP}


async def _taken(
    repo: GitRepository, merged: Merged, again: Merged, done: Mapping[str, str]
) -> Merged:
    if not done:
        return merged
    return replace(
        merged,
        tree=await repo.take_paths(merged.tree, again.tree, list(done)),
        conflicts=tuple(path for path in merged.conflicts if path not in done),
        helped=(*merged.helped, *(f"{p} by the merge driver {name}" for p, name in done.items())),
    )


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Lay these files in the folder, with what is over them."""
    for path, data in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
