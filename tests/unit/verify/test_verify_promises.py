"""Each promise: a history that breaks it, and only it; and what looks like a breach and is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from verify_kit import (
    BASE,
    CONTRACT,
    KEPT,
    LANDED,
    WORK,
    A,
    bead_of,
    broken,
    changed,
    claimed,
    closed,
    ended,
    event,
    kept,
    later,
    place_of,
    put,
    ran,
    state,
    swarm_of,
    with_events,
    without,
)

from oya.verify import PROMISES, Commit, Dependency, History, check
from oya.verify.slim import slim


def failed(epoch: int = 4, to: str = "implementation/pending", **more: object) -> dict[str, object]:
    """One more end of an attempt at `a`."""
    more = {"class_": "gate_red", "reason": "red", **more}
    return event("attempt_failed", "a", "implementation/in_progress", to, epoch, **more)


def a_claim_of_b(*before: dict[str, object], beads: tuple[str, ...] = ()) -> History:
    """`b` is claimed while `before` holds, and the attempt ends at once. `beads`: more of them."""
    rows = [
        *before,
        claimed("b", "contract", 1),
        event("lease_expired", "b", "contract/in_progress", "contract/pending", 1, reason="gone"),
    ]
    history = replace(kept(), beads={**kept().beads, **{bead: state(bead) for bead in beads}})
    return bead_of(with_events(put("unblocked", *rows), history), "b", base=BASE)


def gap() -> History:
    history = kept()
    gone = [row for row in history.events if row["seq"] != place_of("gate_ran", n=3) + 1]
    return swarm_of(replace(history, events=gone), gate_runs=4)


def a_step_is_missing() -> History:
    rows = changed("held_by_person", **{"from": "contract/failed"})
    return with_events(rows)


def another_state() -> History:
    return bead_of(kept(), "b", status="failed", reason="no event says so")


def no_such_step() -> History:
    rows = put("held_by_person", event("released", "b", "contract/held", "review/pending", 0))
    return bead_of(with_events(rows), "b", phase="review", status="pending")


def an_acknowledged_commit_is_lost() -> History:
    return bead_of(kept(), "a", implementation=CONTRACT)


def blocked_in_its_state_alone() -> History:
    return bead_of(kept(), "b", blocked="waits for c")


def a_swarm_goes_astray() -> History:
    return with_events(without("swarm_stopping"))


def a_swarm_is_elsewhere() -> History:
    return swarm_of(kept(), status="failed")


def an_epoch_is_skipped() -> History:
    rows = [
        row | {"epoch": row["epoch"] + 1} if row["bead"] == "a" and row["epoch"] in (4, 5) else row
        for row in KEPT
    ]
    history = replace(kept(), attempts={("a", epoch): "" for epoch in (1, 2, 3, 5, 6)})
    return with_events(rows, history)


def a_stale_result() -> History:
    """The first implementer's result comes when the second is at work; its epoch is ignored."""
    return with_events(changed("implementation_accepted", epoch=3))


def two_leases() -> History:
    """A claim out of nowhere: the first attempt has not ended, whatever the log makes of it."""
    rows = put(
        "unblocked",
        claimed("b", "contract", 1),
        event("released", "b", "contract/in_progress", "contract/pending", 1),
        claimed("b", "contract", 2),
        event("lease_expired", "b", "contract/in_progress", "contract/pending", 2, reason="gone"),
    )
    return bead_of(with_events(rows), "b", base=BASE)


def ended_twice() -> History:
    again = event("lease_expired", "b", "contract/held", "contract/held", reason="late")
    return with_events(put("held_by_person", again))


def two_results() -> History:
    """Two reviews of one entry are accepted: the second of a claim that was made before."""
    second = event("defended", "a", "landing/pending", "landing/pending", data={"commit": WORK})
    return with_events(put("defended", second))


def a_provider_limit_is_counted() -> History:
    return bead_of(kept(), "b", retry_count=1)


def a_crash_is_counted_twice() -> History:
    return with_events(changed("attempt_failed", data={"used": 2}))


def failed_too_early() -> History:
    rows = put(
        "unblocked",
        claimed("b", "contract", 1),
        event(
            "attempt_failed",
            "b",
            "contract/in_progress",
            "contract/failed",
            1,
            class_="gate_red",
            reason="red",
        ),
    )
    rows = [row | ({"from": "contract/failed"} if row["reason"] == "mine" else {}) for row in rows]
    history = bead_of(with_events(rows), "b", base=BASE, retry_count=1)
    return swarm_of(history, failures={"agent_crash": 1, "gate_red": 1})


def failed_too_late() -> History:
    """A third failure, where two are allowed."""
    rows = put("attempt_failed", claimed("a", "implementation", 4), failed())
    rest = rows[place_of("attempt_failed") + 3 :]
    later = [row | {"epoch": row["epoch"] + 1} if row["bead"] == "a" else row for row in rest]
    rows = [*rows[: place_of("attempt_failed") + 3], *later]
    history = replace(kept(), attempts={("a", epoch): "" for epoch in range(1, 7)})
    return swarm_of(with_events(rows, history), failures={"agent_crash": 1, "gate_red": 1})


def failed_without_a_reason() -> History:
    rows = changed("held_by_person", event="retried", to="contract/failed")
    return bead_of(with_events(rows), "b", status="failed", reason="")


def a_claim_while_blocked() -> History:
    first = event("blocked", "b", "contract/pending", "contract/pending", 0, reason="deferred")
    history = a_claim_of_b(first)
    return bead_of(history, "b", blocked="deferred")


def a_dependency_is_not_done() -> History:
    history = a_claim_of_b()
    tracker = {**(history.tracker or {}), "c": {"status": "open"}}
    return replace(history, tracker=tracker, depends={"b": [Dependency("a"), Dependency("c")]})


def a_dependency_was_opened_again() -> History:
    """`c` had been closed, which is not so any more."""
    rows = [
        event("added", "c", None, "contract/pending"),
        event("removed", "c", "contract/pending", "contract/removed", reason="closed"),
        event("reopened", "c", "contract/removed", "contract/pending"),
    ]
    history = a_claim_of_b(*rows, beads=("c",))
    tracker = {**(history.tracker or {}), "c": {"status": "open"}}
    return replace(history, tracker=tracker, depends={"b": [Dependency("c")]})


def a_dependency_was_undone() -> History:
    """`a` had landed; it is closed in the tracker again, but was not at that claim."""
    undone = event("undone", "a", "landed/complete", "landed/held", reason="not on main")
    return bead_of(a_claim_of_b(undone), "a", status="held")


def a_bead_too_many() -> History:
    """One has landed, one is in flight, and two is the target."""
    rows = [
        event("added", "c", None, "contract/pending"),
        claimed("c", "contract", 1),
        event("lease_expired", "c", "contract/in_progress", "contract/pending", 1, reason="gone"),
    ]
    return bead_of(a_claim_of_b(*rows, beads=("c",)), "c", base=BASE)


def no_room_beside_what_waits_for_approval() -> History:
    """`a` waits for a person to approve of it, and the target is one."""
    return waits_for("approval")


def waits_for(hold: str) -> History:
    """`a` is reviewed, and waits for a person, while `b` is begun."""
    rows = [
        *KEPT[: place_of("defended")],
        KEPT[place_of("defended")] | {"to": "landing/held", "data": {"commit": WORK, "hold": hold}},
        KEPT[place_of("unblocked")],
        claimed("b", "contract", 1),
        event("lease_expired", "b", "contract/in_progress", "contract/pending", 1, reason="gone"),
        event("approved", "a", "landing/held", "landing/pending"),
        *KEPT[place_of("landing_started") : place_of("unblocked")],
        *KEPT[place_of("unblocked") + 1 :],
    ]
    rows[0] = rows[0] | {"data": rows[0]["data"] | {"target": 1}}
    history = bead_of(with_events(rows), "b", base=BASE)
    return replace(history, depends={})


def a_claim_while_paused() -> History:
    rows = put(
        "unblocked",
        event("swarm_paused", frm="running", to="paused", reason="person"),
        claimed("b", "contract", 1),
        event("lease_expired", "b", "contract/in_progress", "contract/pending", 1, reason="gone"),
        event("swarm_running", frm="paused", to="running"),
    )
    return bead_of(with_events(rows), "b", base=BASE)


def at_once_after_a_crash() -> History:
    history = with_events(changed("claimed", 4, agent="implementer-1"))
    crash, claim = place_of("attempt_failed"), place_of("claimed", n=4)
    events = list(history.events)
    events[crash] = {**events[crash], "agent": "implementer-1"}
    events[claim] = {**events[claim], "at": events[crash]["at"].replace(".000Z", ".100Z")}
    return replace(history, events=events)


def a_gate_runs_after_the_end() -> History:
    return swarm_of(with_events([*KEPT, ran("ci", "k-ci", "t-land")]), gate_runs=6)


def red_evidence_is_missing() -> History:
    rows = changed("contract_accepted")
    del rows[place_of("contract_accepted")]["data"]["red"]
    return with_events(rows)


def red_evidence_was_green() -> History:
    rows = changed("gate_ran", 2, data={"ok": True, "red": []})
    return with_events(rows)


def red_elsewhere() -> History:
    return with_events(changed("gate_ran", 2, data={"red": ["tests/b.py::test_b"]}))


def red_on_another_base() -> History:
    """The base is no landed commit, as in every first wave."""
    return replace(kept(), judged={**kept().judged, BASE: "t-other"})


def red_for_another_contract() -> History:
    return replace(kept(), judged={**kept().judged, CONTRACT: "t-other"})


def a_base_that_nobody_knows() -> History:
    return replace(kept(), judged={CONTRACT: "t-red"})


def checks_were_green() -> History:
    red = {"checks": [{"command": "true", "expect": 0, "exit": 0}]}
    return with_events(changed("contract_accepted", data={"red": red}))


def preserved_and_broke_something() -> History:
    return with_events(changed("contract_accepted", data={"kind": "preserve"}))


def landed_without_approval() -> History:
    rows = changed("defended", to="landing/held", data={"hold": "protected"})
    at = place_of("defended") + 1
    released = event("released", "a", "landing/held", "landing/pending")
    return with_events([*rows[:at], released, *rows[at:]])


def landed_without_approval_though_withheld() -> History:
    at = place_of("defended") + 1
    held = event("withheld", "a", "landing/pending", "landing/held", data={"hold": "protected"})
    released = event("released", "a", "landing/held", "landing/pending")
    return with_events([*KEPT[:at], held, released, *KEPT[at:]])


def landed_alone_with_a_weak_contract() -> History:
    return with_events(changed("swarm_starting", data={"unattended": ["check"]}))


def evidence_of_another_tree() -> History:
    return with_events(changed("gate_ran", 5, data={"tree": "t-work"}))


def evidence_is_red() -> History:
    return with_events(changed("gate_ran", 5, data={"ok": False}))


def became_worse() -> History:
    """One test may stay red, another has become so."""
    rows = changed("swarm_starting", data={"baseline": "no-worse"})
    rows[place_of("gate_ran", n=1)]["data"] |= {"ok": False, "red": ["tests/b.py::old"]}
    red = ["tests/b.py::old", "tests/b.py::new"]
    rows[place_of("gate_ran", n=4)]["data"] |= {"ok": False, "red": red}
    return with_events(rows)


def evidence_of_no_run() -> History:
    return with_events(changed("landed", data={"evidence": ["k-land", "k-ci", "k-other"]}))


def a_gate_was_left_out() -> History:
    return with_events(changed("landed", data={"evidence": ["k-land"]}))


def proven_by_what_is_not_above() -> History:
    return with_events(changed("landed", data={"proven": "2" * 40}))


def on_another_base() -> History:
    commits = [Commit(LANDED, "a", "e" * 40, "t-land", "s-1")]
    return replace(kept(), commits=commits)


def a_flaky_test_of_its_own() -> History:
    rows = put("landing_started", ran("tests", "k-land", "t-land", ok=False, red=[A]))
    return swarm_of(with_events(rows), gate_runs=6)


def two_commits() -> History:
    history = kept()
    again = Commit("2" * 40, "a", LANDED, "t-land", "s-1")
    return replace(history, commits=[*history.commits, again], intents=["a"], swarms=running())


def running() -> dict[str, dict[str, object]]:
    return {"s-1": dict(kept().swarms["s-1"])}


def no_event_of_a_commit() -> History:
    history = kept()
    more = Commit("2" * 40, "b", LANDED, "t-more", "s-1")
    return replace(history, commits=[*history.commits, more])


def no_commit_of_an_event() -> History:
    return replace(kept(), commits=[])


def open_in_the_tracker() -> History:
    history = kept()
    return replace(history, tracker={**(history.tracker or {}), "a": {"status": "open"}})


def closed_first() -> History:
    history = kept()
    landed = {"status": "closed", "close_reason": "landed as 0123456789ab"}
    return replace(history, tracker={**(history.tracker or {}), "b": landed})


def one_too_many() -> History:
    return with_events(put("claimed", event("swarm_changed", data={"target": 0})))


def a_ref_is_gone() -> History:
    history = kept()
    return replace(history, attempts={k: v for k, v in history.attempts.items() if k != ("a", 3)})


def a_snapshot_is_gone() -> History:
    return replace(kept(), held=lambda commit: commit != WORK)


def gone_though_only_deleted() -> History:
    """What is no more in the tracker may be a mistake."""
    return closed(reason="deleted in the tracker")


def gone_too_soon() -> History:
    return closed(days=1)


OPENED = event("reopened", "c", "contract/removed", "contract/pending")


def gone_though_opened_again() -> History:
    """It was closed for a day only, whatever time has gone by since then."""
    return bead_of(later(closed(OPENED, days=1), "swarm_stopping", 60), "c", status="pending")


def gone_after_it_was_opened_again() -> History:
    """The attempt before that may have gone, the one after it may not."""
    again = claimed("c", "contract", 2), ended("c", 2)
    history = bead_of(closed(OPENED, *again), "c", status="pending")
    return swarm_of(history, failures={"agent_crash": 1, "cancelled": 2})


def gone_though_undone() -> History:
    """`a` had landed for a moment only; its bead is held, and its work waits for a person."""
    undone = event("undone", "a", "landed/complete", "landed/held", reason="not on main")
    rows = put("unblocked", undone)
    rows[0] = rows[0] | {"data": rows[0]["data"] | {"retention": 86_400}}
    history = bead_of(with_events(rows), "a", status="held")
    attempts = {key: head for key, head in kept().attempts.items() if key != ("a", 3)}
    history = replace(history, attempts=attempts, pruned={"until": 0, "counts": []})
    return later(history, "swarm_stopping", 60)


def work_is_gone_too_soon() -> History:
    history = closed(days=1)
    attempts = {**history.attempts, ("c", 1): "f" * 40}
    return replace(history, attempts=attempts, held=lambda commit: commit != "1" * 40)


def a_counter_is_off() -> History:
    return swarm_of(kept(), gate_runs=6)


def a_failure_is_not_counted() -> History:
    return swarm_of(kept(), failures={})


def an_intent_is_left() -> History:
    return replace(kept(), intents=["b"])


def an_intent_to_push_is_left() -> History:
    """What is held is not being landed, whatever was pushed of it."""
    return replace(kept(), intents=["b"], pushed=["b"])


def a_ref_is_left() -> History:
    return replace(kept(), leftovers=["refs/oya/base/a/1"])


BREACHES: dict[str, tuple[Callable[[], History], ...]] = {
    "log_has_no_gaps": (gap,),
    "steps_join": (another_state, a_step_is_missing),
    "steps_are_in_the_table": (no_such_step,),
    "states_are_what_events_make": (an_acknowledged_commit_is_lost, blocked_in_its_state_alone),
    "swarms_live_as_they_should": (a_swarm_goes_astray, a_swarm_is_elsewhere),
    "epochs_rise_at_claims": (an_epoch_is_skipped, a_stale_result),
    "leases_never_overlap": (two_leases, ended_twice, a_stale_result),
    "accepted_at_most_once": (two_results, a_stale_result),
    "attempts_are_counted": (
        a_provider_limit_is_counted,
        a_crash_is_counted_twice,
        failed_too_early,
        failed_too_late,
        failed_without_a_reason,
    ),
    "only_free_beads_are_begun": (a_claim_while_blocked,),
    "dependencies_come_first": (
        a_dependency_is_not_done,
        a_dependency_was_opened_again,
        a_dependency_was_undone,
    ),
    "new_beads_have_room": (a_bead_too_many, no_room_beside_what_waits_for_approval),
    "claims_only_while_running": (a_claim_while_paused,),
    "crashed_agents_pause": (at_once_after_a_crash,),
    "nothing_runs_after_the_end": (a_gate_runs_after_the_end,),
    "contracts_were_red": (
        red_evidence_is_missing,
        red_evidence_was_green,
        red_elsewhere,
        checks_were_green,
        red_on_another_base,
        red_for_another_contract,
        a_base_that_nobody_knows,
        preserved_and_broke_something,
    ),
    "held_work_was_approved": (
        landed_without_approval,
        landed_without_approval_though_withheld,
        landed_alone_with_a_weak_contract,
    ),
    "landed_trees_were_green": (
        evidence_of_another_tree,
        evidence_is_red,
        became_worse,
        evidence_of_no_run,
        a_gate_was_left_out,
    ),
    "only_a_batch_is_proven_by_its_top": (proven_by_what_is_not_above,),
    "landed_on_the_recorded_base": (on_another_base,),
    "own_tests_are_not_flaky": (a_flaky_test_of_its_own,),
    "each_bead_lands_once": (two_commits,),
    "log_and_line_agree": (no_event_of_a_commit, no_commit_of_an_event),
    "tracker_and_line_agree": (open_in_the_tracker, closed_first),
    "target_is_never_exceeded": (one_too_many,),
    "attempts_are_kept": (
        a_ref_is_gone,
        gone_though_only_deleted,
        gone_too_soon,
        gone_though_opened_again,
        gone_after_it_was_opened_again,
        gone_though_undone,
    ),
    "named_work_is_held": (a_snapshot_is_gone, work_is_gone_too_soon),
    "counters_equal_events": (a_counter_is_off, a_failure_is_not_counted),
    "nothing_is_left": (an_intent_is_left, an_intent_to_push_is_left, a_ref_is_left),
}
ALSO = {
    # What a breach of one promise cannot do without.
    "a_step_is_missing": {"steps_are_in_the_table"},
    "another_state": {"states_are_what_events_make"},
    "a_stale_result": {"epochs_rise_at_claims", "leases_never_overlap", "accepted_at_most_once"},
    "two_leases": {"steps_are_in_the_table"},
    "two_results": {"steps_are_in_the_table", "leases_never_overlap"},
    "failed_without_a_reason": {"steps_are_in_the_table"},
    "two_commits": {"nothing_is_left"},
}
CASES = [(name, make) for name, makes in BREACHES.items() for make in makes]


def test_a_history_that_keeps_them_all_has_no_breach() -> None:
    assert check(kept()) == []


def test_every_promise_has_a_history_that_breaks_it() -> None:
    assert list(BREACHES) == [promise.__name__ for promise in PROMISES]
    assert all(promise.__doc__ for promise in PROMISES)


@pytest.mark.parametrize(("name", "make"), CASES, ids=lambda case: getattr(case, "__name__", case))
def test_a_breach_is_noticed_and_named(name: str, make: Callable[[], History]) -> None:
    history = make()
    found = broken(history)
    assert name in found
    assert broken(replace(history, events=[slim(row) for row in history.events])) == found
    assert set(found) <= {name} | ALSO.get(make.__name__, set()), check(make())
