"""What the index of the work says is what a look at all beads would say, whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from swarm_kit import issue

from lifecycle_kit import apply, new, some_event, states
from oya.beads.model import bead_from
from oya.beads.order import in_order
from oya.clock import LoopClock
from oya.errors import RefusedError
from oya.lifecycle import events as e
from oya.lifecycle.model import BeadState, Limits, Phase, Role, Status
from oya.store import Store
from oya.swarm.board import Board
from oya.swarm.tally import Tally
from oya.swarm.work import Queue, Work
from oya.testing.beside import SimulatedBeside
from oya.testing.engine import Disk, SimulatedEngine
from oya.testing.loop import run_virtual

LIMITS = Limits()
BEADS = [f"b-{number}" for number in range(12)]


@dataclass
class Scan:
    """The same answers, from all beads each time."""

    store: Store
    board: Board
    only: frozenset[str]

    def mine(self) -> list[BeadState]:
        states = self.store.beads.all().values()
        return [s for s in states if not self.only or s.id in self.only]

    def order(self, states: Iterator[BeadState]) -> list[str]:
        return [bead.id for bead in in_order(self.board.bead(state.id) for state in states)]

    def claimable(self, role: Role, new: bool) -> list[str]:
        ready = (s for s in self.mine() if s.status is Status.PENDING and not s.blocked)
        return self.order(s for s in ready if s.role is role and (new or s.in_flight))

    def reviewed(self) -> list[str]:
        ready = (s for s in self.mine() if s.status is Status.PENDING and not s.blocked)
        return self.order(s for s in ready if s.phase is Phase.LANDING)

    def can_move(self, new: bool) -> bool:
        under_way = any(s.status is Status.IN_PROGRESS for s in self.mine())
        return under_way or bool(self.reviewed()) or any(self.claimable(r, new) for r in Role)

    def in_progress(self) -> tuple[set[str], set[str]]:
        working = [s for s in self.mine() if s.status is Status.IN_PROGRESS]
        landing = {s.id for s in working if s.phase is Phase.LANDING}
        return {s.id for s in working} - landing, landing


@dataclass
class Life:
    """Beads of which anything may become, in any order, several at once."""

    store: Store
    random: Random
    board: Board = field(default_factory=Board)

    async def step(self) -> None:
        if self.random.random() < 0.15:
            self.read()
        many = [self.random.choice(BEADS) for _ in range(self.random.randint(1, 5))]
        await asyncio.gather(*(self.happens(bead) for bead in many))

    def read(self) -> None:
        """The tracker says something else: other priorities and ages, beads gone or new."""
        made = [
            issue(bead, priority=self.random.randint(0, 2), created_at=self.age())
            for bead in BEADS
            if self.random.random() < 0.8
        ]
        self.board.set(bead_from(one) for one in made)

    def age(self) -> str:
        return f"2026-01-0{self.random.randint(1, 3)}T00:00:00Z"

    async def happens(self, bead: str) -> None:
        state = self.store.beads.get(bead)
        event = e.Added("title") if state is None else some_event(state, self.random)
        if event is not None:
            with suppress(RefusedError):  # what came before it in the group has changed it
                await self.store.beads.apply(bead, event, swarm=None, limits=LIMITS)


def check(work: Work, scan: Scan) -> None:
    for role in Role:
        for new_too in (True, False):
            wanted = scan.claimable(role, new_too)
            assert work.next(role, new=new_too) == (wanted[0] if wanted else None)
    assert list(work.wants()) == [role for role in Role if scan.claimable(role, True)]
    assert list(work.reviewed()) == scan.reviewed()
    assert work.in_flight == sum(s.in_flight for s in scan.mine())
    assert (set(work.attempts), set(work.landing)) == scan.in_progress()
    assert [work.can_move(new=n) for n in (True, False)] == [
        scan.can_move(n) for n in (True, False)
    ]


@pytest.mark.parametrize("only", [frozenset(), frozenset(BEADS[:3])], ids=["all", "only some"])
@pytest.mark.parametrize("seed", range(5))
def test_index_and_scan_agree_whatever_happens(
    seed: int, only: frozenset[str], tmp_path: Path
) -> None:
    async def live() -> None:
        disk = Disk()
        opened = Store.open(
            SimulatedBeside(disk), clock=LoopClock(), engine=lambda _: SimulatedEngine(disk)
        )
        async with aclosing(await opened) as store:
            life = Life(store, Random(seed))
            life.read()
            work, scan = Work(store.beads, life.board, only), Scan(store, life.board, only)
            tally = Tally.of(store.beads)
            for _ in range(80):
                await life.step()
                check(work, scan)
                # One that begins with what is there by now knows no less.
                check(Work(store.beads, life.board, only), scan)
                all_states = list(store.beads.all().values())
                for wanted in (Status.HELD, Status.PENDING, Status.FAILED):
                    assert tally.count(lambda s, w=wanted: s.status is w) == sum(
                        s.status is wanted for s in all_states
                    )

    run_virtual(live)


def test_every_state_that_there_is_counts_as_its_kind() -> None:
    made = list(states().values())
    tally = Tally(made)
    for name in ("workable", "in_flight", "where"):
        there = [getattr(state, name) for state in made if not state.checking]
        for value in dict.fromkeys(there):
            counted = tally.count(lambda s, n=name, v=value: getattr(s, n) == v)
            assert counted == sum(getattr(replace(s, checking=False), name) == value for s in made)


class Beads:
    """A store's beads, without the store."""

    def __init__(self, *made: BeadState) -> None:
        self.states = {state.id: state for state in made}

    def all(self) -> dict[str, BeadState]:
        return self.states

    def get(self, bead: str) -> BeadState | None:
        return self.states.get(bead)

    def watch(self, watcher: Any) -> None:
        self.watcher = watcher

    def move(self, bead: str, *events: Any) -> None:
        before = self.states[bead]
        self.states[bead] = apply(before, *events)
        self.watcher(before, self.states[bead])


def test_what_is_taken_is_not_told_again_until_it_is_given_back() -> None:
    beads = Beads(new("a"), new("b"))
    work = Work(beads, Board())  # type: ignore[arg-type]
    assert [work.take(Role.TEST_WRITER, new=True) for _ in range(3)] == ["a", "b", None]
    beads.move("a", e.Claimed("agent-1", "codex", "base"))
    work.give_back("a")
    work.give_back("b")
    assert work.next(Role.TEST_WRITER, new=True) == "b"


def test_a_queue_that_is_stirred_does_not_grow() -> None:
    queue, board = Queue(), Board()
    for turn in range(5000):
        board.set([bead_from(issue(f"b-{n}", priority=(turn + n) % 5)) for n in range(3)])
        for n in range(3):
            queue.put(board.rank(f"b-{n}"))
        queue.drop(f"b-{turn % 3}")
    assert len(queue._heap) < 100
    assert list(queue) == board.order(queue._ranks)
