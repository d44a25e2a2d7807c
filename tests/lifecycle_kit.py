"""Beads in every state, each reached by playing events from the beginning."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from random import Random

from oya.errors import RefusedError
from oya.lifecycle import events as e
from oya.lifecycle.failures import FailureClass
from oya.lifecycle.model import BeadState, Check, Hold, Limits
from oya.lifecycle.table import Effect, transition

LIMITS = Limits()
CHECK = Check("! larder show nothing", 0, "AC1")

Next = Callable[[BeadState], e.Event]


def apply(state: BeadState, *events: e.Event | Next, limits: Limits = LIMITS) -> BeadState:
    """The state after these events; one given as a function learns the epoch from the state."""
    for event in events:
        state, _ = step(state, event, limits)
    return state


def step(
    state: BeadState, event: e.Event | Next, limits: Limits = LIMITS
) -> tuple[BeadState, tuple[Effect, ...]]:
    return transition(state, event(state) if callable(event) else event, limits)


def refused(state: BeadState, event: e.Event, limits: Limits = LIMITS) -> bool:
    try:
        transition(state, event, limits)
    except RefusedError:
        return True
    return False


def new(bead: str = "oya-1") -> BeadState:
    return apply(BeadState(bead), e.Added("A title", "text-1"))


CLAIM = e.Claimed("agent-1", "codex", "base-1")
HOLD = e.HeldByPerson("leave it")
BLOCK = e.Blocked("waits for oya-0")


def contract_accepted(s: BeadState) -> e.Event:
    return e.ContractAccepted(s.epoch, "contract-1", "base-1", "behaviour")


def check_accepted(s: BeadState) -> e.Event:
    return e.CheckAccepted(s.epoch)


def check_revised(s: BeadState) -> e.Event:
    return e.CheckRevised(s.epoch, ("one test has two reasons to fail",))


def implementation_accepted(s: BeadState) -> e.Event:
    return e.ImplementationAccepted(s.epoch, "work-1", "base-1")


def defended(hold: Hold | None = None) -> Next:
    return lambda s: e.Defended(s.epoch, s.implementation or "", hold)


def contested(*survivors: str) -> Next:
    return lambda s: e.Contested(s.epoch, survivors or ("minus is lost",), (CHECK,))


def hinted(s: BeadState) -> e.Event:
    return e.Contested(s.epoch, ("nobody notices line 3",), (), mechanical=True)


def forfeited(s: BeadState) -> e.Event:
    return e.Forfeited(s.epoch, "test_comma contradicts AC1")


def failed(
    failure: FailureClass,
    reason: str = "it ended",
    findings: tuple[str, ...] = (),
    snapshot: str | None = None,
) -> Next:
    return lambda s: e.AttemptFailed(s.epoch, failure, reason, findings, snapshot)


def expired(snapshot: str | None = None) -> Next:
    return lambda s: e.LeaseExpired(s.epoch, "nobody renewed it", snapshot)


def cannot(what: e.Cannot, why: str = "so it is") -> Next:
    return lambda s: e.CannotDo(s.epoch, what, why)


RED = failed(FailureClass.GATE_RED)
TO_CHECK = (CLAIM, contract_accepted)
TO_IMPLEMENTATION = (*TO_CHECK, CLAIM, check_accepted)
TO_REVIEW = (*TO_IMPLEMENTATION, CLAIM, implementation_accepted)
TO_LANDING = (*TO_REVIEW, CLAIM, defended())
STACKED = e.LandingStarted("base-2")
LANDED = e.Landed("line-1")


def held(hold: Hold) -> BeadState:
    """Reviewed work that waits for an approval."""
    return apply(new(), *TO_REVIEW, CLAIM, defended(hold))


def states() -> dict[str, BeadState]:
    """One bead for every row of the table to begin at."""
    played: dict[str, Iterable[e.Event | Next]] = {
        "contract pending": (),
        "contract working": (CLAIM,),
        "contract blocked": (BLOCK,),
        "contract left": (CLAIM, BLOCK),
        "check pending": TO_CHECK,
        "check working": (*TO_CHECK, CLAIM),
        "implementation pending": TO_IMPLEMENTATION,
        "implementation working": (*TO_IMPLEMENTATION, CLAIM),
        "review pending": TO_REVIEW,
        "review working": (*TO_REVIEW, CLAIM),
        "landing pending": TO_LANDING,
        "landing blocked": (*TO_LANDING, BLOCK),
        "landing working": (*TO_LANDING, STACKED),
        "landed": (*TO_LANDING, STACKED, LANDED),
        "removed": (*TO_IMPLEMENTATION, e.Removed("closed")),
        "failed": (*TO_IMPLEMENTATION, CLAIM, RED, CLAIM, RED, CLAIM, RED),
        "failed in landing": (*TO_LANDING, *_conflicts(), STACKED, _conflicted),
        "held person": (*TO_IMPLEMENTATION, HOLD),
        "held person, left": (*TO_IMPLEMENTATION, CLAIM, HOLD),
        "held approval": (*TO_REVIEW, CLAIM, defended(Hold.APPROVAL)),
        "held protected": (*TO_REVIEW, CLAIM, defended(Hold.PROTECTED)),
        "held weak_contract": (*TO_REVIEW, CLAIM, defended(Hold.WEAK_CONTRACT)),
        "held approval, blocked": (*TO_REVIEW, CLAIM, defended(Hold.APPROVAL), BLOCK),
        "held question": (CLAIM, cannot("unclear")),
        "held already_done": (CLAIM, cannot("already_done")),
        "held undone": (*TO_LANDING, STACKED, LANDED, e.Undone("reverted")),
    }
    return {"never added": BeadState("oya-1")} | {
        name: apply(new(), *events) for name, events in played.items()
    }


def _conflicted(s: BeadState) -> e.Event:
    return e.LandingConflicted("conflict in amount.py")


def _conflicts() -> tuple[e.Event | Next, ...]:
    again = (CLAIM, implementation_accepted, CLAIM, defended())
    return (STACKED, _conflicted, *again) * LIMITS.max_rebases


ON = (
    e.Claimed,
    e.ContractAccepted,
    e.CheckAccepted,
    e.ImplementationAccepted,
    e.Defended,
    e.LandingStarted,
    e.Landed,
)
"""What leads a bead to its landing."""


def some_event(state: BeadState, random: Random) -> e.Event | None:
    """Whatever may happen to it; more often what leads on."""
    events = events_for(state)
    random.shuffle(events)
    if random.random() < 0.7:
        events.sort(key=lambda event: not isinstance(event, ON))
    return next((event for event in events if not refused(state, event)), None)


def events_for(state: BeadState, epoch: int | None = None) -> list[e.Event]:
    """One of every event there is, under the current epoch or the given one."""
    at = replace(state, epoch=state.epoch if epoch is None else epoch)
    return [
        e.Added("A title", "text-1"),
        CLAIM,
        contract_accepted(at),
        check_accepted(at),
        check_revised(at),
        implementation_accepted(at),
        defended()(at),
        contested()(at),
        forfeited(at),
        e.ReviewStalled(at.epoch, "which of the two is meant?"),
        e.Withheld(Hold.PROTECTED, "changes .gitmodules"),
        STACKED,
        LANDED,
        e.LandingLeft("the base moved"),
        e.LandingConflicted("conflict in amount.py"),
        RED(at),
        expired()(at),
        cannot("unclear")(at),
        e.Edited("text-2"),
        BLOCK,
        e.Unblocked(),
        e.Removed("closed"),
        e.Reopened(),
        HOLD,
        e.Approved(),
        e.Rejected("not like this"),
        e.Released(),
        e.Retried(),
        e.Undone("reverted"),
    ]
