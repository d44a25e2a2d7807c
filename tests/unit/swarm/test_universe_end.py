"""However a universe ends, the state of its swarm says so."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from swarm_kit import World

from oya.actors import Actor, Backoff, Restart, Supervisor
from oya.clock import SystemClock
from oya.errors import StoreError
from oya.lifecycle.swarm import SwarmStatus
from oya.swarm.universe import Universe, _hand_back


class Underway(Universe):
    """One that has just said that it runs when `error` comes."""

    error: BaseException

    async def _run_tree(self) -> None:
        await self.parts.store.swarms.update(
            "swarm-1", lambda s: replace(s, status=SwarmStatus.RUNNING), event="swarm_running"
        )
        raise self.error


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (asyncio.CancelledError(), SwarmStatus.STOPPED, "stopped by a person"),
        (RuntimeError("boom"), SwarmStatus.FAILED, "boom"),
    ],
)
async def test_a_tree_that_is_cut_short_leaves_no_swarm_that_says_it_runs(
    world: World, error: BaseException, status: SwarmStatus, reason: str
) -> None:
    swarm = replace(world.parts.store.swarms.all()["swarm-1"], status=SwarmStatus.STARTING)
    await world.store.swarms.put(swarm, event="swarm_starting")
    universe = Underway(world.parts)
    universe.error = error

    with pytest.raises(type(error)):
        await universe.run()

    ended = world.store.swarms.all()["swarm-1"]
    assert (ended.status, ended.reason) == (status, reason)
    assert ended.ended_at is not None
    assert await world.said(f"swarm_{status}") == [reason]


class Once(Actor[str]):
    """Crashes with the first message it ever gets."""

    def __init__(self, got: list[str]) -> None:
        self._got = got

    async def handle(self, message: str) -> None:
        self._got.append(message)
        if len(self._got) == 1:
            raise RuntimeError("a defect")


async def test_what_an_actor_of_the_root_had_in_hand_when_it_crashed_comes_again() -> None:
    got: list[str] = []
    anew = Restart(intensity=5, period=60.0, backoff=Backoff(first=0.0))
    async with Supervisor(
        clock=SystemClock(), restart=anew, name="root", on_event=_hand_back
    ) as root:
        ref = await root.spawn(lambda: Once(got), name="once")
        await ref.tell("first")
        await ref.tell("second")
        async with asyncio.timeout(10):
            while len(got) < 3:
                await asyncio.sleep(0.001)
    assert sorted(got) == ["first", "first", "second"]


async def test_a_store_that_can_decide_nothing_more_ends_the_universe(world: World) -> None:
    """Not the swarm that stands for ever, with nobody at work."""

    async def defect(writes: Any) -> None:
        raise RuntimeError("a defect of the engine")

    universe = Universe(world.parts)
    ending = asyncio.ensure_future(universe._until_done())
    await asyncio.sleep(0)
    world.store._writer.engine.commit = defect  # type: ignore[method-assign]
    with pytest.raises(StoreError):
        await world.store.events.append("note")
    with pytest.raises(StoreError, match="writer failed"):
        await asyncio.wait_for(ending, 10)
