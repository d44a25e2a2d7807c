"""What the landing queue decides: everything good lands, in order, and the guilty one is found."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, log2

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oya.lifecycle.queue import Decision, Odds, decide, room

BEADS = st.lists(st.booleans(), min_size=1, max_size=20)
"""Whether each bead is good."""


def batches(count: int, size: int) -> list[int]:
    return [min(end, count) for end in range(size, count + size, size)]


def work_off(
    beads: list[bool],
    size: int,
    *,
    verdict: Callable[[list[int]], bool],
    hint: Callable[[list[int]], int] = lambda stack: 0,
) -> tuple[list[int], list[int], int]:
    """Beads by number: those that landed, those that left, and how many commits were judged."""
    waiting, landed, left, runs = list(range(len(beads))), list[int](), list[int](), 0
    verdicts: dict[int, bool] = {}
    hints: dict[int, int] = {}
    while waiting:
        decision = decide(batches(len(waiting), size), verdicts, hints)
        if decision.land:
            landed += waiting[: decision.land]
            waiting = waiting[decision.land :]
            verdicts = {n - decision.land: ok for n, ok in verdicts.items() if n > decision.land}
            hints = {n - decision.land: at - decision.land for n, at in hints.items()}
        elif decision.guilty:
            assert decision.guilty == 1
            left.append(waiting.pop(0))
            verdicts, hints = {}, {}
        else:
            place = decision.probe[0]
            stack = [*landed, *waiting[:place]]
            verdicts[place], hints[place] = verdict(stack), hint(waiting[:place])
            runs += 1
    return landed, left, runs


@given(BEADS, st.integers(1, 8), st.integers(0, 20))
def test_good_beads_land_in_order_and_only_bad_ones_leave(
    beads: list[bool], size: int, hint: int
) -> None:
    landed, left, _ = work_off(
        beads, size, verdict=lambda stack: all(beads[n] for n in stack), hint=lambda _: hint
    )
    assert landed == [n for n, good in enumerate(beads) if good]
    assert left == [n for n, good in enumerate(beads) if not good]


@given(st.integers(1, 16), st.data())
def test_one_bad_bead_is_found_by_halves(count: int, data: st.DataObject) -> None:
    bad = data.draw(st.integers(0, count - 1))
    beads = [n != bad for n in range(count)]
    _, _, runs = work_off(beads, count, verdict=lambda stack: bad not in stack)
    rest = bool(count - bad - 1)
    assert runs <= 1 + ceil(log2(count)) + rest


@given(st.integers(2, 16), st.data())
def test_a_right_hint_finds_it_with_two_runs(count: int, data: st.DataObject) -> None:
    bad = data.draw(st.integers(0, count - 1))

    def accused(stack: list[int]) -> int:
        return stack.index(bad) + 1 if bad in stack else 0

    beads = [n != bad for n in range(count)]
    _, left, runs = work_off(beads, count, verdict=lambda s: bad not in s, hint=accused)
    rest = bool(count - bad - 1)
    assert left == [bad]
    assert runs <= 3 + rest


@given(BEADS, st.integers(1, 8), st.randoms(use_true_random=False))
def test_whatever_the_gates_say_it_comes_to_an_end_and_nothing_red_lands(
    beads: list[bool], size: int, chance: object
) -> None:
    """Verdicts that fit no theory: a later bead may mend what an earlier one broke."""
    said: dict[tuple[int, ...], bool] = {}

    def verdict(stack: list[int]) -> bool:
        return said.setdefault(tuple(stack), bool(chance.getrandbits(1)))  # type: ignore[attr-defined]

    landed, left, _ = work_off(beads, size, verdict=verdict)
    assert sorted(landed + left) == list(range(len(beads)))
    tops = [n for n in range(1, len(landed) + 1) if said.get(tuple(landed[:n]))]
    assert not landed or tops[-1] == len(landed), "the last commit was judged green"


@pytest.mark.parametrize(
    ("ends", "verdicts", "decision"),
    [
        ([], {}, Decision()),
        ([1, 2, 3], {}, Decision(probe=(1, 2, 3))),
        ([1, 2, 3], {1: True, 3: True}, Decision(land=1, probe=(2,))),
        ([1, 2, 3], {2: False}, Decision(probe=(1,))),
        ([1, 2, 3], {1: True, 2: False}, Decision(land=1, guilty=2)),
        ([4], {4: True}, Decision(land=4)),
        ([8, 16], {}, Decision(probe=(8, 16))),
        ([8, 16], {8: False, 16: True}, Decision(probe=(4,))),
        ([8], {8: False, 4: True, 6: False}, Decision(land=4, probe=(5,))),
    ],
)
def test_what_is_decided(ends: list[int], verdicts: dict[int, bool], decision: Decision) -> None:
    assert decide(ends, verdicts) == decision


class TestRoom:
    def test_the_first_batch_is_always_worth_while(self) -> None:
        hopeless = Odds(reds=100, judged=100)
        assert room(0, 0, at_once=2, batch=8, prove="top", odds=hopeless) == 1
        assert room(0, 0, at_once=2, batch=8, prove="all", odds=hopeless) == 1

    def test_on_top_of_others_only_where_they_are_likely_to_be_green(self) -> None:
        bad, good = Odds(reds=5, judged=10), Odds(reds=0, judged=200)
        assert room(8, 1, at_once=2, batch=8, prove="top", odds=bad) == 0
        assert room(8, 1, at_once=2, batch=8, prove="top", odds=good) == 8

    def test_where_many_are_red_a_batch_is_smaller(self) -> None:
        sizes = [
            room(0, 0, at_once=2, batch=8, prove="top", odds=Odds(reds, 100))
            for reds in (0, 10, 20, 40)
        ]
        assert sizes == [8, 8, 4, 2]

    def test_no_more_than_can_be_judged_at_once_or_a_batch_has(self) -> None:
        good = Odds(judged=1000)
        assert room(2, 2, at_once=2, batch=8, prove="all", odds=good) == 0
        assert room(8, 8, at_once=16, batch=8, prove="all", odds=good) == 0
        assert room(7, 7, at_once=16, batch=8, prove="all", odds=good) == 1

    def test_what_was_seen_counts(self) -> None:
        assert Odds().seen(green=90).all_green(8) > 0.9
        assert Odds().seen(red=40).all_green(1) < 0.2
