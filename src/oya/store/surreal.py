"""SurrealDB, embedded: the engine of a real store.

What is peculiar about it stays in this file. A row is one JSON text in the field `row` of its
record, because the engine's own values lose nulls, wrap large integers, and make a table
unreadable with a single U+0000. Fields that scans ask for are columns beside it; no others,
since a column costs as much as a record does.
"""

from __future__ import annotations

import json
import os
from asyncio import CancelledError
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

from oya.errors import StoreUnavailable
from oya.store.engine import TABLES, Put, Row, Write

PAGE = 500
_SHOWN = 500
_ABORTED = "The query was not executed due to a failed transaction"
_COLUMNS = {"events": "bead"}
"""The one field of a table that scans may ask for; elsewhere rows are read and then chosen."""
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
            raise _translated(error, "cannot be opened") from error
        await self._query("".join(f"DEFINE TABLE IF NOT EXISTS {table};" for table in TABLES))

    async def commit(self, writes: Sequence[Write]) -> None:
        from surrealdb import RecordID

        latest = {(write.table, write.key): write for write in writes}
        puts: dict[str, Any] = {}
        gone = []
        for write in latest.values():
            if isinstance(write, Put):
                puts.setdefault(write.table, []).append(_record(write))
            else:
                gone.append(RecordID(write.table, write.key))
        text = "".join(f"INSERT INTO {table} ${table} {_REPLACE};" for table in puts)
        await self._query(f"BEGIN;{text}DELETE $gone RETURN NONE;COMMIT;", {**puts, "gone": gone})

    async def get(self, table: str, key: str) -> Row | None:
        from surrealdb import RecordID

        found = await self._select("SELECT row FROM $at", {"at": RecordID(table, key)})
        return json.loads(found[0]["row"]) if found else None

    async def scan(
        self,
        table: str,
        *,
        after: str = "",
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
            span = RecordID(table, Range(BoundExcluded(after), BoundExcluded([])))
            text = f"SELECT id, row FROM $span {condition} LIMIT {page}"  # noqa: S608
            found = await self._select(text, {"span": span, **values})
            for record in found:
                after = str(record["id"].id)
                row = json.loads(record["row"])
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

    async def _select(self, text: str, values: dict[str, Any]) -> list[dict[str, Any]]:
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


def _record(put: Put) -> dict[str, str]:
    record = {"id": put.key, "row": put.text or json.dumps(put.row)}
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


def _translated(error: BaseException, what: str) -> BaseException:
    """Ours for the engine's; its panics are no `Exception`."""
    if isinstance(error, CancelledError | KeyboardInterrupt | SystemExit | GeneratorExit):
        return error
    return StoreUnavailable(f"the state {what}: {str(error)[:_SHOWN]}")
