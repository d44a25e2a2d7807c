"""What must hold after any crash, found out from git, the event log and the tracker's file.

Nothing of the swarm's own code takes part: no import of oya, no trust in its judgement. Each
promise is a function that yields the breaches it finds; `check` asserts that there are none.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

MAX_ATTEMPTS = 3
COUNTS = ("agent_crash", "agent_stuck", "agent_empty", "gate_red", "contract_broken", "internal")
"""Failure classes that use up an attempt."""
ENDS = {
    "contract_accepted": "contract",
    "check_accepted": "contract:check",
    "check_revised": "contract:check",
    "implementation_accepted": "implementation",
    "defended": "review",
    "contested": "review",
    "forfeited": "review",
}
"""Results that leave a phase, and the phase that they end."""
OVER = {*ENDS, "attempt_failed", "lease_expired", "cannot_do"}
"""Events that end an attempt."""

NOTHING_RUNS = "nothing_runs"

Row = dict[str, Any]


class Ground(Protocol):
    """What is looked at."""

    repository: Path
    home: Path
    at_stake: dict[str, dict[str, bytes]]
    tracked: bool

    @property
    def env(self) -> dict[str, str]: ...
    @property
    def state(self) -> Path: ...
    @property
    def cache(self) -> Path: ...

    def living(self) -> list[str]: ...
    def popen(self, *args: str) -> subprocess.Popen[str]: ...
    def git(self, *args: str, check: bool = True) -> str: ...


@dataclass(frozen=True)
class Evidence:
    """Everything that the promises are held against, read once."""

    ground: Ground
    events: list[Row]
    commits: list[tuple[str, str]]
    """(commit, bead) of main, oldest first."""
    refs: dict[str, str]
    tracker: dict[str, Row]
    status: Row
    beads: dict[str, Row]

    @classmethod
    def read(cls, ground: Ground) -> Evidence:
        """Look at a ground on which nothing runs any more."""
        trailers = "%(trailers:key=Bead,valueonly,separator=+)"
        log = ground.git("log", "--reverse", f"--format=%H {trailers}")
        commits = [line.split(" ", 1) for line in log.splitlines()]
        refs = ground.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
        file = (ground.repository / ".beads/issues.jsonl").read_text().splitlines()
        printed, rows, status = _asked(ground, ("events",), ("beads",), ("swarm", "status"))
        return cls(
            ground,
            printed,
            [(commit, bead.strip()) for commit, bead in commits if bead.strip()],
            dict(line.split(" ") for line in refs),
            {row["id"]: row for row in map(json.loads, file)},
            status[0],
            {row["id"]: row for row in rows[0]["beads"]},
        )

    def of_beads(self) -> dict[str, list[Row]]:
        """Events by bead, in order."""
        found: dict[str, list[Row]] = defaultdict(list)
        for row in self.events:
            if row["bead"]:
                found[row["bead"]].append(row)
        return found


def check(ground: Ground, landed: int = 4) -> Evidence:
    """Assert every promise; `landed` beads must be on main. The evidence, to look closer."""
    found, breaches = look(ground, landed)
    assert not breaches, "\n".join(map(": ".join, breaches))
    return found


def look(ground: Ground, landed: int = 4) -> tuple[Evidence, list[tuple[str, str]]]:
    """The evidence, and every breach: the promise's name, and what is wrong."""
    running = ground.living()
    found = Evidence.read(ground)
    breaches = [(NOTHING_RUNS, f"still runs: {process}") for process in running]
    for promise in PROMISES:
        breaches += [(promise.__name__, breach) for breach in promise(found)]
    if len(found.commits) != landed:
        words = f"{len(found.commits)} commits landed, not {landed}: {found.commits}"
        breaches.append((each_bead_landed_once.__name__, words))
    return found, breaches


def _asked(ground: Ground, *commands: tuple[str, ...]) -> list[list[Row]]:
    """What these commands print, each line an object. One after the other: each holds the
    state for as long as it reads, and does not wait for long."""
    answers = []
    for command in commands:
        process = ground.popen(*command, "--format", "json")
        out, err = process.communicate(timeout=60.0)
        assert process.returncode == 0, (command, err)
        answers.append([json.loads(line) for line in out.splitlines()])
    return answers


# What is in git and in the tracker -----------------------------------------------------------


def each_bead_landed_once(found: Evidence) -> Iterator[str]:
    """A bead has at most one commit on main, and the log says the same."""
    for bead, times in Counter(bead for _, bead in found.commits).items():
        if times > 1:
            yield f"{bead} has {times} commits"
    told = [(row["data"]["commit"], row["bead"]) for row in _named(found, "landed")]
    if told != found.commits:
        yield f"the log says {told}, main has {found.commits}"


def every_commit_is_green(found: Evidence) -> Iterator[str]:
    """Each landed commit, checked out: the gates, and the work of every bead up to it."""
    work = {
        "alpha": "grep -qx alpha alpha.txt && test ! -e half.txt",
        "beta": "grep -q beta beta.txt && grep -q strict beta.txt",
        "gamma": "grep -qx gamma list.txt && test -e checks/gamma.sh",
        "delta": "grep -qx delta list.txt && test -e checks/delta.sh",
    }
    folder = found.ground.home / "checked-out"
    so_far: list[str] = []
    for commit, bead in found.commits:
        so_far.append(bead)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        lines = ["sh check.sh", *(work[name] for name in so_far)]
        packed = found.ground.git("archive", "--format=tar", f"--output={folder}.tar", commit)
        subprocess.run(("tar", "-xf", f"{folder}.tar", "-C", str(folder)), check=True, timeout=20)
        assert packed == ""
        for line in lines:
            done = subprocess.run(
                ("sh", "-c", line), cwd=folder, env=found.ground.env, timeout=20, check=False
            )
            if done.returncode:
                yield f"{commit[:9]} ({bead}) is red: {line}"
        yield from _tracker_in(found, commit, so_far)
    shutil.rmtree(folder, ignore_errors=True)


def _tracker_in(found: Evidence, commit: str, landed: list[str]) -> Iterator[str]:
    """Where git tracks the file, each commit closes its own bead."""
    if not found.ground.tracked:
        return
    file = found.ground.git("show", f"{commit}:.beads/issues.jsonl").splitlines()
    closed = [row["id"] for row in map(json.loads, file) if row["status"] == "closed"]
    if sorted(closed) != sorted(landed):
        yield f"{commit[:9]} has closed {closed}, landed are {landed}"


def tracker_agrees(found: Evidence) -> Iterator[str]:
    """Closed is landed, and nothing else."""
    landed = sorted(bead for _, bead in found.commits)
    closed = sorted(bead for bead, row in found.tracker.items() if row["status"] == "closed")
    if landed != closed:
        yield f"landed {landed}, closed {closed}"
    if changed := found.ground.git("status", "--porcelain"):
        yield f"the checkout is not clean: {changed}"
    if found.refs.get("refs/oya/line/main", "none") != found.refs["refs/heads/main"]:
        yield "the checkout is not where the line is"


def work_is_kept(found: Evidence) -> Iterator[str]:
    """Every attempt that had a workspace has its ref; what a kill met is in it."""
    for bead, rows in found.of_beads().items():
        for row in rows:
            ref = f"refs/oya/attempts/{bead}/{row['epoch']}"
            worked = row["event"] in OVER and row["event"] != "lease_expired"
            snapshot = row["data"].get("snapshot")
            if worked and ref not in found.refs:
                yield f"{ref} is missing ({row['event']})"
            if snapshot and found.refs.get(ref) != snapshot:
                yield f"{ref} is not the snapshot {snapshot} of event {row['seq']}"
    for attempt, files in found.ground.at_stake.items():
        ref = f"refs/oya/attempts/{attempt}"
        for path, data in files.items():
            kept = found.ground.git("show", f"{ref}:{path}", check=False)
            if kept != data.decode().rstrip("\n"):
                yield f"{ref} has lost {path}: {data!r}, kept {kept!r}"
        if ref not in found.refs:
            yield f"{ref} is missing; its workspace lay there at a kill"


# What the log says ---------------------------------------------------------------------------


def log_has_no_gaps(found: Evidence) -> Iterator[str]:
    """Numbers count from 1, and each bead's steps join."""
    numbers = [row["seq"] for row in found.events]
    if numbers != list(range(1, len(numbers) + 1)):
        yield f"numbers are not 1…{len(numbers)}"
    for bead, rows in found.of_beads().items():
        at = None
        for row in (row for row in rows if row["to"] is not None):
            if row["from"] != at:
                yield f"{bead} was {at}, event {row['seq']} ({row['event']}) says {row['from']}"
            at = row["to"]
        shown = found.beads[bead]
        phase = f"{shown['phase']}:check" if shown["checking"] else shown["phase"]
        if at != f"{phase}/{shown['status']}":
            yield f"{bead}: the log ends with {at}, the store says {phase}/{shown['status']}"


def accepted_once(found: Evidence) -> Iterator[str]:
    """Epochs rise by one at a claim and nowhere else; one attempt at a time, ended once, under
    its own epoch; between two entries to a phase at most one result is accepted."""
    for bead, rows in found.of_beads().items():
        epoch, under_way, accepted = 0, False, False
        phase = "contract"
        for row in rows:
            where, name = f"{bead}, event {row['seq']} ({row['event']})", row["event"]
            if name == "claimed":
                if under_way or row["epoch"] != epoch + 1:
                    yield f"{where}: epoch {row['epoch']} after {epoch}, under way: {under_way}"
                epoch, under_way = row["epoch"], True
            elif name in OVER:
                if not under_way or row["epoch"] != epoch:
                    yield f"{where}: epoch {row['epoch']}, current {epoch}, {under_way}"
                under_way = False
            if name in ENDS or name == "landed":
                if accepted or phase != ENDS.get(name, "landing"):
                    yield f"{where}: a second result of {phase}"
                accepted = True
            to = (row["to"] or f"{phase}/").rpartition("/")[0]
            if to != phase or (row["from"] or "").endswith("/held"):
                phase, accepted = to, False


def attempts_are_counted(found: Evidence) -> Iterator[str]:
    """Between two entries to a phase no more failures than allowed; kills are not failures."""
    for bead, rows in found.of_beads().items():
        used, phase = 0, "contract"
        for row in rows:
            used += row["event"] == "attempt_failed" and row["class"] in COUNTS
            if used > MAX_ATTEMPTS:
                yield f"{bead}: {used} attempts of {phase} at event {row['seq']}"
            to = (row["to"] or f"{phase}/").rpartition("/")[0]
            used, phase = (used if to == phase else 0), to
        if found.beads[bead]["retry_count"] != used:
            yield f"{bead}: retry_count {found.beads[bead]['retry_count']}, the log has {used}"


def counters_equal_events(found: Evidence) -> Iterator[str]:
    """What status counts is what the log has, for the newest swarm."""
    mine = [row for row in found.events if row["swarm"] == found.status["id"]]
    ran = sum(1 for row in mine if row["event"] == "gate_ran")
    counted: dict[str, tuple[Any, Any]] = {
        "landed_beads": (found.status["landed_beads"], len(_named(found, "landed"))),
        "landed_commits": (found.status["landing"]["landed_commits"], len(found.commits)),
        "gate_runs": (found.status["landing"]["gate_runs"], ran),
        "landed": (found.status["beads"]["landed"], len(found.commits)),
    }
    failed = Counter(row["class"] for row in mine if row["event"] == "attempt_failed")
    counted["failures"] = (found.status["failures"], dict(failed))
    for name, (says, is_) in counted.items():
        if says != is_:
            yield f"{name}: status says {says}, the log {is_}"
    if found.status["landed_beads"] > found.status["target_beads"]:
        yield "more landed than the target"


# What must not be left -----------------------------------------------------------------------


def nothing_is_left(found: Evidence) -> Iterator[str]:
    """No workspace, no lock, no socket, no ref that only held something under way."""
    ground = found.ground
    for folder in (ground.cache / "work", ground.cache / "admin" / "work", ground.cache / "kept"):
        if folder.is_dir():
            yield from (f"left: {path}" for path in folder.iterdir())
    for name in found.refs:
        if name.startswith(("refs/oya/base/", "refs/oya/candidates/", "refs/heads/oya/")):
            yield f"left: {name}"
    git = ground.repository / ".git"
    yield from (f"left: {path}" for path in git.rglob("*.lock"))
    if (ground.state / "daemon.pid").exists():
        yield "left: daemon.pid"
    if not _is_free(ground.state / "lock"):
        yield "the state is still locked"


def _is_free(path: Path) -> bool:
    file = os.open(path, os.O_RDWR)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(file)
    return True


def _named(found: Evidence, *names: str) -> list[Row]:
    return [row for row in found.events if row["event"] in names]


PROMISES: tuple[Callable[[Evidence], Iterator[str]], ...] = (
    each_bead_landed_once,
    every_commit_is_green,
    tracker_agrees,
    work_is_kept,
    log_has_no_gaps,
    accepted_once,
    attempts_are_counted,
    counters_equal_events,
    nothing_is_left,
)
