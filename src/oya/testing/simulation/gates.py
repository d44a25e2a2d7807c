"""Gates on the simulated machine: slots, time, luck, and the suite."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

from oya.gates.checks import Ran
from oya.gates.model import EXIT_ONLY, Case, Evidence, Outcome, Report
from oya.gates.port import Job
from oya.testing.simulation import suite
from oya.testing.simulation.life import Life
from oya.testing.simulation.objects import Files

SLOWEST = 1.5
"""Seconds that a gate takes at most, where nothing is in its way."""
CASES_SHOWN = 5


class SimulatedRunner:
    """`gates.port.Runner`. `files` gives those of a commit.

    `luck` is the chance of a run: below a test's steadiness it passes. `trouble` says what
    becomes of a run: "" nothing, "flip" (green is told as red, once), "killed" (cut short).
    """

    def __init__(
        self,
        life: Life,
        files: Callable[[str], Files],
        *,
        slots: int,
        luck: Callable[[], float],
        trouble: Callable[[], str] = lambda: "",
        running: set[str] | None = None,
    ) -> None:
        self._life = life
        self._files = files
        self._slots = asyncio.Semaphore(slots)
        self._luck = luck
        self._trouble = trouble
        self._running = set() if running is None else running
        self._runs = 0

    async def run(self, commit: str, tree: str, job: Job, key: str, *, urgent: bool) -> Evidence:
        """See `Runner.run`."""
        await self._takes_time("gate")
        files = self._files(commit)
        report, told = self._judged(job, files)
        trouble = self._trouble()
        if trouble == "flip":
            report, told = _flipped(report), "it did not like the moment"
        red = bool(told) or any(case.red for case in report.cases)
        killed = trouble == "killed"
        code = None if killed else 5 if report.empty else int(red)
        return Evidence(
            key=key,
            gate=job.gate,
            tree=tree,
            command=job.commands[-1],
            exit=code,
            seconds=1.0,
            cpu_seconds=1.0,
            ok=code == 0,
            report=None if killed and job.junit else report,
            log=Path("/simulated/gate.log"),
            tail=told or _said(report),
        )

    async def command(self, commit: str, line: str, *, timeout: float) -> Ran:
        """See `Runner.command`."""
        await self._takes_time("command")
        code = suite.exit_of(self._files(commit), line)
        return Ran(code, f"{line}: {code}", f"{line}: {code}\n", False, 0.1, 0.1)

    async def _takes_time(self, what: str) -> None:
        await self._life.turn()
        async with self._slots:
            self._runs += 1
            name = f"{what} {self._runs}"
            self._running.add(name)
            try:
                await self._life.turn(what, self._life.some(SLOWEST))
            finally:
                self._running.discard(name)
        await self._life.turn(f"{what} done")

    def _judged(self, job: Job, files: Files) -> tuple[Report, str]:
        """The report, and what else is wrong."""
        if job.gate == "quick":
            return Report((Case(EXIT_ONLY, Outcome.PASSED),)), ""
        found = suite.report(files, job.ids, self._luck)
        if job.junit:
            return found, ""
        red = [case.id for case in found.cases if case.red] + suite.wrong(files)
        outcome = Outcome.FAILED if red else Outcome.PASSED
        return Report((Case(EXIT_ONLY, outcome, "; ".join(red)),)), "; ".join(red)


def _flipped(report: Report) -> Report:
    return Report(tuple(Case(case.id, Outcome.FAILED, "AssertionError") for case in report.cases))


def _said(report: Report) -> str:
    red: Sequence[Case] = [case for case in report.cases if case.red]
    return "\n".join(f"{case.id}: {case.message}" for case in red[:CASES_SHOWN]) or "all passed"
