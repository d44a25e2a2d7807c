"""SwarmOrchestratorActor: decides who works on what, and when the swarm is done.

It hands out work only to agents that asked, so at most one bead per agent is under way.
What it decides it reads from the store's head; what it needs to remember beyond that
(leases, backends, the pool) is shared with it and outlives a restart of the actor.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import structlog

from oya.actors import Actor, ActorRef
from oya.clock import stamp
from oya.errors import OyaError, RefusedError, StoreError
from oya.lifecycle.events import Claimed, Event, LeaseExpired
from oya.lifecycle.failures import FailureClass
from oya.lifecycle.leases import Leases
from oya.lifecycle.model import BeadState, Phase, Role, Status
from oya.lifecycle.swarm import ENDED, SwarmState, SwarmStatus, move
from oya.lifecycle.table import CancelAttempt
from oya.swarm.admission import Admission
from oya.swarm.assembly import Parts
from oya.swarm.attempt import counted
from oya.swarm.line import Line
from oya.swarm.messages import (
    WORK,
    BaseIsRed,
    CancelBead,
    Change,
    Claim,
    ClaimBead,
    Continue,
    GetNextBead,
    GetStatus,
    Heartbeat,
    LookForReviewed,
    Melted,
    OrchestratorMessage,
    Pause,
    PersonSays,
    ReleaseBead,
    Shutdown,
    SpawnAgents,
    Start,
    Stop,
    Wake,
)
from oya.swarm.pool import AgentPool, AgentState
from oya.swarm.report import Live, live

log = structlog.get_logger()

TICK = 0.5
"""Seconds between two looks at leases and parked backends."""
BASE_AGAIN = 900.0
"""Seconds until a red base is looked at again, if it has not moved before."""
HAND_OUT = (Role.REVIEWER, Role.IMPLEMENTER, Role.PLANNER, Role.TEST_WRITER)
"""Work in hand first: what is nearest to landing is handed out before what is new."""


@dataclass
class Shared:
    """What outlives a restart of the orchestrator."""

    pool: AgentPool
    leases: Leases
    admission: Admission
    line: Line
    only: frozenset[str] = frozenset()
    paused: dict[str, str] = field(default_factory=dict)
    ending: tuple[SwarmStatus, str] | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)
    supervisor: ActorRef[Any] | None = None
    lander: ActorRef[Any] | None = None


class SwarmOrchestratorActor(Actor[OrchestratorMessage]):
    """Start, Stop, GetStatus; the target; work for whoever asks."""

    def __init__(self, parts: Parts, shared: Shared) -> None:
        self._parts = parts
        self._shared = shared
        self._waiting: dict[str, ClaimBead] = {}
        self._looking = False

    async def pre_start(self) -> None:
        self.send_every(TICK, Wake())
        for handle in self._shared.pool.alive():  # after a restart: whoever idles asks again
            if handle.bead is None and handle.ref is not None:
                handle.ref.try_tell(GetNextBead())

    async def handle(self, message: OrchestratorMessage) -> None:
        try:
            await self._handle(message)
        except StoreError as error:
            # An outage of the store is not a crash: every decision is taken again at the next tick.
            log.error("store", error=str(error))

    async def _handle(self, message: OrchestratorMessage) -> None:
        match message:
            case ClaimBead():
                self._waiting[message.agent] = message
                await self._hand_out()
            case Heartbeat():
                self._heartbeat(message)
            case ReleaseBead():
                await self._released(message)
            case Wake():
                await self._look()
            case CancelBead(bead=bead, epoch=epoch, reason=reason):
                self._cancel(bead, epoch, reason)
            case PersonSays(bead=bead, event=event, reply=reply):
                await self._person(bead, event, reply)
            case GetStatus(reply=reply):
                reply.send(self._live())
            case Start():
                await self._start()
            case Stop(now=now):
                self._stop(now)
            case Pause(reason=reason, words=words):
                await self._pause(reason, words)
            case Continue(reason=reason):
                await self._continue(reason)
            case Change():
                await self._change(message)
            case Melted():
                self._melted(message)
            case BaseIsRed(base=base, reason=reason):
                await self._base_is_red(base, reason)

    # The life of the swarm ----------------------------------------------------------------

    @property
    def _swarm(self) -> SwarmState:
        swarm = self._parts.store.swarms.get(self._parts.swarm)
        assert swarm is not None, "the daemon records the swarm before it starts it"
        return swarm

    async def _move(self, to: SwarmStatus, reason: str | None = None, **changes: Any) -> None:
        name = f"swarm_{to}"
        ended = to in ENDED
        await self._parts.store.swarms.update(
            self._parts.swarm,
            lambda s: replace(move(s, to, reason), **changes),
            event=name,
            reason=reason,
            data=self._parts.meter.totals(self._parts.store.commit_seconds) if ended else {},
        )

    async def _start(self) -> None:
        if self._swarm.status is SwarmStatus.STARTING:
            await self._move(SwarmStatus.RUNNING)
            for words in list(self._shared.paused.values())[:1]:  # told before it was started
                await self._move(SwarmStatus.PAUSED, words)
        wanted = self._parts.settings.defaults
        counts = {
            Role.TEST_WRITER: wanted.test_writers,
            Role.PLANNER: int(wanted.planner),
            Role.IMPLEMENTER: wanted.implementers,
            Role.REVIEWER: wanted.reviewers if self._parts.limits.review else 0,
        }
        for role, count in counts.items():
            await self._spawn(role, count)

    async def _spawn(self, role: Role, count: int) -> None:
        assert self._shared.supervisor is not None
        await self._shared.supervisor.tell(SpawnAgents(role, count))

    async def _change(self, message: Change) -> None:
        if message.target is not None:
            target = message.target
            await self._parts.store.swarms.update(
                self._parts.swarm,
                lambda s: replace(s, target_beads=target),
                event="swarm_changed",
                reason=f"target={target}",
                data={"target": target},
            )
        for role, count in message.agents:
            await self._spawn(role, count)
        message.reply.send(None)
        await self._hand_out()

    async def _pause(self, reason: str, words: str = "") -> None:
        self._shared.paused[reason] = words or reason
        if self._swarm.status is SwarmStatus.RUNNING:
            await self._move(SwarmStatus.PAUSED, words or reason)

    async def _continue(self, reason: str) -> None:
        self._shared.paused.pop(reason, None)
        if reason == "person":  # who continues has logged in again, or means to try
            self._shared.admission.enable_all()
            self._shared.paused.pop("no backend", None)
        if self._swarm.status is not SwarmStatus.PAUSED:
            return
        if self._shared.paused:
            return
        await self._move(SwarmStatus.RUNNING)
        await self._hand_out()

    def _melted(self, message: Melted) -> None:
        causes = ", ".join(f"{count} {name}" for name, count in message.causes)
        self._shared.admission.disable(message.backend, f"meltdown: {causes}")
        self._end(
            SwarmStatus.FAILED,
            f"meltdown: {message.role} by {message.backend} failed again and again ({causes})",
            grace=0.0,
        )

    def _stop(self, now: bool) -> None:
        grace = 0.0 if now else self._parts.settings.execution.grace
        if self._shared.ending is not None and now and self._shared.supervisor is not None:
            self.start(self._shutdown(), name="shutdown now")
        self._end(SwarmStatus.STOPPED, "stopped by a person", grace=grace)

    def _end(self, status: SwarmStatus, reason: str, *, grace: float) -> None:
        if self._shared.ending is None:
            self._shared.ending = (status, reason)
            self.start(self._wind_down(status, reason, grace), name="wind down")

    async def _wind_down(self, status: SwarmStatus, reason: str, grace: float) -> None:
        """Stop intake, let running turns finish, cancel the rest, say how it ended."""
        await self._move(SwarmStatus.STOPPING, reason)
        until = self.clock.monotonic() + grace
        while self._shared.pool.working() and self.clock.monotonic() < until:
            await self.clock.sleep(0.1)
        await self._shutdown()
        if self._shared.lander is not None:
            await self._shared.lander.stop(timeout=max(grace, 1.0))
        if status is SwarmStatus.STOPPED and self._swarm.reached:
            status, reason = SwarmStatus.COMPLETED, "target reached"
        await self._move(
            status,
            reason,
            ended_at=stamp(self.clock.now()),
            active_agents=self._shared.pool.counts(),
        )
        self._shared.done.set()

    async def _shutdown(self) -> None:
        assert self._shared.supervisor is not None
        deadline = self._parts.settings.execution.grace + 15.0
        await self._shared.supervisor.ask(Shutdown, timeout=deadline)

    # Handing out --------------------------------------------------------------------------

    async def _look(self) -> None:
        for lease in self._shared.leases.expired(self.clock.monotonic()):
            await self._expire(lease.bead, lease.epoch, f"{lease.agent} gave no sign of life")
        for state in [s for s in self._mine() if self._is_orphan(s)]:
            await self._expire(state.id, state.epoch, "its attempt ended without a word")
        await self._hand_out()

    def _is_orphan(self, state: BeadState) -> bool:
        """Claimed or ended while the store took nothing: in progress, and nobody works on it."""
        if state.status is not Status.IN_PROGRESS or state.phase is Phase.LANDING:
            return False
        lease = self._shared.leases.holds(state.id)
        return lease is None or lease.epoch != state.epoch

    async def _hand_out(self) -> None:
        if self._looking:
            return
        self._looking = True
        try:
            if self._swarm.status is SwarmStatus.RUNNING and self._shared.ending is None:
                for role in HAND_OUT:
                    await self._hand_out_role(role)
                self._finish_if_done()
                await self._pause_without_backend()
        finally:
            self._looking = False

    async def _hand_out_role(self, role: Role) -> None:
        askers = [a for a in self._waiting.values() if a.role is role and self._fit(a)]
        if not askers:
            return
        work = self._parts.board.order(s.id for s in self._claimable(role))
        for asker in askers:
            if not self._shared.admission.admits(asker.backend):
                continue
            bead = next((b for b in work if role is not Role.TEST_WRITER or self._room(b)), None)
            if bead is None:
                break
            work.remove(bead)
            await self._claim(asker, bead)

    def _fit(self, asker: ClaimBead) -> bool:
        handle = self._shared.pool.get(asker.agent)
        return handle is not None and handle.state is AgentState.IDLE

    def _claimable(self, role: Role) -> Iterator[BeadState]:
        return (s for s in self._mine() if s.role is role and self._is_claimable(s))

    def _is_claimable(self, state: BeadState) -> bool:
        return state.status is Status.PENDING and state.role is not None and not state.blocked

    def _mine(self) -> Iterator[BeadState]:
        only = self._shared.only
        for state in self._parts.store.beads.all().values():
            if not only or state.id in only:
                yield state

    def _room(self, bead: str) -> bool:
        """New contracts start only while landed + in flight < target."""
        state = self._parts.store.beads.get(bead)
        if state is not None and state.in_flight:
            return True
        flying = sum(1 for other in self._mine() if other.in_flight)
        return self._swarm.landed_beads + flying < self._swarm.target_beads

    async def _claim(self, asker: ClaimBead, bead: str) -> None:
        parts, shared = self._parts, self._shared
        base = shared.line.base
        try:
            applied = await parts.apply(
                bead,
                Claimed(asker.agent, asker.backend, base),
                agent=asker.agent,
                data={"role": str(asker.role)},
            )
        except RefusedError as refused:
            log.info("claim refused", bead=bead, why=str(refused))
            return
        state = applied.state
        claim = Claim(
            bead,
            state.epoch,
            state.claims[str(asker.role)],
            asker.agent,
            asker.backend,
            base,
            state,
        )
        now = self.clock.monotonic()
        shared.leases.grant(bead, state.epoch, asker.agent, now)
        shared.admission.took(asker.backend)
        self._waiting.pop(asker.agent, None)
        handle = shared.pool.get(asker.agent)
        if handle is not None:
            handle.works_on(bead, state.epoch, now)
        try:
            asker.ref.try_tell(WORK[asker.role](claim))
        except OyaError as gone:  # it died after asking: the bead goes back at once
            shared.admission.ended(asker.backend, FailureClass.CANCELLED, "")
            await self._expire(bead, state.epoch, str(gone))

    async def _expire(
        self, bead: str, epoch: int, why: str, failure: FailureClass | None = None
    ) -> None:
        """`failure` is counted, in the same commit, where it ended the attempt."""
        state = self._parts.store.beads.get(bead)
        if state is None or state.epoch != epoch or state.status is not Status.IN_PROGRESS:
            return
        self._cancel(bead, epoch, why)
        self._shared.leases.end(bead, epoch)
        head = await self._parts.repo.read_ref(self._parts.workspaces.attempt_ref(bead, epoch))
        known = (state.base, state.contract, state.implementation, state.snapshot)
        snapshot = None if head in known else head
        await self._parts.apply(
            bead,
            LeaseExpired(epoch, why, snapshot),
            data={"failure": str(failure)} if failure else {},
            on_swarm=partial(counted, failure) if failure else None,
        )

    def _heartbeat(self, message: Heartbeat) -> None:
        self._shared.leases.renew(message.bead, message.epoch, self.clock.monotonic())
        handle = self._shared.pool.get(message.agent)
        if handle is not None and handle.epoch == message.epoch:
            handle.last_activity = message.active

    # What comes back ----------------------------------------------------------------------

    async def _released(self, message: ReleaseBead) -> None:
        shared = self._shared
        handle = shared.pool.get(message.agent)
        if message.claim is None:
            await self._crashed(message)
            return
        claim, failure = message.claim, message.failure
        shared.leases.end(claim.bead, claim.epoch)
        if handle is not None:
            handle.idles(self.clock.monotonic())
        if shared.admission.ended(claim.backend, failure, message.reason):
            await self._say_backend(claim.backend)
        if failure is FailureClass.BASE_RED:
            await self._base_is_red(claim.base, message.reason)
        state = self._parts.store.beads.get(claim.bead)
        if state is not None and state.phase is Phase.LANDING:
            self._tell_lander()
        await self._hand_out()

    def _tell_lander(self) -> None:
        if self._shared.lander is not None:
            self._shared.lander.try_tell(LookForReviewed())

    async def _crashed(self, message: ReleaseBead) -> None:
        """An actor crashed with a bead in hand: the lease ends now, not when it runs out."""
        handle = self._shared.pool.get(message.agent)
        if handle is None or handle.bead is None or handle.epoch is None:
            return
        bead, epoch = handle.bead, handle.epoch
        handle.idles(self.clock.monotonic())
        self._shared.admission.ended(handle.backend, FailureClass.INTERNAL, message.reason)
        why = f"the agent crashed: {message.reason}"
        await self._expire(bead, epoch, why, FailureClass.INTERNAL)

    async def _say_backend(self, name: str) -> None:
        access = self._shared.admission.backends[name]
        await self._parts.store.events.append(
            f"backend_{access.state}",
            swarm=self._parts.swarm,
            reason=access.reason,
            data={"backend": name},
        )

    async def _pause_without_backend(self) -> None:
        """Where all that could be handed out waits for a disabled backend, a person is needed."""
        if self._shared.pool.working() or "no backend" in self._shared.paused:
            return
        waiting = {state.role for state in self._mine() if self._is_claimable(state)}
        names = {self._parts.backend_of(role) for role in waiting if role is not None}
        disabled = [self._shared.admission.backends[name] for name in sorted(names)]
        if disabled and all(access.state == "disabled" for access in disabled):
            reasons = "; ".join(f"{access.name}: {access.reason}" for access in disabled)
            await self._pause(
                "no backend", f"no backend left ({reasons}); then: oya swarm continue"
            )

    async def _base_is_red(self, base: str, reason: str) -> None:
        if "base_red" in self._shared.paused:
            return
        await self._pause("base_red", reason)
        self.start(self._watch_base(base), name="watch base")

    async def _watch_base(self, base: str) -> None:
        """Looked at again, each time by a real run, at every new base and every 15 minutes."""
        while True:
            until = self.clock.monotonic() + BASE_AGAIN
            while self._shared.line.base == base and self.clock.monotonic() < until:
                await self.clock.sleep(1.0)
            base = self._shared.line.base
            if not await self._parts.base_red(base, fresh=True):
                self.ref.try_tell(Continue("base_red"), control=True)
                return

    async def _person(self, bead: str, event: Event, reply: Any) -> None:
        try:
            applied = await self._parts.apply(bead, event, agent="person")
        except OyaError as error:
            reply.fail(error)
            return
        for effect in applied.effects:
            if isinstance(effect, CancelAttempt):
                self._cancel(bead, effect.epoch, "a person took it")
        reply.send(applied.state)
        self._tell_lander()
        await self._hand_out()

    def _cancel(self, bead: str, epoch: int, why: str) -> None:
        for handle in self._shared.pool.working():
            if handle.bead == bead and handle.epoch == epoch and handle.ref is not None:
                handle.ref.try_tell(CancelBead(bead, epoch, why), control=True)

    # Done? --------------------------------------------------------------------------------

    def _finish_if_done(self) -> None:
        swarm = self._swarm
        if swarm.reached:
            self._end(SwarmStatus.COMPLETED, "target reached", grace=0.0)
            return
        if self._shared.pool.working() or not self._shared.pool.all():
            return
        if any(self._could_move(state) for state in self._mine()):
            return
        self._end(SwarmStatus.COMPLETED, "nothing is left that can be worked on", grace=0.0)

    def _could_move(self, state: BeadState) -> bool:
        if state.status is Status.IN_PROGRESS:
            return True
        if state.status is not Status.PENDING or state.blocked:
            return False
        if state.phase is Phase.LANDING:
            return True
        return self._room(state.id)

    def _live(self) -> Live:
        shared = self._shared
        return live(self._parts, shared.pool, shared.admission, shared.line)
