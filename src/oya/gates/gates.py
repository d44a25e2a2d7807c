"""Gates: each on each tree once, its evidence found again by key."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from unicodedata import category
from weakref import WeakValueDictionary

from oya.crashpoints import point
from oya.gates.checks import Ran
from oya.gates.config import GatesConfig
from oya.gates.evidence import evidence_key, from_row, to_row
from oya.gates.model import EXIT_ONLY, Case, Evidence, Outcome, Report
from oya.gates.port import EvidenceBook, Job, Runner, Trees
from oya.gates.reports.kinds import KINDS


@dataclass(slots=True, weakref_slot=True)
class _Turn:
    """Whoever wants one gate on one tree: one runs it at a time; `last` is what came of it."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    last: Evidence | None = None


class Gates:
    """What must pass, as configured: each gate on each tree once.

    Evidence that is found is handed out again (`reused`), unless that run was cut short by
    a timeout or a signal, which says something about the host and not about the tree. Two
    callers who want the same at the same time run it once, where they want a fresh run too:
    one that is under way is real, and known to nobody yet. `runs` counts every execution
    of a gate that came to its end, `begun` those that began; the book hears of each that ended.
    A cancelled run leaves nothing.

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
        self._turns: WeakValueDictionary[str, _Turn] = WeakValueDictionary()
        self.begun = 0
        self._green: dict[str, int] = {}
        self._reds: set[str] | None = None

    @property
    def slots(self) -> int:
        """How many gates may run at once."""
        return self._runner.slots

    @property
    def tests_are_ci(self) -> bool:
        """Whether there is no tests gate, so that `tests` is `ci`, and has its evidence."""
        return self.config.tests_command is None

    async def tests(
        self, commit: str, ids: Sequence[str] = (), *, fresh: bool = False, urgent: bool = False
    ) -> Evidence:
        """Run these tests, or all of them, and report each.

        Files that cannot be collected do not keep the rest from running where all are run;
        asked for by id, pytest runs nothing if one of the ids cannot be found. `ok` needs
        exit 0 and a report in which something ran and nothing is red. Without a tests gate
        this is `ci`, and with `report = "none"` the whole command: one test by its exit code,
        `EXIT_ONLY`, whatever `ids` are. `fresh` runs it even if evidence is there, and replaces
        that; `urgent` goes before others where slots are short.
        """
        return await self._evidence(commit, self._tests_job(ids), fresh=fresh, urgent=urgent)

    async def quick(self, commit: str, *, fresh: bool = False, urgent: bool = False) -> Evidence:
        """Run the quick commands in order, until the first red one. None configured: `ok`."""
        job = Job("quick", self.config.quick, moon=self.config.moon)
        return await self._evidence(commit, job, fresh=fresh, urgent=urgent)

    async def ci(
        self,
        commit: str,
        *,
        base: str | None = None,
        fresh: bool = False,
        urgent: bool = False,
    ) -> Evidence:
        """Run the ci commands in order, until the first red one. None configured: `ok`.

        With `history` they are told to look at what changed since `base`, the first parent if
        nothing is said, and the evidence is that of the two trees.
        """
        return await self._evidence(commit, self._ci_job(base), fresh=fresh, urgent=urgent)

    async def known(self, commit: str) -> bool | None:
        """Whether every gate is known to be green there (True), or one to be red (False);
        None where nothing is known of one, and none is red. Runs nothing."""
        tree = await self._trees.judged_tree(commit)
        jobs = (Job("quick", self.config.quick), self._tests_job(()), self._ci_job())
        found = [await self._found(self._key(tree, job)) for job in jobs if job.commands]
        if any(one is not None and not one.ok and not one.empty for one in found):
            return False
        return True if all(found) else None

    def green_since(self, gate: str, begun: int) -> bool:
        """Whether all of a gate was green, on whatever tree, by a run that began here after so
        many others: what it needs beside a tree was there then."""
        return self._green.get(gate, 0) > begun

    def doubt_reds(self) -> None:
        """Red evidence of until now is not handed out again: what it needed beside its tree may
        have been missing. The gate is run anew, once, by whoever wants it."""
        self._reds = set()

    async def repeats(self, commit: str, ids: Sequence[str], times: int) -> list[Evidence]:
        """Run the same tests `times` times, one after the other, for `green.unstable`.

        Reads no evidence and leaves none: one flaky verdict must not stand for the tree.
        """
        tree = await self._trees.judged_tree(commit)
        job = await self._based(commit, self._tests_job(ids))
        run = partial(self._run, commit, tree, job, keep=False, again=True)
        return [await run() for _ in range(times)]

    async def command(
        self, commit: str, line: str, *, timeout: float, ids: Sequence[str] | None = None
    ) -> Ran:
        """Run one line in a slot on this tree: a check, a challenge. Counts as no gate.

        `ids`: the line is, or has in it, `tests_line`, and these tests are asked for.
        """
        named = None if ids is None else tuple(id for id in ids if _is_name(id))
        return await self._runner.command(commit, line, timeout=timeout, ids=named)

    @property
    def tests_line(self) -> str | None:
        """The line by which `command` runs named tests, or all; None where none can be named.

        Judged by its exit code alone: for trees that nobody will ask for again, which are to
        leave neither evidence nor events.
        """
        return self.config.tests_command if self.config.reports_tests else None

    @property
    def tests_in_order(self) -> bool:
        """Whether named tests run in the order in which they are named."""
        return self.config.reports_tests and KINDS[self.config.report].in_order

    def _tests_job(self, ids: Sequence[str]) -> Job:
        command = self.config.tests_command
        if command is None:
            return self._ci_job()
        if not self.config.reports_tests:
            return Job("tests", (command,), exit_only=True)
        named = tuple(id for id in dict.fromkeys(ids) if _is_name(id))
        return Job("tests", (command,), named, self.config.report)

    def _ci_job(self, base: str | None = None) -> Job:
        moon = self.config.moon
        return Job("ci", self.config.ci, exit_only=True, moon=moon, base=base or "")

    async def _based(self, commit: str, job: Job) -> Job:
        """The job with its base, where what it says depends on that."""
        if job.gate != "ci" or not self.config.history:
            return job
        base = job.base or await self._trees.parent(commit) or commit
        return replace(job, base=base, base_tree=await self._trees.judged_tree(base))

    def _key(self, tree: str, job: Job) -> str:
        fingerprint = self.config.fingerprint
        return evidence_key(job.gate, tree, job.commands, job.ids, fingerprint, job.base_tree)

    async def _evidence(self, commit: str, job: Job, *, fresh: bool, urgent: bool) -> Evidence:
        tree = await self._trees.judged_tree(commit)
        if not job.commands:
            return _nothing_run(self._key(tree, job), tree, job)
        job = await self._based(commit, job)
        key = self._key(tree, job)
        turn = self._turns.setdefault(key, _Turn())
        if turn.lock.locked() and not fresh and (found := await self._found(key)):
            return found  # what is known is enough, though it is run again
        before = turn.last
        async with turn.lock:
            known = turn.last if turn.last is not before else None
            if not fresh:
                known = await self._found(key)
            if known is None or not known.complete:
                known = turn.last = await self._run(commit, tree, job, again=fresh, urgent=urgent)
            return known

    async def _found(self, key: str) -> Evidence | None:
        row = await self._book.get(key)
        found = from_row(row) if row is not None else None
        if found is None or not found.complete:
            return None
        doubted = not found.ok and self._reds is not None and key not in self._reds
        return None if doubted else found

    async def _run(
        self,
        commit: str,
        tree: str,
        job: Job,
        *,
        keep: bool = True,
        again: bool = False,
        urgent: bool = False,
    ) -> Evidence:
        key = self._key(tree, job)
        self.begun = number = self.begun + 1
        point("gate.starting")
        evidence = await self._runner.run(commit, tree, job, key, urgent=urgent)
        evidence = replace(evidence, again=again)
        point("gate.ran")
        self.runs += 1
        if evidence.ok and not job.ids:
            self._green[job.gate] = max(number, self._green.get(job.gate, 0))
        if not evidence.ok and self._reds is not None:
            self._reds.add(key)
        await self._book.record(evidence, to_row(evidence) if keep else None)
        point("gate.recorded")
        return evidence


def _is_name(id: str) -> bool:
    """Ids come from an agent: what a runner would take for an option, or what can be no word of a
    command (control characters, half a character), is not handed to it, and is missing from its
    report."""
    return not id.startswith("-") and not any(category(c) in ("Cc", "Cs") for c in id)


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
