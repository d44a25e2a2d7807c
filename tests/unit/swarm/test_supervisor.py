"""The agents of a swarm, with the real orchestrator beside them: what they leave is given back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from swarm_kit import World, issue

from oya.actors import ActorRef, Backoff, Restart, Supervisor
from oya.clock import stamp
from oya.lifecycle.events import HeldByPerson
from oya.lifecycle.failures import FailureClass
from oya.lifecycle.leases import Leases
from oya.lifecycle.model import Role
from oya.lifecycle.swarm import SwarmState, SwarmStatus
from oya.swarm import orchestrator, supervisor
from oya.swarm.admission import Access
from oya.swarm.agents import base
from oya.swarm.assembly import Parts
from oya.swarm.attempt import Ending
from oya.swarm.messages import Claim, Pause, SpawnAgents
from oya.swarm.orchestrator import SwarmOrchestratorActor
from oya.swarm.pool import AgentHandle, AgentState
from oya.swarm.report import opens_at
from oya.swarm.supervisor import SwarmSupervisor
from oya.testing.engine import SimulatedEngine

ANEW = Restart(intensity=100, period=60.0, backoff=Backoff(first=0.001))
ISSUES = tuple(issue(f"b-{number}") for number in range(4))
RESULT: Ending = (None, "", None)


class Swarm:
    """Orchestrator and agents on a world. An attempt lasts until `ends` says how it ended."""

    def __init__(self, world: World, seats: int = 4) -> None:
        self.world = world
        self.shared = world.shared(seats)
        self.shared.begun = self.shared.started = True
        self.ends: dict[str, asyncio.Future[Ending]] = {}
        self.orchestrator: ActorRef[Any]
        self.supervisor: ActorRef[Any]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Swarm]:
        async with Supervisor(clock=self.world.clock, restart=ANEW, name="test") as root:
            self.orchestrator = await root.spawn(
                lambda: SwarmOrchestratorActor(self.world.parts, self.shared), name="orchestrator"
            )
            self.supervisor = self.shared.supervisor = await root.spawn(
                lambda: SwarmSupervisor(self.world.parts, self.shared.pool, self.orchestrator),
                name="supervisor",
            )
            yield self

    async def attempt(self, parts: Parts, claim: Claim, *_: Any) -> Ending:
        """Stands where `run_attempt` does."""
        self.ends[claim.bead] = asyncio.get_running_loop().create_future()
        return await self.ends[claim.bead]

    async def agents(self, count: int, role: Role = Role.TEST_WRITER) -> None:
        await self.supervisor.tell(SpawnAgents(role, count))

    async def at_work(self, count: int) -> None:
        """Wait until so many agents are at work, all of whom began."""
        await self.world.wait(lambda: len(self.ends) == len(self.shared.pool.working()) == count)

    def agent(self, number: int) -> AgentHandle:
        handle = self.shared.pool.get(f"test-writer-{number}")
        assert handle is not None
        return handle

    async def only(self, *beads: str) -> None:
        """The others wait for a person."""
        for state in self.world.store.beads.all().values():
            if state.id not in beads:
                await self.world.parts.apply(state.id, HeldByPerson())

    async def becomes(self, number: int, state: AgentState) -> None:
        await self.world.wait(lambda: self.agent(number).state is state)

    def ended(self, number: int, *how: Any) -> None:
        """The attempt of that agent ends now."""
        bead = self.agent(number).bead
        assert bead is not None
        self.ends.pop(bead).set_result(how or RESULT)  # type: ignore[arg-type]

    @property
    def access(self) -> Access:
        return self.shared.admission.backends["agent"]

    @property
    def state(self) -> SwarmState:
        return self.world.store.swarms.all()["swarm-1"]


@pytest.fixture
async def swarm(
    own_git: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Swarm]:
    async with World.at(tmp_path, issues=ISSUES) as world:
        swarm = Swarm(world)
        monkeypatch.setattr(base, "run_attempt", swarm.attempt)
        async with swarm.running():
            yield swarm


@pytest.fixture
def slow_commits(monkeypatch: pytest.MonkeyPatch) -> Iterator[asyncio.Event]:
    """While it is not set, no commit of the store ends."""
    may_end = asyncio.Event()
    may_end.set()

    async def reach(_: SimulatedEngine) -> None:
        await may_end.wait()

    monkeypatch.setattr(SimulatedEngine, "_reach", reach)
    yield may_end
    may_end.set()


async def test_an_agent_that_leaves_gives_its_seat_back_though_the_store_is_slow(
    swarm: Swarm, slow_commits: asyncio.Event
) -> None:
    """The orchestrator hears of its end only when the agent is gone."""
    await swarm.agents(2)
    await swarm.at_work(2)
    await swarm.agents(1)
    await swarm.becomes(2, AgentState.SHUTTING_DOWN)
    slow_commits.clear()
    await swarm.orchestrator.tell(Pause("person"))
    swarm.ended(2, FailureClass.PROVIDER_LIMIT, "429", None)
    await swarm.becomes(2, AgentState.TERMINATED)
    slow_commits.set()
    await swarm.world.wait(lambda: swarm.agent(2).bead is None)
    await swarm.world.wait(lambda: swarm.access.sessions == 1)
    assert swarm.access.state == "parked", "what it said of its provider counts"


async def test_an_agent_that_leaves_gives_its_seat_back_though_its_supervisor_crashes(
    swarm: Swarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    await swarm.agents(2)
    await swarm.at_work(2)
    await swarm.agents(1)
    await swarm.becomes(2, AgentState.SHUTTING_DOWN)
    monkeypatch.setattr(SwarmSupervisor, "_spawn", None)
    await swarm.agents(2)
    await swarm.becomes(2, AgentState.TERMINATED)
    await swarm.world.wait(lambda: swarm.agent(2).bead is None)
    assert swarm.agent(1).state in (AgentState.IDLE, AgentState.WORKING)


async def test_agents_that_crash_at_their_work_are_a_meltdown(swarm: Swarm) -> None:
    await swarm.agents(3)
    await swarm.at_work(3)
    for end in swarm.ends.values():
        end.set_exception(RuntimeError("a defect"))
    await swarm.world.wait(lambda: swarm.state.ended)
    assert swarm.state.status is SwarmStatus.FAILED
    assert swarm.state.reason == (
        "meltdown: test_writer by agent failed again and again (3 internal)"
    )


class TestAgentsThatAreGivenUp:
    """One bead makes its agent crash, however often it begins anew: too few for a meltdown."""

    @pytest.fixture(autouse=True)
    def at_once(self, monkeypatch: pytest.MonkeyPatch) -> None:
        anew = Restart(intensity=1, period=60.0, backoff=Backoff(first=0.001))
        monkeypatch.setattr(supervisor, "AGENT_RESTART", anew)

    async def crash(self, swarm: Swarm, bead: str) -> None:
        """Whoever has that bead crashes, until it is given up."""
        agent = next(h for h in swarm.shared.pool.working() if h.bead == bead)
        while agent in swarm.shared.pool.alive():
            if bead in swarm.ends:
                swarm.ends.pop(bead).set_exception(RuntimeError("a defect"))
            await asyncio.sleep(0.01)

    async def test_work_that_waits_for_them_alone_ends_the_swarm(self, swarm: Swarm) -> None:
        await swarm.only("b-0")
        await swarm.agents(1)
        await swarm.at_work(1)
        await self.crash(swarm, "b-0")
        await swarm.world.wait(lambda: swarm.state.ended)
        assert swarm.state.status is SwarmStatus.FAILED
        assert swarm.state.reason == (
            "no test_writer is left: each crashed again and again (oya logs has the tracebacks)"
        )
        assert swarm.world.state("b-0").where == "contract/pending"

    async def test_another_of_the_role_takes_it_up(self, swarm: Swarm) -> None:
        await swarm.only("b-0")
        await swarm.agents(1)
        await swarm.at_work(1)
        await swarm.agents(2)
        await self.crash(swarm, "b-0")
        await swarm.world.wait(lambda: swarm.agent(2).bead == "b-0")
        assert not swarm.state.ended


async def test_a_machine_that_slept_through_a_named_reset_works_on_soon_after(
    own_git: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long a lease is: all timers stood while it slept."""
    monkeypatch.setattr(orchestrator, "LOOKS_AWAKE", 0.01)
    async with World.at(tmp_path, issues=ISSUES) as world:
        swarm, clock = Swarm(world), world.clock
        monkeypatch.setattr(base, "run_attempt", swarm.attempt)
        swarm.shared.leases = Leases(36000.0)
        admission = swarm.shared.admission
        admission.took("agent")
        admission.ended("agent", FailureClass.PROVIDER_LIMIT, "429", clock.monotonic() + 3600)
        async with swarm.running():
            await swarm.agents(1)
            await world.wait(lambda: swarm.shared.waiting[Role.TEST_WRITER])
            assert not swarm.shared.pool.busy
            monkeypatch.setattr(clock, "now", lambda: datetime.now(UTC) + timedelta(hours=2))
            assert (opens_at(clock, swarm.access) or "") < stamp(clock.now()), "not two hours later"
            await swarm.at_work(1)
