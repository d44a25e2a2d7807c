"""Events as sentences."""

from __future__ import annotations

import inspect

import pytest

from oya.lifecycle import events
from oya.lifecycle.record import EventRecord
from oya.swarm import story


def record(event: str, **fields: object) -> EventRecord:
    known = {"swarm": "swarm-1", "bead": "a", **fields}
    return EventRecord(7, "2026-01-02T03:04:05.678901Z", event=event, **known)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (
            record(
                "claimed",
                from_="contract/pending",
                to="contract/in_progress",
                epoch=2,
                agent="test-writer-1",
                data={"backend": "codex", "role": "test_writer"},
            ),
            "test-writer-1 took it to write its contract with codex (epoch 2).",
        ),
        (
            record(
                "attempt_failed",
                from_="implementation/in_progress",
                to="implementation/failed",
                agent="implementer-2",
                class_="gate_red",
                reason="tests/test_a.py::test_b failed",
                data={"snapshot": "abc"},
            ),
            "The attempt of implementer-2 ended as gate_red: tests/test_a.py::test_b failed. "
            "Its work is kept. It has failed, and waits for a person.",
        ),
        (
            record(
                "attempt_failed",
                from_="implementation/in_progress",
                to="implementation/pending",
                agent="implementer-2",
                class_="gate_red",
                reason="red",
                data={"left_out": ["big.bin", "vendor/lib/"]},
            ),
            "The attempt of implementer-2 ended as gate_red: red. "
            "Left out, too large or no file: big.bin, vendor/lib/.",
        ),
        (
            record(
                "defended",
                from_="review/in_progress",
                to="landing/pending",
                data={"commit": "0123456789abcdef"},
            ),
            "The review found no survivor: defended at 012345678. Next: the landing queue.",
        ),
        (
            record("landed", to="landed/complete", data={"commit": "0123456789abcdef"}),
            "It landed as 012345678.",
        ),
        (
            record(
                "check_accepted", data={"discovered": [{"title": "Look"}, {"title": "And there"}]}
            ),
            "The planner accepted the contract. Noticed besides: Look; And there.",
        ),
        (record("held_by_person", reason="wait for Ada"), "A person held it: wait for Ada."),
        (
            record("check_revised", data={"findings": ["one", "two"]}),
            "The planner wants the contract revised: one (and 1 more).",
        ),
        (
            record("contested", data={"survivors": ["minus is lost"]}),
            "The review's challenges survived: minus is lost.",
        ),
        (
            record("contested", data={"survivors": ["line 3"], "mechanical": True}),
            "It goes back once for what no test notices: line 3.",
        ),
        (
            record("looked", data={"tried": 4, "more": True, "survivors": ["one", "two"]}),
            "Changed versions tried before the review: 4, and there was no room for more; "
            "found: one (and 1 more).",
        ),
        (
            record("looked", data={"tried": 1, "survivors": []}),
            "Changed versions tried before the review: 1; nothing found.",
        ),
        (
            record("looked", reason="the contract has no tests"),
            "Nothing was tried before the review: the contract has no tests.",
        ),
        (record("something_new", reason="who knows"), "Something new: who knows."),
    ],
)
def test_sentences(told: EventRecord, said: str) -> None:
    assert story.sentence(told) == said


def test_every_event_of_a_bead_has_a_sentence_of_its_own() -> None:
    kinds = [kind for _, kind in inspect.getmembers(events, inspect.isclass)]
    union = events.Event.__args__
    for kind in kinds:
        if kind in union:
            name = events._HUMP.sub("_", kind.__name__).lower()
            assert name in story._SENTENCES, name
            assert story.sentence(record(name)).endswith(".")


def test_the_story_says_what_a_person_is_asked_for() -> None:
    held = {"commit": "c" * 40, "hold": "protected"}
    why = "changes .gitmodules"
    for event in ("defended", "implementation_accepted"):
        told = story.sentence(record(event, to="landing/held", data=held, reason=why))
        assert told.endswith(" It waits for a person: protected (changes .gitmodules).")
    weak = story.sentence(record("contract_accepted", data={"kind": "none"}))
    assert weak == "The contract was accepted (none): no machine can prove it."


def test_a_story_is_one_line_an_event_whatever_the_reason_holds() -> None:
    told = story.why([record("blocked", reason="a\nb\n" + "x" * 1000)])
    assert len(told) == 1
    assert told[0].startswith("2026-01-02 03:04:05  It is blocked: a b xxx")
    assert "\n" not in told[0]
    assert len(told[0]) < 400


def test_a_line_names_the_bead() -> None:
    assert story.line(record("unblocked")) == "03:04:05  a  It is free again."
