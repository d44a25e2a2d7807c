"""Many seeds, on all cores, and what they have found."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field

from oya.daemon.process import collect_less
from oya.testing.simulation.check import play
from oya.testing.simulation.plan import draw

AT_ONCE = 25
"""Seeds that a worker is given at a time."""


@dataclass
class Found:
    """What some seeds came to. `seconds` are those of the processor, for runs and checks."""

    seeds: int = 0
    seconds: float = 0.0
    broken: dict[int, list[str]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    crashed_at: Counter[str] = field(default_factory=Counter)

    def add(self, other: Found) -> None:
        """All of the other, too."""
        self.seeds += other.seeds
        self.seconds += other.seconds
        self.broken |= other.broken
        self.counts += other.counts
        self.faults += other.faults
        self.crashed_at += other.crashed_at


def one(seed: int, found: Found) -> None:
    """Run one seed, check it, and add what it came to; whatever happens, nothing is raised."""
    began = time.process_time()
    ran, broken = play(draw(seed))
    found.seconds += time.process_time() - began
    found.seeds += 1
    if broken:
        found.broken[seed] = [str(breach) for breach in broken]
    if ran is None:
        return
    world = ran.world
    died = sum(1 for fate in world.fates if fate.startswith("died"))
    landed = sum(1 for row in world.rows("beads") if row["state"].get("phase") == "landed")
    events = ran.events.count(b"\n")
    found.counts += Counter(lives=world.lives, crashes=died, landed=landed, events=events)
    found.faults += Counter(fault.kind for fault in ran.plan.faults)
    before = "crashed before "
    found.crashed_at += Counter(
        fate.removeprefix(before) for fate in world.fates if fate.startswith(before)
    )


def some(seeds: Sequence[int]) -> Found:
    """These seeds, one after the other."""
    found = Found()
    for seed in seeds:
        one(seed, found)
    return found


def many(first: int, count: int, jobs: int = 0) -> Iterator[Found]:
    """So many seeds from the first one on, in parts as they are done, on `jobs` processes."""
    jobs = jobs or os.cpu_count() or 1
    parts = [
        range(start, min(start + AT_ONCE, first + count))
        for start in range(first, first + count, AT_ONCE)
    ]
    if jobs == 1:
        yield from map(some, parts)
        return
    with ProcessPoolExecutor(jobs, initializer=collect_less) as pool:
        yield from pool.map(some, parts)
