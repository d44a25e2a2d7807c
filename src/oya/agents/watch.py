"""Deadlines of a turn: a backend that does nothing, or takes too long, is stuck."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from oya.clock import Clock

T = TypeVar("T")
MAX_ENTRIES = 5000


class Stuck(Exception):
    """The turn was given up; the text says why."""


class Vital:
    """Signs of life of one session. `last` is monotonic seconds of the newest one."""

    def __init__(self, clock: Clock, workspace: Path, cpu: Callable[[], float]) -> None:
        self._clock = clock
        self._workspace = workspace
        self._cpu = cpu
        self._used = 0.0
        self._changed = 0.0
        self.counts_cpu = False
        self.last = clock.monotonic()

    def sign(self) -> None:
        """Something arrived: a protocol update, output."""
        self.last = self._clock.monotonic()

    def look(self) -> None:
        """Ask for the signs that do not arrive by themselves: CPU of open tools, changed files."""
        used, changed = self._cpu(), newest_change(self._workspace)
        if (self.counts_cpu and used > self._used) or changed > self._changed:
            self.sign()
        self._used, self._changed = used, max(changed, self._changed)


def newest_change(folder: Path) -> float:
    """The newest modification time below `folder`, without `.git`; a bounded number of looks."""
    newest, todo, left = 0.0, [folder], MAX_ENTRIES
    while todo and left > 0:
        try:
            entries = list(os.scandir(todo.pop()))
        except OSError:
            continue
        for entry in entries[:left]:
            left -= 1
            try:
                newest = max(newest, entry.stat(follow_symlinks=False).st_mtime)
                if entry.is_dir(follow_symlinks=False) and entry.name != ".git":
                    todo.append(Path(entry.path))
            except OSError:
                continue
    return newest


async def watched(
    turn: Coroutine[Any, Any, T], vital: Vital, clock: Clock, *, stall: float, deadline: float
) -> T:
    """The turn's result; `Stuck` after `stall` seconds without life, or after `deadline`.

    The turn is cancelled before `Stuck` leaves, and when the caller is cancelled.
    """
    vital.look()
    vital.sign()
    until = clock.monotonic() + deadline
    task = asyncio.ensure_future(turn)
    try:
        while not task.done():
            now = clock.monotonic()
            wait = max(0.01, min(1.0, stall / 4, until - now, vital.last + stall - now))
            await asyncio.wait((task,), timeout=wait)
            if not task.done():
                _judge(vital, clock, stall, deadline, until)
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait((task,), timeout=5.0)


def _judge(vital: Vital, clock: Clock, stall: float, deadline: float, until: float) -> None:
    now = clock.monotonic()
    if now >= until:
        raise Stuck(f"still at it after {deadline:.0f} s")
    if now - vital.last >= stall:
        vital.look()
        if now - vital.last >= stall:
            raise Stuck(f"no sign of life for {stall:g} s")
