"""The transition table of docs/semantics.md: `(state, event) -> (state, effects)`.

One function per row, one row per event. A pair that is not in the table raises
`RefusedError` and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from oya.errors import RefusedError
from oya.lifecycle import events as e
from oya.lifecycle.failures import RULES, FailureClass
from oya.lifecycle.model import (
    APPROVABLE,
    RETRYABLE,
    BeadState,
    Hold,
    Limits,
    Phase,
    Status,
    replace,
)


@dataclass(frozen=True, slots=True)
class CancelAttempt:
    """The attempt under this epoch must end; its snapshot is kept."""

    epoch: int


_LANDS_WITH = APPROVABLE | {None}

Effect = CancelAttempt
Step = tuple[BeadState, tuple[Effect, ...]]


def transition(state: BeadState, event: e.Event, limits: Limits) -> Step:
    """The state after `event`, and what must be done about it.

    `RefusedError` when the table has no such row, or the event's epoch is not current.
    """
    row = _ROWS[type(event)]
    if isinstance(event, e.AttemptFailed | e.LeaseExpired) and _has_left(state, event.epoch):
        row = _left
    else:
        _check_epoch(state, event)
    after, effects = row(state, event, limits)
    return replace(after, version=state.version + 1), effects


def _refuse(state: BeadState, event: e.Event, why: str = "") -> RefusedError:
    held = f" ({state.hold})" if state.hold else ""
    what = f"{state.id} is {state.where}{held}: {e.name_of(event)} does not apply"
    return RefusedError(f"{what}{'; ' + why if why else ''}", safe="Nothing was changed.")


def _check_epoch(state: BeadState, event: e.Event) -> None:
    epoch = getattr(event, "epoch", None)
    if epoch is None:
        return
    if state.status is not Status.IN_PROGRESS or state.phase is Phase.LANDING:
        raise _refuse(state, event, f"no attempt {epoch} is under way")
    if epoch != state.epoch:
        raise _refuse(state, event, f"epoch {epoch} is over, {state.epoch} is current")


def _has_left(state: BeadState, epoch: int) -> bool:
    return state.leaving == epoch > 0


def _need(state: BeadState, event: e.Event, ok: bool, why: str = "") -> None:
    if not ok:
        raise _refuse(state, event, why)


def _enter(state: BeadState, phase: Phase, **changes: Any) -> BeadState:
    """A new entry into a phase: attempts are counted afresh, snapshots of before do not apply."""
    reading = state.for_reviewer if phase is Phase.REVIEW else ()
    fresh: dict[str, Any] = {
        "phase": phase,
        "checking": False,
        "status": Status.PENDING,
        "agent": None,
        "hold": None,
        "awaits": None,
        "awaits_why": "",
        "reason": "",
        "retry_count": 0,
        "done_claims": 0,
        "snapshot": None,
        "leaving": 0,
        "findings": reading,
        "for_reviewer": () if phase is Phase.CONTRACT else state.for_reviewer,
        "rework": False,
        "spare": False,
    }
    entry = fresh | changes
    return replace(state, **entry, brought=entry["findings"])


def _pend(state: BeadState, **changes: Any) -> BeadState:
    return replace(state, status=Status.PENDING, agent=None, hold=None, reason="", **changes)


def _stop(state: BeadState, status: Status, reason: str, hold: Hold | None = None) -> BeadState:
    return replace(state, status=status, reason=reason, hold=hold, agent=None)


def _person(state: BeadState, note: str) -> BeadState:
    """What approve, reject, release and retry have in common."""
    notes = (*state.notes, note) if note else state.notes
    return replace(state, notes=notes, retry_count=0, contests=0, rebases=0)


def _working(state: BeadState) -> bool:
    return state.status is Status.IN_PROGRESS and state.phase is not Phase.LANDING


def _cancel(state: BeadState) -> tuple[Effect, ...]:
    return (CancelAttempt(state.epoch),) if _working(state) else ()


def _part(state: BeadState) -> BeadState:
    """The attempt must go, the phase stays: its snapshot is still to come."""
    return replace(state, leaving=state.epoch) if _working(state) else state


def _claimed(s: BeadState, ev: e.Claimed, _: Limits) -> Step:
    _need(s, ev, s.status is Status.PENDING and s.role is not None and not s.blocked)
    claims = s.claims | {str(s.role): s.claims.get(str(s.role), 0) + 1}
    # Only a contract starts on a base of its own; later phases carry theirs with the work.
    base = ev.base if s.phase is Phase.CONTRACT and not s.checking else s.base
    claim = {"agent": ev.agent, "epoch": s.epoch + 1, "claims": claims, "base": base}
    return replace(s, status=Status.IN_PROGRESS, leaving=0, **claim), ()


def _contract_accepted(s: BeadState, ev: e.ContractAccepted, limits: Limits) -> Step:
    _need(s, ev, s.phase is Phase.CONTRACT and not s.checking)
    known: dict[str, Any] = {"contract": ev.commit, "base": ev.base}
    if limits.planner:
        return _enter(s, Phase.CONTRACT, checking=True, **known), ()
    return _enter(s, Phase.IMPLEMENTATION, revisions=0, **known), ()


def _check_accepted(s: BeadState, ev: e.CheckAccepted, _: Limits) -> Step:
    _need(s, ev, s.checking)
    if ev.unchecked:
        return _unchecked(s, ev.unchecked), ()
    return _enter(s, Phase.IMPLEMENTATION, revisions=0, findings=ev.findings), ()


def _unchecked(s: BeadState, why: str) -> BeadState:
    said = f"no planner has checked this contract: {why}"
    return _enter(s, Phase.IMPLEMENTATION, revisions=0, for_reviewer=(said,))


def _check_revised(s: BeadState, ev: e.CheckRevised, limits: Limits) -> Step:
    _need(s, ev, s.checking)
    if s.revisions + 1 >= limits.max_revisions:
        # An implementer could not act on them, since the contract is frozen now.
        return _enter(s, Phase.IMPLEMENTATION, revisions=0, for_reviewer=ev.findings), ()
    return _enter(s, Phase.CONTRACT, revisions=s.revisions + 1, findings=ev.findings), ()


def _implementation_accepted(s: BeadState, ev: e.ImplementationAccepted, limits: Limits) -> Step:
    _need(s, ev, s.phase is Phase.IMPLEMENTATION and ev.hold in _LANDS_WITH)
    known: dict[str, Any] = {"implementation": ev.commit, "base": ev.base}
    if limits.review:
        return _enter(s, Phase.REVIEW, **known), ()
    return _ready(replace(s, **known), ev), ()


def _defended(s: BeadState, ev: e.Defended, _: Limits) -> Step:
    _need(s, ev, s.phase is Phase.REVIEW and ev.hold in _LANDS_WITH)
    _need(s, ev, ev.commit == s.implementation, f"the head to review is {s.implementation}")
    return _ready(s, ev), ()


def _ready(s: BeadState, ev: e.ImplementationAccepted | e.Defended) -> BeadState:
    after = _enter(s, Phase.LANDING, reviewed=ev.commit, awaits=ev.hold, awaits_why=ev.why)
    return _await_approval(after) if ev.hold else after


def _await_approval(s: BeadState) -> BeadState:
    about = f": {s.awaits_why}" if s.awaits_why else ""
    return _stop(s, Status.HELD, f"waits for oya approve ({s.awaits}){about}", s.awaits)


def _contested(s: BeadState, ev: e.Contested, limits: Limits) -> Step:
    _need(s, ev, s.phase is Phase.REVIEW)
    if ev.mechanical:
        return _hinted(s, ev, limits), ()
    known = dict.fromkeys((*s.checks, *ev.checks))
    after = replace(s, contests=s.contests + 1, checks=tuple(known))
    return _sent_back(after, Phase.IMPLEMENTATION, ev.survivors, limits), ()


def _hinted(s: BeadState, ev: e.Contested, limits: Limits) -> BeadState:
    _need(s, ev, s.hinted != s.contract, "this contract has had its mechanical round")
    _need(s, ev, s.contests < limits.max_contests, "no bead fails for mechanical findings")
    after = replace(s, contests=s.contests + 1, hinted=s.contract)
    # It begins at the accepted implementation, so that it may be left as it is.
    again: dict[str, Any] = {"spare": True, "snapshot": s.implementation}
    return _enter(after, Phase.IMPLEMENTATION, findings=ev.survivors, **again)


def _forfeited(s: BeadState, ev: e.Forfeited, limits: Limits) -> Step:
    _need(s, ev, s.phase is Phase.REVIEW)
    after = replace(s, contests=s.contests + 1)
    return _sent_back(after, Phase.CONTRACT, (ev.contradiction,), limits), ()


def _sent_back(s: BeadState, phase: Phase, findings: tuple[str, ...], limits: Limits) -> BeadState:
    if s.contests > limits.max_contests:
        why = f"contested more than {limits.max_contests} times: {'; '.join(findings)}"
        return _stop(replace(s, findings=findings), Status.FAILED, why)
    return _enter(s, phase, findings=findings)


def _review_stalled(s: BeadState, ev: e.ReviewStalled, _: Limits) -> Step:
    _need(s, ev, s.phase is Phase.REVIEW)
    return _stop(s, Status.HELD, ev.question, Hold.QUESTION), ()


def _withheld(s: BeadState, ev: e.Withheld, _: Limits) -> Step:
    _need(s, ev, s.phase is Phase.LANDING and s.status is Status.PENDING)
    _need(s, ev, ev.hold in APPROVABLE)
    _need(s, ev, s.approved is None or s.approved != s.reviewed, "a person has approved it")
    return _await_approval(replace(s, awaits=ev.hold, awaits_why=ev.why)), ()


def _landing_started(s: BeadState, ev: e.LandingStarted, _: Limits) -> Step:
    _need(s, ev, s.phase is Phase.LANDING and s.status is Status.PENDING and not s.blocked)
    return replace(s, status=Status.IN_PROGRESS, base=ev.base, agent="lander"), ()


def _in_stack(s: BeadState, ev: e.Event) -> None:
    _need(s, ev, s.phase is Phase.LANDING and s.status is Status.IN_PROGRESS)


def _landed(s: BeadState, ev: e.Landed, _: Limits) -> Step:
    _in_stack(s, ev)
    after = _enter(s, Phase.LANDED, status=Status.COMPLETE, commit=ev.commit)
    return after, ()


def _landing_left(s: BeadState, ev: e.LandingLeft, _: Limits) -> Step:
    _in_stack(s, ev)
    return _pend(s), ()


def _landing_conflicted(s: BeadState, ev: e.LandingConflicted, limits: Limits) -> Step:
    _in_stack(s, ev)
    after = replace(s, rebases=s.rebases + 1)
    findings = ev.findings or (ev.reason,)
    if after.rebases > limits.max_rebases:
        why = f"did not fit on {limits.max_rebases} new bases: {ev.reason}"
        return _stop(replace(after, findings=findings), Status.FAILED, why), ()
    phase = Phase.CONTRACT if ev.contract else Phase.IMPLEMENTATION
    return _enter(after, phase, rework=True, findings=findings), ()


def _attempt_failed(s: BeadState, ev: e.AttemptFailed, limits: Limits) -> Step:
    rule = RULES[ev.failure]
    used = s.retry_count + rule.counts
    snapshot = None if rule.fresh else _kept(s, ev.snapshot)
    after = replace(s, retry_count=used, snapshot=snapshot, findings=_told(s, ev))
    if used < limits.max_attempts or not rule.counts:
        return _pend(after), ()
    if s.checking:
        return _unchecked(s, f"{used} attempts failed; the last: {ev.reason}"), ()
    if s.spare:
        return _enter(s, Phase.REVIEW), ()
    why = f"{used} attempts of {s.phase} failed; the last: {ev.reason} ({ev.failure})"
    return _stop(after, Status.FAILED, why), ()


def _kept(s: BeadState, snapshot: str | None) -> str | None:
    """Where the next attempt begins. Who judges begins at the accepted head, whatever it wrote."""
    judges = s.checking or s.phase is Phase.REVIEW
    return None if judges else snapshot or s.snapshot


def _told(s: BeadState, ev: e.AttemptFailed) -> tuple[str, ...]:
    """What the next attempt is told: what the phase was entered with, and what was found last.

    What happened to an agent must not wipe out what was found in the work.
    """
    if not RULES[ev.failure].counts:
        return s.findings
    if ev.findings:
        return (*s.brought, *ev.findings)
    return tuple(dict.fromkeys((*s.findings, ev.reason)))


def _left(s: BeadState, ev: e.AttemptFailed | e.LeaseExpired, _: Limits) -> Step:
    """The end of an attempt that a hold or a block has cancelled: only its snapshot counts."""
    return replace(s, leaving=0, snapshot=_kept(s, ev.snapshot)), ()


def _lease_expired(s: BeadState, ev: e.LeaseExpired, _: Limits) -> Step:
    return _pend(replace(s, snapshot=_kept(s, ev.snapshot))), ()


def _cannot_do(s: BeadState, ev: e.CannotDo, limits: Limits) -> Step:
    _need(s, ev, not s.checking)  # a planner's `cannot` is a revision
    asked = ev.question or ev.why
    s = replace(s, snapshot=_kept(s, ev.snapshot))
    if s.phase is Phase.CONTRACT:
        hold = Hold.ALREADY_DONE if ev.cannot == "already_done" else Hold.QUESTION
        return _stop(s, Status.HELD, asked, hold), ()
    if ev.cannot == "contract_wrong" and not s.contract_wrong:
        said = f"the {s.role} says that the contract is wrong: {ev.why}"
        return _enter(s, Phase.CONTRACT, contract_wrong=True, findings=(said,)), ()
    if ev.cannot == "already_done" and s.phase is Phase.IMPLEMENTATION:
        return _done_already(s, ev, limits)
    return _stop(s, Status.HELD, asked, Hold.QUESTION), ()


def _done_already(s: BeadState, ev: e.CannotDo, limits: Limits) -> Step:
    if s.spare:
        return _enter(s, Phase.REVIEW), ()
    said = "the contract was red on the base, so the work is not done already"
    if not s.done_claims:
        return _pend(replace(s, done_claims=1, findings=(*s.findings, said))), ()
    empty = e.AttemptFailed(
        ev.epoch, FailureClass.AGENT_EMPTY, f"claims again to be done: {said}", (said,)
    )
    return _attempt_failed(s, empty, limits)


def _unlanded(s: BeadState, ev: e.Event) -> None:
    """Rows "any before landed"; a landing under way is finished before any of these.

    `undone` has landed too: it answers to `retry` alone, or it could land again by itself.
    """
    _need(s, ev, s.phase is not Phase.LANDED and s.status is not Status.REMOVED)
    landing = s.phase is Phase.LANDING and s.status is Status.IN_PROGRESS
    _need(s, ev, not landing, "it is landing now; try again when that has ended")


def _added(s: BeadState, ev: e.Added, _: Limits) -> Step:
    _need(s, ev, s.version == 0)
    return replace(s, text=ev.text), ()


def _edited(s: BeadState, ev: e.Edited, _: Limits) -> Step:
    _unlanded(s, ev)
    held = s.status is Status.HELD and s.hold is Hold.PERSON
    # Another text is another piece of work: what the old one was contested for is over.
    counts: dict[str, Any] = {"revisions": 0, "contests": 0, "rebases": 0, "contract_wrong": False}
    after = _enter(s, Phase.CONTRACT, text=ev.text, checks=(), **counts)
    if held:
        after = _stop(after, Status.HELD, s.reason, Hold.PERSON)
    return after, _cancel(s)


def _blocked(s: BeadState, ev: e.Blocked, _: Limits) -> Step:
    _unlanded(s, ev)
    after = replace(_part(s), blocked=ev.reason)
    if s.status is Status.IN_PROGRESS:
        after = _pend(after)
    return after, _cancel(s)


def _unblocked(s: BeadState, ev: e.Unblocked, _: Limits) -> Step:
    _need(s, ev, bool(s.blocked))
    return replace(s, blocked=""), ()


def _removed(s: BeadState, ev: e.Removed, _: Limits) -> Step:
    _unlanded(s, ev)
    return _stop(s, Status.REMOVED, ev.reason), _cancel(s)


def _reopened(s: BeadState, ev: e.Reopened, _: Limits) -> Step:
    _need(s, ev, s.status is Status.REMOVED)
    return _enter(_person(s, ""), Phase.CONTRACT, revisions=0, contract_wrong=False), ()


def _held_by_person(s: BeadState, ev: e.HeldByPerson, _: Limits) -> Step:
    _unlanded(s, ev)
    after = _stop(_part(s), Status.HELD, ev.note or "held by a person", Hold.PERSON)
    return after, _cancel(s)


def _held_for(s: BeadState, ev: e.Event, holds: frozenset[Hold]) -> None:
    _need(s, ev, s.status is Status.HELD and s.hold in holds)


def _approved(s: BeadState, ev: e.Approved, _: Limits) -> Step:
    _held_for(s, ev, APPROVABLE)
    return _pend(_person(s, ev.note), awaits=None, awaits_why="", approved=s.reviewed), ()


def _rejected(s: BeadState, ev: e.Rejected, _: Limits) -> Step:
    _held_for(s, ev, APPROVABLE)
    said = (f"a person rejected this: {ev.note}",) if ev.note else ()
    return _enter(_person(s, ev.note), Phase.IMPLEMENTATION, findings=said), ()


def _released(s: BeadState, ev: e.Released, _: Limits) -> Step:
    _held_for(s, ev, frozenset({Hold.PERSON}))
    after = _person(s, ev.note)
    return (_await_approval(after) if s.awaits else _pend(after)), ()


def _retried(s: BeadState, ev: e.Retried, _: Limits) -> Step:
    if s.status is not Status.FAILED:
        _held_for(s, ev, RETRYABLE)
    after = replace(_person(s, ev.note), done_claims=0, contract_wrong=False)
    if s.hold in (Hold.ALREADY_DONE, Hold.UNDONE):
        return _enter(after, Phase.CONTRACT, revisions=0, commit=None), ()
    return _pend(after), ()


def _undone(s: BeadState, ev: e.Undone, _: Limits) -> Step:
    _need(s, ev, s.phase is Phase.LANDED and s.status is Status.COMPLETE)
    return _stop(s, Status.HELD, ev.reason, Hold.UNDONE), ()


_ROWS: dict[type[Any], Callable[[BeadState, Any, Limits], Step]] = {
    e.Claimed: _claimed,
    e.ContractAccepted: _contract_accepted,
    e.CheckAccepted: _check_accepted,
    e.CheckRevised: _check_revised,
    e.ImplementationAccepted: _implementation_accepted,
    e.Defended: _defended,
    e.Contested: _contested,
    e.Forfeited: _forfeited,
    e.ReviewStalled: _review_stalled,
    e.Withheld: _withheld,
    e.LandingStarted: _landing_started,
    e.Landed: _landed,
    e.LandingLeft: _landing_left,
    e.LandingConflicted: _landing_conflicted,
    e.AttemptFailed: _attempt_failed,
    e.LeaseExpired: _lease_expired,
    e.CannotDo: _cannot_do,
    e.Added: _added,
    e.Edited: _edited,
    e.Blocked: _blocked,
    e.Unblocked: _unblocked,
    e.Removed: _removed,
    e.Reopened: _reopened,
    e.HeldByPerson: _held_by_person,
    e.Approved: _approved,
    e.Rejected: _rejected,
    e.Released: _released,
    e.Retried: _retried,
    e.Undone: _undone,
}
