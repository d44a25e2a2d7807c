"""Other work that agents noticed, as new lines of a backlog."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from oya.beads import Backlog, dumps, parse
from oya.beads.noticed import LONGEST, LONGEST_TITLE, MOST, Noticed, noticed, offer
from oya.beads.order import unfit
from oya.beads.where import parse_where
from oya.clock import stamp

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEXT = '{"id":"a-1","title":"First","status":"closed"}\n{"id":"a-2"}\n'
ALL = parse_where("")
FIXTURES = Path(__file__).parents[2] / "fixtures" / "beads"


def offered(text: str, *found: Noticed, bead: str = "a-1") -> tuple[str, Backlog]:
    backlog = offer(parse(text), bead, found, NOW)
    return dumps(backlog), backlog


def test_each_is_a_new_line_at_the_end_and_nothing_else_changes() -> None:
    text, backlog = offered(TEXT, Noticed("Look here", "It is old."), Noticed("And there"))
    assert text.startswith(TEXT)
    assert text.endswith("}\n")
    first, second = [json.loads(row) for row in text.removeprefix(TEXT).splitlines()]
    assert first == {
        "id": "a-1.d1",
        "title": "Look here",
        "description": "It is old.",
        "status": "deferred",
        "priority": 2,
        "issue_type": "task",
        "created_at": stamp(NOW),
        "created_by": "oya",
        "updated_at": stamp(NOW),
        "dependencies": [
            {
                "issue_id": "a-1.d1",
                "depends_on_id": "a-1",
                "type": "discovered-from",
                "created_at": stamp(NOW),
                "created_by": "oya",
            }
        ],
    }
    assert (second["id"], second["title"]) == ("a-1.d2", "And there")
    assert parse(text) == backlog


def test_none_is_claimed_until_a_person_opens_it() -> None:
    text, backlog = offered(TEXT, Noticed("Look here"))
    bead = backlog.get("a-1.d1")
    assert bead
    assert unfit(bead, ALL, NOW) == "status"
    opened = parse(text.replace("deferred", "open")).get("a-1.d1")
    assert opened
    assert unfit(opened, ALL, NOW) is None


def test_offering_twice_is_offering_once() -> None:
    found = (Noticed("Look here"), Noticed("And there"))
    text, backlog = offered(TEXT, *found)
    assert offer(backlog, "a-1", found, NOW) is backlog
    changed = parse(text.replace("Look here", "Looked").replace("deferred", "open"))
    assert offer(changed, "a-1", found, NOW) is changed


def test_without_the_bead_nothing_is_added() -> None:
    assert offered(TEXT, Noticed("x"), bead="a-9")[0] == TEXT


@pytest.mark.parametrize(
    ("like", "starts"),
    [
        ('{"id":"a-1"}', '{"id":"a-1.d1","title":"\\u00fc",'),
        ('{"id": "a-1", "title": "ö"}', '{"id": "a-1.d1", "title": "ü", '),
        ('{"_type":"issue","id":"a-1"}', '{"_type":"issue","id":"a-1.d1",'),
    ],
)
def test_it_is_spelled_as_the_beads_line_is(like: str, starts: str) -> None:
    text, _ = offered(f"{like}\n", Noticed("ü"))
    assert text.splitlines()[1].startswith(starts)


@pytest.mark.parametrize("name", sorted(path.name for path in FIXTURES.glob("*.jsonl")))
def test_real_backlogs_take_it(name: str) -> None:
    text = (FIXTURES / name).read_text()
    bead = parse(text).beads[-1].id
    after, backlog = offered(text, Noticed("Look here"), bead=bead)
    assert after.startswith(text.removesuffix("\n"))
    assert backlog.beads[:-1] == parse(text).beads
    assert [d.type for d in backlog.beads[-1].dependencies] == ["discovered-from"]


ROWS: list[tuple[list[Any], list[tuple[str, str]]]] = [
    ([{"title": "a", "description": "x"}], [("a", "x")]),
    ([{"title": " two\n lines\t"}], [("two lines", "")]),
    ([{"title": "a"}, {"title": "a", "description": "again"}], [("a", "")]),
    ([{"title": ""}, {"title": " \n"}, {}, None, "text", {"title": 3}], []),
    ([{"title": "\x1b[31mred\x07", "description": "a\x00b\nc\ud800"}], [("[31mred", "ab\nc?")]),
]


@pytest.mark.parametrize(("rows", "found"), ROWS)
def test_what_agents_say_is_taken_with_care(rows: list[Any], found: list[tuple[str, str]]) -> None:
    assert [(one.title, one.description) for one in noticed(rows)] == found


def test_it_is_bounded_and_what_comes_later_changes_nothing() -> None:
    rows = [{"title": f"{n} {'x' * 1000}", "description": "y" * 100_000} for n in range(50)]
    found = noticed(rows)
    assert len(found) == MOST
    assert {len(one.title) for one in found} == {LONGEST_TITLE}
    assert {len(one.description) for one in found} == {LONGEST}
    assert all(noticed(rows[:n]) == found[:n] for n in range(MOST))
