"""Null agents in a whole swarm, all phases: how long a thousand of them hold the event loop up,
and how fast 3 to 999 of them are that do not think at all.

Store, tracker, supervision and messages are the real ones, and the store is on disk with sync
on; a null lander lands what was reviewed. The thousand think for five seconds on average. Where
nobody thinks, the baseline is the engine alone, in the same process: commits, one after the
other, of as many beads with their events as the swarm had in a commit.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
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
from oya.daemon.process import collect_less
from oya.lifecycle import events as e
from oya.lifecycle.model import Role, Status
from oya.store.engine import Put, Row, Write
from oya.store.head import event_key
from oya.store.surreal import SurrealEngine
from oya.swarm import universe as universes
from oya.swarm.assembly import Parts
from oya.swarm.messages import LookForReviewed
from oya.swarm.universe import Universe
from oya.swarm.work import Work

BEADS = 5_000
AGENTS = 333
"""Of each role, of which there are three."""
RATES = (1, 4, 33, AGENTS)
THINK = 5.0
SECONDS = 15.0
RATE_SECONDS = 4.0
TICK = 0.005
ROLES = (Role.TEST_WRITER, Role.IMPLEMENTER, Role.REVIEWER)

Measure = tuple[str, float, str, str, float]


def measures() -> Iterator[Measure]:
    """Memory and lag beside their limits, and what was accepted meanwhile; then the rates."""
    with filled_repository(BEADS, 1) as folder:
        found = in_child("agents_bench", "agents", folder)
    agents = AGENTS * len(ROLES)
    wanted = agents / THINK * (2 + 2 / 3)  # a claim and an end each, and two for each landing
    yield f"memory, {agents} agents", found["peak"], "MB", "limit", 300.0
    yield f"loop lag p99, {agents} agents", found["lag_99"], "ms", "limit", 50.0
    yield f"loop lag p50, {agents} agents", found["lag_50"], "ms", "limit", 50.0
    yield f"transitions, {agents} agents", found["rate"], "1/s", "if nothing waited", wanted
    for each in RATES:
        with filled_repository(BEADS, 1) as folder:
            found = in_child("agents_bench", f"rate_{each}", folder)
        name = f"swarm of {each * len(ROLES)} that do not think"
        raw = f"raw commits of {found['batch']:.1f} beads"
        yield f"{name}: transitions", found["rate"], "1/s", raw, found["raw"]
        yield f"{name}: beads landed", found["beads"], "1/s", "limit", 100.0


async def agents(folder: Path) -> dict[str, Any]:
    """In a process of its own: `SECONDS` of a swarm that is under way."""
    async with _under_way(folder, AGENTS, THINK) as universe:
        store = universe.parts.store
        before, began = store.events.last, time.perf_counter()
        lags = await _lags(SECONDS)
        rate = (store.events.last - before) / (time.perf_counter() - began)
        found = memory()
    lag = {f"lag_{p}": 1000 * percentile(lags, p) for p in (50, 99)}
    return found | lag | {"rate": rate}


async def _rate(folder: Path, each: int) -> dict[str, Any]:
    """Transitions and landed beads a second, and what the engine alone does with such commits."""
    async with _under_way(folder, each, 0.0) as universe:
        parts, head = universe.parts, universe.parts.store._writer.head
        seq, group, landed = head.seq, head.group, _landed(parts)
        began = time.perf_counter()
        await asyncio.sleep(RATE_SECONDS)
        seconds = time.perf_counter() - began
        events, groups, landed = head.seq - seq, head.group - group, _landed(parts) - landed
        (last,) = await parts.store.events.since(parts.store.events.last - 1)
        row = parts.store.beads.row("bench-000000") or {}
        raw = await _raw(folder.parent / "raw", events / groups, row, last.to_json())
    return {
        "rate": events / seconds,
        "beads": landed / seconds,
        "batch": events / groups,
        "raw": raw,
    }


vars().update({f"rate_{each}": partial(_rate, each=each) for each in RATES})


async def _raw(place: Path, batch: float, bead: Row, event: Row) -> float:
    """Beads with an event each that the engine takes in a second, in commits of that size."""
    engine = SurrealEngine(place)
    await engine.open()
    done, commits, began = 0, 0, time.perf_counter()
    while (seconds := time.perf_counter() - began) < RATE_SECONDS / 2:
        commits += 1
        writes: list[Write] = [Put("meta", "group", {"group": commits})]
        for number in range(done, int(commits * batch)):
            writes += Put("beads", f"{number}", bead), Put("events", event_key(number), event)
        done = int(commits * batch)
        await engine.commit(writes)
    await engine.close()
    return done / seconds


@asynccontextmanager
async def _under_way(folder: Path, each: int, think: float) -> AsyncIterator[Universe]:
    """A swarm with so many agents of each role, in which some beads have landed."""
    NullAgent.think = think
    use(dict.fromkeys(ROLES, NullAgent))
    vars(universes)["LanderActor"] = NullLander
    async with swarm_in(folder, seats=2 * len(ROLES) * each) as universe:
        collect_less()  # as a daemon does
        async with running(universe):
            while not NullAgent.served:
                await asyncio.sleep(0.01)
            await universe.set({f"{role}s": str(each) for role in ROLES})
            while _landed(universe.parts) < min(100, 10 * each):
                await asyncio.sleep(0.05)
            yield universe


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
