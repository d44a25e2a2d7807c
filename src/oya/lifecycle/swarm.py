"""The life of a swarm: starting, running, paused, stopping, and three ways to end."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

from oya.errors import RefusedError
from oya.lifecycle.copies import replacer
from oya.lifecycle.failures import FailureClass


class SwarmStatus(StrEnum):
    """Where a swarm is in its life."""

    STARTING = "starting"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPING = "stopping"
    STOPPED = "stopped"
    COMPLETED = "completed"
    FAILED = "failed"


ENDED = frozenset({SwarmStatus.STOPPED, SwarmStatus.COMPLETED, SwarmStatus.FAILED})

_S = SwarmStatus
NEXT: dict[SwarmStatus, frozenset[SwarmStatus]] = {
    _S.STARTING: frozenset({_S.RUNNING, _S.STOPPING, _S.FAILED}),
    _S.RUNNING: frozenset({_S.PAUSED, _S.STOPPING, _S.COMPLETED, _S.FAILED}),
    _S.PAUSED: frozenset({_S.RUNNING, _S.STOPPING, _S.COMPLETED, _S.FAILED}),
    _S.STOPPING: frozenset({_S.STOPPED, _S.COMPLETED, _S.FAILED}),
    # Resume: the same swarm, the same counters.
    _S.STOPPED: frozenset({_S.STARTING}),
    _S.COMPLETED: frozenset({_S.STARTING}),
    _S.FAILED: frozenset({_S.STARTING}),
}


@dataclass(frozen=True, slots=True)
class SwarmState:
    """One swarm; counters belong to it, bead state to the repository.

    `active_agents` counts agents alive by role. `reached` tells the two kinds of completed
    apart: the target was reached, or nothing was left that could be worked on.
    """

    id: str
    status: SwarmStatus = SwarmStatus.STARTING
    target_beads: int = 25
    landed_beads: int = 0
    active_agents: dict[str, int] = field(default_factory=dict)
    started_at: str = ""
    estimated_completion: str | None = None
    ended_at: str | None = None
    reason: str | None = None
    branch: str = ""
    config_hash: str = ""
    gate_runs: int = 0
    failures: dict[str, int] = field(default_factory=dict)

    @property
    def ended(self) -> bool:
        """Whether nothing of it runs any more."""
        return self.status in ENDED

    @property
    def reached(self) -> bool:
        """Whether as many beads landed as were asked for."""
        return self.landed_beads >= self.target_beads


replace = replacer(SwarmState)
"""A changed copy of a swarm's state."""


def move(state: SwarmState, to: SwarmStatus, reason: str | None = None) -> SwarmState:
    """The state after a change of status; `RefusedError` where the life has no such step."""
    if to is not state.status and to not in NEXT[state.status]:
        raise RefusedError(
            f"swarm {state.id} is {state.status} and cannot become {to}",
            safe="Nothing was changed.",
        )
    return replace(state, status=to, reason=reason)


def counted(failure: FailureClass, state: SwarmState) -> SwarmState:
    """The state with one more failure of that class."""
    name = str(failure)
    return replace(state, failures=state.failures | {name: state.failures.get(name, 0) + 1})


def swarm_to_json(state: SwarmState) -> dict[str, Any]:
    """The state as one JSON object."""
    return {name: getattr(state, name) for name in _FIELDS}  # `asdict` copies deeply, and slowly


_FIELDS = tuple(f.name for f in fields(SwarmState))


def swarm_from_json(row: dict[str, Any]) -> SwarmState:
    """The reverse of `swarm_to_json`; unknown keys are ignored."""
    known = {f.name for f in fields(SwarmState)}
    data = {key: value for key, value in row.items() if key in known}
    data["status"] = SwarmStatus(data["status"])
    return SwarmState(**data)
