"""A repository in which the story is played step by step, for the proof that it is true."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oya.demo.story.load import SAMPLE, Step, Table

DEADLINE = 60.0
OUTCOME = re.compile(r"^(PASSED|FAILED|ERROR) (tests/[\w./]+(?:::\w+)*)", re.MULTILINE)
PYTEST = ("-m", "pytest", "-q", "-rA", "--tb=no", "-p", "no:cacheprovider")


@dataclass(frozen=True)
class Played:
    """How a session ended (`end_turn`, `crash`, `hang` or `error`), and what it answered."""

    ended: str
    answer: Table | None


class Workspace:
    """The sample as a git repository in a new folder, with one checkout in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shutil.copytree(SAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__"))
        self.git("init", "-q")
        self.start = self.commit("The sample")

    def git(self, *arguments: str, may_fail: bool = False) -> str:
        """What git prints; CalledProcessError if it fails and may not."""
        done = self._run("git", *arguments)
        if done.returncode and not may_fail:
            done.check_returncode()
        return done.stdout.strip()

    def at(self, commit: str) -> None:
        """Check out exactly this commit."""
        self.git("checkout", "-q", "-f", "--detach", commit)
        self.git("clean", "-fdq")

    def commit(self, message: str) -> str:
        """Commit the checkout as it is; the commit, which has the tree of its parent if clean."""
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def tree(self) -> str:
        """The id of the checkout's tree, uncommitted files included."""
        self.git("add", "-A")
        return self.git("write-tree")

    def play(self, steps: list[Step]) -> Played:
        """Play the steps of one turn on the checkout."""
        answer: Table | None = None
        for step in steps:
            (name, value), *_ = step.items()
            if name in ("crash", "hang", "error"):
                return Played(name, answer)
            if name == "answer":
                answer = value
            else:
                self._step(name, value)
        return Played("end_turn", answer)

    def _step(self, name: str, value: Any) -> None:
        match name:
            case "say":
                pass
            case "write":
                for path, text in value.items():
                    file = self.folder / path
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_text(text, encoding="utf-8")
            case "edit":
                file = self.folder / value["path"]
                file.write_text(edited(file.read_text("utf-8"), **value), encoding="utf-8")
            case "run":
                self._run("sh", "-c", value).check_returncode()
            case _:
                raise ValueError(f"the proof does not play {name!r}")

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

    def _run(self, *command: str) -> subprocess.CompletedProcess[str]:
        who = {"NAME": "Story", "EMAIL": "story@example.org"}
        env = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', os.defpath)}",
            "LC_ALL": "C.UTF-8",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            **{f"GIT_{role}_{key}": who[key] for role in ("AUTHOR", "COMMITTER") for key in who},
        }
        return subprocess.run(
            command, cwd=self.folder, env=env, capture_output=True, text=True, timeout=DEADLINE
        )


def edited(text: str, *, path: str, find: str, replace: str) -> str:
    """The text after an edit; the same text if the edit is there already."""
    if find not in text and replace in text:
        return text
    if text.count(find) != 1:
        raise ValueError(f"{path} has {text.count(find)} times, not once: {find!r}")
    return text.replace(find, replace)
