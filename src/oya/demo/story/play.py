"""A repository in which the recorded agent plays the story, for the proof that it is true."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from oya.demo.story.load import SAMPLE, Table
from oya.testing import scripted

DEADLINE = 60.0
SILENCE = 3.0
"""Seconds after which a session that hangs is ended."""

LAST = 99
"""An attempt after all that are recorded: the session that gets it right."""

OUTCOME = re.compile(r"^(PASSED|FAILED|ERROR) (tests/[\w./]+(?:::\w+)*)", re.MULTILINE)
PYTEST = ("-m", "pytest", "-q", "-rA", "--tb=no", "-p", "no:cacheprovider")
PYTHON = ("-I", "-S", "-E")


@dataclass(frozen=True)
class Played:
    """How a session ended (`end_turn`, `crash`, `hang` or `limit`), and what it answered."""

    ended: str
    answer: Table | None


class Workspace:
    """The sample as a git repository in a new folder, with one checkout in it."""

    def __init__(self, folder: Path, scenario: Table) -> None:
        self.folder = folder
        shutil.copytree(SAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__"))
        self.git("init", "-q")
        (folder / ".git" / "info" / "exclude").write_text(".oya/\n")
        self._scenario = folder / ".git" / "scenario.json"
        self._scenario.write_text(json.dumps(scenario))
        self.start = self.commit("The sample")

    def git(self, *arguments: str, may_fail: bool = False) -> str:
        """What git prints; CalledProcessError if it fails and may not."""
        done = self._run("git", *arguments)
        if not may_fail:
            done.check_returncode()
        return done.stdout.strip()

    def at(self, commit: str) -> None:
        """Check out exactly this commit."""
        self.git("checkout", "-q", "-f", "--detach", commit)
        self.git("clean", "-fdq")

    def commit(self, message: str) -> str:
        """Commit the checkout as it is, changed or not."""
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def tree(self) -> str:
        """The id of the checkout's tree, uncommitted files included."""
        self.git("add", "-A")
        return self.git("write-tree")

    def play(self, bead: str, role: str, attempt: int = LAST) -> Played:
        """The first turn of a session, on the checkout as it is."""
        shutil.rmtree(self.folder / ".oya", ignore_errors=True)
        return self.play_on(bead, role, attempt)

    def play_on(self, bead: str, role: str, attempt: int) -> Played:
        """The next turn of the session that was played last."""
        command = (sys.executable, *PYTHON, scripted.__file__, str(self._scenario), "--command")
        who = {"OYA_BEAD": bead, "OYA_ROLE": role, "OYA_ATTEMPT": str(attempt)}
        try:
            code = self._run(*command, env=who, deadline=SILENCE).returncode
        except subprocess.TimeoutExpired:
            return Played("hang", None)
        ended = {0: "end_turn", 1: "limit", -9: "crash"}[code]
        file = self.folder / ".oya" / "out" / f"{role}.json"
        return Played(ended, json.loads(file.read_text("utf-8")) if file.exists() else None)

    def tests(self, *ids: str) -> tuple[set[str], set[str]]:
        """What passed and what did not; a file that could not be collected is named as one."""
        done = self._run(sys.executable, *PYTEST, "--continue-on-collection-errors", *ids)
        outcomes = OUTCOME.findall(done.stdout)
        red = {name for outcome, name in outcomes if outcome != "PASSED"}
        return {name for _, name in outcomes} - red, red

    def compiles(self) -> bool:
        """Whether every module of the library compiles."""
        return not self._run(sys.executable, "-m", "compileall", "-q", "src").returncode

    def challenge(self, command: str) -> tuple[int, str]:
        """The exit code of a command and the last line that it prints."""
        done = self._run("sh", "-c", command)
        return done.returncode, (done.stdout.splitlines() or [""])[-1]

    def _run(
        self, *command: str, env: dict[str, str] | None = None, deadline: float = DEADLINE
    ) -> subprocess.CompletedProcess[str]:
        who = {"NAME": "Story", "EMAIL": "story@example.org"}
        whole = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
            "LC_ALL": "C.UTF-8",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            **{f"GIT_{role}_{key}": who[key] for role in ("AUTHOR", "COMMITTER") for key in who},
            **(env or {}),
        }
        return subprocess.run(
            command, cwd=self.folder, env=whole, capture_output=True, text=True, timeout=deadline
        )
