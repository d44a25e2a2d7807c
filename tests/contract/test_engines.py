"""What every engine under the store must do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from oya.errors import StoreUnavailable
from oya.store.engine import TABLES, Delete, Engine, Put
from oya.store.surreal import SurrealEngine
from oya.testing.engine import Disk, SimulatedEngine
from oya.testing.simulation.plan import draw
from oya.testing.simulation.world import MachineEngine, World
from user_kit import Prompt

Make = Callable[[], Engine]

STRANGE: dict[str, Any] = {
    "id": "its own",
    "row": {"row": None},
    "none": None,
    "nested": [None, {"x": None, "y": []}, {}],
    "big": 2**63,
    "bigger": -(2**70),
    "edge": [2**63 - 1, -(2**63)],
    "zero byte": "a\0b",
    "control": "\x01\x1b[0m\r\n\t",
    "surrogate": "\ud800",
    "text": "é 😀 ⟩ ` \" ' \\ $x",
    "date": "2026-01-01T00:00:00Z",
    "record": "beads:1",
    "float": 1.0,
    "small": 1e-300,
    "yes": True,
    "": "an empty name",
    "long": "x" * 100_000,
}
KEYS = [
    *(
        "beads:1",
        "evidence:⟨1⟩",
        "rand()",
        "ulid()",
        "1..5",
        "u'018f4a3e-0000-7000-8000-000000000000'",
    ),
    *("018f4a3e-0000-7000-8000-000000000000", "2026-01-01T00:00:00Z", "NONE", "null", "[1]", "{}"),
    *("\x01", "10", "9", "A b/c⟩`\"'\\", "a", "a:b", "\x7f", "é", "\ue000", "😀", "\U0010ffffz"),
]


@pytest.fixture(params=["surreal", "simulated", "machine"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    if request.param == "simulated":
        disk = Disk()
        return lambda: SimulatedEngine(disk)
    if request.param == "machine":
        world = World(draw(1))
        return lambda: MachineEngine(world.disk, Prompt(), world)
    # A directory that a URL would take apart.
    return lambda: SurrealEngine(tmp_path / "a b#1?x=%20" / "data")


@pytest.fixture
async def engine(make: Make) -> AsyncIterator[Engine]:
    engine = make()
    await engine.open()
    yield engine
    await engine.close()


async def rows(engine: Engine, table: str, **how: Any) -> list[tuple[str, dict[str, Any]]]:
    return [found async for found in engine.scan(table, **how)]


async def test_a_row_comes_back_exactly_as_it_went_in(engine: Engine) -> None:
    await engine.commit([Put("beads", "strange", STRANGE)])

    assert await engine.get("beads", "strange") == STRANGE
    assert await rows(engine, "beads") == [("strange", STRANGE)]


async def test_a_put_replaces_the_whole_row(engine: Engine) -> None:
    await engine.commit([Put("beads", "a", {"x": 1, "y": 2})])
    await engine.commit([Put("beads", "a", {"z": 3})])

    assert await engine.get("beads", "a") == {"z": 3}


async def test_what_is_asked_for_by_its_field_is_replaced_too(engine: Engine) -> None:
    await engine.commit([Put("events", "1", {"bead": "x"}), Put("events", "2", {"bead": "x"})])
    await engine.commit([Put("events", "1", {"bead": "y"}), Put("events", "2", {"other": 1})])

    assert [k for k, _ in await rows(engine, "events", where=("bead", "x"))] == []
    assert [k for k, _ in await rows(engine, "events", where=("bead", "y"))] == ["1"]


async def test_what_is_not_there_is_none_or_nothing(engine: Engine) -> None:
    await engine.commit([Delete("beads", "never there")])

    assert await engine.get("beads", "never there") is None
    assert [await rows(engine, table) for table in TABLES] == [[] for _ in TABLES]


async def test_a_commit_is_taken_in_order_over_several_tables(engine: Engine) -> None:
    await engine.commit([Put("beads", "a", {}), Put("intents", "i", {"n": 1})])
    await engine.commit(
        [Delete("intents", "i"), Put("beads", "a", {"n": 1}), Put("beads", "a", {"n": 2})]
    )

    assert await rows(engine, "beads") == [("a", {"n": 2})]
    assert await rows(engine, "intents") == []
    await engine.commit([Put("beads", "a", {"n": 3}), Delete("beads", "a")])
    assert await rows(engine, "beads") == []
    await engine.commit([Put("beads", "a", {"n": 4}), Delete("beads", "a"), Put("beads", "a", {})])
    assert await rows(engine, "beads") == [("a", {})]


async def test_scans_are_in_the_order_of_keys(engine: Engine) -> None:
    await engine.commit([Put("evidence", key, {"k": key}) for key in reversed(KEYS)])

    assert await rows(engine, "evidence") == [(key, {"k": key}) for key in sorted(KEYS)]
    for n, key in enumerate(sorted(KEYS)):
        after = await rows(engine, "evidence", after=key)
        assert [k for k, _ in after] == sorted(KEYS)[n + 1 :]


async def test_scans_take_an_end(engine: Engine) -> None:
    await engine.commit([Put("evidence", key, {}) for key in KEYS])

    for n, after in enumerate(["", *sorted(KEYS)]):
        for m, before in enumerate(sorted(KEYS)):
            found = await rows(engine, "evidence", after=after, before=before)
            assert [k for k, _ in found] == sorted(KEYS)[n:m]
    assert len(await rows(engine, "evidence", after="1", before="a", limit=3)) == 3


async def test_scans_take_a_start_a_limit_and_a_field(engine: Engine) -> None:
    many = [Put("events", f"{n:016d}", {"seq": n, "bead": f"b{n % 3}"}) for n in range(1, 1203)]
    await engine.commit(many)

    assert [row["seq"] for _, row in await rows(engine, "events")] == list(range(1, 1203))
    page = await rows(engine, "events", after=f"{600:016d}", limit=501)
    assert [row["seq"] for _, row in page] == list(range(601, 1102))
    some = await rows(engine, "events", after=f"{3:016d}", limit=3, where=("bead", "b0"))
    assert [row["seq"] for _, row in some] == [6, 9, 12]
    assert len(await rows(engine, "events", where=("bead", "b1"))) == 401
    assert await rows(engine, "events", limit=0) == []
    await engine.commit([Put("beads", f"{n:04d}", {"colour": f"c{n % 7}"}) for n in range(700)])
    found = await rows(engine, "beads", after="0010", limit=90, where=("colour", "c1"))
    assert [int(k) for k, _ in found] == list(range(15, 645, 7))
    assert len(await rows(engine, "beads", where=("colour", "c1"))) == 100


async def test_the_field_of_a_scan_is_data_not_language(engine: Engine) -> None:
    await engine.commit([Put("events", "1", {"bead": "x"}), Put("events", "2", {"bead": "é' = 1"})])

    assert [k for k, _ in await rows(engine, "events", where=("bead", "é' = 1"))] == ["2"]
    assert await rows(engine, "events", where=("bead", "' OR true")) == []


async def test_what_was_committed_is_there_when_opened_again(make: Make) -> None:
    first = make()
    await first.open()
    await first.commit([Put("beads", "a", STRANGE)])
    await first.close()
    await first.close()

    second = make()
    await second.open()
    assert await second.get("beads", "a") == STRANGE
    await second.close()


async def test_a_closed_engine_says_so(make: Make) -> None:
    engine = make()
    await engine.open()
    await engine.close()

    with pytest.raises(StoreUnavailable):
        await engine.commit([Put("beads", "a", {})])
    with pytest.raises(StoreUnavailable):
        await engine.get("beads", "a")
