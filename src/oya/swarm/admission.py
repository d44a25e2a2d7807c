"""Which backend may be given work now: seats, parked, down, disabled."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import psutil

from oya.clock import Clock
from oya.lifecycle.failures import RULES, FailureClass, Measure

SESSION_MEMORY = 1 << 30
PARK_FIRST = 2.0
PARK_LIMIT = 900.0
DOUBLED = 20
"""Times that a rest is doubled, at most."""
RESET_JITTER = 1.0
"""Seconds after a reset, at most, until the first session tries."""


@dataclass
class Access:
    """One backend's state. `until` is monotonic; `seats` are sessions that may run at once.

    `named` is the same moment in wall time, where the provider has named it: monotonic time
    stands while the machine sleeps, and the provider's does not.
    `probing`: its time is over, and one session is finding out whether it works again.
    """

    name: str
    seats: int
    state: str = "ok"
    until: float | None = None
    named: datetime | None = None
    reason: str | None = None
    sessions: int = 0
    refusals: int = 0
    probing: bool = False


def seats_by_memory() -> int:
    """How many sessions the free memory allows, at 1 GiB each; at least one."""
    return max(1, int(psutil.virtual_memory().available // SESSION_MEMORY))


class Admission:
    """Holds every backend's `Access`, and changes it by what attempts report."""

    def __init__(self, seats: dict[str, int], clock: Clock) -> None:
        self._clock = clock
        self.backends = {name: Access(name, count) for name, count in seats.items()}

    def admits(self, backend: str) -> bool:
        """Whether a session may be started now. A backend whose time is over gets one probe."""
        access = self.backends[backend]
        if access.state in ("parked", "down"):
            return self._over(access) and not access.probing
        return access.state == "ok" and access.sessions < access.seats

    def took(self, backend: str) -> None:
        """A session was given out."""
        access = self.backends[backend]
        access.sessions += 1
        access.probing = access.state in ("parked", "down")

    def returned(self, backend: str) -> None:
        """A session that was given out never began."""
        access = self.backends[backend]
        access.sessions -= 1
        access.probing = False

    def ended(
        self,
        backend: str,
        failure: FailureClass | None,
        reason: str,
        resets_at: float | None = None,
    ) -> bool:
        """A session is over; True if the backend's state changed.

        `resets_at`: the monotonic moment before which the provider refuses, where it says so.
        """
        access = self.backends[backend]
        access.sessions -= 1
        access.probing &= access.sessions > 0  # which one was the probe is not known
        measure = RULES[failure].measure if failure else Measure.NONE
        if measure in (Measure.PARK_BACKEND, Measure.WAIT_FOR_HOST, Measure.OPEN_CIRCUIT):
            state = "down" if measure is Measure.OPEN_CIRCUIT else "parked"
            return self._park(access, state, reason, resets_at)
        if measure is Measure.DISABLE_BACKEND:
            return self.disable(backend, reason)
        if failure is FailureClass.CANCELLED or access.state == "disabled":
            return False
        if access.until is not None and not self._over(access):
            return False  # it was under way when the outage began, and proves nothing
        changed = access.state != "ok"
        _works(access)
        return changed

    def disable(self, backend: str, reason: str) -> bool:
        """Nobody uses it again in this swarm; True if it was in use before."""
        access = self.backends[backend]
        changed = access.state != "disabled"
        access.state, access.reason = "disabled", reason
        access.until = access.named = None
        return changed

    def enable_all(self) -> None:
        """A person says that it is worth trying again."""
        for access in self.backends.values():
            _works(access)

    def _park(self, access: Access, state: str, reason: str, resets_at: float | None) -> bool:
        if access.state == "disabled":
            return False
        now, until = self._clock.monotonic(), access.until
        if until is None or self._over(access):
            until = now + self._backoff(access)
        elif until >= (resets_at or 0.0):
            return False  # one outage, however many sessions it ends
        access.named = None
        if resets_at is not None:
            # Not before the backoff is over: who always says "in a second" is not to be believed.
            until = max(until, resets_at + self._clock.random.uniform(0.0, RESET_JITTER))
            access.named = self._clock.now() + timedelta(seconds=until - now)
        access.state, access.until, access.reason, access.probing = state, until, reason, False
        return True

    def _over(self, access: Access) -> bool:
        """By either clock: one that was set forward costs a probe, and that is all."""
        if access.until is None:
            return False
        named = access.named is not None and access.named <= self._clock.now()
        return named or access.until <= self._clock.monotonic()

    def _backoff(self, access: Access) -> float:
        wait: float = min(PARK_FIRST * 2 ** min(access.refusals, DOUBLED), PARK_LIMIT)
        access.refusals += 1
        return wait * self._clock.random.uniform(0.75, 1.25)


def _works(access: Access) -> None:
    access.state, access.reason, access.refusals = "ok", None, 0
    access.until = access.named = None
    access.probing = False
