"""Every pair of state and event: what docs/semantics.md has a row for applies, all else is refused.

The table below is written by hand from that page.
"""

from __future__ import annotations

import typing
from dataclasses import replace

import pytest

from lifecycle_kit import LIMITS, defended, events_for, refused, states
from oya.errors import RefusedError
from oya.lifecycle import events as e
from oya.lifecycle.model import BeadState, Hold, Status
from oya.lifecycle.table import transition

ANY_BEFORE_LANDED = "edited blocked removed held_by_person"
ATTEMPT_ENDS = "attempt_failed lease_expired"

ROWS = {
    "never added": f"added claimed {ANY_BEFORE_LANDED}",
    "contract pending": f"claimed {ANY_BEFORE_LANDED}",
    "contract working": f"contract_accepted cannot_do {ATTEMPT_ENDS} {ANY_BEFORE_LANDED}",
    "contract blocked": f"unblocked {ANY_BEFORE_LANDED}",
    "contract left": f"unblocked {ATTEMPT_ENDS} {ANY_BEFORE_LANDED}",
    "check pending": f"claimed {ANY_BEFORE_LANDED}",
    "check working": f"check_accepted check_revised {ATTEMPT_ENDS} {ANY_BEFORE_LANDED}",
    "implementation pending": f"claimed {ANY_BEFORE_LANDED}",
    "implementation working": (
        f"implementation_accepted cannot_do {ATTEMPT_ENDS} {ANY_BEFORE_LANDED}"
    ),
    "review pending": f"claimed {ANY_BEFORE_LANDED}",
    "review working": (
        f"defended contested forfeited review_stalled cannot_do {ATTEMPT_ENDS} {ANY_BEFORE_LANDED}"
    ),
    "landing pending": f"withheld landing_started {ANY_BEFORE_LANDED}",
    "landing blocked": f"withheld unblocked {ANY_BEFORE_LANDED}",
    "landing working": "landed landing_left landing_conflicted",
    "landed": "undone",
    "removed": "reopened",
    "failed": f"retried {ANY_BEFORE_LANDED}",
    "failed in landing": f"retried {ANY_BEFORE_LANDED}",
    "held person": f"released {ANY_BEFORE_LANDED}",
    "held person, left": f"released {ATTEMPT_ENDS} {ANY_BEFORE_LANDED}",
    "held approval": f"approved rejected {ANY_BEFORE_LANDED}",
    "held protected": f"approved rejected {ANY_BEFORE_LANDED}",
    "held weak_contract": f"approved rejected {ANY_BEFORE_LANDED}",
    "held approval, blocked": f"approved rejected unblocked {ANY_BEFORE_LANDED}",
    "held question": f"retried {ANY_BEFORE_LANDED}",
    "held already_done": f"retried {ANY_BEFORE_LANDED}",
    "held undone": "retried",
}

STATES = states()
PAIRS = [
    pytest.param(name, state, event, id=f"{name}-{e.name_of(event)}")
    for name, state in STATES.items()
    for event in events_for(state)
]


def test_the_pairs_cover_every_event_and_every_state() -> None:
    assert {type(event) for event in events_for(BeadState("b"))} == set(typing.get_args(e.Event))
    assert ROWS.keys() == STATES.keys()


@pytest.mark.parametrize(("name", "state", "event"), PAIRS)
def test_only_the_rows_of_the_table_apply(name: str, state: BeadState, event: e.Event) -> None:
    assert refused(state, event) is (e.name_of(event) not in ROWS[name].split())


@pytest.mark.parametrize(("name", "state"), STATES.items(), ids=STATES)
def test_a_result_under_another_epoch_is_always_refused(name: str, state: BeadState) -> None:
    for epoch in {state.epoch - 1, state.epoch + 1, 0} - {state.epoch}:
        for event in events_for(state, epoch):
            if hasattr(event, "epoch"):
                assert refused(state, event), event


def test_a_refusal_says_where_the_bead_is_and_is_exit_2() -> None:
    with pytest.raises(RefusedError) as refusal:
        transition(STATES["held approval"], e.Retried(), LIMITS)
    assert refusal.value.exit_code == 2
    assert refusal.value.lines() == [
        "oya-1 is landing/held (approval): retried does not apply",
        "Nothing was changed.",
    ]


def test_an_old_epoch_is_named() -> None:
    working = replace(STATES["contract working"], epoch=7)
    with pytest.raises(RefusedError, match="epoch 6 is over, 7 is current"):
        transition(working, e.LeaseExpired(6, "late"), LIMITS)


def test_a_person_hears_that_a_bead_is_landing_now() -> None:
    with pytest.raises(RefusedError, match="it is landing now; try again"):
        transition(STATES["landing working"], e.HeldByPerson(), LIMITS)


def test_a_verdict_on_another_head_than_the_accepted_one_is_refused() -> None:
    working = STATES["review working"]
    assert refused(working, e.Defended(working.epoch, "another"))


@pytest.mark.parametrize("hold", [Hold.PERSON, Hold.QUESTION, Hold.ALREADY_DONE, Hold.UNDONE])
def test_reviewed_work_waits_only_for_what_approve_answers(hold: Hold) -> None:
    working = STATES["review working"]
    assert refused(working, defended(hold)(working))
    implementing = STATES["implementation working"]
    assert refused(implementing, e.ImplementationAccepted(implementing.epoch, "w", "b", hold))


def test_the_states_are_what_they_are_called() -> None:
    words = {"pending": Status.PENDING, "working": Status.IN_PROGRESS, "failed": Status.FAILED}
    for name, state in STATES.items():
        for word, status in words.items():
            if word in name.split():
                assert state.status is status, name
        if name.startswith("held"):
            assert state.status is Status.HELD
            assert str(state.hold) == name.split()[1].rstrip(",")
        elif not name.startswith(("never", "failed", "removed")):
            assert name.split()[0] in state.where.replace(":", " ").split("/")[0].split()
