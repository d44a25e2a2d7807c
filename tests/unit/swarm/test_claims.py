"""Who works on what: what is waiting is claimed at once, and what fails leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from swarm_kit import World, issue

from oya.errors import ActorDead, StoreError
from oya.lifecycle import events as e
from oya.lifecycle.failures import FailureClass
from oya.lifecycle.model import Role
from oya.lifecycle.swarm import SwarmState
from oya.swarm.claims import Claims
from oya.swarm.messages import ClaimBead, Heartbeat
from oya.swarm.pool import AgentHandle
from oya.testing.engine import Outcome


class Agent:
    """Stands where the ref of an agent does; `got` is what it was told."""

    def __init__(self) -> None:
        self.got: list[Any] = []
        self.dead = False

    def try_tell(self, message: Any, *, control: bool = False) -> None:
        if self.dead:
            raise ActorDead("it has ended", message=message)
        self.got.append(message)


class Desk:
    """Claims on a world, and agents that ask."""

    def __init__(self, world: World, seats: int = 10) -> None:
        self.world = world
        self.shared = world.shared(seats)
        self.claims = Claims(world.parts, self.shared)

    @property
    def swarm(self) -> SwarmState:
        return self.world.store.swarms.all()["swarm-1"]

    @property
    def sessions(self) -> int:
        return self.shared.admission.backends["agent"].sessions

    def ask(self, name: str, role: Role = Role.TEST_WRITER) -> Agent:
        agent: Any = Agent()
        if self.shared.pool.get(name) is None:
            self.shared.pool.add(AgentHandle(name, role, "agent", ref=agent))
        self.claims.ask(ClaimBead(name, role, "agent", agent))
        return agent

    async def hand_out(self) -> None:
        await self.claims.hand_out(self.swarm)

    async def target(self, beads: int) -> None:
        await self.world.store.swarms.update(
            "swarm-1", lambda s: replace(s, target_beads=beads), event="swarm_changed"
        )


ISSUES = tuple(issue(f"b-{number}", priority=number % 3) for number in range(6))


@pytest.fixture
async def desk(own_git: None, tmp_path: Path) -> AsyncIterator[Desk]:
    async with World.at(tmp_path, issues=ISSUES) as world:
        yield Desk(world)


def given(*agents: Agent) -> list[str | None]:
    return [agent.got[0].claim.bead if agent.got else None for agent in agents]


async def test_all_who_ask_are_served_in_order_in_one_commit(desk: Desk) -> None:
    before = desk.world.disk.commits
    agents = [desk.ask(f"a-{number}") for number in range(4)]
    await desk.hand_out()
    assert given(*agents) == ["b-0", "b-3", "b-1", "b-4"]
    assert desk.world.disk.commits == before + 1
    assert desk.sessions == 4
    assert desk.shared.leases.holds("b-0") is not None
    made = await desk.world.parts.workspaces.create("b-0", 1, start=desk.world.line.base)
    row = desk.world.store.beads.row("b-0")
    assert row and row["workspace"] == str(made.path)


async def test_no_more_new_contracts_begin_than_the_target_leaves_room_for(desk: Desk) -> None:
    await desk.target(3)
    await desk.world.claimed("b-5")
    agents = [desk.ask(f"a-{number}") for number in range(4)]
    await desk.hand_out()
    assert given(*agents) == ["b-0", "b-3", None, None]


async def test_at_the_target_a_contract_that_came_back_is_still_taken_up(desk: Desk) -> None:
    await desk.target(1)
    epoch = await desk.world.claimed("b-5")
    await desk.world.parts.apply("b-5", e.LeaseExpired(epoch, "it died"))
    one, other = desk.ask("a-1"), desk.ask("a-2")
    await desk.hand_out()
    assert given(one, other) == ["b-5", None]


async def test_no_more_sessions_than_seats(own_git: None, tmp_path: Path) -> None:
    async with World.at(tmp_path, issues=ISSUES) as world:
        desk = Desk(world, seats=2)
        agents = [desk.ask(f"a-{number}") for number in range(4)]
        await desk.hand_out()
        assert given(*agents) == ["b-0", "b-3", None, None]


async def test_the_only_seat_goes_to_what_is_nearest_to_landing(
    own_git: None, tmp_path: Path
) -> None:
    """However the beads rank, and whoever asked first."""
    async with World.at(tmp_path, issues=ISSUES) as world:
        await contracted(world, "b-4", "b-5")
        head = await world.made(world.line.base, {"x": "done"})
        limits, world.parts.limits = world.parts.limits, replace(world.parts.limits, review=True)
        epoch = await world.claimed("b-5")
        await world.parts.apply("b-5", e.ImplementationAccepted(epoch, head, world.line.base))
        world.parts.limits = replace(limits, planner=True)
        await contracted(world, "b-1")
        wheres = [world.state(f"b-{n}").where for n in (0, 1, 4, 5)]
        assert wheres == [
            "contract/pending",
            "contract:check/pending",
            "implementation/pending",
            "review/pending",
        ]

        desk = Desk(world, seats=1)
        roles = (Role.TEST_WRITER, Role.PLANNER, Role.IMPLEMENTER, Role.REVIEWER)
        agents = {role: desk.ask(str(role), role) for role in roles}
        order = []
        for _ in roles:
            await desk.hand_out()
            (role,) = (r for r, agent in agents.items() if agent.got and r not in order)
            order.append(role)
            desk.claims.ended(agents[role].got[0].claim, None, "", None)
        assert order == [Role.REVIEWER, Role.IMPLEMENTER, Role.PLANNER, Role.TEST_WRITER]
        assert given(*(agents[role] for role in order)) == ["b-5", "b-4", "b-1", "b-0"]


async def contracted(world: World, *beads: str) -> None:
    """Their contracts are accepted; where a planner is to check them, it has not yet."""
    for bead in beads:
        epoch, base = await world.claimed(bead), world.line.base
        await world.parts.apply(bead, e.ContractAccepted(epoch, base, base, "check"))


async def test_a_claim_that_is_refused_takes_no_seat_and_its_agent_is_served_next(
    desk: Desk,
) -> None:
    """A person holds the bead in the group of the claim, just before it."""
    agent = desk.ask("a-1")
    holding = desk.world.parts.apply("b-0", e.HeldByPerson())
    await asyncio.gather(holding, desk.hand_out())
    assert (given(agent), desk.sessions) == ([None], 0)
    await desk.hand_out()
    assert given(agent) == ["b-3"]


async def test_an_outage_of_the_store_leaves_everything_as_it_was(desk: Desk) -> None:
    agents = [desk.ask(f"a-{number}") for number in range(2)]
    desk.world.disk.outcomes.append(Outcome.LOST)
    with pytest.raises(StoreError):
        await desk.hand_out()
    assert (given(*agents), desk.sessions) == ([None, None], 0)
    await desk.hand_out()
    assert given(*agents) == ["b-0", "b-3"]


async def test_a_bead_for_an_agent_that_is_dead_goes_back(desk: Desk) -> None:
    dead = desk.ask("a-1")
    dead.dead = True
    await desk.hand_out()
    assert desk.world.state("b-0").where == "contract/pending"
    assert (desk.sessions, desk.shared.leases.holds("b-0")) == (0, None)
    assert not desk.shared.pool.busy
    other = desk.ask("a-2")
    await desk.hand_out()
    assert given(dead, other) == [None, "b-0"]


async def test_a_bead_of_an_agent_that_has_just_ended_can_be_cancelled(desk: Desk) -> None:
    agent = desk.ask("a-1")
    await desk.hand_out()
    agent.dead = True
    await desk.claims.expire("b-0", 1, "taken by a person")
    assert desk.world.state("b-0").where == "contract/pending"


async def test_a_lease_ends_when_nobody_renews_it_and_not_before(desk: Desk) -> None:
    agent = desk.ask("a-1")
    await desk.hand_out()
    for _ in range(4):
        desk.world.clock.ahead += 50.0
        desk.claims.renew(Heartbeat("a-1", "b-0", 1, lambda: 7.0))
        await desk.claims.expire_overdue()
    handle = desk.shared.pool.get("a-1")
    assert handle is not None
    assert (desk.world.state("b-0").where, handle.last_activity) == ("contract/in_progress", 7.0)
    for _ in range(4):
        desk.world.clock.ahead += 50.0
        await desk.claims.expire_overdue()
    assert desk.world.state("b-0").where == "contract/pending"
    assert len(agent.got) == 2, "it is told to end what it does"


async def test_a_crash_gives_bead_and_seat_back_at_once_and_counts(desk: Desk) -> None:
    desk.ask("a-1")
    await desk.hand_out()
    await desk.claims.crashed("a-1", "boom")
    await desk.claims.crashed("a-1", "told twice")
    assert desk.world.state("b-0").where == "contract/pending"
    assert (desk.sessions, desk.shared.pool.busy) == (0, False)
    assert desk.swarm.failures == {str(FailureClass.INTERNAL): 1}


async def test_what_an_agent_asked_before_it_rests_counts_no_more(desk: Desk) -> None:
    """Asked again by an orchestrator that begins anew, an agent may ask twice before it is
    given work; the second question stands when its program dies."""
    agent = desk.ask("a-1")
    await desk.hand_out()
    (work,) = agent.got
    desk.ask("a-1")
    desk.claims.ended(work.claim, FailureClass.AGENT_CRASH, "died", None)
    await desk.world.parts.apply(
        "b-0", e.AttemptFailed(1, FailureClass.AGENT_CRASH, "died"), agent="a-1"
    )
    await desk.hand_out()
    assert not desk.shared.pool.busy
    desk.ask("a-1")
    await desk.hand_out()
    assert desk.shared.pool.busy
