"""Who works on what: a bead is handed to an agent that asked, under a lease, and comes back.

What is claimable it reads from `Work`, so that a claim costs the same however many beads
there are. All that is waiting is claimed at once, and so in one commit of the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

import structlog

from oya.errors import ActorDead, ActorError, RefusedError
from oya.lifecycle.events import Claimed, LeaseExpired
from oya.lifecycle.failures import RULES, FailureClass, Measure
from oya.lifecycle.model import BeadState, Role, Status
from oya.lifecycle.swarm import SwarmState, counted
from oya.swarm.assembly import Parts
from oya.swarm.messages import WORK, CancelBead, Claim, ClaimBead, GetNextBead, Heartbeat
from oya.swarm.pool import AgentHandle, AgentState
from oya.swarm.shared import Shared

log = structlog.get_logger()

HAND_OUT = (Role.REVIEWER, Role.IMPLEMENTER, Role.PLANNER, Role.TEST_WRITER)
"""Work in hand first: what is nearest to landing is handed out before what is new."""


class Claims:
    """The claims of one swarm: made, renewed, cancelled, given back."""

    def __init__(self, parts: Parts, shared: Shared) -> None:
        self._parts = parts
        self._shared = shared
        self._clock = parts.clock
        self._waiting = shared.waiting

    def ask(self, asker: ClaimBead) -> None:
        """An idle agent waits for a bead of its role."""
        self._waiting[asker.role][asker.agent] = asker

    def room(self, swarm: SwarmState) -> int:
        """How many new contracts may begin: they do while landed + in flight < target."""
        return swarm.target_beads - swarm.landed_beads - self._shared.work.in_flight

    async def hand_out(self, swarm: SwarmState) -> None:
        """Give what is claimable to those who wait. `StoreError`: to some of them, or none."""
        room = self.room(swarm)
        pairs = [pair for role in HAND_OUT for pair in self._pairs(role, room)]
        claimed = [self._claim(asker, bead) for asker, bead in pairs]
        for outcome in await asyncio.gather(*claimed, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    def _pairs(self, role: Role, room: int) -> Iterator[tuple[ClaimBead, str]]:
        work, admission = self._shared.work, self._shared.admission
        for asker in self._waiting[role].values():
            if not (self._fit(asker) and admission.admits(asker.backend)):
                continue
            bead = work.take(role, new=room > 0)
            if bead is None:
                return
            room -= not self._state(bead).in_flight
            admission.took(asker.backend)
            yield asker, bead

    def _fit(self, asker: ClaimBead) -> bool:
        handle = self._shared.pool.get(asker.agent)
        return handle is not None and handle.state is AgentState.IDLE

    def _state(self, bead: str) -> BeadState:
        state = self._parts.store.beads.get(bead)
        assert state is not None, "beads never leave the store"
        return state

    async def _claim(self, asker: ClaimBead, bead: str) -> None:
        base, given = self._shared.line.base, False
        epoch = self._state(bead).epoch + 1  # nobody else claims
        try:
            applied = await self._parts.apply(
                bead,
                Claimed(asker.agent, asker.backend, base),
                agent=asker.agent,
                data={"role": str(asker.role)},
                workspace=self._parts.workspaces.folder(bead, epoch),
            )
            given = self._give(asker, applied.state, base)
            if not given:
                await self.expire(bead, applied.state.epoch, f"{asker.agent} has ended")
        except RefusedError as refused:
            log.info("claim refused", bead=bead, why=str(refused))
        finally:
            if not given:
                self._shared.admission.returned(asker.backend)
            self._shared.work.give_back(bead)

    def _give(self, asker: ClaimBead, state: BeadState, base: str) -> bool:
        """The word to the agent, and its lease; False if it died after asking."""
        shared, now = self._shared, self._clock.monotonic()
        attempt = state.claims[str(asker.role)]
        claim = Claim(state.id, state.epoch, attempt, asker.agent, asker.backend, base, state)
        self._waiting[asker.role].pop(asker.agent, None)
        try:
            asker.ref.try_tell(WORK[asker.role](claim))
        except ActorError:
            return False
        shared.leases.grant(state.id, state.epoch, asker.agent, now)
        handle = shared.pool.get(asker.agent)
        if handle is not None:
            handle.works_on(state.id, state.epoch, now)
        return True

    async def expire(
        self, bead: str, epoch: int, why: str, failure: FailureClass | None = None
    ) -> None:
        """The attempt under that epoch is over, unless it has ended already.

        `failure` is counted, in the same commit, where that ended the attempt.
        """
        state = self._state(bead)
        if state.epoch != epoch or state.status is not Status.IN_PROGRESS:
            return
        parts = self._parts
        self.cancel(bead, epoch, why)
        self._shared.leases.end(bead, epoch)
        head = await parts.repo.read_ref(parts.workspaces.attempt_ref(bead, epoch))
        known = (state.base, state.contract, state.implementation, state.snapshot)
        snapshot = None if head in known else head
        await parts.apply(
            bead,
            LeaseExpired(epoch, why, snapshot),
            data={"failure": str(failure)} if failure else {},
            on_swarm=partial(counted, failure) if failure else None,
        )

    async def expire_overdue(self) -> None:
        """Every attempt that has not renewed its lease is over."""
        for lease in self._shared.leases.expired(self._clock.monotonic()):
            await self.expire(lease.bead, lease.epoch, f"{lease.agent} gave no sign of life")

    async def expire_orphans(self) -> None:
        """So is one that was claimed, or has ended, while the store took nothing."""
        for state in [self._state(bead) for bead in self._shared.work.attempts]:
            lease = self._shared.leases.holds(state.id)
            if lease is None or lease.epoch != state.epoch:
                await self.expire(state.id, state.epoch, "its attempt ended without a word")

    def renew(self, message: Heartbeat) -> None:
        """An attempt lives."""
        self._shared.leases.renew(message.bead, message.epoch, self._clock.monotonic())
        handle = self._shared.pool.get(message.agent)
        if handle is not None and handle.epoch == message.epoch:
            handle.activity = message.active

    def cancel(self, bead: str, epoch: int, why: str) -> None:
        """Tell the agent that works under that epoch to end its attempt."""
        for handle in self._shared.pool.working():
            if handle.bead == bead and handle.epoch == epoch and handle.ref is not None:
                with suppress(ActorDead):  # it has ended: its release is on the way
                    handle.ref.try_tell(CancelBead(bead, epoch, why), control=True)

    def ended(
        self, claim: Claim, failure: FailureClass | None, reason: str, resets_at: float | None
    ) -> bool:
        """An attempt is over; True if that changed the state of its backend. Twice is once."""
        self._shared.leases.end(claim.bead, claim.epoch)
        handle = self._shared.pool.get(claim.agent)
        if handle is None or (handle.bead, handle.epoch) != (claim.bead, claim.epoch):
            return False
        handle.idles(self._clock.monotonic())
        if failure and RULES[failure].measure is Measure.RESTART_AGENT:
            self._forget_question(handle)
        return self._shared.admission.ended(claim.backend, failure, reason, resets_at)

    def _forget_question(self, handle: AgentHandle) -> None:
        """It rests now, and would be given work for what it asked twice before that. Where it
        was the question after the rest, it asks again."""
        forgotten = self._waiting[handle.role].pop(handle.id, None)
        if forgotten is not None:
            with suppress(ActorError):
                forgotten.ref.try_tell(GetNextBead())

    async def crashed(self, agent: str, reason: str) -> None:
        """An actor crashed with a bead in hand: the lease ends now, not when it runs out."""
        handle = self._shared.pool.get(agent)
        if handle is None or handle.bead is None or handle.epoch is None:
            return
        bead, epoch = handle.bead, handle.epoch
        handle.idles(self._clock.monotonic())
        self._shared.admission.ended(handle.backend, FailureClass.INTERNAL, reason)
        await self.expire(bead, epoch, f"the agent crashed: {reason}", FailureClass.INTERNAL)
