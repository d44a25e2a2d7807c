"""What only the real engine can do: end in the middle of a commit."""

from __future__ import annotations

import json
import shutil
import zlib
from pathlib import Path
from typing import Any

from oya.store.engine import TABLES, Delete, Put
from oya.store.surreal import SurrealEngine

FIRST = [
    Put("beads", "a", {"v": 1}),
    Put("intents", "gone", {"v": 1}),
    Put("events", "1", {"bead": "a"}),
    Put("meta", "group", {"group": 1}),
]
SECOND = [
    Put("beads", "a", {"v": 2}),
    Put("beads", "b", {"text": "é\x00\n" * 5}),
    Delete("intents", "gone"),
    Put("events", "2", {"bead": "b"}),
    Put("meta", "group", {"group": 2}),
]


async def content(home: Path) -> dict[str, list[Any]]:
    engine = SurrealEngine(home)
    await engine.open()
    rows = {table: [found async for found in engine.scan(table)] for table in TABLES}
    rows["of b"] = [k async for k, _ in engine.scan("events", where=("bead", "b"))]
    await engine.close()
    return rows


def log_of(home: Path) -> Path:
    (log,) = (home / "clog").iterdir()
    return log


async def test_a_commit_whose_end_is_torn_off_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    home = tmp_path / "data"
    engine = SurrealEngine(home)
    await engine.open()
    await engine.commit(FIRST)
    begin = log_of(home).stat().st_size
    shutil.copytree(home, tmp_path / "before")
    await engine.commit(SECOND)
    end = log_of(home).stat().st_size
    await engine.close()
    before, after = await content(tmp_path / "before"), await content(home)
    assert before != after

    seen = []
    for size in range(begin, end + 1, 9):
        torn = tmp_path / "torn"
        shutil.copytree(home, torn)
        with log_of(torn).open("r+b") as file:
            file.truncate(size)
        found = await content(torn)
        assert found in (before, after), f"torn after {size - begin} of {end - begin} bytes"
        assert await content(torn) == found
        seen.append(found == after)
        shutil.rmtree(torn)
    assert seen == sorted(seen)
    assert 5 < sum(seen) < len(seen) - 5


async def test_what_an_older_oya_wrote_first_of_a_commit_is_finished_too(tmp_path: Path) -> None:
    engine = SurrealEngine(tmp_path / "data")
    await engine.open()
    await engine.commit(FIRST)
    texts = [[w.table, w.key, json.dumps(w.row) if isinstance(w, Put) else None] for w in SECOND]
    redo = zlib.compress(json.dumps(texts).encode(), 1)
    await engine._query("UPSERT redo:last CONTENT { packed: $redo };", {"redo": redo})
    await engine.close()
    found = await content(tmp_path / "data")
    assert [key for key, _ in found["events"]] == ["1", "2"]
    assert found["beads"] == [("a", {"v": 2}), ("b", {"text": "é\x00\n" * 5})]
    assert not found["intents"]
    assert found["of b"] == ["2"]


async def test_what_an_opening_has_found_is_made_durable_when_it_counts(tmp_path: Path) -> None:
    """A killed process may have left it in the system's caches; a commit waits for the disk. An
    opening that finds damage has written nothing."""
    home = tmp_path / "data"
    engine = SurrealEngine(home)
    await engine.open()
    await engine.commit(FIRST)
    await engine.close()
    before, found = log_of(home).read_bytes(), await content(home)
    assert log_of(home).read_bytes() == before
    await engine.open()
    await engine.confirm()
    await engine.close()
    assert len(log_of(home).read_bytes()) > len(before)
    assert await content(home) == found
