"""What must hold after any crash.

`oya verify` holds the log, git and the tracker against what is promised, by code that shares
nothing with the swarm. Here is what only this scenario can know: what lay in the workspaces at
each kill, what every landed commit must do when it is checked out, what somebody outside was
told, that nothing runs or is left.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

Row = dict[str, Any]


class Ground(Protocol):
    """What is looked at."""

    repository: Path
    home: Path
    at_stake: dict[str, dict[str, bytes]]
    heard: list[Row]
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
    """Everything that is held against the promises, read once."""

    ground: Ground
    running: list[str]
    events: list[Row]
    verified: Row
    """The answer of `oya verify`."""
    commits: list[tuple[str, str]]
    """(commit, bead) of main, oldest first."""
    refs: dict[str, str]

    @classmethod
    def read(cls, ground: Ground) -> Evidence:
        """Look at a ground on which nothing runs any more."""
        running = ground.living()
        trailers = "%(trailers:key=Bead,valueonly,separator=+)"
        log = ground.git("log", "--reverse", f"--format=%H {trailers}")
        commits = [line.split(" ", 1) for line in log.splitlines()]
        refs = ground.git("for-each-ref", "--format=%(refname) %(objectname)").splitlines()
        return cls(
            ground,
            running,
            _asked(ground, "events"),
            _verified(ground),
            [(commit, bead.strip()) for commit, bead in commits if bead.strip()],
            dict(line.split(" ") for line in refs),
        )


def check(ground: Ground, landed: int = 4, earlier: int = 0) -> Evidence:
    """Assert every promise; `landed` beads must be on main, of which so many landed `earlier`,
    before the state began anew. The evidence, to look closer."""
    found, breaches = look(ground, landed, earlier)
    assert not breaches, "\n".join(map(": ".join, breaches))
    return found


def look(
    ground: Ground, landed: int = 4, earlier: int = 0
) -> tuple[Evidence, list[tuple[str, str]]]:
    """The evidence, and every breach: the promise's name, and what is wrong."""
    found = Evidence.read(ground)
    breaches = _breaches(found.verified)
    for promise in PROMISES:
        breaches += [(promise.__name__, breach) for breach in promise(found)]
    if len(found.commits) != landed or found.verified["commits"] != landed - earlier:
        words = f"{len(found.commits)} commits landed, not {landed}: {found.commits}"
        breaches.append((everything_landed.__name__, words))
    return found, breaches


def broken(ground: Ground) -> list[tuple[str, str]]:
    """The breaches that `oya verify` finds, as above."""
    return _breaches(_verified(ground))


def _verified(ground: Ground) -> Row:
    return _asked(ground, "verify", codes=(0, 1))[0]


def _breaches(verified: Row) -> list[tuple[str, str]]:
    promises = verified["promises"]
    return [(one["name"], breach["what"]) for one in promises for breach in one["breaches"]]


def _asked(ground: Ground, *command: str, codes: tuple[int, ...] = (0,)) -> list[Row]:
    """What a command prints, each line an object."""
    process = ground.popen(*command, "--format", "json")
    out, err = process.communicate(timeout=60.0)
    assert process.returncode in codes, (command, err)
    return [json.loads(line) for line in out.splitlines()]


def everything_landed(found: Evidence) -> Iterator[str]:
    """Main has what the line has, and the checkout is clean."""
    if changed := found.ground.git("status", "--porcelain"):
        yield f"the checkout is not clean: {changed}"
    if found.refs.get("refs/oya/line/main", "none") != found.refs["refs/heads/main"]:
        yield "the checkout is not where the line is"


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


def what_lay_there_is_kept(found: Evidence) -> Iterator[str]:
    """Uncommitted files that a kill met are under the ref of their attempt, byte for byte."""
    for attempt, files in found.ground.at_stake.items():
        ref = f"refs/oya/attempts/{attempt}"
        for path, data in files.items():
            kept = found.ground.git("show", f"{ref}:{path}", check=False)
            if kept != data.decode().rstrip("\n"):
                yield f"{ref} has lost {path}: {data!r}, kept {kept!r}"
        if ref not in found.refs:
            yield f"{ref} is missing; its workspace lay there at a kill"


def snapshots_are_what_refs_hold(found: Evidence) -> Iterator[str]:
    """The newest head of an attempt is the one that its end names."""
    for row in found.events:
        snapshot = row["data"].get("snapshot")
        ref = f"refs/oya/attempts/{row['bead']}/{row['epoch']}"
        if snapshot and found.refs.get(ref) != snapshot:
            yield f"{ref} is not the snapshot {snapshot} of event {row['seq']}"


def what_was_heard_is_there(found: Evidence) -> Iterator[str]:
    """An event that a daemon has told somebody outside is in the log, as it was told."""
    there = {row["seq"]: row for row in found.events}
    for row in found.ground.heard:
        if there.get(row["seq"]) != row:
            yield f"heard as {row}, in the log as {there.get(row['seq'])}"


def nothing_runs(found: Evidence) -> Iterator[str]:
    """No process carries what belongs to this ground."""
    yield from (f"still runs: {process}" for process in found.running)


def nothing_lies_about(found: Evidence) -> Iterator[str]:
    """Nothing that was moved aside or out of sight, no lock of git's, nobody at the state."""
    ground = found.ground
    for name in ("kept", "gone"):
        if (ground.cache / name).is_dir():
            yield from (f"left: {path}" for path in (ground.cache / name).iterdir())
    yield from (f"left: {path}" for path in (ground.repository / ".git").rglob("*.lock"))
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


PROMISES: tuple[Callable[[Evidence], Iterator[str]], ...] = (
    everything_landed,
    every_commit_is_green,
    what_lay_there_is_kept,
    snapshots_are_what_refs_hold,
    what_was_heard_is_there,
    nothing_runs,
    nothing_lies_about,
)
"""Beside those of `oya verify`."""
