"""An accepted contract: what it keeps, its name in the commit, and what it must cover."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from swarm_kit import contract

from oya.agents.answers import TestWriterAnswer
from oya.lifecycle.model import Check
from oya.swarm.contract import Contract, coverage


def answer(**fields: Any) -> TestWriterAnswer:
    plan = fields.pop("covers", ())
    item = {"id": "t.py::t", "kind": "happy", "given": "g", "when": "w", "then": "t"}
    made = {
        "kind": "behaviour",
        "why": "why",
        "test_plan": [{**item, "covers": list(plan)}],
        "test_files": ["t.py"],
        **fields,
    }
    return TestWriterAnswer.model_validate(made)


FULL = replace(
    contract("a", "c" * 40),
    kind="behaviour",
    fail_to_pass=("t.py::t",),
    guards=("t.py::g",),
    changes=("old.py::t",),
    test_files=("t.py",),
    frozen=("t.py", "conftest.py"),
    checks=(Check("make", 0, "AC1"),),
    answer={"kind": "behaviour"},
)


def test_it_comes_back_from_the_store_as_it_was() -> None:
    row = json.loads(json.dumps({**FULL.to_json(), "later": "unknown keys are ignored"}))
    assert Contract.from_json(row) == FULL
    assert Contract.from_json(row).hash == FULL.hash


def test_every_planned_test_counts() -> None:
    assert FULL.planned == ("t.py::t", "t.py::g")


@pytest.mark.parametrize(
    "other",
    [
        replace(FULL, commit="d" * 40),
        replace(FULL, fail_to_pass=("t.py::u",)),
        replace(FULL, answer={"kind": "check"}),
    ],
)
def test_another_contract_has_another_hash(other: Contract) -> None:
    assert other.hash != FULL.hash


def test_another_base_is_the_same_contract() -> None:
    assert replace(FULL, base="e" * 40, epoch=9).hash == FULL.hash


def missing(*names: str) -> list[str]:
    return [f"no planned test covers: {', '.join(names)} (name them in `covers`)"] if names else []


@pytest.mark.parametrize(
    ("criteria", "covers", "variants", "left"),
    [
        (("one", "two"), ["AC1"], [], ["AC2"]),
        (("one", "two"), ["AC1", "two"], [], []),
        (("one",), [" AC1 "], [" TooLong "], ["TooLong"]),
        (("one",), ["AC1", "TooLong"], [" TooLong "], []),
        (("one",), ["AC1"], ["  "], []),
        ((), [], [], []),
    ],
)
def test_criteria_and_error_variants_are_covered_by_name(
    criteria: tuple[str, ...], covers: list[str], variants: list[str], left: list[str]
) -> None:
    said = answer(covers=covers, error_variants=variants)
    assert coverage(criteria, said) == missing(*left)


def test_postconditions_are_covered_by_their_numbers_or_words() -> None:
    promised = ["it is sorted", "nothing is lost"]
    assert coverage((), answer(covers=["P1"], postconditions=promised)) == missing("P2")
    said = answer(covers=["P1", "nothing is lost"], postconditions=promised)
    assert coverage((), said) == []


def test_what_is_not_there_cannot_be_covered() -> None:
    said = answer(covers=["AC1", "AC2", "P1"], error_variants=[])
    (finding,) = coverage(("one",), said)
    assert finding == "`covers` names what is not there: AC2, P1; there is AC1"


def test_a_finding_about_coverage_is_bounded() -> None:
    many = [f"Error{n}" + "x" * 900 for n in range(200)]
    (finding,) = coverage((), answer(error_variants=many))
    assert finding.startswith("no planned test covers: Error0")
    assert len(finding) < 3_000
    assert "and 180 more" in finding


def test_a_check_covers_by_its_clause() -> None:
    check = {"command": "make", "expect": 0, "why": "w", "clause": "AC1"}
    said = answer(kind="check", test_plan=[], test_files=[], checks=[check])
    assert coverage(("one",), said) == []
    assert coverage(("one", "two"), said) == missing("AC2")


@pytest.mark.parametrize("kind", ["preserve", "none"])
def test_what_proves_nothing_new_covers_nothing(kind: str) -> None:
    said = answer(kind=kind, test_plan=[], test_files=[], touches=["src"])
    assert coverage(("one",), said) == []


def test_only_a_refactoring_is_bound_to_what_it_touches() -> None:
    said = {"touches": ["src/a.py"]}
    assert replace(FULL, kind="preserve", answer=said).touches == ("src/a.py",)
    assert replace(FULL, kind="behaviour", answer=said).touches == ()
