"""Every message of the swarm, one family per receiver. Frozen; nothing else is sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oya.actors import ActorRef, Reply
from oya.lifecycle.events import Event
from oya.lifecycle.failures import FailureClass
from oya.lifecycle.model import BeadState, Role

if TYPE_CHECKING:
    from oya.swarm.report import Live


@dataclass(frozen=True, slots=True)
class Claim:
    """A bead that belongs to one agent under one epoch. `state` is as of the claim."""

    bead: str
    epoch: int
    attempt: int
    agent: str
    backend: str
    base: str
    state: BeadState


# To an agent ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GetNextBead:
    """You are idle: ask the orchestrator for work."""


@dataclass(frozen=True, slots=True)
class WriteContract:
    """To a test writer: this bead is yours."""

    claim: Claim


@dataclass(frozen=True, slots=True)
class CheckContract:
    """To the planner: this contract is yours to check."""

    claim: Claim


@dataclass(frozen=True, slots=True)
class Implement:
    """To an implementer: this bead is yours."""

    claim: Claim


@dataclass(frozen=True, slots=True)
class Review:
    """To a reviewer: this bead is yours to attack."""

    claim: Claim


@dataclass(frozen=True, slots=True)
class CancelBead:
    """The attempt under this epoch must end; its snapshot is kept. The orchestrator sends it on."""

    bead: str
    epoch: int
    reason: str


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """To itself: the child task that worked has ended. `failure` is None for a result.

    `resets_at`, here and below: when the provider's limit is over, in monotonic seconds.
    """

    claim: Claim
    failure: FailureClass | None
    reason: str
    resets_at: float | None = None


Work = WriteContract | CheckContract | Implement | Review
AgentMessage = GetNextBead | Work | CancelBead | AttemptEnded

WORK: dict[Role, type[WriteContract | CheckContract | Implement | Review]] = {
    Role.TEST_WRITER: WriteContract,
    Role.PLANNER: CheckContract,
    Role.IMPLEMENTER: Implement,
    Role.REVIEWER: Review,
}


# To the swarm supervisor ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SpawnAgents:
    """Bring the number of agents of a role to `count`."""

    role: Role
    count: int


@dataclass(frozen=True, slots=True)
class AgentFailed:
    """An attempt ended without a result."""

    agent: str
    claim: Claim
    failure: FailureClass
    reason: str
    resets_at: float | None = None


@dataclass(frozen=True, slots=True)
class BeadComplete:
    """An attempt ended with a result, whatever it was."""

    agent: str
    claim: Claim


@dataclass(frozen=True, slots=True)
class Shutdown:
    """No new work; cancel what is under way, wait for its snapshots, then say so."""

    reply: Reply[None]


SwarmSupervisorMessage = SpawnAgents | AgentFailed | BeadComplete | Shutdown


# To the orchestrator ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Start:
    """SwarmCommand: begin to hand out work."""


@dataclass(frozen=True, slots=True)
class Stop:
    """SwarmCommand: no new claims; running turns get the grace, or none if `now`."""

    now: bool = False


@dataclass(frozen=True, slots=True)
class GetStatus:
    """SwarmCommand: what is alive right now."""

    reply: Reply[Live]


@dataclass(frozen=True, slots=True)
class Pause:
    """SwarmCommand: stop claims, running turns go on. Reasons add up; each is taken back alone."""

    reason: str
    words: str = ""


@dataclass(frozen=True, slots=True)
class Continue:
    """SwarmCommand: this reason to pause is over; claim again if it was the last."""

    reason: str


@dataclass(frozen=True, slots=True)
class Change:
    """SwarmCommand: another target, another number of agents of a role."""

    target: int | None
    agents: tuple[tuple[Role, int], ...]
    reply: Reply[None]


SwarmCommand = Start | Stop | GetStatus | Pause | Continue | Change


@dataclass(frozen=True, slots=True)
class ClaimBead:
    """An idle agent asks for a bead of its role; the answer is a `Work` message."""

    agent: str
    role: Role
    backend: str
    ref: ActorRef[Any]


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The attempt's actor lives: renew its lease. `active` says when its backend last did
    something (monotonic seconds), whenever it is asked while the attempt lasts."""

    agent: str
    bead: str
    epoch: int
    active: Callable[[], float]


@dataclass(frozen=True, slots=True)
class ReleaseBead:
    """An attempt is over, whatever came of it: its lease ends, its backend has a seat free.

    `claim` is None when the agent itself crashed, and could not say what it had.
    """

    agent: str
    claim: Claim | None
    failure: FailureClass | None
    reason: str
    resets_at: float | None = None


@dataclass(frozen=True, slots=True)
class PersonSays:
    """Approve, reject, release, retry, hold: an event by a person."""

    bead: str
    event: Event
    reply: Reply[BeadState]


@dataclass(frozen=True, slots=True)
class Wake:
    """Something changed: look for work to hand out, and whether the swarm is done."""


@dataclass(frozen=True, slots=True)
class Melted:
    """A role has no backend left that can be trusted."""

    role: Role
    backend: str
    causes: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class BaseIsRed:
    """From the lander: what was green elsewhere is red here, and so is the base alone."""

    base: str
    reason: str


OrchestratorMessage = (
    SwarmCommand
    | ClaimBead
    | Heartbeat
    | ReleaseBead
    | PersonSays
    | CancelBead
    | Wake
    | Melted
    | BaseIsRed
)


# To the lander and the tracker sync -------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LookForReviewed:
    """A bead may be ready to land, or a checkout ready to follow."""


@dataclass(frozen=True, slots=True)
class Sync:
    """A person asks the checkout to follow now."""

    reply: Reply[dict[str, Any]]


LanderMessage = LookForReviewed | Sync


@dataclass(frozen=True, slots=True)
class ReadTracker:
    """Read the backlog again if it changed."""
