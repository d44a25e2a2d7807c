"""Beads, swarms, events and documents, as their users see them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oya.clock import SystemClock
from oya.errors import RefusedError, StoreUnavailable
from oya.lifecycle.events import (
    Added,
    AttemptFailed,
    CannotDo,
    Claimed,
    ContractAccepted,
    Event,
    HeldByPerson,
    Landed,
    Removed,
    Reopened,
)
from oya.lifecycle.failures import FailureClass
from oya.lifecycle.model import (
    BeadState,
    Check,
    Hold,
    Limits,
    Phase,
    Status,
    state_from_json,
    state_to_json,
)
from oya.lifecycle.swarm import SwarmState, SwarmStatus, move
from oya.lifecycle.table import CancelAttempt
from oya.store import Store
from oya.store.beads import Applied
from oya.store.engine import Delete, Put
from oya.store.events import RECENT
from oya.store.head import BeadDetails, bead_row, to_text
from oya.testing.beside import SimulatedBeside
from oya.testing.engine import Disk, Outcome, SimulatedEngine

LIMITS = Limits()


@pytest.fixture
def disk() -> Disk:
    return Disk()


@pytest.fixture
async def store(tmp_path: Path, disk: Disk) -> AsyncIterator[Store]:
    store = await again(tmp_path, disk)
    yield store
    await store.close()


async def again(place: Path, disk: Disk) -> Store:
    return await Store.open(
        place, clock=SystemClock(), sync=False, engine=lambda _: SimulatedEngine(disk)
    )


async def apply(store: Store, bead: str, event: Any, **how: Any) -> Applied:
    return await store.beads.apply(bead, event, **({"swarm": None, "limits": LIMITS} | how))


def row(disk: Disk, table: str, key: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(disk.durable[table][key])
    return found


class TestBeads:
    async def test_an_unknown_bead_is_accepted_only_when_added(self, store: Store) -> None:
        with pytest.raises(RefusedError, match="no bead a"):
            await apply(store, "a", HeldByPerson())
        with pytest.raises(RefusedError, match="no bead a"):
            await store.beads.describe("a", title="x")
        assert store.beads.get("a") is None

        added = await apply(store, "a", Added("A title"))
        assert store.beads.get("a") == added.state
        with pytest.raises(RefusedError):
            await apply(store, "a", Added("again"))

    async def test_the_row_has_the_fields_of_the_design_and_the_state(
        self, store: Store, disk: Disk
    ) -> None:
        await apply(store, "a", Added("A title"))
        await apply(store, "a", Claimed("tw-1", "codex", "base"), workspace="/w")
        await store.beads.describe("a", test_results={"passed": 3})
        contract = {"error_variants": ["E"], "preconditions": [], "other": 1}
        await apply(
            store,
            "a",
            ContractAccepted(1, "c1", "b1", "behaviour"),
            also=[Put("contracts", "a", contract)],
        )

        found = row(disk, "beads", "a")
        assert list(found)[:12] == [
            "id",
            "title",
            "status",
            "assigned_to",
            "phase",
            "contract",
            "workspace",
            "test_results",
            "commit_hash",
            "retry_count",
            "created_at",
            "updated_at",
        ]
        whole = store.beads.row("a")
        assert whole is not None
        assert {**found, "state": None} == {**whole, "state": None}
        assert (found["id"], found["title"], found["workspace"]) == ("a", "A title", "/w")
        assert found["contract"] == {"error_variants": ["E"], "preconditions": []}
        assert found["test_results"] == {"passed": 3}
        assert found["created_at"] < found["updated_at"]
        state = store.beads.get("a")
        assert state is not None
        assert whole["state"] == json.loads(json.dumps(state_to_json(state)))
        assert found["state"].items() < whole["state"].items()
        assert state_from_json(found["state"]) == state
        assert await store.contracts.get("a") == contract

    async def test_the_record_tells_what_happened_to_whom_and_why(self, store: Store) -> None:
        await apply(store, "a", Added("A title"), swarm="s")
        claimed = (await apply(store, "a", Claimed("tw-1", "codex", "base"), swarm="s")).record
        assert (claimed.event, claimed.swarm, claimed.bead) == ("claimed", "s", "a")
        assert (claimed.from_, claimed.to) == ("contract/pending", "contract/in_progress")
        assert (claimed.epoch, claimed.agent) == (1, "tw-1")
        assert claimed.data == {"backend": "codex", "base": "base"}

        failed = AttemptFailed(1, FailureClass.AGENT_CRASH, "died", ("f",), "snap")
        applied = await apply(store, "a", failed, data={"extra": 1})
        record = applied.record
        assert (record.class_, record.reason, record.agent) == ("agent_crash", "died", "tw-1")
        assert record.data == {"findings": ["f"], "snapshot": "snap", "used": 1, "extra": 1}

        await apply(store, "a", Claimed("tw-2", "codex", "base"))
        cannot = (await apply(store, "a", CannotDo(2, "unclear", "why so", "what?"))).record
        assert (cannot.reason, cannot.agent) == ("why so", "tw-2")
        assert cannot.data == {"cannot": "unclear", "question": "what?", "snapshot": None}
        given = (await apply(store, "a", Removed("gone"), agent="tracker")).record
        assert (given.agent, given.reason, given.data) == ("tracker", "gone", {})
        assert await store.events.since(0, bead="a") == await store.events.since(0)

    async def test_state_event_side_writes_and_swarm_are_one_commit(
        self, store: Store, disk: Disk
    ) -> None:
        await store.swarms.put(SwarmState("s"), event="swarm_started")
        await apply(store, "a", Added("A title"))
        await store.intents.put("old", {"n": 1})
        before = disk.commits

        await apply(
            store,
            "a",
            Claimed("x", "b", "c"),
            swarm="s",
            also=[Put("intents", "a", {"candidate": "c"}), Delete("intents", "old")],
            on_swarm=lambda swarm: replace(swarm, gate_runs=swarm.gate_runs + 1),
        )

        assert disk.commits == before + 1
        assert list(disk.durable["intents"]) == ["a"]
        assert row(disk, "swarm_state", "s")["gate_runs"] == 1
        assert store.swarms.get("s") == SwarmState("s", gate_runs=1)

    async def test_a_refusal_takes_everything_of_its_request_with_it(
        self, store: Store, disk: Disk
    ) -> None:
        await apply(store, "a", Added("A title"))
        before = dict(store.beads.all()), store.events.last, disk.commits

        with pytest.raises(RefusedError):
            await apply(store, "a", Landed("c"), also=[Put("intents", "a", {})])
        with pytest.raises(RefusedError, match="no swarm s"):
            await apply(store, "a", HeldByPerson(), swarm="s", on_swarm=lambda swarm: swarm)
        with pytest.raises(ValueError, match="beads is written by its own store"):
            await apply(store, "a", HeldByPerson(), also=[Put("beads", "b", {})])

        assert (dict(store.beads.all()), store.events.last, disk.commits) == before
        assert disk.durable["intents"] == {}

    async def test_many_are_applied_together_or_not_at_all(self, store: Store, disk: Disk) -> None:
        many: list[tuple[str, Event]] = [
            ("a", Added("A")),
            ("b", Added("B")),
            ("a", Claimed("x", "y", "z")),
        ]
        before = disk.commits
        done = await store.beads.apply_many(many, swarm=None, limits=LIMITS)
        assert [applied.record.seq for applied in done] == [1, 2, 3]
        assert disk.commits == before + 1

        with pytest.raises(RefusedError):
            await store.beads.apply_many(
                [("c", Added("C")), ("b", Landed("x"))], swarm=None, limits=LIMITS
            )
        assert list(store.beads.all()) == ["a", "b"]
        assert await store.beads.apply_many([], swarm=None, limits=LIMITS) == []
        assert store.events.last == 3

    async def test_the_view_of_all_is_live_and_read_only(self, store: Store) -> None:
        view: Any = store.beads.all()
        await apply(store, "b", Added("B"))
        await apply(store, "a", Added("A"))
        await apply(store, "b", HeldByPerson("why"))
        assert [(s.id, s.status) for s in view.values()] == [
            ("b", Status.HELD),
            ("a", Status.PENDING),
        ]
        with pytest.raises(TypeError):
            view["c"] = view["a"]


async def test_who_changes_a_bead_hears_what_must_be_done_about_it(store: Store) -> None:
    await apply(store, "a", Added("first"))
    await apply(store, "a", Claimed("tw-1", "codex", "base"))
    assert (await apply(store, "a", HeldByPerson())).effects == (CancelAttempt(1),)


class TestWatching:
    async def test_who_watches_hears_of_a_change_before_whoever_made_it(self, store: Store) -> None:
        heard: list[tuple[int, str]] = []
        await apply(store, "a", Added("first"))
        store.beads.watch(
            lambda before, after: heard.append((before.version if before else 0, after.where))
        )
        assert heard == []
        await apply(store, "a", Claimed("agent-1", "codex", "base"))
        assert heard == [(1, "contract/in_progress")]
        await store.beads.describe("a", title="other")
        await apply(store, "b", Added("second"))
        assert heard[1:] == [(0, "contract/pending")], "a title is no state"

    async def test_of_several_changes_in_one_commit_it_hears_the_last(self, store: Store) -> None:
        heard: list[tuple[bool, str]] = []
        store.beads.watch(lambda before, after: heard.append((before is None, after.where)))
        await store.beads.apply_many(
            [("a", Added("first")), ("a", Claimed("agent-1", "codex", "base"))],
            swarm=None,
            limits=Limits(),
        )
        assert heard == [(True, "contract/in_progress")]

    async def test_of_a_refusal_and_of_a_lost_commit_it_hears_nothing(
        self, store: Store, disk: Disk
    ) -> None:
        heard: list[str] = []
        store.beads.watch(lambda _, after: heard.append(after.id))
        with pytest.raises(RefusedError):
            await apply(store, "a", Claimed("agent-1", "codex", "base"))
        disk.outcomes.append(Outcome.LOST)
        with pytest.raises(StoreUnavailable):
            await apply(store, "a", Added("first"))
        assert heard == []
        disk.outcomes.append(Outcome.KEPT)
        await apply(store, "a", Added("first"))
        assert heard == ["a"]


class TestSwarms:
    async def test_the_newest_swarm_is_current_whatever_its_name(
        self, store: Store, tmp_path: Path, disk: Disk
    ) -> None:
        assert store.swarms.current() is None
        for name in ("swarm-9", "swarm-10", "swarm-2"):
            await store.swarms.put(SwarmState(name), event="swarm_started")
        await store.swarms.update("swarm-9", lambda s: replace(s, gate_runs=1), event=None)
        await store.close()

        reopened = await again(tmp_path, disk)
        assert list(reopened.swarms.all()) == ["swarm-9", "swarm-10", "swarm-2"]
        assert reopened.swarms.current() == SwarmState("swarm-2")
        assert reopened.swarms.get("swarm-9") == SwarmState("swarm-9", gate_runs=1)
        await reopened.close()

    async def test_a_change_of_status_is_an_event_and_a_counter_need_not_be(
        self, store: Store
    ) -> None:
        started = await store.swarms.put(SwarmState("s"), event="swarm_started", data={"n": 1})
        assert (started.swarm, started.from_, started.to) == ("s", None, "starting")
        changed = await store.swarms.update(
            "s", lambda s: move(s, SwarmStatus.RUNNING), event="swarm_running", reason="ready"
        )
        assert changed.status is SwarmStatus.RUNNING
        await store.swarms.update("s", lambda s: replace(s, gate_runs=4), event=None)
        same = await store.swarms.put(replace(changed, gate_runs=5), event="noted")

        assert (same.from_, same.to) == (None, None)
        records = await store.events.since(1)
        assert [(r.event, r.from_, r.to, r.reason) for r in records] == [
            ("swarm_running", "starting", "running", "ready"),
            ("noted", None, None, None),
        ]

    async def test_counters_of_many_at_once_add_up(self, store: Store) -> None:
        await store.swarms.put(SwarmState("s"), event="swarm_started")
        one_more = [
            store.swarms.update("s", lambda s: replace(s, gate_runs=s.gate_runs + 1), event=None)
            for _ in range(50)
        ]
        assert [s.gate_runs for s in await asyncio.gather(*one_more)] == list(range(1, 51))

    async def test_what_the_swarm_refuses_changes_nothing(self, store: Store) -> None:
        with pytest.raises(RefusedError, match="no swarm s"):
            await store.swarms.update("s", lambda s: s, event=None)
        await store.swarms.put(SwarmState("s"), event="swarm_started")
        with pytest.raises(RefusedError):
            await store.swarms.update(
                "s", lambda s: move(s, SwarmStatus.COMPLETED), event="swarm_completed"
            )
        assert store.swarms.current() == SwarmState("s")
        assert store.events.last == 1


class TestEvents:
    async def test_young_and_old_records_read_the_same(
        self, store: Store, tmp_path: Path, disk: Disk
    ) -> None:
        for n in range(6):
            await store.events.append(f"e{n}", bead=f"b{n % 2}", data={"n": n})
        reads = [
            (0, 1000, None),
            (3, 2, None),
            (6, 5, None),
            (9, 5, None),
            (1, 2, "b0"),
            (-1, 9, None),
        ]
        young = [await store.events.since(*read) for read in reads]
        await store.close()
        reopened = await again(tmp_path, disk)
        assert [await reopened.events.since(*read) for read in reads] == young
        await reopened.events.append("e6")
        assert [r.seq for r in await reopened.events.since(4)] == [5, 6, 7]
        await reopened.close()
        assert [[r.seq for r in found] for found in young] == [
            [1, 2, 3, 4, 5, 6],
            [4, 5],
            [],
            [],
            [3, 5],
            [1, 2, 3, 4, 5, 6],
        ]

    async def test_readers_hear_what_comes_in_order_and_the_end(self, store: Store) -> None:
        await store.events.append("before")
        with store.events.subscribe() as news, store.events.subscribe(after=0) as whole:
            await store.events.append("one")
            assert [(await anext(news)).event] == ["one"]
            waiting = asyncio.ensure_future(anext(news))
            await store.events.append("two")
            assert (await waiting).event == "two"
            await store.events.append("three")
            await store.close()
            assert [r.event async for r in news] == ["three"]
            assert [r.event async for r in whole] == ["before", "one", "two", "three"]

    async def test_a_reader_that_falls_behind_misses_nothing_and_holds_up_nobody(
        self, store: Store
    ) -> None:
        many = RECENT + 300
        with store.events.subscribe() as reader:
            await asyncio.gather(*(store.events.append(f"e{n}") for n in range(many)))
            assert [(await anext(reader)).seq for _ in range(many)] == list(range(1, many + 1))

    async def test_a_reader_that_closes_ends(self, store: Store) -> None:
        reader = store.events.subscribe()
        waiting = asyncio.ensure_future(anext(reader, None))
        await store.events.append("heard")
        assert await waiting is not None
        waiting = asyncio.ensure_future(anext(reader, None))
        await asyncio.sleep(0)
        reader.close()
        await store.events.append("not heard")
        assert await waiting is None


class TestDocuments:
    async def test_rows_belong_to_the_caller(self, store: Store) -> None:
        mine: dict[str, Any] = {"list": [1]}
        await store.contracts.put("k", mine)
        mine["list"].append(2)
        found = await store.contracts.get("k")
        assert found == {"list": [1]}
        found["list"].append(3)
        assert await store.contracts.get("k") == {"list": [1]}

    async def test_evidence_has_the_time_when_it_was_put(self, store: Store, disk: Disk) -> None:
        await store.evidence.put("k", {"ok": True}, event="gate_ran")
        (record,) = await store.events.since(0)
        assert row(disk, "evidence", "k") == {"ok": True, "at": record.at}
        await store.intents.put("i", {"ok": True})
        assert row(disk, "intents", "i") == {"ok": True}

    async def test_what_is_deleted_or_replaced_is_gone_from_memory_too(self, store: Store) -> None:
        await store.intents.put("a", {"n": 1})
        await apply(store, "b", Added("B"))
        await apply(store, "b", HeldByPerson(), also=[Put("intents", "a", {"n": 2})])
        assert await store.intents.get("a") == {"n": 2}
        await apply(store, "b", Removed("x"), also=[Delete("intents", "a")])
        assert await store.intents.get("a") is None
        await store.intents.put("c", {})
        await store.intents.put("b", {})
        assert await store.intents.all() == [("b", {}), ("c", {})]
        await store.intents.delete("c")
        assert await store.intents.all() == [("b", {})]

    async def test_a_lately_read_row_costs_no_engine(self, store: Store, disk: Disk) -> None:
        await store.contracts.put("k", {"n": 1})
        disk.volatile["contracts"].clear()
        assert await store.contracts.get("k") == {"n": 1}
        for n in range(600):
            await store.contracts.put(f"other-{n}", {})
        assert await store.contracts.get("k") is None

    async def test_a_row_can_come_with_its_event(self, store: Store, disk: Disk) -> None:
        before = disk.commits
        await store.evidence.put("k", {}, event="gate_ran", bead="a", reason="ci", data={"x": 1})
        (record,) = await store.events.since(0)
        assert (record.event, record.bead, record.reason) == ("gate_ran", "a", "ci")
        assert disk.commits == before + 1

    async def test_a_row_can_come_with_the_count_of_a_swarm(self, store: Store, disk: Disk) -> None:
        def counted(swarm: SwarmState) -> SwarmState:
            return replace(swarm, gate_runs=swarm.gate_runs + 1)

        with pytest.raises(RefusedError, match="no swarm s"):
            await store.evidence.put("k", {}, event="gate_ran", swarm="s", on_swarm=counted)
        assert (store.events.last, await store.evidence.get("k")) == (0, None)
        await store.swarms.put(SwarmState("s"), event="swarm_starting")
        before = disk.commits
        await store.evidence.put("k", {}, event="gate_ran", swarm="s", on_swarm=counted)
        found = store.swarms.get("s")
        assert found and found.gate_runs == 1
        assert (store.events.last, disk.commits) == (2, before + 1)

    async def test_a_swarm_has_one_checkpoint_the_newest(self, store: Store) -> None:
        assert await store.checkpoints.latest("s") is None
        await store.events.append("e")
        await store.checkpoints.save("s", {"hand": ["a"]})
        await store.checkpoints.save("s", {"hand": ["b"]})
        await store.checkpoints.save("t", {})
        found = await store.checkpoints.latest("s")
        assert found is not None
        assert (found["hand"], found["swarm"], found["seq"]) == (["b"], "s", 1)


states = st.builds(
    BeadState,
    id=st.text(min_size=1, max_size=3),
    phase=st.sampled_from(Phase),
    status=st.sampled_from(Status),
    hold=st.none() | st.sampled_from(Hold),
    awaits=st.none() | st.sampled_from(Hold),
    epoch=st.integers(0, 300),
    checking=st.booleans(),
    reason=st.text(max_size=3),
    claims=st.dictionaries(st.sampled_from(["reviewer", "planner"]), st.integers(0, 9)),
    base=st.none() | st.text(max_size=3),
    findings=st.lists(st.text(max_size=3), max_size=2).map(tuple),
    checks=st.lists(st.builds(Check, st.text(max_size=3), st.integers()), max_size=2).map(tuple),
)


@given(states)
def test_a_row_holds_what_the_state_can_be_made_from_again(state: BeadState) -> None:
    row = json.loads(to_text(bead_row(state, BeadDetails(1, "then", "now"))))
    assert state_from_json(row["state"]) == state
    assert state_from_json(json.loads(json.dumps(state_to_json(state)))) == state


def test_a_row_of_a_new_bead_has_little_of_its_state() -> None:
    row = bead_row(BeadState("a", text="t"), BeadDetails(1, "then", "now"))
    assert set(row["state"]) <= {"id", "text", "claims"}


class TestFinished:
    """What a bead that is over had beside its state leaves memory, and comes back with it."""

    async def done(self, store: Store, bead: str) -> None:
        await apply(store, bead, Added("T"))
        await store.beads.describe(
            bead, contract={"preconditions": ["p"]}, test_results={"passed": 1}
        )
        await apply(store, bead, Removed("closed"))

    async def test_it_is_in_the_engine_and_not_in_memory(
        self, store: Store, disk: Disk, tmp_path: Path
    ) -> None:
        await self.done(store, "a")
        on_disk = row(disk, "beads", "a")
        assert on_disk["contract"] == {"preconditions": ["p"]}
        short = store.beads.row("a")
        assert short is not None
        assert (short["contract"], short["test_results"]) == (None, None)
        await store.close()

        reopened = await again(tmp_path, disk)
        assert reopened.beads.row("a") == short
        await reopened.close()

    async def test_it_comes_back_when_the_bead_does(self, store: Store, disk: Disk) -> None:
        await self.done(store, "a")
        await self.done(store, "b")
        await store.beads.apply_many(
            [("a", Reopened()), ("b", Reopened()), ("a", HeldByPerson())],
            swarm=None,
            limits=LIMITS,
        )
        for bead in "ab":
            found = row(disk, "beads", bead)
            assert found["contract"] == {"preconditions": ["p"]}
            assert found["test_results"] == {"passed": 1}
        whole = store.beads.row("a")
        assert whole is not None
        assert whole["contract"] == {"preconditions": ["p"]}

    async def test_a_finished_bead_can_be_described(self, store: Store, disk: Disk) -> None:
        await self.done(store, "a")
        await store.beads.describe("a", title="Another")
        assert row(disk, "beads", "a")["contract"] == {"preconditions": ["p"]}
        assert row(disk, "beads", "a")["title"] == "Another"

    async def test_a_refused_change_of_it_leaves_it_as_it_was(
        self, store: Store, disk: Disk
    ) -> None:
        await self.done(store, "a")
        before = row(disk, "beads", "a")
        with pytest.raises(RefusedError):
            await apply(store, "a", Landed("c"))
        await store.events.append("other")
        assert row(disk, "beads", "a") == before
        assert (await apply(store, "a", Reopened())).state.status is Status.PENDING
        assert row(disk, "beads", "a")["contract"] == before["contract"]

    async def test_it_may_end_while_somebody_else_waits_to_change_it(
        self, store: Store, disk: Disk
    ) -> None:
        await apply(store, "a", Added("T"))
        await store.beads.describe("a", contract={"preconditions": ["p"]})
        some = [apply(store, "a", Removed("closed"))]
        some += [store.beads.describe("a", title=f"{n}") for n in range(3)]
        waiting = [asyncio.ensure_future(one) for one in some]
        await waiting[0]
        some = [store.beads.describe("a", title=f"late {n}") for n in range(4)]
        await asyncio.gather(*waiting, *some)
        await apply(store, "a", Reopened())
        assert row(disk, "beads", "a")["contract"] == {"preconditions": ["p"]}
        assert row(disk, "beads", "a")["title"] == "late 3"


async def test_of_many_kinds_of_checkpoints_one_is_read_alone() -> None:
    read: list[str] = []

    class Watched(SimulatedEngine):
        async def scan(self, table: str, **how: Any) -> AsyncIterator[tuple[str, dict[str, Any]]]:
            async for key, row in super().scan(table, **how):
                read.append(key)
                yield key, row

    place = SimulatedBeside(Disk())
    store = await Store.open(place, clock=SystemClock(), engine=lambda _: Watched(place.disk))
    for kind in ("conflict:", "looked", "looked:", "looked;", "unclosed:"):
        for bead in ("a", "😀", "\U0010ffff"):
            await store.checkpoints.put(f"{kind}{bead}", {"of": bead})
    read.clear()
    found = await store.checkpoints.below("looked:")
    assert found == [(bead, {"of": bead}) for bead in ("a", "😀", "\U0010ffff")]
    assert read == ["looked:a", "looked:😀", "looked:\U0010ffff"]
    assert await store.checkpoints.below("survived:") == []
    assert len(read) == 3
    await store.close()


async def test_the_story_of_a_bead_is_read_from_its_first_event_on() -> None:
    reads: list[str] = []

    class Watched(SimulatedEngine):
        def scan(
            self, table: str, *, after: str = "", **more: Any
        ) -> AsyncIterator[tuple[str, dict[str, Any]]]:
            reads.extend([after] if table == "events" else [])
            return super().scan(table, after=after, **more)

    place = SimulatedBeside(Disk())
    for full in (False, True):
        store = await Store.open(place, clock=SystemClock(), engine=lambda _: Watched(place.disk))
        for n in () if full else range(20):
            await store.beads.apply(f"b-{n}", Added("t"), swarm=None, limits=LIMITS)
            if n >= 7:
                await store.events.append("warning", bead="b-7")
        story = await store.events.since(0, bead="b-7")
        later = await store.events.since(20, 3, bead="b-7")
        assert await store.events.since(0, bead="unknown") == []
        await store.close()
        assert [record.seq for record in story] == [8, *range(9, 34, 2)]
        assert [record.seq for record in later] == [21, 23, 25]
    assert reads == [f"{seq:016d}" for seq in (7, 20, 0)]
