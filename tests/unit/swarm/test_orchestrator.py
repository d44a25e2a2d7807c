"""The life of a swarm goes on where an outage, or a crash of its actor, has cut it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from swarm_kit import World

from oya.actors import Actor, ActorRef, Backoff, Restart, Supervisor
from oya.errors import GitError, StoreError
from oya.lifecycle.leases import Leases
from oya.lifecycle.model import Role
from oya.lifecycle.swarm import SwarmStatus
from oya.swarm import orchestrator
from oya.swarm.admission import Admission
from oya.swarm.messages import (
    BaseIsRed,
    Change,
    Continue,
    Pause,
    Shutdown,
    SpawnAgents,
    Start,
    Stop,
)
from oya.swarm.orchestrator import SwarmOrchestratorActor
from oya.swarm.pool import AgentPool
from oya.swarm.shared import Shared
from oya.swarm.work import Work
from oya.testing.engine import Outcome

ANEW = Restart(intensity=10, period=60.0, backoff=Backoff(first=0.001))


class Agents(Actor[Any]):
    """Stands where the supervisor of the agents does."""

    def __init__(self, got: list[Any]) -> None:
        self._got = got

    async def handle(self, message: Any) -> None:
        self._got.append(message)
        if isinstance(message, Shutdown):
            message.reply.send(None)


class Swarm:
    """An orchestrator on a world; `told` is what the agents' supervisor heard."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.told: list[Any] = []
        self._since = world.store.events.last
        self.shared = Shared(
            pool=AgentPool(),
            leases=Leases(120.0),
            admission=Admission({"agent": 4}, world.clock),
            line=world.line,
            work=Work(world.store.beads, world.parts.board),
        )
        self.ref: ActorRef[Any]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Swarm]:
        async with Supervisor(clock=self.world.clock, restart=ANEW, name="test") as root:
            self.shared.supervisor = await root.spawn(lambda: Agents(self.told), name="agents")
            self.ref = await root.spawn(
                lambda: SwarmOrchestratorActor(self.world.parts, self.shared), name="orchestrator"
            )
            yield self

    def outage(self, commits: int = 1) -> None:
        self.world.disk.outcomes.extend([Outcome.FAILED] * commits)

    async def becomes(self, *statuses: SwarmStatus) -> None:
        """Wait until the swarm is there, by these steps and no others."""
        wanted = [f"swarm_{status}" for status in statuses]
        await self.world.wait(lambda: len(self.seen) >= len(wanted))
        assert self.seen == wanted

    @property
    def seen(self) -> list[str]:
        events = [r.event for r in self.world.store.events.recent(self._since)]
        return [event for event in events if event.startswith("swarm_")]


@pytest.fixture
async def swarm(world: World, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Swarm]:
    monkeypatch.setattr(orchestrator, "STORE_AGAIN", 0.001)
    async with Swarm(world).running() as swarm:
        yield swarm


async def test_a_stop_comes_to_its_end_through_an_outage_of_the_store(swarm: Swarm) -> None:
    swarm.outage(3)
    await swarm.ref.tell(Stop(now=True))
    await swarm.shared.done.wait()
    await swarm.becomes(SwarmStatus.STOPPING, SwarmStatus.STOPPED)


async def test_a_stop_comes_to_its_end_though_the_actor_crashes(
    swarm: Swarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    shut_down, times = SwarmOrchestratorActor._shutdown, []

    async def shutdown(self: SwarmOrchestratorActor) -> None:
        times.append(1)
        if len(times) == 1:
            raise RuntimeError("a defect")
        await shut_down(self)

    monkeypatch.setattr(SwarmOrchestratorActor, "_shutdown", shutdown)
    await swarm.ref.tell(Stop(now=True))
    await swarm.shared.done.wait()
    await swarm.becomes(SwarmStatus.STOPPING, SwarmStatus.STOPPED)
    assert len(times) == 2


async def test_a_continue_that_the_store_does_not_take_is_made_again(swarm: Swarm) -> None:
    await swarm.ref.tell(Pause("person", "later"))
    await swarm.becomes(SwarmStatus.PAUSED)
    swarm.outage()
    await swarm.ref.tell(Continue("person"))
    await swarm.becomes(SwarmStatus.PAUSED, SwarmStatus.RUNNING)


async def test_agents_are_there_though_the_start_met_an_outage(swarm: Swarm, world: World) -> None:
    state = world.store.swarms.all()["swarm-1"]
    await world.store.swarms.put(
        replace(state, status=SwarmStatus.STARTING), event="swarm_starting"
    )
    swarm.outage()
    await swarm.ref.tell(Start())
    await world.wait(lambda: any(isinstance(m, SpawnAgents) for m in swarm.told))
    await swarm.becomes(SwarmStatus.STARTING, SwarmStatus.RUNNING)


async def test_a_pause_that_the_store_does_not_take_is_made_again(swarm: Swarm) -> None:
    swarm.outage(2)
    await swarm.ref.tell(Pause("rewritten", "main was rewritten"))
    await swarm.becomes(SwarmStatus.PAUSED)
    await swarm.ref.tell(Continue("rewritten"))
    await swarm.becomes(SwarmStatus.PAUSED, SwarmStatus.RUNNING)


async def test_a_person_hears_that_a_change_was_not_taken(swarm: Swarm) -> None:
    swarm.outage()
    with pytest.raises(StoreError):
        await swarm.ref.ask(lambda reply: Change(3, ((Role.REVIEWER, 1),), reply), timeout=5)
    assert swarm.told == []


class TestARedBase:
    """Watched until it is green, whatever happens to the watch."""

    @pytest.fixture
    def looks(self, world: World, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
        """What each look at the base comes to, from the last: an error, or what is red."""
        answers: list[Any] = []

        async def base_red(commit: str, *, fresh: bool = False) -> list[str]:
            answer = answers.pop() if answers else []
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(world.parts, "base_red", base_red)
        monkeypatch.setattr(orchestrator, "BASE_AGAIN", 0.001)
        monkeypatch.setattr(orchestrator, "WATCH", 0.001)
        return answers

    async def test_it_is_watched_through_an_outage(
        self, swarm: Swarm, world: World, looks: list[Any]
    ) -> None:
        looks.extend([["test_a"], GitError("git is out of order")])
        await swarm.ref.tell(BaseIsRed(world.line.base, "the base is red"))
        await swarm.becomes(SwarmStatus.PAUSED, SwarmStatus.RUNNING)

    async def test_it_is_watched_though_the_pause_met_an_outage(
        self, swarm: Swarm, world: World, looks: list[Any]
    ) -> None:
        looks.extend([["test_a"]] * 50)
        swarm.outage()
        await swarm.ref.tell(BaseIsRed(world.line.base, "the base is red"))
        await swarm.becomes(SwarmStatus.PAUSED, SwarmStatus.RUNNING)

    async def test_it_is_watched_though_the_actor_crashes(
        self, swarm: Swarm, world: World, looks: list[Any]
    ) -> None:
        looks.extend([["test_a"], RuntimeError("a defect")])
        await swarm.ref.tell(BaseIsRed(world.line.base, "the base is red"))
        await swarm.becomes(SwarmStatus.PAUSED, SwarmStatus.RUNNING)
