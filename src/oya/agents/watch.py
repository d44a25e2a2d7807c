"""Deadlines of a turn: a backend that does nothing, or takes too long, is stuck."""

from __future__ import annotations

import asyncio
import os
from collections import deque
from collections.abc import Awaitable, Callable
from itertools import islice
from pathlib import Path
from typing import TypeVar

from oya.agents.port import Stood, never
from oya.clock import Clock

T = TypeVar("T")
MAX_ENTRIES = 5000
BUSY = 0.02
"""CPU seconds a second under which a program idles: an agent's own timers are no sign of life."""
LOOKS = 4
"""How often within `stall` seconds signs of life are looked for that do not arrive."""
UNWIND = 30.0
"""Seconds that a cancelled turn has to end; ending its processes takes milliseconds."""


class Stuck(Exception):
    """The turn was given up; the text says why."""


class Vital:
    """Signs of life of one session. `last` is monotonic seconds of the newest one.

    `cpu` tells the CPU seconds used so far, and counts while `counts_cpu` is set; `log` is
    a file whose growth is a sign.
    """

    def __init__(
        self, clock: Clock, workspace: Path, *, cpu: Callable[[], float], log: Path
    ) -> None:
        self._clock = clock
        self._workspace = workspace
        self._cpu = cpu
        self._seen = (0.0, 0)
        self._used = self._looked = 0.0
        self.log = log
        self.counts_cpu = False
        self.last = clock.monotonic()

    def sign(self) -> None:
        """Something arrived: a protocol update, output."""
        self.last = self._clock.monotonic()

    def look(self) -> None:
        """Ask for the signs that do not arrive by themselves: CPU of open tools, files, output."""
        seen = (newest_change(self._workspace), _size(self.log))
        if seen != self._seen or self._busy():
            self.sign()
        self._seen = seen

    def _busy(self) -> bool:
        used, now = self._cpu(), self._clock.monotonic()
        more, since = used - self._used, now - self._looked
        self._used, self._looked = used, now
        return self.counts_cpu and more > 0 and more >= BUSY * since


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0


def newest_change(folder: Path) -> float:
    """The newest modification time below `folder`, without `.git`; a bounded number of looks.

    What is near the top is looked at first.
    """
    newest, todo, left = _changed(folder), deque([folder]), MAX_ENTRIES
    while todo and left > 0:
        try:
            with os.scandir(todo.popleft()) as entries:
                found = list(islice(entries, left))
        except OSError:
            continue
        left -= len(found)
        for entry in found:
            try:
                newest = max(newest, entry.stat(follow_symlinks=False).st_mtime)
                if entry.is_dir(follow_symlinks=False) and entry.name != ".git":
                    todo.append(Path(entry.path))
            except OSError:
                continue
    return newest


def _changed(folder: Path) -> float:
    try:
        return folder.stat().st_mtime
    except OSError:
        return 0.0


async def watched(
    turn: Awaitable[T],
    vital: Vital,
    clock: Clock,
    *,
    stall: float,
    deadline: float,
    stood: Stood = never,
) -> T:
    """The turn's result; `Stuck` after `stall` seconds without life, or after `deadline` and as
    long as it `stood`.

    The turn is cancelled before `Stuck` leaves, and when the caller is cancelled. Signs that
    have to be looked for may be noticed `stall / 4` seconds late.
    """
    vital.look()
    vital.sign()
    began = clock.monotonic()
    task = asyncio.ensure_future(turn)
    try:
        while not task.done():
            now, until = clock.monotonic(), began + deadline + stood()
            wait = max(0.01, min(stall / LOOKS, until - now, vital.last + stall - now))
            await asyncio.wait((task,), timeout=wait)
            if not task.done():
                _judge(vital, clock, stall, deadline, began + deadline + stood())
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait((task,), timeout=UNWIND)
            if task.done() and not task.cancelled():
                task.exception()  # nobody asks any more


def _judge(vital: Vital, clock: Clock, stall: float, deadline: float, until: float) -> None:
    vital.look()
    now = clock.monotonic()
    if now >= until:
        raise Stuck(f"still at it after {deadline:g} s")
    if now - vital.last >= stall:
        raise Stuck(f"no sign of life for {stall:g} s")
