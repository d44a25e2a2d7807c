"""What was read last is what is known, in the order in which work is taken."""

from __future__ import annotations

from datetime import UTC, datetime

from swarm_kit import issue, needs

from oya.beads.model import Dependency, bead_from
from oya.swarm.board import Board


def board(*issues: dict[str, object]) -> Board:
    made = Board()
    made.set(bead_from(one) for one in issues)
    return made


def test_work_is_taken_by_priority_then_age_then_id() -> None:
    old = "2025-01-01T00:00:00Z"
    known = board(issue("c"), issue("a"), issue("urgent", priority=0), issue("old", created_at=old))
    assert known.order(["a", "c", "old", "urgent"]) == ["urgent", "old", "a", "c"]


def test_a_bead_that_has_left_the_file_is_an_empty_one() -> None:
    assert (board().bead("gone").id, board().order(["gone"])) == ("gone", ["gone"])


def test_a_new_reading_replaces_the_one_before() -> None:
    known = board(issue("a"), issue("b", dependencies=needs("a")))
    assert known.waits_for("b", lambda _: False) == ("a",)
    known.set([bead_from(issue("a", title="Else"))])
    assert list(known.beads) == ["a"]
    assert known.bead("a").title == "Else"
    assert known.waits_for("b", lambda _: False) == ()


def test_what_has_landed_blocks_nobody() -> None:
    known = board(issue("a"), issue("b", dependencies=needs("a")))
    assert known.bead("b").dependencies == (Dependency("a", "blocks"),)
    assert known.waits_for("b", lambda bead: bead == "a") == ()


def test_a_reading_tells_what_it_changed_in_the_order_of_the_file_and_then_what_is_gone() -> None:
    known, told = board(issue("a"), issue("b"), issue("c")), []
    known.on_change(told.extend)
    known.set([bead_from(issue("d")), bead_from(issue("b", priority=0)), bead_from(issue("a"))])
    assert told == ["d", "b", "c"]


def test_a_deferral_is_due_when_the_clock_passes_it_either_way() -> None:
    day = [datetime(2026, 1, number, tzinfo=UTC) for number in (1, 2, 3)]
    known = board(issue("a"), issue("b", defer_until="2026-01-02T00:00:00Z"))
    assert known.due(day[0], day[1]) == ("b",)
    assert known.due(day[1], day[0]) == ("b",), "a clock may be put back"
    assert known.due(day[1], day[2]) == known.due(day[0], day[0]) == ()
