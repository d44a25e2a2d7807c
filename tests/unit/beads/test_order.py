"""What may be claimed, and in which order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from oya.beads import Bead
from oya.beads.order import in_order, unclaimed_types, unfit, workable
from oya.beads.where import Where, parse_where

NOW = datetime(2026, 3, 1, tzinfo=UTC)
WORK = Bead(id="a")


@pytest.mark.parametrize("status", ["open", "in_progress"])
@pytest.mark.parametrize("kind", ["task", "bug", "feature", "chore", "docs"])
def test_open_work_is_workable(status: str, kind: str) -> None:
    assert workable(replace(WORK, status=status, issue_type=kind), Where(), NOW)


@pytest.mark.parametrize(
    "status",
    ["blocked", "deferred", "closed", "pinned", "hooked", "tombstone", "review", "our-own"],
)
def test_any_other_status_is_not(status: str) -> None:
    assert unfit(replace(WORK, status=status), Where(), NOW) == "status"


def test_a_bead_is_not_claimed_before_its_date() -> None:
    deferred = replace(WORK, defer_until=NOW + timedelta(seconds=1))
    assert unfit(deferred, Where(), NOW) == "deferred"
    assert workable(deferred, Where(), NOW + timedelta(seconds=1))


def test_an_epic_is_never_work() -> None:
    epic = replace(WORK, issue_type="epic")
    assert unfit(epic, Where(types=frozenset({"epic"})), NOW) == "epic"


def test_the_where_expression_decides_the_rest() -> None:
    where = parse_where("type in spike and label in swarm")
    assert unfit(WORK, where, NOW) == "type"
    spike = replace(WORK, issue_type="spike")
    assert unfit(spike, where, NOW) == "where"
    assert workable(replace(spike, labels=("swarm",)), where, NOW)


def test_unknown_types_are_counted_where_nothing_else_is_in_the_way() -> None:
    kinds = ["molecule", "molecule", "gate", "epic", "task"]
    beads = [replace(WORK, id=str(i), issue_type=kind) for i, kind in enumerate(kinds)]
    beads.append(replace(WORK, id="done", issue_type="gate", status="closed"))
    assert unclaimed_types(beads, Where(), NOW) == {"molecule": 2, "gate": 1}


def test_priority_then_age_then_id() -> None:
    ordered = [
        Bead(id="urgent", priority=0, created_at=NOW),
        Bead(id="old", priority=1, created_at=NOW - timedelta(days=1)),
        Bead(id="b", priority=1, created_at=NOW),
        Bead(id="c", priority=1, created_at=NOW),
        Bead(id="ageless", priority=1),
        Bead(id="late", priority=4, created_at=NOW - timedelta(days=9)),
    ]
    for seed in range(5):
        shuffled = list(ordered)
        Random(seed).shuffle(shuffled)
        assert in_order(shuffled) == ordered
