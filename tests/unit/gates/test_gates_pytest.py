"""Real pytest on a project that has every kind of trouble; a contract on top of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest
from gates_world import PYTEST

from oya.gates import Evidence, Outcome, Report
from oya.gates.project import project_names
from oya.gates.red import ContractVerdict, judge_contract

BASE = {
    "pyproject.toml": '[tool.pytest.ini_options]\npythonpath = ["src"]\n',
    "src/larder/__init__.py": "def one():\n    return 1\n",
    "tests/test_old.py": "from larder import one\n\ndef test_one():\n    assert one() == 1\n",
    "tests/base_class.py": "class Base:\n    def test_inherited(self):\n        pass\n",
    "tests/sub.dir/test_dots.py": "def test_dotted_folder(): pass\n",
}
CONTRACT = {
    **BASE,
    "tests/test_kinds.py": """
import pytest, unittest
from larder import one
from base_class import Base

def test_assertion(): assert one() == 2
def test_green_already(): assert one() == 1
@pytest.mark.parametrize("x", ["a::b", "c[d]", "1.5", "ü"])
def test_cases(x): assert x != "1.5"
class TestOuter:
    class TestInner:
        def test_nested(self): assert one() == 3
    def test_no_fixture(self, nofix): pass
class TestHeir(Base): pass
class TestUnit(unittest.TestCase):
    def test_unit(self): self.assertEqual(one(), 4)
@pytest.mark.skip(reason="later")
def test_skipped(): pass
@pytest.mark.xfail
def test_expected_failure(): assert 0
@pytest.fixture
def leaky():
    yield
    raise ValueError("teardown")
def test_twice_red(leaky): assert 0
def test_late_project_name(): from larder import gone
def test_late_third_party(): import surely_not_installed
def test_forgotten_import(): two()
def test_attribute():
    import larder
    larder.three()
def test_raises():
    with pytest.raises(ValueError): one()
""",
    "tests/test_new_name.py": "from larder import scale\ndef test_scale(): assert scale(1)\n",
    "tests/test_new_module.py": "import larder.shop\ndef test_shop(): pass\n",
    "tests/test_new_attribute.py": "import larder\nlarder.LIMIT\ndef test_limit(): pass\n",
    "tests/test_foreign.py": "import surely_not_installed\ndef test_it(): pass\n",
    "tests/test_helper.py": "from helpers_of_mine import x\ndef test_it(): pass\n",
    "tests/test_syntax.py": "def test_it(: pass\n",
    "tests/test_module_skip.py": (
        "import pytest\npytest.importorskip('surely_not_installed')\ndef test_it(): pass\n"
    ),
}
NAMES = project_names(BASE)
KINDS = "tests/test_kinds.py"

Run = Callable[[Mapping[str, str]], Evidence]


@pytest.fixture(scope="module")
def base(run_suite: Run) -> Evidence:
    return run_suite(BASE)


@pytest.fixture(scope="module")
def contract(run_suite: Run) -> Evidence:
    return run_suite(CONTRACT)


def report_of(evidence: Evidence) -> Report:
    assert evidence.report is not None, evidence.tail
    return evidence.report


def verdict(
    base: Evidence, contract: Evidence, *planned: str, changes: tuple[str, ...] = ()
) -> ContractVerdict:
    """The verdict, without what the project's other troubles give as findings."""
    files = [path for path in CONTRACT if path not in BASE]
    found = judge_contract(planned, report_of(base), report_of(contract), files, NAMES, changes)
    named = {id.partition("::")[0] for id in planned} | set(planned)
    mine = tuple(f for f in found.findings if f.partition(": ")[0].partition("[")[0] in named)
    return ContractVerdict(found.fail_to_pass, found.guards, found.pass_to_pass, mine)


def test_base_is_green(base: Evidence) -> None:
    assert base.ok
    assert base.exit == 0
    assert [case.id for case in report_of(base).cases] == [
        "tests/sub.dir/test_dots.py::test_dotted_folder",
        "tests/test_old.py::test_one",
    ]


def test_ids_are_the_runners_own(contract: Evidence) -> None:
    ids = {case.id for case in report_of(contract).cases}
    assert {
        f"{KINDS}::TestOuter::TestInner::test_nested",
        f"{KINDS}::TestHeir::test_inherited",
        f"{KINDS}::TestUnit::test_unit",
        f"{KINDS}::test_cases[a::b]",
        f"{KINDS}::test_cases[c[d]]",
        "tests/sub.dir/test_dots.py::test_dotted_folder",
    } <= ids


def test_files_that_cannot_be_collected_do_not_stop_the_rest(contract: Evidence) -> None:
    report = report_of(contract)
    assert {broken.file: broken.kind for broken in report.broken} == {
        "tests/test_new_name.py": "missing_project_name",
        "tests/test_new_module.py": "missing_project_name",
        "tests/test_new_attribute.py": "missing_project_name",
        "tests/test_foreign.py": "missing_third_party",
        "tests/test_helper.py": "missing_third_party",
        "tests/test_syntax.py": "syntax",
    }
    assert report.of("tests/test_old.py::test_one")[0].outcome is Outcome.PASSED


def test_paths_of_the_slot_are_taken_out(contract: Evidence) -> None:
    assert "/project/" not in contract.tail
    assert not any("/project/" in case.message for case in report_of(contract).cases)


def test_a_test_that_fails_twice_is_one_case(contract: Evidence) -> None:
    (case,) = report_of(contract).of(f"{KINDS}::test_twice_red")
    assert case.outcome is Outcome.ERROR


@pytest.mark.parametrize(
    "id",
    [
        f"{KINDS}::test_assertion",
        f"{KINDS}::test_cases",
        f"{KINDS}::TestOuter::TestInner::test_nested",
        f"{KINDS}::TestUnit::test_unit",
        f"{KINDS}::test_late_project_name",
        f"{KINDS}::test_attribute",
        f"{KINDS}::test_raises",
        "tests/test_new_name.py::test_scale",
        "tests/test_new_module.py::test_shop",
        "tests/test_new_attribute.py::test_limit",
    ],
)
def test_red_for_a_right_reason(base: Evidence, contract: Evidence, id: str) -> None:
    found = verdict(base, contract, id)
    assert found.fail_to_pass == (id,)
    assert found.findings == ()


@pytest.mark.parametrize(
    ("id", "word"),
    [
        (f"{KINDS}::TestOuter::test_no_fixture", "fixture"),
        (f"{KINDS}::test_skipped", "is skipped"),
        (f"{KINDS}::test_expected_failure", "is skipped"),
        (f"{KINDS}::test_late_third_party", "surely_not_installed"),
        (f"{KINDS}::test_forgotten_import", "own file does not define"),
        (f"{KINDS}::test_misspelt", "not in the runner's report"),
        ("tests/test_foreign.py::test_it", "surely_not_installed"),
        ("tests/test_helper.py::test_it", "helpers_of_mine"),
        ("tests/test_syntax.py::test_it", "syntax error"),
        ("tests/test_module_skip.py::test_it", "whole file is skipped"),
        ("tests/test_nowhere.py::test_it", "nor is any test of its file"),
    ],
)
def test_red_for_a_wrong_reason(base: Evidence, contract: Evidence, id: str, word: str) -> None:
    found = verdict(base, contract, id)
    assert id not in found.fail_to_pass
    assert any(word in finding for finding in found.findings), found.findings


def test_what_passes_already_is_a_guard(base: Evidence, contract: Evidence) -> None:
    found = verdict(base, contract, f"{KINDS}::test_green_already", f"{KINDS}::test_assertion")
    assert found.guards == (f"{KINDS}::test_green_already",)
    assert found.pass_to_pass == (
        "tests/sub.dir/test_dots.py::test_dotted_folder",
        "tests/test_old.py::test_one",
    )


def test_the_tail_tells_the_first_failures(contract: Evidence) -> None:
    assert not contract.ok
    assert "No module named 'larder.shop'" in contract.tail
    assert f"{KINDS}::test_assertion" in contract.tail
    assert len(contract.tail) <= 8_000


def test_a_suite_of_unittest_runs_through_pytest(run_suite: Run) -> None:
    test = """import unittest

class SumTest(unittest.TestCase):
    def test_sums(self): self.assertEqual(1 + 1, 2)
    def test_fails(self): self.assertEqual(1 + 1, 3)
    @unittest.skip("later")
    def test_skipped(self): pass
    @unittest.expectedFailure
    def test_expected(self): self.fail()
"""
    report = report_of(run_suite({"tests/test_sum.py": test, "tests/__init__.py": ""}))
    assert {case.id: case.outcome for case in report.cases} == {
        "tests/test_sum.py::SumTest::test_sums": Outcome.PASSED,
        "tests/test_sum.py::SumTest::test_fails": Outcome.FAILED,
        "tests/test_sum.py::SumTest::test_skipped": Outcome.SKIPPED,
        "tests/test_sum.py::SumTest::test_expected": Outcome.SKIPPED,
    }


def test_a_missing_module_is_red_where_pytest_runs_in_a_subfolder(
    run_suite: Callable[..., Evidence],
) -> None:
    there = {f"backend/{path}": text for path, text in BASE.items()}
    new = "backend/tests/test_new_module.py"
    added = {**there, new: CONTRACT["tests/test_new_module.py"]}
    base, contract = (
        report_of(run_suite(files, tests_command=f"cd backend && {PYTEST}"))
        for files in (there, added)
    )
    planned = ["tests/test_new_module.py::test_shop"]
    found = judge_contract(planned, base, contract, [new], project_names(there))
    assert found.findings == ()
    assert found.fail_to_pass == tuple(planned)
