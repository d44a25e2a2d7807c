"""Gates: each on each tree once, its evidence found again by key."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from weakref import WeakValueDictionary

from oya.crashpoints import point
from oya.gates.checks import Ran
from oya.gates.config import GatesConfig, fill
from oya.gates.evidence import evidence_key, from_row, to_row
from oya.gates.model import EXIT_ONLY, Case, Evidence, Outcome, Report
from oya.gates.port import EvidenceBook, Job, Runner, Trees


class Gates:
    """What must pass, as configured: each gate on each tree once.

    Evidence that is found is handed out again (`reused`), unless that run was cut short by
    a timeout or a signal, which says something about the host and not about the tree. Two
    callers who want the same at the same time run it once. `runs` counts every execution
    of a gate that came to its end; the book hears of each. A cancelled run leaves nothing.

    Raises what runner, trees and book raise; never for what a gate does.
    """

    def __init__(
        self,
        config: GatesConfig,
        *,
        runner: Runner,
        trees: Trees,
        book: EvidenceBook,
    ) -> None:
        self.config = config
        self.runs = 0
        self._runner = runner
        self._trees = trees
        self._book = book
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
        job = Job("quick", self.config.quick)
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
        return await self._runner.command(commit, line, timeout=timeout)

    def tests_line(self, ids: Sequence[str] = ()) -> str | None:
        """The line for `command` that runs these tests, in this order, or all of them.

        Judged by its exit code alone: for trees that nobody will ask for again, which are to
        leave neither evidence nor events. None where no tests can be named.
        """
        job = self._tests_job(ids)
        if not job.junit:
            return None
        return fill(job.commands[0], job.ids, Path(os.devnull))

    def _tests_job(self, ids: Sequence[str]) -> Job:
        command = self.config.tests_command
        if command is None:
            return self._ci_job()
        if not self.config.reports_tests:
            return Job("tests", (command,), exit_only=True)
        named = tuple(id for id in dict.fromkeys(ids) if _is_name(id))
        return Job("tests", (command,), named, junit=True)

    def _ci_job(self) -> Job:
        return Job("ci", self.config.ci, exit_only=True)

    def _key(self, tree: str, job: Job) -> str:
        return evidence_key(job.gate, tree, job.commands, job.ids, self.config.fingerprint)

    async def _evidence(self, commit: str, job: Job, *, fresh: bool, urgent: bool) -> Evidence:
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
        self, commit: str, tree: str, job: Job, *, keep: bool = True, urgent: bool = False
    ) -> Evidence:
        key = self._key(tree, job)
        point("gate.starting")
        evidence = await self._runner.run(commit, tree, job, key, urgent=urgent)
        point("gate.ran")
        self.runs += 1
        await self._book.record(evidence, to_row(evidence) if keep else None)
        point("gate.recorded")
        return evidence


def _is_name(id: str) -> bool:
    """Ids come from an agent: what a runner would take for an option is not handed to it,
    and is missing from its report."""
    return id.isprintable() and not id.startswith("-")


def _nothing_run(key: str, tree: str, job: Job) -> Evidence:
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
