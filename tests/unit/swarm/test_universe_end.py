"""However a universe ends, the state of its swarm says so."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from swarm_kit import World

from oya.lifecycle.swarm import SwarmStatus
from oya.swarm.universe import Universe


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
