"""What a swarm lets go after the time of `[store] retention`."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path

from swarm_kit import World, issue, jsonl

from folders_kit import nest
from oya.clock import SystemClock
from oya.daemon.logs import prune_logs
from oya.lifecycle import events as e
from oya.swarm.retention import AT_END, prune_old
from repository_kit import write


class Later(SystemClock):
    """A clock that is so many days ahead, for whoever asks after the setting up."""

    days = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(days=self.days)


async def attempt(world: World, bead: str, epoch: int) -> str:
    ref = world.parts.workspaces.attempt_ref(bead, epoch)
    await world.repo.set_ref(ref, await world.made(world.line.base, {"x": f"{bead}{epoch}"}))
    return ref


async def test_refs_of_attempts_go_when_their_bead_is_long_over(world: World) -> None:
    write(world.folder, {".beads/issues.jsonl": jsonl(*(issue(b) for b in "abcd"))})
    await world.tracking.refresh()
    refs = {bead: [await attempt(world, bead, n) for n in (1, 2)] for bead in "abcd"}
    await world.parts.apply("b", e.Removed("closed in the tracker"))
    await world.parts.apply("c", e.Removed("deleted in the tracker"))
    clock = Later()
    world.parts.clock = clock

    clock.days = 29
    await prune_old(world.parts, AT_END)
    assert len(await world.repo.list_refs("refs/oya/attempts")) == 8
    clock.days = 31
    await prune_old(world.parts, (9, 1))
    assert refs["b"][0] not in await world.repo.list_refs("refs/oya/attempts")
    assert refs["b"][1] in await world.repo.list_refs("refs/oya/attempts"), "at most one"
    await prune_old(world.parts, AT_END)
    left = await world.repo.list_refs("refs/oya/attempts")
    assert sorted(left) == sorted(refs["a"] + refs["c"] + refs["d"])


async def test_what_was_kept_to_work_on_a_bead_goes_when_it_is_long_over(world: World) -> None:
    await world.parts.apply("b", e.Removed("closed in the tracker"))
    for bead in "ab":
        for kind in ("looked", "survived", "conflict"):
            await world.store.checkpoints.put(f"{kind}:{bead}", {})
    clock = Later()
    world.parts.clock = clock
    for days, left in ((29, {*"ab"}), (31, {"a"})):
        clock.days = days
        await prune_old(world.parts, AT_END)
        keys = [key for key, _ in await world.store.checkpoints.all() if key != "pruned"]
        assert {key.partition(":")[2] for key in keys} == left
        assert len(keys) == 3 * len(left)


async def test_a_store_that_cannot_be_read_now_is_left_for_the_next_time(world: World) -> None:
    clock = Later()
    world.parts.clock = clock
    clock.days = 31
    await world.store.close()
    await prune_old(world.parts, AT_END)


def test_logs_go_by_their_age(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "gates/old.log": "",
            "gates/new.log": "",
            "attempts/a-1/old.log": "",
            "attempts/a-2/old.log": "",
            "attempts/a-2/new.log": "",
            "daemon.log": "",
        },
    )
    for path in tmp_path.rglob("*"):
        if path.name not in ("new.log", "a-2"):
            os.utime(path, (1000, 1000))
    assert prune_logs(tmp_path, 2000.0) == 2
    left = sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file())
    assert left == ["attempts/a-2/new.log", "attempts/a-2/old.log", "daemon.log", "gates/new.log"]
    assert prune_logs(tmp_path / "none", 2000.0) == 0


def test_logs_with_folders_in_folders_without_an_end_go_too(tmp_path: Path) -> None:
    write(tmp_path, {"attempts/a-1/old.log": ""})
    nest(tmp_path / "attempts/a-1")
    for path in (*(tmp_path / "attempts/a-1").iterdir(), tmp_path / "attempts/a-1"):
        os.utime(path, (1000, 1000))
    assert prune_logs(tmp_path, 2000.0) == 1
    assert list((tmp_path / "attempts").iterdir()) == []
