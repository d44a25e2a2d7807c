"""What a new daemon does about the one before it: each test is one moment of its death."""

from __future__ import annotations

from pathlib import Path

import pytest
from swarm_kit import World, contract

from oya.errors import ProcessError, RefusedError
from oya.lifecycle import events as e
from oya.lifecycle.model import BeadState
from oya.lifecycle.swarm import SwarmState
from oya.processes.real import GuardedProcesses
from oya.repository.port import Merged
from oya.store.engine import Put
from oya.swarm.candidate import Candidate, build_candidate, candidate_ref, intent_of
from oya.swarm.resume import recover


@pytest.fixture
async def intended(world: World) -> Candidate:
    """Bead a in landing with a durable intent; the line has not moved yet."""
    head = await world.reviewed("a", {"new.txt": "x\n"})
    base = world.line.base
    state = (await world.parts.apply("a", e.LandingStarted(base))).state
    merged = Merged(await world.repo.tree_of(head))
    closing = await world.tracking.closing("a", base)
    made = await build_candidate(world.parts, state, contract("a", base), base, merged, closing)
    await world.repo.set_ref(candidate_ref("a"), made.commit)
    await world.store.intents.put("a", intent_of([("a", made)], made.commit, "swarm-1", world.line))
    return made


async def settled(world: World) -> BeadState:
    """After recovery, twice: it must be safe to die in."""
    await recover(world.parts)
    first = world.state("a")
    await recover(world.parts)
    assert world.state("a") == first
    assert await world.store.intents.all() == []
    assert world.git("for-each-ref", "refs/oya/candidates", "refs/oya/base") == ""
    return first


async def test_before_the_line_moved_the_intent_is_dropped(
    world: World, intended: Candidate
) -> None:
    assert (await settled(world)).where == "landing/pending"
    assert world.landings() == 0


async def test_after_the_line_moved_it_is_completed_once(world: World, intended: Candidate) -> None:
    assert await world.line.advance(intended.commit)
    state = await settled(world)
    assert (state.where, state.commit) == ("landed/complete", intended.commit)
    assert world.landings() == 1


async def test_a_line_that_has_moved_on_past_the_candidate_counts_too(
    world: World, intended: Candidate
) -> None:
    await world.line.advance(intended.commit)
    await world.line.advance(await world.made(intended.commit, {"more.txt": "x\n"}))
    assert (await settled(world)).commit == intended.commit


async def test_the_line_of_the_intent_decides_not_the_one_of_today(
    world: World, intended: Candidate
) -> None:
    """The daemon before landed on main; this one was told to land on another branch."""
    await world.line.advance(intended.commit)
    world.git("branch", "release")
    world.parts.branch = "release"
    assert (await settled(world)).where == "landed/complete"


async def test_the_landing_counts_for_the_swarm_that_intended_it(
    world: World, intended: Candidate
) -> None:
    await world.line.advance(intended.commit)
    await world.store.swarms.put(SwarmState("swarm-2"), event="swarm_starting")
    world.parts.swarm = "swarm-2"
    await settled(world)
    assert (world.landings(), world.landings("swarm-2")) == (1, 0)


async def test_a_candidate_that_is_gone_has_not_landed(world: World, intended: Candidate) -> None:
    row = {
        **intent_of([("a", intended)], intended.commit, "swarm-1", world.line),
        "candidate": "1" * 40,
    }
    await world.store.intents.put("a", row)
    assert (await settled(world)).where == "landing/pending"


async def test_after_landed_nothing_is_done_again(world: World, intended: Candidate) -> None:
    await world.line.advance(intended.commit)
    await recover(world.parts)
    events = world.store.events.last
    await recover(world.parts)
    assert world.store.events.last == events


async def test_where_the_file_is_not_tracked_the_closing_is_still_owed(
    untracked: World,
) -> None:
    head = await untracked.reviewed("a", {"new.txt": "x\n"})
    base = untracked.line.base
    state = (await untracked.parts.apply("a", e.LandingStarted(base))).state
    made = await build_candidate(
        untracked.parts,
        state,
        contract("a", base),
        base,
        Merged(await untracked.repo.tree_of(head)),
        await untracked.tracking.closing("a", base),
    )
    await untracked.store.intents.put(
        "a", intent_of([("a", made)], made.commit, "swarm-1", untracked.line)
    )
    await untracked.line.advance(made.commit)
    untracked.new_daemon()
    await settled(untracked)
    await untracked.tracking.refresh()
    assert (untracked.issue("a") or {})["status"] == "closed"


class StillWriting(GuardedProcesses):
    """What an earlier daemon left writes until it is ended."""

    def __init__(self, path: Path) -> None:
        super().__init__("test-resume")
        self._path = path

    async def end_orphans(self) -> list[int]:
        if self._path.exists():
            return []
        self._path.write_text("words")
        return [17, 18]


class Unending(GuardedProcesses):
    async def end_orphans(self) -> list[int]:
        raise ProcessError("processes [17] could not be ended")


class TestAttempts:
    """Claims of the daemon before; its folders are found by another `Workspaces`."""

    @pytest.fixture
    async def epoch(self, world: World) -> int:
        return await world.claimed("a")

    async def died(self, world: World) -> None:
        world.new_daemon()
        await recover(world.parts)

    async def test_a_claim_without_a_folder_is_pending_again(
        self, world: World, epoch: int
    ) -> None:
        await self.died(world)
        state = world.state("a")
        assert (state.where, state.retry_count) == ("contract/pending", 0)
        assert (state.epoch, state.snapshot) == (epoch, None)

    async def test_uncommitted_files_are_the_next_attempts_snapshot(
        self, world: World, epoch: int
    ) -> None:
        made = await world.parts.workspaces.create("a", epoch, start=world.line.base)
        (made.path / "half.txt").write_text("done")
        await self.died(world)
        snapshot = world.state("a").snapshot
        assert snapshot == world.git("rev-parse", f"refs/oya/attempts/a/{epoch}")
        assert world.git("show", f"{snapshot}:half.txt") == "done"
        assert not made.path.exists()
        assert world.git("for-each-ref", "refs/oya/base") == ""

    async def test_what_still_runs_in_a_folder_is_ended_before_it_is_looked_at(
        self, world: World, epoch: int
    ) -> None:
        made = await world.parts.workspaces.create("a", epoch, start=world.line.base)
        world.parts.processes = StillWriting(made.path / "last.txt")
        await self.died(world)
        snapshot = world.git("rev-parse", f"refs/oya/attempts/a/{epoch}")
        assert world.git("show", f"{snapshot}:last.txt") == "words"
        warnings = [r for r in world.store.events.recent(0) if r.event == "warning"]
        assert [row.reason for row in warnings] == [
            "ended what the daemon before had left running: 17, 18"
        ]

    async def test_where_it_cannot_be_ended_nothing_is_touched(
        self, world: World, epoch: int
    ) -> None:
        made = await world.parts.workspaces.create("a", epoch, start=world.line.base)
        world.parts.processes = Unending("-")
        with pytest.raises(ProcessError):
            await self.died(world)
        assert made.path.is_dir()
        assert world.state("a").where == "contract/in_progress"

    async def test_a_folder_in_which_nothing_was_done_is_no_snapshot(
        self, world: World, epoch: int
    ) -> None:
        await world.parts.workspaces.create("a", epoch, start=world.line.base)
        await self.died(world)
        assert world.state("a").snapshot is None

    async def test_a_result_that_was_recorded_stays(self, world: World, epoch: int) -> None:
        """It died after the event and before the folder went."""
        made = await world.parts.workspaces.create("a", epoch, start=world.line.base)
        (made.path / "test.txt").write_text("x")
        head = await world.parts.workspaces.commit(made, "work")
        accepted = contract("a", head.commit)
        await world.parts.apply(
            "a",
            e.ContractAccepted(epoch, head.commit, world.line.base, "check"),
            also=(Put("contracts", "a", accepted.to_json()),),
        )
        await self.died(world)
        state = world.state("a")
        assert (state.where, state.contract) == ("implementation/pending", head.commit)
        assert not made.path.exists()

    async def test_the_claim_of_before_is_refused(self, world: World, epoch: int) -> None:
        await self.died(world)
        with pytest.raises(RefusedError):
            await world.parts.apply("a", e.ContractAccepted(epoch, "c", "b", "check"))


async def test_a_base_ref_that_nobody_needs_goes_and_attempts_stay(world: World) -> None:
    for ref in ("refs/oya/base/a/7", "refs/oya/attempts/a/7"):
        world.git("update-ref", ref, world.line.base)
    await recover(world.parts)
    kept = world.git("for-each-ref", "--format=%(refname)", "refs/oya/base", "refs/oya/attempts")
    assert kept == "refs/oya/attempts/a/7"


async def test_landing_without_an_intent_goes_back_to_the_queue(world: World) -> None:
    await world.reviewed("a", {"new.txt": "x\n"})
    await world.parts.apply("a", e.LandingStarted(world.line.base))
    state = await settled(world)
    assert (state.where, state.rebases) == ("landing/pending", 0)


async def test_what_waits_for_a_person_still_does(world: World) -> None:
    await world.parts.apply("a", e.HeldByPerson("mine"))
    assert (await settled(world)).where == "contract/held"


async def test_all_the_way_a_second_daemon_lands_what_the_first_was_landing(
    own_git: None, tmp_path: Path
) -> None:
    async with World.at(tmp_path) as world:
        await world.reviewed("a", {"new.txt": "x\n"})
        await world.parts.apply("a", e.LandingStarted(world.line.base))
        await recover(world.parts)
        async with world.landing():
            await world.until("a", "landed/complete")
        assert world.landings() == 1
