"""The runner of a real machine: commands under a guard, in slots, on exact trees."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Final

from oya.clock import Clock, stamp
from oya.errors import NoRoom, PrepareFailed
from oya.gates import moon
from oya.gates.checks import Ran, last_line
from oya.gates.config import GatesConfig, fill, words
from oya.gates.feedback import clip, excerpt, failures, plain
from oya.gates.files import NotAFile, make_empty, read_regular, remove
from oya.gates.model import EXIT_ONLY, TAIL_LIMIT, Case, Evidence, Outcome, Report
from oya.gates.port import Checkout, Job, SlotLike
from oya.gates.project import files_below, project_names
from oya.gates.reports.kind import SIZE_LIMIT, Unreadable, Written
from oya.gates.reports.kinds import KINDS
from oya.processes.port import BACKGROUND, Command, Ended, Processes, shell
from oya.room import shortage, took_it

LOG_LIMIT: Final = 4_000_000
OUTPUT_LIMIT: Final = SIZE_LIMIT + 1
"""Bytes that are kept of an output that is a report; one that was cut is too large to be read."""
_REPORT: Final = Path("report.xml")
_LAST_LINE: Final = 500
_COMMAND_LIMIT: Final = 2_000


@dataclass(frozen=True, slots=True)
class _Files:
    """Where one run writes; all outside the checkout."""

    stem: Path

    def log(self, number: int) -> Path:
        return self.stem.with_name(f"{self.stem.name}-{number}.log")

    @property
    def folder(self) -> Path:
        """All that the gate itself writes, so that it cannot write another's report."""
        return self.stem.with_name(f"{self.stem.name}.reports")

    @property
    def report(self) -> Path:
        return self.folder / "report"

    def remove(self, *, logs: bool) -> None:
        remove(self.folder)
        for log in self.stem.parent.glob(f"{self.stem.name}-*.log") if logs else ():
            remove(log)


class ProcessRunner:
    """See `port.Runner`. Logs of gates stay in the folder `logs`, those of commands do not."""

    def __init__(
        self,
        config: GatesConfig,
        *,
        processes: Processes,
        checkout: Checkout,
        logs: Path,
        clock: Clock,
    ) -> None:
        self._config = config
        self._processes = processes
        self._checkout = checkout
        self._logs = logs
        self._clock = clock
        self._started = 0

    @property
    def slots(self) -> int:
        return self._checkout.count

    async def run(self, commit: str, tree: str, job: Job, key: str, *, urgent: bool) -> Evidence:
        files = self._new_files(job.gate, key)
        try:
            async with self._checkout.checkout(commit, urgent=urgent) as slot, _temporary(slot):
                since = self._now()
                evidence = await self._execute(slot, commit, tree, job, key, files)
                if not evidence.ok:
                    await asyncio.to_thread(_require_room, slot, since)
        except PrepareFailed as failed:
            evidence = _unprepared(failed, tree, job, key, files)
        except BaseException:
            files.remove(logs=True)
            raise
        files.remove(logs=False)
        return evidence

    async def command(
        self, commit: str, line: str, *, timeout: float, ids: Sequence[str] | None = None
    ) -> Ran:
        files, more = self._new_files("command", ""), dict[str, str]()
        try:
            async with self._checkout.checkout(commit, strange=True) as slot, _temporary(slot):
                since = self._now()
                if ids is not None:
                    job = Job("command", (line,), tuple(ids), self._config.report)
                    asked, more_, _ = await asyncio.to_thread(self._prepared, job, files, slot.path)
                    line, more = fill(line, asked, files.report), dict(more_)
                ended = await self._command(line, slot, files, 1, timeout, more)
                if not ended.ok:
                    await asyncio.to_thread(_require_room, slot, since)
                text = await asyncio.to_thread(shown, files.log(1), slot.path.resolve())
        finally:
            files.remove(logs=True)
        tail = excerpt(text, ok=ended.ok)
        return Ran(
            ended.exit,
            clip(last_line(text), _LAST_LINE),
            tail,
            ended.timed_out,
            ended.seconds,
            ended.cpu_seconds,
        )

    def _now(self) -> float:
        return self._clock.now().timestamp()

    async def _execute(
        self, slot: SlotLike, commit: str, tree: str, job: Job, key: str, files: _Files
    ) -> Evidence:
        seconds, cpu_seconds, problem = 0.0, 0.0, ""
        asked, options, limit = await asyncio.to_thread(self._prepared, job, files, slot.path)
        more = {**options, **_bases(job, commit)}
        for number, command in enumerate(job.commands, 1):
            line = fill(command, asked, files.report)
            left = max(self._config.timeout - seconds, 0.1)
            if job.moon and moon.command_of(line):
                ended, problem = await self._moon(line, slot, files, number, left, more)
            else:
                ended = await self._command(line, slot, files, number, left, more, limit)
            seconds, cpu_seconds = seconds + ended.seconds, cpu_seconds + ended.cpu_seconds
            if not ended.ok or problem:
                break
        evidence = Evidence(
            key=key,
            gate=job.gate,
            tree=tree,
            command=clip(_told(fill(command, asked, _REPORT), slot.path), _COMMAND_LIMIT),
            exit=ended.exit,
            seconds=seconds,
            cpu_seconds=cpu_seconds,
            ok=ended.ok and not ended.timed_out and not problem,
            report=None,
            log=files.log(number),
            tail=problem,
            timed_out=ended.timed_out,
        )
        return await asyncio.to_thread(_read, evidence, job, files, slot.path)

    async def _moon(
        self,
        line: str,
        slot: SlotLike,
        files: _Files,
        number: int,
        timeout: float,
        more: Mapping[str, str],
    ) -> tuple[Ended, str]:
        """One call of moon, and what its report says against it."""
        await asyncio.to_thread(moon.forget, slot.path, line)
        ended = await self._command(line, slot, files, number, timeout, more)
        try:
            return ended, await asyncio.to_thread(moon.problem, slot.path, line)
        except moon.NoReport as missing:
            if not ended.ok:
                return ended, ""  # moon's own words are in the log
            if moon.command_of(line) != "ci" or moon.FORCE in line:
                return ended, str(missing)
        # Nothing was affected, and what ran nothing has not passed: so everything is run.
        left = max(timeout - ended.seconds, 0.1)
        again, problem = await self._moon(f"{line} {moon.FORCE}", slot, files, number, left, more)
        return _together(ended, again), problem

    async def _command(
        self,
        line: str,
        slot: SlotLike,
        files: _Files,
        number: int,
        timeout: float,
        more: Mapping[str, str],
        limit: int = LOG_LIMIT,
    ) -> Ended:
        own = {"OYA_SLOT": str(slot.index), "TMPDIR": str(_temporary_of(slot))}
        env = {**self._config.env, **own, **more}
        return await self._processes.run(
            Command(
                shell(line),
                cwd=slot.path,
                env=env,
                output=files.log(number),
                output_limit=limit,
                timeout=timeout,
                writable=(files.folder, _temporary_of(slot)),
                nice=BACKGROUND,
            )
        )

    def _prepared(
        self, job: Job, files: _Files, root: Path
    ) -> tuple[Sequence[str], Mapping[str, str], int]:
        """What asks for a job's tests, what is added to its environment, and how much of its
        output is kept. No report of an earlier run is left."""
        if not job.report:
            return job.ids, {}, LOG_LIMIT
        kind = KINDS[job.report]
        kind.clear(root)
        options = kind.environment(self._config.env, files.report)
        return words(kind, job.ids, root), options, OUTPUT_LIMIT if kind.output else LOG_LIMIT

    def _new_files(self, gate: str, key: str) -> _Files:
        self._started += 1
        self._logs.mkdir(parents=True, exist_ok=True)
        moment = stamp(self._clock.now()).replace(":", "").replace("-", "")
        files = _Files(self._logs / f"{moment}-{self._started:05}-{gate}-{key[:12]}")
        files.folder.mkdir(exist_ok=True)
        return files


def _bases(job: Job, commit: str) -> dict[str, str]:
    """What a gate that looks at what changed finds in its environment."""
    if not job.base:
        return {}
    more = {"OYA_BASE": job.base, "OYA_HEAD": commit}
    return more | ({"MOON_BASE": job.base, "MOON_HEAD": commit} if job.moon else {})


def _together(first: Ended, second: Ended) -> Ended:
    return replace(
        second,
        seconds=first.seconds + second.seconds,
        cpu_seconds=first.cpu_seconds + second.cpu_seconds,
    )


@asynccontextmanager
async def _temporary(slot: SlotLike) -> AsyncIterator[None]:
    """The run's own TMPDIR, beside its slot: whatever is put there goes with the run."""
    folder = _temporary_of(slot)
    await asyncio.to_thread(make_empty, folder)
    try:
        yield
    finally:
        await asyncio.to_thread(remove, folder)


def _temporary_of(slot: SlotLike) -> Path:
    return slot.path.with_name(f"{slot.path.name}.tmp")


def _require_room(slot: SlotLike, since: float) -> None:
    """`NoRoom` where something may be red only because others have filled the disk."""
    short = shortage(slot.path)
    if short and not any(took_it(path, since) for path in (slot.path, _temporary_of(slot))):
        raise NoRoom(f"no verdict: {short}", hint="Make room there; it is run again then.")


def _read(evidence: Evidence, job: Job, files: _Files, root: Path) -> Evidence:
    """The evidence with what its files say."""
    root = root.resolve()
    told = excerpt(shown(evidence.log, root), ok=evidence.ok)
    if evidence.tail:
        told = clip(f"{evidence.tail}\n\n{told}", TAIL_LIMIT)
    if job.exit_only:
        return replace(evidence, report=_by_exit(evidence, told), tail=told)
    if not job.report:
        return replace(evidence, tail=told)
    names = cache(lambda: project_names(files_below(root)))  # a walk, seldom needed
    written = Written(root, files.report, evidence.log, lambda name: names()(name))
    try:
        report = KINDS[job.report].read(written)
    except Unreadable as problem:
        return replace(evidence, ok=False, tail=clip(f"{problem}\n\n{told}", TAIL_LIMIT))
    if not report.ran:
        told = f"no test ran\n\n{told}"
    red = failures(report) or told
    if KINDS[job.report].output:
        told = ""  # which was the report
    ok = evidence.ok and report.ran and not report.red
    return replace(evidence, ok=ok, report=report, tail=clip(told if ok else red, TAIL_LIMIT))


def _unprepared(failed: PrepareFailed, tree: str, job: Job, key: str, files: _Files) -> Evidence:
    """Red, and no verdict that stays: another time the same tree may be prepared."""
    log = files.log(1)
    log.write_text(failed.output)
    return Evidence(
        key=key,
        gate=job.gate,
        tree=tree,
        command=clip(failed.line, _COMMAND_LIMIT),
        exit=failed.exit,
        seconds=failed.seconds,
        cpu_seconds=0.0,  # which was counted as that of prepare
        ok=False,
        report=None,
        log=log,
        tail=clip(failed.output, TAIL_LIMIT),
        prepared=False,
    )


def _told(line: str, root: Path) -> str:
    """A command without the slot's path, which means nothing elsewhere."""
    return line.replace(f"{root}{os.sep}", "")


def _by_exit(evidence: Evidence, shown: str) -> Report:
    if evidence.ok:
        return Report((Case(EXIT_ONLY, Outcome.PASSED),))
    outcome = Outcome.FAILED if evidence.complete else Outcome.ERROR
    return Report((Case(EXIT_ONLY, outcome, shown),))


def shown(log: Path, root: Path) -> str:
    """A log as text, the slot's paths taken out: they mean nothing elsewhere."""
    try:
        output = read_regular(log, 2 * LOG_LIMIT)
    except NotAFile:
        return ""
    text = plain(output).replace(f"{root}.tmp", "$TMPDIR")
    return text.replace(f"{root}{os.sep}", "").replace(str(root), ".")
