"""The JSONL file as a value: what oya does not change stays byte for byte."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oya.beads import Backlog, dumps, overlay, parse
from oya.errors import TrackerError

FIXTURES = sorted((Path(__file__).parents[2] / "fixtures" / "beads").glob("*.jsonl"))
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
STAMP = "2026-03-01T12:00:00.000000Z"

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**20), 10**20)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)
NAMES = st.text(max_size=6) | st.sampled_from(
    ["title", "status", "updated_at", "closed_at", "close_reason", "created_at", "priority"]
)
STYLES = st.sampled_from([(",", ":"), (", ", ": "), (" ,  ", " :\t"), (",", ": ")])


@st.composite
def lines(draw: st.DrawFn, bead_id: str) -> str:
    fields = draw(st.dictionaries(NAMES.filter(lambda n: n not in {"id", "_type"}), VALUES))
    fields["status"] = draw(st.sampled_from(["open", "in_progress", "blocked", "closed", "mine"]))
    members = [("id", bead_id), *fields.items()]
    if draw(st.booleans()):
        del members[1 + list(fields).index("status")]
    members = draw(st.permutations(members))
    text = json.dumps(
        dict(members), separators=draw(STYLES), ensure_ascii=draw(st.booleans())
    ).encode("utf-8", "replace")
    return draw(st.sampled_from(["", " "])) + text.decode() + draw(st.sampled_from(["", "\r"]))


@st.composite
def backlogs(draw: st.DrawFn, ids: str = "abcdef") -> str:
    chosen = draw(st.lists(st.sampled_from(ids), unique=True))
    texts = [draw(lines(bead_id)) for bead_id in chosen]
    others = st.sampled_from(["", "  ", '{"_type":"memory","key":"k"}'])
    texts += draw(st.lists(others, max_size=2))
    return "\n".join(draw(st.permutations(texts))) + draw(st.sampled_from(["", "\n"]))


# Few ids and few values, so that three versions agree as often as they differ.
FEW = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from(["open", "closed"]), st.sampled_from("xy")),
    unique_by=lambda bead: bead[0],
).map(lambda beads: "".join(f'{{"id":"{i}","status":"{s}","title":"{t}"}}\n' for i, s, t in beads))


def changed(before: Backlog, after: Backlog) -> list[tuple[str, str]]:
    pairs = zip(before.lines, after.lines, strict=True)
    return [(old.text, new.text) for old, new in pairs if old.text != new.text]


def load(path: Path) -> str:
    return path.read_bytes().decode()


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_real_backlogs_come_back_byte_for_byte(path: Path) -> None:
    text = load(path)
    backlog = parse(text)
    assert dumps(backlog) == text
    records = [json.loads(line) for line in text.split("\n") if line]
    assert [bead.id for bead in backlog.beads] == [record["id"] for record in records]


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_closing_in_a_real_backlog_changes_four_fields_of_one_line(path: Path) -> None:
    backlog = parse(load(path))
    bead = next(bead for bead in backlog.beads if not bead.closed)
    closed = backlog.close(bead.id, 'landed in "abc"', NOW)
    ((old, new),) = changed(backlog, closed)
    before, after = json.loads(old), json.loads(new)
    for name in ("status", "updated_at", "closed_at", "close_reason"):
        before.pop(name, None)
    assert [after.pop("status"), after.pop("close_reason")] == ["closed", 'landed in "abc"']
    assert [after.pop("updated_at"), after.pop("closed_at")] == [STAMP, STAMP]
    assert list(after.items()) == list(before.items())
    spaced = '": ' in old
    assert ('"closed_at": "' in new) is spaced
    assert ('"closed_at":"' in new) is not spaced
    assert closed.get(bead.id).closed  # type: ignore[union-attr]


@settings(max_examples=50)
@given(backlogs())
def test_any_backlog_comes_back_byte_for_byte(text: str) -> None:
    assert dumps(parse(text)) == text


@settings(max_examples=60)
@given(backlogs(), st.text(max_size=20), st.data())
def test_closing_any_bead_changes_its_line_alone(text: str, reason: str, data: Any) -> None:
    backlog = parse(text)
    if not backlog.beads:
        return
    bead = data.draw(st.sampled_from(backlog.beads))
    closed = backlog.close(bead.id, reason, NOW)
    assert parse(dumps(closed)) == closed
    if bead.closed:
        assert closed is backlog
        return
    ((old, new),) = changed(backlog, closed)
    assert old.strip() in [line.strip() for line in text.split("\n")]
    before, after = json.loads(old), json.loads(new)
    written = {
        "status": "closed",
        "updated_at": STAMP,
        "closed_at": STAMP,
        "close_reason": reason,
    }
    assert after == {**before, **written}
    assert [name for name in after if name in before] == list(before)
    assert old.isascii() <= new.isascii()
    assert (old[0], old[-1]) == (new[0], new[-1])


def test_what_the_line_lacks_stands_where_the_tools_write_it() -> None:
    text = '{"id": "a", "title": "t", "created_at": "x", "labels": [1.0, 1e3], "n": "\\u00e9"}'
    line = parse(text).close("a", "why", NOW).lines[0].text
    assert line == (
        f'{{"id": "a", "title": "t", "created_at": "x", "updated_at": "{STAMP}", '
        f'"closed_at": "{STAMP}", "close_reason": "why", "labels": [1.0, 1e3], '
        '"n": "\\u00e9", "status": "closed"}'
    )


def test_names_inside_texts_and_nested_values_are_left_alone() -> None:
    text = '{"id":"a","description":"\\"status\\":\\"open\\"","metadata":{"status":"open"}}'
    record = json.loads(parse(text).close("a", "", NOW).lines[0].text)
    assert record["description"] == '"status":"open"'
    assert record["metadata"] == {"status": "open"}
    assert record["status"] == "closed"


@pytest.mark.parametrize(
    ("title", "spelled"), [("é", "ü"), ("\\u00e9", "\\u00fc"), ("e", "\\u00fc")]
)
def test_a_line_without_raw_unicode_stays_without(title: str, spelled: str) -> None:
    closed = parse(f'{{"id":"a","title":"{title}"}}').close("a", "ü", NOW)
    assert f'"close_reason":"{spelled}"' in dumps(closed)


def test_a_name_written_twice_is_closed_twice() -> None:
    closed = parse('{"id":"a","status":"blocked","status":"open"}').close("a", "", NOW)
    assert closed.lines[0].text.startswith('{"id":"a","status":"closed","status":"closed"')


def test_a_reason_that_no_file_can_hold_is_made_writable() -> None:
    closed = parse('{"id":"a","title":"é"}').close("a", "half \ud800", NOW)
    assert json.loads(dumps(closed).encode())["close_reason"] == "half ?"


@given(backlogs(), backlogs())
def test_what_was_read_before_changes_nothing_but_who_holds_it(text: str, other: str) -> None:
    like = parse(other)
    again = parse(text, like)
    assert again == parse(text)
    known = {line.text: line for line in like.lines}
    assert all(line is known[line.text] for line in again.lines if line.text in known)


def test_closing_a_bead_that_is_not_there_is_refused() -> None:
    with pytest.raises(TrackerError, match="no bead b"):
        parse('{"id":"a"}').close("b", "", NOW)


def test_closing_leaves_a_tombstone_alone() -> None:
    backlog = parse('{"id":"a","status":"tombstone"}')
    assert backlog.close("a", "", NOW) is backlog


def test_memories_and_blank_lines_are_kept_and_are_no_beads() -> None:
    text = '{"_type":"memory","id":"m"}\n\n \t\n{"_type":"issue","id":"a"}\r\n'
    backlog = parse(text)
    assert [bead.id for bead in backlog.beads] == ["a"]
    assert dumps(backlog) == text


def test_an_empty_file_is_an_empty_backlog() -> None:
    assert parse("").beads == ()
    assert dumps(parse("")) == ""


def test_a_byte_order_mark_stays_in_front() -> None:
    text = '\ufeff{"id":"a"}\n{"id":"b"}\n'
    backlog = parse(text)
    assert dumps(backlog) == text
    adopted = parse('{"id":"c"}\n').adopt("a", backlog)
    assert dumps(adopted) == '{"id":"c"}\n{"id":"a"}\n'
    assert dumps(backlog.adopt("c", adopted)).startswith("\ufeff{")


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ('{"id":"a"}\n{"id":"b",}\n', 2, 11),
        ('{"id":"a"}\n\n{"id":"b"', 3, 10),
        ("\ufeff[", 1, 2),
        ('{"id":"a"} {"id":"b"}', 1, 12),
        ('{"id":"a","x":"NaN \\" NaN","y":NaN}', 1, 32),
        ('{"id":"a","y":-Infinity}', 1, 15),
        ('{"id":"a","t":"raw\tTab"}', 1, 19),
        ("<<<<<<< HEAD\n", 1, 1),
        ("[1]", 1, 1),
        ('{"id":"a"}\n{"title":"no id"}', 2, 1),
        ('{"id":7}', 1, 1),
        ('{"id":"a","n":' + "1" * 5000 + "}", 1, 1),
        ('{"id":"a","n":' + "[" * 100_000 + "}", 1, 1),
    ],
)
def test_what_is_no_backlog_is_refused_by_line_and_column(
    text: str, line: int, column: int
) -> None:
    with pytest.raises(TrackerError) as caught:
        parse(text)
    assert f"line {line}, column {column}:" in str(caught.value)
    assert caught.value.safe
    assert f"line {line}" in caught.value.hint
    assert len(str(caught.value)) < 300


def test_an_id_that_stands_twice_is_refused_with_both_lines() -> None:
    with pytest.raises(TrackerError, match=r"line 3, .*bead a stands on line 1"):
        parse('{"id":"a"}\n{"id":"b"}\n{"id":"a","title":"again"}\n')


def test_adopting_adds_a_missing_bead_whole_and_no_other() -> None:
    base, other = parse('{"id":"a"}\n'), parse('{"id":"a","title":"n"}\n{"id": "b", "x": 1.0}\n')
    assert dumps(base.adopt("b", other)) == '{"id":"a"}\n{"id": "b", "x": 1.0}\n'
    assert base.adopt("a", other) is base
    assert base.adopt("c", other) is base
    assert dumps(parse('{"id":"a"}').adopt("b", other)) == '{"id":"a"}\n{"id": "b", "x": 1.0}'
    assert dumps(parse("").adopt("b", other)) == '{"id": "b", "x": 1.0}\n'


class TestOverlay:
    """base: what landed; ours: HEAD of the checkout; edits: its working file."""

    def overlaid(self, base: str, edits: str, ours: str) -> str:
        return dumps(overlay(parse(base), parse(edits), parse(ours)))

    def test_without_edits_it_is_the_base(self) -> None:
        base, ours = '{"id":"a","title":"new"}\n{"id":"b"}\n', '{"id":"a"}\n'
        assert self.overlaid(base, ours, ours) == base

    def test_an_edit_in_the_checkout_wins_over_an_untouched_base(self) -> None:
        edits = '{"id":"a","title":"edited"}\n'
        assert self.overlaid('{"id":"a"}\n', edits, '{"id":"a"}\n') == edits

    def test_another_spelling_of_the_same_data_is_no_edit(self) -> None:
        base = '{"id":"a","title":"from afar"}\n'
        assert self.overlaid(base, '{"title": "t", "id": "a"}', '{"id":"a","title":"t"}') == base

    def test_a_bead_added_in_the_checkout_stands_at_the_end(self) -> None:
        edits = '{"id":"n","title":"new"}\n{"id":"a"}\n'
        assert self.overlaid('{"id":"a"}\n', edits, '{"id":"a"}\n') == (
            '{"id":"a"}\n{"id":"n","title":"new"}\n'
        )

    def test_what_oya_closed_stays_closed_under_an_edit(self) -> None:
        base = '{"id":"a","status":"closed"}\n'
        assert self.overlaid(base, '{"id":"a","title":"edited"}\n', '{"id":"a"}\n') == base

    def test_what_the_user_closed_is_closed(self) -> None:
        edits = '{"id":"a","status":"closed"}\n'
        assert self.overlaid('{"id":"a","title":"x"}\n', edits, '{"id":"a"}\n') == edits

    def test_what_the_user_opened_again_is_open(self) -> None:
        closed, edits = '{"id":"a","status":"closed"}\n', '{"id":"a","status":"open"}\n'
        assert self.overlaid(closed, edits, closed) == edits

    def test_what_the_user_deleted_goes_unless_the_base_changed_it(self) -> None:
        ours = '{"id":"a"}\n{"id":"b"}\n'
        assert self.overlaid(ours, '{"id":"b"}\n', ours) == '{"id":"b"}\n'
        base = '{"id":"a","status":"closed"}\n{"id":"b"}\n'
        assert self.overlaid(base, '{"id":"b"}\n', ours) == base
        assert self.overlaid('{"id":"a"}', "", '{"id":"a"}') == ""

    def test_what_the_base_deleted_comes_back_only_if_it_was_edited(self) -> None:
        ours = '{"id":"a"}\n{"id":"b"}\n'
        edits = '{"id":"a","title":"edited"}\n{"id":"b"}\n'
        assert self.overlaid("", ours, ours) == ""
        assert self.overlaid("", edits, ours) == '{"id":"a","title":"edited"}\n'

    @given(FEW, FEW, FEW)
    def test_it_never_loses_a_bead_an_edit_or_a_closing(
        self, base_text: str, edits_text: str, ours_text: str
    ) -> None:
        base, edits, ours = parse(base_text), parse(edits_text), parse(ours_text)
        result = overlay(base, edits, ours)
        assert parse(dumps(result)) == result
        for bead_id in "abcd":
            mine, theirs, before, after = (
                None if line is None else json.loads(line.text)
                for line in (b.line(bead_id) for b in (edits, base, ours, result))
            )
            assert after in (mine, theirs)
            if mine == before:
                assert after == theirs
                continue
            if after is None:
                assert mine is None
                assert theirs is None or theirs == before
                continue
            closings = [r for r in (mine, theirs) if r and r.get("status") == "closed"]
            new = [r for r in closings if before is None or before.get("status") != "closed"]
            if new:
                assert after["status"] == "closed"
            elif mine is not None:
                assert after == mine
