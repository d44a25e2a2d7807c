"""Whatever happens, in whatever order: the promises of docs/semantics.md hold for a bead."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lifecycle_kit import (
    CLAIM,
    HOLD,
    LANDED,
    STACKED,
    TO_LANDING,
    TO_REVIEW,
    Next,
    defended,
    events_for,
    new,
    refused,
)
from oya.lifecycle import events as e
from oya.lifecycle.failures import RULES, FailureClass
from oya.lifecycle.model import (
    APPROVABLE,
    BeadState,
    Check,
    Hold,
    Limits,
    Phase,
    Status,
    state_from_json,
    state_to_json,
)
from oya.lifecycle.table import CancelAttempt, transition

RESULTS = (
    e.ContractAccepted,
    e.CheckAccepted,
    e.CheckRevised,
    e.ImplementationAccepted,
    e.Defended,
    e.Contested,
    e.Forfeited,
)
ANSWERS = (e.Approved, e.Rejected, e.Released, e.Retried)
LEAVES_AN_END = {Status.COMPLETE: e.Undone, Status.REMOVED: e.Reopened}

limits = st.builds(
    Limits,
    max_attempts=st.integers(1, 3),
    max_contests=st.integers(1, 3),
    max_rebases=st.integers(1, 3),
    max_revisions=st.integers(1, 3),
    planner=st.booleans(),
    review=st.booleans(),
)
words = st.sampled_from(["", "one", "two"])
commits = st.sampled_from(["c1", "c2", "c3"])
snapshots = st.none() | commits
findings = st.lists(st.sampled_from(["f1", "f2"]), max_size=2).map(tuple)
holds = st.none() | st.sampled_from(sorted(Hold))
cannots = st.sampled_from(["already_done", "unclear", "contract_wrong", "needs_person"])
checks = st.lists(st.builds(Check, words, st.integers(0, 1)), max_size=2).map(tuple)
classes = st.sampled_from(sorted(FailureClass))


ANY = st.just(0)
"""Stands for the epoch, which is put in when the event is played."""

WORK: dict[type[Any], st.SearchStrategy[Any]] = {
    e.ContractAccepted: st.builds(e.ContractAccepted, ANY, commits, commits, st.just("behaviour")),
    e.CheckAccepted: st.builds(e.CheckAccepted, ANY, findings, words),
    e.CheckRevised: st.builds(e.CheckRevised, ANY, findings),
    e.ImplementationAccepted: st.builds(e.ImplementationAccepted, ANY, commits, commits, holds),
    e.Defended: st.builds(e.Defended, ANY, commits, holds),
    e.Contested: st.builds(e.Contested, ANY, findings, checks, st.booleans()),
    e.Forfeited: st.builds(e.Forfeited, ANY, words),
    e.ReviewStalled: st.builds(e.ReviewStalled, ANY, words),
    e.Withheld: st.builds(e.Withheld, st.sampled_from(sorted(APPROVABLE)), words),
    e.LandingStarted: st.builds(e.LandingStarted, commits),
    e.Landed: st.builds(e.Landed, commits),
    e.LandingLeft: st.builds(e.LandingLeft, words),
    e.LandingConflicted: st.builds(e.LandingConflicted, words, findings, st.booleans()),
    e.AttemptFailed: st.builds(e.AttemptFailed, ANY, classes, words, findings, snapshots),
    e.LeaseExpired: st.builds(e.LeaseExpired, ANY, words, snapshots),
    e.CannotDo: st.builds(e.CannotDo, ANY, cannots, words, words, snapshots),
}
"""What an agent or the lander may report."""

PEOPLE: dict[type[Any], st.SearchStrategy[Any]] = {
    e.Added: st.builds(e.Added, words, words),
    e.Edited: st.builds(e.Edited, words),
    e.Blocked: st.builds(e.Blocked, st.just("waits")),
    e.Unblocked: st.builds(e.Unblocked),
    e.Removed: st.builds(e.Removed, words),
    e.Reopened: st.builds(e.Reopened),
    e.HeldByPerson: st.builds(e.HeldByPerson, words),
    e.Approved: st.builds(e.Approved, words),
    e.Rejected: st.builds(e.Rejected, words),
    e.Released: st.builds(e.Released, words),
    e.Retried: st.builds(e.Retried, words),
    e.Undone: st.builds(e.Undone, words),
}
"""What a person or the tracker may want."""

paths = st.sampled_from(
    [
        (),
        TO_REVIEW,
        TO_LANDING,
        (*TO_REVIEW, CLAIM, defended(Hold.APPROVAL)),
        (*TO_REVIEW, CLAIM, defended(Hold.PROTECTED), HOLD),
        (*TO_LANDING, STACKED, LANDED),
    ]
)
"""Where a life may begin, so that few steps lead far."""

reports = st.sampled_from(list(WORK)).flatmap(WORK.__getitem__)


class LifeOfABead(RuleBasedStateMachine):
    """Plays events on one bead and keeps its own books beside it."""

    @initialize(limits=limits, path=paths)
    def begin(self, limits: Limits, path: tuple[e.Event | Next, ...]) -> None:
        # The paths are written for a swarm with all four roles.
        self.limits = replace(limits, planner=True, review=True) if path else limits
        self.state = new()
        self.answered: set[int] = set()
        self.results_here = 0
        self.approval: Hold | None = None
        for step in path:
            self.play(step(self.state) if callable(step) else step)

    @precondition(lambda self: self.state.status is Status.PENDING)
    @rule(base=commits)
    def somebody_claims(self, base: str) -> None:
        self.play(e.Claimed("agent", "codex", base))

    @precondition(lambda self: self.fitting(WORK))
    @rule(data=st.data())
    def work_goes_on(self, data: st.DataObject) -> None:
        kind = data.draw(st.sampled_from(self.fitting(WORK)))
        self.play(self.now(data.draw(WORK[kind])))

    @precondition(lambda self: self.fitting(PEOPLE))
    @rule(data=st.data())
    def somebody_wants_something(self, data: st.DataObject) -> None:
        kind = data.draw(st.sampled_from(self.fitting(PEOPLE)))
        self.play(data.draw(PEOPLE[kind]))

    @rule(event=reports, behind=st.integers(-1, 3))
    def a_late_or_false_report_comes(self, event: e.Event, behind: int) -> None:
        self.play(self.now(event, behind))

    def fitting(self, kinds: dict[type[Any], st.SearchStrategy[Any]]) -> list[type[Any]]:
        """The kinds of which an example applies now."""
        # Answers before edits and removals: the first is drawn most often, and should lead on.
        examples = [x for x in reversed(events_for(self.state)) if type(x) in kinds]
        return [type(x) for x in examples if self.fits(x)]

    def now(self, event: Any, behind: int = 0) -> Any:
        """The event under the current epoch, or one `behind` it; reviews judge the head."""
        if isinstance(event, e.Defended) and behind == 0:
            event = replace(event, commit=self.state.implementation or "")
        return replace(event, epoch=self.state.epoch - behind) if hasattr(event, "epoch") else event

    def fits(self, event: e.Event) -> bool:
        return not refused(self.state, event, self.limits)

    def play(self, event: e.Event) -> None:
        if not self.fits(event):
            return
        before = self.state
        self.state, effects = transition(before, event, self.limits)
        after = self.state
        assert after.version == before.version + 1
        assert after.epoch == before.epoch + isinstance(event, e.Claimed)
        self.check_ends(before, event)
        self.check_acceptance(before, event)
        self.check_attempts(before, event)
        self.check_approval(before, event)
        self.check_memory(before, event)
        told_to_go = [x.epoch for x in effects if isinstance(x, CancelAttempt)]
        left = before.status is Status.IN_PROGRESS and not hasattr(event, "epoch")
        landing = before.phase is Phase.LANDING
        assert told_to_go == ([before.epoch] if left and not landing else [])

    def check_ends(self, before: BeadState, event: e.Event) -> None:
        """Nothing but its one row leaves complete or removed."""
        if before.status in LEAVES_AN_END and self.state.status is not before.status:
            assert isinstance(event, LEAVES_AN_END[before.status])
        if self.state.phase is Phase.LANDED and before.phase is not Phase.LANDED:
            assert isinstance(event, e.Landed)
            assert before.where == "landing/in_progress"

    def check_acceptance(self, before: BeadState, event: e.Event) -> None:
        """One result an epoch, one between two entries, and only under the current epoch."""
        if isinstance(event, RESULTS):
            assert event.epoch == before.epoch
            assert before.status is Status.IN_PROGRESS
            assert event.epoch not in self.answered
            self.answered.add(event.epoch)
            self.results_here += 1
        assert self.results_here <= 1
        entered = (before.phase, before.checking) != (self.state.phase, self.state.checking)
        # A person's answer lets the bead begin anew even in the same phase.
        if entered or isinstance(event, (*ANSWERS, e.Edited, e.Reopened)):
            self.results_here = 0

    def check_attempts(self, before: BeadState, event: e.Event) -> None:
        """Attempts are used as the class says, and no more than there are."""
        after, most = self.state, self.limits.max_attempts
        stays = (before.phase, before.checking) == (after.phase, after.checking)
        if isinstance(event, e.AttemptFailed) and before.status is Status.IN_PROGRESS:
            used = before.retry_count + RULES[event.failure].counts
            over = RULES[event.failure].counts and used >= most
            assert (after.status is Status.FAILED) is (over and not before.checking)
            assert (after.phase is not before.phase) is (over and before.checking)
            assert after.retry_count == (used if stays else 0)
        elif isinstance(event, e.CannotDo) and after.retry_count > before.retry_count:
            assert (event.cannot, before.done_claims) == ("already_done", 1)
            assert after.retry_count == before.retry_count + 1
        else:
            assert after.retry_count in (0, before.retry_count)
            if stays and after.retry_count != before.retry_count:
                assert isinstance(event, (*ANSWERS, e.Edited, e.Reopened))

    def check_approval(self, before: BeadState, event: e.Event) -> None:
        """What awaits approval reaches the stack by approve alone."""
        if isinstance(event, e.Defended | e.ImplementationAccepted):
            self.approval = event.hold if self.state.phase is Phase.LANDING else None
        if isinstance(event, e.Withheld):
            assert before.approved is None or before.approved != before.reviewed
            self.approval = event.hold
        if isinstance(event, e.Approved):
            assert self.approval is not None
            assert self.state.reviewed == before.reviewed
            self.approval = None
        if self.state.phase is not Phase.LANDING:
            self.approval = None
        if self.approval is not None:
            assert self.state.status in (Status.HELD, Status.REMOVED)
        assert self.state.awaits == self.approval
        assert self.approval is None or self.approval in APPROVABLE

    def check_memory(self, before: BeadState, event: e.Event) -> None:
        """Notes are never lost; a permanent check goes only with the text it was made for."""
        after = self.state
        assert after.notes[: len(before.notes)] == before.notes
        kept = set(before.checks) <= set(after.checks)
        assert kept or isinstance(event, e.Edited)
        entered = (before.phase, before.checking) != (after.phase, after.checking)
        if entered:  # what is left as it is begins at what was accepted
            assert after.snapshot == (after.implementation if after.spare else None)
        if not entered and isinstance(event, e.AttemptFailed):
            assert set(before.brought) <= set(after.findings)

    @invariant()
    def it_is_somewhere(self) -> None:
        s = self.state
        assert (s.agent is not None) is (s.status is Status.IN_PROGRESS)
        assert (s.hold is not None) is (s.status is Status.HELD)
        assert s.checking <= (s.phase is Phase.CONTRACT)
        assert (s.status is Status.COMPLETE) <= (s.phase is Phase.LANDED)
        if s.phase is Phase.LANDED:
            assert s.status is Status.COMPLETE or s.hold is Hold.UNDONE
            assert s.commit is not None
        assert not (s.blocked and s.status is Status.IN_PROGRESS)
        if s.hold in APPROVABLE:
            assert s.phase is Phase.LANDING
            assert s.hold is s.awaits

    @invariant()
    def its_counts_are_bounded(self) -> None:
        s, most = self.state, self.limits
        assert s.retry_count <= most.max_attempts
        assert s.revisions < most.max_revisions
        for count, top in ((s.contests, most.max_contests), (s.rebases, most.max_rebases)):
            assert count <= top + 1
            assert count <= top or s.status in (Status.FAILED, Status.HELD, Status.REMOVED)
        assert sum(s.claims.values()) == s.epoch
        assert s.leaving in (0, s.epoch)
        assert not (s.leaving and s.status is Status.IN_PROGRESS)
        assert len(s.findings) <= len(s.brought) + 2 + most.max_attempts

    @invariant()
    def it_can_be_written_down(self) -> None:
        text = json.dumps(state_to_json(self.state))
        assert state_from_json(json.loads(text)) == self.state


TestLifeOfABead: Any = LifeOfABead.TestCase
TestLifeOfABead.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
# A failure is shrunk for up to five minutes before it is told.
TestLifeOfABead.pytestmark = pytest.mark.timeout(600)


def test_keys_that_a_newer_oya_wrote_are_ignored() -> None:
    row = state_to_json(new()) | {"mood": "fine"}
    assert state_from_json(row) == new()
