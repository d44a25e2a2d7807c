"""Everything the swarm works with, built once from the configuration and handed down."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from oya.agents.answers import AnswerFiles, FolderAnswers
from oya.agents.backends import make_backend
from oya.agents.port import Backend
from oya.agents.prompts import Prompts
from oya.clock import Clock
from oya.errors import OyaError
from oya.gates.checks import Ran
from oya.gates.config import GatesConfig
from oya.gates.gates import Gates
from oya.gates.port import EvidenceBook
from oya.gates.runner import ProcessRunner
from oya.lifecycle.events import Event
from oya.lifecycle.model import Hold, Limits, Role
from oya.processes.port import Command, Processes, shell
from oya.processes.real import GuardedProcesses
from oya.repository.follow import follow
from oya.repository.git import GitRepository
from oya.repository.places import Place
from oya.repository.port import Follow, Repository, Workspaces
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
from oya.swarm.messages import WORK, Claim
from oya.swarm.meter import Meter
from oya.trackers import Tracker, detect
from oya.trackers.jsonl import JsonlFile

CHECK_TIMEOUT = 300.0
"""Seconds that one check or challenge may take."""
PASSED_ON = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER", "SHELL", "TERM")


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

    def approval(self) -> Hold | None:
        """What reviewed work waits for, if anything."""
        return None if self.settings.continuous_deployment.enabled else Hold.APPROVAL

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

    async def survived_once(self, bead: str) -> tuple[str, ...]:
        """Commands of challenges that survived once, on the base just as on the work."""
        row = await self.store.checkpoints.get(f"survived:{bead}")
        return tuple(row["commands"]) if row else ()

    async def check(self, commit: str, line: str) -> Ran:
        """Run a check or a challenge in a slot on `commit`."""
        timeout = min(self.settings.quality_gates.timeout, CHECK_TIMEOUT)
        ran = await self.gates.command(commit, line, timeout=timeout)
        self.meter.add("gates", ran.seconds, ran.cpu_seconds)
        return ran

    async def base_red(self, commit: str, *, fresh: bool = False) -> list[str]:
        """Names of the tests that fail on `commit`, twice; empty where it is green.

        `fresh`: by real runs, whatever is known of that tree.
        """
        red = await self._reds(commit, fresh=fresh)
        return await self._reds(commit, fresh=True) if red else []

    async def _reds(self, commit: str, *, fresh: bool) -> list[str]:
        red = []
        for evidence in (
            await self.gates.tests(commit, fresh=fresh),
            await self.gates.quick(commit, fresh=fresh),
            await self.gates.ci(commit, fresh=fresh),
        ):
            if not evidence.ok:
                report = evidence.report
                if evidence.empty:
                    continue  # nothing to test yet is nothing red
                named = report if report and not report.exit_only else None
                failed = [case.id for case in named.cases if case.red] if named else []
                failed += [broken.file for broken in named.broken] if named else []
                red += failed or [f"{evidence.gate}: {evidence.tail.strip()[-200:]}"]
        return list(dict.fromkeys(red))


def _safe(text: str) -> str:
    from oya.repository.encode import encode

    return encode(text)


def environment(settings: Settings) -> dict[str, str]:
    """What gates and backends get of the daemon's environment: a named few, and oya's Python."""
    env = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    path = env.get("PATH", os.defpath)
    here = str(Path(sys.executable).parent)
    if here not in path.split(os.pathsep):
        env["PATH"] = f"{path}{os.pathsep}{here}"
    return env


def build_gates(
    settings: Settings,
    place: Place,
    store: Store,
    clock: Clock,
    meter: Meter | None = None,
    swarm: str | None = None,
    book: EvidenceBook | None = None,
) -> Gates:
    """The gate runner over oya's own slots, with its evidence in the store.

    Every execution is an event, counted for `swarm`. With a `book` of the caller's the store
    learns nothing.
    """
    repo = GitRepository(place)
    processes = GuardedProcesses(place.repo_id)
    config = gates_config(settings)
    slots = Slots(
        repo,
        place,
        slots_of(settings),
        prepare=tuple(settings.workspace.prepare),
        run_prepare=preparer(settings, processes),
    )
    logs = place.state / "logs" / "gates"
    runner = ProcessRunner(config, processes=processes, checkout=slots, logs=logs, clock=clock)
    book = book or StoreBook(store, meter or Meter(), swarm)
    return Gates(config, runner=runner, trees=JudgedTrees(repo), book=book)


def gates_config(settings: Settings) -> GatesConfig:
    """The commands of the gates, and the environment that they get."""
    gates = settings.quality_gates
    return GatesConfig(
        quick=tuple(gates.quick),
        ci=tuple(gates.ci),
        tests_command=gates.tests.command or None,
        report="none" if gates.tests.report == "none" else "junit",
        timeout=gates.timeout,
        env=environment(settings),
        repeat=settings.contract.repeat,
        fingerprint=fingerprint(settings),
    )


def slots_of(settings: Settings) -> int:
    """How many gates may run at once: max(2, cores/2) by default, at most the cores."""
    cores = os.cpu_count() or 1
    return min(settings.quality_gates.slots or max(2, cores // 2), max(cores, 1))


def fingerprint(settings: Settings) -> str:
    """The part of an evidence's key that is not the tree: Python, git of the machine, prepare."""
    return "\n".join((sys.version, *settings.workspace.prepare))


def preparer(settings: Settings, processes: Processes) -> Any:
    """Runs `[workspace] prepare` in a folder; None where nothing is to be prepared."""
    if not settings.workspace.prepare:
        return None

    async def prepare(folder: Path) -> None:
        for line in settings.workspace.prepare:
            out = folder.parent / f"{folder.name}.prepare.log"
            ended = await processes.run(
                Command(shell(line), cwd=folder, env=environment(settings), output=out)
            )
            if not ended.ok:
                raise OyaError(
                    f"`{line}` failed in {folder} (exit {ended.exit})",
                    safe="Nothing was changed in the repository.",
                    hint=f"See {out}; it is [workspace] prepare in .oya/swarm.toml.",
                )

    return prepare


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


def build_parts(
    settings: Settings, place: Place, store: Store, clock: Clock, swarm: str, branch: str
) -> Parts:
    """The whole tool chest of one daemon."""
    meter = Meter()
    repo = GitRepository(place)
    processes = GuardedProcesses(place.repo_id)
    prepare = preparer(settings, processes)
    env = environment(settings)
    backends = {
        name: make_backend(name, config, processes=processes, clock=clock, env=env, root=place.root)
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
            prepare=tuple(settings.workspace.prepare),
            run_prepare=prepare,
        ),
        gates=build_gates(settings, place, store, clock, meter, swarm),
        backends=backends,
        prompts=Prompts.load(settings.skills, place.root),
        processes=processes,
        limits=settings.limits,
        board=Board(),
        branch=branch,
        meter=meter,
    )
