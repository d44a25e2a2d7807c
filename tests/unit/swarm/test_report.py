"""The status object, the rows of beads, and how a swarm ended."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from oya.lifecycle.model import BeadState, Hold, Phase, Status
from oya.lifecycle.swarm import SwarmState, SwarmStatus
from oya.swarm import report
from oya.swarm.report import AgentLine, BackendLine, LandingLine, Live
from oya.swarm.tally import Tally

FIELDS = [
    "id", "status", "target_beads", "landed_beads", "active_agents", "started_at",
    "estimated_completion", "beads", "phases", "agents", "backends", "landing", "failures",
    "reason",
]  # fmt: skip
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)

BEADS = [
    BeadState("a"),
    BeadState("b", blocked="waits for a"),
    BeadState("c", epoch=1, status=Status.IN_PROGRESS),
    BeadState("d", epoch=3, phase=Phase.IMPLEMENTATION),
    BeadState("e", epoch=4, phase=Phase.LANDING),
    BeadState("f", epoch=4, phase=Phase.LANDED, status=Status.COMPLETE, commit="1234"),
    BeadState("g", epoch=2, status=Status.FAILED, reason="red"),
    BeadState("h", epoch=1, status=Status.HELD, hold=Hold.QUESTION, reason="which one?"),
    BeadState("i", epoch=1, status=Status.REMOVED),
]
SWARM = SwarmState("swarm-1", SwarmStatus.RUNNING, 5, 1, started_at="2026-01-01T11:00:00Z")
LIVE = Live(
    (
        AgentLine("implementer-1", "implementer", "working", "d", "codex", 3, "s", "l", 1),
        AgentLine("implementer-2", "implementer", "idle", None, "codex", None, "s", None, 0),
        AgentLine("planner-1", "planner", "unhealthy", None, "codex", None, "s", None, 6),
    ),
    (BackendLine("codex", "parked", "u", "429", None, None),),
    LandingLine(9, 1, None, {"main": 0}),
)


def test_every_field_is_there_and_in_order() -> None:
    for found in (report.status(None, Tally()), report.status(SWARM, Tally(BEADS), LIVE)):
        assert list(found) == FIELDS
        assert list(found["landing"]) == [
            "queued", "gate_runs", "landed_commits", "red_base", "behind", "remote", "left_out",
        ]  # fmt: skip


def test_beads_are_counted_once_and_removed_ones_not_at_all() -> None:
    found = report.status(SWARM, Tally(BEADS))
    assert found["beads"] == {
        "pending": 2, "in_progress": 3, "landed": 1, "failed": 1, "held": 1,
    }  # fmt: skip
    assert found["phases"] == {"contract": 1, "implementation": 1, "review": 0, "landing": 1}
    assert sum(found["phases"].values()) == found["beads"]["in_progress"]


def test_agents_alive_are_counted_by_role() -> None:
    found = report.status(SWARM, Tally(BEADS), LIVE)
    assert found["active_agents"] == {
        "test_writers": 0, "implementers": 2, "reviewers": 0, "planner": 0,
    }  # fmt: skip
    assert found["agents"][0] == {
        "id": "implementer-1", "role": "implementer", "state": "working", "bead": "d",
        "backend": "codex", "epoch": 3, "since": "s", "last_activity": "l", "restarts": 1,
    }  # fmt: skip
    assert found["backends"][0]["tokens"] is None


def test_an_ended_swarm_has_no_estimate() -> None:
    assert report.status(SWARM, Tally(), None, "soon")["estimated_completion"] == "soon"
    ended = replace(SWARM, status=SwarmStatus.STOPPED)
    assert report.status(ended, Tally(), None, "soon")["estimated_completion"] is None


def test_the_estimate_is_the_pace_of_the_newest_landings() -> None:
    began = NOW - timedelta(minutes=10)
    landings = [began + timedelta(minutes=n) for n in (2, 6, 10)]
    assert report.estimate(landings, began, 3, NOW) == NOW + timedelta(minutes=10)
    assert report.estimate([], began, 3, NOW) is None
    assert report.estimate(landings, began, 0, NOW) is None


def test_the_estimate_forgets_what_is_long_ago() -> None:
    began = NOW - timedelta(hours=100)
    slow = [began + timedelta(hours=9 * n) for n in range(1, 11)]
    fast = [NOW - timedelta(minutes=10 - n) for n in range(11)]
    due = report.estimate(slow + fast, began, 10, NOW)
    assert due == NOW + timedelta(minutes=10)


@pytest.mark.parametrize(
    ("status", "landed", "reason", "code"),
    [
        (SwarmStatus.COMPLETED, 5, "target reached", 0),
        (SwarmStatus.COMPLETED, 4, "nothing is left that can be worked on", 3),
        (SwarmStatus.FAILED, 1, "meltdown: 3 agent_crash", 4),
        (SwarmStatus.FAILED, 0, "the base 1234567ab is red: tests/test_a.py::test_b", 1),
        (SwarmStatus.STOPPED, 1, "stopped by a person", 5),
    ],
)
def test_exit_codes(status: SwarmStatus, landed: int, reason: str, code: int) -> None:
    swarm = replace(SWARM, status=status, landed_beads=landed, reason=reason)
    assert report.exit_code(swarm) == code


@pytest.mark.parametrize(
    ("state", "step"),
    [
        (BeadState("a"), ""),
        (BeadState("a", status=Status.HELD, hold=Hold.APPROVAL), "oya approve a"),
        (BeadState("a", status=Status.HELD, hold=Hold.PERSON), "oya release a"),
        (BeadState("a", status=Status.FAILED), 'oya retry a --note "…"'),
    ],
)
def test_what_a_bead_waits_for(state: BeadState, step: str) -> None:
    assert report.next_step(report.bead_row(state, {})) == step


def test_every_hold_has_a_next_step() -> None:
    for hold in Hold:
        row = report.bead_row(BeadState("a", status=Status.HELD, hold=hold), {})
        assert report.next_step(row).startswith("oya ")


def test_the_end_of_a_swarm_that_had_nothing_to_do_says_so() -> None:
    swarm = replace(SWARM, status=SwarmStatus.COMPLETED, target_beads=0, landed_beads=0)
    final = report.status(swarm, Tally(())) | {"seconds": 0.3, "exit": 0}
    assert report.end_lines(final, [], 0)[0] == "Nothing to do: no bead can be worked on."


def test_the_end_says_what_landed_what_is_kept_what_waits_and_how_to_go_on() -> None:
    swarm = replace(SWARM, status=SwarmStatus.STOPPED, reason="stopped by a person")
    final = report.status(swarm, Tally(BEADS)) | {"seconds": 61.25, "exit": 5}
    final["landing"]["behind"] = {"main": 2}
    rows = [report.bead_row(state, {"title": "t"}) for state in BEADS]
    assert report.end_lines(final, rows, 0) == [
        "Stopped: landed 1/5 beads in 61.2 s.",
        "Because: stopped by a person",
        "It is on refs/oya/line/main: git log refs/oya/line/main",
        "main is 2 behind: oya sync",
        "2 beads are waiting for you:",
        "  g  red",
        '      oya retry g --note "…"',
        "  h  which one?",
        '      oya retry h --note "…"',
        "3 beads are under way, with all work kept under refs/oya/attempts.",
        "Nothing is left running.",
        "Go on: oya swarm",
    ]


def test_the_end_names_what_was_pushed_and_may_still_arrive() -> None:
    swarm = replace(SWARM, status=SwarmStatus.STOPPED, reason="stopped by a person")
    states = (
        BeadState("a", phase=Phase.LANDING, status=Status.IN_PROGRESS, epoch=3),
        BeadState("b", phase=Phase.LANDING, epoch=3),
    )
    rows = [report.bead_row(state, {"title": "t"}) for state in states]
    said = report.end_lines(report.status(swarm, Tally(states)), rows, 0)
    assert "Landing, and not known to have arrived: a; the next oya swarm finds out." in said


def test_the_end_does_not_claim_that_nothing_runs_where_something_does() -> None:
    final = report.status(replace(SWARM, status=SwarmStatus.COMPLETED), Tally())
    said = report.end_lines(final, [], 2)
    assert "2 processes are left running!" in said
    assert "Nothing is left running." not in said
