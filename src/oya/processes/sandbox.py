"""Programs in a sandbox: the same promises, and little that they could harm.

    processes = Sandboxed(GuardedProcesses("swarm-1"), policy, find(policy, folder))

The guard stays outside and ends everything, bubblewrap included.
"""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
from dataclasses import replace
from pathlib import Path

from oya.errors import ProcessError
from oya.processes.bubblewrap import Bubblewrap, Layout, Policy
from oya.processes.port import Command, Ended, Processes, Session, shell

_SIGNALS = range(2, 65)
"""Without 1: git says 129 of a wrong option, and nothing else here dies of a hang-up."""
_WORDS = 1000


class Sandboxed:
    """Implements `Processes` by other ones, each program of which runs under the policy."""

    def __init__(self, processes: Processes, policy: Policy, bubblewrap: Bubblewrap) -> None:
        self.policy = policy
        self._processes = processes
        self._layout = Layout(policy)
        self._bubblewrap = bubblewrap

    async def run(self, command: Command) -> Ended:
        """See `Processes.run`. `ProcessError` also where no sandbox could be made for it."""
        ended = _as_outside(await self._processes.run(self._inside(command)))
        if ended.exit == 1 and (said := _bwrap_said(command.output)):
            await self._confirm(command, said)
        return ended

    async def open(self, command: Command, *, stderr: Path) -> Session:
        """See `Processes.open`."""
        session = await self._processes.open(self._inside(command), stderr=stderr)
        return SandboxedSession(session)

    async def end_orphans(self) -> list[int]:
        """See `Processes.end_orphans`."""
        return await self._processes.end_orphans()

    def _inside(self, command: Command) -> Command:
        _check_program(command)
        # /tmp is there and may be written to, whatever else was meant outside.
        env = {name: value for name, value in command.env.items() if name != "TMPDIR"}
        return replace(command, argv=self._bubblewrap.argv(command, self._layout), env=env)

    async def _confirm(self, command: Command, said: str) -> None:
        """Anybody can write that, so: does nothing run there, really?"""
        nothing = replace(command, argv=shell(":"), stdin=b"", output=None)
        if not (await self._processes.run(self._inside(nothing))).ok:
            raise ProcessError(f"cannot start {command.argv[0]} in the sandbox: {said}")


class SandboxedSession:
    """Implements `Session`."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def stdin(self) -> asyncio.StreamWriter:
        """See `Session`."""
        return self._session.stdin

    @property
    def stdout(self) -> asyncio.StreamReader:
        """See `Session`."""
        return self._session.stdout

    @property
    def pid(self) -> int:
        """See `Session`."""
        return self._session.pid

    async def close(self, grace: float = 1.0) -> Ended:
        """See `Session`."""
        return _as_outside(await self._session.close(grace))

    async def wait(self) -> Ended:
        """See `Session`."""
        return _as_outside(await self._session.wait())

    def activity(self) -> float:
        """See `Session`."""
        return self._session.activity()


def _as_outside(ended: Ended) -> Ended:
    """The first process of the namespace tells of a death by signal N as exit 128 + N."""
    if ended.exit is not None and ended.exit - 128 in _SIGNALS:
        return replace(ended, exit=None, signal=ended.exit - 128)
    return ended


def _check_program(command: Command) -> None:
    """Otherwise bubblewrap would be what fails, with an exit code like any other."""
    name = command.argv[0]
    if "/" not in name:
        found = shutil.which(name, path=command.env.get("PATH", os.defpath))
        code = None if found else errno.ENOENT
    else:
        file = command.cwd / name
        code = None if os.access(file, os.X_OK) else errno.EACCES
        code = code if file.exists() else errno.ENOENT
    if code is not None and command.cwd.is_dir():
        raise ProcessError(
            f"cannot start {name}: {os.strerror(code)}",
            hint="Check that it is installed, executable, and on the PATH it is given.",
        )


def _bwrap_said(output: Path | None) -> str:
    """The whole output, if it is one line of bubblewrap's own."""
    try:
        with open(output or os.devnull, "rb") as file:  # noqa: PTH123
            said = file.read(_WORDS).decode(errors="replace").strip()
    except OSError:
        return ""
    return said if said.startswith("bwrap: ") and "\n" not in said else ""
