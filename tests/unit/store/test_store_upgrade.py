"""States of older and newer versions. tests/fixtures/state-v1/make.py made the old one."""

from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from oya.clock import LoopClock, SystemClock
from oya.errors import StoreNewer, StoreUnavailable
from oya.lifecycle.events import HeldByPerson
from oya.lifecycle.model import BeadState, Limits, Phase, Status, state_from_json
from oya.lifecycle.record import EventRecord
from oya.lifecycle.swarm import swarm_from_json
from oya.store import Store
from oya.store.beside import Position
from oya.store.migrations import SCHEMA
from oya.store.sequence import SequenceFile
from oya.testing.beside import SimulatedBeside
from oya.testing.engine import Disk, Outcome, SimulatedEngine
from oya.testing.loop import run_virtual

FIXTURE = Path(__file__).parents[2] / "fixtures" / "state-v1" / "state.tar.xz"
Tables = dict[str, list[tuple[str, dict[str, Any]]]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    with tarfile.open(FIXTURE) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path / "state"


@pytest.fixture
def expected(home: Path) -> Tables:
    rows: Tables = json.loads((home.parent / "expected.json").read_text())
    return rows


async def check(store: Store, expected: Tables) -> None:
    """Everything of the old state is there, and evidence has a time."""
    beads = {key: state_from_json(row["state"]) for key, row in expected["beads"]}
    assert dict(store.beads.all()) == beads
    first = {key: row["first"] for key, row in expected["beads"]}
    assert list(store.beads.all()) == sorted(first, key=first.__getitem__)
    for key, row in expected["beads"]:
        kept = await store._writer.engine.get("beads", key)
        assert kept is not None
        assert kept | {"state": None} == row | {"state": None}
        assert state_from_json(kept["state"]) == beads[key]
    assert dict(store.swarms.all()) == {k: swarm_from_json(r) for k, r in expected["swarm_state"]}
    events = [EventRecord.from_json(row) for _, row in expected["events"]]
    assert await store.events.since(0, limit=10_000) == events
    assert store.events.last == len(events)
    for documents in ("contracts", "checkpoints", "intents"):
        assert await getattr(store, documents).all() == [(k, r) for k, r in expected[documents]]
    last = dict(expected["meta"])["group"]["at"]
    assert await store.evidence.all() == [(k, {**r, "at": last}) for k, r in expected["evidence"]]


async def test_a_state_of_version_1_is_opened_whole_with_a_copy_of_it_kept(
    home: Path, expected: Tables
) -> None:
    before = (home / "data" / "clog" / "00000000000000000000.clog").read_bytes()

    store = await Store.open(home, clock=SystemClock())
    await check(store, expected)
    await store.beads.apply("n-7", HeldByPerson("x"), swarm=None, limits=Limits())
    await store.close()

    store = await Store.open(home, clock=SystemClock())
    assert store.events.last == len(expected["events"]) + 1
    state = store.beads.get("n-7")
    assert state is not None
    assert (state.status, state.phase) == (Status.HELD, Phase.CONTRACT)
    await store.close()
    assert SequenceFile.peek(home / "sequence") == Position(
        len(expected["events"]) + 1, dict(expected["meta"])["group"]["group"] + 1, SCHEMA
    )
    (copy,) = (home / "copies").iterdir()
    assert copy.name == "schema-1"
    assert (copy / "data" / "clog" / "00000000000000000000.clog").read_bytes() == before
    assert SequenceFile.peek(copy / "sequence") == Position(
        len(expected["events"]), dict(expected["meta"])["group"]["group"], 1
    )


def old_disk(expected: Tables) -> Disk:
    disk = Disk()
    for table, rows in expected.items():
        disk.volatile[table] = {key: json.dumps(row) for key, row in rows}
    group = dict(expected["meta"])["group"]
    disk.volatile_files["sequence"] = f"1 {group['seq']} {group['group']}"
    disk.flush()
    return disk


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.LOST, Outcome.KEPT])
@pytest.mark.parametrize("commits", [0, 1])
def test_a_migration_that_was_cut_short_goes_on_and_the_first_copy_stays(
    expected: Tables, outcome: Outcome, commits: int
) -> None:
    disk = old_disk(expected)
    old = {table: dict(rows) for table, rows in disk.volatile.items()}

    async def opened() -> Store:
        return await Store.open(
            SimulatedBeside(disk), clock=LoopClock(), engine=lambda _: SimulatedEngine(disk)
        )

    async def story() -> None:
        for _ in range(3):
            disk.outcomes.extend([Outcome.OK] * commits + [outcome])
            done = json.loads(disk.durable["meta"]["schema"])["version"] == SCHEMA
            if done:
                break
            with pytest.raises(StoreUnavailable):
                await opened()
            disk.lose_power()
            told = SimulatedBeside(disk).told()
            assert told is not None
            assert told.schema == SCHEMA, "an older oya must not touch it any more"
        disk.outcomes.clear()
        store = await opened()
        await check(store, expected)
        await store.close()
        kept = json.loads(disk.volatile_files["copies/schema-1"])
        assert kept["data"] == old
        assert kept["sequence"].startswith("1 ")

    run_virtual(story)


def everything(home: Path) -> dict[str, tuple[int, int, bytes]]:
    """Content, size and both times of every file and folder."""
    found = {}
    for path in [home, *sorted(home.rglob("*"))]:
        about = path.stat()
        content = path.read_bytes() if path.is_file() else b""
        found[str(path)] = (about.st_mtime_ns, about.st_ctime_ns, content)
    return found


async def test_in_a_newer_state_not_even_the_lock_is_touched(home: Path) -> None:
    file = SequenceFile.load(home / "sequence", sync=False)
    file.write(Position(99, 99, SCHEMA + 1))
    file.close()
    os.utime(home / "lock", (1, 1))
    before = everything(home)

    with pytest.raises(
        StoreNewer, match=f"schema {SCHEMA + 1}; this oya knows {SCHEMA}"
    ) as refusal:
        await Store.open(home, clock=SystemClock())

    assert everything(home) == before
    assert refusal.value.safe == "Nothing was touched."


def test_an_old_bead_is_read_whole_or_short() -> None:
    whole = {"id": "a", "phase": "review", "status": "held", "hold": "person", "unknown": 1}
    assert state_from_json(whole) == BeadState(
        "a", phase=Phase.REVIEW, status=Status.HELD, hold=state_from_json(whole).hold
    )
    assert state_from_json({"id": "a"}) == BeadState("a")
