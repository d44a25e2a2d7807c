"""Readiness by the dependencies that count, and the warnings about the graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oya.beads import Bead, Dependency, parse
from oya.beads.graph import Graph

FIXTURES = Path(__file__).parents[2] / "fixtures" / "beads"


def bead(bead_id: str, *needs: str, parent: str = "", status: str = "open") -> Bead:
    """`needs` are `id` (blocks) or `type:id`."""
    pairs = [need.rpartition(":") for need in needs]
    dependencies = [Dependency(target, kind or "blocks") for kind, _, target in pairs]
    if parent:
        dependencies.append(Dependency(parent, "parent-child"))
    return Bead(id=bead_id, status=status, dependencies=tuple(dependencies))


def nothing(_: str) -> bool:
    return False


def test_a_bead_without_dependencies_is_free() -> None:
    graph = Graph([bead("a")])
    assert not graph.blocked("a", nothing)
    assert graph.blockers("a") == ()


@pytest.mark.parametrize("kind", ["blocks", "conditional-blocks", "waits-for"])
def test_blocking_types_block_until_the_named_bead_has_landed(kind: str) -> None:
    graph = Graph([bead("a", f"{kind}:b"), bead("b")])
    assert graph.waits_for("a", nothing) == ("b",)
    assert not graph.blocked("a", {"b"}.__contains__)
    assert not graph.blocked("b", nothing)


@pytest.mark.parametrize("kind", ["related", "discovered-from", "supersedes", "my-own", "tracks"])
def test_other_types_are_information(kind: str) -> None:
    graph = Graph([bead("a", f"{kind}:b", f"{kind}:missing"), bead("b")])
    assert not graph.blocked("a", nothing)
    assert graph.dangling == ()


@pytest.mark.parametrize("status", ["closed", "tombstone"])
def test_a_bead_closed_in_the_tracker_satisfies_without_being_asked(status: str) -> None:
    graph = Graph([bead("a", "b"), bead("b", status=status)])
    assert not graph.blocked("a", nothing)
    assert graph.blockers("a") == ("b",)


@pytest.mark.parametrize("status", ["in_progress", "deferred", "blocked", "review", "hooked"])
def test_every_other_status_blocks(status: str) -> None:
    assert Graph([bead("a", "b"), bead("b", status=status)]).blocked("a", nothing)


def test_a_parent_is_no_blocker() -> None:
    graph = Graph([bead("child", parent="epic"), bead("epic")])
    assert not graph.blocked("child", nothing)


def test_a_blocked_parent_blocks_its_children_and_theirs() -> None:
    beads = [bead("grandchild", parent="child"), bead("child", parent="epic")]
    beads += [bead("epic", "x"), bead("x")]
    graph = Graph(beads)
    assert graph.waits_for("grandchild", nothing) == ("x",)
    assert graph.blockers("grandchild") == ("x",)
    assert not graph.blocked("grandchild", {"x"}.__contains__)


def test_a_parent_that_is_done_holds_no_child() -> None:
    graph = Graph([bead("child", parent="epic"), bead("epic", "x", status="closed"), bead("x")])
    assert not graph.blocked("child", nothing)


@pytest.mark.parametrize(
    ("status", "held"), [("blocked", True), ("deferred", True), ("open", False)]
)
def test_a_parent_put_aside_by_hand_holds_its_children(status: str, held: bool) -> None:
    graph = Graph([bead("child", parent="epic"), bead("epic", status=status)])
    assert graph.waits_for("child", nothing) == (("epic",) if held else ())
    assert not graph.blocked("epic", nothing)


def test_a_child_waits_for_every_blocked_parent() -> None:
    child = Bead(
        id="c",
        dependencies=(
            Dependency("p", "parent-child"),
            Dependency("q", "parent-child"),
            Dependency("z", "blocks"),
        ),
    )
    graph = Graph([child, bead("p", "x"), bead("q", "y"), bead("x"), bead("y"), bead("z")])
    assert graph.waits_for("c", nothing) == ("x", "y", "z")
    assert graph.waits_for("c", {"x", "z"}.__contains__) == ("y",)


def test_both_spellings_of_parent_child_count() -> None:
    text = (
        '{"id":"c","dependencies":[{"depends_on_id":"p","type":"parent_child"}]}\n'
        '{"id":"p","dependencies":[{"depends_on_id":"x","type":"conditional_blocks"}]}\n{"id":"x"}'
    )
    assert Graph(parse(text).beads).waits_for("c", nothing) == ("x",)


def test_a_dangling_dependency_is_named_and_does_not_block() -> None:
    graph = Graph([bead("a", "gone", "gone", parent="lost"), bead("old", "gone", status="closed")])
    assert graph.dangling == (("a", "gone"), ("a", "lost"))
    assert not graph.blocked("a", nothing)


def test_a_cycle_is_named_once_from_its_smallest_id() -> None:
    graph = Graph([bead("c", "a"), bead("b", "c"), bead("a", "b"), bead("d", "a")])
    assert graph.cycles() == (("a", "b", "c"),)
    assert all(graph.blocked(bead_id, nothing) for bead_id in "abcd")


def test_a_bead_that_waits_for_itself_is_a_cycle() -> None:
    assert Graph([bead("a", "a"), bead("b")]).cycles() == (("a",),)


def test_cycles_run_through_parents_too() -> None:
    assert Graph([bead("epic", "task"), bead("task", parent="epic")]).cycles() == (
        ("epic", "task"),
    )


def test_parents_in_a_circle_end_and_block_nobody() -> None:
    graph = Graph([bead("a", parent="b"), bead("b", parent="a")])
    assert not graph.blocked("a", nothing)
    assert graph.cycles() == (("a", "b"),)


def test_a_cycle_that_was_broken_by_closing_is_none() -> None:
    assert Graph([bead("a", "b"), bead("b", "a", status="closed")]).cycles() == ()


def test_two_knots_are_two_cycles() -> None:
    beads = [bead("d", "c"), bead("c", "d"), bead("b", "a"), bead("a", "b", "c")]
    assert Graph(beads).cycles() == (("a", "b"), ("c", "d"))


def test_an_unknown_bead_is_free() -> None:
    assert Graph([]).waits_for("nobody", nothing) == ()


def free(fixture: str) -> set[str]:
    backlog = parse((FIXTURES / f"{fixture}.jsonl").read_bytes().decode())
    graph = Graph(backlog.beads)
    return {b.id for b in backlog.beads if not b.closed and not graph.blocked(b.id, nothing)}


def test_ready_is_what_bd_said_of_its_own_backlog() -> None:
    assert free("export_1.0.5") == {"demo-cxm", "demo-bhm", "demo-kco"}


@pytest.mark.parametrize(
    ("fixture", "actionable"),
    [
        ("beads_go_20251012ish", 17),
        ("beads_viewer_20251127", 9),
        ("bv_cass", 12),
        ("bv_srps", 1),
        ("bv_synthetic_complex", 4),
        ("tinkerpop_bd1x_20260612_reduced", 3),
    ],
)
def test_as_many_are_free_as_bv_called_actionable(fixture: str, actionable: int) -> None:
    assert len(free(fixture)) == actionable


IDS = "abcdef"
GRAPHS = st.fixed_dictionaries(
    {
        i: st.tuples(
            st.lists(st.sampled_from(IDS), max_size=2),
            st.sampled_from(["", *IDS]),
            st.booleans(),
        )
        for i in IDS
    }
)


@given(GRAPHS, st.sets(st.sampled_from(IDS)))
def test_free_is_what_the_rules_say(shape: dict[str, Any], landed: set[str]) -> None:
    beads = [
        bead(i, *needs, parent=parent, status="closed" if closed else "open")
        for i, (needs, parent, closed) in shape.items()
    ]
    graph = Graph(beads)
    done = landed | {b.id for b in beads if b.closed}

    def blocked(bead_id: str, above: frozenset[str] = frozenset()) -> bool:
        needs, parent, _ = shape[bead_id]
        if any(need not in done for need in needs):
            return True
        climbs = parent and parent not in done and parent not in above
        return bool(climbs) and blocked(parent, above | {bead_id})

    for i in IDS:
        assert graph.blocked(i, landed.__contains__) is blocked(i, frozenset({i}))
        assert set(graph.waits_for(i, landed.__contains__)) <= set(graph.blockers(i)) - done
    for cycle in graph.cycles():
        for one, other in zip(cycle, (*cycle[1:], cycle[0]), strict=True):
            assert other in (*shape[one][0], shape[one][1])
            assert not {one, other} & {b.id for b in beads if b.closed}


STATUSES = st.sampled_from(["open", "closed", "deferred"])
SHAPES = st.dictionaries(
    st.sampled_from(IDS),
    st.tuples(st.lists(st.sampled_from(IDS), max_size=2), st.sampled_from(["", *IDS]), STATUSES),
)


@given(SHAPES, SHAPES, st.sets(st.sampled_from(IDS)), st.sets(st.sampled_from(IDS)))
def test_only_what_is_behind_a_change_is_touched_by_it(
    before: dict[str, Any], after: dict[str, Any], landed: set[str], landed_later: set[str]
) -> None:
    made = [
        {i: bead(i, *needs, parent=p, status=status) for i, (needs, p, status) in shape.items()}
        for shape in (before, after)
    ]
    old, new = (Graph(beads.values()) for beads in made)
    changed = {i for i in IDS if made[0].get(i) != made[1].get(i)} | (landed ^ landed_later)
    touched = changed | {other for i in changed for other in new.behind(i)}
    for i in IDS:
        same = old.waits_for(i, landed.__contains__) == new.waits_for(i, landed_later.__contains__)
        assert same or i in touched


def test_what_is_behind_a_bead_needs_it_or_lies_below() -> None:
    graph = Graph([bead("p", "x"), bead("c", parent="p"), bead("d", parent="c"), bead("e", "p")])
    assert set(graph.behind("x")) == {"p", "c", "d"}, "e waits for p whatever p waits for"
    assert set(graph.behind("p")) == {"c", "d", "e"}
    assert graph.behind("e") == ()
