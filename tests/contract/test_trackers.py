"""What every tracker promises, whatever keeps its beads.

A new tracker joins by one entry in `BACKLOGS`: how to make one that holds a
JSONL text, and how to read back what others now find there.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from oya.beads.noticed import Noticed
from oya.errors import TrackerError
from oya.testing.simulation.git import GitDisk
from oya.testing.simulation.tracker import SimulatedTracker
from oya.trackers import Tracker
from oya.trackers.jsonl import JsonlTracker
from user_kit import Prompt

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TEXT = (
    '{"id":"a-1","title":"First","status":"open","own":{"x":1.0}}\n'
    '{"_type":"memory","key":"k"}\n'
    '{"id": "a-2", "title": "Zweite – “spaced”", "status": "in_progress"}\n'
)


@dataclass(frozen=True)
class Place:
    """One tracker, what others read in its backlog, and how they write it."""

    tracker: Tracker
    text: Callable[[], str]
    put: Callable[[str], object]
    remove: Callable[[], object]


def jsonl(root: Path) -> Place:
    file = root / ".beads" / "issues.jsonl"
    file.parent.mkdir()
    return Place(
        JsonlTracker(root),
        lambda: file.read_bytes().decode(),
        lambda text: file.write_bytes(text.encode("utf-8", "surrogateescape")),
        file.unlink,
    )


def simulated(root: Path) -> Place:
    working = GitDisk()
    files, path = working.working, ".beads/issues.jsonl"
    return Place(
        SimulatedTracker(working, Prompt()),
        lambda: files[path].decode(),
        lambda text: files.update({path: text.encode("utf-8", "surrogateescape")}),
        lambda: files.pop(path),
    )


BACKLOGS = {"beads-jsonl": jsonl, "simulated": simulated}


@pytest.fixture(params=BACKLOGS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    made = BACKLOGS[request.param](tmp_path)
    made.put(TEXT)
    assert made.tracker.kind == request.param
    return made


async def test_reading_gives_the_beads_in_order(place: Place) -> None:
    backlog = (await place.tracker.read()).backlog
    assert [(b.id, b.title) for b in backlog.beads] == [
        ("a-1", "First"),
        ("a-2", "Zweite – “spaced”"),
    ]


async def test_reading_changes_nothing(place: Place) -> None:
    await place.tracker.read()
    assert place.text() == TEXT


async def test_the_fingerprint_tells_whether_anything_changed(place: Place) -> None:
    first = await place.tracker.read()
    assert (await place.tracker.read()).fingerprint == first.fingerprint
    place.put(TEXT.replace("First", "Frist"))
    assert (await place.tracker.read()).fingerprint != first.fingerprint


async def test_reading_again_gives_what_is_there_now_and_keeps_what_did_not_change(
    place: Place,
) -> None:
    first = await place.tracker.read()
    same = await place.tracker.read(first)
    assert (same.backlog, same.fingerprint) == (first.backlog, first.fingerprint)
    assert same.backlog is first.backlog
    place.put(TEXT.replace("First", "Frist"))
    later = await place.tracker.read(same)
    assert [bead.title for bead in later.backlog.beads] == ["Frist", "Zweite – “spaced”"]
    assert later.fingerprint != first.fingerprint
    assert later.backlog.get("a-2") is first.backlog.get("a-2")


async def test_closing_closes_one_bead_and_nothing_else(place: Place) -> None:
    await place.tracker.close("a-2", "landed in 1f2e3d4", NOW)
    bead = (await place.tracker.read()).backlog.get("a-2")
    assert bead is not None
    assert (bead.status, bead.close_reason, bead.closed_at) == ("closed", "landed in 1f2e3d4", NOW)
    before, after = TEXT.split("\n"), place.text().split("\n")
    assert [after[0], after[1], after[3:]] == [before[0], before[1], before[3:]]
    assert json.loads(after[2])["title"] == "Zweite – “spaced”"


async def test_closing_twice_is_closing_once(place: Place) -> None:
    await place.tracker.close("a-1", "first", NOW)
    text = place.text()
    await place.tracker.close("a-1", "second", NOW)
    assert place.text() == text


async def test_what_was_found_is_offered_with_the_closing_and_once(place: Place) -> None:
    found = (Noticed("Look here", "It is old."), Noticed("And there"))
    await place.tracker.close("a-1", "first", NOW, found)
    backlog = (await place.tracker.read()).backlog
    assert [(b.id, b.title, b.status) for b in backlog.beads][2:] == [
        ("a-1.d1", "Look here", "deferred"),
        ("a-1.d2", "And there", "deferred"),
    ]
    assert backlog.beads[0].closed
    text = place.text()
    assert text.split("\n")[1:3] == TEXT.split("\n")[1:3]
    await place.tracker.close("a-1", "second", NOW, found)
    assert place.text() == text


async def test_nothing_is_offered_where_nothing_can_be_closed(place: Place) -> None:
    with pytest.raises(TrackerError, match="a-9"):
        await place.tracker.close("a-9", "done", NOW, (Noticed("Look here"),))
    assert place.text() == TEXT


async def test_closing_keeps_what_others_wrote_since_it_was_read(place: Place) -> None:
    await place.tracker.read()
    place.put(TEXT + '{"id":"a-3"}\n')
    await place.tracker.close("a-1", "done", NOW)
    backlog = (await place.tracker.read()).backlog
    assert [(b.id, b.closed) for b in backlog.beads] == [
        ("a-1", True),
        ("a-2", False),
        ("a-3", False),
    ]


async def test_closing_an_unknown_bead_is_refused_and_changes_nothing(place: Place) -> None:
    with pytest.raises(TrackerError, match="a-9"):
        await place.tracker.close("a-9", "done", NOW)
    assert place.text() == TEXT


async def test_a_damaged_backlog_is_refused_whole_and_left_as_it_is(place: Place) -> None:
    damaged = TEXT + '{"id":"a-3"\n'
    place.put(damaged)
    with pytest.raises(TrackerError, match="line 4, column 12"):
        await place.tracker.read()
    with pytest.raises(TrackerError, match="line 4, column 12"):
        await place.tracker.close("a-1", "done", NOW)
    assert place.text() == damaged


async def test_a_backlog_that_is_no_text_is_refused(place: Place) -> None:
    place.put(TEXT + '{"id":"a-3","title":"\udcff"}\n')
    with pytest.raises(TrackerError, match="line 4, column 22: this is no UTF-8"):
        await place.tracker.read()
    with pytest.raises(TrackerError, match="line 4"):
        await place.tracker.close("a-1", "done", NOW)


async def test_where_there_is_no_backlog_it_says_so(place: Place) -> None:
    known = await place.tracker.read()
    place.remove()
    for asked in (
        place.tracker.read(),
        place.tracker.read(known),
        place.tracker.close("a-1", "done", NOW),
    ):
        with pytest.raises(TrackerError, match="There is no backlog") as caught:
            await asked
        assert caught.value.safe
        assert caught.value.hint


async def test_the_path_is_below_the_root(place: Place) -> None:
    assert place.tracker.path == ".beads/issues.jsonl"
