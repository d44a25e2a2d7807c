"""What is proven becomes commits on the line, and is recorded: whatever comes in between."""

from __future__ import annotations

import json
from pathlib import Path

from swarm_kit import World, issue

from oya.testing.engine import Outcome
from repository_kit import write


async def test_a_reviewed_bead_lands_and_the_checkout_follows(world: World) -> None:
    await world.reviewed("a", {"new.txt": "x\n"})
    async with world.landing():
        state = await world.until("a", "landed/complete")
        await world.wait(lambda: (world.folder / "new.txt").exists())
    assert world.git("rev-parse", "main") == state.commit == world.git("rev-parse", world.line.ref)
    assert world.landings() == 1
    assert world.git("for-each-ref", "refs/oya/candidates") == ""
    assert await world.store.intents.all() == []


async def test_its_evidence_is_a_note_and_in_the_event(world: World) -> None:
    await world.reviewed("a", {"new.txt": "x\n"})
    async with world.landing():
        state = await world.until("a", "landed/complete")
    note = json.loads(world.git("notes", "--ref=oya", "show", str(state.commit)))
    assert [row["ok"] for row in note["evidence"]] == [True] * 3
    (landed,) = [r for r in await world.store.events.since(0) if r.event == "landed"]
    ran = [row["key"] for row in note["evidence"] if row["gate"] != "quick"]  # there is no quick
    assert landed.data["evidence"] == ran


async def test_a_dirty_checkout_stays_and_landing_goes_on(world: World) -> None:
    write(world.folder, {"a.txt": "edited\n"})
    await world.reviewed("a", {"x.txt": "x\n"})
    await world.reviewed("b", {"y.txt": "y\n"})
    async with world.landing():
        await world.until("b", "landed/complete")
        found = await world.sync()
    assert found["behind"] == 2
    assert "a.txt" in found["why"]
    assert (world.folder / "a.txt").read_text() == "edited\n"


def outage_once_moved(world: World) -> None:
    """The engine refuses exactly the commit of `landed`; the line has moved already."""
    advance = world.line.advance

    async def then_an_outage(candidate: str) -> bool:
        moved = await advance(candidate)
        world.disk.outcomes.extend([Outcome.LOST])
        return moved

    world.line.advance = then_an_outage  # type: ignore[method-assign]


async def test_an_outage_after_the_line_moved_is_made_good(world: World) -> None:
    await world.reviewed("a", {"new.txt": "x\n"})
    outage_once_moved(world)
    async with world.landing():
        await world.wait(lambda: not world.disk.outcomes and world.line.followed is not None)
        await world.look()
        state = await world.until("a", "landed/complete")
    assert state.commit == world.git("rev-parse", world.line.ref)
    assert world.landings() == 1
    assert len(world.git("rev-list", world.line.ref).splitlines()) == 2


async def test_what_had_moved_before_an_outage_counts_for_the_whole_batch(
    own_git: None, tmp_path: Path
) -> None:
    top = '[landing]\nprove = "top"\nbatch = 4'
    issues = tuple(issue(bead) for bead in "abc")
    async with World.at(tmp_path, more=top, issues=issues) as world:
        for bead in "abc":
            await world.reviewed(bead, {bead: "x\n"})
        outage_once_moved(world)
        async with world.landing():
            await world.wait(lambda: world.landings() == 3)
        assert [world.state(bead).where for bead in "abc"] == ["landed/complete"] * 3
        assert await world.store.intents.all() == []
