"""What goes from the store after its time, and what stays for ever; on virtual time."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oya.clock import LoopClock, stamp
from oya.errors import StoreUnavailable
from oya.lifecycle.events import Added, Removed, Undone
from oya.lifecycle.model import BeadState, Limits, Phase, Status
from oya.lifecycle.swarm import SwarmState
from oya.store import Store
from oya.store.head import BeadDetails
from oya.store.retention import PAGE
from oya.testing.beside import SimulatedBeside
from oya.testing.engine import Disk, Outcome, SimulatedEngine
from oya.testing.loop import run_virtual
from oya.verify.history import History
from oya.verify.log import Log
from oya.verify.steps import log_has_no_gaps

LIMITS = Limits()
DAY = 86_400.0
CLOCK = LoopClock()


async def opened(disk: Disk) -> Store:
    return await Store.open(
        SimulatedBeside(disk), clock=CLOCK, engine=lambda _: SimulatedEngine(disk)
    )


def lived(story: Callable[[Store], Awaitable[Any]], disk: Disk | None = None) -> Any:
    disk = disk or Disk()

    async def run() -> Any:
        store = await opened(disk)
        try:
            return await story(store)
        finally:
            await store.close()

    return run_virtual(run)


def ago(days: float) -> str:
    return stamp(CLOCK.now() - timedelta(days=days))


async def ran(store: Store, **data: Any) -> None:
    await store.events.append("gate_ran", swarm="s", reason="ci", data=data)


async def names(store: Store) -> list[str]:
    return [record.event for record in await store.events.since(0, limit=10_000)]


def test_old_notes_go_and_what_changed_something_stays() -> None:
    async def story(store: Store) -> None:
        await store.swarms.put(SwarmState("s"), event="swarm_starting", data={"target": 1})
        await store.beads.apply("done", Added("t"), swarm="s", limits=LIMITS)
        await store.beads.apply("open", Added("t"), swarm="s", limits=LIMITS)
        await store.events.append("findings", swarm="s", bead="done", epoch=1)
        await store.events.append("findings", swarm="s", bead="open", epoch=1)
        await store.events.append("warning", swarm="s", class_="x")
        await store.events.append("backend_parked", swarm="s")
        await store.swarms.update("s", lambda s: s, event="swarm_changed", data={"target": 2})
        await store.events.append("of another version")
        await store.beads.apply("done", Removed("closed"), swarm="s", limits=LIMITS)
        await asyncio.sleep(10 * DAY)
        await store.events.append("warning", swarm="s")
        await store.events.append("warning", swarm="s")

        assert await store.retention.events(ago(5), pages=9) == 3
        kept = [
            "swarm_starting",
            "added",
            "added",
            "findings",
            "swarm_changed",
            "of another version",
            "removed",
            "warning",
            "warning",
        ]
        assert await names(store) == kept
        assert await store.retention.pruned() == {
            "until": 10,
            "counts": [
                ["s", "backend_parked", None, 1],
                ["s", "findings", None, 1],
                ["s", "warning", "x", 1],
            ],
        }
        assert [r.bead for r in await store.events.since(0, bead="open")] == ["open", "open"]
        assert await store.retention.events(ago(5), pages=9) == 0

    lived(story)


def test_notes_on_what_was_undone_stay_until_it_is_over() -> None:
    """It is held, and waits for a person."""

    async def story(store: Store) -> None:
        landed = BeadState("a", version=1, phase=Phase.LANDED, status=Status.COMPLETE)
        store._writer.head.beads["a"] = landed
        store._writer.head.details["a"] = BeadDetails(1, ago(0), ago(0))
        await store.events.append("findings", bead="a")
        await store.beads.apply("a", Undone("reverted"), swarm="s", limits=LIMITS)
        await asyncio.sleep(10 * DAY)
        await store.events.append("warning")
        assert await store.retention.events(ago(5), pages=9) == 0

    lived(story)


def test_runs_of_gates_that_a_landing_or_a_contract_names_stay() -> None:
    async def story(store: Store) -> None:
        for key in ("landed", "red", "nobody's", "landed", "later"):
            await ran(store, key=key, tree="t", ok=True)
        await ran(store, tree="of an older version", ok=True)
        await store.events.append(
            "contract_accepted", bead="a", from_="x", to="y", data={"red": {"keys": ["red"]}}
        )
        await store.events.append(
            "landed", bead="a", from_="y", to="z", data={"evidence": ["landed"]}
        )
        await asyncio.sleep(10 * DAY)
        await store.events.append(
            "landed", bead="b", from_="y", to="z", data={"evidence": ["later"]}
        )

        assert await store.retention.events(ago(5), pages=9) == 1
        runs = [r.data.get("key") for r in await store.events.since(0) if r.event == "gate_ran"]
        assert runs == ["landed", "red", "landed", "later", None]

    lived(story)


def test_it_goes_in_slices_and_others_have_their_turn() -> None:
    disk = Disk()

    async def story(store: Store) -> None:
        many = 5 * PAGE
        await asyncio.gather(*(ran(store, key=f"{n}") for n in range(many)))
        await asyncio.sleep(10 * DAY)
        await store.events.append("now")
        before = disk.commits
        pruning = asyncio.ensure_future(store.retention.events(ago(5), pages=99))
        while disk.commits == before:
            await asyncio.sleep(0)
        record = await store.events.append("between")
        assert not pruning.done()
        assert await pruning == many
        assert disk.commits - before in (5, 6), "slices of 200, and the one between"
        assert [r.seq for r in await store.events.since(0)] == [many + 1, record.seq]

    lived(story, disk)


def test_where_too_much_would_have_to_be_read_nothing_is_done() -> None:
    async def story(store: Store) -> None:
        await asyncio.gather(*(ran(store, key=f"{n}") for n in range(3 * PAGE)))
        await asyncio.sleep(10 * DAY)
        assert await store.retention.events(ago(5), pages=2) == 0
        assert await store.retention.pruned() is None
        assert await store.retention.events(ago(5), pages=3) == 3 * PAGE - 1, "the last one stays"

    lived(story)


def test_evidence_goes_by_its_time_round_the_table() -> None:
    async def story(store: Store) -> None:
        await asyncio.gather(*(store.evidence.put(f"old-{n:04}", {}) for n in range(2 * PAGE)))
        await asyncio.sleep(10 * DAY)
        await store.evidence.put("new", {})
        await store.evidence.put("zzz", {})
        assert await store.retention.evidence(ago(5), pages=1) == PAGE - 1
        assert await store.retention.evidence(ago(5), pages=1) == PAGE
        assert await store.retention.evidence(ago(5), pages=9) == 1
        assert [key for key, _ in await store.evidence.all()] == ["new", "zzz"]
        assert await store.evidence.get("old-0000") is None
        assert await store.retention.evidence(ago(5), pages=9) == 0

    lived(story)


async def checkpoints(store: Store, pages: int = 9) -> tuple[int, list[str]]:
    """How many go that are older than five days, and which are left but for what was pruned."""
    gone = await store.retention.checkpoints(("looked:", "survived:"), ago(5), pages=pages)
    return gone, [key for key, _ in await store.checkpoints.all() if key != "pruned"]


def test_checkpoints_go_when_their_bead_is_long_over() -> None:
    async def story(store: Store) -> None:
        for bead in ("closed", "late", "open", "undone"):
            await store.beads.apply(bead, Added("t"), swarm="s", limits=LIMITS)
        await store.beads.apply("closed", Removed("closed"), swarm="s", limits=LIMITS)
        landed = BeadState("undone", version=1, phase=Phase.LANDED, status=Status.COMPLETE)
        store._writer.head.beads["undone"] = landed
        await store.beads.apply("undone", Undone("reverted"), swarm="s", limits=LIMITS)
        beads = ("closed", "late", "open", "undone", "unknown")
        for kind in ("looked:", "survived:", "unclosed:"):
            for bead in beads:
                await store.checkpoints.put(f"{kind}{bead}", {"row": 1})
        await asyncio.sleep(4 * DAY)
        await store.beads.apply("late", Removed("deleted"), swarm="s", limits=LIMITS)
        assert (await checkpoints(store))[0] == 2, "only of what nobody knows"
        await asyncio.sleep(4 * DAY)

        gone, left = await checkpoints(store)
        assert gone == 2
        kept = [f"{kind}{bead}" for kind in ("looked:", "survived:") for bead in beads[1:4]]
        assert left == [*kept, *sorted(f"unclosed:{bead}" for bead in beads)]
        assert await store.checkpoints.get("looked:closed") is None
        assert (await store.checkpoints.get("looked:open")) == {"row": 1}
        await asyncio.sleep(4 * DAY)
        assert (await checkpoints(store))[0] == 2, "and now what was deleted late"

    lived(story)


def test_checkpoints_go_in_slices_and_no_more_is_read_than_was_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("oya.store.retention.PAGE", 4)
    disk = Disk()

    async def story(store: Store) -> None:
        for number in range(10):
            await store.checkpoints.put(f"looked:{number}", {})
            await store.checkpoints.put(f"survived:{number}", {})
        before = disk.commits
        assert (await checkpoints(store, pages=2))[0] == 8
        assert disk.commits - before == 2
        assert (await checkpoints(store, pages=9)) == (12, [])
        assert disk.commits - before == 6
        assert (await checkpoints(store))[0] == 0
        assert disk.commits - before == 6

    lived(story, disk)


def test_a_new_state_has_nothing_old() -> None:
    async def story(store: Store) -> None:
        assert not await store.retention.anything(ago(5))
        await store.events.append("first")
        assert not await store.retention.anything(ago(5))
        await asyncio.sleep(10 * DAY)
        assert await store.retention.anything(ago(5))

    lived(story)


def test_a_store_that_is_opened_again_goes_on_with_the_numbers() -> None:
    disk = Disk()

    async def first(store: Store) -> None:
        await ran(store, key="a")
        await asyncio.sleep(10 * DAY)
        await ran(store, key="b")
        assert await store.retention.events(ago(0), pages=9) == 1

    async def second(store: Store) -> None:
        assert store.events.last == 2
        assert (await store.events.append("next")).seq == 3
        assert [r.seq for r in await store.events.since(0)] == [2, 3]
        with store.events.subscribe(after=0) as reader:
            assert [(await anext(reader)).seq for _ in range(2)] == [2, 3]

    lived(first, disk)
    lived(second, disk)


notes = st.sampled_from(["gate_ran", "findings", "warning", "backend_parked", "added", "other"])
steps = st.lists(st.tuples(notes, st.integers(0, 4), st.integers(0, 3)), min_size=1, max_size=40)


@settings(max_examples=60, deadline=None)
@given(steps=steps, days=st.integers(0, 30), outcomes=st.lists(st.sampled_from(Outcome)))
def test_what_is_missing_is_counted_whatever_fails(
    steps: list[tuple[str, int, int]], days: int, outcomes: list[Outcome]
) -> None:
    disk = Disk()

    async def story(store: Store) -> None:
        for number, (name, bead, wait) in enumerate(steps):
            if name == "added":
                await store.beads.apply(f"{bead}-{number}", Added("t"), swarm="s", limits=LIMITS)
            else:
                data = {"key": f"{number}"} if name == "gate_ran" else {}
                await store.events.append(name, swarm=f"s{bead % 2}", data=data)
            await asyncio.sleep(wait * DAY)
        before = Counter(await names(store))
        disk.outcomes.extend(outcomes)
        for _ in range(3):
            try:
                await store.retention.events(ago(days), pages=9)
            except StoreUnavailable:
                continue
        disk.outcomes.clear()
        records = await store.events.since(0, limit=1000)
        pruned = await store.retention.pruned()
        gone = Counter(dict.fromkeys(before, 0))
        for _, event, _, count in (pruned or {"counts": []})["counts"]:
            gone[event] += count
        assert Counter(r.event for r in records) + gone == before
        history = History([r.to_json() for r in records], {}, {}, pruned=pruned)
        assert list(log_has_no_gaps(Log(history))) == []

    lived(story, disk)


@pytest.mark.parametrize("event", ["landed", "claimed", "swarm_running", "added"])
def test_what_changed_a_state_stays_however_old(event: str) -> None:
    async def story(store: Store) -> None:
        await store.events.append(event, from_="a", to="b")
        await asyncio.sleep(1000 * DAY)
        await store.events.append("now")
        assert await store.retention.events(ago(1), pages=9) == 0
        assert await names(store) == [event, "now"]

    lived(story)


class Died(BaseException):
    """The simulated process is gone."""


@pytest.mark.parametrize("name", ["retention.events_gone", "retention.evidence_gone"])
@pytest.mark.parametrize("passage", [1, 2])
def test_a_death_in_the_middle_leaves_it_counted_and_the_next_start_goes_on(
    name: str, passage: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk()
    came: list[str] = []
    monkeypatch.setattr("oya.store.retention.PAGE", 4)

    def die(point: str) -> None:
        came.append(point)
        if came.count(name) == passage:
            raise Died

    async def pruned(store: Store) -> None:
        await store.retention.events(ago(5), pages=99)
        await store.retention.evidence(ago(5), pages=99)

    async def run() -> None:
        store = await opened(disk)
        for number in range(10):
            await ran(store, key=f"{number}")
            await store.evidence.put(f"{number}", {})
        await asyncio.sleep(10 * DAY)
        await ran(store, key="young")
        await store.evidence.put("young", {})
        await store.close()

        def alive() -> bool:
            return came.count(name) < passage

        store = await Store.open(
            SimulatedBeside(disk, alive), clock=CLOCK, engine=lambda _: SimulatedEngine(disk, alive)
        )
        monkeypatch.setattr("oya.crashpoints.action", die)
        with pytest.raises(Died):
            await pruned(store)
        monkeypatch.setattr("oya.crashpoints.action", None)
        await asyncio.gather(store.close(), return_exceptions=True)

        store = await opened(disk)
        await pruned(store)
        assert [r.data["key"] for r in await store.events.since(0)] == ["young"]
        assert (await store.retention.pruned() or {})["counts"] == [["s", "gate_ran", None, 10]]
        assert [key for key, _ in await store.evidence.all()] == ["young"]
        await store.close()

    run_virtual(run)
    assert came.count(name) == passage
