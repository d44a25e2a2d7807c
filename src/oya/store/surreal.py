"""SurrealDB, embedded: the engine of a real store.

What is peculiar about it stays in this file. A row is one JSON text in the field `row` of its
record, because the engine's own values lose nulls, wrap large integers, and make a table
unreadable with a single U+0000. Fields that scans ask for are columns beside it; no others,
since a column costs as much as a record does.

A commit is not whole by itself: its records lie in the engine's log one after another, each
with a checksum, and where the end of the log is torn off (power loss, a full disk) those
before the tear stay. Hence the first record of a commit has all of it once more, and opening
finishes what it names; a commit whose first record is torn has left nothing.
"""

from __future__ import annotations

import json
import os
import zlib
from asyncio import CancelledError
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from oya.errors import StoreDamaged, StoreUnavailable
from oya.store.engine import TABLES, Delete, Put, Row, Write

PAGE = 500
_SHOWN = 500
_ABORTED = "The query was not executed due to a failed transaction"
_OF_FILES = "problem with the underlying datastore"
_OF_THE_SYSTEM = ("(os error ", "failed to write")
_COLUMNS = {"events": "bead"}
"""The one field of a table that scans may ask for; elsewhere rows are read and then chosen."""
_REDO = "UPSERT redo:last CONTENT { packed: $redo } RETURN NONE;"
_OPENED = "UPSERT redo:opened SET times = (times ?? 0) + 1 RETURN NONE;"
_REPLACE = "ON DUPLICATE KEY UPDATE row = $input.row, bead = $input.bead RETURN NONE"


class SurrealEngine:
    """One directory of SurrealKV files; nothing else may have them open.

    `sync`: every commit reaches the disk before it returns. The engine takes this setting
    from the environment when it is first opened, so it is one per process.
    """

    def __init__(self, directory: Path, *, sync: bool = True) -> None:
        self._directory = directory
        self._sync = sync
        self._db: Any = None

    async def open(self) -> None:
        os.environ["SURREAL_SYNC_DATA"] = "true" if self._sync else "false"
        # Imported here, because it takes longer than most commands as a whole.
        from surrealdb import AsyncSurreal

        try:
            self._db = AsyncSurreal(f"surrealkv://{self._directory}")
            await self._db.connect()
            await self._db.use("oya", "oya")
        except BaseException as error:
            raise _unopened(error, self._directory) from error
        tables = (*TABLES, "redo")
        await self._query("".join(f"DEFINE TABLE IF NOT EXISTS {table};" for table in tables))
        await self._finish()

    async def commit(self, writes: Sequence[Write]) -> None:
        from surrealdb import RecordID

        latest = list({(write.table, write.key): _whole(write) for write in writes}.values())
        puts: dict[str, Any] = {}
        for write in latest:
            if isinstance(write, Put):
                puts.setdefault(write.table, []).append(_record(write))
        gone = [RecordID(w.table, w.key) for w in latest if isinstance(w, Delete)]
        text = "".join(f"INSERT INTO {table} ${table} {_REPLACE};" for table in puts)
        await self._query(
            f"BEGIN;{_REDO}{text}DELETE $gone RETURN NONE;COMMIT;",
            {**puts, "gone": gone, "redo": _packed(latest)},
        )

    async def confirm(self) -> None:
        await self._query(_OPENED)  # the engine writes nothing where nothing is new

    async def _finish(self) -> None:
        """Make the last commit whole; one that is whole is left as it is."""
        last = await self._select("SELECT packed FROM redo:last", {})
        if last:
            await self.commit(_unpacked(last[0]["packed"]))

    async def get(self, table: str, key: str) -> Row | None:
        from surrealdb import RecordID

        found = await self._select("SELECT row FROM $at", {"at": RecordID(table, key)})
        return json.loads(found[0]["row"]) if found else None

    async def scan(
        self,
        table: str,
        *,
        after: str = "",
        before: str = "",
        limit: int | None = None,
        where: tuple[str, str] | None = None,
    ) -> AsyncIterator[tuple[str, Row]]:
        from surrealdb import RecordID
        from surrealdb.data.types.range import BoundExcluded, Range

        condition = ""
        values: dict[str, Any] = {}
        if where is not None and where[0] == _COLUMNS.get(table):
            condition = "WHERE type::field($name) = $text"
            values = {"name": where[0], "text": where[1]}
        left = limit
        while left is None or left > 0:
            page = PAGE if left is None or (where and not condition) else min(PAGE, left)
            # Every text sorts before an array, so an empty one is the end of all keys.
            span = RecordID(table, Range(BoundExcluded(after), BoundExcluded(before or [])))
            # A record id as such takes as long to decode as the rest of the row.
            text = f"SELECT VALUE [record::id(id), row] FROM $span {condition} LIMIT {page}"  # noqa: S608
            found = await self._select(text, {"span": span, **values})
            for after, row_text in found:
                row = json.loads(row_text)
                if where is None or row.get(where[0]) == where[1]:
                    left = None if left is None else left - 1
                    yield after, row
                if left == 0:
                    return
            if len(found) < page:
                return

    async def close(self) -> None:
        db, self._db = self._db, None
        if db is None:
            return
        try:
            await db.close()
        except BaseException as error:
            raise _translated(error, "cannot be closed") from error

    async def _select(self, text: str, values: dict[str, Any]) -> list[Any]:
        (found,) = await self._query(text, values)
        return found if isinstance(found, list) else []

    async def _query(self, text: str, values: dict[str, Any] | None = None) -> list[Any]:
        """The result of every statement.

        The SDK's own `query()` shows one of them (which one depends on the version and on
        the kind of connection) and misses the errors of the others.
        """
        if self._db is None:
            raise StoreUnavailable("the state is not open")
        try:
            answer = await self._db.query_raw(text, values or {})
        except BaseException as error:
            raise _translated(error, "cannot be reached") from error
        statements = answer.get("result")
        if not isinstance(statements, list):
            raise StoreUnavailable(f"the state cannot be reached: {answer.get('error')}")
        wrong = [str(s["result"]) for s in statements if s["status"] != "OK"]
        if wrong:
            told = [words for words in wrong if words != _ABORTED] or wrong
            raise StoreUnavailable(f"the state cannot be written: {told[0][:_SHOWN]}")
        return [s["result"] for s in statements]


def _packed(writes: Sequence[Write]) -> bytes:
    """Table, key and row of each; no row is a deletion. JSON has no U+0000, and nor have keys."""
    parts = [p for w in writes for p in (w.table, w.key, w.text if isinstance(w, Put) else "")]
    return zlib.compress("\0".join(parts).encode(), 1)


def _unpacked(packed: bytes) -> list[Write]:
    text = zlib.decompress(packed).decode()
    if text.startswith("["):  # as it was written before
        parts = [part or "" for write in json.loads(text) for part in write]
    else:
        parts = text.split("\0") if text else []
    every = zip(parts[::3], parts[1::3], parts[2::3], strict=True)
    return [Put(t, k, json.loads(row), row) if row else Delete(t, k) for t, k, row in every]


def _whole(write: Write) -> Write:
    """With its text."""
    if isinstance(write, Put) and not write.text:
        return Put(write.table, write.key, write.row, json.dumps(write.row))
    return write


def _record(put: Put) -> dict[str, str]:
    record = {"id": put.key, "row": put.text}
    column = _COLUMNS.get(put.table)
    value = put.row.get(column) if column else None
    if column and isinstance(value, str) and _storable(value):
        record[column] = value
    return record


def _storable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def _unopened(error: BaseException, directory: Path) -> BaseException:
    """`StoreDamaged` where the engine cannot make sense of its files.

    What the system refuses (no space, no permission) has a number in the engine's words.
    """
    told, words = _translated(error, "cannot be opened"), str(error)
    refused = any(sign in words for sign in _OF_THE_SYSTEM)
    if not isinstance(told, StoreUnavailable) or _OF_FILES not in words or refused:
        return told
    return StoreDamaged(f"the files in {directory} cannot be read: {words[:_SHOWN]}")


def _translated(error: BaseException, what: str) -> BaseException:
    """Ours for the engine's; its panics are no `Exception`."""
    if isinstance(error, CancelledError | KeyboardInterrupt | SystemExit | GeneratorExit):
        return error
    return StoreUnavailable(f"the state {what}: {str(error)[:_SHOWN]}")
