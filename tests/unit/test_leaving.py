"""How a process ends that has used the engine, whose threads may be on their way back still."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SLOW_WORKER = """
import asyncio.selector_events, threading, time
import slow_ending

told = asyncio.selector_events.BaseSelectorEventLoop._write_to_self

def slowly(self):
    told(self)
    if threading.current_thread() is not threading.main_thread():
        time.sleep(0.2)

asyncio.selector_events.BaseSelectorEventLoop._write_to_self = slowly
"""
SLOW_ENDING = """
import time

class Slow:
    def __init__(self):
        self.sleep = time.sleep

    def __del__(self):
        self.sleep(1)

slow = Slow()
"""
USE = """
import asyncio, sys
from pathlib import Path
from oya.leaving import leave
from oya.store.surreal import SurrealEngine

async def use():
    engine = SurrealEngine(Path(sys.argv[2]))
    await engine.open()
    await engine.close()

asyncio.run(use())
print("used")
if sys.argv[1] == "leave":
    leave(3)
"""


def ended(folder: Path, how: str) -> tuple[int, str]:
    """The exit code and stdout of a process whose engine's threads are slow to come back, and
    so is the interpreter to end."""
    (folder / "sitecustomize.py").write_text(SLOW_WORKER)
    (folder / "slow_ending.py").write_text(SLOW_ENDING)
    done = subprocess.run(
        (sys.executable, "-c", USE, how, str(folder / "data")),
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout


def test_who_leaves_is_not_aborted_by_a_thread_of_the_engine(tmp_path: Path) -> None:
    """`oya verify` ended with exit 134 now and then on a busy machine."""
    assert ended(tmp_path, "leave") == (3, "used\n")


def test_who_does_not_leave_may_be(tmp_path: Path) -> None:
    """Where this fails, the engine has learnt to wait for its threads, and `leave` may go."""
    code, _ = ended(tmp_path, "")
    if code == 0:
        pytest.fail("the interpreter's own ending is safe now")
    assert code == -6


def test_nobody_to_read_what_was_said_is_no_error(tmp_path: Path) -> None:
    script = "from oya.leaving import leave; print('to nobody'); leave(4)"
    for closed in (">&-", "2>&-", ">/dev/full", "| true"):
        command = f'"$0" -c "{script}" {closed}; echo "${{PIPESTATUS[0]}}" >&2'
        done = subprocess.run(
            ("bash", "-c", f'({command}) 2>"{tmp_path}/code"', sys.executable),
            env={"PATH": os.environ["PATH"]},
            timeout=60,
            check=False,
            capture_output=True,
        )
        assert done.returncode == 0
        assert (tmp_path / "code").read_text() == "4\n", closed
