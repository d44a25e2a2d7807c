"""The work that there is, kept in order as beads change: no question looks at all of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import heapify, heappop, heappush

from oya.beads.order import Rank
from oya.lifecycle.model import BeadState, Phase, Role, Status
from oya.store.beads import BeadStore
from oya.swarm.board import Board

_STALE = 64
"""Entries of a queue that may be out of date before it is cleaned up, beside as many again."""


class Queue:
    """Beads by rank. The first is at hand; putting and dropping cost O(log n), amortized."""

    def __init__(self) -> None:
        self._ranks: dict[str, Rank] = {}
        self._heap: list[Rank] = []  # every rank in `_ranks`, and some that are out of date

    def __len__(self) -> int:
        return len(self._ranks)

    def __iter__(self) -> Iterator[str]:
        """All of them in order, for as long as nothing changes."""
        heap = list(self._ranks.values())
        heapify(heap)
        while heap:
            yield heappop(heap)[-1]

    @property
    def first(self) -> Rank | None:
        """The lowest rank."""
        heap, ranks = self._heap, self._ranks
        while heap and ranks.get(heap[0][-1]) is not heap[0]:
            heappop(heap)
        return heap[0] if heap else None

    def put(self, rank: Rank) -> None:
        """Take in the bead of that rank, or let it stand there from now on."""
        if self._ranks.get(rank[-1]) == rank:
            return
        self._ranks[rank[-1]] = rank
        heappush(self._heap, rank)
        if len(self._heap) > 2 * len(self._ranks) + _STALE:
            self._heap = list(self._ranks.values())
            heapify(self._heap)

    def drop(self, bead: str) -> None:
        """Forget a bead."""
        self._ranks.pop(bead, None)


class Work:
    """What the beads of one swarm wait for, as the store's head and the board have it.

    `only`: the beads that the swarm may work on, if any are named. `in_flight` counts those
    in flight; `attempts` are those that somebody works on, in the order of their claims;
    `landing` are those that are being landed.
    """

    def __init__(self, beads: BeadStore, board: Board, only: frozenset[str] = frozenset()) -> None:
        self._beads = beads
        self._board = board
        self._only = only
        self._reviewed = Queue()
        # Those that were claimed before come apart: at the target nothing new may begin.
        self._claimable = {(role, known): Queue() for role in Role for known in (True, False)}
        self.in_flight = 0
        self.attempts: dict[str, None] = {}
        self.landing: dict[str, None] = {}
        for state in beads.all().values():
            self._changed(None, state)
        beads.watch(self._changed)
        board.on_change(self._ranked_anew)

    def next(self, role: Role, *, new: bool) -> str | None:
        """The first bead that an agent of that role may claim; one never claimed only if `new`."""
        known = self._claimable[role, True].first
        fresh = self._claimable[role, False].first if new else None
        first = min(filter(None, (known, fresh)), default=None)
        return None if first is None else first[-1]

    def take(self, role: Role, *, new: bool) -> str | None:
        """The same, and nobody else is told of it until it is given back, or changes."""
        bead = self.next(role, new=new)
        if bead is not None:
            for known in (True, False):
                self._claimable[role, known].drop(bead)
        return bead

    def give_back(self, bead: str) -> None:
        """Whatever became of a bead that was taken: it is where its state says."""
        self._ranked_anew((bead,))

    def wants(self, *, new: bool = True) -> tuple[Role, ...]:
        """The roles for which a bead is claimable; one never claimed only if `new`."""
        return tuple(role for role in Role if self.next(role, new=new) is not None)

    def reviewed(self) -> Iterator[str]:
        """The beads that may land, in order, for as long as nothing changes."""
        return iter(self._reviewed)

    def can_move(self, *, new: bool) -> bool:
        """Whether anything can go on without a person; `new`: what was never claimed counts."""
        if self.attempts or self.landing or self._reviewed:
            return True
        return bool(self.wants(new=new))

    def _changed(self, before: BeadState | None, after: BeadState) -> None:
        bead = after.id
        if self._only and bead not in self._only:
            return
        self.in_flight += after.in_flight - (before is not None and before.in_flight)
        is_landing, works = after.phase is Phase.LANDING, after.status is Status.IN_PROGRESS
        _mark(self.attempts, bead, works and not is_landing)
        _mark(self.landing, bead, works and is_landing)
        was, queue = None if before is None else self._queue(before), self._queue(after)
        if was is not None and was is not queue:
            was.drop(bead)
        if queue is not None:
            queue.put(self._board.rank(bead))

    def _queue(self, state: BeadState) -> Queue | None:
        if state.status is not Status.PENDING or state.blocked:
            return None
        if state.phase is Phase.LANDING:
            return self._reviewed
        return None if state.role is None else self._claimable[state.role, state.epoch > 0]

    def _ranked_anew(self, beads: Sequence[str]) -> None:
        for bead in beads:
            state = self._beads.get(bead)
            if state is None or (self._only and bead not in self._only):
                continue
            queue = self._queue(state)
            if queue is not None:
                queue.put(self._board.rank(bead))


def _mark(marked: dict[str, None], bead: str, holds: bool) -> None:
    if holds:
        marked.setdefault(bead)
    else:
        marked.pop(bead, None)
