"""The contract's verdict, by examples that need no runner."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oya.gates import Case, Outcome, Report
from oya.gates.model import Broken, ancestors, file_of
from oya.gates.project import project_names
from oya.gates.reason import Reason, of_case, of_collection
from oya.gates.red import ContractVerdict, judge_contract, judge_preserved

NAMES = project_names(["src/larder/amount.py", "tests/helpers.py", "docs/shop/plan.md", "one.py"])
RED = "AssertionError: assert 1 == 2"


def passed(*ids: str) -> tuple[Case, ...]:
    return tuple(Case(id, Outcome.PASSED) for id in ids)


def failed(*ids: str, message: str = RED) -> tuple[Case, ...]:
    return tuple(Case(id, Outcome.FAILED, message) for id in ids)


def judge(
    planned: Sequence[str],
    base: Report,
    contract: Report,
    changes: Sequence[str] = (),
    files: Sequence[str] = ("t_new.py",),
) -> ContractVerdict:
    return judge_contract(planned, base, contract, files, NAMES, changes)


BASE = Report(passed("t_old.py::a", "t_old.py::b[1]", "t_old.py::b[2]"))


def test_red_guards_and_the_rest() -> None:
    contract = Report((*BASE.cases, *failed("t_new.py::x"), *passed("t_new.py::y")))
    found = judge(["t_new.py::x", "t_new.py::y", "t_new.py::x"], BASE, contract)
    assert found == ContractVerdict(
        ("t_new.py::x",), ("t_new.py::y",), ("t_old.py::a", "t_old.py::b[1]", "t_old.py::b[2]"), ()
    )
    assert found.ok


def test_one_red_case_makes_its_id_red() -> None:
    contract = Report((*BASE.cases, *passed("t_new.py::x[1]"), *failed("t_new.py::x[2]")))
    assert judge(["t_new.py::x"], BASE, contract).fail_to_pass == ("t_new.py::x",)


def test_one_skipped_case_is_a_finding() -> None:
    skipped = Case("t_new.py::x[1]", Outcome.SKIPPED, "no network")
    contract = Report((*BASE.cases, skipped, *failed("t_new.py::x[2]")))
    assert "no network" in judge(["t_new.py::x"], BASE, contract).findings[0]


def test_something_must_be_red() -> None:
    contract = Report((*BASE.cases, *passed("t_new.py::x")))
    assert "nothing is red" in judge(["t_new.py::x"], BASE, contract).findings[0]
    assert judge([], BASE, contract).findings == ("no test is planned",)


def test_a_red_test_that_nobody_planned_is_a_finding() -> None:
    contract = Report((*BASE.cases, *failed("t_new.py::x", "t_new.py::z")))
    (finding,) = judge(["t_new.py::x"], BASE, contract).findings
    assert finding.startswith("t_new.py::z: red, but not in the test plan")


@pytest.mark.parametrize(
    ("now", "word"),
    [
        (failed("t_old.py::a"), "is failed now"),
        ((Case("t_old.py::a", Outcome.SKIPPED),), "is skipped now"),
        ((), "is gone"),
    ],
)
def test_a_base_test_that_the_contract_breaks(now: tuple[Case, ...], word: str) -> None:
    contract = Report((*BASE.cases[1:], *now, *failed("t_new.py::x")))
    (finding,) = judge(["t_new.py::x"], BASE, contract).findings
    assert finding.startswith("t_old.py::a: ")
    assert word in finding


def test_a_base_test_that_is_red_now_is_told_with_the_case_that_is_and_its_message() -> None:
    contract = Report(
        (*BASE.cases[:2], *failed("t_old.py::b[2]"), *failed("t_new.py::x")),
    )
    (finding,) = judge(["t_new.py::x"], BASE, contract).findings
    assert finding == (
        "t_old.py::b[2]: passes on the base and is failed now (AssertionError: assert 1 == 2); "
        "name it in `changes`, or leave it as it was"
    )


def test_where_a_whole_file_did_not_run_nobody_is_told_that_its_tests_are_gone() -> None:
    broken = Broken("conf.py", "E   ValueError: 3", "other")
    for because, more in (((), ""), ((broken,), " (conf.py: cannot be collected: ValueError: 3)")):
        contract = Report(failed("t_new.py::x"), because)
        told = judge(["t_new.py::x"], BASE, contract).findings[0]
        assert told == (
            f"t_old.py::a: passes on the base, and no test of its file ran now{more}; name it in "
            "`changes` only if it is to go"
        )


@pytest.mark.parametrize(
    "message", ["--- FAIL: TestN (0.00s)\npanic: nil map\n\ngoroutine 6", "did not end\nexit 3"]
)
def test_a_test_that_ends_its_whole_package_is_told_for_those_that_did_not_run(
    message: str,
) -> None:
    base = Report(passed("a/x_test.go::TestX", "b/y_test.go::TestY"))
    new = failed("a/new_test.go::TestN", message=message)
    planned = ["a/new_test.go::TestN", "a/new_test.go::TestM"]
    found = judge(planned, base, Report((*base.cases[1:], *new)), files=["a/new_test.go"])
    assert [finding.partition(", since ")[0] for finding in found.findings] == [
        "a/new_test.go::TestM: planned, but did not run",
        "a/x_test.go::TestX: passes on the base, but did not run",
    ]
    for finding in found.findings:
        assert "since a/new_test.go::TestN ended its whole package" in finding
        assert "`changes`" not in finding


def test_changes_free_a_base_test_and_its_cases() -> None:
    contract = Report((*passed("t_old.py::a"), *failed("t_new.py::x")))
    found = judge(["t_new.py::x"], BASE, contract, changes=["t_old.py::b"])
    assert found.ok
    assert found.pass_to_pass == ("t_old.py::a",)


def test_a_changed_test_that_is_red_must_be_planned() -> None:
    contract = Report((*failed("t_old.py::a"), *BASE.cases[1:], *failed("t_new.py::x")))
    assert not judge(["t_new.py::x"], BASE, contract, changes=["t_old.py::a"]).ok
    files = ["t_new.py", "t_old.py"]
    found = judge(["t_new.py::x", "t_old.py::a"], BASE, contract, ["t_old.py::a"], files)
    assert found.ok
    assert found.fail_to_pass == ("t_new.py::x", "t_old.py::a")


def test_a_planned_test_that_was_green_on_the_base_must_be_named_in_changes() -> None:
    contract = Report((*failed("t_old.py::a"), *BASE.cases[1:]))
    assert "`changes`" in judge(["t_old.py::a"], BASE, contract, files=["t_old.py"]).findings[0]


def test_tests_of_a_file_that_waits_for_a_name_come_back_with_it() -> None:
    broken = Broken("t_old.py", "E   ImportError: …", "missing_project_name")
    contract = Report((), (broken,))
    found = judge(["t_old.py::new"], BASE, contract, files=["t_old.py"])
    assert found.ok
    assert found.pass_to_pass == tuple(case.id for case in BASE.cases)
    assert not judge(["t_old.py::new"], BASE, contract, files=["t_new.py"]).ok


def test_a_runner_in_a_subfolder_names_the_contracts_files_from_there() -> None:
    broken = Broken("tests/t_new.py", "E   ImportError: …", "missing_project_name")
    planned = ["tests/t_new.py::new"]
    assert judge(planned, BASE, Report(BASE.cases, (broken,)), files=["back/tests/t_new.py"]).ok
    found = judge(planned, BASE, Report(BASE.cases, (broken,)), files=["back/t_new.py"])
    assert "none of test_files" in found.findings[0]


def test_what_is_compiled_with_a_broken_file_comes_back_with_it_and_nothing_else() -> None:
    base = Report(passed("a/x_test.go::TestX", "a/b/y_test.go::TestY", "z_test.go::TestZ"))
    for unit, gone in (
        ("a/*", {1, 2}),
        ("a/**", {2}),
        ("**", set()),
        ("*", {0, 1}),
        ("", {0, 1, 2}),
    ):
        broken = Broken("a/new_test.go", "undefined: shop.New", "missing_project_name", unit)
        found = judge(
            ["a/new_test.go::TestN"], base, Report((), (broken,)), files=["a/new_test.go"]
        )
        lost = {finding.partition(": ")[0] for finding in found.findings}
        assert lost == {base.cases[n].id for n in gone}


def test_a_healthy_file_beside_one_that_nobody_can_mend_is_not_red() -> None:
    broken = (
        Broken("a/new_test.go", "undefined: New", "missing_project_name", "a/*"),
        Broken("a/bad_test.go", "expected operand", "syntax", "a/*"),
    )
    found = judge(["a/well_test.go::TestW"], Report(), Report((), broken), files=["a/well_test.go"])
    assert found.fail_to_pass == ()
    assert "syntax error" in found.findings[0]


@pytest.mark.parametrize(
    ("planned", "files"),
    [("src/lib.rs::tests::new", ["tests/a.rs"]), ("tests/a.rs::new", ["tests/a.rs", "src/a.rs"])],
)
def test_tests_of_a_contract_lie_in_files_of_their_own(planned: str, files: list[str]) -> None:
    found = judge([planned], Report(), Report(failed(planned)), files=files)
    assert ["is a source" in finding for finding in found.findings] == [True]
    assert judge(["tests/a.rs::new"], Report(), Report(failed("tests/a.rs::new")), files=[]).ok


@pytest.mark.parametrize(
    ("id", "files", "ok"),
    [
        ("src/amount.py::amount.new", ["src/amount.py"], True),
        ("amount.py::amount.new", ["src/amount.py"], True),
        ("tests/help.py::new", [], True),
        ("src/amount.py::amount.new", ["tests/test_amount.py"], False),
        ("src/amount.ts::new", [], False),
    ],
)
def test_what_a_contract_plans_is_where_it_is_frozen(id: str, files: list[str], ok: bool) -> None:
    found = judge([id], Report(), Report(failed(id)), files=files)
    assert found.ok is ok
    assert ok or "name it in test_files" in found.findings[0]
    assert judge_preserved([id], Report(), Report(passed(id)), files, NAMES).ok


@pytest.mark.parametrize(
    ("id", "above"),
    [
        ("t.py::C::test_a[x::y]", ["t.py::C::test_a", "t.py::C"]),
        ("pages/[id]/t.py::test_a", []),
        ("a_test.go::TestA/b/c", ["a_test.go::TestA/b", "a_test.go::TestA"]),
        ("t.rs::m::add::case_1", ["t.rs::m::add", "t.rs::m"]),
        ("T.java::Inner::m[2]", ["T.java::Inner::m", "T.java::Inner"]),
        (
            "[id].test.tsx::a [1] > b :: c > d",
            ["[id].test.tsx::a [1] > b :: c", "[id].test.tsx::a [1]"],
        ),
    ],
)
def test_the_tests_that_a_case_belongs_to(id: str, above: list[str]) -> None:
    assert [*ancestors(id)] == [id, *above]
    assert file_of(id) == id.partition("::")[0]


def test_an_id_in_a_file_that_was_broken_before_is_not_red() -> None:
    broken = Broken("t_new.py", "E   SyntaxError: invalid syntax", "syntax")
    found = judge(["t_new.py::x"], Report((), (broken,)), Report((), (broken,)))
    assert found.fail_to_pass == ()
    assert "syntax error" in found.findings[0]


def test_findings_are_bounded() -> None:
    planned = [f"t_new.py::{n}" for n in range(500)]
    found = judge(planned, BASE, BASE)
    assert len(found.findings) == 30
    assert found.findings[-1] == "and 471 more"


@given(
    st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(Outcome)),
    st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(Outcome)),
    st.sets(st.sampled_from("abcdef")),
    st.sets(st.sampled_from("abcdef")),
)
def test_an_accepted_contract_is_what_it_says(
    before: dict[str, Outcome], after: dict[str, Outcome], planned: set[str], changes: set[str]
) -> None:
    def report(said: dict[str, Outcome]) -> Report:
        return Report(tuple(Case(f"t.py::{name}", outcome, RED) for name, outcome in said.items()))

    base, contract = report(before), report(after)
    ids = [f"t.py::{name}" for name in sorted(planned)]
    found = judge(ids, base, contract, [f"t.py::{name}" for name in changes])
    if found.ok:
        assert found.fail_to_pass
        assert sorted(found.fail_to_pass + found.guards) == ids
        red = {case.id for case in contract.cases if case.red}
        assert set(found.fail_to_pass) <= red
        assert red <= set(ids) | {case.id for case in base.cases if case.red}
        assert not set(found.pass_to_pass) & (red | set(ids))
        for id in found.pass_to_pass:
            assert contract.of(id)[0].outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (RED, Reason.BEHAVIOUR),
        ("assert 1 == 2", Reason.BEHAVIOUR),
        ("ValueError: 1,5", Reason.BEHAVIOUR),
        ("", Reason.BEHAVIOUR),
        (
            "AssertionError: assert '' in x\nModuleNotFoundError: No module named 'y'",
            Reason.BEHAVIOUR,
        ),
        ("ModuleNotFoundError: No module named 'larder.shop'", Reason.PROJECT_NAME),
        ("ModuleNotFoundError: No module named 'one'", Reason.PROJECT_NAME),
        ("ModuleNotFoundError: No module named 'requests'", Reason.THIRD_PARTY),
        ("ModuleNotFoundError: No module named 'tests.gone'", Reason.THIRD_PARTY),
        ("ModuleNotFoundError: No module named 'shop'", Reason.THIRD_PARTY),
        ("ImportError: cannot import name 'x' from 'larder' (/p)", Reason.PROJECT_NAME),
        ("ImportError: cannot import name 'x' from 'pytest' (/p)", Reason.THIRD_PARTY),
        ("AttributeError: module 'larder.amount' has no attribute 'x'", Reason.PROJECT_NAME),
        ("AttributeError: <module 'larder' from '/p'> has no attribute 'x'", Reason.PROJECT_NAME),
        ("AttributeError: 'Amount' object has no attribute 'x'", Reason.BEHAVIOUR),
        ('failed on setup with "ValueError: 3"', Reason.BEHAVIOUR),
        ("failed on setup with \"file t.py\nE       fixture 'x' not found", Reason.FIXTURE),
        ("AssertionError: assert '\nfixture 'x' not found' == ''", Reason.BEHAVIOUR),
        ("NameError: name 'x' is not defined\n\nt.py:3: NameError", Reason.TEST_NAME),
        ("NameError: name 'x' is not defined\n\nsrc/a.py:3: NameError", Reason.BEHAVIOUR),
        ("NameError: name 'x' is not defined", Reason.TEST_NAME),
        ("SyntaxError: invalid syntax (x.py, line 3)", Reason.SYNTAX),
        ('File "x.py", line 1\n  def (\nSyntaxError: invalid syntax', Reason.SYNTAX),
    ],
)
def test_why_a_case_is_red(message: str, why: Reason) -> None:
    assert of_case(message, "t.py", NAMES) is why


@pytest.mark.parametrize(
    ("message", "ok"),
    [
        ("AssertionError: 1 !== 2", True),
        ("TypeError: scale is not a function\n    at f (tests/a.test.js:2:22)", True),
        ("ReferenceError: two is not defined\n    at f (tests/a.test.js:1:2)", False),
        ("ReferenceError: two is not defined\n    at f (file://tests/a.test.js:1:2)", False),
        ("ReferenceError: two is not defined\n    at two (src/a.js:1:2)", True),
        ("Error: Cannot find module '../src/a' from 'tests/a.test.js'", True),
        ("Error: Cannot find module './help' from 'tests/a.test.js'", False),
        ("Error: Cannot find module 'src/a.js' imported from tests/a.test.js", True),
        ("Error: Cannot find package 'left-pad' imported from tests/a.test.js", False),
        (
            "Error: Failed to load url @/a (resolved id: @/a) in a.test.js. Does the file exist?",
            True,
        ),
    ],
)
def test_why_a_case_in_javascript_is_red(message: str, ok: bool) -> None:
    id = "tests/a.test.js::suite > new"
    found = judge([id], Report(), Report(failed(id, message=message)), files=["tests/a.test.js"])
    assert found.ok is ok


@pytest.mark.parametrize(
    ("message", "why"),
    [
        ("E   AttributeError: type object 'Amount' has no attribute 'X'", Reason.PROJECT_NAME),
        ("E   AttributeError: 'list' object has no attribute 'x'", Reason.OTHER),
        ("E   ValueError: 1,5", Reason.OTHER),
        ("E   IndentationError: unexpected indent", Reason.SYNTAX),
        ("ModuleNotFoundError: No module named 'larder.x'", Reason.PROJECT_NAME),
        (
            "E   ModuleNotFoundError: No module named 'larder.x'\nDuring handling …\n"
            "E   ModuleNotFoundError: No module named 'fastlarder'",
            Reason.THIRD_PARTY,
        ),
        ("x = 'ModuleNotFoundError: No module named larder'\nE   TypeError: no", Reason.OTHER),
    ],
)
def test_why_a_file_cannot_be_collected(message: str, why: Reason) -> None:
    assert of_collection(message, NAMES) is why


@pytest.mark.parametrize("id", ["t_old.py::c", "t_gone.py::a", "t_old.py", "t_old.py::b[3]"])
def test_only_a_test_of_the_base_can_be_changed(id: str) -> None:
    contract = Report((*BASE.cases, *failed("t_new.py::x")))
    (finding,) = judge(["t_new.py::x"], BASE, contract, changes=[id]).findings
    assert finding == f"{id}: named in `changes`, and is no test of the base"


def preserve(
    planned: Sequence[str], contract: Report, changes: Sequence[str] = ()
) -> ContractVerdict:
    return judge_preserved(planned, BASE, contract, ["t_new.py"], NAMES, changes)


def test_to_preserve_needs_no_test() -> None:
    found = preserve([], BASE)
    assert found == ContractVerdict((), (), tuple(case.id for case in BASE.cases), ())


def test_guards_of_what_is_preserved_are_green() -> None:
    green = preserve(["t_new.py::x"], Report((*BASE.cases, *passed("t_new.py::x"))))
    assert (green.ok, green.guards) == (True, ("t_new.py::x",))
    red = preserve(["t_new.py::x"], Report((*BASE.cases, *failed("t_new.py::x"))))
    assert red.findings == ("t_new.py::x: is red, and nothing is to change: a guard is green",)
    absent = preserve(["t_new.py::x"], BASE)
    assert "not in the runner's report" in absent.findings[0]


def test_a_contract_that_preserves_breaks_nothing() -> None:
    assert "is gone" in preserve([], Report(BASE.cases[1:])).findings[0]
    assert preserve([], Report(BASE.cases[1:]), changes=["t_old.py::a"]).ok
    unplanned = preserve([], Report((*BASE.cases, *failed("t_new.py::z"))))
    assert "not in the test plan" in unplanned.findings[0]


def test_a_guard_that_waits_for_a_name_is_red() -> None:
    broken = Broken("t_new.py", "E   ImportError: …", "missing_project_name")
    assert "is red" in preserve(["t_new.py::x"], Report(BASE.cases, (broken,))).findings[0]


def test_where_only_the_exit_code_counts_it_is_to_stay_green() -> None:
    ok, bad = Report(passed("ci")), Report(failed("ci"))
    assert judge_preserved([], ok, ok, [], NAMES).ok
    assert not judge_preserved([], ok, bad, [], NAMES).ok
