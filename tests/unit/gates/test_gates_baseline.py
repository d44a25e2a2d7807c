"""Nothing may be red, or nothing may become red."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oya.gates import Case, Evidence, Outcome, Report
from oya.gates.baseline import judge_gate, judge_tests, reds
from oya.gates.model import EXIT_ONLY, Broken

OLD, BAD, NEW = "t.py::old", "t.py::bad", "t.py::new"


def of(report: Report | None, exit: int | None = None, gate: str = "tests") -> Evidence:
    """Evidence as a runner gives it: the exit code follows the report, unless it is given."""
    code = exit if exit is not None or report is None else int(bool(report.red))
    ok = code == 0 and report is not None and report.ran
    return Evidence("k", gate, "t", "run", code, 1.0, 1.0, ok, report, Path("log"), "it said so")


def cases(**outcomes: Outcome) -> Report:
    return Report(tuple(Case(f"t.py::{name}", outcome) for name, outcome in outcomes.items()))


def judge(tests: Evidence, parent: Evidence, *, no_worse: bool = True) -> tuple[str, ...]:
    """`new` is fail_to_pass, `old` passes on the parent."""
    return judge_tests(tests, parent, [NEW], [], [OLD], no_worse=no_worse)


P, F, S = Outcome.PASSED, Outcome.FAILED, Outcome.SKIPPED
PARENT = of(cases(old=P, bad=F))


def test_what_was_red_may_stay_red_and_explains_the_exit_code() -> None:
    tests = of(cases(old=P, bad=F, new=P))
    assert not tests.ok
    assert judge(tests, PARENT) == ()
    assert judge(tests, PARENT, no_worse=False)[0].startswith(BAD)


def test_where_the_parent_is_not_prepared_nobody_knows_what_passes_there() -> None:
    parent = replace(of(None, 1), prepared=False)
    assert not parent.complete
    assert judge(of(cases(new=P)), parent)[0].startswith("on the base: Gate `tests` could not run")
    assert reds([parent], no_worse=True) == ["`run` ([workspace] prepare) fails: it said so"]
    assert judge_gate(of(None, 1, "ci"), replace(parent, gate="ci")) != ()


def test_what_was_red_may_become_green_or_go() -> None:
    assert judge(of(cases(old=P, bad=P, new=P)), PARENT) == ()
    assert judge(of(cases(old=P, new=P)), PARENT) == ()


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (cases(old=F, bad=F, new=P), OLD),
        (cases(bad=F, new=P), OLD),
        (cases(old=S, bad=F, new=P), OLD),
        (cases(old=P, bad=F, new=F), NEW),
        (cases(old=P, bad=F), NEW),
        (cases(old=P, bad=F, new=P, other=F), "t.py::other"),
    ],
)
def test_nothing_may_become_red(report: Report, said: str) -> None:
    assert judge(of(report), PARENT)[0].startswith(said)


def test_a_file_that_could_not_be_collected_may_stay_so_or_fail_by_its_tests() -> None:
    broken = Broken("b.py", "E   boom", "other")
    parent = of(Report(cases(old=P).cases, (broken,)))
    green = cases(old=P, new=P).cases
    assert judge(of(Report(green, (broken,))), parent) == ()
    assert judge(of(Report((*green, Case("b.py::x", F)))), parent) == ()
    other = Broken("c.py", "E   boom", "other")
    assert judge(of(Report(green, (broken, other))), parent)[0].startswith("c.py: cannot be")


def test_another_case_of_a_red_test_is_not_the_same() -> None:
    parent = of(Report((Case("t.py::p[1]", F), Case(OLD, P))))
    tests = of(Report((Case("t.py::p[1]", F), Case("t.py::p[2]", F), Case(OLD, P), Case(NEW, P))))
    (finding,) = judge(tests, parent)
    assert finding.startswith("t.py::p[2]")


def test_an_exit_code_that_nothing_explains_counts() -> None:
    green = cases(old=P, bad=P, new=P)
    assert "exited with 2" in judge(of(green, 2), PARENT)[0]
    assert judge(of(green, 2), of(cases(old=P), 2)) == ()  # as on the parent: coverage, perhaps
    assert "exited with 2" in judge(of(green, 2), of(cases(old=P), 2), no_worse=False)[0]


@pytest.mark.parametrize("cut", [{"timed_out": True}, {"exit": None}])
def test_a_run_that_was_cut_short_counts(cut: dict[str, Any]) -> None:
    tests = replace(of(cases(old=P, bad=F, new=P)), **cut)
    assert judge(tests, PARENT) != ()


def test_no_report_is_red() -> None:
    assert judge(of(None, 1), PARENT) != ()


def test_nothing_collected_is_forgiven_where_nothing_was() -> None:
    empty = of(Report(), 5)
    assert judge_tests(empty, empty, [], [], []) == ()
    assert judge_tests(empty, of(cases(bad=S), 0), [], [], []) != ()
    assert judge(empty, empty)[0].startswith(NEW)


def test_a_gate_without_a_report_counts_where_the_parent_is_green() -> None:
    green, red = of(None, 0, "ci"), of(None, 1, "ci")
    green = replace(green, ok=True)
    assert judge_gate(green, None) == ()
    assert judge_gate(red, None) != ()
    assert judge_gate(red, green) != ()
    assert judge_gate(red, red) == ()
    assert judge_gate(replace(red, timed_out=True), red) != ()
    assert judge_gate(red, replace(red, exit=None)) != ()


def test_names_of_what_is_red_on_a_base() -> None:
    ci = of(Report((Case(EXIT_ONLY, F),)), gate="ci")
    assert reds([of(cases(old=P)), replace(of(None, 0, "quick"), ok=True)]) == []
    assert reds([PARENT, ci]) == [BAD, "ci: it said so"]
    assert reds([PARENT, ci], no_worse=True) == []
    assert reds([replace(ci, timed_out=True)], no_worse=True) == ["ci: it said so"]
    assert reds([of(None, 1)], no_worse=True) == ["tests: it said so"]
    assert reds([of(Report((Case(EXIT_ONLY, F),)))], no_worse=True) == ["tests: it said so"]


def test_a_base_without_tests_is_no_red_one_until_behaviour_has_landed() -> None:
    empty = of(Report(), 5)
    assert reds([empty]) == []
    assert reds([empty], may_be_empty=False) == ["tests: no test is collected any more"]
    assert reds([empty], no_worse=True, may_be_empty=False) != []


def test_a_real_suite_stays_as_red_as_it_was(
    run_suite: Callable[[Mapping[str, str]], Evidence],
) -> None:
    old = "def test_good():\n    pass\n\ndef test_bad():\n    assert 1 == 2\n"
    files = {"test_old.py": old, "test_broken.py": "import nowhere_at_all\n"}
    parent = run_suite(files)
    assert reds([parent]) == ["test_old.py::test_bad", "test_broken.py"]
    more = {**files, "test_new.py": "def test_new():\n    pass\n"}
    same = run_suite(more)
    owed = (["test_new.py::test_new"], [], ["test_old.py::test_good"])
    assert judge_tests(same, parent, *owed, no_worse=True) == ()
    worse = run_suite({**more, "test_old.py": old.replace("pass", "assert 0")})
    (finding,) = judge_tests(worse, parent, *owed, no_worse=True)
    assert finding.startswith("test_old.py::test_good")
