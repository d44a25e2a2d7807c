"""Slots: oya's own checkouts of exactly the tree to be judged. No agent writes there."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from oya.errors import GitError, NoSlot, OyaError
from oya.folders import is_real_folder, open_up, take_away
from oya.repository.checkout import Checkout, tags_of
from oya.repository.copies import NO_COPIES, Copies
from oya.repository.git import GitRepository
from oya.repository.kept import Kept
from oya.repository.places import Place
from oya.repository.port import Hook
from oya.repository.run import both
from oya.room import shortage

_IN_USE = "in_use"


@dataclass(frozen=True, slots=True)
class Slot:
    """A folder that holds exactly one commit; `index` is 0 … count - 1."""

    path: Path
    index: int


@dataclass(frozen=True, slots=True, order=True)
class _Waiter:
    last: bool
    number: int
    turn: asyncio.Future[int] = field(compare=False)


class Slots:
    """`count` slots, given out in the order of asking, to those who are urgent first.

    A slot's path never changes, and only files that differ between two commits are
    written. Whatever was not in the commit before is gone, ignored or not; but for folders of
    `keep` that git ignores, which are as the newest landed commit left them. Then the folder
    gets `copies`, and `prepare` is awaited with it; `cleanup` after its use, and where oya
    died in the middle of one, before the next, or by `clean_up`. Both are told `OYA_SLOT`.
    """

    def __init__(
        self,
        repo: GitRepository,
        place: Place,
        count: int,
        *,
        keep: Sequence[str] = (),
        copies: Copies = NO_COPIES,
        prepare: Hook | None = None,
        cleanup: Hook | None = None,
    ) -> None:
        self._repo = repo
        self._place = place
        self.count = count
        self._admin = place.admin / "slots"
        self._keep = keep
        self._ran: dict[int, str] = {}
        self._copies = copies
        self._prepare = prepare
        self._cleanup = cleanup
        self._free = list(range(count))
        self._holds: dict[int, str] = {}
        self._waiting: list[_Waiter] = []
        self._asked = 0

    @contextlib.asynccontextmanager
    async def checkout(
        self,
        commit: str,
        *,
        wait: float = 3600.0,
        urgent: bool = False,
        strange: bool = False,
    ) -> AsyncIterator[Slot]:
        """A slot with this commit checked out, HEAD detached at it, for as long as the block.

        `urgent` goes before all who are not. `strange`: an agent wrote what is to run there, so
        nothing that it writes is kept. `NoSlot` if none becomes free within `wait` seconds,
        `GitError` if the commit cannot be checked out.
        """
        try:
            async with asyncio.timeout(wait):
                index = await self._turn(commit, urgent)
        except TimeoutError:
            raise NoSlot(
                f"no slot became free within {wait:g} s",
                safe="Nothing was judged, so nothing was lost.",
                hint="Set [quality-gates] slots higher, or timeout lower.",
            ) from None
        try:
            checkout = self._checkout(index)
            self._holds[index] = commit
            async with self._cleaned(index):
                await self._take(checkout, commit)
                await asyncio.to_thread(self._copies.lay, checkout.folder)
                if self._prepare:
                    await self._prepare(checkout.folder, _told(index))
                yield Slot(checkout.folder, index)
                if not strange:
                    self._ran[index] = commit
        finally:
            await self._leave_room(index)
            self._give_back(index)

    async def _leave_room(self, index: int) -> None:
        """On a disk that is short nothing stays of a run: what it wrote would keep others out."""
        checkout = self._checkout(index)
        if is_real_folder(checkout.folder) and shortage(checkout.folder):
            checkout.forget_index()
            with contextlib.suppress(OyaError):
                await asyncio.to_thread(take_away, checkout.folder)

    async def clean_up(self) -> None:
        """`cleanup` for every slot whose use an earlier oya did not live to end."""
        for mark in await asyncio.to_thread(lambda: sorted(self._admin.glob(f"*/{_IN_USE}"))):
            if mark.parent.name.isdigit():
                await self._clean(mark, int(mark.parent.name))

    @contextlib.asynccontextmanager
    async def _cleaned(self, index: int) -> AsyncIterator[None]:
        if self._cleanup is None:
            yield
            return
        mark = self._admin / str(index) / _IN_USE
        if mark.exists():
            await self._clean(mark, index)
        await asyncio.to_thread(_touch, mark)
        try:
            yield
        finally:
            await self._clean(mark, index)

    async def _clean(self, mark: Path, index: int) -> None:
        folder = self._place.cache / "slots" / str(index)
        if self._cleanup and is_real_folder(folder):
            await self._cleanup(folder, _told(index))
        await asyncio.to_thread(mark.unlink, missing_ok=True)

    async def _turn(self, commit: str, urgent: bool) -> int:
        if self._free:
            held = [index for index in self._free if self._holds.get(index) == commit]
            index = held[0] if held else self._free[0]
            self._free.remove(index)
            return index
        self._asked += 1
        waiter = _Waiter(not urgent, self._asked, asyncio.get_running_loop().create_future())
        heapq.heappush(self._waiting, waiter)
        try:
            return await waiter.turn
        except asyncio.CancelledError:
            if waiter.turn.done() and not waiter.turn.cancelled():
                self._give_back(waiter.turn.result())
            raise

    def _give_back(self, index: int) -> None:
        while self._waiting:
            waiter = heapq.heappop(self._waiting)
            if not waiter.turn.done():
                waiter.turn.set_result(index)
                return
        self._free.append(index)

    async def _take(self, checkout: Checkout, commit: str) -> None:
        try:
            await self._fill(checkout, commit)
        except (GitError, OSError):
            # Whatever the last gate did to the folder, a new one is a way out.
            await asyncio.to_thread(open_up, checkout.folder)
            await asyncio.to_thread(take_away, checkout.folder)
            checkout.forget_index()
            await self._fill(checkout, commit)

    async def _fill(self, checkout: Checkout, commit: str) -> None:
        await asyncio.to_thread(checkout.make_usable)
        kept = await self._settle(checkout)
        tags, _ = await both(tags_of(self._repo), checkout.clean(kept))
        await checkout.fill(commit)
        ignored = await checkout.ignored(kept)
        if len(ignored) < len(kept):
            await checkout.clean(ignored)
        await asyncio.to_thread(checkout.lay_git, commit, None, tags)

    async def _settle(self, checkout: Checkout) -> list[str]:
        """The paths that are kept there, sound by now whatever has run."""
        index = int(checkout.folder.name)
        kept = Kept(checkout.folder, self._admin / str(index) / "kept", self._keep)
        ran = self._ran.pop(index, None)
        if not await asyncio.to_thread(lambda: kept.there):
            return []
        landed = ran is not None and await self._has_landed(ran)
        return await asyncio.to_thread(kept.settle, landed=landed)

    async def _has_landed(self, commit: str) -> bool:
        """Whether it is in a line by now: that a candidate lands comes after its gates."""
        try:
            args = ("for-each-ref", "--count=1", "--contains", commit, "refs/oya/line")
            return bool((await self._repo.git(*args)).text)
        except GitError:
            return False

    def _checkout(self, index: int) -> Checkout:
        folder = self._place.cache / "slots" / str(index)
        return Checkout(self._repo, folder, self._admin / str(index))


def _told(index: int) -> dict[str, str]:
    return {"OYA_SLOT": str(index)}


def _touch(mark: Path) -> None:
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()
