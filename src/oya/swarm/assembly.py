"""Everything the swarm works with, built once from the configuration and handed down."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from oya import room
from oya.agents.answers import AnswerFiles, FolderAnswers
from oya.agents.backends import make_backend
from oya.agents.gate_requests import FolderRequests, GateRequests
from oya.agents.port import Backend
from oya.agents.prompts import Prompts
from oya.clock import Clock
from oya.errors import NoRoom, OyaError, PrepareFailed
from oya.gates.baseline import reds
from oya.gates.checks import Ran
from oya.gates.config import GatesConfig
from oya.gates.feedback import excerpt
from oya.gates.gates import Gates
from oya.gates.port import EvidenceBook
from oya.gates.runner import ProcessRunner, shown
from oya.lifecycle.events import Event
from oya.lifecycle.model import Hold, Limits, Role
from oya.processes.port import BACKGROUND, Command, Ended, Processes, shell
from oya.processes.real import GuardedProcesses
from oya.repository.copies import NO_COPIES, Copies, read_copies
from oya.repository.follow import follow
from oya.repository.git import GitRepository
from oya.repository.places import Place
from oya.repository.port import Follow, Hook, Repository, Workspaces
from oya.repository.slot import Slots
from oya.repository.workspace import GitWorkspaces
from oya.store.beads import Applied
from oya.store.engine import Write
from oya.store.store import Store
from oya.store.swarms import OnSwarm
from oya.swarm.board import Board
from oya.swarm.book import StoreBook
from oya.swarm.config import Settings
from oya.swarm.contract import Contract
from oya.swarm.holds import hold_for
from oya.swarm.machine import environment, gate_environment, named, shortage, slots_of, tools
from oya.swarm.messages import WORK, Claim
from oya.swarm.meter import Meter
from oya.swarm.sandboxes import Sandboxes, sandboxes, wanted
from oya.trackers import Tracker, detect
from oya.trackers.jsonl import JsonlFile

RUNS_WITHIN = 2000
"""Events, the newest, among which runs of a gate are looked for."""
log = structlog.get_logger()

GATES = ("tests", "quick", "ci")
"""All gates, in the order in which a base is asked for them."""
PREPARED_WITHIN = 2
"""Runs in which a line of `[workspace] prepare` has to come to its end once."""
CLEANUP_TIMEOUT = 300.0
"""Seconds that one line of `[workspace] cleanup` may take."""
CHECK_TIMEOUT = 300.0
"""Seconds that one check or challenge may take."""


@dataclass
class Parts:
    """The swarm's tools. One per daemon; actors share it and never replace its members."""

    settings: Settings
    place: Place
    clock: Clock
    store: Store
    swarm: str
    repo: Repository
    follow: Follow
    tracker: Tracker
    workspaces: Workspaces
    answers: AnswerFiles
    gates: Gates
    backends: Mapping[str, Backend]
    prompts: Prompts
    processes: Processes
    limits: Limits
    board: Board
    branch: str
    meter: Meter
    clean_slots: Callable[[], Awaitable[None]]
    requests: GateRequests | None = None
    shortage: Callable[[], str | None] = lambda: None
    """What this machine has too little of to work, in words; None: it has enough."""
    turned: set[str] = field(default_factory=set)
    """Bases that were green and are red now, with nothing changed in them."""
    _were_red: set[str] = field(default_factory=set)
    _kinds: dict[tuple[str, int], str] = field(default_factory=dict)

    def role_of(self, claim: Claim) -> Role:
        """The role a claim was made for."""
        role = claim.state.role
        assert role is not None and role in WORK
        return role

    def backend_of(self, role: Role) -> str:
        """The backend that a role is configured to use."""
        name = self.settings.backend_of(role)
        assert name is not None, "the configuration was checked"
        return name

    def attempt_timeout(self, role: Role) -> float:
        """Seconds that all turns of one attempt may take together."""
        if role is Role.PLANNER:
            return self.settings.planner.timeout
        own = self.settings.roles.get(str(role))
        return (own and own.attempt_timeout) or self.settings.execution.attempt_timeout

    def attempt_logs(self, claim: Claim) -> Path:
        """A folder for the output of one attempt alone."""
        return self.place.state / f"logs/attempts/{_safe(claim.bead)}-{claim.epoch}"

    async def hold_for(self, contract: Contract, base: str, commit: str) -> tuple[Hold | None, str]:
        """What this work, on `base`, needs a person for before it lands, and about what in words;
        `(None, "")`: nothing. One approval is for all that the words name."""
        return await hold_for(self.settings, self.repo, contract, base, commit)

    async def apply(
        self,
        bead: str,
        event: Event,
        *,
        agent: str | None = None,
        also: Sequence[Write] = (),
        data: Mapping[str, Any] | None = None,
        on_swarm: OnSwarm | None = None,
        workspace: Path | None = None,
    ) -> Applied:
        """Change a bead by the table, durably. `RefusedError` where the table has no such row."""
        return await self.store.beads.apply(
            bead,
            event,
            swarm=self.swarm,
            limits=self.limits,
            agent=agent,
            also=also,
            data=data or {},
            on_swarm=on_swarm,
            workspace=str(workspace) if workspace else None,
        )

    async def note(self, event: str, claim: Claim, *, reason: str, **data: Any) -> None:
        """An event about an attempt that changes no state."""
        await self.store.events.append(
            event,
            swarm=self.swarm,
            bead=claim.bead,
            epoch=claim.epoch,
            agent=claim.agent,
            reason=reason,
            data=data,
        )

    async def contract(self, bead: str) -> Contract:
        """The accepted contract of a bead."""
        row = await self.store.contracts.get(bead)
        if row is None:
            raise OyaError(f"the contract of {bead} is missing from the store")
        return Contract.from_json(row)

    async def check(self, commit: str, line: str) -> Ran:
        """Run a check or a challenge in a slot on `commit`."""
        timeout = min(self.settings.quality_gates.timeout, CHECK_TIMEOUT)
        ran = await self.gates.command(commit, line, timeout=timeout)
        self.meter.add("gates", ran.seconds, ran.cpu_seconds)
        return ran

    async def base_red(
        self, commit: str, *, fresh: bool = False, gates: Collection[str] = GATES
    ) -> list[str]:
        """Names of the tests that fail on `commit`, twice; empty where it is green.

        `fresh`: by real runs, whatever is known of that tree. Where it was red and is not any
        more, nothing else that was red until now is taken for known.
        """
        red = await self._reds(commit, fresh=fresh, gates=gates)
        if red:
            self._were_red.add(commit)
            red = await self._reds(commit, fresh=True, gates=gates)
        if not red and commit in self._were_red:
            self._were_red.discard(commit)
            self.turned.discard(commit)
            self.gates.doubt_reds()
        return red

    def was_red(self, commit: str) -> bool:
        """Whether this base was red when it was looked at last."""
        return commit in self._were_red

    def not_green_since(self, gates: Collection[str], begun: int) -> list[str]:
        """Those of these red gates of which a base is to be asked before anybody is blamed: they
        have been green nowhere since (`Gates.green_since`). None with no-worse, where such a run
        would excuse what is red."""
        if self.settings.no_worse:
            return []
        return [gate for gate in gates if not self.gates.green_since(gate, begun)]

    async def turned_red(self, base: str, gates: Collection[str]) -> list[str]:
        """What is red on `base` by real runs of now, twice, though it may be known to be green: a
        service is gone, a certificate is over. Empty where nothing is."""
        red = await self.base_red(base, fresh=True, gates=gates) if gates else []
        if red:
            self.turned.add(base)
        return red

    async def _reds(self, commit: str, *, fresh: bool, gates: Collection[str]) -> list[str]:
        same = self.gates.tests_are_ci and "tests" in gates  # one run is enough
        ask = {"tests": self.gates.tests, "quick": self.gates.quick, "ci": self.gates.ci}
        names = [gate for gate in GATES if gate in gates and not (gate == "ci" and same)]
        ran = [await ask[gate](commit, fresh=fresh) for gate in names]
        empty = any(evidence.empty for evidence in ran)
        may_be = not empty or not await self.behaviour_landed()
        return reds(ran, no_worse=self.settings.no_worse, may_be_empty=may_be)

    async def behaviour_landed(self) -> bool:
        """Whether a contract of kind behaviour has landed, so that there are tests to collect."""
        for state in tuple(self.store.beads.all().values()):
            if state.has_landed:
                if (kind := self._kinds.get((state.id, state.epoch))) is None:
                    row = await self.store.contracts.get(state.id)
                    kind = self._kinds[state.id, state.epoch] = str((row or {}).get("kind"))
                if kind == "behaviour":
                    return True
        return False

    async def gate_median(self, gate: str) -> float | None:
        """The median of the seconds that the newest runs of a gate took here, at most 20 of them;
        None where none is known. The log is read once, and not far back."""
        if gate not in self.meter.runs:
            log = self.store.events
            since = max(log.last - RUNS_WITHIN, 0)
            ran = [r for r in await log.since(since, RUNS_WITHIN) if r.event == "gate_ran"]
            self.meter.know(gate, [r.data.get("seconds") for r in ran if r.reason == gate])
        return self.meter.median(gate)


def _safe(text: str) -> str:
    from oya.repository.encode import encode

    return encode(text)


def build_gates(
    settings: Settings,
    place: Place,
    store: Store,
    clock: Clock,
    meter: Meter | None = None,
    swarm: str | None = None,
    book: EvidenceBook | None = None,
    slots: Slots | None = None,
) -> Gates:
    """The gate runner over oya's own slots, with its evidence in the store.

    Every execution is an event, counted for `swarm`. With a `book` of the caller's the store
    learns nothing.
    """
    repo = GitRepository(place)
    boxes = sandboxes(settings, place, GuardedProcesses(place.repo_id), environment())
    copies = read_copies(place.main_root, settings.workspace.copy_)
    config = gates_config(settings, copies)
    logs = place.state / "logs" / "gates"
    meter = meter or Meter()
    slots = slots or build_slots(settings, place, boxes, meter, copies)
    runner = ProcessRunner(config, processes=boxes.gates, checkout=slots, logs=logs, clock=clock)
    book = book or StoreBook(store, meter, swarm)
    return Gates(config, runner=runner, trees=JudgedTrees(repo), book=book)


def build_slots(
    settings: Settings,
    place: Place,
    boxes: Sandboxes,
    meter: Meter,
    copies: Copies = NO_COPIES,
) -> Slots:
    """The slots of a machine, with what `[workspace]` says about them; what that costs is
    added to `meter`."""
    return Slots(
        GitRepository(place),
        place,
        slots_of(settings),
        keep=settings.workspace.keep,
        copies=copies,
        prepare=preparer(settings, place, boxes.prepare, meter),
        cleanup=cleaner(settings, place, boxes.gates, meter),
    )


def gates_config(settings: Settings, copies: Copies = NO_COPIES) -> GatesConfig:
    """The commands of the gates, and the environment that they get."""
    gates = settings.quality_gates
    return GatesConfig(
        quick=tuple(gates.quick),
        ci=tuple(gates.ci),
        tests_command=gates.tests.command or None,
        report=gates.tests.report,
        timeout=gates.timeout,
        env=gate_environment(settings),
        repeat=settings.contract.repeat,
        fingerprint=fingerprint(settings, copies),
        history=gates.history,
        moon=gates.moon == "on",
    )


def fingerprint(settings: Settings, copies: Copies = NO_COPIES) -> str:
    """The part of an evidence's key that is not the tree: tools, how its report is read, prepare,
    what gates are given, and the sandbox, since what passes outside may fail inside.

    It holds values of the environment: keys are digests, and it is kept nowhere else.
    """
    report, sandbox = settings.quality_gates.tests.report, settings.sandbox
    box = (f"sandbox, network {sandbox.gates_network}",) if wanted(settings) else ()
    given = json.dumps(named(settings), sort_keys=True)
    prepare, gates = settings.workspace.prepare, settings.quality_gates
    used = tools((*prepare, *gates.quick, *gates.ci, gates.tests.command))
    return "\n".join((*used, report, *prepare, copies.digest, given, *box))


def preparer(settings: Settings, place: Place, processes: Processes, meter: Meter) -> Hook | None:
    """Runs `[workspace] prepare` in a folder; None where nothing is to be prepared.

    A line that fails is run once more, since most of them ask a network: then it is
    `PrepareFailed`, or `NoRoom` where the disk is short.
    """
    if not settings.workspace.prepare:
        return None

    async def run(command: Command) -> Ended:
        ended = await processes.run(command)
        meter.add("prepare", ended.seconds, ended.cpu_seconds)
        return ended

    async def prepare(folder: Path, more: Mapping[str, str]) -> None:
        seconds = 0.0
        for line in settings.workspace.prepare:
            command = _in_folder(settings, place, "prepare", line, folder, more)
            for _ in range(PREPARED_WITHIN):
                ended = await run(command)
                seconds += ended.seconds
                if ended.ok or ended.timed_out:
                    break
            if not ended.ok:
                if short := room.shortage(folder):
                    raise NoRoom(f"`{line}` failed: {short}")
                raise await asyncio.to_thread(_unprepared, command, line, ended, seconds)

    return prepare


def _unprepared(command: Command, line: str, ended: Ended, seconds: float) -> PrepareFailed:
    log = command.output
    assert log is not None
    return PrepareFailed(
        f"`{line}` failed in {command.cwd} (exit {ended.exit})",
        line=line,
        exit=ended.exit,
        output=excerpt(shown(log, command.cwd.resolve()), ok=False),
        seconds=seconds,
        safe="Nothing was changed in the repository.",
        hint=f"See {log}; it is [workspace] prepare in .oya/swarm.toml.",
    )


def cleaner(settings: Settings, place: Place, processes: Processes, meter: Meter) -> Hook | None:
    """Runs `[workspace] cleanup` in a folder, every line of it; None where there is none.

    What fails is told in the daemon's log: the verdict of the run before stands without it.
    """
    if not settings.workspace.cleanup:
        return None

    async def cleanup(folder: Path, more: Mapping[str, str]) -> None:
        for line in settings.workspace.cleanup:
            command = _in_folder(settings, place, "cleanup", line, folder, more)
            command = replace(command, timeout=CLEANUP_TIMEOUT)
            try:
                ended = await processes.run(command)
            except OyaError as error:
                log.warning("cleanup failed", line=line, folder=str(folder), why=str(error))
                continue
            meter.add("cleanup", ended.seconds, ended.cpu_seconds)
            if not ended.ok:
                log.warning("cleanup failed", line=line, exit=ended.exit, log=str(command.output))

    return cleanup


def _in_folder(
    settings: Settings, place: Place, what: str, line: str, folder: Path, more: Mapping[str, str]
) -> Command:
    logs = place.state / "logs" / "gates"
    logs.mkdir(parents=True, exist_ok=True)
    return Command(
        shell(line),
        cwd=folder,
        env={**gate_environment(settings), **more},
        output=logs / f"{what}-{folder.name}.log",
        nice=BACKGROUND,
    )


class JudgedTrees:
    """Names what gates judge: the tree without the tracker's folder, so that a closing
    of a bead does not make evidence stale."""

    def __init__(self, repo: Repository) -> None:
        self._repo = repo
        self._known: dict[str, str] = {}

    async def judged_tree(self, commit: str) -> str:
        """A digest of the root of the commit's tree without `.beads`."""
        if commit not in self._known:
            if len(self._known) > 1000:
                self._known.clear()
            root = await self._repo.list_root(commit)
            text = "\n".join(f"{about}\t{name}" for name, about in root.items() if name != ".beads")
            self._known[commit] = hashlib.sha256(
                text.encode("utf-8", "surrogateescape")
            ).hexdigest()
        return self._known[commit]

    async def parent(self, commit: str) -> str | None:
        """See `gates.port.Trees`."""
        parents = await self._repo.parents(commit)
        return parents[0] if parents else None


def build_parts(
    settings: Settings, place: Place, store: Store, clock: Clock, swarm: str, branch: str
) -> Parts:
    """The whole tool chest of one daemon."""
    meter = Meter()
    repo = GitRepository(place)
    processes = GuardedProcesses(place.repo_id)
    copies = read_copies(place.main_root, settings.workspace.copy_)
    env = environment()
    boxes = sandboxes(settings, place, processes, env)
    slots = build_slots(settings, place, boxes, meter, copies)
    backends = {
        name: make_backend(
            name, config, processes=boxes.agents, clock=clock, env=env, root=place.root
        )
        for name, config in settings.backends.items()
    }
    return Parts(
        settings=settings,
        place=place,
        clock=clock,
        store=store,
        swarm=swarm,
        repo=repo,
        follow=partial(follow, repo, file=JsonlFile()),
        tracker=detect(place.main_root, settings.tracker.kind),
        answers=FolderAnswers(),
        workspaces=GitWorkspaces(
            repo,
            place,
            max_file=settings.workspace.max_file,
            copies=copies,
            prepare=preparer(settings, place, boxes.agents, meter),
        ),
        gates=build_gates(settings, place, store, clock, meter, swarm, slots=slots),
        backends=backends,
        prompts=Prompts.load(settings.skills, place.root),
        processes=processes,
        limits=settings.limits,
        board=Board(),
        branch=branch,
        meter=meter,
        clean_slots=slots.clean_up,
        requests=FolderRequests(),
        shortage=partial(shortage, place),
    )
