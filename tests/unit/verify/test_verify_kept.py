"""What looks like a breach and is none: a checker that cries wolf is not read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from test_verify_promises import waits_for
from verify_kit import (
    BASE,
    CONTRACT,
    CRASHED,
    KEPT,
    LANDED,
    WORK,
    Row,
    bead_of,
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
)

from oya.verify import Commit, Dependency, History, check
from oya.verify.slim import slim

KILLED = KEPT[: place_of("landing_started") + 3]
"""The log of a daemon that was killed when the gates of a landing had run."""


def killed(**more: object) -> History:
    """The history of `KILLED`: nothing has ended, so things may lie about."""
    history = bead_of(kept(), "a", phase="landing", status="in_progress", commit=None)
    history = bead_of(history, "b", status="pending", reason="", blocked="waits for a")
    history = swarm_of(history, status="running", landed_beads=0)
    tracker = {bead: {"status": "open"} for bead in "ab"}
    left = {"intents": ["a"], "leftovers": ["refs/oya/base/a/5"], "commits": [], "tracker": tracker}
    return with_events(KILLED, history, **(left | more))


def killed_after_the_line_moved() -> History:
    """The landed commit is there, its intent too; its event is the next daemon's to write."""
    return killed(commits=[Commit(LANDED, "a", BASE, "t-land", "s-1")])


def stopped_with_a_push_on_its_way() -> History:
    """A remote that did not answer: whether it has the landing is for the next swarm to find."""
    rows = [
        *KILLED,
        event("swarm_stopping", frm="running", to="stopping"),
        event("swarm_stopped", frm="stopping", to="stopped"),
    ]
    history = swarm_of(killed(leftovers=[], pushed=["a"]), status="stopped")
    return with_events(rows, history)


def recorded_by_the_next_swarm() -> History:
    """The swarm had ended with its landing unrecorded; the next one finds it on the line."""
    place = place_of("landed")
    rows = [
        *(row for row in KEPT[:place]),
        event("swarm_stopping", frm="running", to="stopping"),
        event("swarm_stopped", frm="stopping", to="stopped"),
        event("swarm_starting", to="starting", data={"target": 1}) | {"swarm": "s-2"},
        KEPT[place],
        *(KEPT[place + 1 : place + 3]),
        event("swarm_stopped", frm="starting", to="stopped") | {"swarm": "s-2"},
    ]
    history = swarm_of(kept(), status="stopped")
    other = {"status": "stopped", "landed_beads": 0, "gate_runs": 0, "failures": {}}
    return with_events(rows, replace(history, swarms={**history.swarms, "s-2": other}))


def cut_off_twice() -> History:
    """A daemon that was killed says nothing; the next one goes on from whatever it said last."""
    again = event("swarm_continued", frm="running", to="starting", data={"target": 2})
    once_more = event("swarm_continued", data={"target": 2})  # it was starting already
    on = event("swarm_running", frm="starting", to="running")
    return with_events(put("unblocked", again, once_more, on))


def told_to_go() -> History:
    """A person holds a bead that is worked on; the attempt ends later, once."""
    rows = [
        *KEPT[: place_of("held_by_person")],
        claimed("b", "contract", 1),
        event("held_by_person", "b", "contract/in_progress", "contract/held", reason="mine"),
        event(
            "attempt_failed",
            "b",
            "contract/held",
            "contract/held",
            1,
            class_="cancelled",
            data={"snapshot": BASE},
        ),
        *KEPT[place_of("held_by_person") + 1 :],
    ]
    history = with_events(rows, replace(kept(), attempts=_attempts(("b", 1))))
    history = swarm_of(history, failures={"agent_crash": 1, "cancelled": 1})
    return bead_of(history, "b", base=BASE)


def _attempts(*more: tuple[str, int]) -> dict[tuple[str, int], str]:
    return {**kept().attempts, **dict.fromkeys(more, "head")}


def an_actor_crashed() -> History:
    rows = put(
        "unblocked",
        claimed("b", "contract", 1),
        event(
            "lease_expired",
            "b",
            "contract/in_progress",
            "contract/pending",
            1,
            reason="the agent crashed",
            data={"failure": "internal"},
        ),
    )
    history = swarm_of(with_events(rows), failures={"agent_crash": 1, "internal": 1})
    return bead_of(history, "b", base=BASE)


def undone_and_landed_again() -> History:
    """What landed was taken back; the bead may land once more."""
    start, end = place_of("claimed"), place_of("landed") + 1
    again = [row for row in KEPT[start:end] if row["event"] not in ("attempt_failed", "gate_ran")]
    again = [row for row in again if not (row["event"] == "claimed" and row["epoch"] == 3)]
    redone: list[Row] = []
    for row in again:
        epoch = None if row["epoch"] is None else row["epoch"] + (5 if row["epoch"] < 3 else 4)
        data = row["data"] | ({"commit": "2" * 40} if row["event"] == "landed" else {})
        redone.append(row | {"epoch": epoch, "data": data})
    rows = [
        *KEPT[: end + 1],
        event("undone", "a", "landed/complete", "landed/held", reason="reverted"),
        event("retried", "a", "landed/held", "contract/pending"),
        *redone,
        *KEPT[end + 1 :],
    ]
    commits = [Commit("2" * 40, "a", BASE, "t-land", "s-1")]
    history = with_events(rows, replace(kept(), commits=commits))
    history = bead_of(history, "a", commit="2" * 40)
    history = swarm_of(history, landed_beads=2)
    return replace(history, attempts=_attempts(*(("a", epoch) for epoch in range(6, 10))))


def opened_again_by_a_person() -> History:
    again = {"status": "open", "updated_at": "2026-02-01T00:00:00Z"}
    return replace(kept(), tracker={**(kept().tracker or {}), "a": again})


def still_to_be_closed() -> History:
    """Git does not track the file, and it could not be written yet."""
    return replace(kept(), tracker={"a": {"status": "open"}, "b": {"status": "open"}}, unclosed="a")


def a_person_says_landed() -> History:
    by_hand = {"status": "closed", "close_reason": "landed by hand"}
    return replace(kept(), tracker={**(kept().tracker or {}), "b": by_hand})


def flickered_elsewhere() -> History:
    """A test of somebody else's was red, and green on the same tree: flaky, and it may land."""
    rows = put("landing_started", ran("tests", "k-land", "t-land", ok=False, red=["tests/x.py::x"]))
    return swarm_of(with_events(rows), gate_runs=6)


def nothing_collected() -> History:
    return with_events(changed("gate_ran", 4, data={"ok": False, "empty": True}))


def lowered_meanwhile() -> History:
    """The target was lowered while the gates ran: the landing had begun under the old one."""
    return with_events(put("landing_started", event("swarm_changed", data={"target": 0})))


def written_by_an_older_oya() -> History:
    """No keys, no rules, no evidence of red: it is taken as it is."""
    rows = [row | {"data": dict(row["data"])} for row in KEPT]
    for row in rows:
        for name in ("key", "red", "target", "limits", "gates", "beads"):
            row["data"].pop(name, None)
    return with_events(rows)


def retention_took_some() -> History:
    """Runs of gates that nothing names are gone, and counted."""
    history = kept()
    gone = [place_of("gate_ran", n=3) + 1]
    events = [row for row in history.events if row["seq"] not in gone]
    pruned = {"until": 15, "counts": [["s-1", "gate_ran", None, 1]]}
    attempts = {key: head for key, head in history.attempts.items() if key != ("a", 3)}
    return replace(history, events=events, pruned=pruned, attempts=attempts)


def a_contract_that_went_with_its_base() -> History:
    """Retention let the attempts go, the line was written anew, and git cleaned up."""
    gone = ("a", 1), ("a", 3), ("a", 4)
    attempts = {key: head for key, head in kept().attempts.items() if key not in gone}
    history = replace(retention_took_some(), attempts=attempts, judged={})
    return replace(history, held=lambda commit: commit not in (CONTRACT, WORK, CRASHED))


def a_dependency_that_was_taken_out() -> History:
    needs = [Dependency("c", until="2026-01-01T00:00:00.000Z"), Dependency("gone")]
    return replace(kept(), depends={"a": needs}, tracker={**(kept().tracker or {}), "c": _OPEN})


_OPEN = {"status": "open"}


def a_dependency_that_was_closed_before() -> History:
    before = {"status": "closed", "closed_at": "2025-12-31T00:00:00Z"}
    tracker = {**(kept().tracker or {}), "c": before}
    return replace(kept(), depends={"a": [Dependency("c")]}, tracker=tracker)


def a_dependency_that_was_deleted() -> History:
    """It is gone from the tracker, so that nothing could ever satisfy it."""
    rows = put(
        "swarm_starting",
        event("added", "c", None, "contract/pending"),
        event("removed", "c", "contract/pending", "contract/removed", reason="deleted"),
    )
    history = replace(kept(), beads={**kept().beads, "c": state("c", status="removed")})
    return with_events(rows, history, depends={"a": [Dependency("c")]})


def a_dependency_that_was_undone_and_stays_closed(closed: str = "2026-01-01") -> History:
    rows = put(
        "unblocked",
        event("undone", "a", "landed/complete", "landed/held", reason="not on main"),
        claimed("b", "contract", 1),
        event("lease_expired", "b", "contract/in_progress", "contract/pending", 1, reason="gone"),
    )
    before = {"status": "closed", "closed_at": f"{closed}T00:00:00.000Z"}
    history = with_events(rows, tracker={**(kept().tracker or {}), "a": before})
    return bead_of(bead_of(history, "a", status="held"), "b", base=BASE)


def a_dependency_that_was_undone_after_the_clock_was_set_back() -> History:
    history = a_dependency_that_was_undone_and_stays_closed("2026-02-01")
    undone = next(row["seq"] for row in history.events if row["event"] == "undone")
    events = [
        row | {"at": row["at"].replace("2026-01", "2025-01")} if row["seq"] >= undone else row
        for row in history.events
    ]
    return replace(history, events=events)


def a_dependency_that_was_closed_while_it_was_at_work() -> History:
    """The tracker says so at once; its bead is removed when its landing has been left."""
    rows = put("swarm_starting", event("added", "c", None, "contract/pending"))
    why = "closed in the tracker"
    rows.append(event("removed", "c", "contract/pending", "contract/removed", reason=why))
    history = replace(kept(), beads={**kept().beads, "c": state("c", status="removed")})
    tracker = {**(kept().tracker or {}), "c": _OPEN}  # closed in the checkout, not on the line
    return with_events(rows, history, depends={"a": [Dependency("c")]}, tracker=tracker)


def begun_beside_what_waits_for_more_than_approval() -> History:
    """`a` is held for what a person must look into: it is not in flight."""
    return waits_for("weak_contract")


def begun_as_a_person_brought_another_back() -> History:
    """The claim of `b` was decided before `c`, which had failed, came back into flight."""
    rows = put(
        "unblocked",
        event("added", "c", None, "contract/pending"),
        claimed("c", "contract", 1),
        ended("c", 1),
        event("held_by_person", "c", "contract/pending", "contract/held", reason="mine"),
        event("released", "c", "contract/held", "contract/pending"),
        claimed("b", "contract", 1),
        event("lease_expired", "b", "contract/in_progress", "contract/pending", 1, reason="gone"),
    )
    history = replace(kept(), beads={**kept().beads, "c": state("c", base=BASE)})
    history = with_events(rows, history, attempts=_attempts(("c", 1)))
    history = swarm_of(history, failures={"agent_crash": 1, "cancelled": 1})
    return bead_of(history, "b", base=BASE)


def begun_as_the_target_was_lowered() -> History:
    """The claim of `b` was decided under the old one."""
    rows = put(
        "unblocked",
        event("swarm_changed", data={"target": 1}),
        claimed("b", "contract", 1),
        event("lease_expired", "b", "contract/in_progress", "contract/pending", 1, reason="gone"),
    )
    return bead_of(with_events(rows), "b", base=BASE)


def begun_beside_beads_of_another_swarm() -> History:
    """This one was to work on `a` and `b` alone; `c` was begun by an earlier one."""
    rows = put(
        "unblocked",
        event("added", "c", None, "contract/pending"),
        claimed("c", "contract", 1),
        ended("c", 1),
        claimed("b", "contract", 1),
        event("lease_expired", "b", "contract/in_progress", "contract/pending", 1, reason="gone"),
    )
    rows[0] = rows[0] | {"data": rows[0]["data"] | {"beads": ["a", "b"]}}
    history = replace(kept(), beads={**kept().beads, "c": state("c", base=BASE)})
    history = with_events(rows, history, attempts=_attempts(("c", 1)))
    history = swarm_of(history, failures={"agent_crash": 1, "cancelled": 1})
    return bead_of(history, "b", base=BASE)


def closed_for_long() -> History:
    return closed()


def closed_for_long_and_opened_again() -> History:
    """Its attempts had gone before that."""
    again = event("reopened", "c", "contract/removed", "contract/pending")
    return bead_of(closed(again), "c", status="pending")


def landed_for_long_and_undone() -> History:
    """What it landed with had gone when it was undone."""
    undone = event("undone", "a", "landed/complete", "landed/held", reason="not on main")
    rows = put("unblocked", undone)
    rows[0] = rows[0] | {"data": rows[0]["data"] | {"retention": 86_400}}
    history = bead_of(
        with_events(rows, attempts={}, pruned={"until": 0, "counts": []}), "a", status="held"
    )
    return later(history, "undone", 2)


def approved() -> list[Row]:
    """The events with bead `a` held for its contract, and approved."""
    rows = changed("defended", to="landing/held", data={"hold": "weak_contract"})
    at = place_of("defended") + 1
    return [*rows[:at], event("approved", "a", "landing/held", "landing/pending"), *rows[at:]]


def withheld_and_approved() -> History:
    """Reviewed under other settings, held by those of a later start, and approved then."""
    at = place_of("defended") + 1
    held = event("withheld", "a", "landing/pending", "landing/held", data={"hold": "approval"})
    said = event("approved", "a", "landing/held", "landing/pending")
    return with_events([*KEPT[:at], held, said, *KEPT[at:]])


def weak(kind: str, **data: object) -> History:
    rows = approved()
    rows[0]["data"] |= {"unattended": ["behaviour", "check"]}
    rows[place_of("contract_accepted")]["data"] |= {"kind": kind, "fail_to_pass": [], **data}
    return with_events(rows)


def a_refactoring_that_was_approved() -> History:
    history = weak("preserve")
    (red,) = [row for row in history.events if row["data"].get("key") == "k-red"]
    red["data"] |= {"ok": True, "red": []}
    return history


def prose_that_was_approved() -> History:
    return weak("none", red={"keys": []})


def a_kind_that_may_land_alone() -> History:
    return with_events(changed("swarm_starting", data={"unattended": ["behaviour"]}))


def as_red_as_before() -> History:
    """Tests of a file that cannot be collected on the base, and `ci` for them."""
    rows = changed("swarm_starting", data={"baseline": "no-worse"})
    before = ran("ci", "k-ci-base", "t-base", ok=False, red=["ci"])
    rows[place_of("gate_ran", n=1)]["data"] |= {"ok": False, "red": ["tests/b.py", "tests/c.py::x"]}
    red = ["tests/b.py::old", "tests/c.py::x"]
    rows[place_of("gate_ran", n=4)]["data"] |= {"ok": False, "red": red}
    rows[place_of("gate_ran", n=5)]["data"] |= {"ok": False, "red": ["ci"]}
    rows.insert(place_of("gate_ran", n=1), before)
    return swarm_of(with_events(rows), gate_runs=6)


CASES = (
    as_red_as_before,
    withheld_and_approved,
    a_refactoring_that_was_approved,
    prose_that_was_approved,
    a_kind_that_may_land_alone,
    killed,
    killed_after_the_line_moved,
    stopped_with_a_push_on_its_way,
    recorded_by_the_next_swarm,
    cut_off_twice,
    told_to_go,
    an_actor_crashed,
    undone_and_landed_again,
    opened_again_by_a_person,
    still_to_be_closed,
    a_person_says_landed,
    flickered_elsewhere,
    nothing_collected,
    lowered_meanwhile,
    written_by_an_older_oya,
    retention_took_some,
    a_contract_that_went_with_its_base,
    a_dependency_that_was_taken_out,
    a_dependency_that_was_closed_before,
    a_dependency_that_was_deleted,
    a_dependency_that_was_undone_and_stays_closed,
    a_dependency_that_was_undone_after_the_clock_was_set_back,
    a_dependency_that_was_closed_while_it_was_at_work,
    begun_beside_what_waits_for_more_than_approval,
    begun_as_a_person_brought_another_back,
    begun_as_the_target_was_lowered,
    begun_beside_beads_of_another_swarm,
    closed_for_long,
    closed_for_long_and_opened_again,
    landed_for_long_and_undone,
)


@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
def test_it_is_none(make: Callable[[], History]) -> None:
    history = make()
    assert check(history) == []
    assert check(replace(history, events=[slim(row) for row in history.events])) == []


def test_what_retention_took_and_did_not_count_is_missing() -> None:
    history = retention_took_some()
    found = check(replace(history, pruned={"until": 20, "counts": []}))
    assert {breach.promise for breach in found} == {"log_has_no_gaps", "counters_equal_events"}
    late = check(replace(history, pruned={"until": 10, "counts": [["s-1", "gate_ran", None, 1]]}))
    assert {breach.promise for breach in late} == {"log_has_no_gaps"}


def test_a_record_that_cannot_be_read_is_a_breach_and_no_crash() -> None:
    found = check(with_events(changed("landed", data={"commit": None, "evidence": 5})))
    assert found
    assert any("cannot be read" in breach.what for breach in found)
    assert check(replace(kept(), events=[{"seq": 1}])) != []


def test_a_log_without_a_bead_that_has_a_state_is_noticed() -> None:
    rows = [row for row in KEPT if row["bead"] != "b"]
    beads = kept().beads
    cut = replace(with_events(rows, replace(kept(), beads={"a": beads["a"]})), beads=beads)
    assert {breach.promise for breach in check(cut)} == {"steps_join"}
