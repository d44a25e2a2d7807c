"""The line: the history that oya lands on, and the base that new work starts from.

`refs/oya/line/<branch>` is written only here, by compare-and-swap. `refs/oya/seen/<branch>`
is the branch's tip as oya last saw it; a tip that no longer contains it was rewritten.
"""

from __future__ import annotations

from oya.crashpoints import point
from oya.errors import RepositoryUnfit
from oya.repository.port import Follow, Followed, Repository


class Line:
    """One branch's line. `base` is the newest commit to build on; `refresh` first.

    `rewritten` says, for a person, how the branch lost what oya saw there; empty if it did
    not. While it did, nothing is followed and nothing may land. With `follows` off the
    checkout is moved only when a person asks.
    """

    def __init__(
        self, repo: Repository, branch: str, follow: Follow, *, follows: bool = True
    ) -> None:
        self._repo = repo
        self._follow = follow
        self._follows = follows
        self.branch = branch
        self.ref = f"refs/oya/line/{branch}"
        self._seen = f"refs/oya/seen/{branch}"
        self._head = f"refs/heads/{branch}"
        self._read: tuple[str | None, str | None, str | None] | None = None
        self._branch: str | None = None
        self.base = ""
        self.tip: str | None = None
        self.rewritten = ""
        self.diverged = False
        self.followed = Followed(behind=0, why="", moved=False)

    @property
    def upstream(self) -> str | None:
        """The branch's tip as it was last read; None where there is no such branch."""
        return self._branch

    async def refresh(self) -> None:
        """Read the refs and choose the base: the line, or the branch where that is ahead.

        `RepositoryUnfit` if there is neither the branch nor a line.
        """
        branch, tip, seen = await self._refs()
        if self._read == (branch, tip, seen):
            return
        if tip is None:
            tip = await self._begin(branch)
        self.tip, self._branch = tip, branch
        if branch is None:
            self._branch_is_gone(tip)
        else:
            seen = await self._look_for_rewrite(branch, seen)
            await self._choose(branch, tip)
        self._read = (branch, tip, seen)

    async def _refs(self) -> tuple[str | None, str | None, str | None]:
        """The branch, the line, and the branch as it was seen: at one moment, by one git."""
        names = (self._head, self.ref, self._seen)
        found = await self._repo.read_refs(*names)
        return found.get(names[0]), found.get(names[1]), found.get(names[2])

    async def _begin(self, branch: str | None) -> str:
        if branch is None:
            raise RepositoryUnfit(
                f"there is no branch {self.branch}",
                safe="Nothing was changed.",
                hint=f"git branch {self.branch}",
            )
        await self._repo.cas_ref(self.ref, branch, None)
        point("line.begun")
        return branch

    def _branch_is_gone(self, tip: str) -> None:
        self.base, self.diverged = tip, False
        self.rewritten = (
            f"the branch {self.branch} is gone; what has landed is on {self.ref}: "
            f"git branch {self.branch} {self.ref}"
        )
        self.followed = Followed(behind=0, why=self.rewritten)

    async def _look_for_rewrite(self, branch: str, seen: str | None) -> str | None:
        if seen is not None and not await self._repo.is_ancestor(seen, branch):
            self.rewritten = (
                f"{self.branch} was rewritten: it no longer contains {seen[:9]}, which oya last "
                "saw there; oya sync takes it as it is now"
            )
            return seen
        self.rewritten = ""
        if seen != branch:
            await self._repo.cas_ref(self._seen, branch, seen)
            point("line.seen")
        return branch

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

    async def follow(self, *, asked: bool = False) -> Followed:
        """Let the checkout follow where it is clean; otherwise say why it stays.

        `asked`: by a person, so also where `[landing] follow` is off.
        """
        if self.tip is None or self.rewritten:
            return self.followed
        if await self._repo.read_ref(self._head) != self._branch:
            return self.followed  # just moved by the user, who may have taken something back
        if not (self._follows or asked):
            self.followed = await self._stay(self.tip)
            return self.followed
        self.followed = await self._follow(self.branch, self.tip)
        if self.followed.moved:
            self._branch = self.tip
            seen = await self._repo.read_ref(self._seen)
            await self._repo.cas_ref(self._seen, self.tip, seen)
        return self.followed

    async def _stay(self, tip: str) -> Followed:
        branch = self._branch
        behind = await self._repo.count(branch, tip) if branch and branch != tip else 0
        why = "[landing] follow is off: oya sync moves it"
        return Followed(behind, why if behind else "")

    async def accept_rewrite(self) -> str | None:
        """Take `upstream` as the line (`oya sync` after a rewrite); the tip before.

        What the line loses by it must have been held as undone before: nobody looks for that
        again. None, with nothing changed, if there is no such branch.
        """
        branch = self._branch
        before = self.tip
        if branch is None:
            return None
        seen = await self._repo.read_ref(self._seen)
        await self._repo.cas_ref(self.ref, branch, before)
        await self._repo.cas_ref(self._seen, branch, seen)
        await self.refresh()
        return before
