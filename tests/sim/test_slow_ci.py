"""A `ci` of 20 minutes beside tests of 5 seconds, on virtual time."""

from __future__ import annotations

import json
from typing import Any

import pytest

from oya.testing.simulation import run as simulation
from oya.testing.simulation.check import breaches
from oya.testing.simulation.plan import BeadPlan, Plan

BEADS = 12
CI = 1200.0
LONG = 1e6


@pytest.fixture(scope="module")
def events() -> list[dict[str, Any]]:
    """The log of a swarm that landed, one bead of it red in `ci` alone until it was told."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simulation, "ENDS_WITHIN", LONG)
        kinds = ["sour" if number == 6 else "plain" for number in range(BEADS)]
        beads = tuple(BeadPlan(f"b-{n:02}", kind) for n, kind in enumerate(kinds, 1))
        takes = (("ci", CI), ("tests", 5.0))
        ran = simulation.run(Plan(1, beads, (), BEADS, harsh=0.0, takes=takes, variants=0))
    assert breaches(ran) == []
    return [json.loads(line) for line in ran.events.splitlines()]


def of(events: list[dict[str, Any]], name: str, reason: str | None = None) -> list[int]:
    return [n for n, e in enumerate(events) if e["event"] == name and reason in (None, e["reason"])]


def test_all_is_reviewed_before_the_first_landing_is_judged(events: list[dict[str, Any]]) -> None:
    """The gates of agents do not wait for the slots of the landing queue."""
    base, first, *_ = of(events, "gate_ran", "ci")
    assert base < first
    assert len([n for n in of(events, "defended") if n < first]) == BEADS


def test_ci_runs_seldom(events: list[dict[str, Any]]) -> None:
    """The base, the bead that came first, a batch of eight, the search for a red one, the rest:
    and never before landing."""
    assert len(of(events, "landed")) == BEADS
    assert len(of(events, "landing_conflicted")) == 1
    assert len(of(events, "gate_ran", "ci")) <= 0.8 * BEADS
    judged = [events[n]["data"]["seconds"] for n in of(events, "gate_ran", "ci")]
    assert set(judged) == {CI}
