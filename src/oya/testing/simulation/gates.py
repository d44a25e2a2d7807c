"""Gates on the simulated machine: slots, time, luck, and the suite."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

from oya.errors import GitError
from oya.gates.checks import Ran
from oya.gates.config import fill
from oya.gates.feedback import failures
from oya.gates.leaks import unwatched
from oya.gates.model import EXIT_ONLY, Case, Evidence, Outcome, Report
from oya.gates.port import Job
from oya.testing.simulation import suite
from oya.testing.simulation.life import Life
from oya.testing.simulation.objects import Files

SLOWEST = 1.5
"""Seconds that a gate takes at most, where nothing is in its way."""
NO_TESTS = 5
"""The exit code of a suite that has none of the tests that it was asked for."""
LOG = Path("/simulated/gate.log")


@dataclass(frozen=True, slots=True)
class _Ended:
    """How the commands of a gate ended: the line that decided, its code (None: a signal)."""

    line: str
    exit: int | None
    said: str = ""
    report: Report | None = None
    timed_out: bool = False


class SimulatedRunner:
    """`gates.port.Runner`. `files` gives those of a commit, `timeout` is a gate's.

    `luck` is the chance of a run: below a test's steadiness it passes. `trouble` says what
    becomes of a run: "" nothing, "flip" (green is told as red, once), "killed" (cut short).
    `ci` takes that many times as long as the other gates; a gate in `takes` takes just those
    seconds, and says so.
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
        timeout: float = 1800.0,
        ci: float = 1.0,
        takes: Mapping[str, float] = MappingProxyType({}),
    ) -> None:
        self._life = life
        self._files = files
        self._slots = _Slots(slots)
        self.slots = slots
        self._luck = luck
        self._trouble = trouble
        self._running = set() if running is None else running
        self._timeout = timeout
        self._ci = ci
        self._takes = takes
        self._runs = 0

    async def run(self, commit: str, tree: str, job: Job, key: str, *, urgent: bool) -> Evidence:
        """See `Runner.run`."""
        ended = self._judged(job, self._files_of(commit))
        slowest = SLOWEST * (self._ci if job.gate == "ci" else 1.0)
        exact = self._timeout if ended.timed_out else self._takes.get(job.gate)
        await self._takes_time("gate", exact, urgent, slowest)
        ended = _troubled(ended, self._trouble())
        fit = ended.report.ran and not ended.report.red if ended.report else not job.report
        evidence = Evidence(
            key=key,
            gate=job.gate,
            tree=tree,
            command=fill(ended.line, job.ids, Path("report.xml")),
            exit=ended.exit,
            seconds=self._takes.get(job.gate, 1.0),
            cpu_seconds=1.0,
            ok=ended.exit == 0 and fit,
            report=ended.report,
            log=LOG,
            tail=_tail(ended, job),
            timed_out=ended.timed_out,
        )
        return replace(evidence, report=_by_exit(evidence)) if job.exit_only else evidence

    async def command(
        self, commit: str, line: str, *, timeout: float, ids: Sequence[str] | None = None
    ) -> Ran:
        """See `Runner.command`."""
        line = unwatched(line) if ids is None else fill(unwatched(line), ids, Path("report"))
        code, said = suite.outcome(self._files_of(commit), line, self._luck)
        await self._takes_time("command", timeout if code is None else None, urgent=False)
        last = said.rpartition("\n")[2]
        return Ran(code, last, said, code is None, 0.1, 0.1)

    def _files_of(self, commit: str) -> Files:
        try:
            return self._files(commit)
        except KeyError:
            raise GitError(f"there is no commit {commit}") from None

    async def _takes_time(
        self, what: str, exact: float | None, urgent: bool, slowest: float = SLOWEST
    ) -> None:
        await self._life.turn()
        async with self._slots.held(urgent):
            self._runs += 1
            name = f"{what} {self._runs}"
            self._running.add(name)
            try:
                seconds = self._life.some(slowest) if exact is None else exact
                await self._life.turn(what, seconds)
            finally:
                self._running.discard(name)
        await self._life.turn(f"{what} done")

    def _judged(self, job: Job, files: Files) -> _Ended:
        """The commands in order, until the first red one."""
        ended = _Ended("", None)
        for line in job.commands:
            if job.report and line.startswith("suite"):
                report = suite.report(files, job.ids, self._luck)
                red = any(case.red for case in report.cases)
                ended = _Ended(line, NO_TESTS if report.empty else int(red), report=report)
            else:
                code, said = suite.outcome(files, line, self._luck)
                ended = _Ended(line, code, said, timed_out=code is None)
            if ended.exit != 0:
                break
        return ended


class _Slots:
    """So many at a time, in the order of asking, those who are urgent first."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._asked = 0
        self._waiting: list[tuple[bool, int, asyncio.Future[None]]] = []

    @asynccontextmanager
    async def held(self, urgent: bool) -> AsyncIterator[None]:
        if self._free:
            self._free -= 1
        else:
            await self._turn(urgent)
        try:
            yield
        finally:
            self._give_back()

    async def _turn(self, urgent: bool) -> None:
        self._asked += 1
        turn = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (not urgent, self._asked, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give_back()
            raise

    def _give_back(self) -> None:
        while self._waiting:
            turn = heapq.heappop(self._waiting)[2]
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1


def _troubled(ended: _Ended, trouble: str) -> _Ended:
    if trouble == "killed":
        return replace(ended, exit=None, report=None)
    if trouble == "flip" and ended.exit == 0:
        report = ended.report and _flipped(ended.report)
        return replace(ended, exit=1, report=report, said="it did not like the moment")
    return ended


def _flipped(report: Report) -> Report:
    return Report(tuple(Case(case.id, Outcome.FAILED, "AssertionError") for case in report.cases))


def _by_exit(evidence: Evidence) -> Report:
    if evidence.ok:
        return Report((Case(EXIT_ONLY, Outcome.PASSED),))
    outcome = Outcome.FAILED if evidence.complete else Outcome.ERROR
    return Report((Case(EXIT_ONLY, outcome, evidence.tail),))


def _tail(ended: _Ended, job: Job) -> str:
    if not job.report:
        return ended.said
    if ended.report is None:
        return "the report is not written"
    if not ended.report.ran:
        return "no test ran"
    return failures(ended.report) or ended.said
