"""The line: the history that oya lands on, and the base that new work starts from.

Upstream is the local branch, or that of `[landing] remote`. `refs/oya/line/<branch>` is written
only here, by compare-and-swap; a ref beside it is upstream's tip as oya last saw it: one that no
longer contains it was rewritten. With a remote, to land is to push, and the line comes after.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from oya.beads import PATH
from oya.clock import Clock
from oya.crashpoints import point
from oya.errors import PushUnsure, RemoteError, RepositoryUnfit
from oya.repository.port import Follow, Followed, PushEnd, Repository, Said, upstream_ref
from oya.swarm.merging import merge_commits

LOOK_THERE = 10.0
"""Seconds between two fetches that nobody has asked for."""
NEWS = 1000
"""Commits that are looked at for reverts, at most, however many have come."""
_SHORT = 9


@dataclass(frozen=True, slots=True)
class Merge:
    """The branch's own commits merged into the line: `commit` on `parents`, held by no ref yet.

    Where it has `conflicts`, by path, there is no commit.
    """

    commit: str | None
    parents: tuple[str, str]
    conflicts: tuple[str, ...] = ()


class Whereabouts(StrEnum):
    """What has become of a landing that was intended."""

    LANDED = "landed"
    OPEN = "open"
    LOST = "lost"


class Line:
    """One branch's line. `base` is the newest commit to build on; `refresh` first.

    `rewritten` says, for a person, how upstream lost what oya saw there; empty if it did
    not. While it did, nothing is followed and nothing may land. `trouble` says likewise why the
    remote does not take anything now; `owed` is what a push to another remote has to do with
    that, for whoever knows of one. With `follows` off the checkout is moved only when a
    person asks. With a `clock` the remote is asked at most every `LOOK_THERE` seconds.
    """

    def __init__(
        self,
        repo: Repository,
        branch: str,
        follow: Follow,
        *,
        follows: bool = True,
        remote: str = "",
        clock: Clock | None = None,
    ) -> None:
        self._repo = repo
        self._follow = follow
        self._follows = follows
        self._clock = clock
        self.branch = branch
        self.remote = remote
        self.place = f"{remote}/{branch}" if remote else branch
        self.ref = f"refs/oya/line/{branch}"
        self._local = f"refs/heads/{branch}"
        self._head = upstream_ref(remote, branch) if remote else self._local
        seen = "upstream-{}" if remote else "{}"
        self._seen = f"refs/oya/{seen.format('seen')}/{self.place}"
        self._told = f"refs/oya/{seen.format('told')}/{self.place}"
        self._read: tuple[str | None, ...] | None = None
        self._upstream: str | None = None
        self._branch: str | None = None
        self._fetched: float | None = None
        self._unreachable = ""
        self._refused = ""
        self._left_out: tuple[str | None, str | None] | None = None
        self.left_out = ""
        self.owed = ""
        self.base = ""
        self.tip: str | None = None
        self.rewritten = ""
        self.diverged = False
        self.followed = Followed(behind=0, why="", moved=False)

    @property
    def upstream(self) -> str | None:
        """Upstream's tip as it was last read; None where there is no such branch."""
        return self._upstream

    @property
    def trouble(self) -> str:
        """Why the remote takes nothing now, for a person; empty where nothing is known of that."""
        return self._unreachable or self._refused or self.owed

    @property
    def unreachable(self) -> str:
        """Why the remote could not be asked when that was tried last."""
        return self._unreachable

    @property
    def refused(self) -> str:
        """What the remote said to the last push, if it took it not: it may take the next one."""
        return self._refused

    async def refresh(self, *, now: bool = False) -> None:
        """Read the refs and choose the base: the line, or upstream where that is ahead.

        `now`: ask the remote, however short ago that was done last. A remote that cannot be
        reached is `trouble`; what was last fetched holds. `RepositoryUnfit` if there is neither
        upstream's branch nor a line; `RemoteError` if there is no line, and nothing was fetched.
        """
        if self.remote:
            await self._fetch(now)
        upstream, tip, seen, branch = read = await self._refs()
        if self._read == (*read, self._unreachable):
            return
        if tip is None:
            tip = await self._begin(upstream)
        self.tip, self._upstream, self._branch = tip, upstream, branch
        if upstream is None:
            self._upstream_is_gone(tip)
        else:
            seen = await self._look_for_rewrite(upstream, seen)
            await self._choose(upstream, tip)
        self._read = (upstream, tip, seen, branch, self._unreachable)

    async def _fetch(self, now: bool) -> None:
        if self._clock is not None:
            at = self._clock.monotonic()
            if not now and self._fetched is not None and at - self._fetched < LOOK_THERE:
                return
            self._fetched = at
        try:
            await self._repo.fetch(self.remote, self.branch)
            self._unreachable = ""
        except RemoteError as error:
            self._unreachable = str(error)

    async def _refs(self) -> tuple[str | None, str | None, str | None, str | None]:
        """Upstream, the line, upstream as it was seen, the branch: at one moment, by one git."""
        names = (self._head, self.ref, self._seen, self._local)
        found = await self._repo.read_refs(*dict.fromkeys(names))
        return found.get(names[0]), found.get(names[1]), found.get(names[2]), found.get(names[3])

    async def _begin(self, upstream: str | None) -> str:
        if upstream is None and self._unreachable:
            raise RemoteError(self._unreachable, safe="Nothing was changed.")
        if upstream is None:
            hint = f"git push {self.remote} {self.branch}" if self.remote else ""
            raise RepositoryUnfit(
                f"there is no branch {self.place}",
                safe="Nothing was changed.",
                hint=hint or f"git branch {self.branch}",
            )
        await self._repo.cas_ref(self.ref, upstream, None)
        point("line.begun")
        return upstream

    def _upstream_is_gone(self, tip: str) -> None:
        self.base, self.diverged = tip, False
        if self.remote and self._unreachable:
            self.rewritten = ""  # never fetched yet: nobody knows
            return
        again = f"git push {self.remote} {self.ref}:{self._local}"
        self.rewritten = (
            f"the branch {self.place} is gone; what has landed is on {self.ref}: "
            f"{again if self.remote else f'git branch {self.branch} {self.ref}'}"
        )
        self.followed = Followed(behind=0, why=self.rewritten)

    async def _look_for_rewrite(self, upstream: str, seen: str | None) -> str | None:
        if seen is None and self.remote:
            # The first time with this remote: what has landed without it must be there.
            if self.tip and not await self._repo.is_ancestor(self.tip, upstream):
                self.rewritten = (
                    f"{self.place} lacks what has landed here: "
                    f"git push {self.remote} {self.ref}:{self._local}; "
                    "oya sync takes it as it is now"
                )
                return seen
        elif seen is not None and not await self._repo.is_ancestor(seen, upstream):
            self.rewritten = (
                f"{self.place} was rewritten: it no longer contains {seen[:_SHORT]}, which oya "
                "last saw there; oya sync takes it as it is now"
            )
            return seen
        self.rewritten = ""
        if seen != upstream:
            await self._repo.cas_ref(self._seen, upstream, seen)
            point("line.seen")
        return upstream

    async def _choose(self, upstream: str, tip: str) -> None:
        self.diverged = False
        if self.remote:
            self.base = tip if self.rewritten else upstream
        elif upstream == tip or await self._repo.is_ancestor(upstream, tip):
            self.base = tip
        elif await self._repo.is_ancestor(tip, upstream):
            self.base = upstream
        else:
            self.base, self.diverged = tip, True
        if not self.diverged:
            self._left_out, self.left_out = None, ""

    # Landing ------------------------------------------------------------------------------

    async def advance(self, candidate: str) -> bool:
        """Land `candidate`, which stands on `base`: True when it has landed.

        Without a remote the line moves there, if it still is where it was read. With one the
        candidate is pushed, once, and the remote read back. False: somebody was faster, or the
        remote refuses, which `trouble` says then. `PushUnsure`: whether the push has arrived, or
        will, is not known; until it is, no other candidate may be pushed, and the same may be.
        """
        if self.remote:
            return await self._push(candidate)
        if not await self._repo.cas_ref(self.ref, candidate, self.tip):
            return False
        self.tip = self.base = candidate
        return True

    async def _push(self, candidate: str) -> bool:
        expected = self._upstream
        pushed = await self._repo.push(self.remote, candidate, self.branch, expected)
        self._fetched = None
        try:
            tip = await self._repo.fetch(self.remote, self.branch)
        except RemoteError as error:
            self._unreachable = pushed.reason or str(error)
            raise PushUnsure(
                self._unreachable, safe="It is looked for before anything else."
            ) from (error)
        arrived = tip is not None and await self._repo.is_ancestor(candidate, tip)
        self._unreachable = self._refused = ""
        if tip is not None and arrived:
            point("line.pushed")
            await self._arrived(candidate, tip)
            return True
        if tip == expected and pushed.end in (PushEnd.UNREACHABLE, PushEnd.OK):
            self._unreachable = pushed.reason or f"{self.place} lacks what was just pushed"
            raise PushUnsure(self._unreachable, safe="The same commit can be pushed again.")
        if tip == expected or pushed.end is PushEnd.REFUSED:
            self._refused = f"{self.remote} refuses: {pushed.reason}"
        return False

    async def _arrived(self, candidate: str, tip: str) -> None:
        await self._repo.cas_ref(self.ref, candidate, self.tip)
        seen = await self._repo.read_ref(self._seen)
        await self._repo.cas_ref(self._seen, tip, seen)
        self.tip, self.base, self._upstream = candidate, tip, tip

    # The user's own commits ---------------------------------------------------------------

    @property
    def wants_merge(self) -> bool:
        """Whether the branch has commits that the line lacks, and that were not left out yet."""
        both = (self._upstream, self.tip)
        return self.diverged and not self.rewritten and self._left_out != both

    async def merge(self, tracker: str = PATH) -> Merge:
        """The merge of the branch into the line, for when both have moved on; nothing moves.

        To be proven like any candidate, and landed by `advance`; or `leave_out`. It is by the
        user, and the tracker's file is merged by bead.
        """
        assert self.tip is not None and self._upstream is not None
        parents = (self.tip, self._upstream)
        merged = await merge_commits(self._repo, *parents, tracker, landed=self.tip)
        if not merged.clean:
            return Merge(None, parents, merged.conflicts)
        helped = "".join(f"Merged with help: {how}.\n" for how in merged.helped)
        words = f"Merge {self.branch}\n\nCommits that did not go through oya.\n{helped}"
        return Merge(await self._repo.commit_tree(merged.tree, parents, words), parents)

    def leave_out(self, merge: Merge, why: str) -> None:
        """The line goes on without the branch's commits until either side moves again."""
        self._left_out = (merge.parents[1], merge.parents[0])
        self.left_out = why

    # Reverts ------------------------------------------------------------------------------

    async def news(self) -> list[Said] | None:
        """The commits that came to upstream since `news_dealt_with`, newest first; None: none.

        At most the newest `NEWS`.
        """
        upstream = self._upstream
        if upstream is None or self.rewritten:
            return None
        told = await self._repo.read_ref(self._told)
        if told is None:  # what was there before oya looks is no news
            await self._repo.cas_ref(self._told, self.tip or upstream, None)
            told = self.tip or upstream
        if told == upstream:
            return None
        return await self._repo.messages(told, upstream, NEWS)

    async def news_dealt_with(self) -> None:
        """What `news` gave is no news any more."""
        if self._upstream is not None:
            await self._repo.set_ref(self._told, self._upstream)

    # The checkout -------------------------------------------------------------------------

    async def follow(self, *, asked: bool = False) -> Followed:
        """Let the checkout follow where it is clean; otherwise say why it stays.

        `asked`: by a person, so also where `[landing] follow` is off.
        """
        if self.tip is None or self.rewritten:
            return self.followed
        if not self.remote and await self._repo.read_ref(self._local) != self._branch:
            return self.followed  # just moved by the user, who may have taken something back
        if not (self._follows or asked):
            self.followed = await self._stay(self.tip)
            return self.followed
        self.followed = await self._follow(self.branch, self.tip)
        if self.remote and self.followed.behind and await self._has_own(self.tip):
            why = f"{self.branch} has commits that are not on {self.place}: git pull --rebase"
            self.followed = Followed(self.followed.behind, why)
        if self.followed.moved:
            self._branch = self.tip
            if not self.remote:
                self._upstream = self.tip
                seen = await self._repo.read_ref(self._seen)
                await self._repo.cas_ref(self._seen, self.tip, seen)
        return self.followed

    async def _has_own(self, tip: str) -> bool:
        branch = await self._repo.read_ref(self._local)
        return branch is not None and not await self._repo.is_ancestor(branch, tip)

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
        upstream, before = self._upstream, self.tip
        if upstream is None:
            return None
        seen = await self._repo.read_ref(self._seen)
        await self._repo.cas_ref(self.ref, upstream, before)
        await self._repo.cas_ref(self._seen, upstream, seen)
        await self._repo.set_ref(self._told, upstream)
        await self.refresh()
        return before


async def whereabouts(repo: Repository, intent: Mapping[str, Any]) -> Whereabouts:
    """What has become of a durable intent: landed, still open, or never to land.

    The intent has `candidate`, `parent`, `line`, and of a landing on a remote `remote` and
    `branch`. With a remote, a landing that has arrived there is made known to the line; one that
    is `OPEN` may have been lost on its way or be under way still: only its own candidate may be
    pushed then. `RemoteError`: the remote cannot be read, so that nobody knows.
    """
    candidate = await repo.resolve(intent["candidate"])
    tip = await repo.read_ref(intent["line"])
    if candidate is None:
        return Whereabouts.LOST
    if tip and await repo.is_ancestor(candidate, tip):
        return Whereabouts.LANDED
    if not (remote := intent.get("remote")):
        return Whereabouts.LOST
    there = await repo.fetch(remote, intent["branch"])
    if there and await repo.is_ancestor(candidate, there):
        await repo.cas_ref(intent["line"], candidate, tip)
        return Whereabouts.LANDED
    return Whereabouts.OPEN if there == intent["parent"] else Whereabouts.LOST
