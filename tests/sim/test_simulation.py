"""A few hundred of the simulated disasters, and what makes them worth anything: that they repeat.

`make sim SEEDS=10000` runs many more; docs/testing.md says how to play one again.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import NoReturn

import pytest

from oya.clock import stamp
from oya.swarm.stack import Stack
from oya.testing.engine import Disk
from oya.testing.simulation import run as simulation
from oya.testing.simulation.check import breaches
from oya.testing.simulation.many import Found, some
from oya.testing.simulation.plan import LOSES, STORING, BeadPlan, Fault, Plan, draw
from oya.testing.simulation.run import run
from oya.testing.simulation.world import BEGAN

SEEDS = int(os.environ.get("OYA_SIM_SEEDS", "300"))
PARTS = 12
PRINTS = """
import hashlib
from oya.testing.simulation.plan import draw
from oya.testing.simulation.run import run
print(hashlib.sha256(run(draw(1)).events).hexdigest())
"""


def parts() -> Iterator[range]:
    size = -(-SEEDS // PARTS)
    for start in range(1, SEEDS + 1, size):
        yield range(start, min(start + size, SEEDS + 1))


@pytest.mark.parametrize(
    "seeds", list(parts()), ids=lambda seeds: f"{seeds.start}-{seeds.stop - 1}"
)
def test_every_promise_is_kept_whatever_happens(seeds: range) -> None:
    found = some(seeds)
    assert found.broken == {}, "python -m oya.testing.simulation --seed N --shrink"
    assert found.counts["landed"] > 10 * len(seeds), "most beads land, whatever happens"


def test_the_same_seed_gives_the_same_log_in_a_fresh_process_and_after_fifty_others() -> None:
    here = hashlib.sha256(run(draw(1)).events).hexdigest()
    with ProcessPoolExecutor(1) as pool:
        after_others = pool.submit(_after_others).result(timeout=100)
    fresh = [_printed(seed) for seed in ("0", "1", "random")]

    assert {here, after_others, *fresh} == {here}


def _after_others() -> str:
    for seed in range(100, 150):
        run(draw(seed))
    return hashlib.sha256(run(draw(1)).events).hexdigest()


def _printed(hash_seed: str) -> str:
    env = {**os.environ, "PYTHONHASHSEED": hash_seed}
    command = (sys.executable, "-c", PRINTS)
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


def test_seeds_differ_and_faults_happen() -> None:
    """Otherwise nothing above proves anything."""
    found = Found()
    digests = set()
    for seed in range(1, 41):
        ran = run(draw(seed))
        digests.add(ran.digest)
        found.counts += some_counts(ran)
    assert len(digests) == 40
    assert found.counts["died"] > 10
    assert found.counts["attempt_failed"] > 100
    assert found.counts["landing_conflicted"] > 20
    assert found.counts["lease_expired"] > 20


@pytest.mark.parametrize("seed", range(1, 6))
@pytest.mark.parametrize("told", [True, False])
def test_a_limit_that_tells_its_end_is_waited_out_and_costs_no_attempt(
    seed: int, told: bool
) -> None:
    about = {"backend": "beta", "class": "provider_limit", "seconds": 60.0, "told": told}
    beads = tuple(BeadPlan(f"b-{n:02}", "plain") for n in range(1, 6))
    ran = run(Plan(seed, beads, (Fault(0, 4.0, "provider", about),), target=5, harsh=0.0))
    assert breaches(ran) == []
    assert ran.world.rows("swarm_state")[-1]["landed_beads"] == 5

    events = [json.loads(row) for row in ran.events.splitlines()]
    refused = [row for row in events if row["class"] == "provider_limit"]
    assert refused
    assert [row["data"]["used"] for row in refused] == [0] * len(refused)
    parked = next(row for row in events if row["event"] == "backend_parked")
    over = stamp(BEGAN + timedelta(seconds=64.0))
    tries = [
        row["at"]
        for row in events
        if row["event"] == "claimed" and row["data"]["backend"] == "beta"
        if row["at"] > parked["at"]
    ]
    assert tries, "it is used again"
    assert (min(tries) >= over) is told
    assert (parked["data"]["until"] >= over) is told


@pytest.mark.parametrize("seed", range(1, 4))
@pytest.mark.parametrize("loses", LOSES)
def test_pushes_of_which_nobody_knows_land_once_each(seed: int, loses: str) -> None:
    beads = tuple(BeadPlan(f"b-{n:02}", "plain") for n in range(1, 6))
    faults = (
        Fault(0, 0.5, "unsure", {"seconds": 40.0, "loses": loses}),
        Fault(1, 20.0, "foreign", {"path": "src/foreign.x"}),
        Fault(2, 25.0, "crash", {"steps": 5, "down": 1.0}),
        Fault(3, 50.0, "foreign", {"path": "src/foreign.x"}),
    )
    ran = run(Plan(seed, beads, faults, target=5, harsh=0.0, remote=True))
    assert breaches(ran) == []
    assert ran.world.rows("swarm_state")[-1]["landed_beads"] == 5
    events = [json.loads(row) for row in ran.events.splitlines()]
    first = next(row["at"] for row in events if row["event"] == "landed")
    over = stamp(BEGAN + timedelta(seconds=40.5))
    assert (first < over) is (loses == "answer"), "landed when the remote says so"


def some_counts(ran: object) -> object:
    import json
    from collections import Counter

    from oya.testing.simulation.run import Ran

    assert isinstance(ran, Ran)
    names = Counter(json.loads(row)["event"] for row in ran.events.splitlines())
    names["died"] = sum(1 for fate in ran.world.fates if fate.startswith("died"))
    return names


@pytest.mark.parametrize("after", [5.0, 20.0, 35.0, 50.0])
def test_a_run_that_is_cut_off_has_only_not_come_to_its_end(
    after: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the moment: so what is said beside it of a stuck run is a broken promise."""
    for seed in range(1, 9):
        plan = draw(seed)
        monkeypatch.setattr(simulation, "ENDS_WITHIN", after + seed - plan.calm_from)
        assert {breach.promise for breach in breaches(run(plan))} == {"it_comes_to_an_end"}


def test_what_was_acknowledged_and_is_gone_or_changed_is_a_breach() -> None:
    ran = run(draw(1, beads=3))
    heard = ran.world.acknowledged
    assert len(heard) > 10
    assert breaches(ran) == []

    first, last = min(heard), max(heard)
    heard[first] += " "
    heard[f"{int(last) + 1:016}"] = heard[last]

    found = breaches(ran)
    assert {breach.promise for breach in found} == {"what_was_acknowledged_is_there"}
    assert [breach.what.partition(" was")[0] for breach in found] == [
        "event 1",
        f"event {int(last) + 1}",
    ]


@pytest.mark.parametrize("step", STORING)
def test_nothing_acknowledged_goes_with_the_power(
    step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost: list[bool] = []

    def lose_power(disk: Disk) -> None:
        lost.append(disk.volatile != disk.durable or disk.volatile_files != disk.durable_files)
        real(disk)

    real = Disk.lose_power
    monkeypatch.setattr(Disk, "lose_power", lose_power)
    for seed in range(1, 7):
        about = {"step": step, "nth": seed, "steps": 1}
        faults = tuple(Fault(n, 2.0 + 3 * n, "power", about) for n in range(3))
        ran = run(replace(draw(seed, beads=4), faults=faults))
        assert breaches(ran) == []
    assert sum(lost) >= 6, "something was in caches only"


def test_a_run_without_faults_lands_everything() -> None:
    drawn = draw(3)
    plain = tuple(replace(bead, kind="plain") for bead in drawn.beads)  # nothing to approve
    ran = run(replace(drawn, beads=plain, faults=(), harsh=0.0, target=25))
    assert breaches(ran) == []
    assert ran.world.lives == 1


def test_what_no_test_notices_sends_beads_back_once_and_fails_none() -> None:
    plan = Plan(1, tuple(BeadPlan(f"b-0{n}", "shared") for n in range(1, 5)), (), 4, harsh=0.0)
    events = [json.loads(line) for line in run(plan).events.splitlines()]
    back = [e["bead"] for e in events if e["event"] == "contested"]
    assert sorted(back) == ["b-01", "b-02", "b-03", "b-04"]
    assert all(e["data"]["mechanical"] for e in events if e["event"] == "contested")
    assert sum(e["event"] == "landed" for e in events) == 4
    quiet = [json.loads(line) for line in run(replace(plan, variants=0)).events.splitlines()]
    assert not [e for e in quiet if e["event"] == "contested"]


def test_a_run_that_raises_lets_what_is_under_way_go_in_silence(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A defect that ended the swarm left proofs to the garbage collector, which told of each."""

    def broken(self: Stack, place: int) -> NoReturn:
        raise AssertionError("a planted defect")

    told: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)
    monkeypatch.setattr(Stack, "landing", broken)
    beads = tuple(BeadPlan(f"b-{n:02}", "plain") for n in range(1, 7))
    for seed in range(1, 5):
        with pytest.raises(AssertionError, match="a planted defect"):
            run(Plan(seed, beads, (), 6, harsh=0.0, slots=4, ci=30.0))
        gc.collect()
    assert (told, caplog.messages) == ([], [])
