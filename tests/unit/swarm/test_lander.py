"""The lander looks at the branch and lets the checkout follow; it is stopped, and meets trouble."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from swarm_kit import PATH, World, issue, jsonl, needs

from oya.daemon.desk import StoreDesk
from oya.errors import GitError
from oya.lifecycle.model import Hold
from oya.swarm.messages import Continue, Pause


async def test_with_follow_off_the_checkout_stays_until_a_person_asks(
    own_git: None, tmp_path: Path
) -> None:
    async with World.at(tmp_path, more="[landing]\nfollow = false") as world:
        await world.reviewed("a", {"new.txt": "x\n"})
        async with world.landing():
            await world.until("a", "landed/complete")
            await world.wait(lambda: world.line.followed.behind == 1)
            assert not (world.folder / "new.txt").exists()
            assert (await world.sync())["behind"] == 0
        assert (world.folder / "new.txt").exists()


async def test_a_stop_leaves_it_in_the_queue(world: World) -> None:
    started = asyncio.Event()

    async def hang() -> None:
        started.set()
        await asyncio.sleep(60)

    await world.reviewed("a", {"new.txt": "x\n"})
    world.before_ci(hang)
    async with world.landing():
        await started.wait()
        assert world.lander is not None
        await world.lander.stop(timeout=10)
    assert world.state("a").where == "landing/pending"
    assert await world.said("landing_left") == ["the swarm was stopped"]
    assert await world.store.intents.all() == []


async def test_what_is_being_proven_ends_with_a_lander_that_crashes(world: World) -> None:
    """Else it holds slots, and nobody knows of it."""
    hangs, judge = asyncio.Event(), world.parts.gates.ci
    ended: list[str] = []

    async def ci(commit: str, **how: Any) -> Any:
        if world.git("ls-tree", "--name-only", commit, "y.txt"):
            try:
                hangs.set()
                await asyncio.Event().wait()
            finally:
                ended.append("b")
        await hangs.wait()
        return await judge(commit, **how)

    async def broken(candidate: str) -> bool:
        raise AssertionError("a defect")

    world.parts.gates.ci = ci  # type: ignore[method-assign]
    world.line.advance = broken  # type: ignore[method-assign]
    await world.reviewed("a", {"x.txt": "x\n"})
    await world.reviewed("b", {"y.txt": "y\n"})
    with pytest.raises(AssertionError, match="a defect"):
        async with world.landing():
            await world.wait(lambda: False)
    assert ended == ["b"]


async def test_trouble_with_git_is_told_once_and_is_no_crash(world: World) -> None:
    refresh = world.line.refresh

    async def fail(*, now: bool = False) -> None:
        raise GitError("git is gone")

    world.line.refresh = fail  # type: ignore[method-assign]
    async with world.landing():
        for _ in range(3):
            await world.look()
            with pytest.raises(GitError):
                await world.sync()
        world.line.refresh = refresh  # type: ignore[method-assign]
        await world.reviewed("a", {"new.txt": "x\n"})
        await world.look()
        await world.until("a", "landed/complete")
    assert await world.said("warning") == ["landing waits: git is gone"]


class TestARewrittenBranch:
    async def test_a_rewrite_is_noticed_at_once(self, world: World) -> None:
        world.commit({"mine.txt": "x\n"})
        await world.line.refresh()
        done = asyncio.Event()
        await world.reviewed("a", {"new.txt": "x\n"})
        world.before_ci(lambda: hang_until(done))
        async with world.landing():
            await world.until("a", "landing/in_progress")
            world.git("commit", "-q", "--amend", "-m", "other words")
            world.clock.ahead += 5
            await world.look()
            await world.hears(Pause)
            done.set()
            await world.until("a", "landing/pending")
        assert await world.said("landing_left") == ["the base moved"]

    async def test_it_pauses_also_a_swarm_that_starts_on_it(self, world: World) -> None:
        world.commit({"mine.txt": "x\n"})
        await world.line.refresh()
        world.git("reset", "-q", "--hard", "HEAD~1")
        await world.line.refresh()
        await world.reviewed("a", {"new.txt": "x\n"})
        async with world.landing():
            told = await world.hears(Pause)
        assert (told.reason, "oya sync" in told.words) == ("rewritten", True)

    async def test_sync_takes_it_and_holds_what_it_lacks(self, world: World) -> None:
        await world.reviewed("a", {"new.txt": "x\n"})
        async with world.landing():
            landed = (await world.until("a", "landed/complete")).commit
            await world.idle()
            assert world.git("rev-parse", "main") == landed
            world.git("reset", "-q", "--hard", "HEAD~1")
            await world.look()
            await world.hears(Pause)
            assert world.state("a").where == "landed/complete", "until a person says so"
            assert (await world.sync())["behind"] == 0
            await world.wait(lambda: Continue("rewritten") in world.told)
        assert world.state("a").hold is Hold.UNDONE
        assert world.line.base == world.git("rev-parse", "main")

    async def test_who_needs_what_was_undone_waits_before_claims_go_on(self, world: World) -> None:
        world.commit({PATH: jsonl(issue("a"), issue("b", dependencies=needs("a")))})
        await world.line.refresh()
        await world.tracking.refresh()
        await world.reviewed("a", {"new.txt": "x\n"})
        async with world.landing():
            await world.until("a", "landed/complete")
            await world.idle()
            assert not world.state("b").blocked
            world.git("reset", "-q", "--hard", "HEAD~1")
            await world.look()
            await world.hears(Pause)
            await world.sync()
            assert world.state("b").blocked == "waits for a"

    async def test_what_it_lacks_is_held_before_the_line_moves(self, world: World) -> None:
        """Else a death in between leaves beads as landed that are nowhere."""
        await world.reviewed("a", {"new.txt": "x\n"})
        async with world.landing():
            await world.until("a", "landed/complete")
            await world.idle()
            world.git("reset", "-q", "--hard", "HEAD~1")
            await world.look()
            await world.hears(Pause)
            taken, before = world.line.accept_rewrite, []

            async def look() -> str | None:
                before.append(world.state("a").where)
                return await taken()

            world.line.accept_rewrite = look  # type: ignore[method-assign]
            await world.sync()
        assert before == ["landed/held"]

    async def test_a_second_one_lets_what_is_held_already_be(self, world: World) -> None:
        desk = StoreDesk(world.store, world.repo.place, lambda: world.parts.limits)
        for bead in "ab":
            await world.reviewed(bead, {f"{bead}.txt": "x\n"})
        async with world.landing():
            for bead in "ab":
                await world.until(bead, "landed/complete")
            await world.idle()
        for left in ("HEAD~1", "HEAD~1"):
            world.git("reset", "-q", "--hard", left)
            await desk.sync()
        assert [world.state(bead).where for bead in "ab"] == ["landed/held"] * 2

    async def test_when_it_is_taken_back_work_goes_on(self, world: World) -> None:
        seen = world.commit({"mine.txt": "x\n"})
        await world.line.refresh()
        async with world.landing():
            world.git("reset", "-q", "--hard", "HEAD~1")
            await world.look()
            await world.hears(Pause)
            world.git("reset", "-q", "--hard", seen)
            await world.look()
            await world.hears(Continue)

    async def test_a_deleted_branch_is_no_crash(self, world: World) -> None:
        async with world.landing():
            world.git("switch", "-q", "-c", "elsewhere")
            world.git("branch", "-D", "main")
            await world.look()
            await world.hears(Pause)
            assert "gone" in (await world.sync())["why"]


async def hang_until(done: asyncio.Event) -> None:
    await done.wait()
