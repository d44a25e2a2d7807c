"""A claim among 100,000 beads against a raw commit of the engine, and the daemon's memory.

What is measured is the time from an agent's question for work to the work: first of thirteen
null agents that think for a moment, so that a claim seldom meets another one; then of agents
that do not think, for how many claims a second there can be. The raw baseline commits what
one claim writes, one commit after another, in the same process, to the same data when the
store has let go of them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scale_kit import (
    Idle,
    NullAgent,
    filled_repository,
    in_child,
    memory,
    percentile,
    running,
    swarm_in,
    use,
)

from oya.lifecycle.model import Role
from oya.store.engine import Put, Write
from oya.store.surreal import SurrealEngine

BEADS = 100_000
AGENTS = 13
LATENCY_CLAIMS = 1_000
THINK = 0.15
RATE_CLAIMS = 3_000
LIMIT_MB = 500.0

Measure = tuple[str, float, str, str, float]


def measures() -> Iterator[Measure]:
    """Claim p50 and p99 beside the raw commit's, claims per second, memory beside its limit."""
    with filled_repository(BEADS, AGENTS) as folder:
        found = in_child("claims_bench", "claims", folder)
    for percent in (50, 99):
        yield (
            f"claim p{percent}, {BEADS} beads",
            found[f"claim_{percent}"],
            "ms",
            f"raw commit p{percent}",
            found[f"raw_{percent}"],
        )
    yield f"claims, {AGENTS} agents", found["rate"], "1/s", "raw commits", found["raw_rate"]
    yield f"memory, {BEADS} beads", found["rss"], "MB", "limit", LIMIT_MB
    yield f"memory at most, {BEADS} beads", found["peak"], "MB", "limit", LIMIT_MB


async def claims(folder: Path) -> dict[str, Any]:
    """In a process of its own: figures of claims, then of raw commits."""
    use({Role.TEST_WRITER: NullAgent, Role.IMPLEMENTER: Idle, Role.REVIEWER: Idle})
    async with swarm_in(folder, seats=AGENTS) as universe:
        async with running(universe):
            NullAgent.think = THINK
            served, _ = await _served(LATENCY_CLAIMS)
            NullAgent.think = 0.0
            _, rate = await _served(RATE_CLAIMS)
            used = memory()
        row = universe.parts.store.beads.row("bench-000000")
        (event,) = await universe.parts.store.events.since(universe.parts.store.events.last - 1)
        place = universe.parts.place.state / "data"
    raw = await _raw(place, row or {}, event.to_json())
    return used | {
        "rate": rate,
        "raw_rate": len(raw) / sum(raw),
        **{f"claim_{p}": 1000 * percentile(served, p) for p in (50, 99)},
        **{f"raw_{p}": 1000 * percentile(raw, p) for p in (50, 99)},
    }


async def _served(claims: int) -> tuple[list[float], float]:
    """The times of so many claims, without those that come as all agents ask at once; the rate."""
    while len(NullAgent.served) < 2 * AGENTS:
        await asyncio.sleep(0.01)
    NullAgent.served.clear()
    began = time.perf_counter()
    while len(NullAgent.served) < claims:
        await asyncio.sleep(0.01)
    served = list(NullAgent.served)
    NullAgent.served.clear()
    return served, len(served) / (time.perf_counter() - began)


async def _raw(place: Path, bead: dict[str, Any], event: dict[str, Any]) -> list[float]:
    engine = SurrealEngine(place)
    await engine.open()
    took = []
    for number in range(LATENCY_CLAIMS):
        writes: list[Write] = [
            Put("beads", f"bench-{number:06}", bead),
            Put("events", f"{10**9 + number:016d}", event),
            Put("meta", "group", {"seq": number, "group": number}),
        ]
        began = time.perf_counter()
        await engine.commit(writes)
        took.append(time.perf_counter() - began)
    await engine.close()
    return took
