"""What was read last is what is known, in the order in which work is taken."""

from __future__ import annotations

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
    key = known.text_key("a")
    assert known.waits_for("b", lambda _: False) == ("a",)
    known.set([bead_from(issue("a", title="Else"))])
    assert list(known.beads) == ["a"]
    assert known.text_key("a") != key
    assert known.waits_for("b", lambda _: False) == ()


def test_what_has_landed_blocks_nobody() -> None:
    known = board(issue("a"), issue("b", dependencies=needs("a")))
    assert known.bead("b").dependencies == (Dependency("a", "blocks"),)
    assert known.waits_for("b", lambda bead: bead == "a") == ()
