"""One daemon's time on the simulated machine, and the instant at which it ends.

Everything that a daemon does to the world goes through a port, and every port asks its
`Life` before it acts. A crash first ends the life, so that no `finally` of the dead daemon
has any effect, and only then are its tasks dropped.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Generator
from datetime import datetime, timedelta
from types import coroutine

GLANCES = 0.2
"""How often others get a turn while a port only looks at something."""
TURNS = 0.5
"""How often they get one while it does something that takes no time."""


class Crash(SystemExit):
    """The machine stops at this very instruction.

    A `SystemExit`, because asyncio lets nothing else out of a task and out of its loop at once.
    """


class Endless(Crash):
    """The machine stops because the daemon goes in circles."""


class Late(Crash):
    """The machine stops because the daemon should have come to its end long ago."""


class Gone(BaseException):
    """A port was used by a daemon that is dead; no `except` of the product takes this."""


@coroutine
def _others() -> Generator[None, None, None]:
    """A turn for all others that can run: `asyncio.sleep(0)` without a second coroutine."""
    yield


class Life:
    """What the ports of one daemon have in common.

    `passing` hears the name of every step that a port takes, before it takes it; it may
    raise `Crash`. `random` is the machine's: latencies, and what the world decides.
    """

    def __init__(self, chance: random.Random, passing: Callable[[str], None]) -> None:
        self.over = False
        self.random = chance
        self._passing = passing

    async def turn(self, step: str = "", seconds: float = 0.0) -> None:
        """Let time go by, or perhaps others run; then, if the daemon still lives, `step` may be
        taken."""
        if seconds > 0:
            await asyncio.sleep(seconds)
        elif self.random.random() < TURNS:
            await _others()
        if self.over:
            raise Gone
        if step:
            self.step(step)

    async def glance(self) -> None:
        """A turn for what only looks: often it takes no time at all."""
        if self.random.random() < GLANCES:
            await _others()
        self.require()

    def step(self, name: str) -> None:
        """About to take this step: the last moment for a crash before it."""
        try:
            self._passing(name)
        except Crash:
            self.over = True
            raise

    def require(self) -> None:
        """`Gone` if the daemon is dead."""
        if self.over:
            raise Gone

    def some(self, most: float) -> float:
        """A time between nothing and `most` seconds."""
        return self.random.random() * most

    def moment(self, most: float) -> float:
        """What a disk takes: up to `most` seconds, and every other time nothing worth a timer."""
        return max(0.0, 2.0 * self.random.random() - 1.0) * most


class MachineClock:
    """The clock of one life: wall time goes on from `began`, and may jump; timers do not.

    `time` is that of the loop, in seconds since then.
    """

    def __init__(self, began: datetime, chance: random.Random, time: Callable[[], float]) -> None:
        self.random = chance
        self._time = time
        self.jumped = 0.0
        self._began = began

    def now(self) -> datetime:
        """See `Clock.now`."""
        return self._began + timedelta(seconds=self._time() + self.jumped)

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return self._time()

    async def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`."""
        await asyncio.sleep(seconds)
