"""Simulated disasters a second: whole swarms of 25 beads with faults, run and checked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

from oya.daemon.process import collect_less
from oya.testing.simulation.check import breaches
from oya.testing.simulation.plan import Plan, draw
from oya.testing.simulation.run import run

SEEDS = range(1, 41)


def measures() -> Iterator[tuple[str, float, str, str, float]]:
    """Swarms a second of one core, beside the same swarms when nothing goes wrong."""
    run(draw(0))  # what is built once
    collect_less()  # as the workers of `make sim` do
    calm = _rate([replace(draw(seed), faults=(), harsh=0.0) for seed in SEEDS])
    harsh = _rate([draw(seed) for seed in SEEDS])
    yield "sim_swarms_per_second", harsh, "swarms/s", "without faults", calm
    yield "sim_swarms_per_second", harsh, "swarms/s", "limit", 5.0


def _rate(plans: list[Plan]) -> float:
    began = time.process_time()
    for plan in plans:
        assert not breaches(run(plan))
    return len(plans) / (time.process_time() - began)
