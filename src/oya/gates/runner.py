"""Runs gates on exact trees, once per tree, and judges commands."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final
from weakref import WeakValueDictionary

from oya.clock import Clock, stamp
from oya.crashpoints import point
from oya.gates.checks import Ran
from oya.gates.config import GatesConfig, fill
from oya.gates.evidence import evidence_key, from_row, to_row
from oya.gates.feedback import clip, excerpt, failures, plain
from oya.gates.files import NotAFile, read_regular, remove
from oya.gates.junit import Unreadable, read_report
from oya.gates.model import EXIT_ONLY, TAIL_LIMIT, Case, Evidence, Outcome, Report
from oya.gates.port import Checkout, EvidenceBook, SlotLike, Trees
from oya.gates.project import files_below, project_names
from oya.processes.port import Command, Ended, Processes, shell

LOG_LIMIT: Final = 4_000_000
_LAST_LINE: Final = 500
_COMMAND_LIMIT: Final = 2_000
_PYTEST_OPTIONS: Final = "-o junit_family=xunit1 --continue-on-collection-errors --maxfail=0"


@dataclass(frozen=True, slots=True)
class _Job:
    """One gate to run: `ids` are asked for, `junit` says that a report is to come."""

    gate: str
    commands: tuple[str, ...]
    ids: tuple[str, ...] = ()
    junit: bool = False
    exit_only: bool = False


@dataclass(frozen=True, slots=True)
class _Files:
    """Where one run writes; all outside the checkout."""

    stem: Path

    def log(self, number: int) -> Path:
        return self.stem.with_name(f"{self.stem.name}-{number}.log")

    @property
    def xml(self) -> Path:
        return self.stem.with_name(f"{self.stem.name}.xml")

    def remove(self, *, logs: bool) -> None:
        remove(self.xml)
        for log in self.stem.parent.glob(f"{self.stem.name}-*.log") if logs else ():
            remove(log)


class Gates:
    """What must pass, as configured: each gate on each tree once.

    Evidence that is found is handed out again (`reused`), unless that run was cut short by
    a timeout or a signal, which says something about the host and not about the tree. Two
    callers who want the same at the same time run it once. `runs` counts every execution
    of a gate that came to its end; `on_run` hears of each. A cancelled run leaves nothing.

    Raises what checkout, trees, book and `on_run` raise, and ProcessError where a shell
    cannot be started; never for what a gate does.
    """

    def __init__(
        self,
        config: GatesConfig,
        *,
        processes: Processes,
        checkout: Checkout,
        trees: Trees,
        book: EvidenceBook,
        logs: Path,
        clock: Clock,
        on_run: Callable[[Evidence], Awaitable[None]] | None = None,
    ) -> None:
        self.config = config
        self.runs = 0
        self._processes = processes
        self._checkout = checkout
        self._trees = trees
        self._book = book
        self._logs = logs
        self._clock = clock
        self._on_run = on_run
        self._started = 0
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def tests(
        self, commit: str, ids: Sequence[str] = (), *, fresh: bool = False, urgent: bool = False
    ) -> Evidence:
        """Run these tests, or all of them, and report each.

        Files that cannot be collected do not keep the rest from running where all are run;
        asked for by id, pytest runs nothing if one of the ids cannot be found. `ok` needs
        exit 0 and a report in which something ran. Without a tests gate this is `ci`, and
        with `report = "none"` the whole command: one test by its exit code, `EXIT_ONLY`,
        whatever `ids` are. `fresh` runs it even if evidence is there, and replaces that;
        `urgent` goes before others where slots are short.
        """
        return await self._evidence(commit, self._tests_job(ids), fresh=fresh, urgent=urgent)

    async def quick(self, commit: str, *, fresh: bool = False, urgent: bool = False) -> Evidence:
        """Run the quick commands in order, until the first red one. None configured: `ok`."""
        job = _Job("quick", self.config.quick)
        return await self._evidence(commit, job, fresh=fresh, urgent=urgent)

    async def ci(self, commit: str, *, fresh: bool = False, urgent: bool = False) -> Evidence:
        """Run the ci commands in order, until the first red one. None configured: `ok`."""
        return await self._evidence(commit, self._ci_job(), fresh=fresh, urgent=urgent)

    async def repeats(self, commit: str, ids: Sequence[str], times: int) -> list[Evidence]:
        """Run the same tests `times` times, one after the other, for `green.unstable`.

        Reads no evidence and leaves none: one flaky verdict must not stand for the tree.
        """
        tree = await self._trees.judged_tree(commit)
        job = self._tests_job(ids)
        return [await self._run(commit, tree, job, keep=False) for _ in range(times)]

    async def command(self, commit: str, line: str, *, timeout: float) -> Ran:
        """Run one line in a slot on this tree: a check, a challenge. Counts as no gate."""
        files = self._new_files("command", "")
        try:
            async with self._checkout.checkout(commit) as slot:
                ended = await self._command(line, slot, files.log(1), timeout, {})
                text = await asyncio.to_thread(_shown, files.log(1), slot.path.resolve())
        finally:
            files.remove(logs=True)
        lines = text.splitlines()
        last = next((found.strip() for found in reversed(lines) if found.strip()), "")
        tail = excerpt(text, ok=ended.ok)
        return Ran(
            ended.exit,
            clip(last, _LAST_LINE),
            tail,
            ended.timed_out,
            ended.seconds,
            ended.cpu_seconds,
        )

    def _tests_job(self, ids: Sequence[str]) -> _Job:
        command = self.config.tests_command
        if command is None:
            return self._ci_job()
        if not self.config.reports_tests:
            return _Job("tests", (command,), exit_only=True)
        named = tuple(id for id in dict.fromkeys(ids) if _is_name(id))
        return _Job("tests", (command,), named, junit=True)

    def _ci_job(self) -> _Job:
        return _Job("ci", self.config.ci, exit_only=True)

    def _key(self, tree: str, job: _Job) -> str:
        return evidence_key(job.gate, tree, job.commands, job.ids, self.config.fingerprint)

    async def _evidence(self, commit: str, job: _Job, *, fresh: bool, urgent: bool) -> Evidence:
        tree = await self._trees.judged_tree(commit)
        if not job.commands:
            return _nothing_run(self._key(tree, job), tree, job)
        if fresh:
            return await self._run(commit, tree, job, urgent=urgent)
        key = self._key(tree, job)
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            row = await self._book.get(key)
            found = from_row(row) if row is not None else None
            if found is not None and found.complete:
                return found
            return await self._run(commit, tree, job, urgent=urgent)

    async def _run(
        self, commit: str, tree: str, job: _Job, *, keep: bool = True, urgent: bool = False
    ) -> Evidence:
        key = self._key(tree, job)
        files = self._new_files(job.gate, key)
        try:
            async with self._checkout.checkout(commit, urgent=urgent) as slot:
                point("gate.starting")
                evidence = await self._execute(slot, tree, job, files)
                point("gate.ran")
        except BaseException:
            files.remove(logs=True)
            raise
        files.remove(logs=False)
        self.runs += 1
        if keep:
            await self._book.put(key, to_row(evidence))
            point("gate.kept")
        if self._on_run is not None:
            await self._on_run(evidence)
            point("gate.counted")
        return evidence

    async def _execute(self, slot: SlotLike, tree: str, job: _Job, files: _Files) -> Evidence:
        seconds = cpu_seconds = 0.0
        for number, command in enumerate(job.commands, 1):
            line = fill(command, job.ids, files.xml)
            left = max(self.config.timeout - seconds, 0.1)
            options = self._pytest_options() if job.gate == "tests" else {}
            ended = await self._command(line, slot, files.log(number), left, options)
            seconds, cpu_seconds = seconds + ended.seconds, cpu_seconds + ended.cpu_seconds
            if not ended.ok:
                break
        evidence = Evidence(
            key=self._key(tree, job),
            gate=job.gate,
            tree=tree,
            command=clip(fill(command, job.ids, Path("report.xml")), _COMMAND_LIMIT),
            exit=ended.exit,
            seconds=seconds,
            cpu_seconds=cpu_seconds,
            ok=ended.ok and not ended.timed_out,
            report=None,
            log=files.log(number),
            tail="",
            timed_out=ended.timed_out,
        )
        return await asyncio.to_thread(_read, evidence, job, files, slot.path)

    async def _command(
        self, line: str, slot: SlotLike, log: Path, timeout: float, more: Mapping[str, str]
    ) -> Ended:
        env = {**self.config.env, "OYA_SLOT": str(slot.index), **more}
        return await self._processes.run(
            Command(
                shell(line),
                cwd=slot.path,
                env=env,
                output=log,
                output_limit=LOG_LIMIT,
                timeout=timeout,
            )
        )

    def _pytest_options(self) -> Mapping[str, str]:
        """The command is the user's, so what the report needs goes in beside it."""
        given = self.config.env.get("PYTEST_ADDOPTS", "")
        return {"PYTEST_ADDOPTS": f"{given} {_PYTEST_OPTIONS}".strip()}

    def _new_files(self, gate: str, key: str) -> _Files:
        self._started += 1
        self._logs.mkdir(parents=True, exist_ok=True)
        moment = stamp(self._clock.now()).replace(":", "").replace("-", "")
        return _Files(self._logs / f"{moment}-{self._started:05}-{gate}-{key[:12]}")


def _read(evidence: Evidence, job: _Job, files: _Files, root: Path) -> Evidence:
    """The evidence with what its files say."""
    root = root.resolve()
    shown = excerpt(_shown(evidence.log, root), ok=evidence.ok)
    if job.exit_only:
        return replace(evidence, report=_by_exit(evidence, shown), tail=shown)
    if not job.junit:
        return replace(evidence, tail=shown)
    names = cache(lambda: project_names(files_below(root)))  # a walk, seldom needed
    try:
        report = read_report(files.xml, root, lambda name: names()(name))
    except Unreadable as problem:
        return replace(evidence, ok=False, tail=clip(f"{problem}\n\n{shown}", TAIL_LIMIT))
    if not report.ran:
        shown = f"no test ran\n\n{shown}"
    red = failures(report) or shown
    tail = shown if evidence.ok and report.ran else red
    return replace(
        evidence, ok=evidence.ok and report.ran, report=report, tail=clip(tail, TAIL_LIMIT)
    )


def _is_name(id: str) -> bool:
    """Ids come from an agent: what a runner would take for an option is not handed to it,
    and is missing from its report."""
    return id.isprintable() and not id.startswith("-")


def _by_exit(evidence: Evidence, shown: str) -> Report:
    if evidence.ok:
        return Report((Case(EXIT_ONLY, Outcome.PASSED),))
    outcome = Outcome.FAILED if evidence.complete else Outcome.ERROR
    return Report((Case(EXIT_ONLY, outcome, shown),))


def _shown(log: Path, root: Path) -> str:
    """A log as text, the slot's path taken out: it means nothing elsewhere."""
    try:
        output = read_regular(log, 2 * LOG_LIMIT)
    except NotAFile:
        return ""
    return plain(output).replace(f"{root}{os.sep}", "").replace(str(root), ".")


def _nothing_run(key: str, tree: str, job: _Job) -> Evidence:
    report = Report((Case(EXIT_ONLY, Outcome.PASSED),)) if job.exit_only else None
    return Evidence(
        key=key,
        gate=job.gate,
        tree=tree,
        command="",
        exit=None,
        seconds=0.0,
        cpu_seconds=0.0,
        ok=True,
        report=report,
        log=Path(os.devnull),
        tail=f"no command is configured for {job.gate}: nothing was run",
    )
