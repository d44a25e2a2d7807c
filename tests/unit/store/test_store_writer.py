"""The writer's promises, on a simulated engine and virtual time."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oya.clock import LoopClock
from oya.errors import RefusedError, StoreDamaged, StoreUnavailable
from oya.lifecycle.events import Added, Claimed, ContractAccepted, HeldByPerson
from oya.lifecycle.model import Limits, Status
from oya.lifecycle.record import EventRecord
from oya.store import Store, writer
from oya.store.beside import Position
from oya.store.engine import Row, Write
from oya.store.head import Draft
from oya.testing.beside import SimulatedBeside, SimulatedSequence
from oya.testing.engine import Disk, Outcome, SimulatedEngine
from oya.testing.loop import run_virtual

LIMITS = Limits()


def on_disk(disk: Disk) -> list[EventRecord]:
    rows = disk.durable["events"]
    return [EventRecord.from_json(json.loads(rows[key])) for key in sorted(rows)]


def simulate(
    disk: Disk,
    story: Callable[[Store], Awaitable[Any]],
    *,
    where: Path | None = None,
    seed: int | None = None,
) -> Any:
    async def run(directory: Path) -> Any:
        store = await Store.open(
            directory, clock=LoopClock(), sync=False, engine=lambda _: SimulatedEngine(disk)
        )
        try:
            return await story(store)
        finally:
            await store.close()

    if where is not None:
        return run_virtual(lambda: run(where), seed=seed)
    with tempfile.TemporaryDirectory() as fresh:
        return run_virtual(lambda: run(Path(fresh)), seed=seed)


async def settled(*work: Awaitable[Any]) -> list[Any]:
    return await asyncio.gather(*work, return_exceptions=True)


outcomes = st.lists(st.sampled_from([Outcome.OK, *Outcome]), max_size=12)
rounds = st.lists(st.lists(st.sampled_from(["note", "add", "wrong"]), max_size=6), max_size=6)


@settings(max_examples=80, deadline=None)
@given(
    rounds=rounds,
    outcomes=outcomes,
    refusals=st.lists(st.booleans(), max_size=12),
    size=st.sampled_from([1, 2, writer.GROUP]),
)
def test_acknowledged_is_durable_refused_is_nothing_and_seq_has_no_gaps(
    rounds: list[list[str]], outcomes: list[Outcome], refusals: list[bool], size: int
) -> None:
    disk = Disk()

    async def story(store: Store) -> None:
        disk.outcomes = deque(outcomes)
        disk.refusals = deque(refusals)
        said: dict[str, Any] = {}
        for n, kinds in enumerate(rounds):
            names = [f"{n}-{m}-{kind}" for m, kind in enumerate(kinds)]
            said |= zip(names, await settled(*map(doing(store), names)), strict=True)
            check(said, final=False)
        disk.outcomes.clear()
        disk.refusals.clear()
        await store.events.append("last")
        check(said, final=True)
        assert dict(store.beads.all()) == await reloaded()

    def doing(store: Store) -> Callable[[str], Awaitable[Any]]:
        def do(name: str) -> Awaitable[Any]:
            if name.endswith("note"):
                return store.events.append(name)
            if name.endswith("add"):
                return store.beads.apply(name, Added(name), swarm=None, limits=LIMITS)
            return store.beads.apply(name, HeldByPerson(), swarm=None, limits=LIMITS)

        return do

    def check(said: dict[str, Any], *, final: bool) -> None:
        records = on_disk(disk)
        assert [r.seq for r in records] == list(range(1, len(records) + 1))
        names = [r.bead or r.event for r in records if r.event != "last"]
        order = [name for name in said if name in names]
        assert names == order, "events stand in the order of submission"
        for name, answer in said.items():
            if not isinstance(answer, Exception):
                assert name in names
            elif isinstance(answer, RefusedError):
                assert name.endswith("wrong")
                assert name not in names
            else:
                assert isinstance(answer, StoreUnavailable)
                if "Nothing was changed" in answer.safe:
                    assert name not in names

    async def reloaded() -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as other:
            again = await Store.open(
                Path(other), clock=LoopClock(), sync=False, engine=lambda _: SimulatedEngine(disk)
            )
            found = dict(again.beads.all())
            await again.close()
            return found

    with patch.object(writer, "GROUP", size):  # small groups are decided ahead
        simulate(disk, story)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    callers=st.integers(2, 40),
    size=st.sampled_from([1, 2, writer.GROUP]),
)
def test_one_of_many_claims_wins(seed: int, callers: int, size: int) -> None:
    async def story(store: Store) -> None:
        await store.beads.apply("a", Added("t"), swarm=None, limits=LIMITS)
        claims = [Claimed(f"agent-{n}", "b", "c") for n in range(callers)]
        said = await settled(
            *(store.beads.apply("a", claim, swarm=None, limits=LIMITS) for claim in claims)
        )
        won = [s for s in said if not isinstance(s, Exception)]
        assert len(won) == 1
        assert all(isinstance(s, RefusedError) for s in said if s is not won[0])
        state = store.beads.get("a")
        assert state is not None
        assert (state.agent, state.epoch) == (won[0].state.agent, 1)

    with patch.object(writer, "GROUP", size):
        simulate(Disk(), story, seed=seed)


OK, FAILED, LOST, KEPT = Outcome.OK, Outcome.FAILED, Outcome.LOST, Outcome.KEPT
LIFE = {
    "added": Added("t"),
    "claimed": Claimed("x", "b", "c"),
    "contract_accepted": ContractAccepted(1, "c1", "b1", "behaviour"),
}


@pytest.mark.parametrize(
    ("outcomes", "unreadable", "there", "heard"),
    [
        ([OK, OK, OK], 0, 3, "yyy"),
        ([FAILED, OK, OK], 0, 0, "urr"),
        ([LOST, OK, OK], 0, 0, "urr"),
        ([KEPT, OK, OK], 0, 3, "yyy"),
        ([KEPT, KEPT, KEPT], 0, 3, "yyy"),
        ([OK, LOST, OK], 0, 1, "yur"),
        ([OK, FAILED, KEPT], 0, 1, "yur"),
        ([OK, KEPT, LOST], 0, 2, "yyu"),
        ([KEPT, OK, OK], 4, 3, "uyy"),
        ([LOST, OK, OK], 4, 0, "urr"),
        ([KEPT, LOST, OK], 8, 1, "uur"),
    ],
)
def test_what_is_decided_ahead_stands_on_what_became_of_the_commit_before(
    outcomes: list[Outcome], unreadable: int, there: int, heard: str
) -> None:
    """Three groups, each decided while the one before it is committed. What was heard of each:
    yes, unavailable, or refused. After an error the engine cannot be opened so many times."""
    disk = Disk()

    async def story(store: Store) -> None:
        disk.outcomes.extend(outcomes)
        disk.refusals.extend([True] * unreadable)
        said = await settled(
            *(store.beads.apply("a", event, swarm=None, limits=LIMITS) for event in LIFE.values())
        )
        kinds = {StoreUnavailable: "u", RefusedError: "r"}
        assert "".join(kinds.get(type(s), "y") for s in said) == heard
        records = on_disk(disk)
        assert [record.event for record in records] == list(LIFE)[:there]
        assert [record.seq for record in records] == list(range(1, there + 1))
        state = store.beads.get("a")
        assert (state.version if state else 0) == there

    with patch.object(writer, "GROUP", 1):
        simulate(disk, story)


def test_what_waits_goes_in_one_commit() -> None:
    disk = Disk()

    async def story(store: Store) -> None:
        before = disk.commits
        await settled(*(store.events.append(f"e{n}") for n in range(201)))
        assert disk.commits - before == 2  # a group takes 200

    simulate(disk, story)


def test_a_request_sees_what_is_before_it_in_the_group_and_a_refused_one_leaves_no_trace() -> None:
    disk = Disk()

    async def story(store: Store) -> None:
        def apply(event: Any) -> Awaitable[Any]:
            return store.beads.apply("a", event, swarm=None, limits=LIMITS)

        said = await settled(
            store.events.append("first"),
            apply(Added("t")),
            apply(Claimed("x", "b", "c")),
            apply(ContractAccepted(7, "c1", "b1", "behaviour")),
            apply(ContractAccepted(1, "c1", "b1", "behaviour")),
        )
        assert isinstance(said[3], RefusedError)
        events = [r.event for r in on_disk(disk)]
        assert events == ["first", "added", "claimed", "contract_accepted"]
        assert said[4].record.seq == 4

    simulate(disk, story)


@pytest.mark.parametrize(
    ("outcome", "there"), [(Outcome.FAILED, False), (Outcome.LOST, False), (Outcome.KEPT, True)]
)
def test_an_unknown_outcome_is_looked_up(outcome: Outcome, there: bool) -> None:
    disk = Disk()

    async def story(store: Store) -> None:
        disk.outcomes.append(outcome)
        (said,) = await settled(store.beads.apply("a", Added("t"), swarm=None, limits=LIMITS))
        assert isinstance(said, StoreUnavailable) is not there
        assert (store.beads.get("a") is not None) is there
        assert (await store.events.append("next")).seq == 1 + there

    simulate(disk, story)


@pytest.mark.parametrize("outcome", [Outcome.LOST, Outcome.KEPT])
def test_while_the_outcome_cannot_be_looked_up_nothing_else_is_decided(outcome: Outcome) -> None:
    disk = Disk()

    async def story(store: Store) -> None:
        disk.outcomes.append(outcome)
        disk.refusals.extend([True] * 8)
        first, second = [(await settled(store.events.append(f"e{n}")))[0] for n in range(2)]
        assert isinstance(first, StoreUnavailable)
        assert isinstance(second, StoreUnavailable)
        assert "looked at before any other" in first.safe
        assert store.events.last == 0
        record = await store.events.append("e2")
        assert record.seq == (2 if outcome is Outcome.KEPT else 1)
        heard = [r.event for r in await store.events.since(0)]
        assert heard == (["e0", "e2"] if outcome is Outcome.KEPT else ["e2"])

    simulate(disk, story)


def test_an_engine_that_went_back_is_damage_and_nothing_more_is_taken(tmp_path: Path) -> None:
    disk = Disk(lying=True)

    async def story(store: Store) -> None:
        await store.events.append("kept")
        disk.flush()
        await store.events.append("lost")
        disk.lose_power()
        disk.outcomes.append(Outcome.LOST)
        for _ in range(2):
            with pytest.raises(StoreDamaged):
                await store.events.append("next")

    simulate(disk, story, where=tmp_path)
    with pytest.raises(StoreDamaged, match=r"goes to event 1 .* event 2 .* was acknowledged"):
        simulate(disk, story, where=tmp_path)


def test_a_cancelled_caller_neither_loses_nor_doubles_a_commit() -> None:
    disk = Disk()

    async def story(store: Store) -> None:
        for turns in range(12):
            caller = asyncio.ensure_future(store.events.append(f"cancelled-{turns}"))
            for _ in range(turns):
                await asyncio.sleep(0)
            caller.cancel()
            await store.events.append(f"after-{turns}")
        names = [r.event for r in on_disk(disk)]
        assert len(names) == len(set(names))
        assert [n for n in names if n.startswith("after")] == [f"after-{n}" for n in range(12)]
        assert "cancelled-0" not in names
        assert "cancelled-11" in names
        assert store.events.last == len(names)

    simulate(disk, story)


def test_a_defective_request_fails_alone() -> None:
    async def story(store: Store) -> None:
        said = await settled(
            store.events.append("a"),
            store.events.append("b", data={"no json": object()}),
            store.events.append("c", data={"nan": float("nan")}),
            store.contracts.put("", {}),
            store.contracts.put("zero\0byte", {}),
            store.contracts.put("\ud800", {}),
            store.events.append("d"),
        )
        assert [isinstance(s, ValueError | TypeError) for s in said] == [0, 1, 1, 1, 1, 1, 0]
        assert said[-1].seq == 2

    simulate(Disk(), story)


def test_closing_finishes_what_was_submitted_and_takes_nothing_more() -> None:
    disk = Disk()

    async def story(store: Store) -> None:
        work = [asyncio.ensure_future(store.events.append(f"e{n}")) for n in range(5)]
        await asyncio.sleep(0)
        await store.close()
        assert [(await w).seq for w in work] == [1, 2, 3, 4, 5]
        with pytest.raises(StoreUnavailable, match="closed"):
            await store.events.append("late")

    simulate(disk, story)


def test_an_engine_that_never_answers_ends_in_an_error() -> None:
    class Silent(SimulatedEngine):
        silent = False

        async def commit(self, writes: Any) -> None:
            if Silent.silent:
                await asyncio.Event().wait()
            await super().commit(writes)

    async def run() -> None:
        disk = Disk()
        with tempfile.TemporaryDirectory() as place:
            store = await Store.open(
                Path(place), clock=LoopClock(), sync=False, engine=lambda _: Silent(disk)
            )
            Silent.silent = True
            for _ in range(2):
                with pytest.raises(StoreUnavailable, match="not answered for 60 s"):
                    await store.events.append("x")
            await store.close()

    run_virtual(run)


def test_the_same_seed_gives_the_same_log() -> None:
    def log(seed: int) -> list[EventRecord]:
        disk = Disk()

        async def story(store: Store) -> None:
            disk.outcomes = deque([Outcome.OK, Outcome.LOST, Outcome.KEPT, Outcome.FAILED])
            for n in range(4):
                await settled(*(store.events.append(f"{n}-{m}") for m in range(5)))

        simulate(disk, story, seed=seed)
        return on_disk(disk)

    assert log(3) == log(3)
    assert any(log(3) != log(seed) for seed in range(4, 14))


def test_the_state_after_an_outage_is_the_one_acknowledged(tmp_path: Path) -> None:
    disk = Disk()

    async def outage(store: Store) -> None:
        await store.beads.apply("a", Added("t"), swarm=None, limits=LIMITS)
        disk.outcomes.append(Outcome.LOST)
        with pytest.raises(StoreUnavailable, match="refused the commit"):
            await store.beads.apply("a", HeldByPerson(), swarm=None, limits=LIMITS)

    async def after(store: Store) -> Status:
        state = store.beads.get("a")
        assert state is not None
        return state.status

    simulate(disk, outage, where=tmp_path)
    assert simulate(disk, after, where=tmp_path) is Status.PENDING


class Held(SimulatedEngine):
    """An engine that can be stopped before it answers a read, or after a commit is durable."""

    def __init__(self, disk: Disk) -> None:
        super().__init__(disk)
        self.reads = asyncio.Event()
        self.commits = asyncio.Event()
        self.reads.set()
        self.commits.set()

    async def get(self, table: str, key: str) -> Row | None:
        found = await super().get(table, key)
        await self.reads.wait()
        return found

    async def commit(self, writes: Sequence[Write]) -> None:
        await super().commit(writes)
        await self.commits.wait()


def simulate_held(disk: Disk, story: Callable[[Store, Held], Awaitable[None]]) -> None:
    async def run() -> None:
        engine = Held(disk)
        with tempfile.TemporaryDirectory() as place:
            store = await Store.open(
                Path(place), clock=LoopClock(), sync=False, engine=lambda _: engine
            )
            await story(store, engine)
            await store.close()

    run_virtual(run)


def test_what_is_durable_but_not_acknowledged_is_not_read_yet() -> None:
    async def story(store: Store, engine: Held) -> None:
        engine.commits.clear()
        writing = asyncio.ensure_future(store.events.append("e"))
        await asyncio.sleep(1)
        assert len(on_disk(disk)) == 1
        assert await store.events.since(0) == []
        engine.commits.set()
        assert await store.events.since(0) == [await writing]

    disk = Disk()
    simulate_held(disk, story)


def test_nobody_hears_of_what_was_decided_ahead_before_its_own_commit() -> None:
    async def story(store: Store, engine: Held) -> None:
        ahead: list[int] = []

        def refuse(draft: Draft) -> None:
            ahead.append(draft.seq)
            raise RefusedError("not after the first")

        engine.commits.clear()
        with patch.object(writer, "GROUP", 2):
            first = [asyncio.ensure_future(store.events.append(f"e{n}")) for n in range(2)]
            refused = asyncio.ensure_future(store._writer.submit(refuse))
            third = asyncio.ensure_future(store.events.append("e2"))
            await asyncio.sleep(1)
            assert ahead == [2], "decided on what is not acknowledged yet"
            assert not any(told.done() for told in (*first, refused, third))
            assert len(on_disk(disk)) == 2
            engine.commits.set()
            assert [(await told).seq for told in (*first, third)] == [1, 2, 3]
            assert isinstance((await settled(refused))[0], RefusedError)
        assert ahead == [2]

    disk = Disk()
    simulate_held(disk, story)


def test_a_read_that_a_write_overtakes_leaves_no_old_row_in_memory() -> None:
    async def story(store: Store, engine: Held) -> None:
        engine.reads.clear()
        reading = asyncio.ensure_future(store.contracts.get("k"))
        await asyncio.sleep(1)
        await store.contracts.delete("k")
        engine.reads.set()
        assert await reading == {"n": 1}
        assert await store.contracts.get("k") is None

    disk = Disk()
    disk.volatile["contracts"]["k"] = '{"n": 1}'
    simulate_held(disk, story)


def test_what_a_refused_request_had_done_is_not_seen_by_the_next_in_the_group() -> None:
    async def story(store: Store) -> None:
        await store.beads.apply("a", Added("t"), swarm=None, limits=LIMITS)
        said = await settled(
            store.beads.apply_many(
                [("a", HeldByPerson()), ("a", Claimed("x", "b", "c"))], swarm=None, limits=LIMITS
            ),
            store.beads.apply("a", Claimed("y", "b", "c"), swarm=None, limits=LIMITS),
        )
        assert isinstance(said[0], RefusedError)
        assert said[1].state.agent == "y"
        assert said[1].record.seq == 2

    simulate(Disk(), story)


def test_a_lost_group_without_events_is_damage_too(tmp_path: Path) -> None:
    disk = Disk()

    async def story(store: Store) -> None:
        await store.events.append("e")
        disk.lying = True
        await store.contracts.put("a", {})

    simulate(disk, story, where=tmp_path)
    disk.lose_power()
    with pytest.raises(StoreDamaged, match=r"group 1\), but event 1 \(group 2\)"):
        simulate(disk, story, where=tmp_path)


def test_while_the_sequence_file_cannot_be_written_nothing_more_is_taken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    full: list[bool] = []
    real = os.pwrite

    def pwrite(fd: int, text: bytes, offset: int) -> int:
        if full:
            raise OSError(28, "No space left on device")
        return real(fd, text, offset)

    async def story(store: Store) -> None:
        full.append(True)
        assert (await store.events.append("durable all the same")).seq == 1
        with pytest.raises(StoreUnavailable, match="sequence cannot be written"):
            await store.events.append("refused")
        full.clear()
        assert (await store.events.append("on it goes")).seq == 2

    monkeypatch.setattr("oya.store.sequence.os.pwrite", pwrite)
    simulate(Disk(), story)


class SlowSequence(SimulatedSequence):
    """A sequence file whose flushes end when they are told to."""

    def __init__(self, beside: SimulatedBeside) -> None:
        super().__init__(beside, Position(), sync=True)
        self.flushes: list[asyncio.Future[None]] = []
        self.slow = False

    def flush(self) -> asyncio.Future[None] | None:  # type: ignore[override]
        if not self.slow:
            return None
        self.flushes.append(asyncio.get_running_loop().create_future())
        return self.flushes[-1]


def with_slow_sequence(story: Callable[[Store, SlowSequence, Disk], Awaitable[None]]) -> None:
    disk = Disk()

    class Slow(SimulatedBeside):
        file = SlowSequence(SimulatedBeside(disk))

        def sequence(self, *, sync: bool) -> SlowSequence:
            return self.file

    async def run() -> None:
        store = await Store.open(
            Slow(disk), clock=LoopClock(), engine=lambda _: SimulatedEngine(disk)
        )
        Slow.file.slow = True
        await story(store, Slow.file, disk)
        Slow.file.slow = False
        await store.close()

    run_virtual(run)


def test_a_group_is_acknowledged_when_the_file_of_the_one_before_is_durable() -> None:
    async def story(store: Store, file: SlowSequence, disk: Disk) -> None:
        assert (await store.events.append("one")).seq == 1
        second = asyncio.ensure_future(store.events.append("two"))
        await asyncio.sleep(1)
        assert len(on_disk(disk)) == 2, "it is committed meanwhile"
        assert not second.done()
        assert file.position.seq == 1
        file.flushes[0].set_result(None)
        assert (await second).seq == 2
        assert file.position.seq == 2
        file.flushes[1].set_result(None)

    with_slow_sequence(story)


def test_while_the_file_cannot_be_made_durable_nothing_more_is_taken() -> None:
    async def story(store: Store, file: SlowSequence, disk: Disk) -> None:
        await store.events.append("one")
        second = asyncio.ensure_future(store.events.append("two"))
        await asyncio.sleep(1)
        file.flushes[0].set_exception(OSError(5, "Input/output error"))
        assert (await second).seq == 2, "it is in the engine all the same"

        third = asyncio.ensure_future(store.events.append("three"))
        await asyncio.sleep(1)
        for flush in file.flushes[1:]:
            flush.set_exception(OSError(5, "Input/output error"))
        with pytest.raises(StoreUnavailable, match="cannot be written"):
            await third
        assert len(on_disk(disk)) == 2

        file.slow = False
        assert (await store.events.append("four")).seq == 3

    with_slow_sequence(story)
