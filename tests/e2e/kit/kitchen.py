"""One small kitchen in four languages, and a swarm that meets all kinds of trouble in it.

Four beads. `jug` is wrong first, and right in a fix round. `spoon` writes where `jug` does.
`cup` makes the cup larger, on which `jug` counts by then: each is green alone, both together
are red. `dozen` passes its test with an answer by heart, which its reviewer finds out. All four
are begun on the same base; `spoon` and `cup` go on once `jug` has landed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kit.user import Said, User, carrying, ended
from kit.words import Stage, backlog

CLAUSES = {
    "jug": "a jug holds two cups, and jug(n) is what n jugs hold",
    "spoon": "spoon(n) is what n spoons of 15 hold",
    "cup": "a cup holds 250 from now on; a jug stays as it is",
    "dozen": "dozen(n) is how many eggs n dozens are",
}
TROUBLE = (
    "findings",
    "contested",
    "forfeited",
    "landing_conflicted",
    "attempt_failed",
    "lease_expired",
    "flaky",
)
PATIENCE = 300.0
"""Seconds; how busy the machine is says nothing."""
AFTER_JUG = ("spoon", "cup")

MORE = """
[defaults]
planner = false
backend = "recorded"

[backends.recorded]
kind = "scripted"
scenario = "{scenario}"
max_sessions = 4

[contract]
repeat = 1

[review]
variants = 1

[sandbox]
kind = "none"
"""


@dataclass(frozen=True)
class Language:
    """What the kitchen is made of.

    `more` is the line of `measures` that `jug` and `spoon` both replace. `per` is what `jug`
    counts on: wrong, right as long as the cup stays, right with any cup. `tests` has for each
    bead the file, its text and the id of its test. `guessed` is what `oya init` is to say,
    `suite` what a person types, `env` what gates need of the user's environment.
    """

    tools: tuple[str, ...]
    files: dict[str, str]
    measures: str
    more: str
    jug: str
    spoon: str
    cup: tuple[str, str]
    per: tuple[str, str, str]
    eggs: str
    by_heart: str
    counted: str
    tests: dict[str, tuple[str, str, str]]
    challenge: str
    guessed: tuple[str, ...]
    suite: tuple[str, ...]
    env: Callable[[], dict[str, str]] = dict
    path: Callable[[], tuple[str, ...]] = tuple


def required(*tools: str) -> None:
    """Skip where one is missing."""
    for tool in tools:
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")


def output(*command: str) -> str:
    """What a tool of this machine says of itself."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def scenario(language: Language, stage: dict[str, Stage]) -> str:
    """What the recorded agent plays."""
    wrong, by_cup, by_itself = language.per
    edits = {
        "jug": [_edit(language.measures, language.more, language.jug.replace(by_cup, wrong))],
        "spoon": [_edit(language.measures, language.more, language.spoon)],
        "cup": [_edit(language.measures, *language.cup)],
        "dozen": [{"write": {language.eggs: language.by_heart}}],
    }
    fixes = {"jug": [[_edit(language.measures, wrong, by_cup)]]}
    again = {
        "spoon": [{"run": _both_sides(language.measures)}],
        "cup": [_edit(language.measures, by_cup, by_itself)],
        "dozen": [{"write": {language.eggs: language.counted}}],
    }
    entries = [
        {"bead": "jug", "role": "reviewer", "steps": [_stand(stage["jug"]), _challenges()]},
        {"bead": "dozen", "role": "reviewer", "steps": [_challenges(_five(language))]},
        {"bead": "*", "role": "reviewer", "steps": [_challenges()]},
    ]
    for bead, steps in edits.items():
        waits = [_stand(stage[bead])] if bead in AFTER_JUG else []
        written = {"bead": bead, "role": "implementer", "steps": [*waits, *steps]}
        entries += [_contract(language, bead), written | {"fixes": fixes.get(bead, [])}]
    entries += [
        {"bead": bead, "role": "implementer", "attempt": 2, "steps": steps}
        for bead, steps in again.items()
    ]
    return json.dumps({"version": 1, "entries": entries})


def _edit(path: str, find: str, replace: str) -> dict[str, Any]:
    return {"edit": {"path": path, "find": find, "replace": replace}}


def _stand(stage: Stage) -> dict[str, Any]:
    return {"run": f"echo here > {stage.folder}/arrived; read _ < {stage.folder}/go"}


def _both_sides(path: str) -> str:
    """Keeps both sides of a conflict, for which its marks must be there."""
    return f"grep -q '^<<<<<<< ' {path} && sed -Ei '/^(<{{7}}|={{7}}|>{{7}})/d' {path}"


def _contract(language: Language, bead: str) -> dict[str, Any]:
    path, text, id = language.tests[bead]
    answer = {
        "kind": "behaviour",
        "test_plan": [{"id": id, "kind": "happy", "covers": ["AC1"]}],
        "test_files": [path],
    }
    steps = [{"write": {path: text}}, {"answer": answer}]
    return {"bead": bead, "role": "test_writer", "steps": steps}


def _challenges(*challenges: dict[str, Any]) -> dict[str, Any]:
    return {"answer": {"challenges": [*challenges]}}


def _five(language: Language) -> dict[str, Any]:
    why = "five stands in no test"
    return {"command": language.challenge, "expect": 0, "why": why, "clause": "AC1"}


def kitchen(user: User, language: Language, stage: dict[str, Stage]) -> Path:
    """The repository, configured by `oya init` but for what that asks for."""
    rows = [_row(bead, number) for number, bead in enumerate(CLAUSES)]
    root = user.repository("kitchen", {**language.files, ".beads/issues.jsonl": backlog(*rows)})
    said = user.oya(root, "init")
    assert said.code == 0, said
    for words in language.guessed:
        assert words in said.out, said
    played = user.folder / "scenario.json"
    played.write_text(scenario(language, stage))
    config = root / ".oya/swarm.toml"
    text = config.read_text() + MORE.format(scenario=played)
    if names := [*language.env()]:
        table = "[quality-gates]\n"
        text = text.replace(table, f"{table}env = {json.dumps(names)}\n")
    config.write_text(text)
    user.git(root, "add", "-A")
    user.git(root, "commit", "-q", "-m", "Configure oya")
    return root


def _row(bead: str, number: int) -> dict[str, Any]:
    return {
        "id": bead,
        "title": f"Measure by {bead}",
        "acceptance_criteria": CLAUSES[bead],
        "status": "open",
        "priority": min(number, 4),
        "issue_type": "feature",
        "created_at": "2026-01-01T00:00:00Z",
    }


def lands_all(user: User, language: Language) -> None:
    """The whole way, and then every commit once more by itself."""
    required(*language.tools)
    user.extra.update(language.env())
    user.extra["PATH"] = ":".join((*language.path(), user.env["PATH"]))
    stage = {bead: Stage(user.folder / f"stage-{bead}") for bead in ("jug", *AFTER_JUG)}
    try:
        root = kitchen(user, language, stage)
        begun = user.git(root, "rev-parse", "main")
        said = _swarm(user, root, stage)
    finally:
        for one in stage.values():
            one.close()
    assert said.code == 0, f"{said}\n{_stories(user, root)}"
    assert carrying(user) == []
    assert user.git(root, "status", "--porcelain") == ""
    beads = _every_commit_is_green(user, root, language, begun)
    checked = user.oya(root, "verify", "--rerun", "--format", "json", timeout=PATIENCE)
    assert checked.code == 0, checked
    proofs = [(run["bead"], run["red"]) for run in checked.json["rerun"]]
    assert proofs == [(bead, []) for bead in beads]
    _met_trouble(user, root, language)


def _swarm(user: User, root: Path, stage: dict[str, Stage]) -> Said:
    """`spoon` and `cup` are under way on the first base when `jug` lands, and then go on."""
    running = user.start(root, "swarm", "--target", "4", "--format", "json")
    for one in stage.values():
        one.arrived(PATIENCE)
    stage["jug"].go()
    assert running.stdout is not None
    for line in running.stdout:
        event = json.loads(line)
        if (event.get("event"), event.get("bead")) == ("landed", "jug"):
            break
    for bead in AFTER_JUG:
        stage[bead].go()
    return ended(running, PATIENCE)


def _stories(user: User, root: Path) -> str:
    return "\n".join(user.oya(root, "why", bead).out for bead in CLAUSES)


def _met_trouble(user: User, root: Path, language: Language) -> None:
    """What went wrong is what was meant to, and nothing else."""
    said = user.oya(root, "events", "--format", "json")
    events = [json.loads(line) for line in said.out.splitlines()]
    trouble = [one for one in events if one["event"] in TROUBLE]
    met = {(one["event"], one["bead"]): one for one in trouble}
    wanted = [("findings", "jug"), ("contested", "dozen")]
    wanted += [("landing_conflicted", bead) for bead in AFTER_JUG]
    assert sorted((one["event"], one["bead"]) for one in trouble) == sorted(wanted), _stories(
        user, root
    )
    ids = {bead: id for bead, (_, _, id) in language.tests.items()}
    assert met["findings", "jug"]["reason"].startswith(ids["jug"])
    assert met["landing_conflicted", "spoon"]["reason"].endswith(f" in {language.measures}")
    red = met["landing_conflicted", "cup"]["reason"]
    assert red.startswith("red on ")
    assert ids["jug"] in red
    found = met["contested", "dozen"]["data"]
    assert found["checks"] == [{"command": language.challenge, "expect": 0, "clause": "AC1"}]
    assert found["mechanical"] is False


def _every_commit_is_green(user: User, root: Path, language: Language, begun: str) -> list[str]:
    """Each commit since the swarm began, checked out in turn in a clone that nobody else has;
    whose they are."""
    folder = user.folder / "checked"
    user.git(user.folder, "clone", "-q", str(root), str(folder))
    form = "--format=%H %(trailers:key=Bead,valueonly,separator=%x2C)"
    rows = user.git(root, "log", "--reverse", form, f"{begun}..main").splitlines()
    reds = [_red(user, folder, language, row.split()[0]) for row in rows]
    assert [words for words in reds if words] == []
    beads = [row.split()[1] for row in rows]
    assert sorted(beads) == sorted(CLAUSES)
    return beads


def _red(user: User, folder: Path, language: Language, commit: str) -> str:
    """What the suite says of that commit, if it is not green."""
    user.git(folder, "checkout", "-q", "--detach", commit)
    done = subprocess.run(
        language.suite,
        cwd=folder,
        env=user.env,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    return f"{commit}: {done.stdout[-2000:]}{done.stderr[-2000:]}" if done.returncode else ""
