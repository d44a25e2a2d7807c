"""A bead that is not looked at has nothing to say: what may have changed is always touched."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from swarm_kit import issue, needs

from lifecycle_kit import some_event
from oya.beads.model import bead_from
from oya.beads.where import parse_where
from oya.clock import LoopClock, stamp
from oya.errors import RefusedError
from oya.lifecycle import events as e
from oya.lifecycle.model import Limits
from oya.store import Store
from oya.swarm.board import Board
from oya.swarm.differences import Differences
from oya.testing.beside import SimulatedBeside
from oya.testing.engine import Disk, SimulatedEngine
from oya.testing.loop import run_virtual

BEADS = [f"b-{number}" for number in range(8)]
LIMITS = Limits()
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)


class Clock(LoopClock):
    """One that is also put on, and back, by hand."""

    ahead = timedelta()

    def now(self) -> datetime:
        return super().now() + self.ahead


class Backlog:
    """A tracker's file that people change at random."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.issues = {bead: issue(bead) for bead in BEADS}

    def change(self) -> None:
        for _ in range(self._random.randint(0, 3)):
            bead = self._random.choice(BEADS)
            if self._random.random() < 0.2:
                self.issues.pop(bead, None)
                continue
            self.issues[bead] = issue(bead, **self._fields())

    def _fields(self) -> dict[str, Any]:
        random, fields = self._random, {}
        fields["title"] = random.choice(["one", "two"])
        fields["status"] = random.choice(["open", "open", "open", "closed", "deferred"])
        if random.random() < 0.5:
            fields["dependencies"] = needs(random.choice(BEADS))
        if random.random() < 0.4:
            parent = {"depends_on_id": random.choice(BEADS), "type": "parent-child"}
            fields.setdefault("dependencies", []).append(parent)
        if random.random() < 0.3:
            fields["defer_until"] = stamp(BEGAN + timedelta(hours=random.randint(0, 9)))
        return fields


@pytest.mark.parametrize("seed", range(8))
def test_what_is_not_touched_is_as_the_tracker_says(seed: int, tmp_path: Path) -> None:
    async def live() -> None:
        disk, clock, random = Disk(), Clock(), Random(seed)
        opened = Store.open(
            SimulatedBeside(disk), clock=clock, engine=lambda _: SimulatedEngine(disk)
        )
        async with aclosing(await opened) as store:
            board, backlog = Board(), Backlog(random)
            parts: Any = SimpleNamespace(board=board, store=store, clock=clock)
            differences = Differences(parts, parse_where(""))
            for _ in range(80):
                if random.random() < 0.3:
                    backlog.change()
                board.set(bead_from(one) for one in backlog.issues.values())
                differences.looked()
                clock.ahead = timedelta(hours=random.randint(0, 9))
                await asyncio.gather(*(work(store, random) for _ in range(6)))
                await look(store, board, differences, random)

    run_virtual(live)


async def work(store: Store, random: Random) -> None:
    """Something happens to a bead that nobody in the tracker asked for."""
    state = store.beads.get(random.choice(BEADS))
    event = state and some_event(state, random)
    if state is not None and event is not None:
        with suppress(RefusedError):
            await store.beads.apply(state.id, event, swarm=None, limits=LIMITS)


async def look(store: Store, board: Board, differences: Differences, random: Random) -> None:
    touched = differences.touched()
    for bead in BEADS:
        if bead in touched:
            continue
        state = store.beads.get(bead)
        if bead in board.beads:
            assert list(differences.of(bead)) == []
        else:
            assert state is None or state.status in ("removed", "complete", "held")
    for bead in touched:
        if random.random() < 0.1:
            differences.touch((bead,))
            continue
        for _, event in list(differences.of(bead)):
            try:
                await store.beads.apply(bead, event, swarm=None, limits=LIMITS)
            except RefusedError:
                assert not isinstance(event, e.Added)
                differences.touch((bead,))


def test_where_nothing_changed_nothing_is_looked_at(tmp_path: Path) -> None:
    async def live() -> None:
        disk, clock = Disk(), Clock()
        opened = Store.open(
            SimulatedBeside(disk), clock=clock, engine=lambda _: SimulatedEngine(disk)
        )
        async with aclosing(await opened) as store:
            board = Board()
            parts: Any = SimpleNamespace(board=board, store=store, clock=clock)
            differences = Differences(parts, parse_where(""))
            board.set(bead_from(issue(bead)) for bead in BEADS)
            assert differences.touched() == BEADS, "the first look is at everything"
            assert differences.touched() == []
            board.set(bead_from(issue(bead)) for bead in BEADS)
            assert differences.touched() == []
            board.set(bead_from(issue(b, priority=1 if b == "b-3" else 2)) for b in BEADS)
            assert differences.touched() == ["b-3"]

    run_virtual(live)
