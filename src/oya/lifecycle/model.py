"""What is known of a bead while oya works on it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import Any

from oya.lifecycle.copies import replacer


class Phase(StrEnum):
    """How far a bead has come."""

    CONTRACT = "contract"
    IMPLEMENTATION = "implementation"
    REVIEW = "review"
    LANDING = "landing"
    LANDED = "landed"


class Status(StrEnum):
    """What a bead is doing in its phase."""

    PENDING = "pending"
    IN_PROGRESS = "in_progress"
    COMPLETE = "complete"
    FAILED = "failed"
    HELD = "held"
    REMOVED = "removed"


class Role(StrEnum):
    """Who works."""

    TEST_WRITER = "test_writer"
    IMPLEMENTER = "implementer"
    REVIEWER = "reviewer"
    PLANNER = "planner"


class Hold(StrEnum):
    """Why a bead waits for a person."""

    APPROVAL = "approval"
    PROTECTED = "protected"
    WEAK_CONTRACT = "weak_contract"
    PERSON = "person"
    QUESTION = "question"
    ALREADY_DONE = "already_done"
    UNDONE = "undone"


APPROVABLE = frozenset({Hold.APPROVAL, Hold.PROTECTED, Hold.WEAK_CONTRACT})
"""Holds that `approve` and `reject` answer."""

RETRYABLE = frozenset({Hold.QUESTION, Hold.ALREADY_DONE, Hold.UNDONE})
"""Holds that `retry` answers."""


@dataclass(frozen=True, slots=True)
class Check:
    """A reviewer's challenge that once survived; oya runs it on every later tree of the bead."""

    command: str
    expect: int
    clause: str = ""


@dataclass(frozen=True, slots=True)
class BeadState:
    """One bead between two events. `version` counts its events, `epoch` its claims.

    `text` is a hash of what the tracker says that a contract depends on.
    `contract`, `implementation` and `snapshot` are commits: the accepted contract, the
    last accepted implementation, and the head of the newest unaccepted attempt of this
    phase entry. `awaits` is the approval that reviewed work still needs, `awaits_why` what it
    is about, `reviewed` the head that was DEFENDED, `approved` the one that a person has let
    land, `commit` the landed one. `findings` is what
    the next attempt is told, `brought` the part of it that the phase was entered with,
    `for_reviewer` what waits for the review of this contract. `hinted` is the contract whose
    one round for mechanical findings is spent; in that round `spare` is set: the accepted
    implementation stands if nothing better comes of it. `leaving` is the epoch of an attempt
    that a hold or a block has cancelled and whose snapshot is still to come, else 0.
    """

    id: str
    text: str = ""
    version: int = 0
    epoch: int = 0
    leaving: int = 0
    phase: Phase = Phase.CONTRACT
    checking: bool = False
    status: Status = Status.PENDING
    agent: str | None = None
    hold: Hold | None = None
    awaits: Hold | None = None
    awaits_why: str = ""
    reason: str = ""
    blocked: str = ""
    retry_count: int = 0
    contests: int = 0
    rebases: int = 0
    revisions: int = 0
    contract_wrong: bool = False
    done_claims: int = 0
    rework: bool = False
    hinted: str | None = None
    spare: bool = False
    claims: dict[str, int] = field(default_factory=dict)
    base: str | None = None
    contract: str | None = None
    implementation: str | None = None
    snapshot: str | None = None
    reviewed: str | None = None
    approved: str | None = None
    commit: str | None = None
    findings: tuple[str, ...] = ()
    brought: tuple[str, ...] = ()
    for_reviewer: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()

    @property
    def where(self) -> str:
        """Phase and status in one word for records, e.g. `contract:check/pending`."""
        phase = f"{self.phase}:check" if self.checking else str(self.phase)
        return f"{phase}/{self.status}"

    @property
    def role(self) -> Role | None:
        """Who may claim this bead next; None in landing and after."""
        if self.checking:
            return Role.PLANNER
        return ROLES.get(self.phase)

    @property
    def workable(self) -> bool:
        """Whether work on it can still go on without a person."""
        return self.status in (Status.PENDING, Status.IN_PROGRESS)

    @property
    def has_landed(self) -> bool:
        """Whether its commit is on the line, and not undone."""
        return self.status is Status.COMPLETE

    @property
    def over(self) -> bool:
        """Whether it has landed, or is gone from the tracker."""
        return self.status in (Status.COMPLETE, Status.REMOVED)

    @property
    def in_flight(self) -> bool:
        """Claimed once and not landed, failed, removed, or held for anything but approval."""
        if not self.epoch:
            return False
        return self.workable or (self.status is Status.HELD and self.hold is Hold.APPROVAL)


_KNOWN = frozenset(f.name for f in fields(BeadState))

replace = replacer(BeadState)
"""A changed copy of a bead's state."""

_ENUMS = (("phase", Phase), ("status", Status), ("hold", Hold), ("awaits", Hold))

ROLES = {
    Phase.CONTRACT: Role.TEST_WRITER,
    Phase.IMPLEMENTATION: Role.IMPLEMENTER,
    Phase.REVIEW: Role.REVIEWER,
}


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds a swarm runs under (interface.md: execution, review, landing)."""

    max_attempts: int = 3
    max_contests: int = 3
    max_rebases: int = 3
    max_revisions: int = 3
    planner: bool = True
    review: bool = True


def state_to_json(state: BeadState) -> dict[str, Any]:
    """The state as one JSON object."""
    return asdict(state)


def state_from_json(row: dict[str, Any]) -> BeadState:
    """The reverse of `state_to_json`; unknown keys are ignored, missing ones as in a new bead."""
    data = {key: value for key, value in row.items() if key in _KNOWN}
    for key, kind in _ENUMS:
        if data.get(key):
            data[key] = kind(data[key])
    for key in ("findings", "brought", "for_reviewer", "notes"):
        if key in data:
            data[key] = tuple(data[key] or ())
    if "checks" in data:
        data["checks"] = tuple(Check(**check) for check in data["checks"] or ())
    return BeadState(**data)
