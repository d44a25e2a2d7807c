"""The port: run a program, or speak with one, and leave nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

BACKGROUND: Final = 10
"""The niceness of gates and backends, so that whoever sits at the machine can use it."""


def shell(line: str) -> tuple[str, ...]:
    """The `argv` of a line for the shell."""
    return ("/bin/sh", "-c", line)


@dataclass(frozen=True, slots=True)
class Command:
    """What to run, where, with what, and within which limits.

    `env` is the whole environment: nothing is inherited. A program without a slash
    is looked up in the `PATH` of `env`. `output` receives stdout and stderr in one
    file, rewritten each time; without it they are discarded. Of more than
    `output_limit` bytes the first and the last half are kept, with one line between
    them that says how much was cut. `timeout` is in seconds and concerns `run` only.

    `cwd` may be written to. In a sandbox nothing else may, and some of the machine is not
    seen: `readable` are files and `writable` files and folders that it is handed besides.
    `nice` is added to oya's own niceness.
    """

    argv: tuple[str, ...]
    cwd: Path
    env: Mapping[str, str]
    stdin: bytes = b""
    output: Path | None = None
    output_limit: int = 10_000_000
    timeout: float = 1800.0
    nice: int = 0
    readable: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: by `exit` or by `signal`, the other is None.

    A program that was still running when it was told to end (timeout, close) has
    `signal` 9. `seconds` is the time from its start to its end; `cpu_seconds` is
    what it, everything below it and its guard have used.
    """

    exit: int | None
    signal: int | None
    timed_out: bool
    seconds: float
    cpu_seconds: float

    @property
    def ok(self) -> bool:
        return self.exit == 0


class Session(Protocol):
    """A program that is spoken to over its stdin and stdout.

    Lines of stdout may be up to 64 MB; a program that writes faster than it is read
    is held back by its pipe. `pid` is the guard's.
    """

    @property
    def stdin(self) -> asyncio.StreamWriter: ...

    @property
    def stdout(self) -> asyncio.StreamReader: ...

    @property
    def pid(self) -> int: ...

    async def close(self, grace: float = 1.0) -> Ended:
        """Close stdin, wait up to `grace` seconds, then end everything below the guard.

        May be called any number of times, and answers the same each time. Cancelled:
        ends everything at once, and still returns only when it is gone.
        """
        ...

    async def wait(self) -> Ended:
        """Wait for the program to end by itself. Cancelling this ends nothing."""
        ...

    def activity(self) -> float:
        """CPU seconds used so far by everything below the guard; steps of 0.01."""
        ...


class Processes(Protocol):
    """Starts programs. Whatever a program leaves behind is gone when it has ended."""

    async def run(self, command: Command) -> Ended:
        """Run to the end, or to the timeout; by then everything it started is gone too.

        Cancelled: the whole tree is gone before CancelledError leaves. Raises
        ProcessError if the program cannot be started; not for how it ends.
        """
        ...

    async def open(self, command: Command, *, stderr: Path) -> Session:
        """Start a program to speak with; its stderr goes to the file, within `output_limit`.

        `stdin`, `output` and `timeout` of the command are not used: it lives until it
        ends or the session is closed. Raises ProcessError if it cannot be started.
        """
        ...

    async def end_orphans(self) -> list[int]:
        """Return when nothing runs any more that an owner started who has died.

        What a living owner has started, this one included, goes on. The ids of what had to
        be ended. `ProcessError` where something cannot be.
        """
        ...
