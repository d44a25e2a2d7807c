"""What a swarm counts, it counts in the commit of the event."""

from __future__ import annotations

from swarm_kit import World


async def test_every_execution_of_a_gate_is_an_event_of_its_swarm_and_counted(
    world: World,
) -> None:
    base = world.line.base
    for _ in range(2):
        await world.parts.gates.ci(base)  # the second one is found, and not run
    await world.parts.gates.ci(base, fresh=True)

    ran = [r for r in await world.store.events.since(0) if r.event == "gate_ran"]
    assert [(r.swarm, r.reason) for r in ran] == [("swarm-1", "ci")] * 2
    assert world.store.swarms.all()["swarm-1"].gate_runs == 2
