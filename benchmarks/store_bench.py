"""Accepted transitions per second through BeadStore, against raw commits of the engine.

Both write the same records with sync on: the raw baseline commits, one after another,
batches of as many beads with their events as there are callers.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

from oya.clock import SystemClock
from oya.lifecycle.events import Added, AttemptFailed, Claimed
from oya.lifecycle.failures import FailureClass
from oya.lifecycle.model import Limits
from oya.store import Store
from oya.store.engine import Put, Row, Write
from oya.store.surreal import SurrealEngine

CALLERS = (1, 13, 100)
SECONDS = 1.0

Measure = tuple[str, float, str, str, float]


def measures() -> Iterator[Measure]:
    """(name, value, unit, baseline, the baseline's value) for each number of callers."""
    for callers in CALLERS:
        rate, rows = _in_directory(lambda place, n=callers: _through_store(place, n))
        raw, _ = _in_directory(lambda place, n=callers, r=rows: _raw(place, n, r))
        name = f"transitions, {callers} caller{'s' if callers > 1 else ''}"
        yield name, rate, "1/s", "raw commits of the engine", raw


def _in_directory(work: Any) -> Any:
    async def run() -> Any:
        with tempfile.TemporaryDirectory() as place:
            coroutine: Coroutine[Any, Any, Any] = work(Path(place))
            return await coroutine

    return asyncio.run(run())


async def _through_store(place: Path, callers: int) -> tuple[float, tuple[Row, Row]]:
    store = await Store.open(place, clock=SystemClock())
    limits = Limits()
    accepted = 0

    async def caller(bead: str, end: float) -> None:
        nonlocal accepted
        epoch = 0
        while time.perf_counter() < end:
            epoch += 1
            claim = Claimed("implementer-1", "codex", "0" * 40)
            await store.beads.apply(bead, claim, swarm="swarm-1", limits=limits)
            over = AttemptFailed(epoch, FailureClass.CANCELLED, "benchmark", (), "0" * 40)
            await store.beads.apply(bead, over, swarm="swarm-1", limits=limits)
            accepted += 2

    names = [f"bench-{n}" for n in range(callers)]
    await store.beads.apply_many(
        [(name, Added(f"title of {name}")) for name in names], swarm=None, limits=limits
    )
    started = time.perf_counter()
    await asyncio.gather(*(caller(name, started + SECONDS) for name in names))
    rate = accepted / (time.perf_counter() - started)
    (last,) = await store.events.since(store.events.last - 1)
    row = store.beads.row(names[0])
    assert row is not None
    await store.close()
    return rate, (row, last.to_json())


async def _raw(place: Path, batch: int, rows: tuple[Row, Row]) -> tuple[float, None]:
    engine = SurrealEngine(place / "data")
    await engine.open()
    bead, event = rows
    done = 0
    started = time.perf_counter()
    while time.perf_counter() < started + SECONDS:
        writes: list[Write] = []
        for n in range(batch):
            writes.append(Put("beads", f"bench-{n}", bead))
            writes.append(Put("events", f"{done + n:016d}", event))
        await engine.commit(writes)
        done += batch
    rate = done / (time.perf_counter() - started)
    await engine.close()
    return rate, None


if __name__ == "__main__":
    for name, value, unit, baseline, other in measures():
        print(f"{name}: {value:,.0f} {unit}; {baseline}: {other:,.0f}; {value / other:.2f}")
