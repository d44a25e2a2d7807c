"""Minutes of gates for each landed bead, where `ci` takes 20 minutes and the tests 5 seconds.

The real swarm on a simulated machine in virtual time: the four roles, their gates and the landing
queue; nothing is left out but the thinking. A turn of an agent takes up to ten minutes. Every
tenth bead, by chance, is red in `ci` and in nothing else, until it was told so. All runs of all
gates are counted, those of the base too.

The baseline runs `ci` at every step: once each for contract, implementation, review and landing,
once more for an implementation that was red, and once for the base.
"""

from __future__ import annotations

import json
import random
import statistics
from collections.abc import Iterator
from contextlib import ExitStack
from unittest import mock

from oya.swarm.config import Settings
from oya.testing.simulation import agents
from oya.testing.simulation import run as simulation
from oya.testing.simulation.plan import BeadPlan, Plan
from oya.testing.simulation.world import World

BEADS = 25
RED = 0.1
CI = 20 * 60.0
TESTS = 5.0
TURN = 600.0
STEPS = 4
SEEDS = range(10)
LIMITS = {"all": 1.6, "top": 0.8}
"""Runs of `ci` a landed bead, whose minutes all gates together may take."""
LONG_ENOUGH = 1e6


def measures() -> Iterator[tuple[str, float, str, str, float]]:
    """Minutes a landed bead for both ways to prove, beside the limit, and `ci` at every step."""
    for prove, limit in LIMITS.items():
        found = [minutes(prove, seed) for seed in SEEDS]
        mine = statistics.mean(one for one, _, _ in found)
        every = statistics.mean(one for _, one, _ in found)
        name = f"feedback_prove_{prove}"
        yield name, mine, "gate min/bead", "limit", limit * CI / 60
        yield name, mine, "gate min/bead", "ci at every step", every
        hours = statistics.mean(one for _, _, one in found)
        yield f"{name}_hours", hours, "h", "that, on 2 slots", every * BEADS / 60 / 2


def minutes(prove: str, seed: int) -> tuple[float, float, float]:
    """Of one swarm: minutes of gates a landed bead, those with `ci` at every step, and hours."""
    chance = random.Random(f"feedback {seed}")
    kinds = ["sour" if chance.random() < RED else "plain" for _ in range(BEADS)]
    beads = tuple(BeadPlan(f"b-{n:02}", kind) for n, kind in enumerate(kinds, 1))
    takes = (("ci", CI), ("tests", TESTS))
    plan = Plan(seed, beads, (), BEADS, harsh=0.0, prove=prove, takes=takes, variants=0)
    ran = _ran(plan)
    events = [json.loads(line) for line in ran.events.splitlines()]
    landed = sum(event["event"] == "landed" for event in events)
    assert landed == BEADS, ran.stuck
    gates = [event for event in events if event["event"] == "gate_ran"]
    spent = sum(event["data"]["seconds"] for event in gates)
    every = (1 + STEPS * BEADS + kinds.count("sour")) * CI
    return spent / 60 / BEADS, every / 60 / BEADS, ran.world.elapsed / 3600


def _ran(plan: Plan) -> simulation.Ran:
    """The plan, run, with agents that take their time and the patience that they need."""
    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(agents, "SLOWEST", TURN))
        stack.enter_context(mock.patch.object(simulation, "ENDS_WITHIN", LONG_ENOUGH))
        stack.enter_context(mock.patch.object(simulation, "settings_of", _patient))
        return simulation.run(plan)


_settings_of = simulation.settings_of


def _patient(world: World) -> Settings:
    settings = _settings_of(world)
    execution = settings.execution.model_copy(
        update={"attempt_timeout": 10 * TURN, "stall_timeout": 2 * TURN}
    )
    planner = settings.planner.model_copy(update={"timeout": 10 * TURN})
    return settings.model_copy(update={"execution": execution, "planner": planner})
