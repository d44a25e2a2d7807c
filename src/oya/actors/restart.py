"""How often a crashed actor starts anew, and after what delay."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from random import Random
from typing import Literal

from oya.clock import Clock

Policy = Literal["permanent", "transient", "temporary"]
"""When a child starts anew: always; only after a crash; never. As in OTP."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential delays in seconds: `first`, times `factor` each, never above `limit`.

    `jitter` (0 to 1) is the share of a delay that chance may take away, so that
    what failed together does not come back together.
    """

    first: float
    factor: float = 2.0
    limit: float = 60.0
    jitter: float = 0.2

    def __post_init__(self) -> None:
        if self.first < 0 or self.factor < 1 or self.limit < 0 or not 0 <= self.jitter <= 1:
            raise ValueError(f"not a backoff: {self}")

    def delay(self, attempt: int, random: Random) -> float:
        """Seconds before restart number `attempt`, counted from 1."""
        whole = self.first
        for _ in range(attempt - 1):
            whole *= self.factor
            if whole >= self.limit:
                break
        return min(whole, self.limit) * (1 - self.jitter * random.random())


@dataclass(frozen=True, slots=True)
class Restart:
    """At most `intensity` restarts within `period` seconds of life, with these delays.

    Only time in which the actor lives counts: the backoff itself neither uses
    up the period nor makes a crash loop look slow.
    """

    intensity: int
    period: float
    backoff: Backoff

    def __post_init__(self) -> None:
        if self.intensity < 0 or self.period <= 0:
            raise ValueError(f"not a restart rule: {self}")


class CrashRecord:
    """The crashes of one child, as far back as its rule looks."""

    def __init__(self, rule: Restart, clock: Clock) -> None:
        self._rule = rule
        self._clock = clock
        self._rested = 0.0
        self._crashes: deque[float] = deque()

    def crashed(self) -> float | None:
        """Count a crash; the delay before the restart, or None if the intensity is exceeded."""
        life = self._clock.monotonic() - self._rested
        while self._crashes and self._crashes[0] <= life - self._rule.period:
            self._crashes.popleft()
        self._crashes.append(life)
        if len(self._crashes) > self._rule.intensity:
            return None
        return self._rule.backoff.delay(len(self._crashes), self._clock.random)

    def rested(self, seconds: float) -> None:
        """The actor was not alive for so long."""
        self._rested += seconds
