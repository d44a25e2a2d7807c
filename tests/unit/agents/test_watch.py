"""The clocks of a turn, on virtual time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from oya.agents.port import Stood, never
from oya.agents.watch import MAX_ENTRIES, Stuck, Vital, newest_change, watched
from oya.clock import LoopClock
from oya.testing.loop import run_virtual


class Turn:
    """A turn to watch; `cpu` is what its processes have used."""

    def __init__(self, folder: Path) -> None:
        self.clock = LoopClock()
        self.cpu = 0.0
        self.work = folder / "work"
        self.work.mkdir()
        self.log = folder / "log"
        self.ended = False
        self.began = 0.0
        self.stood: Stood = never

    async def watch(
        self, script: Callable[[Turn, Vital], Awaitable[object]], stall: float, deadline: float
    ) -> float:
        """Seconds until the script or the watch ended; raises what the watch raises."""
        vital = Vital(self.clock, self.work, cpu=lambda: self.cpu, log=self.log)

        async def turn() -> None:
            try:
                await script(self, vital)
            finally:
                self.ended = True

        self.began = self.clock.monotonic()
        try:
            await watched(
                turn(), vital, self.clock, stall=stall, deadline=deadline, stood=self.stood
            )
        finally:
            self.seconds = self.clock.monotonic() - self.began
        return self.seconds


@pytest.fixture
def turn(tmp_path: Path) -> Turn:
    return Turn(tmp_path)


def run(
    turn: Turn,
    script: Callable[[Turn, Vital], Awaitable[object]],
    stall: float = 300,
    deadline: float = 1800,
) -> float:
    return run_virtual(lambda: turn.watch(script, stall, deadline))


async def every(seconds: float, times: int, do: Callable[[], object]) -> None:
    for _ in range(times):
        await asyncio.sleep(seconds)
        do()


def test_a_turn_that_ends_is_let_be(turn: Turn) -> None:
    assert run(turn, lambda *_: asyncio.sleep(299)) == 299


def test_no_sign_of_life_is_stuck_at_the_stall_time(turn: Turn) -> None:
    with pytest.raises(Stuck, match="no sign of life for 300 s"):
        run(turn, lambda *_: asyncio.sleep(10_000))
    assert turn.seconds == pytest.approx(300)
    assert turn.ended


def test_a_sign_starts_the_stall_time_anew(turn: Turn) -> None:
    async def once(_: Turn, vital: Vital) -> None:
        await every(200, 2, vital.sign)
        await asyncio.sleep(10_000)

    with pytest.raises(Stuck, match="no sign"):
        run(turn, once)
    assert turn.seconds == pytest.approx(700)


def test_a_lively_turn_is_stuck_at_the_deadline(turn: Turn) -> None:
    with pytest.raises(Stuck, match="still at it after 1800 s"):
        run(turn, lambda _, vital: every(10, 10_000, vital.sign))
    assert turn.seconds == pytest.approx(1800)
    assert turn.ended


def test_the_deadline_stands_while_the_turn_waits_for_oya(turn: Turn) -> None:
    turn.stood = lambda: min(max(turn.clock.monotonic() - turn.began - 1000, 0), 500)
    with pytest.raises(Stuck, match="still at it after 1800 s"):
        run(turn, lambda _, vital: every(10, 10_000, vital.sign))
    assert turn.seconds == pytest.approx(2300)


def test_no_time_left_is_stuck_at_once(turn: Turn) -> None:
    with pytest.raises(Stuck, match="after 0 s"):
        run(turn, lambda *_: asyncio.sleep(10), deadline=0)
    assert turn.seconds < 0.1


@pytest.mark.parametrize("path", ["file", "a/b/c/file"])
def test_changed_files_are_a_sign(turn: Turn, path: str) -> None:
    file = turn.work / path
    file.parent.mkdir(parents=True, exist_ok=True)
    times = iter(range(1_900_000_000, 2_000_000_000))

    def touch() -> None:
        file.touch()
        os.utime(file, (0, next(times)))

    assert run(turn, lambda *_: every(200, 4, touch)) == 800


def test_a_deleted_file_is_a_sign(turn: Turn) -> None:
    files = [turn.work / str(n) for n in range(4)]
    for file in files:
        file.touch()
    os.utime(turn.work, (0, 0))

    def delete() -> None:
        files.pop().unlink()

    assert run(turn, lambda *_: every(200, 4, delete)) == 800


def test_output_is_a_sign(turn: Turn) -> None:
    def write() -> None:
        with turn.log.open("a") as log:
            log.write("x")

    assert run(turn, lambda *_: every(200, 4, write)) == 800


def test_git_and_its_bookkeeping_are_no_sign(turn: Turn) -> None:
    (turn.work / ".git").mkdir()
    os.utime(turn.work / ".git", (0, 0))
    times = iter(range(1_900_000_000, 2_000_000_000))

    def fetch() -> None:
        os.utime((turn.work / ".git"), (0, 0))
        file = turn.work / ".git" / "index"
        file.write_text("x")
        os.utime(file, (0, next(times)))
        os.utime((turn.work / ".git"), (0, 0))

    with pytest.raises(Stuck):
        run(turn, lambda *_: every(200, 4, fetch))


@pytest.mark.parametrize(
    ("share", "counts", "alive"), [(0.5, True, True), (0.5, False, False), (0.001, True, False)]
)
def test_cpu_is_a_sign_while_a_tool_is_open_and_works(
    turn: Turn, share: float, counts: bool, alive: bool
) -> None:
    def work() -> None:
        turn.cpu += 10 * share

    async def tool(_: Turn, vital: Vital) -> None:
        vital.counts_cpu = counts
        await every(10, 100, work)

    if alive:
        assert run(turn, tool) == 1000
    else:
        with pytest.raises(Stuck):
            run(turn, tool)


def test_cancelling_the_watch_cancels_the_turn(turn: Turn) -> None:
    async def cancel() -> None:
        task = asyncio.ensure_future(turn.watch(lambda *_: asyncio.sleep(100), 300, 1800))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run_virtual(cancel)
    assert turn.ended


def test_what_a_turn_raises_is_raised(turn: Turn) -> None:
    async def fail(*_: object) -> None:
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        run(turn, fail)


def test_a_cancelled_turn_may_fail_in_its_own_way(turn: Turn) -> None:
    async def fail(*_: object) -> None:
        try:
            await asyncio.sleep(10_000)
        finally:
            raise ValueError("late")

    with pytest.raises(Stuck):
        run(turn, fail)


def test_looking_for_changes_is_bounded_and_begins_at_the_top(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for n in range(MAX_ENTRIES + 10):
        (tmp_path / "a" / str(n)).touch()
    (tmp_path / "b").mkdir()
    newest = tmp_path / "b" / "file"
    newest.touch()
    os.utime(newest, (0, 2_000_000_000))
    seen = newest_change(tmp_path)
    (tmp_path / "top").touch()
    os.utime(tmp_path / "top", (0, 2_100_000_000))
    assert newest_change(tmp_path) == 2_100_000_000
    assert seen <= 2_000_000_000


def test_a_folder_that_is_not_there_has_not_changed(tmp_path: Path) -> None:
    assert newest_change(tmp_path / "none") == 0.0
