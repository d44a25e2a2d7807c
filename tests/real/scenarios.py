"""What the model plays in the end-to-end tests of a real agent."""

from __future__ import annotations

import json
from typing import Any

TESTS = '''"""Amounts as people type them."""

import pytest

from amount import parse


def test_a_comma_is_a_point():
    assert parse("1,5") == 1.5


def test_a_comma_in_another_amount():
    assert parse("0,25") == 0.25


def test_two_commas_are_refused():
    with pytest.raises(ValueError):
        parse("1,5,5")
'''
CODE = '''def parse(text: str) -> float:
    """The amount in a text; a comma or a point stands before the fraction."""
    return float(text.replace(",", "."))
'''
TEST_FILE = "tests/test_comma.py"


def _planned(name: str, kind: str, covers: list[str]) -> dict[str, Any]:
    return {"id": f"{TEST_FILE}::{name}", "kind": kind, "covers": covers}


CONTRACT = {
    "kind": "behaviour",
    "why": "two amounts with a comma, and one that is none",
    "test_plan": [
        _planned("test_a_comma_is_a_point", "happy", ["AC1"]),
        _planned("test_a_comma_in_another_amount", "happy", ["AC1"]),
        _planned("test_two_commas_are_refused", "error", ["AC2"]),
    ],
    "test_files": [TEST_FILE],
    "touches": ["amount.py"],
}
REVIEW = {
    "challenges": [
        {
            "command": "python -c \"from amount import parse; assert parse('-3,75') == -3.75\"",
            "expect": 0,
            "clause": "AC1",
            "why": "a negative amount with a comma",
        }
    ],
    "findings": [],
}


def _answer(role: str, content: dict[str, Any]) -> dict[str, Any]:
    return {"write": [f".oya/out/{role}.json", json.dumps(content, indent=1)]}


SCENARIOS: dict[str, list[dict[str, Any]]] = {
    "hello": [
        {"write": ["hello.txt", "hello from a real agent\n"]},
        {"text": "I wrote hello.txt."},
    ],
    "again": [{"shell": "echo more >> hello.txt"}, {"text": "I wrote more."}],
    "limit": [{"http": 429}],
    "locked": [{"http": 401}],
    "down": [{"http": 500}],
    "silence": [{"shell": "setsid sleep 611 > /dev/null 2>&1 & echo left"}, {"silent": True}],
    "comma/test_writer": [
        {"write": [TEST_FILE, TESTS]},
        {"shell": f"python -m pytest -q {TEST_FILE}"},
        _answer("test_writer", CONTRACT),
        {"text": "The contract is written."},
    ],
    "comma/planner": [
        _answer("planner", {"verdict": "accept", "findings": [], "split": []}),
        {"text": "I accept the contract."},
    ],
    "comma/implementer": [
        {"write": ["amount.py", CODE]},
        {"shell": "python -m pytest -q"},
        {"text": "Commas are read."},
    ],
    "comma/reviewer": [
        {"shell": REVIEW["challenges"][0]["command"]},
        _answer("reviewer", REVIEW),
        {"text": "I have tried a negative amount."},
    ],
}
