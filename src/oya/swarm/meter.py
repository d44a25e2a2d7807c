"""Where the seconds of a daemon's life went."""

from __future__ import annotations

import resource
from dataclasses import dataclass, field
from typing import Any

from oya.agents.port import Usage


@dataclass
class Meter:
    """Where the seconds went: wall and CPU by kind of work, and what backends say they used."""

    seconds: dict[str, float] = field(default_factory=dict)
    cpu: dict[str, float] = field(default_factory=dict)
    used: dict[str, Usage] = field(default_factory=dict)

    def add(self, kind: str, seconds: float, cpu: float) -> None:
        """Seconds of wall and CPU time spent on `kind` (agents, gates)."""
        self.seconds[kind] = self.seconds.get(kind, 0.0) + seconds
        self.cpu[kind] = self.cpu.get(kind, 0.0) + cpu

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
