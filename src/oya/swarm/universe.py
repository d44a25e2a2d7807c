"""UniverseSupervisor: the root of the tree, and the handle that the daemon holds.

Universe
├── orchestrator      hands out work
├── supervisor        owns the agents, one-for-one
├── lander            one per branch
└── tracker           keeps the backlog in step
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import structlog

from oya.actors import ActorFailed, ActorRef, Backoff, Restart, SupervisionEvent, Supervisor
from oya.clock import stamp
from oya.errors import ActorError, BaseRed, OyaError, UsageError
from oya.lifecycle.events import Event
from oya.lifecycle.leases import Leases
from oya.lifecycle.model import BeadState, Hold, Role, Status
from oya.lifecycle.swarm import SwarmState, SwarmStatus, move
from oya.swarm.admission import Admission, seats_by_memory
from oya.swarm.agents.base import PAUSE
from oya.swarm.assembly import Parts
from oya.swarm.lander import LanderActor
from oya.swarm.line import Line
from oya.swarm.messages import Change, Continue, GetStatus, Pause, PersonSays, Start, Stop, Sync
from oya.swarm.orchestrator import SwarmOrchestratorActor
from oya.swarm.pool import AgentPool
from oya.swarm.red_base import told
from oya.swarm.report import Live
from oya.swarm.resume import recover, tidy
from oya.swarm.retention import AT_END, AT_START, prune_old
from oya.swarm.shared import Shared
from oya.swarm.supervisor import SwarmSupervisor
from oya.swarm.tracking import TrackerActor, Tracking
from oya.swarm.undone import hold_reverted
from oya.swarm.work import Work
from oya.trackers import Snapshot

log = structlog.get_logger()

ASK = 20.0
"""Seconds that a person's request may take until it has an answer."""

ROOT_RESTART = Restart(
    intensity=10, period=60.0, backoff=Backoff(first=0.05, factor=2.0, limit=5.0, jitter=0.5)
)
"""An actor of the root that crashes more than 10 times a minute ends the swarm."""
AGENTS_RESTART = replace(ROOT_RESTART, backoff=PAUSE)
"""All agents begin anew with their supervisor: no sooner than one whose backend has died."""


class Universe:
    """One swarm, from its preparation to its end. `known`: a backlog that was read already."""

    def __init__(
        self, parts: Parts, *, only: tuple[str, ...] = (), known: Snapshot | None = None
    ) -> None:
        settings, clock = parts.settings, parts.clock
        self._swarm = parts.swarm
        self._only = frozenset(only)
        self._clock = clock
        self.parts = parts
        self.line = Line(
            parts.repo,
            parts.branch,
            parts.follow,
            follows=settings.landing.follow,
            remote=settings.landing.remote,
            clock=clock,
        )
        self.tracking = Tracking(parts, self.line, known)
        used = {parts.backend_of(role) for role in settings.roles_in_use}
        seats = {
            name: settings.backends[name].max_sessions or seats_by_memory() for name in sorted(used)
        }
        self._shared = Shared(
            pool=AgentPool(),
            leases=Leases(settings.execution.lease),
            admission=Admission(seats, clock),
            line=self.line,
            settled=lambda: self.tracking.settled,
            work=Work(parts.store.beads, parts.board, self._only),
        )
        self._root: dict[str, ActorRef[Any]] = {}
        self._orchestrator: Any = None
        self._lander: Any = None

    async def run(self) -> SwarmState:
        """Prepare, run, and wind down; returns when nothing of the swarm is left running.

        `BaseRed`, with nothing claimed, when the tests fail on the untouched base.
        """
        try:
            await self.prepare()
            await self._run_tree()
            await tidy(self.parts)
            await prune_old(self.parts, AT_END)
        except BaseException as error:
            await self._cut_short(error)
            raise
        return self._state

    async def prepare(self) -> None:
        """Everything before the first claim: recover, read the backlog, prove the base."""
        await recover(self.parts)
        await self.line.refresh()
        await self.line.follow()
        await hold_reverted(self.line, self.parts.store.beads.all().values(), self.parts.apply)
        await prune_old(self.parts, AT_START)
        await self.tracking.refresh()
        for warning in await self.tracking.warnings():
            await self._say("warning", warning)
        await self._cap_target()
        await self._require_green_base()
        await self.tracking.refresh()  # the gates may have taken long enough for an edit

    async def stop(self, *, now: bool) -> None:
        """Graceful, or at once; `run` returns when it is done."""
        if self._orchestrator is not None:
            await self._orchestrator.tell(Stop(now), control=True)

    async def pause(self) -> None:
        """Stop claims; running turns go on."""
        await self._orchestrator.tell(Pause("person", "paused by a person"), control=True)

    async def resume(self) -> None:
        """Claim again."""
        await self._orchestrator.tell(Continue("person"), control=True)

    async def set(self, changes: Mapping[str, str]) -> None:
        """`target=N`, `implementers=N` …; `UsageError` on anything else."""
        names = {
            "test_writers": Role.TEST_WRITER,
            "implementers": Role.IMPLEMENTER,
            "reviewers": Role.REVIEWER,
        }
        numbers = {key.replace("-", "_"): _number(key, value) for key, value in changes.items()}
        unknown = [key for key in numbers if key != "target" and key not in names]
        if unknown:
            raise UsageError(
                f"{unknown[0]} cannot be set", hint=f"Known: target, {', '.join(names)}"
            )
        agents = tuple((names[key], count) for key, count in numbers.items() if key in names)
        target = numbers.get("target")
        await self._orchestrator.ask(lambda reply: Change(target, agents, reply), timeout=ASK)

    async def person(self, bead: str, event: Event) -> BeadState:
        """Approve, reject, retry, hold, release. `RefusedError` where the table has no such row."""
        state: BeadState = await self._orchestrator.ask(
            lambda reply: PersonSays(bead, event, reply), timeout=ASK
        )
        return state

    async def sync(self) -> dict[str, Any]:
        """Let the checkout follow now, or say what is in the way."""
        found: dict[str, Any] = await self._lander.ask(Sync, timeout=ASK)
        return found

    async def live(self) -> Live:
        """What is alive right now."""
        found: Live = await self._orchestrator.ask(GetStatus, timeout=ASK)
        return found

    def actor(self, name: str) -> ActorRef[Any] | None:
        """An actor of the root, by its name; None where it does not live."""
        return self._root.get(name)

    @property
    def running(self) -> bool:
        """Whether it can be asked: its tree lives, and has not ended its swarm."""
        return self._orchestrator is not None and not self._state.ended

    @property
    def paused_by_person(self) -> bool:
        """Whether claims wait for a person's `resume`."""
        return bool({"person", "no backend"} & self._shared.paused.keys())

    @property
    def _state(self) -> SwarmState:
        state = self.parts.store.swarms.get(self._swarm)
        assert state is not None
        return state

    async def _run_tree(self) -> None:
        shared = self._shared
        async with Supervisor(
            clock=self._clock, restart=ROOT_RESTART, name="universe", on_event=_hand_back
        ) as root:
            orchestrator = await root.spawn(
                lambda: SwarmOrchestratorActor(self.parts, shared), name="orchestrator"
            )
            shared.supervisor = await root.spawn(
                lambda: SwarmSupervisor(self.parts, shared.pool, orchestrator),
                name="supervisor",
                restart=AGENTS_RESTART,
            )
            shared.lander = await root.spawn(
                lambda: LanderActor(
                    self.parts, self.line, self.tracking, orchestrator, shared.work
                ),
                name="lander",
            )
            tracker = await root.spawn(
                lambda: TrackerActor(self.tracking, orchestrator), name="tracker"
            )
            self._orchestrator, self._lander = orchestrator, shared.lander
            actors = (orchestrator, shared.supervisor, shared.lander, tracker)
            self._root = {ref.name: ref for ref in actors}
            await orchestrator.tell(Start(), control=True)
            await self._until_done()

    async def _until_done(self) -> None:
        """Return when the swarm has ended; raises why the store takes nothing any more."""
        done = asyncio.ensure_future(self._shared.done.wait())
        failure = asyncio.ensure_future(self.parts.store.failure())
        try:
            await asyncio.wait((done, failure), return_when=asyncio.FIRST_COMPLETED)
            if not done.done():
                raise failure.result()
            if self._shared.silent is not None:
                raise self._shared.silent
        finally:
            done.cancel()
            failure.cancel()

    async def _cap_target(self) -> None:
        swarm, only = self._state, self._only
        mine = [s for s in self.parts.store.beads.all().values() if not only or s.id in only]
        workable = sum(1 for s in mine if s.workable or s.hold is Hold.APPROVAL)
        waiting = any(s.status in (Status.HELD, Status.FAILED) for s in mine)
        cap = swarm.landed_beads + workable
        # With nothing to do but what waits for a person, the target stays, and is missed.
        if (workable or not waiting) and cap < swarm.target_beads:
            words = f"target {swarm.target_beads} capped at {cap}: no more beads can be worked on"
            await self.parts.store.swarms.update(
                self._swarm,
                lambda s: replace(s, target_beads=cap),
                event="target_capped",
                reason=words,
                data={"target": cap},
            )

    async def _require_green_base(self) -> None:
        open_work = any(s.status is Status.PENDING for s in self.parts.store.beads.all().values())
        red = await self.parts.base_red(self.line.base) if open_work else []
        if red:
            raise BaseRed(
                await told(self.parts, self.line.base, red),
                safe="Nothing was claimed and nothing was changed.",
                hint="Make it green (oya doctor runs the gates), commit, then: oya swarm",
            )

    async def _cut_short(self, error: BaseException) -> None:
        """Stopped as it started, or broken: its state says why, so that nobody waits for it."""
        if self._state.ended:
            return
        stopped = isinstance(error, asyncio.CancelledError)
        reason = "stopped by a person" if stopped else str(error)
        end = SwarmStatus.STOPPED if stopped else SwarmStatus.FAILED
        log.error("cut short", error=reason)

        def ended(swarm: SwarmState) -> SwarmState:
            stopping = move(swarm, SwarmStatus.STOPPING, reason)
            return replace(move(stopping, end, reason), ended_at=stamp(self._clock.now()))

        try:
            await self.parts.store.swarms.update(
                self._swarm, ended, event=f"swarm_{end}", reason=reason
            )
        except OyaError as also:
            log.error("store", error=str(also))

    async def _say(self, event: str, words: str) -> None:
        log.warning(words)
        await self.parts.store.events.append(event, swarm=self._swarm, reason=words)


def _hand_back(event: SupervisionEvent) -> None:
    """What an actor of the root had in hand when it crashed: its next life gets it again.

    Each of their messages may come twice. Questions fail instead, and whoever asked knows.
    """
    if isinstance(event, ActorFailed) and event.restarting and event.message is not None:
        log.error("crashed", actor=event.ref.name, error=repr(event.error))
        if not hasattr(event.message, "reply"):
            with suppress(ActorError):
                event.ref.try_tell(event.message, control=True)


def _number(key: str, text: str) -> int:
    if text.isdecimal() and int(text) > 0:
        return int(text)
    raise UsageError(f"{key}={text} is not a number above 0", safe="Nothing was changed.")
