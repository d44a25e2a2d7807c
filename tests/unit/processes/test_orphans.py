"""An owner and its guards die at one moment: what they leave is found, and ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from oya.errors import ProcessError
from oya.processes import Command, GuardedProcesses, shell, survivors, table

ENV = {"PATH": os.environ["PATH"]}

OWNER = """
import asyncio, sys
from pathlib import Path
from oya.processes import Command, GuardedProcesses, shell

async def main():
    folder = Path(sys.argv[2])
    line = "env -i sleep 61 & echo $! > bare; setsid sleep 60 & echo; sleep 60"
    command = Command(shell(line), cwd=folder, env={"PATH": "/usr/bin:/bin"})
    session = await GuardedProcesses(sys.argv[1]).open(command, stderr=folder / "stderr")
    await session.stdout.readline()
    print(session.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def marker() -> Iterator[str]:
    marker = f"test-{uuid.uuid4().hex}"
    yield marker
    for pid in survivors(marker):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


Owner = Callable[[], tuple[subprocess.Popen[str], int]]


@pytest.fixture
def owner(marker: str, tmp_path: Path) -> Iterator[Owner]:
    """Starts one, with its guard's id; it has a program that has started more."""
    made: list[subprocess.Popen[str]] = []

    def make() -> tuple[subprocess.Popen[str], int]:
        command = (sys.executable, "-c", OWNER, marker, str(tmp_path))
        made.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        assert made[-1].stdout
        return made[-1], int(made[-1].stdout.readline())

    yield make
    for process in made:
        process.kill()
        process.wait()


def die(owner: subprocess.Popen[str], guard: int) -> None:
    os.kill(guard, signal.SIGSTOP)
    owner.kill()
    owner.wait()
    os.kill(guard, signal.SIGKILL)
    while table.started(guard) is not None:
        os.sched_yield()


async def test_what_a_dead_owner_and_its_dead_guard_left_is_ended(
    marker: str, tmp_path: Path, owner: Owner
) -> None:
    die(*owner())
    bare = int((tmp_path / "bare").read_text())
    left = {*survivors(marker), bare}  # whose environment is empty
    assert len(left) > 2

    ended = await GuardedProcesses(marker).end_orphans()

    assert left <= {*ended}
    assert survivors(marker) == []
    assert table.started(bare) is None
    assert await GuardedProcesses(marker).end_orphans() == []


async def test_what_a_living_owner_has_started_goes_on(marker: str, owner: Owner) -> None:
    _, guard = owner()
    own = await GuardedProcesses(marker).open(
        Command(shell("sleep 60"), Path("/"), ENV), stderr=Path(os.devnull)
    )
    before = survivors(marker)
    assert await GuardedProcesses(marker).end_orphans() == []
    assert {*before} <= {*survivors(marker)}
    assert guard in before
    await own.close(grace=0)


async def test_what_carries_another_mark_goes_on(marker: str, owner: Owner) -> None:
    die(*owner())
    assert await GuardedProcesses(f"{marker}-other").end_orphans() == []
    assert survivors(marker) != []


async def test_guards_that_are_at_it_are_left_to_end_what_is_below(
    marker: str, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oya.processes.orphans._BY_THEMSELVES", 60.0)
    process, _ = owner()
    process.kill()
    process.wait()
    assert await GuardedProcesses(marker).end_orphans() == []
    assert survivors(marker) == []


async def test_an_id_that_was_given_to_another_process_is_nobody(tmp_path: Path) -> None:
    process = subprocess.Popen(("sleep", "60"))
    try:
        born = table.started(process.pid)
        assert born is not None
        table.end(process.pid, born - 1)
        assert process.poll() is None
        table.end(process.pid, born)
        assert process.wait(timeout=10) == -signal.SIGKILL
    finally:
        process.kill()
        process.wait()


async def test_what_cannot_be_ended_is_an_error_that_says_what_to_type(
    marker: str, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    die(*owner())
    monkeypatch.setattr("oya.processes.orphans._BY_THEMSELVES", 60.0)
    monkeypatch.setattr("oya.processes.orphans._GONE_WITHIN", 0.1)
    with pytest.raises(ProcessError, match="could not be ended") as error:
        await GuardedProcesses(marker).end_orphans()
    assert error.value.hint.startswith("kill -9 ")
