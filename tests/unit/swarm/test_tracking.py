"""What people do to the tracker's file becomes events; what lands is closed there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from swarm_kit import PATH, World, issue, needs

from oya.errors import TrackerError
from oya.lifecycle import events as e
from oya.repository.follow import follow
from oya.store.engine import Put
from oya.swarm.conflicts import learn
from oya.swarm.resume import UNCLOSED
from oya.swarm.tracking import TrackerActor
from oya.testing.engine import SimulatedEngine
from oya.trackers.jsonl import JsonlFile
from repository_kit import write

NOTICED = ["Look here", "And there"]


def rows(data: bytes) -> list[dict[str, Any]]:
    return [json.loads(row) for row in data.splitlines()]


def offered(world: World, commit: str | None = None) -> list[dict[str, Any]]:
    """What oya has added to the tracker's file, in the worktree or a commit."""
    data = world.git("show", f"{commit}:{PATH}") if commit else (world.folder / PATH).read_text()
    found = [one for one in rows(data.encode()) if one.get("created_by") == "oya"]
    assert {one["status"] for one in found} <= {"deferred"}
    return found


async def test_open_beads_are_known_and_others_are_not(world: World) -> None:
    world.backlog(
        issue("a"),
        issue("b", status="closed"),
        issue("c", issue_type="epic"),
        issue("d", issue_type="ritual"),
        issue("e", defer_until="2999-01-01T00:00:00Z"),
    )
    await world.tracking.refresh()
    assert set(world.store.beads.all()) == {"a", "b"}, "b was open when it was first read"
    assert world.state("b").where == "contract/removed"


async def test_a_row_carries_the_title(world: World) -> None:
    row = world.store.beads.row("a")
    assert row is not None
    assert row["title"] == "Title of a"


async def test_nothing_new_is_no_event(world: World) -> None:
    before = world.store.events.last
    assert not await world.tracking.refresh()
    assert world.store.events.last == before


async def test_unknown_types_cycles_and_dangling_dependencies_are_warned_of(world: World) -> None:
    world.backlog(
        issue("a", dependencies=needs("b")),
        issue("b", dependencies=needs("a", "gone")),
        issue("c", issue_type="ritual"),
    )
    await world.tracking.refresh()
    assert await world.tracking.warnings() == [
        "dependency cycle: a → b → a",
        "b depends on gone, which is not in the backlog",
        "1 beads of type ritual are not claimed",
    ]


class TestWhatPeopleChange:
    """Each row of the table that begins in the tracker, in the middle of an attempt."""

    CHANGES = (
        ("closed", {"status": "closed"}, "contract/removed"),
        ("edited", {"description": "other words"}, "contract/pending"),
        ("deferred", {"defer_until": "2999-01-01T00:00:00Z"}, "contract/pending"),
        ("blocked by status", {"status": "blocked"}, "contract/pending"),
        ("given to people", {"issue_type": "ritual"}, "contract/pending"),
    )

    @pytest.mark.parametrize(("how", "fields", "where"), CHANGES, ids=[c[0] for c in CHANGES])
    async def test_the_attempt_ends(
        self, world: World, how: str, fields: dict[str, Any], where: str
    ) -> None:
        epoch = await world.claimed("a")
        cancelled: list[tuple[str, int]] = []
        world.tracking.on_cancel = lambda bead, epoch, why: cancelled.append((bead, epoch))
        world.backlog(issue("a", **fields), issue("b"))
        await world.tracking.refresh()
        assert cancelled == [("a", epoch)]
        assert world.state("a").where == where
        assert bool(world.state("a").blocked) == (how not in ("closed", "edited"))

    async def test_a_deferred_bead_is_free_again_when_it_is_not(self, world: World) -> None:
        world.backlog(issue("a", status="deferred"), issue("b"))
        await world.tracking.refresh()
        world.backlog(issue("a"), issue("b"))
        await world.tracking.refresh()
        assert not world.state("a").blocked

    async def test_opened_again_it_begins_anew(self, world: World) -> None:
        world.backlog(issue("a", status="closed"), issue("b"))
        await world.tracking.refresh()
        world.backlog(issue("a", title="Another title"), issue("b"))
        await world.tracking.refresh()
        assert world.state("a").where == "contract/pending"
        row = world.store.beads.row("a")
        assert row is not None
        assert row["title"] == "Another title"

    async def test_an_edit_that_changes_no_contract_is_no_event(self, world: World) -> None:
        epoch = await world.claimed("a")
        world.backlog(issue("a", priority=0, notes="look here"), issue("b"))
        assert not await world.tracking.refresh()
        assert world.state("a").epoch == epoch
        assert world.parts.board.bead("a").priority == 0

    async def test_a_deleted_bead_is_removed_at_the_second_look(self, world: World) -> None:
        world.backlog(issue("b"))
        await world.tracking.refresh()
        assert world.state("a").where == "contract/pending", "the file may be half written"
        await world.tracking.refresh()
        assert world.state("a").where == "contract/removed"

    async def test_a_file_that_was_half_written_for_a_moment_removes_nothing(
        self, world: World
    ) -> None:
        for beads in ((issue("b"),), (issue("a"), issue("b")), (issue("b"),)):
            world.backlog(*beads)
            await world.tracking.refresh()
        assert world.state("a").where == "contract/pending"

    async def test_a_bead_in_landing_is_left_to_the_lander(self, world: World) -> None:
        await world.reviewed("a", {"new.txt": "x\n"})
        await world.parts.apply("a", e.LandingStarted(world.line.base))
        world.backlog(issue("a", description="other words"), issue("b"))
        await world.tracking.refresh()
        assert world.state("a").where == "landing/in_progress"
        assert world.tracking.differs("a")
        assert not world.tracking.differs("b")


class TestDependencies:
    async def test_a_bead_waits_until_what_it_needs_has_landed(self, world: World) -> None:
        world.backlog(issue("a"), issue("b", dependencies=needs("a")))
        await world.tracking.refresh()
        assert "a" in world.state("b").blocked
        await world.reviewed("a", {"new.txt": "x\n"})
        async with world.landing():
            await world.until("a", "landed/complete")
            await world.wait(lambda: not world.state("b").blocked)

    async def test_a_held_bead_does_not_free_what_needs_it(self, world: World) -> None:
        await world.parts.apply("a", e.HeldByPerson("mine"))
        world.backlog(issue("a"), issue("b", dependencies=needs("a")))
        await world.tracking.refresh()
        assert world.state("b").blocked

    async def test_closing_by_hand_frees_what_needs_it(self, world: World) -> None:
        world.backlog(issue("a"), issue("b", dependencies=needs("a")))
        await world.tracking.refresh()
        world.backlog(issue("a", status="closed"), issue("b", dependencies=needs("a")))
        await world.tracking.refresh()
        assert not world.state("b").blocked

    async def test_opening_it_again_blocks_first_whoever_needs_it(self, world: World) -> None:
        """In between nobody may claim it."""
        world.backlog(issue("a", status="closed"), issue("b", dependencies=needs("a")))
        await world.tracking.refresh()
        since = world.store.events.last
        world.backlog(issue("a"), issue("b", dependencies=needs("a")))
        await world.tracking.refresh()
        happened = [(r.event, r.bead) for r in await world.store.events.since(since)]
        assert happened == [("blocked", "b"), ("reopened", "a")]

    async def test_what_is_itself_opened_again_is_opened_before_it_is_blocked(
        self, world: World
    ) -> None:
        both = issue("a", status="closed"), issue("b", status="closed", dependencies=needs("a"))
        world.backlog(*both)
        await world.tracking.refresh()
        world.backlog(issue("a"), issue("b", dependencies=needs("a")))
        await world.tracking.refresh()
        assert (world.state("a").where, world.state("b").where) == ("contract/pending",) * 2
        assert world.state("b").blocked

    async def test_even_while_the_file_cannot_be_read(self, world: World) -> None:
        world.backlog(issue("a"), issue("b", dependencies=needs("a")))
        await world.tracking.refresh()
        await world.reviewed("a", {"new.txt": "x\n"})
        (world.folder / PATH).write_text("{half")
        async with world.landing():
            await world.wait(lambda: not world.state("b").blocked)
        assert world.state("a").where == "landed/complete"


class TestTroubleWithTheFile:
    async def test_it_is_told_once_and_work_goes_on(self, world: World) -> None:
        (world.folder / PATH).write_text('{"id": "a"}\n{half')
        for _ in range(3):
            await world.tracking.refresh()
        (told,) = await world.said("warning")
        assert told is not None
        assert "line 2" in told
        assert world.state("a").where == "contract/pending"

    async def test_it_is_told_again_when_it_was_over_meanwhile(self, world: World) -> None:
        for text in ("{half", json.dumps(issue("a")), "{half"):
            (world.folder / PATH).write_text(text)
            await world.tracking.refresh()
        assert len(await world.said("warning")) == 2

    async def test_at_the_start_it_is_an_error(self, own_git: None, tmp_path: Path) -> None:
        async with World.at(tmp_path) as world:
            (world.folder / PATH).write_text("{half")
            world.new_daemon()
            with pytest.raises(TrackerError, match="line 1"):
                await world.tracking.refresh()

    async def test_a_committed_file_that_is_no_text_is_trouble_too(self, world: World) -> None:
        (world.folder / PATH).write_bytes(b"\xff\xfe")
        world.git("commit", "-q", "-am", "broken")
        world.git("checkout", "-q", "HEAD~1", "--", PATH)
        await world.line.refresh()
        await world.tracking.refresh()
        (told,) = await world.said("warning")
        assert "no UTF-8" in str(told)


class TestWhereGitTracksTheFile:
    async def test_the_landed_commit_closes_the_bead(self, world: World) -> None:
        await world.reviewed("a", {"new.txt": "x\n"})
        async with world.landing():
            await world.until("a", "landed/complete")
            await world.wait(lambda: (world.folder / "new.txt").exists())
        assert world.issue("a", "main") == world.issue("a")
        assert (world.issue("a") or {})["status"] == "closed"
        assert (world.issue("b") or {})["status"] == "open"
        assert world.git("status", "--porcelain") == ""

    async def test_a_bead_that_is_not_committed_yet_lands_closed(self, world: World) -> None:
        world.backlog(issue("a"), issue("b"), issue("new"))
        await world.tracking.refresh()
        await world.reviewed("new", {"new.txt": "x\n"})
        async with world.landing():
            await world.until("new", "landed/complete")
            await world.wait(lambda: (world.issue("new") or {})["status"] == "closed")
        assert world.git("status", "--porcelain") == "", "the checkout has followed"
        assert (world.issue("new", world.line.ref) or {})["status"] == "closed"
        assert (world.issue("a", world.line.ref) or {})["status"] == "open"
        await world.tracking.refresh()
        assert world.state("new").where == "landed/complete"
        assert world.parts.board.bead("new").closed, "a closing wins"

    async def test_what_agents_noticed_is_offered_in_the_landed_commit(self, world: World) -> None:
        await world.reviewed("a", {"new.txt": "x\n"}, noticed=NOTICED)
        async with world.landing():
            state = await world.until("a", "landed/complete")
            await world.wait(lambda: (world.folder / "new.txt").exists())
        assert [one["id"] for one in offered(world, state.commit)] == ["a.d1", "a.d2"]
        assert [one["title"] for one in offered(world)] == ["Look here", "And there"]
        await world.tracking.refresh()
        assert set(world.store.beads.all()) == {"a", "b"}, "nobody has opened them"
        text = (world.folder / PATH).read_text()
        write(world.folder, {PATH: text.replace('"deferred"', '"open"', 1)})
        await world.tracking.refresh()
        assert world.state("a.d1").where == "contract/pending"
        assert not world.state("a.d1").blocked

    async def test_a_commit_that_is_made_anew_offers_the_same(self, world: World) -> None:
        await world.reviewed("a", {"new.txt": "x\n"}, noticed=NOTICED)
        first = await world.tracking.closing("a", world.line.base)
        world.new_daemon()
        await world.tracking.refresh()
        again = await world.tracking.closing("a", world.line.base)
        assert first
        assert again
        ids = [[one["id"] for one in rows(data[PATH])] for data in (first, again)]
        assert ids == [["a", "b", "a.d1", "a.d2"]] * 2
        base = await world.repo.commit_tree(
            await world.repo.write_tree(world.line.base, first), [world.line.base], "landed"
        )
        assert await world.tracking.closing("a", base) == first

    async def test_while_the_checkout_lags_its_edits_are_seen_on_top_of_the_line(
        self, world: World
    ) -> None:
        write(world.folder, {"a.txt": "in the way\n"})
        world.backlog(issue("a"), issue("b", title="Edited"), issue("new"))
        await world.tracking.refresh()
        await world.reviewed("a", {"new.txt": "x\n"})
        async with world.landing():
            await world.until("a", "landed/complete")
        await world.tracking.refresh()
        assert world.parts.board.bead("a").closed
        assert world.parts.board.bead("b").title == "Edited"
        assert "new" in world.parts.board.beads

    async def test_while_a_checkout_follows_what_landed_is_not_taken_back(
        self, world: World
    ) -> None:
        """For a moment HEAD has moved, and the file is as the user left it."""
        write(world.folder, {"a.txt": "in the way\n"})
        world.backlog(issue("a"), issue("b", title="Edited"))
        await world.reviewed("a", {"new.txt": "x\n"})
        async with world.landing():
            await world.until("a", "landed/complete")
        world.git("checkout", "-q", "a.txt")
        seen = []

        class Slow(JsonlFile):
            async def rewrite(self, root: Path, change: Callable[[bytes], bytes]) -> None:
                await world.tracking.refresh()
                seen.append(world.parts.board.bead("a").closed)
                await super().rewrite(root, change)

        assert world.line.tip is not None
        assert (await follow(world.repo, "main", world.line.tip, file=Slow())).moved
        assert seen == [True]
        await world.line.refresh()
        await world.tracking.refresh()
        assert world.parts.board.bead("a").closed
        assert world.parts.board.bead("b").title == "Edited"

    async def test_a_bead_committed_on_a_branch_that_lags_stays(self, world: World) -> None:
        write(world.folder, {"a.txt": "in the way\n"})
        world.backlog(issue("a"), issue("b"), issue("new"))
        await world.tracking.refresh()
        await world.claimed("new")
        await world.reviewed("a", {"new.txt": "x\n"})
        async with world.landing():
            await world.until("a", "landed/complete")
        world.git("commit", "-q", "-am", "one more bead")
        for _ in range(3):
            await world.line.refresh()
            await world.tracking.refresh()
        assert world.line.diverged
        assert world.state("new").where == "contract/in_progress"


class TestWhereGitDoesNotTrackIt:
    async def test_the_working_file_is_rewritten_after_landing(self, untracked: World) -> None:
        await untracked.reviewed("a", {"new.txt": "x\n"})
        async with untracked.landing():
            await untracked.wait(lambda: (untracked.issue("a") or {})["status"] == "closed")
        assert (untracked.issue("a") or {})["close_reason"].startswith("landed as ")
        assert PATH not in untracked.git("ls-tree", "-r", "--name-only", "main")

    async def test_it_is_tried_again_until_it_works_and_told_once(self, untracked: World) -> None:
        file = untracked.folder / PATH
        await untracked.reviewed("a", {"new.txt": "x\n"})
        text = file.read_text()
        file.write_text("{half")
        async with untracked.landing():
            await untracked.until("a", "landed/complete")
        for _ in range(3):
            await untracked.tracking.refresh()
        file.write_text(text)
        await untracked.tracking.refresh()
        assert (untracked.issue("a") or {})["status"] == "closed"
        told = [why for why in await untracked.said("warning") if why]
        assert len(told) == len(set(told))

    async def test_a_daemon_that_died_before_it_is_made_good(self, untracked: World) -> None:
        """`landed` is in the store, and the daemon dies before it closes."""
        key = f"{UNCLOSED}a"
        await untracked.reviewed("a", {"new.txt": "x\n"})
        await untracked.parts.apply("a", e.LandingStarted(untracked.line.base))
        await untracked.parts.apply(
            "a", e.Landed("c" * 40), also=(Put("checkpoints", key, {"commit": "c" * 40}),)
        )
        untracked.new_daemon()
        await untracked.tracking.refresh()
        assert (untracked.issue("a") or {})["status"] == "closed"
        assert await untracked.store.checkpoints.get(key) is None

    async def test_what_is_kept_of_other_beads_is_not_read_for_it(
        self, untracked: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Nor where the lander takes up what was left after an outage."""
        read: list[str] = []
        scan = SimulatedEngine.scan

        async def watched(engine: SimulatedEngine, table: str, **how: Any) -> AsyncIterator[Any]:
            async for key, row in scan(engine, table, **how):
                read.extend([key] if table == "checkpoints" else [])
                yield key, row

        for number in range(50):
            for kind in ("looked", "survived"):
                await untracked.store.checkpoints.put(f"{kind}:{number}", {})
        await untracked.reviewed("a", {"new.txt": "x\n"})
        await untracked.store.checkpoints.put("conflict:b", {"ours": "x", "theirs": "y"})
        monkeypatch.setattr(SimulatedEngine, "scan", watched)
        await learn(untracked.parts)
        async with untracked.landing():
            await untracked.wait(lambda: (untracked.issue("a") or {})["status"] == "closed")
        assert {*read} == {"conflict:b", f"{UNCLOSED}a"}  # some of them twice on a busy machine

    async def test_what_agents_noticed_is_offered_with_the_closing(self, untracked: World) -> None:
        await untracked.reviewed("a", {"new.txt": "x\n"}, noticed=NOTICED)
        async with untracked.landing():
            await untracked.wait(lambda: (untracked.issue("a") or {})["status"] == "closed")
        assert [one["title"] for one in offered(untracked)] == ["Look here", "And there"]
        await untracked.store.checkpoints.put(f"{UNCLOSED}a", {"commit": "c" * 40})
        untracked.new_daemon()
        await untracked.tracking.refresh()
        assert len(offered(untracked)) == 2

    async def test_a_person_may_open_again_what_has_landed(self, untracked: World) -> None:
        await untracked.reviewed("a", {"new.txt": "x\n"})
        async with untracked.landing():
            await untracked.wait(lambda: (untracked.issue("a") or {})["status"] == "closed")
        untracked.backlog(issue("a"), issue("b"))
        for _ in range(2):
            await untracked.tracking.refresh()
        assert (untracked.issue("a") or {})["status"] == "open"
        assert untracked.state("a").where == "landed/complete"

    async def test_a_bead_deleted_meanwhile_needs_no_closing(self, untracked: World) -> None:
        await untracked.reviewed("a", {"new.txt": "x\n"})
        untracked.before_ci(lambda: untracked.backlog(issue("b")))
        async with untracked.landing():
            await untracked.until("a", "landed/complete")
        await untracked.tracking.refresh()
        assert await untracked.store.checkpoints.get(f"{UNCLOSED}a") is None


async def test_a_large_backlog_comes_in_few_commits_and_lets_others_run(
    world: World,
) -> None:
    world.backlog(*(issue(f"n-{n}", dependencies=needs(f"n-{n // 2}")) for n in range(1, 700)))
    before, turns = world.disk.commits, 0

    async def watch() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    watching = asyncio.create_task(watch())
    await world.tracking.refresh()
    watching.cancel()
    assert len(world.store.beads.all()) == 701
    assert world.disk.commits - before < 20
    assert turns > world.disk.commits - before, "others get turns, not only between commits"


async def test_the_actor_wakes_the_orchestrator_and_outlives_an_outage(world: World) -> None:
    from swarm_kit import NEVER, Inbox

    from oya.actors import Supervisor
    from oya.swarm.messages import ReadTracker, Wake

    async with Supervisor(clock=world.clock, restart=NEVER, name="test") as root:
        orchestrator = await root.spawn(lambda: Inbox(world.told), name="orchestrator")
        tracker = await root.spawn(lambda: TrackerActor(world.tracking, orchestrator), name="t")
        world.disk.refusals.extend([True] * 20)
        world.backlog(issue("a"), issue("b"), issue("c"))
        await tracker.tell(ReadTracker())
        await world.wait(lambda: world.told == [Wake()])
    assert world.state("c").where == "contract/pending"
