"""What can happen to a bead: one class per row of the table in docs/semantics.md.

An event that ends an attempt carries the `epoch` of that attempt's claim; the table
refuses it when the bead has moved on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from oya.lifecycle.failures import FailureClass
from oya.lifecycle.model import Check, Hold

Cannot = Literal["already_done", "unclear", "contract_wrong", "needs_person"]


@dataclass(frozen=True, slots=True)
class Claimed:
    """An agent takes the bead; the epoch rises here and nowhere else."""

    agent: str
    backend: str
    base: str


@dataclass(frozen=True, slots=True)
class ContractAccepted:
    """The contract passed its gate: red for the right reason, on `base`."""

    epoch: int
    commit: str
    base: str
    kind: str


@dataclass(frozen=True, slots=True)
class CheckAccepted:
    """The planner accepts the contract, or it goes on unchecked (`unchecked` says why)."""

    epoch: int
    findings: tuple[str, ...] = ()
    unchecked: str = ""


@dataclass(frozen=True, slots=True)
class CheckRevised:
    """The planner wants the contract revised (or cannot judge it)."""

    epoch: int
    findings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ImplementationAccepted:
    """Gates green on a tree with the frozen files unchanged. `hold`, and `why` it waits for a
    person: used where review is off."""

    epoch: int
    commit: str
    base: str
    hold: Hold | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Defended:
    """The review ended without survivors, for the accepted head `commit`. `hold`: what it needs
    a person for before it lands, and `why`."""

    epoch: int
    commit: str
    hold: Hold | None = None
    why: str = ""


@dataclass(frozen=True, slots=True)
class Contested:
    """Challenges survived; they become permanent checks.

    `mechanical`: oya itself found what the tests do not notice. The next attempt may leave the
    work as it is.
    """

    epoch: int
    survivors: tuple[str, ...]
    checks: tuple[Check, ...]
    mechanical: bool = False


@dataclass(frozen=True, slots=True)
class Forfeited:
    """A survivor contradicts a test of the contract."""

    epoch: int
    contradiction: str


@dataclass(frozen=True, slots=True)
class ReviewStalled:
    """A finding that code cannot decide: the bead waits for a person's answer."""

    epoch: int
    question: str


@dataclass(frozen=True, slots=True)
class Withheld:
    """What was reviewed under other settings needs a person by those of now, for `hold`."""

    hold: Hold
    why: str = ""


@dataclass(frozen=True, slots=True)
class LandingStarted:
    """The bead is in a stack on `base`."""

    base: str


@dataclass(frozen=True, slots=True)
class Landed:
    """The line contains `commit`."""

    commit: str


@dataclass(frozen=True, slots=True)
class LandingLeft:
    """The bead left the stack through no fault of its own."""

    reason: str


@dataclass(frozen=True, slots=True)
class LandingConflicted:
    """Conflict, or red, on the new base. `contract`: the contract's own files conflict."""

    reason: str
    findings: tuple[str, ...] = ()
    contract: bool = False


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """An attempt ended without a result; `snapshot` is the kept head, if there is one."""

    epoch: int
    failure: FailureClass
    reason: str
    findings: tuple[str, ...] = ()
    snapshot: str | None = None


@dataclass(frozen=True, slots=True)
class LeaseExpired:
    """Nobody renewed the lease (the agent, or the daemon, died)."""

    epoch: int
    reason: str
    snapshot: str | None = None


@dataclass(frozen=True, slots=True)
class CannotDo:
    """The backend answered `cannot`."""

    epoch: int
    cannot: Cannot
    why: str
    question: str = ""
    snapshot: str | None = None


@dataclass(frozen=True, slots=True)
class Added:
    """The tracker has a bead that the store does not know. `text`: its `Bead.text_key`."""

    title: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class Edited:
    """Title, description or criteria were edited in the tracker. `text`: the new `text_key`."""

    text: str = ""


@dataclass(frozen=True, slots=True)
class Blocked:
    """Newly blocked or deferred in the tracker."""

    reason: str


@dataclass(frozen=True, slots=True)
class Unblocked:
    """Free again."""


@dataclass(frozen=True, slots=True)
class Removed:
    """Closed, deleted or split in the tracker."""

    reason: str


@dataclass(frozen=True, slots=True)
class Reopened:
    """Opened again in the tracker."""


@dataclass(frozen=True, slots=True)
class HeldByPerson:
    """A person wants it left alone."""

    note: str = ""


@dataclass(frozen=True, slots=True)
class Approved:
    """A person lets the reviewed head land."""

    note: str = ""


@dataclass(frozen=True, slots=True)
class Rejected:
    """A person sends reviewed work back, with words."""

    note: str


@dataclass(frozen=True, slots=True)
class Released:
    """A person gives a held bead back."""

    note: str = ""


@dataclass(frozen=True, slots=True)
class Retried:
    """A person wants a failed or questioned bead tried again."""

    note: str = ""


@dataclass(frozen=True, slots=True)
class Undone:
    """The landed commit is no longer in upstream, or was reverted there."""

    reason: str


Event = (
    Claimed
    | ContractAccepted
    | CheckAccepted
    | CheckRevised
    | ImplementationAccepted
    | Defended
    | Contested
    | Forfeited
    | ReviewStalled
    | Withheld
    | LandingStarted
    | Landed
    | LandingLeft
    | LandingConflicted
    | AttemptFailed
    | LeaseExpired
    | CannotDo
    | Added
    | Edited
    | Blocked
    | Unblocked
    | Removed
    | Reopened
    | HeldByPerson
    | Approved
    | Rejected
    | Released
    | Retried
    | Undone
)

_HUMP = re.compile(r"(?<!^)(?=[A-Z])")


def name_of(event: Event) -> str:
    """The event's name in records: its class in snake case, e.g. `contract_accepted`."""
    return _HUMP.sub("_", type(event).__name__).lower()
