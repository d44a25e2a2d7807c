"""The line: the history that oya lands on, and the base that new work starts from.

`refs/oya/line/<branch>` is written only here, by compare-and-swap. `refs/oya/seen/<branch>`
is the branch's tip as oya last saw it; a tip that no longer contains it was rewritten.
"""

from __future__ import annotations

from oya.errors import RepositoryUnfit
from oya.repository.follow import Followed, follow
from oya.repository.git import GitRepository


class Line:
    """One branch's line. `base` is the newest commit to build on; `refresh` first."""

    def __init__(self, repo: GitRepository, branch: str) -> None:
        self._repo = repo
        self.branch = branch
        self.ref = f"refs/oya/line/{branch}"
        self._seen = f"refs/oya/seen/{branch}"
        self._head = f"refs/heads/{branch}"
        self.base = ""
        self.tip: str | None = None
        self.rewritten = False
        self.diverged = False
        self.followed = Followed(behind=0, why="", moved=False)

    async def refresh(self) -> None:
        """Read the refs and choose the base: the line, or the branch where that is ahead."""
        branch = await self._repo.read_ref(self._head)
        if branch is None:
            raise RepositoryUnfit(
                f"the branch {self.branch} is gone",
                safe="What has landed is on " + self.ref + ".",
                hint=f"git branch {self.branch} {self.ref}",
            )
        self.tip = await self._repo.read_ref(self.ref)
        if self.tip is None:
            await self._repo.cas_ref(self.ref, branch, None)
            self.tip = branch
        await self._look_for_rewrite(branch)
        await self._choose(branch, self.tip)

    async def _look_for_rewrite(self, branch: str) -> None:
        seen = await self._repo.read_ref(self._seen)
        if seen == branch:
            self.rewritten = False
            return
        self.rewritten = seen is not None and not await self._repo.is_ancestor(seen, branch)
        if not self.rewritten:
            await self._repo.cas_ref(self._seen, branch, seen)

    async def _choose(self, branch: str, tip: str) -> None:
        self.diverged = False
        if branch == tip or await self._repo.is_ancestor(branch, tip):
            self.base = tip
        elif await self._repo.is_ancestor(tip, branch):
            self.base = branch
        else:
            # Merging what both sides did is part of the full landing queue: the line goes on.
            self.base, self.diverged = tip, True

    async def advance(self, candidate: str) -> bool:
        """Move the line to `candidate` if it still is where it was read; False if not."""
        if not await self._repo.cas_ref(self.ref, candidate, self.tip):
            return False
        self.tip = self.base = candidate
        return True

    async def follow(self) -> Followed:
        """Let the checkout follow where it is clean; otherwise say why it stays."""
        if self.tip is None or self.rewritten:
            return self.followed
        self.followed = await follow(self._repo, self.branch, self.tip)
        if self.followed.moved:
            seen = await self._repo.read_ref(self._seen)
            await self._repo.cas_ref(self._seen, self.tip, seen)
        return self.followed

    async def accept_rewrite(self) -> str | None:
        """Take the branch's tip as the line (`oya sync` after a rewrite); the tip before."""
        branch = await self._repo.read_ref(self._head)
        before = self.tip
        if branch is None:
            return None
        seen = await self._repo.read_ref(self._seen)
        await self._repo.cas_ref(self.ref, branch, before)
        await self._repo.cas_ref(self._seen, branch, seen)
        await self.refresh()
        return before
