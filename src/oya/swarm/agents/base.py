"""What all four roles have in common: ask for work, do it as a child task, report, ask again."""

from __future__ import annotations

import asyncio
from abc import abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar

from oya.actors import Actor, ActorRef, Backoff
from oya.errors import ActorDead, ActorError
from oya.lifecycle.failures import RULES, FailureClass, Measure
from oya.lifecycle.model import Role
from oya.swarm.assembly import Parts
from oya.swarm.attempt import Attempt, Beat, Result, run_attempt
from oya.swarm.messages import (
    AgentFailed,
    AgentMessage,
    AttemptEnded,
    BeadComplete,
    CancelBead,
    Claim,
    ClaimBead,
    GetNextBead,
    Heartbeat,
)

A_LITTLE = 0.01
"""Seconds after the end of a rest, so that a timer is never early."""
PAUSE = Backoff(first=0.5, factor=2.0, limit=30.0, jitter=0.5)
"""How long an agent waits after its backend died or hung, one time after the other."""


class AgentActor(Actor[AgentMessage]):
    """A supervised worker with a role. Holds at most one bead; the work is a child task."""

    role: ClassVar[Role]

    def __init__(
        self,
        parts: Parts,
        agent: str,
        backend: str,
        orchestrator: ActorRef[Any],
        supervisor: ActorRef[Any],
    ) -> None:
        self.parts = parts
        self.agent = agent
        self.backend = backend
        self._orchestrator = orchestrator
        self._supervisor = supervisor
        self._claim: Claim | None = None
        self._task: asyncio.Task[None] | None = None
        self._crashes = 0
        self._rests_until = 0.0

    @abstractmethod
    async def work(self, attempt: Attempt) -> Result:
        """One attempt: what the backend did, judged by code."""

    async def pre_start(self) -> None:
        self.ref.try_tell(GetNextBead())

    async def handle(self, message: AgentMessage) -> None:
        match message:
            case GetNextBead():
                await self._ask_for_work()
            case CancelBead(bead=bead, epoch=epoch):
                self._cancel(bead, epoch)
            case AttemptEnded():
                await self._report(message)
            case _:
                self._begin(message.claim)

    async def _ask_for_work(self) -> None:
        # An orchestrator that starts anew asks all who idle, and some of them rest.
        if self._claim is None and self.clock.monotonic() >= self._rests_until:
            await self._orchestrator.tell(
                ClaimBead(self.agent, self.role, self.backend, self.ref), control=True
            )

    def _begin(self, claim: Claim) -> None:
        assert self._claim is None, f"{self.agent} was given {claim.bead} while it has work"
        self._claim = claim
        self._task = self.start(self._attempt(claim), name=f"{self.agent}:{claim.bead}")

    def _cancel(self, bead: str, epoch: int) -> None:
        claim = self._claim
        if claim is not None and (claim.bead, claim.epoch) == (bead, epoch) and self._task:
            self._task.cancel()

    async def _attempt(self, claim: Claim) -> None:
        beat = self._beat(claim)
        try:
            ending = await run_attempt(self.parts, claim, self.work, beat)
        except asyncio.CancelledError:
            self._over(AttemptEnded(claim, FailureClass.CANCELLED, "cancelled"))
            raise
        # Of anything else this agent crashes, and its supervisor tells of that: an agent that
        # said that its attempt is over would be given another one on its way down.
        self._over(AttemptEnded(claim, *ending))

    def _over(self, end: AttemptEnded) -> None:
        with suppress(ActorDead):  # it is being stopped, and nobody waits for the report
            self.ref.try_tell(end, control=True)

    def _beat(self, claim: Claim) -> Beat:
        async def beat(active: Callable[[], float]) -> None:
            sign = Heartbeat(self.agent, claim.bead, claim.epoch, active)
            # One that does not get through is no harm: more come before the lease is over.
            with suppress(ActorError):
                await self._orchestrator.tell(sign, control=True)

        return beat

    async def _report(self, end: AttemptEnded) -> None:
        claim, self._claim, self._task = end.claim, None, None
        if end.failure is None:
            self._crashes = 0
            await self._supervisor.tell(BeadComplete(self.agent, claim), control=True)
        else:
            await self._supervisor.tell(
                AgentFailed(self.agent, claim, end.failure, end.reason, end.resets_at),
                control=True,
            )
        self._next(end.failure)

    def _next(self, failure: FailureClass | None) -> None:
        if failure is None or RULES[failure].measure is not Measure.RESTART_AGENT:
            self.ref.try_tell(GetNextBead())
            return
        self._crashes += 1
        rest = PAUSE.delay(self._crashes, self.clock.random)
        self._rests_until = self.clock.monotonic() + rest
        self.send_after(rest + A_LITTLE, GetNextBead())
