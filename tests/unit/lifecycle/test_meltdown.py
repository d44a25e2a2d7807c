"""When a backend is no longer trusted with a role, and when it still is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oya.lifecycle.failures import FailureClass
from oya.lifecycle.meltdown import Meltdown, Outcome
from oya.lifecycle.model import Role

WINDOW = 600.0
CRASH = FailureClass.AGENT_CRASH
MELTS = {CRASH, FailureClass.AGENT_STUCK, FailureClass.AGENT_EMPTY, FailureClass.INTERNAL}


def play(*ends: tuple[float, str, FailureClass | None], backend: str = "codex") -> list[bool]:
    melting = Meltdown(WINDOW)
    return [melting.ended(Role.IMPLEMENTER, backend, Outcome(*end)) for end in ends]


@pytest.mark.parametrize("failure", sorted(MELTS))
def test_three_failures_over_two_beads_are_a_meltdown(failure: FailureClass) -> None:
    assert play((0, "a", failure), (1, "b", failure), (2, "a", failure)) == [False, False, True]


@pytest.mark.parametrize("failure", sorted(set(FailureClass) - MELTS))
def test_no_other_class_ever_is(failure: FailureClass) -> None:
    assert not any(play(*[(n, f"bead-{n}", failure) for n in range(30)]))


def test_one_bad_bead_is_not_a_meltdown() -> None:
    assert not any(play(*[(n, "a", CRASH) for n in range(30)]))


def test_half_of_the_attempts_must_have_failed() -> None:
    good: list[tuple[float, str, FailureClass | None]] = [(n, f"g{n}", None) for n in range(4)]
    bad: list[tuple[float, str, FailureClass | None]] = [(10 + n, f"b{n}", CRASH) for n in range(4)]
    assert play(*good, *bad) == [False] * 7 + [True]


def test_what_lies_before_the_window_is_forgotten() -> None:
    assert not any(play((0, "a", CRASH), (1, "b", CRASH), (602, "c", CRASH)))
    assert play((0, "a", CRASH), (1, "b", CRASH), (600, "c", CRASH))[-1]


def test_roles_and_backends_are_counted_apart() -> None:
    melting = Meltdown(WINDOW)
    assert not melting.ended(Role.IMPLEMENTER, "codex", Outcome(0, "a", CRASH))
    assert not melting.ended(Role.REVIEWER, "codex", Outcome(1, "b", CRASH))
    assert not melting.ended(Role.IMPLEMENTER, "claude", Outcome(2, "c", CRASH))
    assert not melting.ended(Role.IMPLEMENTER, "codex", Outcome(3, "b", CRASH))
    assert melting.ended(Role.IMPLEMENTER, "codex", Outcome(4, "b", CRASH))


def test_the_causes_are_told_by_class() -> None:
    melting = Meltdown(WINDOW)
    for at, failure in enumerate([CRASH, FailureClass.GATE_RED, None, CRASH]):
        melting.ended(Role.IMPLEMENTER, "codex", Outcome(float(at), "a", failure))
    assert melting.causes(Role.IMPLEMENTER, "codex") == {"agent_crash": 2, "gate_red": 1}
    assert melting.causes(Role.REVIEWER, "codex") == {}


Ends = list[tuple[int, str, FailureClass | None]]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 200),
            st.sampled_from("abc"),
            st.none() | st.sampled_from(sorted(FailureClass)),
        ),
        max_size=40,
    )
)
def test_it_is_exactly_what_the_page_says(ends: Ends) -> None:
    now, history = 0, []
    melting = Meltdown(WINDOW)
    for pause, bead, failure in ends:
        now += pause
        history.append((now, bead, failure))
        seen = [end for end in history if end[0] >= now - WINDOW]
        bad = [end for end in seen if end[2] in MELTS]
        says = melting.ended(Role.PLANNER, "codex", Outcome(now, bead, failure))
        enough = len(bad) >= 3 and len({end[1] for end in bad}) >= 2
        assert says is (enough and len(bad) >= len(seen) / 2)
