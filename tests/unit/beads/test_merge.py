"""Three versions of a backlog: nothing that somebody did gets lost, and nobody is asked."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oya.beads import Backlog, dumps, parse
from oya.beads.merge import merge, merge_files


def text(*records: dict[str, Any] | str) -> str:
    return "".join(f"{r if isinstance(r, str) else json.dumps(r)}\n" for r in records)


def bead(name: str = "a", **fields: Any) -> dict[str, Any]:
    made = {"id": name, "title": name, "status": "open", "updated_at": "2026-01-01T00:00:00Z"}
    return {key: value for key, value in {**made, **fields}.items() if value is not None}


def merged(base: str, ours: str, theirs: str) -> list[dict[str, Any]]:
    out = dumps(merge(parse(base), parse(ours), parse(theirs)))
    return [json.loads(line) for line in out.splitlines() if line.strip()]


def one(base: dict[str, Any] | None, ours: dict[str, Any], theirs: dict[str, Any]) -> Any:
    """What becomes of one bead."""
    (found,) = merged(text(base) if base else "", text(ours), text(theirs))
    return found


CLOSED = {"status": "closed", "closed_at": "2026-01-02T00:00:00Z", "close_reason": "landed"}
EARLY, LATE = "2026-01-02T00:00:00Z", "2026-01-03T00:00:00Z"


def test_what_one_side_changed_is_as_on_that_side() -> None:
    base = text(bead("a"), bead("b"), bead("c"))
    ours = text(bead("a", title="ours"), bead("b"), bead("c"))
    theirs = text(bead("a"), bead("b", title="theirs"), bead("c"))
    assert [r["title"] for r in merged(base, ours, theirs)] == ["ours", "theirs", "c"]


def test_two_fields_of_one_bead_are_both_changed() -> None:
    found = one(bead(), bead(title="ours", updated_at=EARLY), bead(priority=0, updated_at=LATE))
    assert (found["title"], found["priority"], found["updated_at"]) == ("ours", 0, LATE)


@pytest.mark.parametrize(
    ("ours_at", "theirs_at", "winner"),
    [
        (EARLY, LATE, "theirs"),
        (LATE, EARLY, "ours"),
        (LATE, LATE, "theirs"),
        (None, None, "theirs"),
    ],
)
def test_of_one_field_the_newer_record_has_it_and_of_equal_ones_the_user(
    ours_at: str | None, theirs_at: str | None, winner: str
) -> None:
    ours, theirs = (
        bead(title="ours", updated_at=ours_at),
        bead(title="theirs", updated_at=theirs_at),
    )
    assert one(bead(), ours, theirs)["title"] == winner


@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_a_closing_wins_whoever_is_newer(side: str) -> None:
    closed = bead(**CLOSED, updated_at=EARLY)
    started = bead(status="in_progress", title="new", updated_at=LATE)
    sides = (closed, started) if side == "ours" else (started, closed)
    found = one(bead(), *sides)
    assert {key: found[key] for key in CLOSED} == CLOSED
    assert (found["title"], found["updated_at"]) == ("new", LATE)


def test_a_closing_keeps_its_own_time_and_reason() -> None:
    mine = {**CLOSED, "closed_at": LATE, "close_reason": "by hand"}
    found = one(bead(), bead(**CLOSED, updated_at=EARLY), bead(**mine, updated_at=LATE))
    assert {key: found[key] for key in mine} == mine


def test_what_was_opened_again_stays_open() -> None:
    found = one(bead(**CLOSED), bead(**CLOSED, title="ours"), bead(updated_at=LATE))
    assert (found["status"], found["title"], "closed_at" in found) == ("open", "ours", False)


def test_lists_have_what_each_added_and_lack_what_either_removed() -> None:
    found = one(
        bead(labels=["x", "y"], updated_at=LATE),
        bead(labels=["x", "y", "ours"], updated_at=LATE),
        bead(labels=["y", "theirs"], updated_at=LATE),
    )
    assert found["labels"] == ["y", "ours", "theirs"]


def test_a_field_that_one_side_removed_is_gone() -> None:
    found = one(bead(notes="n"), bead(notes="n", title="ours"), bead())
    assert ("notes" in found, found["title"]) == (False, "ours")


def test_the_same_bead_added_twice_is_one() -> None:
    found = one(None, bead(design="d", updated_at=EARLY), bead(title="theirs", updated_at=LATE))
    assert (found["design"], found["title"]) == ("d", "theirs")


def test_a_removed_bead_is_gone_unless_the_other_side_changed_it() -> None:
    base = text(bead("a"), bead("b"), bead("c"))
    ours = text(bead("a"), bead("b", **CLOSED))
    theirs = text(bead("c", title="theirs"))
    assert [r["id"] for r in merged(base, ours, theirs)] == ["c", "b"]


def test_order_is_ours_and_additions_stand_where_they_were_made() -> None:
    base = text(bead("a"), bead("b"), bead("c"))
    ours = text(bead("c"), bead("a"), bead("o"), bead("b"))
    theirs = text(bead("t"), bead("a"), bead("u"), bead("v"), bead("b"), bead("c"), bead("w"))
    found = [r["id"] for r in merged(base, ours, theirs)]
    assert found == ["t", "c", "w", "a", "u", "v", "o", "b"]


def test_a_line_is_spelled_as_it_was() -> None:
    ours = '{ "id": "a" ,  "title": "\\u00fc", "n": 1e3 }'
    theirs = '{"id":"a","title":"o","n":1e3,"labels":[ 1,2 ]}'
    found = dumps(merge(parse('{"id":"a","title":"o","n":1e3}'), parse(ours), parse(theirs)))
    assert found == '{ "id": "a" ,  "title": "\\u00fc" ,  "n": 1e3 ,  "labels": [ 1,2 ] }'


def test_what_holds_no_issue_is_kept() -> None:
    base = b'{"id":"a"}\n{"_type":"memory"}\n'
    ours = b'<<<<<<< \xff\n{"id":"a","title":"o"}\n{"_type":"memory"}\n'
    theirs = b'{"id":"a"}\n\n{"id":"a"}\n{"id":7}\n'
    found = merge_files(base, ours, theirs)
    assert found == b'<<<<<<< \xff\n{"id":"a","title":"o"}\n{"id":"a"}\n{"id":7}\n'


def test_without_a_base_both_are_there() -> None:
    found = merge_files(None, text(bead("a")).encode(), text(bead("b")).encode())
    assert [json.loads(line)["id"] for line in found.splitlines()] == ["b", "a"]


NAMES = st.sampled_from(["title", "labels", "notes", "status", "closed_at", "updated_at", "é"])
VALUES = (
    st.sampled_from(["open", "closed", "x", "\ud800", EARLY, LATE, 1, True, None])
    | st.lists(st.sampled_from(["x", "y", 1, {"k": "v"}]), max_size=3)
)  # fmt: skip
OTHERS = st.sampled_from(["", " ", '{"_type":"memory"}', "{", "\r"])


@st.composite
def files(draw: st.DrawFn) -> bytes:
    beads = draw(st.dictionaries(st.sampled_from("abcd"), st.dictionaries(NAMES, VALUES)))
    lines = [json.dumps({"id": name, **fields}) for name, fields in beads.items()]
    lines = draw(st.permutations([*lines, *draw(st.lists(OTHERS, max_size=3, unique=True))]))
    mark = draw(st.sampled_from(["", "\ufeff"]))
    return (mark + "\n".join(lines) + draw(st.sampled_from(["", "\n"]))).encode()


def sense(data: bytes) -> Backlog:
    return parse(data.decode(), lenient=True)


@given(files(), files(), files())
@settings(max_examples=300)
def test_merging_again_changes_nothing(base: bytes, ours: bytes, theirs: bytes) -> None:
    found = merge_files(base, ours, theirs)
    assert merge_files(base, ours, found) == found


@given(files(), files())
def test_a_side_that_changed_nothing_takes_the_others(base: bytes, changed: bytes) -> None:
    assert merge_files(base, changed, base) == changed
    assert merge_files(base, base, changed) == changed
    assert merge_files(base, changed, changed) == changed


@given(files(), files(), files())
@settings(max_examples=300)
def test_no_bead_of_either_gets_lost_and_none_is_made_up(
    base: bytes, ours: bytes, theirs: bytes
) -> None:
    was, mine, other, found = map(sense, (base, ours, theirs, merge_files(base, ours, theirs)))
    ids = {bead.id for side in (was, mine, other) for bead in side.beads}
    assert len({bead.id for bead in found.beads}) == len(found.beads)
    for name in ids:
        if name in found:
            assert name in mine or name in other
        else:
            assert name in was
            assert not (name in mine and name in other)
        if any(name in side and side.get(name).closed for side in (mine, other)) and not (  # type: ignore[union-attr]
            name in was and was.get(name).closed  # type: ignore[union-attr]
        ):
            assert found.get(name).closed  # type: ignore[union-attr]
