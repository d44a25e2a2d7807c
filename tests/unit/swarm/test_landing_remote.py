"""The queue of a remote's branch: nothing has landed before the remote says so, and then once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from swarm_kit import World

from oya.lifecycle import events as e
from oya.lifecycle.model import Hold
from oya.repository.port import Pushed
from oya.swarm.landing import LATER_LIMIT
from oya.swarm.line import Line
from oya.swarm.tracking import Tracking
from repository_kit import git


@pytest.fixture
async def world(own_git: None, tmp_path: Path) -> AsyncIterator[World]:
    async with World.at(tmp_path, remote=True) as made:
        yield made


Push = Callable[..., Awaitable[Pushed]]


def instead(world: World, what: Callable[[Push], Awaitable[Pushed]]) -> list[str]:
    """The first push is another one; the commits that were pushed, by any."""
    push, pushed = world.repo.push, list[str]()

    async def wrapped(remote: str, commit: str, branch: str, expect: str | None) -> Pushed:
        pushed.append(commit)

        async def real() -> Pushed:
            return await push(remote, commit, branch, expect)

        return await (what(real) if len(pushed) == 1 else real())

    world.repo.push = wrapped  # type: ignore[method-assign]
    return pushed


async def soon(world: World) -> None:
    """Whatever is tried again later is tried now."""
    world.clock.ahead += LATER_LIMIT
    await world.look()


def carrying(world: World, bead: str) -> int:
    """How many commits over there name the bead."""
    return (
        git(world.elsewhere.folder, "log", "--format=%s", "main")
        .split("\n")
        .count(f"Title of {bead}")
    )


async def test_it_has_landed_when_the_remote_has_it(world: World) -> None:
    await world.reviewed("a", {"new.txt": "x\n"})
    async with world.landing():
        state = await world.until("a", "landed/complete")
        await world.wait(lambda: world.git("rev-parse", "main") == state.commit)
    assert world.elsewhere.tip() == state.commit
    assert (world.folder / "new.txt").exists()
    assert await world.store.intents.all() == []


async def test_what_others_push_while_the_gates_run_is_built_upon(world: World) -> None:
    theirs: list[str] = []
    await world.reviewed("a", {"new.txt": "x\n"})
    world.before_ci(lambda: theirs.append(world.elsewhere.commit({"theirs.txt": "1"})))
    async with world.landing():
        state = await world.until("a", "landed/complete")
    assert [world.git("rev-parse", f"{state.commit}~1")] == theirs
    assert (state.rebases, state.retry_count) == (0, 0)


async def test_what_somebody_reverts_over_there_is_undone(world: World) -> None:
    await world.reviewed("a", {"new.txt": "x\n"})
    async with world.landing():
        state = await world.until("a", "landed/complete")
        world.elsewhere.commit({"new.txt": ""}, message=f"This reverts commit {state.commit}.")
        await world.sync()
        assert world.state("a").hold is Hold.UNDONE


class TestARemoteThatRefuses:
    async def test_nothing_has_landed_and_it_is_tried_again(self, world: World) -> None:
        world.elsewhere.refuse("main is protected")
        await world.reviewed("a", {"new.txt": "x\n"})
        before = world.elsewhere.tip()
        async with world.landing():
            for _ in range(2):
                await world.wait(lambda: "main is protected" in world.line.trouble)
                await world.until("a", "landing/pending")
                await soon(world)
            assert (world.elsewhere.tip(), world.line.tip) == (before, before)
            world.elsewhere.refuse("")
            await soon(world)
            state = await world.until("a", "landed/complete")
        assert (state.retry_count, state.rebases, world.landings()) == (0, 0, 1)
        assert world.line.trouble == ""
        ran = [r for r in await world.store.events.since(0) if r.event == "gate_ran"]
        assert len({r.data["key"] for r in ran}) == len(ran), "no gate ran twice on a tree"

    async def test_what_it_refuses_is_free_for_a_person(self, world: World) -> None:
        world.elsewhere.refuse("no")
        await world.reviewed("a", {"new.txt": "x\n"})
        async with world.landing():
            await world.until("a", "landing/in_progress")
            await world.until("a", "landing/pending")
            await world.parts.apply("a", e.HeldByPerson("let it be"))
        assert world.state("a").hold is Hold.PERSON
        assert await world.store.intents.all() == []


class TestAPushThatNobodyKnowsOf:
    async def lost(self, world: World) -> list[str]:
        """A push that gets nowhere."""

        async def nowhere(push: Any) -> Pushed:
            world.elsewhere.vanish()
            return await push()  # type: ignore[no-any-return]

        return instead(world, nowhere)

    async def arrived(self, world: World) -> list[str]:
        """A push whose answer gets nowhere."""

        async def unheard(push: Any) -> Pushed:
            pushed: Pushed = await push()
            world.elsewhere.vanish()
            return pushed

        return instead(world, unheard)

    async def open(self, world: World) -> None:
        await world.wait(lambda: world.line.unreachable and world.lander)
        await world.idle()
        assert world.state("a").where == "landing/in_progress"
        assert len(await world.store.intents.all()) == 1

    async def test_that_has_arrived_has_landed_once(self, world: World) -> None:
        pushed = await self.arrived(world)
        await world.reviewed("a", {"new.txt": "x\n"})
        async with world.landing():
            await self.open(world)
            world.elsewhere.come_back()
            await soon(world)
            state = await world.until("a", "landed/complete")
        assert pushed == [state.commit] == [world.elsewhere.tip()]
        assert (world.landings(), carrying(world, "a")) == (1, 1)

    async def test_that_was_lost_is_pushed_again_and_nothing_else_before(
        self, world: World
    ) -> None:
        pushed = await self.lost(world)
        await world.reviewed("a", {"new.txt": "x\n"})
        async with world.landing():
            await self.open(world)
            await world.reviewed("b", {"b.txt": "x\n"})
            await soon(world)
            await world.idle()
            assert world.state("b").where == "landing/pending", "it waits for the open one"
            world.elsewhere.come_back()
            await soon(world)
            state = await world.until("a", "landed/complete")
            await soon(world)
            last = await world.until("b", "landed/complete")
        assert set(pushed[:-1]) == {state.commit}
        assert pushed[-1] == last.commit == world.elsewhere.tip()
        assert (world.landings(), carrying(world, "a")) == (2, 1)

    async def test_that_was_overtaken_is_stacked_anew(self, world: World) -> None:
        pushed = await self.lost(world)
        await world.reviewed("a", {"new.txt": "x\n"})
        async with world.landing():
            await self.open(world)
            world.elsewhere.come_back()
            theirs = world.elsewhere.commit({"theirs.txt": "1"})
            await soon(world)
            state = await world.until("a", "landed/complete")
        assert world.git("rev-parse", f"{state.commit}~1") == theirs
        assert pushed[0] != state.commit
        assert (state.rebases, world.landings(), carrying(world, "a")) == (0, 1, 1)

    async def test_keeps_a_suspect_that_was_flaky_from_landing_before_it(
        self, own_git: None, tmp_path: Path
    ) -> None:
        ran, again = tmp_path / "ran", asyncio.Event()
        # Flaky is `a` alone: `b` on top of it waits for that, and is green then.
        both = f"test -e b.txt && while ! test -e {ran}; do sleep 0.02; done"
        ci = f"test ! -e flaky.txt || {{ {both}; }} || test -e {ran} || ! touch {ran}"
        async with World.at(tmp_path, ci=ci, remote=True) as world:
            judge = world.parts.gates.ci

            async def held(commit: str, **how: Any) -> Any:
                await (again.wait() if how.get("fresh") else asyncio.sleep(0))
                return await judge(commit, **how)

            world.parts.gates.ci = held  # type: ignore[method-assign]
            pushed = await self.lost(world)
            await world.reviewed("a", {"flaky.txt": "x\n"})
            await world.reviewed("b", {"b.txt": "x\n"})
            async with world.landing():
                await world.wait(lambda: world.line.unreachable)
                world.elsewhere.come_back()
                again.set()
                await world.wait(lambda: world.state("a").where != "landing/in_progress")
                await soon(world)
                first = await world.until("b", "landed/complete")
                last = await world.until("a", "landed/complete")
        assert pushed == [first.commit, first.commit, last.commit]

    async def test_stays_open_at_a_stop_and_the_next_lander_finishes_it(self, world: World) -> None:
        await self.lost(world)
        await world.reviewed("a", {"new.txt": "x\n"})
        async with world.landing():
            await self.open(world)
        assert world.state("a").where == "landing/in_progress"
        assert len(await world.store.intents.all()) == 1
        world.elsewhere.come_back()
        async with world.landing():
            await world.until("a", "landed/complete")
        assert (world.landings(), carrying(world, "a")) == (1, 1)

    async def test_says_what_to_do_where_its_remote_has_another_name_now(
        self, world: World
    ) -> None:
        await self.lost(world)
        await world.reviewed("a", {"new.txt": "x\n"})
        async with world.landing():
            await self.open(world)
        world.elsewhere.come_back()
        world.git("remote", "rename", "origin", "there")
        there = world.line
        world.line = Line(world.repo, "main", world.parts.follow, remote="there")
        await world.line.refresh()
        world.tracking = Tracking(world.parts, world.line)
        async with world.landing():
            await world.wait(lambda: world.line.owed)
            assert world.line.trouble == (
                "a push to origin/main may still arrive, and is looked for first; "
                "there is no remote origin; git remote add origin URL"
            )
            world.git("remote", "add", "origin", world.git("remote", "get-url", "there"))
            await soon(world)
            await world.wait(lambda: '[landing] remote = "origin"' in world.line.trouble)
        world.line = there
        world.tracking = Tracking(world.parts, world.line)
        async with world.landing():
            await world.until("a", "landed/complete")
            await world.wait(lambda: not world.line.trouble)


async def test_a_stop_does_not_wait_for_a_push_that_hangs(world: World) -> None:
    begun = asyncio.Event()

    async def hangs(push: Any) -> Pushed:
        begun.set()
        await asyncio.Event().wait()
        return await push()  # type: ignore[no-any-return]

    instead(world, hangs)
    await world.reviewed("a", {"new.txt": "x\n"})
    async with world.landing():
        await begun.wait()
        assert world.lander is not None
        async with asyncio.timeout(10):  # long before it would be killed
            await world.lander.stop(timeout=60)
    assert world.state("a").where == "landing/in_progress"
    async with world.landing():
        await world.until("a", "landed/complete")
    assert world.landings() == 1
