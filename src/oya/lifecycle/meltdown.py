"""When to stop trusting a backend: many agents fail on many beads in a short time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from oya.lifecycle.failures import RULES, FailureClass
from oya.lifecycle.model import Role

MIN_FAILURES = 3
MIN_BEADS = 2


@dataclass(frozen=True, slots=True)
class Outcome:
    """One attempt that ended; `failure` is None for a result."""

    at: float
    bead: str
    failure: FailureClass | None


class Meltdown:
    """Counts the ends of attempts per role and backend over `window` seconds.

    Only agent_crash, agent_stuck, agent_empty and internal count as failures; a red gate,
    a parked provider, a red base never do. Melted: at least 3 failures over at least 2
    beads, and at least half of the attempts that ended in the window.
    """

    def __init__(self, window: float) -> None:
        self._window = window
        self._ends: dict[tuple[Role, str], deque[Outcome]] = {}

    def ended(self, role: Role, backend: str, outcome: Outcome) -> bool:
        """Note the end of an attempt; True if role and backend have melted down with it."""
        ends = self._ends.setdefault((role, backend), deque(maxlen=1000))
        ends.append(outcome)
        while ends[0].at < outcome.at - self._window:
            ends.popleft()
        bad = [end for end in ends if end.failure is not None and RULES[end.failure].melts]
        beads = {end.bead for end in bad}
        return len(bad) >= MIN_FAILURES and len(beads) >= MIN_BEADS and 2 * len(bad) >= len(ends)

    def causes(self, role: Role, backend: str) -> dict[str, int]:
        """How often each class of failure stands in the window, for the words on stderr."""
        counts: dict[str, int] = {}
        for end in self._ends.get((role, backend), ()):
            if end.failure is not None:
                counts[str(end.failure)] = counts.get(str(end.failure), 0) + 1
        return counts
