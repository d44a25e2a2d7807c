"""What everything beside an engine must do: a directory, and the simulated one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from oya.clock import LoopClock
from oya.errors import StoreDamaged, StoreLocked
from oya.store.beside import Beside, Position
from oya.store.files import BesideFiles
from oya.testing.beside import SimulatedBeside
from oya.testing.engine import Disk
from oya.testing.loop import run_virtual


@dataclass
class Place:
    """Somewhere that outlives what is opened over it. `put` writes a file of the engine's."""

    open: Callable[[], Beside]
    put: Callable[[str], None]
    write: Callable[[str, str], None]


@pytest.fixture(params=["directory", "simulated"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    if request.param == "simulated":
        disk = Disk()
        return Place(
            lambda: SimulatedBeside(disk),
            lambda text: disk.volatile["beads"].update(a=text),
            lambda name, text: disk.volatile_files.update({name: text}),
        )
    home = tmp_path / "with a space" / "state"

    def write(name: str, text: str) -> None:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)

    return Place(lambda: BesideFiles(home), lambda text: write("data/rows", text), write)


@pytest.fixture
def beside(place: Place) -> Beside:
    beside = place.open()
    beside.make()
    beside.make()
    return beside


def test_before_anything_is_there_nothing_is_told_and_nothing_made(place: Place) -> None:
    beside = place.open()
    assert beside.told() is None
    assert beside.damage() is None
    assert not beside.has_data()
    assert beside.last_backup() is None
    assert not beside.directory.exists()


def test_one_at_a_time_holds_the_lock(place: Place, beside: Beside) -> None:
    async def story() -> None:
        clock = LoopClock()
        first = await beside.lock(clock, 0)
        with pytest.raises(StoreLocked, match="is held by"):
            await place.open().lock(clock, 1)
        assert clock.monotonic() >= 1
        waiting = asyncio.ensure_future(place.open().lock(clock, 60))
        await clock.sleep(1)
        assert not waiting.done()
        first.release()
        second = await waiting
        first.release()
        with pytest.raises(StoreLocked):
            await beside.lock(clock, 0)
        second.release()
        (await beside.lock(clock, 0)).release()

    run_virtual(story)


@pytest.mark.parametrize("sync", [True, False])
async def test_the_sequence_begins_at_the_beginning_and_says_what_was_written(
    place: Place, beside: Beside, sync: bool
) -> None:
    file = beside.sequence(sync=sync)
    assert (file.position, place.open().told()) == (Position(), Position())
    for n in range(1, 4):
        file.write(Position(n * 10**12, n, 1))
        assert file.position == place.open().told() == Position(n * 10**12, n, 1)
        flushing = file.flush()
        assert sync or flushing is None
        if flushing is not None:
            await flushing
    file.close()
    file.close()

    again = place.open().sequence(sync=sync)
    assert again.position == Position(3 * 10**12, 3, 1)
    again.close()


def test_a_sequence_that_is_missing_beside_data_or_unreadable_is_damage(
    place: Place, beside: Beside
) -> None:
    place.put("data")
    with pytest.raises(StoreDamaged, match="is missing"):
        beside.sequence(sync=True)
    place.write("sequence", "nonsense")
    assert beside.told() is None
    with pytest.raises(StoreDamaged, match="cannot be read"):
        beside.sequence(sync=True)


def test_an_end_is_clean_while_the_data_are_those_that_were_marked(
    place: Place, beside: Beside
) -> None:
    place.put("data")
    assert beside.has_data()
    assert not beside.ended_cleanly()
    beside.mark_clean()
    assert place.open().ended_cleanly()

    place.put("others")
    assert not place.open().ended_cleanly()
    place.put("data")
    assert beside.ended_cleanly()
    beside.mark_open()
    beside.mark_open()
    assert not place.open().ended_cleanly()


def test_damage_stays_told(place: Place, beside: Beside) -> None:
    beside.mark_damaged("it is broken\nin two places")
    assert place.open().damage() == "it is broken\nin two places"


def test_copies_are_numbered_and_the_newest_three_stay(place: Place, beside: Beside) -> None:
    place.put("data")
    names = [place.open().copy() for _ in range(12)]
    assert [path.name for path in names] == [f"{n:06d}" for n in range(1, 13)]
    assert {path.parent for path in names} == {beside.directory / "copies"}
    assert beside.has_data()


def test_a_copy_with_a_name_is_made_once_and_stays(place: Place, beside: Beside) -> None:
    place.put("data")
    first = beside.copy("schema-1")
    assert first == beside.directory / "copies" / "schema-1"
    place.put("others")
    assert beside.copy("schema-1") == first
    assert [beside.copy().name for _ in range(5)][-1] == "000005"
    assert place.open().copy("schema-1") == first


def test_the_newest_backup_is_named(place: Place, beside: Beside) -> None:
    place.write("backups/state-000007.jsonl", "")
    place.write("backups/state-000008.jsonl", "")
    assert beside.last_backup() == beside.directory / "backups" / "state-000008.jsonl"
