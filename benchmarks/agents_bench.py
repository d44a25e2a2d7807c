"""A thousand null agents on real time, all phases: memory and how long the event loop is held up.

An attempt thinks for five seconds on average. Store, tracker, supervision and messages are the
real ones, and the store is on disk with sync on; a null lander lands what was reviewed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from scale_kit import (
    COMMIT,
    NullAgent,
    filled_repository,
    in_child,
    memory,
    percentile,
    running,
    swarm_in,
    use,
)

from oya.actors import Actor
from oya.lifecycle import events as e
from oya.lifecycle.model import Role, Status
from oya.swarm import universe as universes
from oya.swarm.assembly import Parts
from oya.swarm.messages import LookForReviewed
from oya.swarm.work import Work

BEADS = 5_000
AGENTS = {"test_writers": 334, "implementers": 333, "reviewers": 333}
THINK = 5.0
SECONDS = 15.0
TICK = 0.005

Measure = tuple[str, float, str, str, float]


def measures() -> Iterator[Measure]:
    """Memory and lag beside their limits, and what was accepted meanwhile."""
    with filled_repository(BEADS, 1) as folder:
        found = in_child("agents_bench", "agents", folder)
    agents = sum(AGENTS.values())
    wanted = agents / THINK * (2 + 2 / 3)  # a claim and an end each, and two for each landing
    yield f"memory, {agents} agents", found["peak"], "MB", "limit", 300.0
    yield f"loop lag p99, {agents} agents", found["lag_99"], "ms", "limit", 50.0
    yield f"loop lag p50, {agents} agents", found["lag_50"], "ms", "limit", 50.0
    yield f"transitions, {agents} agents", found["rate"], "1/s", "if nothing waited", wanted


async def agents(folder: Path) -> dict[str, Any]:
    """In a process of its own: `SECONDS` of a swarm that is under way."""
    NullAgent.think = THINK
    use(dict.fromkeys((Role.TEST_WRITER, Role.IMPLEMENTER, Role.REVIEWER), NullAgent))
    vars(universes)["LanderActor"] = NullLander
    async with swarm_in(folder, seats=2 * sum(AGENTS.values())) as universe:
        store = universe.parts.store
        async with running(universe):
            while not NullAgent.served:
                await asyncio.sleep(0.01)
            await universe.set({name: str(count) for name, count in AGENTS.items()})
            while _landed(universe.parts) < 100:
                await asyncio.sleep(0.1)
            before, began = store.events.last, time.perf_counter()
            lags = await _lags(SECONDS)
            rate = (store.events.last - before) / (time.perf_counter() - began)
            found = memory()
    lag = {f"lag_{p}": 1000 * percentile(lags, p) for p in (50, 99)}
    return found | lag | {"rate": rate}


def _landed(parts: Parts) -> int:
    swarm = parts.store.swarms.get(parts.swarm)
    return swarm.landed_beads if swarm else 0


async def _lags(seconds: float) -> list[float]:
    """By how much a sleep was longer than it should be, again and again."""
    lags = []
    end = time.perf_counter() + seconds
    while (began := time.perf_counter()) < end:
        await asyncio.sleep(TICK)
        lags.append(max(0.0, time.perf_counter() - began - TICK))
    return lags


class NullLander(Actor[Any]):
    """Lands whatever was reviewed, all at once."""

    def __init__(self, parts: Parts, line: Any, tracking: Any, orchestrator: Any, work: Work):
        self._parts = parts
        self._work = work

    async def pre_start(self) -> None:
        self.send_every(0.2, LookForReviewed())

    async def handle(self, message: Any) -> None:
        await asyncio.gather(*(self._land(bead) for bead in self._work.reviewed()))

    async def _land(self, bead: str) -> None:
        state = self._parts.store.beads.get(bead)
        if state is None or state.status is not Status.PENDING:
            return
        await self._parts.apply(bead, e.LandingStarted(COMMIT))
        await self._parts.apply(
            bead,
            e.Landed(COMMIT),
            on_swarm=lambda s: replace(s, landed_beads=s.landed_beads + 1),
        )
