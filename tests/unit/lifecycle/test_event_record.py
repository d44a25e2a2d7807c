"""The record of an event, as others read it."""

from __future__ import annotations

import json
import typing

from hypothesis import given
from hypothesis import strategies as st

from oya.lifecycle import events as e
from oya.lifecycle.record import EventRecord

text = st.none() | st.text(max_size=5)
records = st.builds(
    EventRecord,
    seq=st.integers(1, 2**53),
    at=st.text(max_size=30),
    swarm=text,
    bead=text,
    event=st.text(max_size=9),
    from_=text,
    to=text,
    epoch=st.none() | st.integers(0, 99),
    agent=text,
    class_=text,
    reason=text,
    data=st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3),
)


@given(records)
def test_it_comes_back_from_json_as_it_was(record: EventRecord) -> None:
    assert EventRecord.from_json(json.loads(json.dumps(record.to_json()))) == record


def test_its_names_and_their_order_are_those_of_the_page() -> None:
    row = EventRecord(1, "2026-01-01T00:00:00Z", None, "oya-1", "claimed").to_json()
    names = "seq at swarm bead event from to epoch agent class reason data"
    assert list(row) == names.split()


def test_what_it_does_not_know_it_ignores_and_what_is_missing_is_empty() -> None:
    row = {"seq": 1, "at": "now", "swarm": None, "bead": "a", "event": "claimed", "colour": "red"}
    assert EventRecord.from_json(row) == EventRecord(1, "now", None, "a", "claimed")


def test_events_are_named_in_snake_case_and_apart() -> None:
    assert e.name_of(e.HeldByPerson()) == "held_by_person"
    assert e.name_of(e.CannotDo(1, "unclear", "")) == "cannot_do"
    assert len({kind.__name__.lower() for kind in typing.get_args(e.Event)}) == 29
