"""Messages that an actor sends to itself later, on the injected clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from oya.clock import Clock


class TimerHandle:
    """A timer that has been set. It ends with the incarnation of the actor that set it."""

    __slots__ = ("_task",)

    def __init__(self, task: asyncio.Task[None]) -> None:
        self._task = task

    @property
    def active(self) -> bool:
        """It will still deliver."""
        return not self._task.done()

    def cancel(self) -> None:
        """Deliver nothing more; what is in the mailbox already stays there."""
        self._task.cancel()


async def after(clock: Clock, seconds: float, deliver: Callable[[], Awaitable[None]]) -> None:
    await clock.sleep(seconds)
    await deliver()


async def every(clock: Clock, seconds: float, deliver: Callable[[], Awaitable[None]]) -> None:
    due = clock.monotonic() + seconds
    while True:
        await clock.sleep(max(0.0, due - clock.monotonic()))
        await deliver()
        # Ticks that passed while the mailbox was full are left out, and the rhythm stays.
        missed = max(0, int((clock.monotonic() - due) // seconds))
        due += seconds * (1 + missed)
