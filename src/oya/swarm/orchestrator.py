"""SwarmOrchestratorActor: the life of a swarm, from its start to however it ends.

Who works on what is the business of its `Claims`; it hands out work only to agents that
asked, so at most one bead per agent is under way. What it decides it reads from the store's
head; what it needs to remember beyond that is `Shared`, and outlives a restart of the actor.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import structlog

from oya.actors import Actor
from oya.actors.timers import TimerHandle
from oya.clock import stamp
from oya.errors import MailboxFull, OyaError, StoreError, StoreUnavailable
from oya.lifecycle.events import Event
from oya.lifecycle.failures import FailureClass
from oya.lifecycle.model import Phase, Role
from oya.lifecycle.swarm import ENDED, SwarmState, SwarmStatus, move
from oya.lifecycle.table import CancelAttempt
from oya.swarm.admission import Access
from oya.swarm.assembly import Parts
from oya.swarm.claims import Claims
from oya.swarm.messages import (
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
from oya.swarm.report import live, opens_at
from oya.swarm.shared import Shared

log = structlog.get_logger()

LOOKS = 4
"""Looks at the leases in the term of one; whatever else happens is told, or has its own timer."""
LOOKS_AWAKE = 60.0
"""Seconds between two looks, at most: a limit may have ended while the machine slept, and timers
with it."""
OUTAGE = 60.0
"""Seconds for which the last words of a swarm wait for a store that takes nothing."""
STORE_AGAIN = 0.5
"""Seconds until what an outage of the store has kept from being decided is decided again."""
A_LITTLE = 0.01
"""Seconds after the end of a pause, so that a timer is never early."""
AT_MOST_EVERY = 1.0
"""Seconds between two looks at the leases, however much happens."""
BASE_RED = "base_red"
"""The reason to pause that the watch over the base takes back."""
WATCH = 1.0
"""Seconds between two looks whether a red base has moved."""
BASE_AGAIN = 900.0
"""Seconds until a red base is looked at again, if it has not moved before."""


class SwarmOrchestratorActor(Actor[OrchestratorMessage]):
    """Start, Stop, GetStatus; the target; work for whoever asks."""

    mailbox_size = 1024
    reserved = 1024  # a few for each agent: signs of life, questions, ends

    def __init__(self, parts: Parts, shared: Shared) -> None:
        self._parts = parts
        self._shared = shared
        self._claims = Claims(parts, shared)
        self._woken = False
        self._leases_at = 0.0
        self._watching: asyncio.Task[None] | None = None
        self._again: TimerHandle | None = None

    async def pre_start(self) -> None:
        self.send_every(min(self._shared.leases.term / LOOKS, LOOKS_AWAKE), Wake())
        for access in self._shared.admission.backends.values():
            self._look_when_open(access)
        await self._go_on()

    async def _go_on(self) -> None:
        """After a restart: whoever idles asks again, and what was under way is taken up."""
        for handle in self._shared.pool.alive():
            if handle.bead is None and handle.ref is not None and handle.ref.alive:
                handle.ref.try_tell(GetNextBead())
        if self._shared.ending is not None:
            self._wind_down_from(*self._shared.ending)
        if BASE_RED in self._shared.paused:
            self._watch("")

    async def handle(self, message: OrchestratorMessage) -> None:
        try:
            await self._handle(message)
        except StoreError as error:
            # An outage of the store is not a crash: what was to be decided is decided again.
            log.error("store", error=str(error))
            self._look_again()

    def _look_again(self) -> None:
        if self._again is None or not self._again.active:
            self._again = self.send_after(STORE_AGAIN, Wake())

    async def _handle(self, message: OrchestratorMessage) -> None:
        match message:
            case ClaimBead():
                self._claims.ask(message)
                await self._soon()
            case Heartbeat():
                self._claims.renew(message)
            case ReleaseBead():
                await self._released(message)
            case Wake():
                await self._look()
            case CancelBead(bead=bead, epoch=epoch, reason=reason):
                self._claims.cancel(bead, epoch, reason)
            case PersonSays(bead=bead, event=event, reply=reply):
                await self._person(bead, event, reply)
            case GetStatus(reply=reply):
                shared = self._shared
                reply.send(live(self._parts, shared.pool, shared.admission, shared.line))
            case Start():
                self._shared.begun = True
                await self._look()
            case Stop(now=now):
                self._stop(now)
            case Pause(reason=reason, words=words):
                await self._pause(reason, words)
            case Continue(reason=reason):
                await self._continue(reason)
            case Change(reply=reply):
                try:
                    await self._change(message)
                except OyaError as error:
                    reply.fail(error)
            case Melted():
                self._melted(message)
            case BaseIsRed(base=base, reason=reason):
                await self._base_is_red(base, reason)

    # Work ---------------------------------------------------------------------------------

    async def _soon(self) -> None:
        """Look when what has arrived is handled, so that all who ask are served in one commit."""
        if self._woken:
            return
        try:
            self.ref.try_tell(Wake())
            self._woken = True
        except MailboxFull:
            await self._look()

    async def _look(self) -> None:
        self._woken = False
        if self._swarm.ended:
            return  # its last word is said
        if self._shared.begun and not self._shared.started:
            await self._start()
        await self._align()
        if self.clock.monotonic() >= self._leases_at:
            self._leases_at = self.clock.monotonic() + AT_MOST_EVERY
            await self._claims.expire_overdue()
            await self._claims.expire_orphans()
        if self._swarm.status is SwarmStatus.RUNNING and self._shared.ending is None:
            await self._claims.hand_out(self._swarm)
            self._finish_if_done()
            self._fail_without_agents()
            await self._pause_without_backend()

    async def _released(self, message: ReleaseBead) -> None:
        if message.claim is None:
            await self._claims.crashed(message.agent, message.reason)
        else:
            await self._ended(message.claim, message)
        await self._soon()

    async def _ended(self, claim: Claim, end: ReleaseBead) -> None:
        if self._claims.ended(claim, end.failure, end.reason, end.resets_at):
            await self._backend_changed(claim.backend)
        if end.failure is FailureClass.BASE_RED:
            await self._base_is_red(claim.base, end.reason)
        state = self._parts.store.beads.get(claim.bead)
        if state is not None and state.phase is Phase.LANDING:
            self._tell_lander()

    def _tell_lander(self) -> None:
        if self._shared.lander is not None:
            self._shared.lander.try_tell(LookForReviewed())

    async def _backend_changed(self, name: str) -> None:
        access = self._shared.admission.backends[name]
        self._look_when_open(access)
        until = opens_at(self.clock, access)
        await self._parts.store.events.append(
            f"backend_{access.state}",
            swarm=self._parts.swarm,
            reason=access.reason,
            data={"backend": name} | ({"until": until} if until else {}),
        )

    def _look_when_open(self, access: Access) -> None:
        if access.until is not None:
            left = max(access.until - self.clock.monotonic(), 0.0)
            self.send_after(left + A_LITTLE, Wake())

    async def _person(self, bead: str, event: Event, reply: Any) -> None:
        try:
            applied = await self._parts.apply(bead, event, agent="person")
        except OyaError as error:
            reply.fail(error)
            return
        for effect in applied.effects:
            if isinstance(effect, CancelAttempt):
                self._claims.cancel(bead, effect.epoch, "a person took it")
        reply.send(applied.state)
        self._tell_lander()
        await self._soon()

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

    async def _align(self) -> None:
        """Running or paused, as the reasons of now want it: again until the store has taken it."""
        words = next(iter(self._shared.paused.values()), None)
        status = self._swarm.status
        if status is SwarmStatus.RUNNING and words is not None:
            await self._move(SwarmStatus.PAUSED, words)
        elif status is SwarmStatus.PAUSED and words is None:
            await self._move(SwarmStatus.RUNNING)

    async def _start(self) -> None:
        if self._swarm.status is SwarmStatus.STARTING:
            await self._move(SwarmStatus.RUNNING)
        wanted = self._parts.settings.defaults
        counts = {
            Role.TEST_WRITER: wanted.test_writers,
            Role.PLANNER: int(wanted.planner),
            Role.IMPLEMENTER: wanted.implementers,
            Role.REVIEWER: wanted.reviewers if self._parts.limits.review else 0,
        }
        for role, count in counts.items():
            await self._spawn(role, count)
        self._shared.started = True

    async def _spawn(self, role: Role, count: int) -> None:
        assert self._shared.supervisor is not None
        await self._shared.supervisor.tell(SpawnAgents(role, count))

    async def _change(self, message: Change) -> None:
        try:
            await self._changed(message.target, message.agents)
        except OyaError as error:
            message.reply.fail(error)
        else:
            message.reply.send(None)
        await self._soon()

    async def _changed(self, target: int | None, agents: tuple[tuple[Role, int], ...]) -> None:
        if target is not None:
            await self._parts.store.swarms.update(
                self._parts.swarm,
                lambda s: replace(s, target_beads=target),
                event="swarm_changed",
                reason=f"target={target}",
                data={"target": target},
            )
        for role, count in agents:
            await self._spawn(role, count)

    async def _pause(self, reason: str, words: str = "") -> None:
        self._shared.paused[reason] = words or reason
        await self._align()

    async def _continue(self, reason: str) -> None:
        self._shared.paused.pop(reason, None)
        if reason == "person":  # who continues has logged in again, or means to try
            self._shared.admission.enable_all()
            self._shared.paused.pop("no backend", None)
        await self._align()
        await self._soon()

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
            self._shared.ending = (status, reason, grace)
            self._wind_down_from(status, reason, grace)

    def _wind_down_from(self, status: SwarmStatus, reason: str, grace: float) -> None:
        self.start(self._wind_down(status, reason, grace), name="wind down")

    async def _wind_down(self, status: SwarmStatus, reason: str, grace: float) -> None:
        """Stop intake, let running turns finish, cancel the rest, say how it ended."""
        if not self._swarm.ended:
            try:
                await self._surely(SwarmStatus.STOPPING, reason)
            finally:  # whether or not it could be written down
                await self._empty(grace)
            await self._through_outage(self._claims.expire_orphans)
            if status is SwarmStatus.STOPPED and self._swarm.reached:
                status, reason = SwarmStatus.COMPLETED, "target reached"
            await self._surely(
                status,
                reason,
                ended_at=stamp(self.clock.now()),
                active_agents=self._shared.pool.counts(),
            )
        self._shared.done.set()

    async def _surely(self, to: SwarmStatus, reason: str, **changes: Any) -> None:
        if self._swarm.status is not to:
            await self._through_outage(lambda: self._move(to, reason, **changes))

    async def _through_outage(self, change: Callable[[], Awaitable[None]]) -> None:
        """Make a change, waiting for a store that takes nothing now; where it never does, the
        universe ends for that reason."""
        until = self.clock.monotonic() + OUTAGE
        while True:
            try:
                return await change()
            except StoreUnavailable as outage:
                if self.clock.monotonic() >= until:
                    self._shared.silent = outage
                    self._shared.done.set()
                    raise
                await self.clock.sleep(STORE_AGAIN)

    async def _empty(self, grace: float) -> None:
        if self._watching is not None:
            self._watching.cancel()
        until = self.clock.monotonic() + grace
        while self._shared.pool.busy and self.clock.monotonic() < until:
            await self.clock.sleep(0.1)
        await self._shutdown()
        if self._shared.lander is not None:
            await self._shared.lander.stop(timeout=max(grace, 1.0))

    async def _shutdown(self) -> None:
        assert self._shared.supervisor is not None
        deadline = self._parts.settings.execution.grace + 15.0
        await self._shared.supervisor.ask(Shutdown, timeout=deadline)

    async def _base_is_red(self, base: str, reason: str) -> None:
        if BASE_RED not in self._shared.paused:
            self._watch(base)
            await self._pause(BASE_RED, reason)

    def _watch(self, base: str) -> None:
        self._watching = self.start(self._watch_base(base), name="watch base")

    async def _watch_base(self, base: str) -> None:
        """Looked at again, each time by a real run, at every new base and every 15 minutes."""
        while True:
            until = self.clock.monotonic() + BASE_AGAIN
            while self._shared.line.base == base and self.clock.monotonic() < until:
                await self.clock.sleep(WATCH)
            base = self._shared.line.base
            try:
                red = await self._parts.base_red(base, fresh=True)
            except OyaError as error:  # an outage says nothing of the base
                log.warning("base", error=str(error))
                await self.clock.sleep(WATCH)
                base = ""
                continue
            if not red:
                self.ref.try_tell(Continue(BASE_RED), control=True)
                return

    # Done? --------------------------------------------------------------------------------

    def _finish_if_done(self) -> None:
        swarm = self._swarm
        if swarm.reached:
            self._end(SwarmStatus.COMPLETED, "target reached", grace=0.0)
            return
        if self._shared.pool.busy or not len(self._shared.pool):
            return
        if self._shared.work.can_move(new=self._claims.room(swarm) > 0):
            return
        if not self._shared.settled():  # what has landed may be about to free others
            self._look_again()
            return
        self._end(SwarmStatus.COMPLETED, "nothing is left that can be worked on", grace=0.0)

    def _fail_without_agents(self) -> None:
        """Where work waits for a role whose agents are all given up, nobody comes to take it."""
        for role in self._shared.work.wants(new=self._claims.room(self._swarm) > 0):
            if self._shared.pool.given_up(role):
                self._end(
                    SwarmStatus.FAILED,
                    f"no {role} is left: each crashed again and again"
                    " (oya logs has the tracebacks)",
                    grace=self._parts.settings.execution.grace,
                )

    async def _pause_without_backend(self) -> None:
        """Where all that could be handed out waits for a disabled backend, a person is needed."""
        if self._shared.pool.busy or "no backend" in self._shared.paused:
            return
        names = {self._parts.backend_of(role) for role in self._shared.work.wants()}
        disabled = [self._shared.admission.backends[name] for name in sorted(names)]
        if disabled and all(access.state == "disabled" for access in disabled):
            reasons = "; ".join(f"{access.name}: {access.reason}" for access in disabled)
            await self._pause(
                "no backend", f"no backend left ({reasons}); then: oya swarm continue"
            )
