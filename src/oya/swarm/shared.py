"""What outlives a restart of the orchestrator, and is shared with those beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from oya.actors import ActorRef
from oya.errors import StoreError
from oya.lifecycle.leases import Leases
from oya.lifecycle.model import Role
from oya.lifecycle.swarm import SwarmStatus
from oya.swarm.admission import Admission
from oya.swarm.line import Line
from oya.swarm.messages import ClaimBead
from oya.swarm.pool import AgentPool
from oya.swarm.work import Work


@dataclass
class Shared:
    """`waiting`: who asked for work, by role and name. `paused`: the reasons of now, with their
    words. `settled` says whether all that is known of the tracker is in the states. `begun`: it
    was told to start; `started`: it has. `ending`: how the swarm is about to end, why, and the
    grace for running turns. `silent`: why its last words could not be written down."""

    pool: AgentPool
    leases: Leases
    admission: Admission
    line: Line
    work: Work
    waiting: dict[Role, dict[str, ClaimBead]] = field(
        default_factory=lambda: {role: {} for role in Role}
    )
    paused: dict[str, str] = field(default_factory=dict)
    settled: Callable[[], bool] = lambda: True
    begun: bool = False
    started: bool = False
    ending: tuple[SwarmStatus, str, float] | None = None
    silent: StoreError | None = None
    done: asyncio.Event = field(default_factory=asyncio.Event)
    supervisor: ActorRef[Any] | None = None
    lander: ActorRef[Any] | None = None
