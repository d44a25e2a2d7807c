"""Starting the daemon from a command: a process and a session of its own."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from oya.daemon.client import error_of
from oya.daemon.request import Request
from oya.errors import DaemonSilent, OyaError

START_WITHIN = 120.0
"""Seconds until the daemon must have said how starting went: opening a damaged or a large
store may copy it first."""
A_WHILE = 1.0
ENDED_WITHIN = 10.0
"""Seconds that a daemon may take to end which is told so before it was ready."""
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


def launch(request: Request, slow: Callable[[], None] | None = None) -> Started:
    """Start a daemon and wait until it answers. Raises what kept it from starting; `Locked`
    where another process holds the state; `DaemonSilent` where it takes too long, and goes on.
    Writes nothing; the daemon does, once all is well. `slow` is called where it takes a while."""
    reading, writing = os.pipe()
    with tempfile.TemporaryFile() as stderr, os.fdopen(reading, "rb") as ready:
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
            if slow is not None and not select.select([ready], [], [], A_WHILE)[0]:
                slow()
            said = _hear(ready.fileno(), time.monotonic() + START_WITHIN)
        except KeyboardInterrupt:
            child.terminate()
            with suppress(subprocess.TimeoutExpired):
                child.wait(ENDED_WITHIN)  # so that the state says how it ended
            raise
        except TimeoutError:
            raise _late(child.pid) from None
        stderr.seek(0)
        last = stderr.read(MAX_WORDS).decode(errors="replace").strip()
    if said is None:
        raise _died(last)
    if said.get("locked"):
        raise Locked
    if "error" in said:
        raise error_of(said["error"])
    return Started(
        said["swarm"], said["words"], said["since"], tuple(said["warnings"]), said["pid"]
    )


def _hear(fd: int, deadline: float) -> dict[str, Any] | None:
    """The one line; None where the daemon ended without it. `TimeoutError` at the deadline."""
    heard = b""
    while len(heard) < MAX_WORDS and not heard.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([fd], [], [], left)[0]:
            raise TimeoutError
        if not (part := os.read(fd, 65536)):
            return None
        heard += part
    words: dict[str, Any] = json.loads(heard)
    return words


def _late(pid: int) -> DaemonSilent:
    return DaemonSilent(
        f"The daemon (process {pid}) is not ready after {START_WITHIN:.0f} s; it goes on starting.",
        safe="What it finds is kept, and it claims as soon as it is ready.",
        hint=f"Attach to it: oya swarm. End it: kill {pid}. `oya logs` tells what it does.",
    )


def _died(last: str) -> OyaError:
    return OyaError(
        f"The daemon did not start: {last.splitlines()[-1] if last else 'it said nothing'}",
        safe="Nothing was claimed.",
        hint="`oya logs` may tell more.",
    )
