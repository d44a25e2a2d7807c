"""Reading one bead from whatever a tracker's tool, or a person, wrote."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oya.beads.model import Bead, Comment, Dependency, bead_from, is_bead

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
FIELDS = st.sampled_from(sorted(set(Bead.__dataclass_fields__) - {"id", "extra"}))


def read(**fields: Any) -> Bead:
    return bead_from({"id": "a-1", **fields})


def test_a_record_with_nothing_but_an_id_is_an_open_task_of_middle_priority() -> None:
    bead = read()
    assert (bead.status, bead.issue_type, bead.priority) == ("open", "task", 2)
    assert (bead.title, bead.labels, bead.dependencies, bead.created_at) == ("", (), (), None)


@given(st.dictionaries(FIELDS | st.text(max_size=8), JSON))
def test_a_field_of_any_type_never_makes_a_record_unreadable(record: dict[str, Any]) -> None:
    bead = bead_from({**record, "id": "a-1"})
    assert bead.id == "a-1"
    assert 0 <= bead.priority <= 4
    hash(bead)
    for text in (bead.title, bead.description, bead.status, *bead.labels, *bead.criteria):
        text.encode()


@pytest.mark.parametrize(
    ("given", "meant"),
    [(0, 0), (4, 4), (-1, 0), (9, 4), ("P1", 1), ("3", 3), ("high", 2), (None, 2), (True, 2)],
)
def test_priority_is_between_0_and_4_whatever_was_written(given: Any, meant: int) -> None:
    assert read(priority=given).priority == meant


def test_criteria_are_the_non_empty_lines() -> None:
    bead = read(acceptance_criteria="first\n\n  second \r\n\t\n- third")
    assert bead.criteria == ("first", "second", "- third")
    assert read(acceptance_criteria=["first", "second"]).criteria == ("first", "second")


def test_times_of_every_generation_are_utc() -> None:
    moment = datetime(2025, 11, 13, 22, 23, 38, 998970, tzinfo=UTC)
    for text in (
        "2025-11-13T22:23:38.998970Z",
        "2025-11-13T22:23:38.998970123Z",
        "2025-11-13T14:23:38.99897-08:00",
        "2025-11-13T22:23:38.99897",
    ):
        assert read(created_at=text).created_at == moment
    for text in ("soon", "", "0001-01-01T00:00:00+05:00", 7):
        assert read(created_at=text).created_at is None


def test_dependencies_of_both_spellings_and_by_hand() -> None:
    bead = read(
        dependencies=[
            {"issue_id": "a-1", "depends_on_id": "b", "type": "parent_child", "metadata": "{}"},
            {"depends_on_id": "c"},
            "d",
            {"type": "blocks"},
            None,
        ]
    )
    assert bead.dependencies == (
        Dependency("b", "parent-child"),
        Dependency("c", "blocks"),
        Dependency("d", "blocks"),
    )


def test_comment_ids_are_texts_in_both_generations() -> None:
    old = {"id": 6, "author": "ubuntu", "text": "done", "created_at": "2025-11-23T20:09:35Z"}
    new = {"id": "01a204f0-5e71", "author": "t", "text": "a note"}
    assert read(comments=[old, new, "?"]).comments == (
        Comment("6", "ubuntu", "done", datetime(2025, 11, 23, 20, 9, 35, tzinfo=UTC)),
        Comment("01a204f0-5e71", "t", "a note", None),
    )


def test_unknown_fields_are_at_hand_unread() -> None:
    bead = read(title="t", owner="a@b.c", metadata={"deep": [1]})
    assert bead.extra == {"owner": "a@b.c", "metadata": {"deep": [1]}}


@pytest.mark.parametrize("field", ["title", "description", "acceptance_criteria"])
def test_an_edited_text_has_another_key(field: str) -> None:
    assert read(**{field: "new"}).text_key != read(**{field: "old"}).text_key


def test_the_key_is_of_the_texts_only() -> None:
    bead = read(title="t", acceptance_criteria="a\nb")
    same = read(
        title="t",
        acceptance_criteria="a\n\n b\n",
        notes="n",
        status="closed",
        priority=0,
        labels=["x"],
        updated_at="2026-01-01T00:00:00Z",
    )
    assert bead.text_key == same.text_key
    assert read(title="a", description="b").text_key != read(title="ab").text_key


def test_half_a_surrogate_pair_becomes_writable_text() -> None:
    bead = read(title="bad \ud800 half", labels=["\udfff"])
    assert bead.title == "bad ? half"
    assert len(bead.text_key) == 64


@pytest.mark.parametrize("bead_id", [None, "", "  ", 7, ["a"], " a", "a\nb", "a\u0000", "\ud800"])
def test_a_record_without_a_usable_id_is_refused(bead_id: Any) -> None:
    with pytest.raises(ValueError, match="id"):
        bead_from({"id": bead_id, "title": "t"})


def test_only_issues_are_beads() -> None:
    assert is_bead({"id": "a"})
    assert is_bead({"id": "a", "_type": "issue"})
    assert not is_bead({"_type": "memory", "key": "k"})


@pytest.mark.parametrize(
    ("status", "closed"),
    [("closed", True), ("tombstone", True), ("open", False), ("review", False), ("pinned", False)],
)
def test_closed_and_deleted_beads_are_done_with(status: str, closed: bool) -> None:
    assert read(status=status).closed is closed
