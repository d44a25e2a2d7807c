"""A dependency that somebody adds while the simulated swarm runs is held against its claims."""

from __future__ import annotations

from dataclasses import replace

import pytest

from oya.swarm.differences import Differences
from oya.testing.simulation.check import breaches, history_of
from oya.testing.simulation.plan import Fault, Plan, draw
from oya.testing.simulation.run import run
from oya.testing.simulation.world import READ, World

HELD, WAITS = "b-01", "b-24"


def plan() -> Plan:
    """The first bead is held by a person, and at two seconds the last but one comes to need it."""
    held = {"bead": HELD, "verb": "hold", "back": False}
    block = {"bead": WAITS, "how": "block", "commit": False}
    drawn = draw(3)
    free = tuple(replace(bead, needs=()) for bead in drawn.beads)
    faults = Fault(0, 1.9, "person", held), Fault(1, 2.0, "edit", block)
    return replace(drawn, beads=free, faults=faults, harsh=0.0, target=25, ci=1.0)


def test_it_counts_from_when_it_was_read() -> None:
    ran = run(plan())
    assert breaches(ran) == []
    history = history_of(ran)
    (need,) = history.depends[WAITS]
    assert (need.on, need.since > history.events[0]["at"]) == (HELD, True)
    assert history.beads[WAITS]["blocked"] == f"waits for {HELD}"


def test_a_swarm_that_does_not_see_it_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Differences, "_blocking", lambda self, bead, state: iter(()))
    assert {breach.promise for breach in breaches(run(plan()))} == {"dependencies_come_first"}


def test_what_keeps_a_swarm_from_reading_puts_it_off() -> None:
    world = World(plan())
    assert world.seen(5.0) == 5.0 + READ
    world.deaf += [(45.0, 50.0), (14.0, 20.0), (29.0, 31.0)]
    assert world.seen(5.0) == 31.0 + READ
