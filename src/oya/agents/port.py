"""The port to the programs that write: backends, their sessions, the ends of their turns.

A backend is never believed: `TurnEnd` says how a turn ended, not whether work was done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from oya.lifecycle.failures import FailureClass
from oya.lifecycle.model import Role
from oya.processes.port import Ended


@dataclass(frozen=True, slots=True)
class Task:
    """One attempt, as a backend needs to know it. `logs` is a folder for this attempt alone."""

    bead: str
    role: Role
    attempt: int
    epoch: int
    workspace: Path
    logs: Path
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Usage:
    """What the backend says it used; None where it does not say."""

    tokens: int | None = None
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class TurnEnd:
    """How a turn ended. `failure` is None where nothing is known to have gone wrong; `reason` may
    tell of an exit code then, which says nothing of the work.

    `resets_in`: seconds until the provider's limit is over, where `failure` is one and its
    end was told.
    """

    stop_reason: str
    text: str = ""
    failure: FailureClass | None = None
    reason: str = ""
    usage: Usage = Usage()
    resets_in: float | None = None


Stood = Callable[[], float]
"""Seconds for which a turn has waited for oya itself so far."""


def never() -> float:
    """A turn that waits for nobody."""
    return 0.0


class AgentSession(Protocol):
    """One conversation in one workspace."""

    @property
    def last_activity(self) -> float:
        """Monotonic seconds of the newest sign of life (protocol update, output, CPU, files)."""
        ...

    async def prompt(
        self, text: str, *, stall: float, deadline: float, stood: Stood = never
    ) -> TurnEnd:
        """Send one prompt and wait for the end of the turn.

        Never raises for what a backend does: no activity for `stall` seconds, or `deadline`
        seconds over, those apart for which it `stood`, is `agent_stuck` (cancelled, then
        killed); death or a broken protocol is `agent_crash`; a provider's refusal is its class.
        Cancelling the call cancels the turn.
        """
        ...

    async def close(self) -> Ended:
        """End the program and all below it; idempotent. Says the CPU it used."""
        ...


class Backend(Protocol):
    """A configured way to get work done, e.g. `[backends.codex]`."""

    name: str
    kind: str

    async def open(self, task: Task) -> AgentSession:
        """Start a session. `BackendError` (with the class) when the program cannot be started."""
        ...
