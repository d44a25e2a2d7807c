"""What the simulation has found in the code, each as a small plan of its own.

The seeds that found them mean nothing any more, since a plan is drawn differently by now; what
is kept here is the situation. Each of these failed before the defect was mended.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from oya.testing.simulation.check import breaches
from oya.testing.simulation.plan import UNPROVEN, BeadPlan, Fault, Plan, draw
from oya.testing.simulation.run import Ran, run

SEEDS = range(12)


def plan(seed: int, *faults: tuple[float, str, dict[str, Any]], **more: Any) -> Plan:
    """Three beads, the third after the second, and these faults."""
    beads = (
        BeadPlan("b-01", "plain"),
        BeadPlan("b-02", "shared"),
        BeadPlan("b-03", "plain", ("b-02",)),
    )
    given = {"beads": beads, "target": 3, "harsh": 0.0}
    made = tuple(Fault(n, at, kind, about) for n, (at, kind, about) in enumerate(faults))
    return Plan(seed=seed, faults=made, **(given | more))


def kept(plan: Plan) -> Ran:
    ran = run(plan)
    assert [str(breach) for breach in breaches(ran)] == []
    return ran


def landed(ran: Ran) -> int:
    return int(ran.world.rows("swarm_state")[-1]["landed_beads"])


@pytest.mark.parametrize("seed", SEEDS)
def test_an_attempt_that_ends_while_the_store_takes_nothing_is_not_in_progress_for_ever(
    seed: int,
) -> None:
    """Its result was taken for refused, and its lease had ended."""
    for seconds in (20.0, 100.0):
        ran = kept(plan(seed, (2.0 + seed / 4, "store out", {"seconds": seconds})))
        assert landed(ran) == 3


@pytest.mark.parametrize("seed", SEEDS)
def test_a_stop_in_an_outage_of_the_store_comes_to_its_end(seed: int) -> None:
    """The child task that wound down died of the outage, and nobody started another."""
    out = (3.0, "store out", {"seconds": 15.0})
    kept(plan(seed, out, (4.0, "stop", {"now": seed % 2 == 0, "down": 1.0})))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_defect_of_ours_anywhere_neither_hangs_the_swarm_nor_loses_a_message(seed: int) -> None:
    """A crash of the orchestrator lost what it had in hand: Start, or the end of an attempt."""
    wheres = ("a port", "orchestrator", "supervisor", "lander", "tracker", "orchestrator")
    defects = [(n / 2 + seed / 40, "defect", {"where": w}) for n, w in enumerate(wheres)]
    kept(plan(seed, *defects))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_broken_writer_ends_the_swarm_instead_of_letting_it_stand(seed: int) -> None:
    """A defect met in a commit leaves a writer that decides nothing more."""
    ran = kept(plan(seed, *[(1.0 + n / 3, "defect", {"where": "a port"}) for n in range(4)]))
    assert landed(ran) == 3


@pytest.mark.parametrize("seed", SEEDS)
def test_a_swarm_is_not_done_while_what_has_landed_is_about_to_free_others(seed: int) -> None:
    """It ended between `landed` and the `unblocked` of the bead behind."""
    ran = kept(plan(seed))
    assert (landed(ran), ran.world.lives) == (3, 1)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_bead_behind_one_that_is_missing_for_one_reading_stays_blocked(seed: int) -> None:
    """Some programs write a file bit by bit: half of it freed what depended on the other half."""
    away = (1.0 + seed / 3, "edit", {"bead": "b-02", "how": "delete", "commit": False})
    kept(plan(seed, away, target=2))


@pytest.mark.parametrize("seed", SEEDS)
def test_what_a_disk_that_refuses_has_left_is_put_away_at_the_end(seed: int) -> None:
    """Base refs and folders stayed until the next start."""
    kept(plan(seed, (4.0 + seed / 4, "git out", {"seconds": 3.0})))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_landing_that_is_recorded_after_an_outage_leaves_no_candidate(seed: int) -> None:
    """The line had moved, `landed` came later, and the ref of the candidate stayed."""
    kept(plan(seed, (8.0 + seed / 4, "store out", {"seconds": 6.0})))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_contract_that_goes_on_from_a_snapshot_is_judged_on_the_base_it_stands_on(
    seed: int,
) -> None:
    """What had landed meanwhile was taken for the agent's edits, and never forgiven."""
    beads = tuple(BeadPlan(f"b-{n:02}", "plain") for n in range(1, 7))
    dies = [(1.0 + n / 2 + seed / 20, "agent dies", {}) for n in range(12)]
    ran = kept(plan(seed, *dies, beads=beads, target=6))
    assert b"put these back: .beads" not in ran.events


@pytest.mark.parametrize("seed", SEEDS)
def test_what_git_refuses_to_the_very_end_may_be_left_for_the_next_start(seed: int) -> None:
    """Here the simulation was wrong: it took the outage for over before the swarm had ended."""
    out = (12.0 + seed / 3, "git out", {"seconds": 25.0})
    kept(plan(seed, out, (15.0 + seed / 3, "target", {"target": 1})))


@pytest.mark.parametrize("seed", SEEDS)
def test_who_asked_for_work_before_a_crash_of_the_orchestrator_is_not_forgotten(seed: int) -> None:
    """An agent's question may overtake the end of its attempt: it was lost where that end was in
    hand, and the end alone came again."""
    for at in (5.0, 6.5, 8.0):
        ran = kept(plan(seed, (at, "defect", {"where": "orchestrator", "in_hand": True})))
        assert landed(ran) == 3


def test_a_bead_that_is_opened_again_when_the_clock_was_set_back_is_seen_as_that() -> None:
    """Here the simulation was wrong: its person's change looked older than the landing."""
    small = draw(9284).only(["b-09", "b-10"], [5, 9])
    kinds = [(fault.kind, fault.about.get("how")) for fault in small.faults]
    assert kinds == [("clock", None), ("edit", "reopen")], "another draw: this proves nothing now"
    kept(replace(small, planner=False, deploy=True))


def test_a_dependency_added_while_a_start_runs_its_gates_counts_at_the_first_claim() -> None:
    """The backlog was read before the gates of the base, and not again before the first claim."""
    kept(draw(20242))


@pytest.mark.parametrize("kind", UNPROVEN)
def test_what_no_test_stands_for_and_nobody_reviews_is_what_a_person_says(kind: str) -> None:
    """The checker asked for work that an agent had not done, and a person had approved."""
    beads = (BeadPlan("b-01", kind), BeadPlan("b-02", "shared"), BeadPlan("b-03", "plain"))
    for seed in (7, 14, 39, 52):
        kept(plan(seed, (50.0, "sync", {}), beads=beads, harsh=1.0, review=False))
