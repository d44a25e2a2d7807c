"""Time and randomness, injected.

Nothing in oya reads the wall clock, sleeps or draws a random number except
through a `Clock`. In-process time is the event loop's own (`monotonic`), so a
loop with virtual time makes the whole swarm run on virtual time; wall time is
only ever written into records and shown to people.
"""

from __future__ import annotations

import asyncio
import random
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Where time and randomness come from."""

    random: random.Random

    def now(self) -> datetime:
        """Wall time, UTC, for records and people, and for moments that others name; never else
        for deciding within one process."""
        ...

    def monotonic(self) -> float:
        """Seconds on the clock that timers run on; only differences mean anything."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`; at once, but not before other tasks had a turn, for 0."""
        ...


class SystemClock:
    """The clock of a real process."""

    def __init__(self, seed: int | None = None) -> None:
        self.random = random.Random(seed)  # noqa: S311 (jitter and ids, no secrets)

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class LoopClock:
    """A clock whose wall time is `epoch` plus the running loop's time.

    On a loop with virtual time this is virtual time; the same seed gives the
    same times and the same random numbers.
    """

    def __init__(self, seed: int = 0, epoch: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self.random = random.Random(seed)  # noqa: S311
        self._epoch = epoch

    def now(self) -> datetime:
        return self._epoch + timedelta(seconds=self.monotonic())

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def stamp(moment: datetime) -> str:
    """A wall time as it stands in records: ISO 8601, UTC, microseconds, `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
