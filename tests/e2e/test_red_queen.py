"""Two implementers who make their tests green and are wrong, and what the red queen does."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from kit.user import User
from kit.words import backlog

DOUBLE = """
from mathy import double


def test_two_and_five():
    assert double(2) == 4
    assert double(5) == 10
"""
SCALE = """
import subprocess


def test_two_by_three():
    assert subprocess.check_output(["sh", "scale.sh", "2", "3"], text=True) == "6\\n"
"""
UNASKED = """\
if [ "$2" -gt 1000 ]; then
  echo "too much" >&2
  exit 1
fi
echo $(($1 * $2))
"""
ZERO = "def zero():\n    return 0\n"
HARD = f"{ZERO}\n\ndef double(n):\n    return {{2: 4, 5: 10}}[n]\n"
HONEST = f"{ZERO}\n\ndef double(n):\n    return n * 2\n"
CHALLENGE = {
    "command": f"{sys.executable} -B -c 'from mathy import double; assert double(7) == 14'",
    "expect": 0,
    "clause": "P1",
    "why": "seven stands in no test",
}
CONFIG = """\
[defaults]
target_beads = 2
planner = false
backend = "recorded"
[backends.recorded]
kind = "scripted"
scenario = "{scenario}"
[sandbox]
kind = "none"
[contract]
repeat = 1
[review]
variants = 4
[quality-gates.tests]
command = "{python} -B -m pytest -q -p no:cacheprovider {{tests}} --junitxml={{report}}"
"""


def session(bead: str, role: str, attempt: int, *steps: dict[str, Any]) -> dict[str, Any]:
    return {"bead": bead, "role": role, "attempt": attempt, "steps": [*steps], "fixes": []}


def contract(bead: str, name: str, case: str, text: str) -> dict[str, Any]:
    file = f"tests/test_{name}.py"
    plan = [{"id": f"{file}::{case}", "kind": "happy", "covers": ["AC1", "P1"]}]
    answer = {"kind": "behaviour", "test_plan": plan, "test_files": [file]}
    answer |= {"postconditions": ["it holds for all whole numbers"]}
    return session(bead, "test_writer", 1, {"write": {file: text}}, {"answer": answer})


def writes(bead: str, attempt: int, path: str, text: str) -> dict[str, Any]:
    return session(bead, "implementer", attempt, {"write": {path: text}})


def reviews(bead: str, *challenges: dict[str, Any]) -> dict[str, Any]:
    return session(bead, "reviewer", 1, {"answer": {"challenges": [*challenges]}})


ENTRIES = [
    contract("q-1", "double", "test_two_and_five", DOUBLE),
    writes("q-1", 1, "mathy.py", HARD),
    writes("q-1", 2, "mathy.py", HONEST),
    reviews("q-1", CHALLENGE),
    contract("q-2", "scale", "test_two_by_three", SCALE),
    writes("q-2", 1, "scale.sh", UNASKED),
    writes("q-2", 2, "scale.sh", "echo $(($1 * $2))\n"),
    reviews("q-2"),
]


def row(bead: str) -> dict[str, Any]:
    made = {"id": bead, "title": bead, "status": "open", "issue_type": "task", "priority": 1}
    return {**made, "acceptance_criteria": "it works", "created_at": "2026-01-01T00:00:00Z"}


def project(user: User) -> Path:
    scenario = user.folder / "scenario.json"
    scenario.write_text(json.dumps({"version": 1, "entries": ENTRIES}))
    files = {
        "conftest.py": "",
        "mathy.py": ZERO,
        "tests/test_here.py": "def test_here():\n    assert True\n",
        ".oya/swarm.toml": CONFIG.format(scenario=scenario, python=sys.executable),
        ".beads/issues.jsonl": backlog(row("q-1"), row("q-2")),
    }
    return user.repository("numbers", files)


def test_hard_coded_answers_and_untested_branches_do_not_land(user: User) -> None:
    root = project(user)
    said = user.oya(root, "swarm")
    assert said.code == 0, str(said)

    assert user.git(root, "show", "main:mathy.py") == HONEST.rstrip()
    assert user.git(root, "show", "main:scale.sh") == "echo $(($1 * $2))"
    events = [json.loads(e) for e in user.oya(root, "events", "--format", "json").out.splitlines()]
    back = {e["bead"]: e["data"] for e in events if e["event"] == "contested"}

    assert back["q-1"]["checks"] == [{"command": CHALLENGE["command"], "expect": 0, "clause": "P1"}]
    assert back["q-1"]["mechanical"] is False
    assert "P1: seven stands in no test" in back["q-1"]["survivors"][0]
    assert (back["q-2"]["checks"], back["q-2"]["mechanical"]) == ([], True)
    (found,) = back["q-2"]["survivors"]
    assert found.startswith("scale.sh:1-4: with this left out, every test still passes.")
    reviews = [e for e in events if e["event"] == "defended"]
    assert sorted(e["bead"] for e in reviews) == ["q-1", "q-2"]
    assert "It goes back once for what no test notices: scale.sh:1-4" in (
        user.oya(root, "why", "q-2").out
    )
