"""Every row of "Bead life" in docs/semantics.md, by example."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lifecycle_kit import (
    BLOCK,
    CHECK,
    CLAIM,
    HOLD,
    LANDED,
    RED,
    STACKED,
    TO_CHECK,
    TO_IMPLEMENTATION,
    TO_LANDING,
    TO_REVIEW,
    Next,
    apply,
    cannot,
    check_accepted,
    check_revised,
    contested,
    contract_accepted,
    defended,
    expired,
    failed,
    forfeited,
    held,
    hinted,
    implementation_accepted,
    new,
    step,
)
from oya.errors import RefusedError
from oya.lifecycle import events as e
from oya.lifecycle.failures import FailureClass
from oya.lifecycle.model import BeadState, Hold, Limits, Phase, Role, Status
from oya.lifecycle.table import CancelAttempt

NO_PLANNER = Limits(planner=False)
NO_REVIEW = Limits(review=False)
APPROVALS = (Hold.APPROVAL, Hold.PROTECTED, Hold.WEAK_CONTRACT)


class TestClaim:
    @pytest.mark.parametrize(
        ("path", "role"),
        [
            ((), Role.TEST_WRITER),
            (TO_CHECK, Role.PLANNER),
            (TO_IMPLEMENTATION, Role.IMPLEMENTER),
            (TO_REVIEW, Role.REVIEWER),
        ],
    )
    def test_it_raises_the_epoch_and_counts_for_the_role(
        self, path: tuple[e.Event | Next, ...], role: Role
    ) -> None:
        pending = apply(new(), *path)
        assert pending.role is role
        working = apply(pending, CLAIM)
        assert (working.status, working.agent) == (Status.IN_PROGRESS, "agent-1")
        assert working.epoch == pending.epoch + 1
        assert working.claims[role] == pending.claims.get(role, 0) + 1

    def test_only_a_contract_takes_a_base_of_its_own(self) -> None:
        later = replace(CLAIM, base="base-9")
        assert apply(new(), later).base == "base-9"
        assert apply(new(), *TO_CHECK, later).base == "base-1"
        assert apply(new(), *TO_IMPLEMENTATION, later).base == "base-1"


class TestContract:
    def test_passing_its_gate_it_goes_to_the_planner(self) -> None:
        after = apply(new(), CLAIM, contract_accepted)
        assert after.where == "contract:check/pending"
        assert (after.contract, after.base, after.agent) == ("contract-1", "base-1", None)

    def test_without_a_planner_to_an_implementer(self) -> None:
        after = apply(new(), CLAIM, contract_accepted, limits=NO_PLANNER)
        assert after.where == "implementation/pending"

    @pytest.mark.parametrize(
        ("what", "hold"),
        [
            ("already_done", Hold.ALREADY_DONE),
            ("unclear", Hold.QUESTION),
            ("needs_person", Hold.QUESTION),
            ("contract_wrong", Hold.QUESTION),
        ],
    )
    def test_cannot_is_held_and_uses_no_attempt(self, what: e.Cannot, hold: Hold) -> None:
        after = apply(new(), CLAIM, lambda s: e.CannotDo(s.epoch, what, "why", "which one?"))
        assert (after.status, after.hold, after.retry_count) == (Status.HELD, hold, 0)
        assert after.reason == "which one?"


class TestCheck:
    def test_accepted_it_is_implemented(self) -> None:
        assert apply(new(), *TO_IMPLEMENTATION).where == "implementation/pending"

    def test_what_the_planner_found_in_passing_reaches_the_implementer(self) -> None:
        after = apply(new(), *TO_CHECK, CLAIM, lambda s: e.CheckAccepted(s.epoch, ("see units",)))
        assert after.findings == ("see units",)

    def test_revised_it_goes_back_with_findings_and_uses_no_attempt(self) -> None:
        after = apply(new(), *TO_CHECK, CLAIM, check_revised)
        assert after.where == "contract/pending"
        assert after.findings == ("one test has two reasons to fail",)
        assert (after.retry_count, after.revisions) == (0, 1)

    def test_the_third_time_it_is_accepted_and_the_reviewer_reads_why(self) -> None:
        revised = (*TO_CHECK, CLAIM, check_revised)
        implementing = apply(new(), *revised, *revised, *revised)
        assert implementing.where == "implementation/pending"
        assert implementing.findings == ()
        reviewing = apply(implementing, CLAIM, RED, CLAIM, implementation_accepted)
        assert reviewing.where == "review/pending"
        assert reviewing.findings == ("one test has two reasons to fail",)

    def test_the_second_reviewer_reads_it_too_but_not_that_of_another_contract(self) -> None:
        revised = (*TO_CHECK, CLAIM, check_revised)
        review = apply(new(), *revised, *revised, *revised, CLAIM, implementation_accepted)
        again = apply(review, CLAIM, contested(), CLAIM, implementation_accepted)
        assert again.findings == ("one test has two reasons to fail",)
        anew = apply(again, CLAIM, forfeited, *TO_REVIEW)
        assert anew.where == "review/pending"
        assert anew.findings == ()

    def test_three_revisions_are_counted_per_accepted_contract(self) -> None:
        accepted = apply(new(), *TO_CHECK, CLAIM, check_revised, *TO_IMPLEMENTATION)
        again = apply(accepted, CLAIM, cannot("contract_wrong"), *TO_CHECK, CLAIM, check_revised)
        assert (again.where, again.revisions) == ("contract/pending", 1)

    def test_unchecked_it_goes_on_and_the_reviewer_hears_of_it(self) -> None:
        late = apply(
            new(), *TO_CHECK, CLAIM, lambda s: e.CheckAccepted(s.epoch, unchecked="over 10m")
        )
        assert late.where == "implementation/pending"
        review = apply(late, CLAIM, implementation_accepted)
        assert review.findings == ("no planner has checked this contract: over 10m",)

    def test_after_max_attempts_failures_it_goes_on_unchecked(self) -> None:
        crash = failed(FailureClass.AGENT_CRASH, "died")
        twice = apply(new(), *TO_CHECK, CLAIM, crash, CLAIM, crash)
        assert twice.where == "contract:check/pending"
        after = apply(twice, CLAIM, crash)
        assert after.where == "implementation/pending"
        assert after.retry_count == 0
        assert "3 attempts failed; the last: died" in after.for_reviewer[0]

    def test_failures_that_do_not_count_never_let_it_through(self) -> None:
        state = apply(new(), *TO_CHECK)
        for _ in range(9):
            state = apply(state, CLAIM, failed(FailureClass.PROVIDER_LIMIT), CLAIM, expired())
        assert state.where == "contract:check/pending"


class TestImplementation:
    def test_accepted_it_is_reviewed(self) -> None:
        after = apply(new(), *TO_REVIEW)
        assert (after.where, after.implementation) == ("review/pending", "work-1")

    def test_without_review_it_waits_to_land(self) -> None:
        after = apply(new(), *TO_IMPLEMENTATION, CLAIM, implementation_accepted, limits=NO_REVIEW)
        assert (after.where, after.reviewed) == ("landing/pending", "work-1")

    @pytest.mark.parametrize("hold", APPROVALS)
    def test_without_review_approval_is_still_asked_for(self, hold: Hold) -> None:
        accepted = apply(
            new(),
            *TO_IMPLEMENTATION,
            CLAIM,
            lambda s: e.ImplementationAccepted(s.epoch, "work-1", "base-1", hold),
            limits=NO_REVIEW,
        )
        assert (accepted.where, accepted.hold) == ("landing/held", hold)

    def test_contract_wrong_goes_back_once_then_asks(self) -> None:
        back = apply(new(), *TO_IMPLEMENTATION, CLAIM, cannot("contract_wrong", "AC2 is missing"))
        assert back.where == "contract/pending"
        assert "AC2 is missing" in back.findings[0]
        again = apply(back, *TO_IMPLEMENTATION, CLAIM, cannot("contract_wrong"))
        assert (again.where, again.hold) == ("implementation/held", Hold.QUESTION)

    @pytest.mark.parametrize("what", ["unclear", "needs_person"])
    def test_any_other_cannot_is_a_question(self, what: e.Cannot) -> None:
        after = apply(new(), *TO_IMPLEMENTATION, CLAIM, cannot(what))
        assert (after.where, after.hold) == ("implementation/held", Hold.QUESTION)

    def test_already_done_is_a_finding_and_then_an_empty_attempt(self) -> None:
        once = apply(new(), *TO_IMPLEMENTATION, CLAIM, cannot("already_done"))
        assert (once.where, once.retry_count) == ("implementation/pending", 0)
        assert "not done already" in once.findings[0]
        again = apply(once, CLAIM, cannot("already_done"))
        assert (again.where, again.retry_count) == ("implementation/pending", 1)

    def test_already_done_does_not_hide_what_the_reviewer_found(self) -> None:
        back = apply(new(), *TO_REVIEW, CLAIM, contested("minus is lost"))
        after = apply(back, CLAIM, cannot("already_done"))
        assert after.findings[0] == "minus is lost"
        assert len(after.findings) == 2


class TestReview:
    def test_defended_it_waits_to_land(self) -> None:
        after = apply(new(), *TO_LANDING)
        assert (after.where, after.reviewed, after.role) == ("landing/pending", "work-1", None)

    @pytest.mark.parametrize("hold", APPROVALS)
    def test_defended_it_is_held_where_a_person_must_agree(self, hold: Hold) -> None:
        after = held(hold)
        assert (after.where, after.hold) == ("landing/held", hold)

    def test_what_it_is_held_for_is_said_until_it_is_approved(self) -> None:
        ready = apply(
            new(),
            *TO_REVIEW,
            CLAIM,
            lambda s: e.Defended(s.epoch, "work-1", Hold.PROTECTED, "changes .gitmodules"),
        )
        words = "waits for oya approve (protected): changes .gitmodules"
        assert ready.reason == words
        assert apply(ready, HOLD, e.Released()).reason == words
        approved = apply(ready, e.Approved())
        assert (approved.where, approved.reason) == ("landing/pending", "")
        assert apply(approved, HOLD, e.Released()).where == "landing/pending"

    def test_what_other_settings_let_land_is_held_until_a_person_approves_it(self) -> None:
        ready = apply(new(), *TO_LANDING)
        withheld = apply(ready, e.Withheld(Hold.APPROVAL))
        assert (withheld.where, withheld.hold) == ("landing/held", Hold.APPROVAL)
        assert apply(withheld, HOLD, e.Released()).hold is Hold.APPROVAL
        approved = apply(withheld, e.Approved())
        assert approved.where == "landing/pending"
        with pytest.raises(RefusedError, match="a person has approved it"):
            apply(approved, e.Withheld(Hold.APPROVAL))

    def test_contested_it_goes_back_with_survivors_and_permanent_checks(self) -> None:
        after = apply(new(), *TO_REVIEW, CLAIM, contested("minus is lost"))
        assert after.where == "implementation/pending"
        assert after.findings == ("minus is lost",)
        assert (after.checks, after.contests, after.retry_count) == ((CHECK,), 1, 0)

    def test_the_same_survivor_is_one_permanent_check(self) -> None:
        once = apply(new(), *TO_REVIEW, CLAIM, contested())
        again = apply(once, CLAIM, implementation_accepted, CLAIM, contested())
        assert again.checks == (CHECK,)

    def test_forfeited_the_contract_is_written_anew_and_nothing_becomes_permanent(self) -> None:
        after = apply(new(), *TO_REVIEW, CLAIM, forfeited)
        assert (after.where, after.checks, after.contests) == ("contract/pending", (), 1)
        assert after.findings == ("test_comma contradicts AC1",)

    def test_contested_and_forfeited_count_together_up_to_max_contests(self) -> None:
        state = apply(new(), *TO_REVIEW, CLAIM, contested())
        state = apply(state, CLAIM, implementation_accepted, CLAIM, forfeited, *TO_REVIEW)
        state = apply(state, CLAIM, contested(), CLAIM, implementation_accepted, CLAIM)
        assert state.contests == 3
        over = apply(state, contested("still lost"))
        assert (over.where, over.findings) == ("review/failed", ("still lost",))
        assert "contested more than 3 times" in over.reason

    def test_what_no_test_notices_sends_it_back_with_the_work_standing(self) -> None:
        after = apply(new(), *TO_REVIEW, CLAIM, hinted)
        assert (after.where, after.findings) == (
            "implementation/pending",
            ("nobody notices line 3",),
        )
        assert (after.contests, after.checks, after.snapshot) == (1, (), "work-1")
        assert apply(after, CLAIM, implementation_accepted).where == "review/pending"

    def test_that_happens_once_for_each_contract(self) -> None:
        reviewed = apply(new(), *TO_REVIEW, CLAIM, hinted, CLAIM, implementation_accepted, CLAIM)
        with pytest.raises(RefusedError, match="has had its mechanical round"):
            step(reviewed, hinted(reviewed))
        contract_2 = lambda s: e.ContractAccepted(s.epoch, "contract-2", "base-1", "check")  # noqa: E731
        anew = apply(reviewed, forfeited, CLAIM, contract_2, CLAIM, check_accepted)
        again = apply(anew, CLAIM, implementation_accepted, CLAIM, hinted)
        assert (again.where, again.contests) == ("implementation/pending", 3)

    def test_it_is_never_what_a_bead_fails_by(self) -> None:
        last = Limits(max_contests=0)
        state = apply(new(), *TO_REVIEW, CLAIM)
        with pytest.raises(RefusedError, match="no bead fails for mechanical findings"):
            step(state, hinted(state), last)

    def test_when_nothing_better_comes_of_it_the_work_is_reviewed_as_it_was(self) -> None:
        back = apply(new(), *TO_REVIEW, CLAIM, hinted)
        for _ in range(2):
            back = apply(back, CLAIM, RED)
            assert back.where == "implementation/pending"
        over = apply(back, CLAIM, RED)
        assert (over.where, over.implementation, over.retry_count) == (
            "review/pending",
            "work-1",
            0,
        )
        said = apply(new(), *TO_REVIEW, CLAIM, hinted, CLAIM, cannot("already_done"))
        assert (said.where, said.implementation) == ("review/pending", "work-1")

    def test_what_code_cannot_decide_is_a_question(self) -> None:
        after = apply(new(), *TO_REVIEW, CLAIM, lambda s: e.ReviewStalled(s.epoch, "which?"))
        assert (after.where, after.hold, after.reason) == ("review/held", Hold.QUESTION, "which?")

    def test_a_reviewer_may_say_once_that_the_contract_is_wrong(self) -> None:
        back = apply(new(), *TO_REVIEW, CLAIM, cannot("contract_wrong"))
        assert back.where == "contract/pending"
        again = apply(back, *TO_REVIEW, CLAIM, cannot("contract_wrong"))
        assert (again.where, again.hold) == ("review/held", Hold.QUESTION)

    def test_the_next_review_begins_at_the_accepted_head_whatever_the_last_one_wrote(self) -> None:
        crash = failed(FailureClass.AGENT_CRASH, snapshot="edited by the reviewer")
        assert apply(new(), *TO_REVIEW, CLAIM, crash).snapshot is None
        assert apply(new(), *TO_REVIEW, CLAIM, expired("edited")).snapshot is None


class TestLanding:
    def test_stacked_landed_complete(self) -> None:
        stacked = apply(new(), *TO_LANDING, STACKED)
        assert (stacked.where, stacked.base) == ("landing/in_progress", "base-2")
        after = apply(stacked, LANDED)
        assert (after.where, after.commit) == ("landed/complete", "line-1")

    def test_leaving_the_stack_costs_nothing(self) -> None:
        after = apply(new(), *TO_LANDING, STACKED, e.LandingLeft("the base moved"))
        assert (after.where, after.rebases, after.reviewed) == ("landing/pending", 0, "work-1")

    def test_a_conflict_is_rework_and_uses_no_attempt(self) -> None:
        after = apply(new(), *TO_LANDING, STACKED, e.LandingConflicted("conflict in a.py"))
        assert (after.where, after.rework) == ("implementation/pending", True)
        assert after.findings == ("conflict in a.py",)
        assert (after.retry_count, after.rebases, after.base) == (0, 1, "base-2")
        assert (after.contract, after.implementation) == ("contract-1", "work-1")

    def test_a_conflict_in_the_contract_s_files_goes_to_the_test_writer(self) -> None:
        after = apply(
            new(), *TO_LANDING, STACKED, e.LandingConflicted("tests/a.py", ("ours", "theirs"), True)
        )
        assert (after.where, after.rework) == ("contract/pending", True)
        assert after.findings == ("ours", "theirs")

    def test_rework_stays_rework_until_it_is_accepted_and_keeps_its_own_snapshot(self) -> None:
        before = apply(new(), *TO_IMPLEMENTATION, CLAIM, expired("old-snapshot"))
        assert before.snapshot == "old-snapshot"
        landing = apply(before, CLAIM, implementation_accepted, CLAIM, defended())
        rework = apply(landing, STACKED, e.LandingConflicted("conflict"))
        assert (rework.snapshot, rework.rework) == (None, True)
        again = apply(rework, CLAIM, expired("half-merged"))
        assert (again.snapshot, again.rework) == ("half-merged", True)
        accepted = apply(again, CLAIM, implementation_accepted)
        assert (accepted.snapshot, accepted.rework) == (None, False)

    def test_over_max_rebases_it_has_failed_and_retry_lets_it_land_again(self) -> None:
        again = (CLAIM, implementation_accepted, CLAIM, defended())
        conflict = (STACKED, e.LandingConflicted("conflict"))
        state = apply(new(), *TO_LANDING)
        for _ in range(3):
            state = apply(state, *conflict, *again)
        over = apply(state, *conflict)
        assert over.where == "landing/failed"
        assert "3 new bases" in over.reason
        retried = apply(over, e.Retried("I have merged the other one"))
        assert (retried.where, retried.rebases) == ("landing/pending", 0)
        assert apply(retried, STACKED, LANDED).where == "landed/complete"


class TestAttempts:
    def test_a_failure_that_counts_is_tried_again_up_to_max_attempts(self) -> None:
        once = apply(new(), CLAIM, RED)
        assert (once.where, once.retry_count) == ("contract/pending", 1)
        over = apply(once, CLAIM, RED, CLAIM, failed(FailureClass.GATE_RED, "2 tests failed"))
        assert (over.where, over.retry_count) == ("contract/failed", 3)
        assert over.reason == "3 attempts of contract failed; the last: 2 tests failed (gate_red)"

    def test_one_that_does_not_count_may_happen_any_number_of_times(self) -> None:
        state = apply(new(), *TO_IMPLEMENTATION, CLAIM, RED)
        for _ in range(20):
            state = apply(state, CLAIM, failed(FailureClass.PROVIDER_LIMIT), CLAIM, expired())
        assert (state.where, state.retry_count) == ("implementation/pending", 1)

    def test_an_accepted_phase_resets_the_count(self) -> None:
        after = apply(new(), CLAIM, RED, CLAIM, contract_accepted)
        assert after.retry_count == 0

    def test_the_snapshot_carries_on_within_the_phase(self) -> None:
        after = apply(new(), CLAIM, failed(FailureClass.AGENT_CRASH, snapshot="half"))
        assert after.snapshot == "half"
        assert apply(after, CLAIM, expired()).snapshot == "half"
        assert apply(after, CLAIM, contract_accepted).snapshot is None

    @pytest.mark.parametrize("failure", [FailureClass.GATE_RED, FailureClass.CONTRACT_BROKEN])
    def test_judged_work_begins_again_at_the_last_accepted_head(
        self, failure: FailureClass
    ) -> None:
        before = apply(new(), CLAIM, failed(FailureClass.AGENT_CRASH, snapshot="half"), CLAIM)
        assert apply(before, failed(failure, snapshot="red")).snapshot is None

    def test_the_newest_findings_stand_beside_what_the_phase_was_entered_with(self) -> None:
        back = apply(new(), *TO_REVIEW, CLAIM, contested("minus is lost"))
        red = apply(back, CLAIM, failed(FailureClass.GATE_RED, "red", ("test_a failed",)))
        assert red.findings == ("minus is lost", "test_a failed")
        redder = apply(red, CLAIM, failed(FailureClass.GATE_RED, "red", ("test_b failed",)))
        assert redder.findings == ("minus is lost", "test_b failed")

    def test_what_happened_to_an_agent_does_not_wipe_out_what_was_found(self) -> None:
        red = apply(new(), CLAIM, failed(FailureClass.GATE_RED, "red", ("test_a failed",)))
        empty = apply(red, CLAIM, failed(FailureClass.AGENT_EMPTY, "no diff"))
        assert empty.findings == ("test_a failed", "no diff")
        parked = apply(red, CLAIM, failed(FailureClass.PROVIDER_LIMIT, "429"))
        assert parked.findings == ("test_a failed",)

    def test_a_lost_lease_uses_no_attempt_and_keeps_the_snapshot(self) -> None:
        after = apply(new(), CLAIM, expired("half"))
        assert (after.where, after.retry_count) == ("contract/pending", 0)
        assert (after.snapshot, after.agent) == ("half", None)


class TestPersons:
    def test_hold_ends_the_attempt_and_release_gives_it_back_where_it_was(self) -> None:
        working = apply(new(), *TO_IMPLEMENTATION, CLAIM)
        held_, effects = step(working, HOLD)
        assert (held_.where, held_.hold) == ("implementation/held", Hold.PERSON)
        assert effects == (CancelAttempt(working.epoch),)
        assert apply(held_, e.Released()).where == "implementation/pending"

    @pytest.mark.parametrize(
        "end", [failed(FailureClass.CANCELLED, snapshot="half"), expired("half")]
    )
    @pytest.mark.parametrize("parting", [HOLD, BLOCK])
    def test_the_next_attempt_begins_at_the_snapshot_of_the_one_that_had_to_go(
        self, parting: e.Event, end: Next
    ) -> None:
        working = apply(new(), *TO_IMPLEMENTATION, CLAIM)
        parted = apply(working, parting)
        after, effects = step(parted, end)
        assert (after.snapshot, effects) == ("half", ())
        assert replace(after, snapshot=None, leaving=working.epoch) == replace(
            parted, version=after.version
        )

    def test_its_failure_is_not_held_against_the_bead(self) -> None:
        parted = apply(new(), *TO_IMPLEMENTATION, CLAIM, HOLD)
        after, effects = step(parted, failed(FailureClass.AGENT_CRASH, "killed", ("noise",)))
        assert (after.retry_count, after.findings, effects) == (0, (), ())

    def test_a_snapshot_comes_too_late_for_the_next_claim_or_the_next_phase(self) -> None:
        parted = apply(new(), *TO_IMPLEMENTATION, CLAIM, HOLD)
        for after in (apply(parted, e.Released(), CLAIM), apply(parted, e.Edited("text-2"))):
            assert after.leaving == 0

    @pytest.mark.parametrize("hold", APPROVALS)
    def test_approve_lets_the_reviewed_head_land(self, hold: Hold) -> None:
        after = apply(held(hold), e.Approved("fine"))
        assert (after.where, after.hold, after.awaits) == ("landing/pending", None, None)
        assert (after.reviewed, after.notes) == ("work-1", ("fine",))

    @pytest.mark.parametrize("hold", APPROVALS)
    def test_reject_sends_it_back_with_the_words(self, hold: Hold) -> None:
        after = apply(held(hold), e.Rejected("too clever"))
        assert after.where == "implementation/pending"
        assert "too clever" in after.findings[0]
        assert after.notes == ("too clever",)
        assert after.awaits is None

    @pytest.mark.parametrize("hold", APPROVALS)
    def test_hold_and_release_do_not_stand_in_for_approve(self, hold: Hold) -> None:
        after = apply(held(hold), HOLD, e.Released())
        assert (after.where, after.hold) == ("landing/held", hold)

    def test_rejected_work_asks_for_approval_again(self) -> None:
        again = apply(held(Hold.APPROVAL), e.Rejected("no"), CLAIM, implementation_accepted, CLAIM)
        assert apply(again, defended(Hold.APPROVAL)).where == "landing/held"

    def test_retry_of_a_failure_goes_on_where_it_stopped(self) -> None:
        over = apply(new(), *TO_IMPLEMENTATION, CLAIM, RED, CLAIM, RED, CLAIM, RED)
        after = apply(over, e.Retried("use Decimal"))
        assert (after.where, after.retry_count) == ("implementation/pending", 0)
        assert (after.notes, after.reason) == (("use Decimal",), "")

    def test_retry_of_a_question_goes_on_where_it_was_asked(self) -> None:
        asked = apply(new(), *TO_REVIEW, CLAIM, lambda s: e.ReviewStalled(s.epoch, "which?"))
        assert apply(asked, e.Retried()).where == "review/pending"

    def test_retry_of_already_done_begins_with_a_contract(self) -> None:
        done = apply(new(), CLAIM, cannot("already_done"))
        assert apply(done, e.Retried("look at the second line")).where == "contract/pending"

    def test_retry_of_undone_begins_with_a_contract_and_keeps_what_reviews_found(self) -> None:
        landed = apply(
            new(), *TO_REVIEW, CLAIM, contested(), CLAIM, implementation_accepted, CLAIM,
            defended(), STACKED, LANDED,
        )  # fmt: skip
        after = apply(landed, e.Undone("reverted"), e.Retried())
        assert (after.where, after.commit, after.checks) == ("contract/pending", None, (CHECK,))

    def test_each_answer_resets_every_count_and_notes_are_kept(self) -> None:
        worn: dict[str, Any] = {"retry_count": 2, "contests": 2, "rebases": 2, "notes": ("first",)}
        asked: list[tuple[BeadState, e.Event]] = [
            (held(Hold.APPROVAL), e.Approved("second")),
            (held(Hold.APPROVAL), e.Rejected("second")),
            (apply(new(), HOLD), e.Released("second")),
            (apply(new(), CLAIM, cannot("unclear")), e.Retried("second")),
        ]
        for state, answer in asked:
            after = apply(replace(state, **worn), answer)
            assert (after.retry_count, after.contests, after.rebases) == (0, 0, 0)
            assert after.notes == ("first", "second")


class TestTracker:
    def test_a_bead_starts_with_a_contract(self) -> None:
        assert (new().where, new().text, new().epoch) == ("contract/pending", "text-1", 0)

    def test_edited_it_begins_again(self) -> None:
        working = apply(new(), *TO_REVIEW, CLAIM, contested(), CLAIM)
        after, effects = step(working, e.Edited("text-2"))
        assert (after.where, after.text, after.checks) == ("contract/pending", "text-2", ())
        assert after.contests == 0
        assert effects == (CancelAttempt(working.epoch),)

    def test_edited_while_it_waits_for_approval_it_begins_again_without_one(self) -> None:
        after = apply(held(Hold.APPROVAL), e.Edited("text-2"))
        assert (after.where, after.awaits) == ("contract/pending", None)

    def test_edited_while_a_person_holds_it_stays_held(self) -> None:
        after = apply(held(Hold.APPROVAL), HOLD, e.Edited("text-2"))
        assert (after.where, after.hold, after.reason) == ("contract/held", Hold.PERSON, "leave it")
        assert apply(after, e.Released()).where == "contract/pending"

    def test_edited_while_it_is_blocked_it_stays_blocked(self) -> None:
        assert apply(new(), BLOCK, e.Edited("text-2")).blocked == "waits for oya-0"

    def test_blocked_it_is_pending_until_free(self) -> None:
        working = apply(new(), *TO_IMPLEMENTATION, CLAIM)
        after, effects = step(working, BLOCK)
        assert (after.where, after.blocked) == ("implementation/pending", "waits for oya-0")
        assert effects == (CancelAttempt(working.epoch),)
        assert apply(after, e.Unblocked(), CLAIM).where == "implementation/in_progress"

    def test_blocked_reviewed_work_still_needs_its_approval(self) -> None:
        after = apply(held(Hold.PROTECTED), BLOCK, e.Unblocked())
        assert (after.where, after.hold) == ("landing/held", Hold.PROTECTED)
        approved = apply(held(Hold.PROTECTED), BLOCK, e.Approved())
        assert (approved.where, approved.blocked) == ("landing/pending", "waits for oya-0")

    def test_removed_and_opened_again_it_begins_with_a_contract(self) -> None:
        working = apply(new(), *TO_IMPLEMENTATION, CLAIM, RED, CLAIM)
        gone, effects = step(working, e.Removed("closed by a person"))
        assert (gone.where, gone.reason) == ("implementation/removed", "closed by a person")
        assert effects == (CancelAttempt(working.epoch),)
        again = apply(gone, e.Reopened())
        assert (again.where, again.retry_count) == ("contract/pending", 0)
        assert again.epoch == working.epoch

    @pytest.mark.parametrize("hold", APPROVALS)
    def test_removed_and_opened_again_no_old_approval_is_asked_for(self, hold: Hold) -> None:
        after = apply(held(hold), e.Removed("closed"), e.Reopened())
        assert (after.where, after.hold, after.awaits) == ("contract/pending", None, None)

    def test_undone_waits_for_a_person_and_keeps_its_commit(self) -> None:
        after = apply(new(), *TO_LANDING, STACKED, LANDED, e.Undone("reverted"))
        assert (after.where, after.hold) == ("landed/held", Hold.UNDONE)
        assert after.commit == "line-1"


class TestCounting:
    def test_in_flight_is_claimed_once_and_not_at_an_end(self) -> None:
        claimed = apply(new(), CLAIM)
        assert not new().in_flight
        assert claimed.in_flight
        assert apply(claimed, RED).in_flight
        assert held(Hold.APPROVAL).in_flight
        for ended in (
            apply(claimed, HOLD),
            apply(claimed, cannot("unclear")),
            apply(claimed, e.Removed("closed")),
            apply(new(), CLAIM, RED, CLAIM, RED, CLAIM, RED),
            apply(new(), *TO_LANDING, STACKED, LANDED),
        ):
            assert not ended.in_flight

    def test_the_planner_s_work_begins_only_after_the_contract(self) -> None:
        assert new().role is Role.TEST_WRITER
        checked = apply(new(), *TO_CHECK, CLAIM, check_accepted)
        assert (checked.phase, checked.role) == (Phase.IMPLEMENTATION, Role.IMPLEMENTER)
