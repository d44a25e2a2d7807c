"""The demo, once, and everything that a person can ask of what it leaves."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from kit.terminal import CTRL_C, Terminal
from kit.user import Said, User, carrying, moved_in

LAST_LINE = re.compile(
    r"landed 25/25 beads in \d+\.\d s, (\d+) gate runs, 0 lost, 0 doubled, nothing left running"
)
PEAK_MB = 150
AT_ONCE = 2


@dataclass(frozen=True)
class Demo:
    """What `oya demo --keep` said, and what it left."""

    user: User
    root: Path
    said: Said
    left: list[str]

    def ask(self, *arguments: str) -> Said:
        """Type it in the kept repository; it must work."""
        said = self.user.oya(self.root, *arguments)
        assert said.code == 0, said
        return said

    def commits(self) -> list[tuple[str, str]]:
        """Commit and bead of everything on main but the first, oldest first."""
        form = "--format=%H %(trailers:key=Bead,valueonly,separator=%x2C)"
        lines = self.user.git(self.root, "log", "--reverse", form, "main").splitlines()
        return [(line.split(" ")[0], line.partition(" ")[2]) for line in lines[1:]]


pytestmark = pytest.mark.timeout(1000)
"""Whichever test comes first waits for the demo."""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with moved_in(tmp_path_factory.mktemp("demo")) as user:
        said = user.oya(user.folder, "demo", "--keep", "kept", timeout=900)
        yield Demo(user, user.folder / "kept" / "larder", said, carrying(user))


def test_it_lands_25_beads_and_says_so_last(demo: Demo) -> None:
    assert demo.said.code == 0, demo.said
    found = LAST_LINE.fullmatch(demo.said.out.splitlines()[-1])
    assert found, demo.said.out[-2000:]
    assert int(found[1]) >= 25 * 4
    assert demo.left == []
    for told in ("What went wrong", "oya why larder-16", "git log --oneline", "CPU: agents"):
        assert told in demo.said.out


def test_main_has_25_commits_each_with_a_bead_of_its_own(demo: Demo) -> None:
    beads = [bead for _, bead in demo.commits()]
    assert len(beads) == 25
    assert len(set(beads)) == 25
    assert all(re.fullmatch(r"larder-\d\d", bead) for bead in beads)
    assert "larder-13" not in beads, "it was done already, and waits for a person"


def test_every_commit_is_green(demo: Demo, tmp_path: Path) -> None:
    commits = [commit for commit, _ in demo.commits()]
    folders = [tmp_path / str(number) for number in range(AT_ONCE)]
    for folder in folders:
        demo.user.git(tmp_path, "clone", "-q", "--shared", str(demo.root), str(folder))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        told = pool.map(_reds, [demo.user] * AT_ONCE, folders, _halves(commits))
        assert [red for reds in told for red in reds] == []


def _halves(commits: list[str]) -> list[list[str]]:
    return [commits[number::AT_ONCE] for number in range(AT_ONCE)]


def _reds(user: User, folder: Path, commits: list[str]) -> list[str]:
    """What pytest says of each commit that is not green."""
    reds = []
    env = user.env | {"PYTHONDONTWRITEBYTECODE": "1"}
    for commit in commits:
        user.git(folder, "checkout", "-q", "--detach", commit)
        assert user.git(folder, "status", "--porcelain", "--ignored") == ""
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider"],
            cwd=folder,
            env=env,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode or " passed" not in done.stdout:
            reds.append(f"{commit}: {done.stdout[-1000:]}")
    return reds


def test_the_tracker_agrees_and_the_checkout_is_clean(demo: Demo) -> None:
    lines = (demo.root / ".beads/issues.jsonl").read_text().splitlines()
    closed = {row["id"] for row in map(json.loads, lines) if row["status"] == "closed"}
    assert closed == {bead for _, bead in demo.commits()}
    assert len(lines) == 26
    assert demo.user.git(demo.root, "status", "--porcelain") == ""


def test_the_story_of_a_bead(demo: Demo) -> None:
    story = demo.ask("why", "larder-16").out
    assert "larder-16 has landed." in story
    assert "challenges survived" in story
    assert "It landed as" in story
    commit = {bead: commit for commit, bead in demo.commits()}["larder-03"]
    diff = demo.ask("show", "larder-03", "--diff").out
    assert diff.startswith("diff --git")
    change = demo.user.git(demo.root, "show", "--format=", commit, "--", "src").splitlines()
    added = [line for line in change if line.startswith("+") and not line.startswith("+++")]
    assert added
    assert all(line in diff for line in added)
    assert 'oya retry larder-13 --note "…"' in demo.ask("why", "larder-13").out


def test_events_and_beads_as_json(demo: Demo) -> None:
    events = [json.loads(line) for line in demo.ask("events", "--format", "json").out.splitlines()]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    shape = {"seq", "at", "swarm", "bead", "event", "from", "to", "epoch"}
    shape |= {"agent", "class", "reason", "data"}
    assert {frozenset(event) for event in events} == {frozenset(shape)}
    assert sum(event["event"] == "landed" for event in events) == 25
    (end,) = [event for event in events if event["event"] == "swarm_completed"]
    assert 0 < end["data"]["peak_mb"] <= PEAK_MB
    assert set(end["data"]["cpu"]) >= {"agents", "gates", "git", "oya"}

    rows = demo.ask("beads", "--format", "json").json["beads"]
    assert len(rows) == 26
    landed = {row["id"]: row["commit"] for row in rows if row["status"] == "complete"}
    assert landed == {bead: commit for commit, bead in demo.commits()}
    held = [row for row in rows if row["status"] == "held"]
    assert [(row["id"], row["hold"]) for row in held] == [("larder-13", "already_done")]


def test_no_gate_is_run_where_its_evidence_is_known(demo: Demo) -> None:
    """But for what is prescribed: here that the tests of an implementation run once more, and
    not once for each time that it is accepted."""
    events = [json.loads(line) for line in demo.ask("events", "--format", "json").out.splitlines()]
    ran = [event["data"] for event in events if event["event"] == "gate_ran"]
    made = Counter(one["key"] for one in ran if "again" not in one)
    assert [key for key, runs in made.items() if runs > 1] == []
    again = Counter(one["key"] for one in ran if "again" in one)
    assert set(again.values()) == {1}
    assert len(again) >= 25


def test_the_status_after_the_end(demo: Demo) -> None:
    found: dict[str, Any] = demo.ask("swarm", "status", "--format", "json").json
    runs = LAST_LINE.fullmatch(demo.said.out.splitlines()[-1])
    assert runs is not None
    assert found.pop("started_at").startswith("20")
    assert set(found.pop("failures")) >= {"agent_crash", "agent_stuck", "provider_limit"}
    assert found == {
        "id": "swarm-1",
        "status": "completed",
        "target_beads": 25,
        "landed_beads": 25,
        "active_agents": {"test_writers": 0, "implementers": 0, "reviewers": 0, "planner": 0},
        "estimated_completion": None,
        "beads": {"pending": 0, "in_progress": 0, "landed": 25, "failed": 0, "held": 1},
        "phases": {"contract": 0, "implementation": 0, "review": 0, "landing": 0},
        "agents": [],
        "backends": [],
        "landing": {
            "queued": 0,
            "gate_runs": int(runs[1]),
            "landed_commits": 25,
            "red_base": None,
            "behind": {"main": 0},
            "remote": None,
            "left_out": None,
        },
        "reason": "target reached",
    }


def test_it_never_overwrites(demo: Demo) -> None:
    before = demo.user.git(demo.root, "rev-parse", "main")
    said = demo.user.oya(demo.user.folder, "demo", "--keep", "kept")
    assert (said.code, "is there already" in said.err) == (2, True), said
    assert demo.user.git(demo.root, "rev-parse", "main") == before


def test_nothing_of_oya_lies_in_the_working_tree(demo: Demo) -> None:
    assert sorted(os.listdir(demo.root / ".oya")) == ["swarm.toml"]
    assert demo.user.git(demo.root, "status", "--porcelain", "--ignored") == ""


def test_ctrl_c_ends_it_and_leaves_nothing(user: User) -> None:
    temporary = user.folder / "tmp"
    temporary.mkdir()
    user.extra["TMPDIR"] = str(temporary)
    terminal = Terminal(user, user.folder, "demo")
    terminal.until("took it to write its contract")
    terminal.type(CTRL_C)
    terminal.until("Stopping: ")
    terminal.type(CTRL_C)
    assert terminal.end() == 5, terminal.shown
    assert "Stopped: landed 0/25 beads" in terminal.shown
    assert "The demo was stopped" in terminal.shown
    assert carrying(user) == []
    assert list(temporary.glob("oya-demo-*")) == []
