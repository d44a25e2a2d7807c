"""Starting the daemon from a command: a process and a session of its own."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oya.daemon.client import error_of
from oya.daemon.request import Request
from oya.errors import OyaError
from oya.repository.places import Place

START_WITHIN = 120.0
"""Seconds until the daemon must have said how starting went: opening a damaged or a large
store may copy it first."""
MAX_WORDS = 100_000


@dataclass(frozen=True, slots=True)
class Started:
    """A daemon that answers on its socket. `since`: the newest event before it."""

    swarm: str
    words: str
    since: int
    warnings: tuple[str, ...]
    pid: int


class Locked(Exception):
    """Another daemon was faster: there is one to attach to."""


def launch(place: Place, request: Request) -> Started:
    """Start a daemon and wait until it answers. Raises what kept it from starting; `Locked`
    where another process holds the state."""
    place.make_folders()
    logs = place.state / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    errors = logs / "daemon.err"
    reading, writing = os.pipe()
    try:
        with errors.open("wb") as stderr:
            child = subprocess.Popen(
                [sys.executable, "-P", "-m", "oya.daemon", request.to_json(), str(writing)],
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                pass_fds=(writing,),
                start_new_session=True,
                cwd="/",
            )
        os.close(writing)
        try:
            said = _hear(reading, time.monotonic() + START_WITHIN)
        except KeyboardInterrupt:
            child.terminate()
            raise
    finally:
        os.close(reading)
    if said is None:
        raise _died(errors)
    if said.get("locked"):
        raise Locked
    if "error" in said:
        raise error_of(said["error"])
    return Started(
        said["swarm"], said["words"], said["since"], tuple(said["warnings"]), said["pid"]
    )


def _hear(fd: int, deadline: float) -> dict[str, Any] | None:
    """The one line; None where the daemon ended, or the time is over, without it."""
    heard = b""
    while len(heard) < MAX_WORDS and not heard.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([fd], [], [], left)[0]:
            return None
        if not (part := os.read(fd, 65536)):
            return None
        heard += part
    words: dict[str, Any] = json.loads(heard)
    return words


def _died(errors: Path) -> OyaError:
    tail = errors.read_text(errors="replace")[-2000:].strip()
    last = tail.splitlines()[-1] if tail else "it said nothing"
    return OyaError(
        f"The daemon did not start: {last}",
        safe="Nothing was claimed.",
        hint=f"See {errors} and `oya logs`.",
    )
