"""The whole state as JSON lines, out and in, so that nobody is locked in.

    {"oya state": 1, "schema": 2, "seq": 1480, "group": 902}
    {"table": "beads", "key": "oya-1", "row": {…}}        one a record: by table, then by key
    {"end": {"beads": 26, …}, "sha256": "…"}              counts, and a sum of all lines before

Both directions stream. What is read is built beside and becomes the state by renaming when
all of it has been found good, so that a file that was cut or changed leaves nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

from oya.clock import Clock
from oya.crashpoints import point
from oya.errors import StoreDamaged, UsageError
from oya.store.beside import Position
from oya.store.engine import TABLES, Engine, Put, Write
from oya.store.files import BesideFiles
from oya.store.head import Head, check_key, to_text
from oya.store.migrations import SCHEMA, migrate, schema_of
from oya.store.surreal import SurrealEngine
from oya.store.writer import position_of

FORMAT = 1
BATCH = 200
LONGEST = 64 * 1024 * 1024
"""Bytes that a line may have."""


async def export(engine: Engine) -> AsyncIterator[str]:
    """The lines, each with its end. Nothing may be committed meanwhile."""
    seq, group = position_of(await engine.get("meta", "group"))
    header = {"oya state": FORMAT, "schema": await schema_of(engine), "seq": seq, "group": group}
    counts = dict.fromkeys(TABLES, 0)
    digest = hashlib.sha256()
    line = f"{to_text(header)}\n"
    digest.update(line.encode())
    yield line
    for table in TABLES:
        async for key, row in engine.scan(table):
            line = f"{to_text({'table': table, 'key': key, 'row': row})}\n"
            digest.update(line.encode())
            counts[table] += 1
            yield line
    yield f"{to_text({'end': counts, 'sha256': digest.hexdigest()})}\n"


async def fill(engine: Engine, lines: Iterable[bytes]) -> Position:
    """Put the records of an export into an empty engine, and bring them to this version.

    `UsageError` names the line that is wrong; the engine is of no use then.
    """
    reader = _Reader(iter(lines))
    header = reader.header()
    batch: list[Write] = []
    for put in reader.records():
        batch.append(put)
        if len(batch) == BATCH:
            await engine.commit(batch)
            batch = []
    await engine.commit(batch)
    found = Position(*position_of(await engine.get("meta", "group")), await schema_of(engine))
    if found != header:
        reader.refuse(f"its first line says {header}, its records {found}")
    try:
        await migrate(engine)
        await Head.load(engine, found.seq, found.group)
    except StoreDamaged as error:
        reader.refuse(f"its records do not hang together: {error}")
    return Position(found.seq, found.group, SCHEMA)


async def import_state(directory: Path, source: BinaryIO, *, clock: Clock, wait: float) -> Position:
    """Make the export in `source` the state in `directory`, where there is none.

    `UsageError`: there is one, or the file is not whole; nothing was changed. `StoreLocked`,
    `StoreUnavailable`, `OSError` likewise.
    """
    beside, fresh = BesideFiles(directory), BesideFiles(directory / "importing")
    beside.make()
    lock = await beside.lock(clock, wait)
    try:
        if beside.is_used():
            raise UsageError(
                f"There is a state in {directory} already.",
                safe="It was not changed.",
                hint=f"To put it aside: mv {directory} {directory}.old",
            )
        fresh.remove()
        try:
            position = await _built(fresh, source)
        except BaseException:
            fresh.remove()
            raise
        point("store.import_built")
        beside.adopt(fresh)
        return position
    finally:
        lock.release()


async def _built(fresh: BesideFiles, source: BinaryIO) -> Position:
    fresh.make()
    file = fresh.sequence(sync=True)
    engine = SurrealEngine(fresh.data)
    try:
        await engine.open()
        position = await fill(engine, _lines(source))
        await engine.close()
        file.write(position)
        if flushing := file.flush():
            await flushing
    finally:
        await engine.close()
        file.close()
    fresh.mark_clean()
    return position


def _lines(source: BinaryIO) -> Iterator[bytes]:
    while line := source.readline(LONGEST + 1):
        yield line


@dataclass
class _Reader:
    """Checks line by line what `export` wrote."""

    lines: Iterator[bytes]
    number: int = 0
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(TABLES, 0))
    digest: Any = field(default_factory=hashlib.sha256)

    def header(self) -> Position:
        line = next(self.lines, b"")
        row = self._row(line)
        self.digest.update(line)
        if not isinstance(row.get("oya state"), int):
            self.refuse("this is no export of a state")
        try:
            position = Position(int(row["seq"]), int(row["group"]), int(row["schema"]))
        except (KeyError, TypeError, ValueError):
            self.refuse("the first line must have schema, seq and group")
        if row["oya state"] > FORMAT or position.schema > SCHEMA:
            raise UsageError(
                f"The file was written by a newer oya (schema {position.schema}; this one "
                f"knows {SCHEMA}).",
                safe="Nothing was imported.",
                hint="Type: pip install --upgrade oya",
            )
        return position

    def records(self) -> Iterator[Put]:
        """Every record; returns when the closing line was found right, and nothing after it."""
        last = (-1, "")
        for line in self.lines:
            row = self._row(line)
            if "end" in row:
                self._close(row)
                return
            self.digest.update(line)
            put = self._put(row)
            place = (TABLES.index(put.table), put.key)
            if place <= last:
                self.refuse("the records are not in order, or one is there twice")
            last = place
            self.counts[put.table] += 1
            yield put
        self.refuse("the file ends before its closing line: it was cut")

    def refuse(self, what: str) -> NoReturn:
        raise UsageError(
            f"Line {self.number}: {what}.",
            safe="Nothing was imported.",
            hint="Take a file that `oya state export` has written, as it was written.",
        )

    def _row(self, line: bytes) -> dict[str, Any]:
        self.number += 1
        if len(line) > LONGEST:
            self.refuse(f"it has more than {LONGEST} bytes")
        try:
            row = json.loads(line)
        except ValueError:
            row = None
        if not isinstance(row, dict) or not line.endswith(b"\n"):
            self.refuse("this is no whole JSON object; the file was cut, or is something else")
        return row

    def _put(self, row: dict[str, Any]) -> Put:
        table, key, content = row.get("table"), row.get("key"), row.get("row")
        if table not in TABLES or not isinstance(content, dict) or not isinstance(key, str):
            self.refuse("a record has a table that is known, a key and a row")
        try:
            check_key(key)
            return Put(table, key, content, to_text(content))
        except ValueError as error:
            self.refuse(str(error))

    def _close(self, row: dict[str, Any]) -> None:
        if row["end"] != self.counts:
            self.refuse(f"the file should have {row['end']}, and has {self.counts}")
        if row.get("sha256") != self.digest.hexdigest():
            self.refuse("the checksum is another: the file was changed")
        if next(self.lines, None) is not None:
            self.number += 1
            self.refuse("there is something after the closing line")
