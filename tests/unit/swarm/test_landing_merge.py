"""Branch and line have both moved on: the user's commits enter the line as a gated merge."""

from __future__ import annotations

import pytest
from swarm_kit import PATH, World, issue, jsonl, needs

from oya.lifecycle.model import Hold
from oya.swarm.merging import merge_commits
from oya.swarm.universe import Universe
from oya.testing.loop import VirtualLoop
from oya.testing.simulation.git import GitDisk, SimulatedGit
from repository_kit import write
from user_kit import Prompt, SimulatedUser, ticking

MINE = "the user's words\n"


@pytest.fixture
async def kept(world: World) -> World:
    """A change in the checkout, so that it cannot follow."""
    write(world.folder, {"a.txt": MINE})
    return world


async def diverge(world: World, **files: str) -> str:
    """`a` lands, then the user commits what lies there; that commit."""
    await world.until("a", "landed/complete")
    await world.wait(lambda: world.line.followed.behind == 1)
    return world.commit({name.replace("_", "."): text for name, text in files.items()})


def shown(world: World, path: str) -> str:
    return world.git("show", f"{world.line.ref}:{path}") + "\n"


async def merged(world: World, theirs: str) -> None:
    """Wait until the line has it; the checkout follows."""
    await world.look()
    await world.wait(lambda: theirs in world.git("rev-list", world.line.ref).splitlines())
    await world.wait(lambda: world.git("rev-parse", "main") == world.git("rev-parse", "HEAD"))
    await world.wait(
        lambda: world.git("rev-parse", "main") == world.git("rev-parse", world.line.ref)
    )


async def test_green_it_lands_before_anything_else_and_the_checkout_follows(kept: World) -> None:
    await kept.reviewed("a", {"new.txt": "x\n"})
    async with kept.landing():
        mine = await diverge(kept)
        await kept.reviewed("b", {"b.txt": "x\n"})
        await kept.look()
        state = await kept.until("b", "landed/complete")
        await merged(kept, mine)
    parents = kept.git("show", "-s", "--format=%P", f"{state.commit}~1").split()
    assert parents == [kept.state("a").commit, mine]
    assert shown(kept, "a.txt") == MINE
    (event,) = [r for r in await kept.store.events.since(0) if r.event == "merged"]
    assert event.data["commit"] == kept.git("rev-parse", f"{state.commit}~1")
    assert event.data["evidence"], "it was proven like any candidate"
    assert kept.line.left_out == ""
    assert await kept.store.intents.all() == []
    assert kept.git("for-each-ref", "refs/oya/candidates") == ""


async def test_red_it_is_left_out_by_name_and_the_line_goes_on(kept: World) -> None:
    await kept.reviewed("a", {"new.txt": "x\n"})
    async with kept.landing():
        mine = await diverge(kept, red_txt="red\n")
        await kept.look()
        await kept.wait(lambda: kept.line.left_out.startswith("red: "))
        await kept.reviewed("b", {"b.txt": "x\n"})
        await kept.look()
        state = await kept.until("b", "landed/complete")
        assert kept.git("rev-parse", f"{state.commit}~1") == kept.state("a").commit
        await kept.wait(lambda: kept.line.left_out.startswith("red: "))
        assert kept.git("rev-parse", "main") == mine, "the checkout stays"
        kept.git("rm", "-q", "red.txt")
        await merged(kept, kept.commit({}, "green again"))
        await kept.wait(lambda: kept.line.left_out == "")
    assert kept.git("for-each-ref", "refs/oya/candidates") == ""


async def test_a_conflict_is_left_out_by_name_until_either_side_moves(kept: World) -> None:
    await kept.reviewed("a", {"a.txt": "the bead's words\n"})
    async with kept.landing():
        await diverge(kept)
        await kept.look()
        await kept.wait(lambda: kept.line.left_out == "conflicts in a.txt")
        merges = kept.line.merge
        tried: list[str] = []

        async def counted(tracker: str = ".beads/issues.jsonl") -> object:
            found = await merges(tracker)
            tried.append(found.parents[0])
            return found

        kept.line.merge = counted  # type: ignore[assignment, method-assign]
        await kept.idle()
        assert tried == [], "nothing has moved"
        await kept.reviewed("b", {"b.txt": "x\n"})
        await kept.look()
        state = await kept.until("b", "landed/complete")
        await kept.wait(lambda: tried == [state.commit])
        await merged(kept, kept.commit({"a.txt": "one\n"}, "as it was"))
    assert shown(kept, "a.txt") == "the bead's words\n"


class TestReverts:
    async def test_what_the_user_reverts_is_undone(self, world: World) -> None:
        await world.reviewed("a", {"new.txt": "x\n"})
        async with world.landing():
            state = await world.until("a", "landed/complete")
            await world.wait(lambda: world.git("rev-parse", "main") == state.commit)
            world.git("revert", "--no-edit", "HEAD")
            await world.look()
            await world.until("a", "landed/held")
        assert world.state("a").hold is Hold.UNDONE

    async def test_a_revert_that_is_reverted_before_anybody_looks_is_none(
        self, world: World
    ) -> None:
        await world.reviewed("a", {"new.txt": "x\n"})
        async with world.landing():
            state = await world.until("a", "landed/complete")
            await world.wait(lambda: world.git("rev-parse", "main") == state.commit)
        for _ in range(2):
            world.git("revert", "--no-edit", "HEAD")
        async with world.landing():
            await world.sync()
        assert world.state("a").where == "landed/complete"

    async def test_it_is_undone_before_the_next_swarm_claims_anything(self, world: World) -> None:
        """Whatever that has to do, and whether or not its lander comes to look."""
        world.commit({PATH: jsonl(issue("a"), issue("b", dependencies=needs("a")))})
        await world.line.refresh()
        await world.tracking.refresh()
        await world.reviewed("a", {"new.txt": "x\n"})
        async with world.landing():
            state = await world.until("a", "landed/complete")
            await world.wait(lambda: world.git("rev-parse", "main") == state.commit)
            await world.wait(lambda: not world.state("b").blocked)
        world.git("revert", "--no-edit", "HEAD")
        await Universe(world.parts).prepare()
        assert world.state("a").hold is Hold.UNDONE
        assert "a" in world.state("b").blocked

    async def test_with_the_line_ahead_it_counts_when_it_is_merged(self, kept: World) -> None:
        """The branch is behind, and the revert stands on an older landing."""
        await kept.reviewed("a", {"new.txt": "x\n"})
        async with kept.landing():
            state = await kept.until("a", "landed/complete")
            await kept.wait(lambda: kept.line.followed.behind == 1)
            message = f"Not like this\n\nThis reverts commit {state.commit[:12]}."  # type: ignore[index]
            await merged(kept, kept.commit({}, message))
            await kept.until("a", "landed/held")


def test_the_trackers_file_is_merged_on_virtual_time_too() -> None:
    """Where there are no threads."""
    user = SimulatedUser(GitDisk())
    base = user.commit({PATH: jsonl(issue("a"), issue("b"))})
    repo = SimulatedGit(user.disk, Prompt(), ticking())
    rows = (issue("a", title="Else"), issue("b")), (issue("a"), issue("b", status="closed"))

    async def merged() -> bytes | None:
        ends = []
        for made in rows:
            tree = await repo.write_tree(base, {PATH: jsonl(*made).encode()})
            ends.append(await repo.commit_tree(tree, (base,), "edited"))
        found = await merge_commits(repo, *ends, PATH, landed=ends[0])
        assert found.conflicts == ()
        return await repo.read_file(found.tree, PATH)

    data = VirtualLoop(1).run_until_complete(merged())
    assert data == jsonl(issue("a", title="Else"), issue("b", status="closed")).encode()
