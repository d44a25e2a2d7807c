"""`oya doctor`: prove that a swarm could run here."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from oya.cli.output import Format, data, lines, say
from oya.clock import SystemClock
from oya.daemon.client import Client, NoDaemon
from oya.daemon.preflight import check_backends, check_remote, check_sandbox, find_program
from oya.errors import OyaError
from oya.repository.checks import Fitness, fitness
from oya.repository.git import GitRepository
from oya.repository.places import Place
from oya.room import shortage
from oya.swarm.config import Settings, load, require_complete

KNOWN_AGENTS = ("codex-acp", "codex", "claude-code-acp", "claude", "opencode", "gemini")
LITTLE_DISK = 2 * 10**9
GIB = 2**30
MAX_NAMED = 10

Verdict = Literal["ok", "warning", "failed", "skipped"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found; `hint` is what to do about it."""

    check: str
    verdict: Verdict
    words: str
    hint: str = ""


@dataclass
class Examination:
    """All findings so far; each is told as it comes. `code` is the exit code."""

    form: Format
    findings: list[Finding] = field(default_factory=list)
    code: int = 0

    def add(self, check: str, verdict: Verdict, words: str, hint: str = "") -> None:
        """One more finding."""
        self.findings.append(Finding(check, verdict, words, hint))
        if verdict == "failed":
            self.code = self.code or 1
        if self.form is Format.TEXT:
            lines([f"{verdict:<8} {check:<14} {words}"])
            for line in hint.splitlines() if verdict in ("failed", "warning") else ():
                lines([f"{'':<23} {line}".rstrip()])

    def fail(self, check: str, error: OyaError) -> None:
        """An error as a finding; the first one's exit code counts."""
        self.code = self.code or error.exit_code
        self.add(check, "failed", str(error), error.hint)

    def end(self) -> int:
        """The last word."""
        if self.form is Format.JSON:
            data({"findings": [asdict(f) for f in self.findings], "exit": self.code})
        elif self.code == 0:
            say("A swarm could run here: oya swarm")
        else:
            say("A swarm could not run here yet.")
        return self.code


def examine(place: Place, *, quick: bool, form: Format) -> int:
    """Every check, then the gates on the base unless `quick`; 0, or the exit code of the first
    thing that is wrong (1: a check found something, 2: configuration)."""
    return asyncio.run(_examine(place, quick, Examination(form)))


async def _examine(place: Place, quick: bool, found: Examination) -> int:
    _paths(place, found)
    fit = await _git(place, found)
    settings = _configuration(place, found)
    if settings is not None:
        await _tracker(place, settings, found)
        if fit is not None and settings.landing.remote:
            await _remote(place, settings, fit, found)
    _agents(place, settings, found)
    _sandbox(place, settings, found)
    _host(place, settings, found)
    if quick:
        found.add("gates", "skipped", "not run (--quick)")
    elif fit is None or settings is None or found.code:
        found.add("gates", "skipped", "not run, because of the above")
    else:
        await _gates(place, settings, settings.landing.branch or fit.branch, found)
    return found.end()


def _paths(place: Place, found: Examination) -> None:
    found.add("repository", "ok", str(place.root))
    found.add("state", "ok", str(place.state))
    found.add("workspaces", "ok", str(place.cache))
    found.add("socket", "ok", str(place.socket))


async def _git(place: Place, found: Examination) -> Fitness | None:
    try:
        fit = await fitness(GitRepository(place))
    except OyaError as error:
        found.fail("git", error)
        return None
    found.add("git", "ok", f"git {fit.git_version}, lands on {fit.branch}")
    for warning in fit.warnings:
        found.add("git", "warning", warning)
    return fit


def _configuration(place: Place, found: Examination) -> Settings | None:
    path = place.root / ".oya/swarm.toml"
    if not path.exists():
        found.code = found.code or 2
        found.add("configuration", "failed", "there is no .oya/swarm.toml", "oya init")
        return None
    try:
        settings = load(path, {}, complete=False)
    except OyaError as error:
        found.fail("configuration", error)
        return None
    written = sum(1 for source in settings.provenance.values() if source == "file")
    try:
        require_complete(settings)
    except OyaError as error:
        found.fail("configuration", error)
        return settings
    found.add("configuration", "ok", f"{written} values from .oya/swarm.toml")
    return settings


async def _tracker(place: Place, settings: Settings, found: Examination) -> None:
    from oya.beads.graph import Graph, in_words
    from oya.beads.order import unclaimed_types, workable
    from oya.beads.where import parse_where
    from oya.trackers import detect

    try:
        backlog = (await detect(place.main_root, settings.tracker.kind).read()).backlog
    except OyaError as error:
        found.fail("tracker", error)
        return
    where, now = parse_where(settings.tracker.where), SystemClock().now()
    counts = Counter(bead.status for bead in backlog.beads)
    free = sum(1 for bead in backlog.beads if workable(bead, where, now))
    told = ", ".join(f"{n} {status}" for status, n in sorted(counts.items())) or "none"
    found.add("tracker", "ok", f"beads: {told}; {free} are work to claim")
    graph = Graph(backlog.beads)
    for cycle in graph.cycles():
        found.add("tracker", "warning", in_words(cycle))
    for bead, other in graph.dangling[:MAX_NAMED]:
        found.add("tracker", "warning", f"{bead} depends on {other}, which is not there")
    for kind, number in sorted(unclaimed_types(backlog.beads, where, now).items()):
        found.add("tracker", "warning", f"{number} beads of type {kind} are not claimed")


async def _remote(place: Place, settings: Settings, fit: Fitness, found: Examination) -> None:
    remote, branch = settings.landing.remote, settings.landing.branch or fit.branch
    try:
        warnings = await check_remote(GitRepository(place), remote, branch)
    except OyaError as error:
        found.fail("remote", error)
        return
    for warning in warnings:
        found.add("remote", "warning", warning)
    if not warnings:
        found.add("remote", "ok", f"{remote} answers, and has {branch}")


def _agents(place: Place, settings: Settings | None, found: Examination) -> None:
    used = []
    if settings is not None:
        named = (settings.backend_of(role) for role in settings.roles_in_use)
        used = [name for name in dict.fromkeys(named) if name is not None]
    if settings is None or not used:
        there = [name for name in KNOWN_AGENTS if shutil.which(name)]
        found.add("agents", "ok", f"on PATH: {', '.join(there) or 'none that oya knows'}")
        return
    try:
        check_backends(settings, place.root)
    except OyaError as error:
        found.fail("agents", error)
        return
    for name in used:
        backend = settings.backends[name]
        what = backend.scenario or find_program(backend.command[0], place.root)
        found.add("agents", "ok", f"{name} ({backend.kind}): {what}")


def _sandbox(place: Place, settings: Settings | None, found: Examination) -> None:
    kind = settings.sandbox.kind if settings is not None else None
    if settings is None or kind is None:
        return
    try:
        there = check_sandbox(settings, place)
    except OyaError as error:
        found.fail("sandbox", error)
        return
    if there is None:
        found.add("sandbox", "ok", f"{kind}: backends and gates have all your rights")
        return
    bubblewrap, layout = there
    net = "with" if settings.sandbox.gates_network else "without"
    found.add("sandbox", "ok", f"{kind}: bubblewrap {bubblewrap.version}, gates {net} a network")
    found.add("sandbox", "ok", f"covered: {_listed(layout.covers)}")
    found.add("sandbox", "ok", f"bound back: {_listed(layout.bound_back)}")
    if layout.policy.writable:
        found.add("sandbox", "warning", f"writable: {_listed(layout.policy.writable)}")


def _listed(paths: Iterable[Path]) -> str:
    return ", ".join(map(str, sorted(paths))) or "nothing"


def _host(place: Place, settings: Settings | None, found: Examination) -> None:
    import psutil

    available = psutil.virtual_memory().available
    sessions = max(1, available // GIB)
    found.add("memory", "ok", f"{available / GIB:.1f} GiB free: {sessions} sessions at once")
    folder = next(path for path in (place.cache, *place.cache.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    verdict: Verdict = "ok" if free > LITTLE_DISK else "warning"
    found.add("disk", verdict, f"{free / 1e9:.1f} GB free at {folder}")
    if short := shortage(folder):
        found.add("disk", "failed", f"{short}: nobody would be given work")
    if not os.access(folder, os.W_OK) or not os.access(place.common_dir, os.W_OK):
        found.add("disk", "failed", "the state or the workspaces cannot be written")
    if settings is not None:
        from oya.swarm.machine import slots_of

        found.add("slots", "ok", f"{slots_of(settings)} gates at once, on {os.cpu_count()} cores")


# Gates ---------------------------------------------------------------------------------------


async def _gates(place: Place, settings: Settings, branch: str, found: Examination) -> None:
    """Run what a swarm would run before it claims anything; the evidence is kept for it."""
    from oya.daemon.state import open_store
    from oya.swarm.assembly import build_gates

    try:
        Client(place.socket).get("status")
    except NoDaemon:
        pass
    else:
        found.add("gates", "skipped", "a swarm is running here, and has proved its base")
        return
    clock = SystemClock()
    place.make_folders()
    store = await open_store(place, clock, sync=settings.store.sync)
    try:
        base = await _base(place, branch)
        gates = build_gates(settings, place, store, clock)
        for name, run in (("tests", gates.tests), ("quick", gates.quick), ("ci", gates.ci)):
            await _gate(name, base, run, found, no_worse=settings.no_worse)
    except OyaError as error:
        found.fail("gates", error)
    finally:
        await store.close()


async def _base(place: Place, branch: str) -> str:
    """What a swarm would start from: the line, or the branch where that is ahead of it."""
    repo = GitRepository(place)
    tip = await repo.read_ref(f"refs/heads/{branch}")
    line = await repo.read_ref(f"refs/oya/line/{branch}")
    assert tip is not None, "the repository was found fit"
    return line if line and await repo.is_ancestor(tip, line) else tip


async def _gate(
    name: str,
    base: str,
    run: Callable[[str], Awaitable[Any]],
    found: Examination,
    *,
    no_worse: bool,
) -> None:
    from oya.gates.baseline import reds

    async with _elapsed(f"{name} on {base[:9]}", found.form):
        evidence = await run(base)
    if not evidence.command:
        return
    took = "known" if evidence.reused else f"{evidence.seconds:.1f} s"
    cases = f", {len(evidence.report.cases)} tests" if evidence.report else ""
    if evidence.empty:
        found.add(name, "warning", f"collected no test on {base[:9]} ({took})")
        return
    if evidence.ok:
        found.add(name, "ok", f"green on {base[:9]} ({took}{cases})")
        return
    named = ", ".join(reds([evidence])[:MAX_NAMED])
    if reds([evidence], no_worse=no_worse):
        found.add(name, "failed", f"red on {base[:9]} ({took}{cases}): {named}")
    else:
        words = f"red on {base[:9]} and may stay so, baseline = no-worse ({took}{cases}): {named}"
        found.add(name, "warning", words)


@asynccontextmanager
async def _elapsed(what: str, form: Format) -> AsyncIterator[None]:
    """A line that counts the seconds, in a terminal; nothing elsewhere."""
    if form is Format.JSON or not sys.stderr.isatty():
        yield
        return
    ticking = asyncio.create_task(_tick(what))
    try:
        yield
    finally:
        ticking.cancel()
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()


async def _tick(what: str) -> None:
    began = time.monotonic()
    while True:
        sys.stderr.write(f"\r{what}: {time.monotonic() - began:.0f} s")
        sys.stderr.flush()
        await asyncio.sleep(0.2)
