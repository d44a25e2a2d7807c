"""`oya verify` on a real repository: what a lander did is as promised; what was tampered with is
noticed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from swarm_kit import World, issue, jsonl

from oya.daemon.desk import StoreDesk
from oya.daemon.rerun import prove
from oya.daemon.verify import read_history
from oya.daemon.verify_git import Reading
from oya.lifecycle.swarm import SwarmStatus, move
from oya.repository.git import GitRepository
from oya.store.engine import Delete, Put
from oya.swarm.assembly import JudgedTrees
from oya.verify import History, check

Tamper = Callable[[World], Awaitable[object] | object]


async def landed(world: World, *beads: str) -> None:
    """Beads land, their attempts have refs as workspaces leave them, and the swarm ends."""
    for bead in beads:
        head = await world.reviewed(bead, {f"{bead}.txt": "x\n"})
        for epoch in (1, 2):
            world.git("update-ref", f"refs/oya/attempts/{bead}/{epoch}", head)
    async with world.landing():
        for bead in beads:
            await world.until(bead, "landed/complete")
        await world.idle()
    for to in (SwarmStatus.STOPPING, SwarmStatus.STOPPED):
        await world.store.swarms.update(
            "swarm-1", lambda s, to=to: move(s, to), event=f"swarm_{to}"
        )


async def read(world: World, *, running: bool = False) -> History:
    desk = StoreDesk(world.store, world.repo.place, lambda: world.parts.limits)
    return await read_history(world.repo.place, desk, running=running)


async def broken(world: World, *, running: bool = False) -> set[str]:
    return {breach.promise for breach in check(await read(world, running=running))}


async def test_what_landed_is_as_promised(world: World) -> None:
    """The digests of trees are made here anew; those of the events were made by the gates."""
    await landed(world, "a", "b")
    found = await read(world)
    assert check(found) == []
    assert [commit.bead for commit in found.commits] == ["a", "b"]
    ran = {row["data"]["tree"] for row in found.events if row["event"] == "gate_ran"}
    assert {commit.judged for commit in found.commits} <= ran
    assert found.tracker is not None
    assert [row["status"] for row in found.tracker.values()] == ["closed", "closed"]


async def test_bases_of_contracts_are_known_by_their_trees_and_what_is_gone_is_left_out(
    world: World,
) -> None:
    base = world.line.base
    await landed(world, "a")
    expected = await JudgedTrees(world.repo).judged_tree(base)
    assert (await read(world)).judged == {base: expected}
    reading = Reading(GitRepository(world.repo.place))
    assert await reading.judged(["9" * 40, base]) == {base: expected}


async def test_and_where_git_does_not_track_the_backlog(untracked: World) -> None:
    await landed(untracked, "a", "b")
    assert await broken(untracked) == set()


def no_ref(world: World) -> None:
    world.git("update-ref", "-d", "refs/oya/attempts/a/1")


def no_commit(world: World) -> None:
    """The line goes back to before `b`."""
    world.git("update-ref", world.line.ref, f"{world.line.ref}~1")


def twice(world: World) -> None:
    """The commit of `a` once more, with oya's own note."""
    told = world.git("log", "-1", "--format=%B", str(world.state("a").commit))
    again = world.git("commit-tree", f"{world.line.ref}^{{tree}}", "-p", world.line.ref, "-m", told)
    world.git("update-ref", world.line.ref, again)
    world.git("notes", "--ref=oya", "add", "-m", "by hand", again)


def opened(world: World) -> None:
    """`a` is open in the tracker, and nobody says that they opened it."""
    world.commit({".beads/issues.jsonl": jsonl(issue("a"), issue("b"))})
    world.git("update-ref", world.line.ref, "main")


def left(world: World) -> None:
    world.git("update-ref", "refs/oya/base/a/1", "main")
    (world.repo.place.cache / "work" / "a.9").mkdir(parents=True)


async def no_event(world: World) -> None:
    """An event is cut out of the store."""
    await world.store._writer.engine.commit([Delete("events", f"{6:016d}")])


async def other_counts(world: World) -> None:
    await world.store.swarms.update("swarm-1", lambda s: replace(s, gate_runs=99), event=None)


async def an_intent(world: World) -> None:
    await world.store._writer.engine.commit([Put("intents", "z", {"beads": ["z"]})])


@pytest.mark.parametrize(
    ("tamper", "promises"),
    [
        (no_ref, {"attempts_are_kept"}),
        (no_commit, {"log_and_line_agree", "tracker_and_line_agree"}),
        (twice, {"log_and_line_agree", "each_bead_lands_once"}),
        (opened, {"tracker_and_line_agree"}),
        (left, {"nothing_is_left"}),
        (other_counts, {"counters_equal_events"}),
        (an_intent, {"nothing_is_left"}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
async def test_what_was_tampered_with_is_noticed(
    world: World, tamper: Tamper, promises: set[str]
) -> None:
    await landed(world, "a", "b")
    waiting = tamper(world)
    if waiting is not None:
        await waiting  # type: ignore[misc]
    assert await broken(world) == promises


async def test_an_event_that_is_gone_is_noticed(world: World) -> None:
    await landed(world, "a")
    await no_event(world)
    world.store.events._recent.clear()  # as in another process
    assert "log_has_no_gaps" in await broken(world)


async def test_what_retention_took_out_and_counted_is_not_missing(world: World) -> None:
    """The checkpoint as it stands in docs/semantics.md, "The store"."""
    await world.parts.gates.ci(world.line.base)  # of no landing
    await landed(world, "a")
    gone = next(r for r in await world.store.events.since(0) if r.event == "gate_ran")
    await world.store._writer.engine.commit([Delete("events", f"{gone.seq:016d}")])
    world.store.events._recent.clear()
    assert await broken(world) == {"log_has_no_gaps", "counters_equal_events"}
    counts = [["swarm-1", "gate_ran", None, 1]]
    await world.store.checkpoints.put("pruned", {"until": gone.seq, "counts": counts})
    assert await broken(world) == set()


async def test_work_that_no_ref_holds_is_noticed(world: World) -> None:
    await landed(world, "a")
    for epoch in (1, 2):  # the branch holds what landed, and not what the agent had made
        world.git("update-ref", f"refs/oya/attempts/a/{epoch}", "main~1")
    assert await broken(world) == {"named_work_is_held"}


async def test_commits_of_others_and_from_before_are_none_of_its_own(world: World) -> None:
    """What landed under an earlier state, a copy that somebody made, and a plain commit."""
    earlier = world.commit({"old.txt": "x\n"}, "Old\n\nBead: old\nSwarm: swarm-0")
    world.git("notes", "--ref=oya", "add", "-m", "{}", earlier)
    await world.line.refresh()
    await landed(world, "a")
    world.commit({"copy.txt": "x\n"}, "Copied\n\nBead: a\nSwarm: swarm-1")
    world.commit({"mine.txt": "x\n"}, "Mine")
    world.git("update-ref", world.line.ref, "main")
    assert await broken(world) == set()
    assert [commit.bead for commit in (await read(world)).commits] == ["a"]


async def test_while_a_swarm_runs_only_what_is_finished_is_looked_at(world: World) -> None:
    for bead in "ab":
        head = await world.reviewed(bead, {f"{bead}.txt": "x\n"})
        for epoch in (1, 2):
            world.git("update-ref", f"refs/oya/attempts/{bead}/{epoch}", head)
    seen: list[set[str]] = []

    async def look() -> None:
        seen.append(await broken(world, running=True))

    world.before_ci(look, times=2)
    async with world.landing():
        await world.until("b", "landed/complete")
    assert len(seen) == 2
    assert set().union(*seen) == set()


async def test_gates_run_again_say_which_commit_is_red(world: World) -> None:
    """By the configuration as it is now: a gate that is stricter than it was."""
    await landed(world, "a", "b")
    config = (world.folder.parent / "swarm.toml").read_text().replace("red.txt", "b.txt")
    (world.folder / ".oya").mkdir()
    (world.folder / ".oya/swarm.toml").write_text(config)
    before = world.store.events.last
    commits = (await read(world)).commits
    found = [proof async for proof in prove(world.repo.place, world.store, commits)]
    assert [(proof["bead"], proof["red"]) for proof in found] == [("a", []), ("b", ["ci"])]
    assert world.store.events.last == before
