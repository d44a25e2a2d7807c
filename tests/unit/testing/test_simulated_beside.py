"""What only the simulated one can do: lose power, be full, be dead; and a store over it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from oya.clock import LoopClock
from oya.errors import StoreDamaged, StoreUnavailable
from oya.store import Store
from oya.store.beside import Position
from oya.store.engine import Put
from oya.testing.beside import SimulatedBeside
from oya.testing.engine import Disk, SimulatedEngine
from oya.testing.loop import run_virtual


class Process:
    """One life of a program over a disk."""

    def __init__(self, disk: Disk) -> None:
        self.lives = True
        self._disk = disk

    def alive(self) -> bool:
        return self.lives

    async def open(self, *, sync: bool = True) -> Store:
        return await Store.open(
            SimulatedBeside(self._disk, self.alive),
            clock=LoopClock(),
            sync=sync,
            engine=lambda _: SimulatedEngine(self._disk, self.alive),
        )


def lived(story: Callable[[], Awaitable[Any]]) -> None:
    async def run() -> None:
        await story()

    run_virtual(run)


def test_without_sync_the_sequence_is_lost_with_the_power_and_the_rest_is_not() -> None:
    disk = Disk()
    beside = SimulatedBeside(disk)
    beside.mark_damaged("kept")
    file = beside.sequence(sync=False)
    file.write(Position(5, 5, 1))
    disk.lose_power()
    assert beside.told() == Position()
    file.write(Position(5, 5, 1))
    assert file.flush() is None
    disk.lose_power()
    assert beside.told() == Position()

    file = beside.sequence(sync=True)
    file.write(Position(5, 5, 1))
    disk.lose_power()
    assert beside.told() == Position()
    file.write(Position(5, 5, 1))

    async def flushed() -> None:
        flushing = file.flush()
        assert flushing is not None
        disk.lose_power()
        assert beside.told() == Position(), "nobody has waited for it"
        await flushing

    lived(flushed)
    disk.lose_power()
    assert beside.told() == Position(5, 5, 1)
    assert beside.damage() == "kept"


def test_on_a_full_disk_nothing_is_written_and_all_can_be_removed() -> None:
    disk = Disk()
    beside = SimulatedBeside(disk)
    beside.mark_clean()
    file = beside.sequence(sync=True)
    disk.full = True
    with pytest.raises(OSError, match="full"):
        file.write(Position(1, 1, 1))
    with pytest.raises(OSError, match="full"):
        beside.copy()
    assert beside.told() == file.position == Position()
    beside.mark_open()
    assert not beside.ended_cleanly()


def test_a_dead_process_changes_nothing_and_holds_nothing() -> None:
    disk = Disk()

    async def story() -> None:
        first, second = Process(disk), Process(disk)
        store = await first.open()
        await store.events.append("one")
        first.lives = False
        rows, files = {t: dict(r) for t, r in disk.volatile.items()}, dict(disk.volatile_files)
        with pytest.raises(StoreUnavailable):
            await store.events.append("of the dead")
        other = await second.open()
        await store.close()
        assert (await other.events.append("two")).seq == 2
        assert rows["events"].items() < disk.volatile["events"].items()
        assert [n for n in disk.volatile_files if n not in files] == ["copies/000001"]
        with pytest.raises(StoreUnavailable):
            await first.open()
        assert disk.holder is not None
        await other.close()

    lived(story)


def test_a_lock_outlives_a_release_by_the_dead() -> None:
    disk = Disk()

    async def story() -> None:
        first, second = Process(disk), Process(disk)
        held = await SimulatedBeside(disk, first.alive).lock(LoopClock(), 0)
        first.lives = False
        await SimulatedBeside(disk, second.alive).lock(LoopClock(), 0)
        holder = disk.holder
        held.release()
        assert disk.holder is holder

    lived(story)


def test_a_commit_is_durable_when_it_returns_or_the_next_opening_confirms_it() -> None:
    disk = Disk()

    async def story() -> None:
        process = Process(disk)
        engine = SimulatedEngine(disk, process.alive)
        await engine.open()
        await engine.commit([Put("beads", "a", {})])
        disk.lose_power()
        assert set(disk.volatile["beads"]) == {"a"}

        commit = asyncio.ensure_future(engine.commit([Put("beads", "b", {})]))
        while "b" not in disk.volatile["beads"]:
            await asyncio.sleep(0)
        assert "b" not in disk.durable["beads"]
        commit.cancel()
        again = SimulatedEngine(disk)
        await again.open()
        assert "b" not in disk.durable["beads"]
        await again.confirm()
        disk.lose_power()
        assert set(disk.volatile["beads"]) == {"a", "b"}

    lived(story)


def test_a_store_touches_no_real_file_and_knows_a_lost_commit_after_a_power_loss() -> None:
    disk = Disk()

    async def story() -> None:
        store = await Process(disk).open()
        await store.events.append("kept")
        await store.close()
        disk.lose_power()
        store = await Process(disk).open()
        assert [e.event for e in await store.events.since(0)] == ["kept"]
        assert not [name for name in disk.volatile_files if name.startswith("copies/")]
        disk.lying = True
        await store.events.append("lost")
        await store.close()
        disk.lose_power()
        for _ in range(2):
            with pytest.raises(StoreDamaged, match="event 2"):
                await Process(disk).open()
        assert len([name for name in disk.volatile_files if name.startswith("copies/")]) == 1

    lived(story)
    assert not Path("/simulated").exists()
