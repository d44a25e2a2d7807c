"""The agents of a swarm as their supervisor sees them: who there is, and how they fare."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from oya.actors import ActorRef
from oya.lifecycle.model import Role


class AgentState(StrEnum):
    """How an agent fares."""

    IDLE = "idle"
    WORKING = "working"
    UNHEALTHY = "unhealthy"
    SHUTTING_DOWN = "shutting_down"
    TERMINATED = "terminated"


@dataclass
class AgentHandle:
    """One agent. `since` is in monotonic seconds; `restarts` counts the backend processes
    that died or hung under it, and its own restarts. `activity` is asked when it last did
    something, while it has a bead."""

    id: str
    role: Role
    backend: str
    ref: ActorRef[Any] | None = None
    state: AgentState = AgentState.IDLE
    bead: str | None = None
    epoch: int | None = None
    since: float = 0.0
    activity: Callable[[], float] | None = None
    restarts: int = 0

    @property
    def last_activity(self) -> float | None:
        """When its backend last did something, in monotonic seconds."""
        if self.bead is None:
            return None
        return self.activity() if self.activity else self.since

    def works_on(self, bead: str, epoch: int, now: float) -> None:
        """It was given a bead."""
        self.state, self.bead, self.epoch = AgentState.WORKING, bead, epoch
        self.since, self.activity = now, None

    def idles(self, now: float) -> None:
        """Its attempt has ended."""
        if self.state is AgentState.WORKING:
            self.state = AgentState.IDLE
        self.bead = self.epoch = self.activity = None
        self.since = now


class AgentPool:
    """All handles of a swarm, in the order in which they were made."""

    def __init__(self) -> None:
        self._handles: dict[str, AgentHandle] = {}

    def add(self, handle: AgentHandle) -> AgentHandle:
        """A new agent."""
        self._handles[handle.id] = handle
        return handle

    def get(self, agent: str) -> AgentHandle | None:
        """One agent by its id."""
        return self._handles.get(agent)

    def all(self) -> tuple[AgentHandle, ...]:
        """Every agent there ever was in this swarm."""
        return tuple(self._handles.values())

    def alive(self, role: Role | None = None) -> tuple[AgentHandle, ...]:
        """Agents that are idle or working."""
        living = (AgentState.IDLE, AgentState.WORKING)
        return tuple(
            h for h in self._handles.values() if h.state in living and role in (None, h.role)
        )

    def given_up(self, role: Role) -> bool:
        """Whether nobody of that role is left, because those who were crashed too often."""
        unhealthy = (h for h in self.all() if h.state is AgentState.UNHEALTHY and h.role is role)
        return any(unhealthy) and not self.alive(role)

    @property
    def busy(self) -> bool:
        """Whether any agent has a bead."""
        return any(h.bead is not None for h in self._handles.values())

    def __len__(self) -> int:
        return len(self._handles)

    def working(self) -> tuple[AgentHandle, ...]:
        """Agents that have a bead."""
        return tuple(h for h in self._handles.values() if h.bead is not None)

    def counts(self) -> dict[str, int]:
        """Agents alive, by the names of the status: test_writers, implementers, …"""
        alive = Counter(h.role for h in self.alive())
        return {
            "test_writers": alive[Role.TEST_WRITER],
            "implementers": alive[Role.IMPLEMENTER],
            "reviewers": alive[Role.REVIEWER],
            "planner": alive[Role.PLANNER],
        }
