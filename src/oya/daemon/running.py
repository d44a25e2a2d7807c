"""What the daemon needs of a swarm; `oya.swarm.universe.Universe` is one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from oya.lifecycle.events import Event
from oya.lifecycle.model import BeadState
from oya.lifecycle.swarm import SwarmState
from oya.swarm.report import Live


class RunningSwarm(Protocol):
    """One swarm, from its preparation to its end."""

    async def run(self) -> SwarmState:
        """Returns when it has ended, with everything below it ended too."""
        ...

    async def stop(self, *, now: bool) -> None:
        """Graceful, or at once."""
        ...

    async def pause(self) -> None:
        """Stop claims."""
        ...

    async def resume(self) -> None:
        """Claim again."""
        ...

    async def set(self, changes: Mapping[str, str]) -> None:
        """Another target, another number of agents; `UsageError` on nonsense."""
        ...

    async def person(self, bead: str, event: Event) -> BeadState:
        """What a person says of a bead; `RefusedError` where its state does not allow it."""
        ...

    async def sync(self) -> dict[str, Any]:
        """Let the checkout follow now."""
        ...

    async def live(self) -> Live:
        """What is alive right now."""
        ...
