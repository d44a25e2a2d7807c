"""Where the seconds of a daemon's life went."""

from __future__ import annotations

import resource
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from oya.agents.port import Usage

RUNS = 20
"""Runs of a gate that its median is of, at most."""


@dataclass
class Meter:
    """Where the seconds went: wall and CPU by kind of work, and what backends say they used."""

    seconds: dict[str, float] = field(default_factory=dict)
    cpu: dict[str, float] = field(default_factory=dict)
    used: dict[str, Usage] = field(default_factory=dict)
    runs: dict[str, deque[float]] = field(default_factory=dict)

    def add(self, kind: str, seconds: float, cpu: float) -> None:
        """Seconds of wall and CPU time spent on `kind` (agents, gates,
        prepare, cleanup)."""
        self.seconds[kind] = self.seconds.get(kind, 0.0) + seconds
        self.cpu[kind] = self.cpu.get(kind, 0.0) + cpu

    def know(self, gate: str, seconds: Iterable[object]) -> None:
        """What runs of a gate took before; from now on those that come are counted with them."""
        numbers = (float(one) for one in seconds if isinstance(one, int | float))
        self.runs[gate] = deque(numbers, maxlen=RUNS)

    def ran(self, gate: str, seconds: float) -> None:
        """A gate has run."""
        if gate in self.runs:
            self.runs[gate].append(seconds)

    def median(self, gate: str) -> float | None:
        """Of the newest runs of a gate, at most 20; None where none is known."""
        known = self.runs.get(gate)
        return median(known) if known else None

    def usage(self, backend: str, usage: Usage) -> None:
        """Add what one turn used; a backend that says nothing stays unknown."""
        before = self.used.get(backend, Usage())
        self.used[backend] = Usage(
            _sum(before.tokens, usage.tokens), _sum(before.cost_usd, usage.cost_usd)
        )

    def totals(self, store_seconds: float) -> dict[str, Any]:
        """CPU seconds by kind, oya's own and git's among them, and oya's peak memory in MB.

        `wall` has seconds by kind too; kinds overlap, since much runs side by side.
        """
        own = resource.getrusage(resource.RUSAGE_SELF)
        below = resource.getrusage(resource.RUSAGE_CHILDREN)
        rest = below.ru_utime + below.ru_stime - sum(self.cpu.values())
        cpu = self.cpu | {"oya": own.ru_utime + own.ru_stime, "git": max(rest, 0.0)}
        return {
            "cpu": {kind: round(seconds, 2) for kind, seconds in cpu.items()},
            "wall": {
                kind: round(seconds, 2)
                for kind, seconds in (self.seconds | {"store": store_seconds}).items()
            },
            "peak_mb": own.ru_maxrss / 1024,
        }


def _sum(a: Any, b: Any) -> Any:
    return b if a is None else a if b is None else a + b
