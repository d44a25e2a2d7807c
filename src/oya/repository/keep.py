"""The user's changes of one file while a checkout follows: never only in memory.

A worktree follows with the file as the user left it: the index alone is told beforehand that the
file is as in the line, which git lets pass. Then the merged file takes its place by a rename. The
user's version is under a ref from before the first step until after the last, so that whoever
comes after a death knows that the file is still to be merged.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from urllib.parse import quote_from_bytes, unquote_to_bytes

from oya.crashpoints import point
from oya.repository.git import GitRepository
from oya.repository.port import OYA, MergedFile

KEPT = "refs/oya/tracker"
_WORKTREE = "Worktree: "


class Kept:
    """The user's versions of `file` that are kept in this repository."""

    def __init__(self, repo: GitRepository, file: MergedFile) -> None:
        self._repo = repo
        self._file = file

    async def keep(self, worktree: Path, number: int, tip: str, line: str) -> None:
        """Keep the file of this worktree, which is about to move from `tip` to `line`.

        `OyaError` where the file cannot be merged as it stands; nothing is changed then.
        """
        path = self._file.path
        data = await self._file.read(worktree)
        name = quote_from_bytes(os.fsencode(worktree))
        words = f"What {path} had, not committed\n\n{_WORKTREE}{name}\n"
        tree = await self._repo.write_tree(tip, {path: data})
        kept = await self._repo.commit_tree(tree, (tip, line), words, author=OYA)
        await self._repo.set_ref(f"{KEPT}/{number}", kept)
        point("follow.kept")
        await self._stage(worktree, line)
        point("follow.staged")

    async def settle(self, worktrees: list[Path]) -> bool:
        """Bring every file that is kept to its end; whether there was one that was merged.

        Where the worktree has moved the file is merged, else its index is as before. May be
        called at any time, and again after it has failed in the middle.
        """
        merged = False
        for ref, kept in (await self._repo.list_refs(KEPT)).items():
            worktree = await self._worktree(kept)
            if worktree in worktrees:
                merged |= await self._settle(worktree, *await self._repo.parents(kept))
            await self._repo.delete_ref(ref, kept)
            point("follow.let_go")
        return merged

    async def _worktree(self, kept: str) -> Path:
        said = await self._repo.git("show", "-s", "--no-show-signature", "--format=%B", kept)
        name = said.text.rpartition(_WORKTREE)[2].strip()
        return Path(os.fsdecode(unquote_to_bytes(name)))

    async def _settle(self, worktree: Path, tip: str, line: str) -> bool:
        path = self._file.path
        head = (await self._repo.git("rev-parse", "--verify", "HEAD", cwd=worktree)).text
        if not await self._repo.is_ancestor(line, head):
            if await self._staged(worktree) == await self._entry(line):
                await self._stage(worktree, head)
            return False
        base, ours = [await self._repo.read_file(at, path) for at in (tip, head)]
        if ours is None or not await asyncio.to_thread(os.path.lexists, worktree / path):
            return False  # whoever took it away since has decided
        await self._file.rewrite(worktree, lambda data: self._file.merge(base, ours, data))
        point("follow.merged")
        return True

    async def _stage(self, worktree: Path, commit: str) -> None:
        entry = await self._entry(commit)
        if entry:
            await self._repo.git(
                "update-index", "--cacheinfo", f"{entry[0]},{entry[1]},{self._file.path}",
                cwd=worktree,
            )  # fmt: skip

    async def _entry(self, commit: str) -> tuple[str, str] | None:
        """Mode and blob of the file in a commit."""
        out = await self._repo.git("ls-tree", "-z", "--full-tree", commit, "--", self._file.path)
        words = out.text.split()
        return (words[0], words[2]) if words else None

    async def _staged(self, worktree: Path) -> tuple[str, str] | None:
        """Mode and blob of the file in the index."""
        out = await self._repo.git("ls-files", "-s", "-z", "--", self._file.path, cwd=worktree)
        words = out.text.split()
        return (words[0], words[1]) if words else None
