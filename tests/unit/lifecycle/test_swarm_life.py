"""The life of a swarm, step by step, and how it is written down."""

from __future__ import annotations

import itertools
import json

import pytest

from oya.errors import RefusedError
from oya.lifecycle.swarm import SwarmState, SwarmStatus, move, swarm_from_json, swarm_to_json

STEPS = {
    "starting": "running stopping failed",
    "running": "paused stopping completed failed",
    "paused": "running stopping completed failed",
    "stopping": "stopped completed failed",
    # Resume goes on with the same swarm.
    "stopped": "starting",
    "completed": "starting",
    "failed": "starting",
}


@pytest.mark.parametrize(("old", "to"), list(itertools.product(SwarmStatus, repeat=2)))
def test_only_these_steps_are_taken(old: SwarmStatus, to: SwarmStatus) -> None:
    state = SwarmState("swarm-1", old)
    if to in STEPS[old].split() or to is old:
        assert move(state, to, "why") == SwarmState("swarm-1", to, reason="why")
    else:
        with pytest.raises(RefusedError, match=f"is {old} and cannot become {to}"):
            move(state, to)


def test_a_paused_swarm_may_find_another_reason_and_drops_it_when_it_goes_on() -> None:
    paused = move(
        SwarmState("swarm-1", SwarmStatus.PAUSED, reason="person"), SwarmStatus.PAUSED, "base_red"
    )
    assert paused.reason == "base_red"
    assert move(paused, SwarmStatus.RUNNING).reason is None


def test_counters_live_through_a_stop_and_a_resume() -> None:
    state = SwarmState("swarm-1", SwarmStatus.RUNNING, 25, 7, failures={"gate_red": 2})
    for to in (SwarmStatus.STOPPING, SwarmStatus.STOPPED, SwarmStatus.STARTING):
        state = move(state, to)
    assert (state.target_beads, state.landed_beads, state.failures) == (25, 7, {"gate_red": 2})


def test_it_has_ended_when_nothing_of_it_runs() -> None:
    ended = {status for status in SwarmStatus if SwarmState("s", status).ended}
    assert ended == {"stopped", "completed", "failed"}


def test_the_two_kinds_of_completed_are_told_apart() -> None:
    assert SwarmState("s", SwarmStatus.COMPLETED, 5, 5).reached
    assert not SwarmState("s", SwarmStatus.COMPLETED, 5, 4).reached


@pytest.mark.parametrize("status", SwarmStatus)
def test_it_can_be_written_down(status: SwarmStatus) -> None:
    state = SwarmState(
        "swarm-1", status, 25, 7, {"implementers": 4}, "2026-01-01T00:00:00Z", None, None, "why",
        "main", "hash", 9, {"gate_red": 2},
    )  # fmt: skip
    row = json.loads(json.dumps(swarm_to_json(state)))
    assert swarm_from_json(row | {"mood": "fine"}) == state


def test_its_record_begins_with_the_fields_that_users_know() -> None:
    known = ["id", "status", "target_beads", "landed_beads", "active_agents", "started_at"]
    assert list(swarm_to_json(SwarmState("s")))[:7] == [*known, "estimated_completion"]
