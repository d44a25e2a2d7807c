"""The implementation's verdict."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oya.gates import Case, Outcome, Report
from oya.gates.green import absent, judge_implementation, unstable
from oya.gates.model import Broken

A, B, C = "t.py::a", "t.py::b", "t.py::TestC::c"
GREEN = Report(tuple(Case(id, Outcome.PASSED) for id in (A, B, C)))


def report(outcome: Outcome, message: str = "") -> Report:
    return Report((Case(A, outcome, message), *GREEN.cases[1:]))


def test_all_present_and_passed_is_green() -> None:
    assert judge_implementation(GREEN, [A], [B], [C]) == ()


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize(
    ("now", "word"),
    [
        (report(Outcome.FAILED, "AssertionError: assert 1 == 2"), "assert 1 == 2"),
        (report(Outcome.ERROR, "teardown"), "teardown"),
        (report(Outcome.SKIPPED, "later"), "skipped"),
        (Report(GREEN.cases[1:]), "missing"),
        (Report(GREEN.cases[1:], (Broken("t.py", "E   boom", "other"),)), "did not run"),
    ],
)
def test_every_list_must_be_present_and_pass(now: Report, word: str, place: int) -> None:
    lists: list[list[str]] = [[], [], []]
    lists[place] = [A]
    findings = judge_implementation(now, lists[0], lists[1], lists[2])
    assert findings[0].startswith(A)
    assert word in findings[0]


def test_changes_free_only_what_passed_on_the_base() -> None:
    gone = Report(GREEN.cases[1:])
    assert judge_implementation(gone, [B], [], [A, C], changes=[A]) == ()
    assert judge_implementation(gone, [A], [], [], changes=[A]) != ()
    assert judge_implementation(report(Outcome.FAILED), [B], [], [A], changes=[A]) != ()


def test_a_red_test_or_a_broken_file_that_no_list_names_counts_too() -> None:
    assert A in judge_implementation(report(Outcome.FAILED), [B], [], [C])[0]
    broken = Report(GREEN.cases, (Broken("u.py", "E   ImportError: no", "other"),))
    assert judge_implementation(broken, [A], [], []) == (
        "u.py: cannot be collected: ImportError: no",
    )


def test_findings_are_bounded_and_told_once() -> None:
    cases = tuple(Case(f"t.py::t{n}", Outcome.FAILED, "line\n" * 900) for n in range(200))
    findings = judge_implementation(Report(cases), [case.id for case in cases], [], [cases[0].id])
    assert len(findings) == 30
    assert len("\n".join(findings)) < 20_000
    assert findings[0].count("line") == 12
    assert "\n" not in findings[15]


@given(st.lists(st.sampled_from([*Outcome, None]), min_size=3, max_size=3))
def test_green_means_that_all_are_present_and_passed(outcomes: list[Outcome | None]) -> None:
    cases = [Case(id, how) for id, how in zip((A, B, C), outcomes, strict=True) if how is not None]
    findings = judge_implementation(Report(tuple(cases)), [A], [B], [C])
    assert (findings == ()) == all(outcome is Outcome.PASSED for outcome in outcomes)


def test_a_verdict_that_differs_is_unstable() -> None:
    assert unstable([GREEN, report(Outcome.FAILED), GREEN], [A, B]) == (A,)
    assert unstable([GREEN, report(Outcome.SKIPPED)], [A]) == (A,)
    assert unstable([GREEN, None], [A]) == (A,)
    assert unstable([report(Outcome.FAILED)] * 3, [A]) == ()


@pytest.mark.parametrize(
    ("now", "gone"),
    [
        (GREEN, ()),
        (report(Outcome.FAILED), ()),
        (report(Outcome.SKIPPED, "later"), (A,)),
        (Report(GREEN.cases[1:]), (A,)),
        (Report(GREEN.cases[1:], (Broken("t.py", "E   boom", "other"),)), ()),
        (Report((Case("ci", Outcome.FAILED),)), ()),
    ],
)
def test_a_planned_test_that_does_not_run_is_told_from_a_red_one(
    now: Report, gone: tuple[str, ...]
) -> None:
    assert absent(now, [A, B]) == gone
