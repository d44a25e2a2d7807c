"""An accepted contract: what it keeps, its name in the commit, and what it must cover."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from swarm_kit import contract

from oya.agents.answers import TestWriterAnswer
from oya.lifecycle.model import Check
from oya.swarm.contract import Contract, uncovered


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


@pytest.mark.parametrize(
    ("criteria", "covers", "variants", "missing"),
    [
        (("one", "two"), ["AC1"], [], ["AC2"]),
        (("one", "two"), ["AC1", "two"], [], []),
        (("one",), [" AC1 "], [" TooLong "], [" TooLong "]),
        (("one",), ["AC1", "TooLong"], [" TooLong "], []),
        ((), [], [], []),
    ],
)
def test_criteria_and_error_variants_are_covered_by_name(
    criteria: tuple[str, ...], covers: list[str], variants: list[str], missing: list[str]
) -> None:
    said = answer(covers=covers, error_variants=variants)
    assert uncovered(criteria, said) == missing


def test_a_check_covers_by_its_clause() -> None:
    check = {"command": "make", "expect": 0, "why": "w", "clause": "AC1"}
    said = answer(kind="check", test_plan=[], test_files=[], checks=[check])
    assert uncovered(("one",), said) == []
