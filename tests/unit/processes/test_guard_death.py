"""Deaths that nobody announces: of oya itself, and of a guard."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from oya.processes import Command, GuardedProcesses, shell, survivors

ENV = {"PATH": os.environ["PATH"]}

OYA = """
import asyncio, sys
from pathlib import Path
from oya.processes import Command, GuardedProcesses, shell

async def main():
    marker, folder = sys.argv[1], Path(sys.argv[2])
    processes = GuardedProcesses(marker)
    env = {"PATH": "/usr/bin:/bin"}
    line = '''
        (trap '' TERM HUP INT; while :; do sleep 60; done) &
        nohup sleep 60 > nohup.out 2>&1 &
        (setsid sh -c 'setsid sleep 60 &' &)
        setsid sleep 60 &
        while :; do read x || sleep 1; done'''
    command = Command(shell(line), cwd=folder, env=env, output=folder / "log")
    await processes.open(command, stderr=folder / "stderr")
    await asyncio.gather(processes.run(command), processes.run(command))

asyncio.run(main())
"""


@pytest.fixture
def marker() -> Iterator[str]:
    marker = f"test-{uuid.uuid4().hex}"
    yield marker
    assert survivors(marker) == []


def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_when_oya_dies_everything_below_its_guards_goes(
    marker: str, tmp_path: Path, number: signal.Signals
) -> None:
    oya = subprocess.Popen([sys.executable, "-c", OYA, marker, str(tmp_path)])
    try:
        until(lambda: len(survivors(marker)) >= 3 * 7, seconds=20)
        oya.send_signal(number)
        until(lambda: survivors(marker) == [])
    finally:
        oya.kill()
        oya.wait()


async def test_when_a_guard_is_killed_its_program_goes_too(marker: str, tmp_path: Path) -> None:
    processes = GuardedProcesses(marker)
    line = "setsid sleep 60 & echo; while :; do sleep 1; done"
    command = Command(shell(line), cwd=tmp_path, env=ENV)
    session = await processes.open(command, stderr=tmp_path / "stderr")
    other = await processes.open(command, stderr=tmp_path / "stderr")
    await session.stdout.readline()
    os.kill(session.pid, signal.SIGKILL)
    ended = await session.wait()
    assert (ended.exit, ended.signal) == (None, 9)
    assert survivors(marker)  # the other one is left alone
    await session.close()
    assert (await other.close(grace=0)).signal == 9


async def test_whoever_reads_hears_the_end_of_a_program_whose_guard_was_killed(
    marker: str, tmp_path: Path
) -> None:
    command = Command(shell("setsid sleep 60 & sleep 60"), cwd=tmp_path, env=ENV)
    session = await GuardedProcesses(marker).open(command, stderr=tmp_path / "stderr")
    os.kill(session.pid, signal.SIGKILL)
    async with asyncio.timeout(10):
        assert await session.stdout.readline() == b""
    await session.close()


async def test_a_guard_asked_to_end_takes_its_program_along(marker: str, tmp_path: Path) -> None:
    command = Command(shell("trap '' TERM; while :; do sleep 1; done"), cwd=tmp_path, env=ENV)
    session = await GuardedProcesses(marker).open(command, stderr=tmp_path / "stderr")
    os.kill(session.pid, signal.SIGTERM)
    assert (await session.wait()).signal == 9
    await session.close()


async def test_a_stopped_guard_is_ended_after_its_deadline(
    marker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oya.processes.real._GONE_WITHIN", 2.0)
    command = Command(shell("while :; do sleep 1; done"), cwd=tmp_path, env=ENV)
    session = await GuardedProcesses(marker).open(command, stderr=tmp_path / "stderr")
    os.kill(session.pid, signal.SIGSTOP)
    assert (await session.close(grace=0)).signal == 9
    assert survivors(marker) == []


async def test_a_loop_that_is_torn_down_leaves_nothing(marker: str, tmp_path: Path) -> None:
    """As `asyncio.run` does at its end: every task is cancelled, and again."""
    run = GuardedProcesses(marker).run(Command(shell("sleep 60 & sleep 60"), tmp_path, ENV))
    task = asyncio.create_task(run)
    async with asyncio.timeout(10):
        while len(survivors(marker)) < 3:
            await asyncio.sleep(0.01)
    while not task.done():
        task.cancel()
        await asyncio.sleep(0)
    assert task.cancelled()
    assert survivors(marker) == []


async def test_no_descriptor_and_no_zombie_is_left(marker: str, tmp_path: Path) -> None:
    processes = GuardedProcesses(marker)
    command = Command(shell("cat"), tmp_path, ENV, stdin=b"x", output=tmp_path / "log")
    missing = Command(("no-such-program",), tmp_path, ENV)

    async def use_once() -> None:
        await processes.run(command)
        await asyncio.gather(processes.run(missing), return_exceptions=True)
        errors = [processes.open(missing, stderr=tmp_path / "stderr")]
        await asyncio.gather(*errors, return_exceptions=True)
        session = await processes.open(command, stderr=tmp_path / "stderr")
        await session.close()

    await use_once()
    before, children = os.listdir("/proc/self/fd"), psutil.Process().children()
    await use_once()
    await asyncio.sleep(0)
    assert len(os.listdir("/proc/self/fd")) == len(before)
    assert psutil.Process().children() == children
