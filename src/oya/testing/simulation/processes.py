"""Processes on the simulated machine: agents and gates are none, and die with their daemon."""

from __future__ import annotations

from pathlib import Path

from oya.errors import ProcessError
from oya.processes.port import Command, Ended, Session
from oya.testing.simulation.life import Life


class SimulatedProcesses:
    """`processes.port.Processes` of a machine that has no programs."""

    def __init__(self, life: Life) -> None:
        self._life = life

    async def run(self, command: Command) -> Ended:
        """See `Processes.run`."""
        raise ProcessError(f"the simulated machine has no {command.argv[0]}")

    async def open(self, command: Command, *, stderr: Path) -> Session:
        """See `Processes.open`."""
        raise ProcessError(f"the simulated machine has no {command.argv[0]}")

    async def end_orphans(self) -> list[int]:
        """See `Processes.end_orphans`."""
        await self._life.turn()
        return []
