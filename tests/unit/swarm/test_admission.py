"""Seats, parking, circuits: which backend may be given work now."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from oya.clock import SystemClock
from oya.lifecycle.failures import FailureClass
from oya.swarm.admission import (
    PARK_FIRST,
    PARK_LIMIT,
    RESET_JITTER,
    Admission,
    seats_by_memory,
)

LIMIT, DOWN, AUTH = FailureClass.PROVIDER_LIMIT, FailureClass.PROVIDER_DOWN, FailureClass.AUTH


class Clock(SystemClock):
    """`at` is monotonic; `ahead` is how far wall time went without it: suspend, or set by hand."""

    at = 1000.0
    ahead = 0.0

    def monotonic(self) -> float:
        return self.at

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=self.at + self.ahead)


@pytest.fixture
def clock() -> Clock:
    return Clock(1)


@pytest.fixture
def admission(clock: Clock) -> Admission:
    return Admission({"x": 3, "y": 3}, clock)


def refused(
    admission: Admission, failure: FailureClass = LIMIT, *, resets_at: float | None = None
) -> bool:
    """A session is given out, and the provider refuses it."""
    admission.took("x")
    return admission.ended("x", failure, "429", resets_at)


def over(admission: Admission, clock: Clock) -> float:
    """Let the time of x pass; the seconds that took."""
    until = admission.backends["x"].until
    assert until is not None
    waited, clock.at = until - clock.at, until
    return waited


def test_a_machine_that_is_short_of_room_is_waited_for_like_a_provider(
    admission: Admission, clock: Clock
) -> None:
    assert refused(admission, FailureClass.HOST_PRESSURE)
    assert admission.backends["x"].state == "parked"
    assert not admission.admits("x")
    over(admission, clock)
    assert admission.admits("x")


def test_no_more_sessions_than_seats(admission: Admission) -> None:
    for _ in range(3):
        assert admission.admits("x")
        admission.took("x")
    assert not admission.admits("x")
    assert admission.admits("y")
    admission.ended("x", None, "")
    assert admission.admits("x")


def test_there_is_a_seat_on_any_machine() -> None:
    assert seats_by_memory() >= 1


@pytest.mark.parametrize(("failure", "state"), [(LIMIT, "parked"), (DOWN, "down")])
def test_a_provider_that_refuses_is_left_alone_for_a_while(
    admission: Admission, clock: Clock, failure: FailureClass, state: str
) -> None:
    assert refused(admission, failure)
    assert (admission.backends["x"].state, admission.backends["x"].reason) == (state, "429")
    assert not admission.admits("x")
    assert admission.admits("y")
    over(admission, clock)
    assert admission.admits("x")


def test_one_outage_is_one_however_many_sessions_it_ends(admission: Admission) -> None:
    for _ in range(3):
        admission.took("x")
    assert admission.ended("x", LIMIT, "429")
    assert not admission.ended("x", LIMIT, "429")
    assert admission.backends["x"].refusals == 1


def test_afterwards_one_session_tries_while_others_go_on(
    admission: Admission, clock: Clock
) -> None:
    admission.took("x")  # began before, and takes long
    refused(admission)
    over(admission, clock)
    assert admission.admits("x")
    admission.took("x")
    assert not admission.admits("x"), "only one probe"


def test_a_probe_that_works_opens_the_backend(admission: Admission, clock: Clock) -> None:
    refused(admission)
    over(admission, clock)
    admission.took("x")
    assert admission.ended("x", None, "")
    assert (admission.backends["x"].state, admission.backends["x"].refusals) == ("ok", 0)


def test_what_was_under_way_when_the_outage_began_proves_nothing(admission: Admission) -> None:
    admission.took("x")
    refused(admission)
    assert not admission.ended("x", None, "")
    assert not admission.admits("x")


def test_a_probe_that_was_cancelled_leaves_room_for_another(
    admission: Admission, clock: Clock
) -> None:
    refused(admission)
    over(admission, clock)
    admission.took("x")
    admission.ended("x", FailureClass.CANCELLED, "")
    assert admission.backends["x"].state == "parked"
    assert admission.admits("x")


def test_the_wait_doubles_up_to_a_limit_with_jitter(admission: Admission, clock: Clock) -> None:
    waits = []
    for _ in range(14):
        refused(admission)
        waits.append(over(admission, clock))
    expected = [min(PARK_FIRST * 2**n, PARK_LIMIT) for n in range(14)]
    assert all(0.75 * e <= w <= 1.25 * e for e, w in zip(expected, waits, strict=True))
    assert len({w / e for e, w in zip(expected, waits, strict=True)}) > 1


def test_a_provider_that_refuses_for_weeks_is_still_asked(
    admission: Admission, clock: Clock
) -> None:
    """2 to the power of 1,100 is no float."""
    admission.backends["x"].refusals = 1100
    refused(admission)
    assert over(admission, clock) <= 1.25 * PARK_LIMIT


def test_a_limit_that_tells_its_end_is_waited_out(admission: Admission, clock: Clock) -> None:
    ends = []
    for wait in (3600.0, 20.0, 86400.0):
        assert refused(admission, resets_at=clock.at + wait)
        clock.at += wait - 0.01
        assert not admission.admits("x")
        clock.at += 0.01 + RESET_JITTER
        assert admission.admits("x")
        ends.append((admission.backends["x"].until or 0.0) - clock.at)
        admission.took("x")
        admission.ended("x", None, "")
    assert len(set(ends)) == 3, "with jitter"


@pytest.mark.parametrize("told", [0.0, -5.0, 0.5])
def test_an_end_that_is_told_again_and_again_is_not_believed(
    admission: Admission, clock: Clock, told: float
) -> None:
    for n in range(14):
        refused(admission, resets_at=clock.at + told)
        expected = min(PARK_FIRST * 2**n, PARK_LIMIT)
        assert 0.75 * expected <= over(admission, clock) <= 1.25 * expected


def test_who_tells_a_later_end_is_heard_while_it_is_parked(
    admission: Admission, clock: Clock
) -> None:
    for _ in range(5):
        admission.took("x")
    assert admission.ended("x", DOWN, "503")
    assert admission.ended("x", LIMIT, "429", clock.at + 600)
    assert not admission.ended("x", LIMIT, "429", clock.at + 600)
    assert not admission.ended("x", LIMIT, "429", clock.at + 30)
    assert not admission.ended("x", DOWN, "503"), "it would be tried too soon"
    access = admission.backends["x"]
    assert (access.state, access.refusals) == ("parked", 1)
    assert 600 <= over(admission, clock) <= 600 + RESET_JITTER


def test_a_machine_that_slept_through_a_named_end_does_not_wait_for_it_again(
    admission: Admission, clock: Clock
) -> None:
    refused(admission, resets_at=clock.at + 3 * 3600)
    clock.ahead += 3 * 3600 - 60
    assert not admission.admits("x")
    clock.ahead += 60 + RESET_JITTER
    assert admission.admits("x")
    admission.took("x")
    assert admission.ended("x", None, "")
    assert admission.backends["x"].state == "ok"


def test_a_backoff_that_nobody_named_is_waited_out_awake(
    admission: Admission, clock: Clock
) -> None:
    refused(admission)
    clock.ahead += 8 * 3600
    assert not admission.admits("x")
    over(admission, clock)
    assert admission.admits("x")


def test_a_clock_that_was_set_forward_costs_one_probe(admission: Admission, clock: Clock) -> None:
    refused(admission, resets_at=clock.at + 3600)
    clock.ahead += 4000
    assert admission.admits("x")
    assert refused(admission, resets_at=clock.at + 3600)
    assert not admission.admits("x")
    assert 3600 <= over(admission, clock) <= 3600 + RESET_JITTER


def test_a_clock_that_was_set_back_does_not_make_it_wait_longer(
    admission: Admission, clock: Clock
) -> None:
    refused(admission, resets_at=clock.at + 3600)
    clock.ahead -= 7200
    assert over(admission, clock) <= 3600 + RESET_JITTER
    assert admission.admits("x")


def test_without_a_login_it_stays_out_until_a_person_says_so(
    admission: Admission, clock: Clock
) -> None:
    admission.took("x")
    assert refused(admission, AUTH)
    admission.ended("x", None, "")
    clock.at += 10_000
    assert not admission.admits("x")
    assert not refused(admission, LIMIT), "being disabled is more than being parked"
    admission.enable_all()
    assert admission.admits("x")


def test_a_session_that_never_began_gives_its_seat_back_and_its_probe(
    admission: Admission, clock: Clock
) -> None:
    admission.took("x")
    admission.returned("x")
    assert admission.backends["x"].sessions == 0
    refused(admission)
    over(admission, clock)
    admission.took("x")
    assert not admission.admits("x"), "one probe at a time"
    admission.returned("x")
    assert admission.admits("x")
