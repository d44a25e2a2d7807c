"""A state as a file, out and in."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oya.clock import SystemClock
from oya.crashpoints import POINTS
from oya.errors import StoreLocked, UsageError
from oya.lifecycle.events import Added, HeldByPerson
from oya.lifecycle.model import Limits
from oya.store import Store
from oya.store.beside import Position
from oya.store.engine import TABLES, Put
from oya.store.files import BesideFiles
from oya.store.migrations import SCHEMA
from oya.store.transfer import export, fill, import_state
from oya.testing.engine import Disk, SimulatedEngine
from oya.testing.loop import run_virtual

FIXTURE = Path(__file__).parents[2] / "fixtures" / "state-v1" / "state.tar.xz"
LIMITS = Limits()


async def opened(home: Path) -> Store:
    return await Store.open(home, clock=SystemClock())


async def filled(home: Path) -> list[str]:
    """A small state, and its export."""
    store = await opened(home)
    many = [(f"b-{n}", Added(f"title \0 {n} ✂")) for n in range(300)]
    await store.beads.apply_many(many, swarm="s", limits=LIMITS)
    await store.beads.apply("b-7", HeldByPerson("\ud800"), swarm=None, limits=LIMITS)
    await store.evidence.put("k", {"big": 2**70, "none": None})
    lines = [line async for line in store.export()]
    await store.close()
    return lines


async def restored(home: Path, lines: list[str]) -> Position:
    source = io.BytesIO("".join(lines).encode())
    return await import_state(home, source, clock=SystemClock(), wait=0)


async def test_what_comes_in_is_what_went_out(tmp_path: Path) -> None:
    lines = await filled(tmp_path / "a")
    position = await restored(tmp_path / "b", lines)

    assert position == Position(301, 3, SCHEMA)
    assert sorted(p.name for p in (tmp_path / "b").iterdir()) == [
        "clean",
        "data",
        "lock",
        "sequence",
    ]
    one, other = await opened(tmp_path / "a"), await opened(tmp_path / "b")
    assert list(other.beads.all().items()) == list(one.beads.all().items())
    assert await other.events.since(0) == await one.events.since(0)
    assert [line async for line in other.export()] == lines
    assert not (tmp_path / "b" / "copies").exists(), "it is as after a clean end"
    assert (await other.events.append("on it goes")).seq == 302
    await one.close()
    await other.close()


keys = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
rows = st.dictionaries(st.text(), values, max_size=4)
documents = st.sampled_from(["contracts", "checkpoints", "evidence", "intents"])


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.tuples(documents, keys), rows, max_size=12))
def test_any_rows_come_back_as_they_were(content: dict[tuple[str, str], dict[str, Any]]) -> None:
    async def there_and_back() -> None:
        first, second = SimulatedEngine(Disk()), SimulatedEngine(Disk())
        await first.open()
        await second.open()
        meta = [
            Put("meta", "schema", {"version": SCHEMA}),
            Put("meta", "group", {"seq": 0, "group": 4}),
        ]
        await first.commit([*meta, *(Put(t, k, row) for (t, k), row in content.items())])
        lines = [line async for line in export(first)]
        found = await fill(second, [line.encode() for line in lines])
        assert found == Position(0, 4, SCHEMA)
        assert [line async for line in export(second)] == lines
        for (table, key), row in content.items():
            assert await second.get(table, key) == row

    run_virtual(there_and_back)


async def test_a_file_of_an_older_schema_comes_in_as_this_version(tmp_path: Path) -> None:
    with tarfile.open(FIXTURE) as archive:
        archive.extractall(tmp_path, filter="data")
    expected = json.loads((tmp_path / "expected.json").read_text())
    group = dict(expected["meta"])["group"]
    header = {"oya state": 1, "schema": 1, "seq": group["seq"], "group": group["group"]}
    records = [
        {"table": table, "key": key, "row": row} for table in TABLES for key, row in expected[table]
    ]
    lines = sealed([header, *records])

    position = await restored(tmp_path / "new", lines)

    assert position == Position(group["seq"], group["group"], SCHEMA)
    one, other = await opened(tmp_path / "state"), await opened(tmp_path / "new")
    assert [line async for line in one.export()] == [line async for line in other.export()]
    await one.close()
    await other.close()


def sealed(rows: list[dict[str, Any]]) -> list[str]:
    """These rows as a file with a right closing line."""
    lines = [f"{json.dumps(row)}\n" for row in rows]
    counts = {table: sum(row.get("table") == table for row in rows) for table in TABLES}
    digest = hashlib.sha256("".join(lines).encode()).hexdigest()
    return [*lines, f"{json.dumps({'end': counts, 'sha256': digest})}\n"]


def changed(change: Callable[[list[dict[str, Any]]], None]) -> Callable[[list[str]], list[str]]:
    def apply(lines: list[str]) -> list[str]:
        loaded = [json.loads(line) for line in lines[:-1]]
        change(loaded)
        return sealed(loaded)

    return apply


def swap(rows: list[dict[str, Any]]) -> None:
    rows[1], rows[2] = rows[2], rows[1]


def lose_last_event(rows: list[dict[str, Any]]) -> None:
    last = max(n for n, row in enumerate(rows) if row.get("table") == "events")
    del rows[last]


WRONG: dict[str, tuple[Callable[[list[str]], list[str]], str]] = {
    "nothing": (lambda lines: [], "Line 1: this is no whole JSON object"),
    "another file": (lambda lines: ['{"id": "a"}\n'], "Line 1: this is no export of a state"),
    "cut after a line": (lambda lines: lines[:-1], "the file ends before its closing line"),
    "cut within a line": (lambda lines: [*lines[:9], lines[9][:20]], "Line 10: this is no whole"),
    "a line lost": (lambda lines: lines[:5] + lines[6:], "the file should have"),
    "a word changed": (
        lambda lines: [line.replace("title", "tutle") for line in lines],
        "the checksum is another",
    ),
    "more after it": (lambda lines: [*lines, "{}\n"], "something after the closing line"),
    "twice": (
        changed(lambda rows: rows.insert(1, rows[1])),
        "Line 3: the records are not in order",
    ),
    "not in order": (changed(swap), "Line 3: the records are not in order"),
    "an unknown table": (changed(lambda rows: rows[1].update(table="x")), "a table that is known"),
    "a bad key": (changed(lambda rows: rows[1].update(key="\0")), "Line 2: not a key"),
    "no row": (changed(lambda rows: rows[1].update(row=3)), "a table that is known"),
    "another position": (changed(lambda rows: rows[0].update(seq=300)), "its first line says"),
    "a bead without a state": (changed(lambda rows: rows[1].update(row={})), "hang together"),
    "an event lost": (changed(lose_last_event), "event 301 is missing"),
    "a newer schema": (changed(lambda rows: rows[0].update(schema=SCHEMA + 1)), "a newer oya"),
    "a newer format": (changed(lambda rows: rows[0].update({"oya state": 2})), "a newer oya"),
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_a_file_that_is_not_whole_leaves_nothing(tmp_path: Path, wrong: str) -> None:
    lines = await filled(tmp_path / "a")
    break_it, words = WRONG[wrong]

    with pytest.raises(UsageError, match=words) as refusal:
        await restored(tmp_path / "b", break_it(lines))

    assert refusal.value.safe == "Nothing was imported."
    assert [p.name for p in (tmp_path / "b").iterdir()] == ["lock"]
    assert await restored(tmp_path / "b", lines) == Position(301, 3, SCHEMA)


def files_of(home: Path) -> dict[Path, bytes]:
    return {p: p.read_bytes() for p in home.rglob("*") if p.is_file() and p.name != "lock"}


async def test_a_state_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    home = tmp_path / "a"
    lines = await filled(home)
    before = files_of(home)
    with pytest.raises(UsageError, match="There is a state") as refusal:
        await restored(home, lines)
    assert refusal.value.hint == f"To put it aside: mv {home} {home}.old"
    assert files_of(home) == before

    store = await opened(home)
    before = files_of(home)
    with pytest.raises(StoreLocked):
        await restored(home, lines)
    assert files_of(home) == before
    await store.close()


async def test_an_import_that_ended_between_two_renamings_is_finished(tmp_path: Path) -> None:
    lines = await filled(tmp_path / "a")
    home = tmp_path / "b"
    await restored(home, lines)
    half = home / "importing"
    half.mkdir()
    (home / "sequence").rename(half / "sequence")

    store = await opened(home)
    assert [line async for line in store.export()] == lines
    await store.close()
    assert not half.exists()


async def test_what_a_killed_import_left_does_not_matter(tmp_path: Path) -> None:
    lines = await filled(tmp_path / "a")
    home = tmp_path / "b"
    await restored(home / "importing", lines[:1] + lines[1:])
    store = await opened(home)
    assert store.events.last == 0
    await store.close()
    for path in (home / "data", home / "sequence", home / "clean"):
        path.rename(home / f"{path.name}.aside")
    assert await restored(home, lines) == Position(301, 3, SCHEMA)
    assert not BesideFiles(home / "importing").is_used()


@pytest.mark.parametrize("name", [name for name in POINTS if name.startswith("store.import_")])
async def test_an_import_that_is_killed_is_there_whole_or_can_be_made_again(
    tmp_path: Path, name: str
) -> None:
    lines = await filled(tmp_path / "a")
    home = tmp_path / "b"
    program = (
        "import asyncio, pathlib, sys\n"
        "from oya import clock, crashpoints\n"
        "from oya.store.transfer import import_state\n"
        f"crashpoints.arm({name!r})\n"
        "home, source = pathlib.Path(sys.argv[1]), sys.stdin.buffer\n"
        "asyncio.run(import_state(home, source, clock=clock.SystemClock(), wait=0))\n"
    )
    done = await asyncio.to_thread(
        subprocess.run,
        (sys.executable, "-c", program, str(home)),
        input="".join(lines).encode(),
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL

    if name == "store.import_built":
        await restored(home, lines)
    else:
        with pytest.raises(UsageError, match="There is a state"):
            await restored(home, lines)
    store = await opened(home)
    assert [line async for line in store.export()] == lines
    await store.close()
