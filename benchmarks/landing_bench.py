"""What the landing queue costs and saves: 25 reviewed beads, some of them red, gates of 1 s.

The real queue, on simulated git, store and slots in virtual time, so that the figures are exact
and the same on every machine. Each way of landing gets the same beads. A bead is red
independently of the others, and no report says which. The base's own run is counted.
"""

from __future__ import annotations

import asyncio
import random
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from unittest import mock

from oya.lifecycle import events as e
from oya.lifecycle import queue
from oya.lifecycle.swarm import SwarmState, SwarmStatus, move
from oya.store.engine import Put
from oya.store.store import Store
from oya.swarm.assembly import Parts
from oya.swarm.config import QualityGates
from oya.swarm.contract import Contract
from oya.swarm.landing import LandingQueue
from oya.swarm.line import Line
from oya.swarm.moving import Moving
from oya.swarm.tracking import Tracking
from oya.swarm.work import Work
from oya.testing.beside import SimulatedBeside
from oya.testing.loop import VirtualLoop
from oya.testing.simulation.agents import AgentWorld
from oya.testing.simulation.gates import SimulatedRunner
from oya.testing.simulation.life import Life, MachineClock
from oya.testing.simulation.objects import File
from oya.testing.simulation.plan import BeadPlan, Plan
from oya.testing.simulation.run import parts_of, settings_of
from oya.testing.simulation.world import MachineEngine, World

BEADS = 25
SEEDS = range(40)
RATES = (0.0, 0.05, 0.1, 0.2, 0.4)
GATE = 1.0


@dataclass(frozen=True)
class Way:
    """How to land. `odds` above 1: nothing is proven ahead."""

    name: str
    slots: int
    prove: str
    batch: int = 8
    odds: float = queue.ODDS


SERIAL = Way("serial", 1, "all", batch=1)
WAYS = (
    Way("top_2_slots", 2, "top"),
    Way("top_2_slots_not_ahead", 2, "top", odds=2.0),
    Way("all_2_slots", 2, "all"),
    Way("all_8_slots", 8, "all"),
)


def measures() -> Iterator[tuple[str, float, str, str, float]]:
    """For each rate of red beads and each way: gate runs a landed bead, and seconds a swarm."""
    for rate in RATES:
        serial = _mean([landed(SERIAL, rate, seed) for seed in SEEDS])
        at = f"red_{rate * 100:.0f}"
        for way in WAYS:
            runs, seconds = _mean([landed(way, rate, seed) for seed in SEEDS])
            yield f"landing_{at}_{way.name}_runs", runs, "runs/bead", "serial", serial[0]
            yield f"landing_{at}_{way.name}_speed", 1 / seconds, "1/s", "serial", 1 / serial[1]


def _mean(results: list[tuple[float, float]]) -> tuple[float, float]:
    runs, seconds = zip(*results, strict=True)
    return statistics.mean(runs), statistics.mean(seconds)


def landed(way: Way, rate: float, seed: int) -> tuple[float, float]:
    """Gate runs for each bead that landed, and the virtual seconds until all had landed or left."""
    beads = tuple(BeadPlan(f"b-{n:02}", "plain") for n in range(BEADS))
    plan = Plan(seed, beads, (), BEADS, slots=way.slots, batch=way.batch, prove=way.prove)
    chance = random.Random(f"landing {seed}")
    red = frozenset(bead.id for bead in beads if chance.random() < rate)
    loop = VirtualLoop(seed)
    try:
        with mock.patch.object(queue, "ODDS", way.odds):
            return loop.run_until_complete(_land(plan, red, loop))
    finally:
        loop.close()


async def _land(plan: Plan, red: frozenset[str], loop: VirtualLoop) -> tuple[float, float]:
    world = World(plan)
    life = Life(random.Random(0), world.passing)
    clock = MachineClock(world.wall, random.Random(0), loop.time)
    world.time = loop.time
    beside = SimulatedBeside(world.disk, lambda: True)
    store = await Store.open(
        beside, clock=clock, engine=lambda _: MachineEngine(world.disk, life, world), wait=5.0
    )
    swarm = SwarmState("swarm-1", target_beads=BEADS, branch="main")
    await store.swarms.put(swarm, event="swarm_starting")
    await store.swarms.put(move(swarm, SwarmStatus.RUNNING), event="swarm_running")
    settings = settings_of(world).model_copy(update={"quality_gates": QualityGates(ci=("ci",))})
    agents = AgentWorld(plan, world.folders, life, lambda: True, lambda _: None, clock.monotonic)
    with mock.patch.object(SimulatedRunner, "_takes_time", _one_second):
        parts = parts_of(world, life, clock, store, settings, "swarm-1", agents)
        line = Line(parts.repo, "main", parts.follow)
        await line.refresh()
        tracking = Tracking(parts, line)
        await tracking.refresh()
        for bead in plan.beads:
            await _review(world, store, parts, line.base, bead.id, red=bead.id in red)
        work = Work(store.beads, parts.board)
        refs = asyncio.Lock()
        moving = Moving(parts, line, tracking, refs=refs, tell=_hear_nothing)
        landing = LandingQueue(parts, line, tracking, work, moving, refs=refs, tell=_hear_nothing)
        began = loop.time()
        while running := await landing.step():
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
    found = store.swarms.get("swarm-1")
    assert found is not None
    assert found.landed_beads == BEADS - len(red)
    seconds = loop.time() - began
    await store.close()
    return parts.gates.runs / max(found.landed_beads, 1), seconds


def _hear_nothing(message: object) -> None:
    """Nobody waits for what landing has to tell."""


async def _one_second(self: SimulatedRunner, *_: object, **__: object) -> None:
    async with self._slots.held(urgent=True):
        await asyncio.sleep(GATE)


async def _review(
    world: World, store: Store, parts: Parts, base: str, bead: str, *, red: bool
) -> None:
    """Bring a bead to the queue: a file of its own, which is red, or not."""
    files = dict(world.git.objects.files(base))
    files[f"src/{bead}.x"] = File(b"red\n" if red else b"done\n")
    tree = world.git.objects.add_tree(files)
    head = await parts.repo.commit_tree(tree, (base,), "work")
    contract = Contract(bead, 1, "check", base, base, (), (), (), (), (), (), {})
    made = e.ContractAccepted(1, base, base, "check")
    await parts.apply(bead, e.Claimed("writer", "alpha", base))
    await parts.apply(bead, made, also=(Put("contracts", bead, contract.to_json()),))
    if parts.limits.planner:
        await parts.apply(bead, e.Claimed("planner", "alpha", base))
        await parts.apply(bead, e.CheckAccepted(2))
    await parts.apply(bead, e.Claimed("implementer", "alpha", base))
    epoch = _epoch(store, bead)
    await parts.apply(bead, e.ImplementationAccepted(epoch, head, base))
    await parts.apply(bead, e.Claimed("reviewer", "alpha", base))
    await parts.apply(bead, e.Defended(_epoch(store, bead), head))


def _epoch(store: Store, bead: str) -> int:
    state = store.beads.get(bead)
    assert state is not None
    return state.epoch
