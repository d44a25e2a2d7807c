"""From the files of the story to the scenario that the recorded agent plays."""

from __future__ import annotations

import json
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SAMPLE = Path(__file__).parent.parent / "sample"
"""The sample repository, to be copied whole; without `.git` and `.oya`."""

SESSIONS = Path(__file__).parent / "sessions"
ROLES = {"contract": "test_writer", "implementation": "implementer", "review": "reviewer"}
CONTRACT_LISTS = ("checks", "error_variants", "preconditions", "postconditions", "touches")

Step = dict[str, Any]
Table = dict[str, Any]


@dataclass(frozen=True)
class Trouble:
    """What goes wrong in the first session of a role at a bead.

    `kind` is wrong, empty, crash, hang, frozen, limit, survivor, conflict, green or done.
    """

    bead: str
    role: str
    kind: str


def backlog() -> list[Table]:
    """The beads of the sample, as they stand in its JSONL file."""
    lines = (SAMPLE / ".beads" / "issues.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def scenario() -> Table:
    """The whole story in the format of the recorded agent, version 1.

    Every entry may be played again on a workspace that has its work already, wholly or in part.
    """
    entries = [entry for bead, told in _files() for entry in _entries(bead, told)]
    return {"version": 1, "entries": entries}


def troubles() -> list[Trouble]:
    """Everything that goes wrong in the story, by bead."""
    return [
        Trouble(bead, session["role"], session["trouble"])
        for bead, told in _files()
        for session in told.get("session", [])
        if "trouble" in session
    ]


def _files() -> Iterator[tuple[str, Table]]:
    for path in sorted(SESSIONS.glob("*.toml")):
        yield ("*" if path.stem == "any" else path.stem), tomllib.loads(path.read_text("utf-8"))


def _entries(bead: str, told: Table) -> Iterator[Table]:
    ordinary = {name: _STEPS[name](told[name]) for name in ROLES if name in told}
    attempts: Counter[str] = Counter()

    def entry(role: str, steps: list[Step], fixes: list[list[Step]]) -> Table:
        attempts[role] += 1
        attempt = attempts[role]
        return {"bead": bead, "role": role, "attempt": attempt, "steps": steps, "fixes": fixes}

    for session in told.get("session", []):
        fixes = [_expand(steps, ordinary) for steps in session.get("fixes", [])]
        yield entry(session["role"], _expand(session["steps"], ordinary), fixes)
    for name, steps in ordinary.items():
        yield entry(ROLES[name], steps, [])


def _expand(steps: list[Step], ordinary: dict[str, list[Step]]) -> list[Step]:
    return [
        played
        for step in steps
        for played in (ordinary[step["play"]] if "play" in step else [step])
    ]


def _contract(told: Table) -> list[Step]:
    files = {told["test_file"]: told["test"]} if "test" in told else {}
    answer: Table = {
        "kind": told.get("kind", "behaviour"),
        "why": told.get("why", told["say"]),
        "test_files": list(files),
        "test_plan": [_planned(told["test_file"], item) for item in told.get("plan", [])],
        **{name: told.get(name, []) for name in CONTRACT_LISTS},
    }
    writing = [{"write": files}] if files else []
    return [{"say": told["say"]}, *writing, {"answer": answer}]


def _planned(file: str, item: Table) -> Table:
    rest = {name: value for name, value in item.items() if name != "test"}
    return {"id": f"{file}::{item['test']}", **rest}


def _implementation(told: Table) -> list[Step]:
    return [
        {"say": told["say"]},
        *({"run": command} for command in told.get("run", [])),
        *({"write": {path: text}} for path, text in told.get("write", {}).items()),
        *({"edit": edit} for edit in told.get("edit", [])),
        {"answer": {"summary": told["say"]}},
    ]


def _review(told: Table) -> list[Step]:
    say = told.get("say", "The tests hold. One thing they leave out, tried on the real code.")
    findings, challenges = told.get("findings", []), told.get("challenges", [])
    return [{"say": say}, {"answer": {"challenges": challenges, "findings": findings}}]


_STEPS = {"contract": _contract, "implementation": _implementation, "review": _review}
