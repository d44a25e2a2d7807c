"""SwarmSupervisor: thirteen agents, one-for-one, and the judgement when to stop trusting."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog

from oya.actors import (
    Actor,
    ActorFailed,
    ActorRef,
    Backoff,
    IntensityExceeded,
    Restart,
    SupervisionEvent,
    Supervisor,
)
from oya.lifecycle.failures import RULES, FailureClass, Measure
from oya.lifecycle.meltdown import Meltdown, Outcome
from oya.lifecycle.model import Role
from oya.swarm.agents.base import AgentActor
from oya.swarm.agents.implementer import ImplementerActor
from oya.swarm.agents.planner import PlannerActor
from oya.swarm.agents.reviewer import ReviewerActor
from oya.swarm.agents.test_writer import TestWriterActor
from oya.swarm.assembly import Parts
from oya.swarm.messages import (
    AgentFailed,
    BeadComplete,
    Claim,
    Melted,
    ReleaseBead,
    Shutdown,
    SpawnAgents,
    SwarmSupervisorMessage,
)
from oya.swarm.pool import AgentHandle, AgentPool, AgentState

log = structlog.get_logger()

ACTORS: dict[Role, type[AgentActor]] = {
    Role.TEST_WRITER: TestWriterActor,
    Role.IMPLEMENTER: ImplementerActor,
    Role.REVIEWER: ReviewerActor,
    Role.PLANNER: PlannerActor,
}

AGENT_RESTART = Restart(
    intensity=5, period=600.0, backoff=Backoff(first=0.5, factor=2.0, limit=30.0, jitter=0.5)
)
"""An agent that crashes more than 5 times in 10 minutes is unhealthy and stays out."""


CLEAN_UP = 10.0
"""Seconds beyond the grace in which a cancelled attempt keeps its snapshot."""


class SwarmSupervisor(Actor[SwarmSupervisorMessage]):
    """Owns the agents. A backend that dies is a result of its agent, not a crash of it."""

    def __init__(self, parts: Parts, pool: AgentPool, orchestrator: ActorRef[Any]) -> None:
        self._parts = parts
        self._pool = pool
        self._orchestrator = orchestrator
        self._meltdown = Meltdown(parts.settings.execution.meltdown_window)
        self._agents: Supervisor | None = None

    async def pre_start(self) -> None:
        deadline = self._parts.settings.execution.grace + CLEAN_UP
        self._agents = await self.supervise(restart=AGENT_RESTART, name="agents", deadline=deadline)
        for handle in self._pool.all():  # after a restart: they ended with the one before
            if handle.state in (AgentState.UNHEALTHY, AgentState.TERMINATED):
                continue
            self._orchestrator.try_tell(
                ReleaseBead(handle.id, None, FailureClass.INTERNAL, "its supervisor crashed"),
                control=True,
            )
            if handle.state is AgentState.SHUTTING_DOWN:
                handle.state = AgentState.TERMINATED
            else:
                await self._embody(handle)

    async def handle(self, message: SwarmSupervisorMessage) -> None:
        match message:
            case SpawnAgents(role=role, count=count):
                await self._resize(role, count)
            case AgentFailed():
                await self._failed(message)
            case BeadComplete(agent=agent, claim=claim):
                await self._ended(ReleaseBead(agent, claim, None, ""), claim)
            case Shutdown(reply=reply):
                await self._shutdown()
                reply.send(None)

    async def _resize(self, role: Role, count: int) -> None:
        alive = self._pool.alive(role)
        for handle in alive[count:]:
            handle.state = AgentState.SHUTTING_DOWN
            if handle.bead is None:
                await self._end(handle)
        made = sum(1 for handle in self._pool.all() if handle.role is role)
        for number in range(made + 1, made + 1 + count - len(alive)):
            await self._spawn(role, f"{role.replace('_', '-')}-{number}")

    async def _spawn(self, role: Role, name: str) -> None:
        backend = self._parts.backend_of(role)
        now = self.clock.monotonic()
        await self._embody(self._pool.add(AgentHandle(name, role, backend, since=now)))

    async def _embody(self, handle: AgentHandle) -> None:
        assert self._agents is not None
        make: Callable[[], AgentActor] = lambda: ACTORS[handle.role](  # noqa: E731
            self._parts, handle.id, handle.backend, self._orchestrator, self.ref
        )
        handle.ref = await self._agents.spawn(make, name=handle.id, escalate=False)

    async def _failed(self, message: AgentFailed) -> None:
        handle = self._pool.get(message.agent)
        if handle is not None and RULES[message.failure].measure is Measure.RESTART_AGENT:
            handle.restarts += 1
        agent, claim, failure = message.agent, message.claim, message.failure
        end = ReleaseBead(agent, claim, failure, message.reason, message.resets_at)
        await self._ended(end, claim)

    async def _ended(self, end: ReleaseBead, claim: Claim) -> None:
        """Judge first, then let the orchestrator go on: a meltdown is never overtaken by an end."""
        self._judge(self._parts.role_of(claim), claim.backend, claim.bead, end.failure)
        await self._orchestrator.tell(end, control=True)
        handle = self._pool.get(end.agent)
        if handle is not None and handle.state is AgentState.SHUTTING_DOWN:
            await self._end(handle)

    def _judge(self, role: Role, backend: str, bead: str, failure: FailureClass | None) -> None:
        now = self.clock.monotonic()
        if not self._meltdown.ended(role, backend, Outcome(now, bead, failure)):
            return
        causes = self._meltdown.causes(role, backend)
        log.error("meltdown", role=role, backend=backend, causes=causes)
        self._orchestrator.try_tell(Melted(role, backend, tuple(causes.items())), control=True)

    async def handle_supervisor_event(self, event: SupervisionEvent) -> None:
        if not isinstance(event, ActorFailed | IntensityExceeded):
            return
        handle = self._pool.get(event.ref.name)
        if handle is None:
            return
        if isinstance(event, IntensityExceeded):  # its last crash was told of before
            handle.state = AgentState.UNHEALTHY
        else:
            self._crashed(handle, event.error)
        self._orchestrator.try_tell(
            ReleaseBead(handle.id, None, FailureClass.INTERNAL, repr(event.error)), control=True
        )

    def _crashed(self, handle: AgentHandle, error: BaseException) -> None:
        handle.restarts += 1
        log.error("agent crashed", agent=handle.id, error=repr(error))
        if handle.bead is not None:
            self._judge(handle.role, handle.backend, handle.bead, FailureClass.INTERNAL)

    async def _shutdown(self) -> None:
        for handle in self._pool.alive():
            handle.state = AgentState.SHUTTING_DOWN
        await asyncio.gather(*(self._end(handle) for handle in self._pool.all()))
        for handle in self._pool.working():  # nobody needs their seats any more
            handle.idles(self.clock.monotonic())

    async def _end(self, handle: AgentHandle) -> None:
        """Let it end. What it has in hand, the orchestrator takes from it with the seat."""
        if handle.ref is not None and handle.state is not AgentState.TERMINATED:
            # Snapshots are taken while the child task is cancelled: grace, and a little more.
            await handle.ref.stop(timeout=self._parts.settings.execution.grace + CLEAN_UP)
            handle.state = AgentState.TERMINATED
