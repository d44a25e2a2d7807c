"""Accepted transitions per second through BeadStore, against raw commits of the engine.

Both write the same records with sync on, in turns of a fifth of a second, so that both meet
the same machine: the raw baseline commits, one after another, batches of as many beads with
their events as there are callers (a group of the writer takes 200 at most). Group commit
shows in the figures for 1, 13, 100 and 1,000 callers. Then beads that go through every phase,
from added to landed, by 100 callers.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from oya.clock import SystemClock
from oya.daemon.process import collect_less
from oya.lifecycle.events import (
    Added,
    AttemptFailed,
    CheckAccepted,
    Claimed,
    ContractAccepted,
    Defended,
    Event,
    ImplementationAccepted,
    Landed,
    LandingStarted,
)
from oya.lifecycle.failures import FailureClass
from oya.lifecycle.model import Limits
from oya.store import Store
from oya.store.engine import Put, Write
from oya.store.surreal import SurrealEngine
from oya.store.writer import GROUP

CALLERS = (1, 13, 100, 1000)
TURN = 0.2
TURNS = 6
LIMITS = Limits()
SHA = "0123456789abcdef" * 2 + "01234567"

Measure = tuple[str, float, str, str, float]


def measures() -> Iterator[Measure]:
    """(name, value, unit, baseline, the baseline's value) for each number of callers."""
    for callers in CALLERS:
        rate, raw = asyncio.run(_in_turns(callers))
        name = f"transitions, {callers} caller{'s' if callers > 1 else ''}"
        yield name, rate, "1/s", "raw commits of the engine", raw
    rate, raw = asyncio.run(_in_turns(100, whole=True))
    yield "beads from added to landed, 100 callers", rate, "1/s", "raw commits", raw


@asynccontextmanager
async def opened() -> AsyncIterator[tuple[Store, SurrealEngine]]:
    with tempfile.TemporaryDirectory() as place:
        store = await Store.open(Path(place) / "store", clock=SystemClock())
        engine = SurrealEngine(Path(place) / "raw")
        await engine.open()
        collect_less()  # as a daemon does
        try:
            yield store, engine
        finally:
            await engine.close()
            await store.close()


async def _in_turns(callers: int, *, whole: bool = False) -> tuple[float, float]:
    """(through the store, raw), in units a second: transitions, or `whole` beads."""
    async with opened() as (store, engine):
        work = _Beads(store, callers) if whole else _Transitions(store, callers)
        await work.begin()
        raw = _Raw(engine, min(callers, GROUP))
        for _ in range(TURNS):
            await work.turn()
            await raw.turn(await _written(store))
        units = len(_life(0)) if whole else 1
        return work.done / work.seconds, raw.done / raw.seconds / units


async def _written(store: Store) -> tuple[Put, Put]:
    """The two records of the last transition."""
    (last,) = await store.events.since(store.events.last - 1)
    (bead,) = [row async for row in store._writer.engine.scan("beads", limit=1)]
    return Put("beads", *bead), Put("events", "", last.to_json())


class _Transitions:
    """Callers of which each claims its bead, and fails, again and again."""

    def __init__(self, store: Store, callers: int) -> None:
        self.done = 0
        self.seconds = 0.0
        self._store = store
        self._epochs = {f"bench-{n}": 0 for n in range(callers)}

    async def begin(self) -> None:
        many = [(name, Added(f"title of {name}", SHA)) for name in self._epochs]
        await self._store.beads.apply_many(many, swarm=None, limits=LIMITS)

    async def turn(self) -> None:
        began = time.perf_counter()
        await asyncio.gather(*(self._caller(name, began + TURN) for name in self._epochs))
        self.seconds += time.perf_counter() - began

    async def _caller(self, bead: str, end: float) -> None:
        while time.perf_counter() < end:
            self._epochs[bead] += 1
            await self._apply(bead, Claimed("implementer-1", "codex", SHA))
            failed = FailureClass.CANCELLED
            await self._apply(bead, AttemptFailed(self._epochs[bead], failed, "bench", (), SHA))
            self.done += 2

    async def _apply(self, bead: str, event: Event) -> None:
        await self._store.beads.apply(bead, event, swarm="swarm-1", limits=LIMITS)


class _Beads(_Transitions):
    """Callers that take one new bead after the other through its whole life."""

    async def begin(self) -> None:
        """Nothing is there."""

    async def _caller(self, bead: str, end: float) -> None:
        while time.perf_counter() < end:
            self._epochs[bead] += 1
            for event in _life(self._epochs[bead]):
                await self._apply(f"{bead}-{self._epochs[bead]}", event)
            self.done += 1


def _life(n: int) -> list[Event]:
    return [
        Added(f"title {n}", SHA),
        Claimed("test_writer-1", "codex", SHA),
        ContractAccepted(1, SHA, SHA, "behaviour"),
        Claimed("planner-1", "codex", SHA),
        CheckAccepted(2),
        Claimed("implementer-1", "codex", SHA),
        ImplementationAccepted(3, SHA, SHA),
        Claimed("reviewer-1", "codex", SHA),
        Defended(4, SHA),
        LandingStarted(SHA),
        Landed(SHA),
    ]


class _Raw:
    """Commits of the engine, one after the other, of so many beads with their events."""

    def __init__(self, engine: SurrealEngine, batch: int) -> None:
        self.done = 0
        self.seconds = 0.0
        self._engine = engine
        self._batch = batch

    async def turn(self, written: tuple[Put, Put]) -> None:
        bead, event = written
        began = time.perf_counter()
        while time.perf_counter() < began + TURN:
            writes: list[Write] = []
            for n in range(self._batch):
                writes.append(Put("beads", f"bench-{n}", bead.row))
                writes.append(Put("events", f"{self.done + n:016d}", event.row))
            await self._engine.commit(writes)
            self.done += self._batch
        self.seconds += time.perf_counter() - began
