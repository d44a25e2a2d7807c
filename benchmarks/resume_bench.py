"""From a kill -9 of a daemon with 10,000 beads and 13 attempts in flight to the first new claim.

Everything is real: the command, the daemon, its store on disk, git, agents that are processes
(they sleep) in workspaces of their own. The clock starts when the command is typed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scale_kit import environment, filled_repository

BEADS = 10_000
ATTEMPTS = 13
ROUNDS = 3
LIMIT = 2.0
DEADLINE = 120.0

Measure = tuple[str, float, str, str, float]


def measures() -> Iterator[Measure]:
    """The best and the worst of three rounds, beside the limit; the command alone beside both."""
    with filled_repository(BEADS, ATTEMPTS) as folder:
        try:
            took = list(_rounds(folder))
        finally:
            _kill(folder)
        command = _seconds_of_a_command(folder)
    for name, value in (("best", min(took)), ("worst", max(took))):
        yield f"resume to first claim, {name} of {ROUNDS}", value, "s", "limit", LIMIT
    yield "resume to first claim", min(took), "s", "oya swarm status", command


def _rounds(folder: Path) -> Iterator[float]:
    _until_claims(folder, ATTEMPTS)
    for _ in range(ROUNDS):
        _until_in_flight(folder)
        _kill(folder)
        began = time.perf_counter()
        _until_claims(folder, 1)
        yield time.perf_counter() - began


_OYA = (sys.executable, "-m", "oya.cli.main")


def _until_claims(folder: Path, count: int) -> None:
    """Type `oya swarm`, and look on until it has told of so many new claims."""
    command = (*_OYA, "swarm", "--format", "json")
    with subprocess.Popen(
        command, cwd=folder, env=environment(folder), stdout=subprocess.PIPE, text=True
    ) as ran:
        assert ran.stdout is not None
        for line in ran.stdout:
            row: dict[str, Any] = json.loads(line)
            count -= row.get("event") == "claimed"
            if count == 0:
                ran.kill()  # who looks on; the daemon goes on
                return
    raise AssertionError(f"oya swarm has ended: {ran.returncode}")


def _until_in_flight(folder: Path) -> None:
    """Wait until all agents work again."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        status = subprocess.run(
            (*_OYA, "swarm", "status", "--format", "json"),
            cwd=folder,
            env=environment(folder),
            capture_output=True,
            text=True,
            check=True,
        )
        agents = json.loads(status.stdout.splitlines()[-1])["agents"]
        if sum(agent["state"] == "working" for agent in agents) == ATTEMPTS:
            return
        time.sleep(0.2)
    raise AssertionError("the agents do not work")


def _kill(folder: Path) -> None:
    """End the daemon, and by that all below it."""
    pid = int((folder / ".git/oya/daemon.pid").read_text())
    os.kill(pid, signal.SIGKILL)


def _seconds_of_a_command(folder: Path) -> float:
    began = time.perf_counter()
    subprocess.run(
        (*_OYA, "swarm", "status"),
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        check=True,
    )
    return time.perf_counter() - began
