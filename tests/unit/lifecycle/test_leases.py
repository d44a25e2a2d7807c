"""Who holds a bead, until when, and what happens when time jumps."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oya.lifecycle.leases import Lease, Leases

TERM = 120.0


@pytest.fixture
def leases() -> Leases:
    return Leases(TERM)


def watch(leases: Leases, start: float, end: float, every: float = 10.0) -> list[Lease]:
    """Look as the daemon does, and gather what has expired."""
    over: list[Lease] = []
    now = start
    while now <= end:
        over += leases.expired(now)
        now += every
    return over


def test_an_unrenewed_lease_expires_at_its_deadline_and_once(leases: Leases) -> None:
    lease = leases.grant("a", 1, "implementer-1", 0.0)
    assert lease.deadline == TERM
    assert watch(leases, 0.0, 110.0) == []
    assert leases.expired(120.0) == (lease,)
    assert leases.expired(130.0) == ()
    assert leases.holds("a") is None


def test_a_renewed_lease_does_not(leases: Leases) -> None:
    leases.grant("a", 1, "implementer-1", 0.0)
    watch(leases, 0.0, 100.0)
    assert leases.renew("a", 1, 100.0)
    assert watch(leases, 110.0, 210.0) == []
    assert [lease.bead for lease in leases.expired(220.0)] == ["a"]


def test_only_the_epoch_that_holds_it_renews_and_ends_it(leases: Leases) -> None:
    leases.grant("a", 1, "implementer-1", 0.0)
    second = leases.grant("a", 2, "implementer-2", 10.0)
    assert not leases.renew("a", 1, 20.0)
    leases.end("a", 1)
    assert leases.holds("a") == second
    leases.end("a", 2)
    assert leases.holds("a") is None
    assert not leases.renew("a", 2, 30.0)


def test_expired_leases_come_in_the_order_they_were_granted(leases: Leases) -> None:
    for bead in ("c", "a", "b"):
        leases.grant(bead, 1, "agent", 0.0)
    leases.grant("c", 2, "agent", 0.0)
    assert [lease.bead for lease in watch(leases, 0.0, 120.0)] == ["a", "b", "c"]


def test_after_a_gap_of_the_clock_live_leases_are_renewed_before_any_expires(
    leases: Leases,
) -> None:
    leases.grant("a", 1, "implementer-1", 0.0)
    watch(leases, 0.0, 50.0)
    assert leases.expired(4000.0) == ()
    lease = leases.holds("a")
    assert lease is not None
    assert lease.deadline == 4000.0 + TERM
    assert watch(leases, 4010.0, 4110.0) == []
    assert leases.expired(4120.0) == (lease,)


def test_a_gap_before_the_first_look_is_a_gap_too(leases: Leases) -> None:
    leases.grant("a", 1, "implementer-1", 0.0)
    assert leases.expired(4000.0) == ()
    assert leases.holds("a") is not None


def test_a_bead_that_slept_through_a_gap_is_not_given_back_to_its_old_epoch(
    leases: Leases,
) -> None:
    leases.grant("a", 1, "implementer-1", 0.0)
    leases.grant("a", 2, "implementer-2", 1.0)
    leases.expired(4000.0)
    held = leases.holds("a")
    assert held is not None
    assert held.epoch == 2


@given(st.lists(st.integers(1, 60), min_size=1, max_size=60), st.integers(1, 60))
def test_whoever_renews_at_every_look_keeps_it_and_whoever_stops_loses_it(
    pauses: list[int], last: int
) -> None:
    leases, now = Leases(TERM), 0
    lease = leases.grant("a", 1, "agent", now)
    for pause in pauses:
        now += pause
        assert leases.expired(now) == ()
        assert leases.renew("a", 1, now)
    lost: tuple[Lease, ...] = ()
    renewed = now
    while not lost:
        now += last
        lost = leases.expired(now)
        assert now - renewed <= TERM + last
    assert (lost[0].bead, lost[0].epoch) == (lease.bead, lease.epoch)
    assert now - renewed >= TERM
