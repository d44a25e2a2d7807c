"""SurrealDB, embedded: the engine of a real store.

What is peculiar about it stays in this file. Each row is kept twice in its record: whole,
as JSON text in `row`, because the engine's own values lose nulls, wrap large integers, and
make a table unreadable with a single U+0000; and its plain top-level fields as columns,
for `where` and for people who look with SurrealQL.
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
_RESERVED = ("id", "row")


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

        statements: list[str] = []
        values: dict[str, Any] = {}
        for n, write in enumerate(writes):
            values[f"r{n}"] = RecordID(write.table, write.key)
            if isinstance(write, Put):
                statements.append(f"UPSERT $r{n} CONTENT $c{n} RETURN NONE;")
                values[f"c{n}"] = _content(write.row)
            else:
                statements.append(f"DELETE $r{n} RETURN NONE;")
        await self._query(f"BEGIN;{''.join(statements)}COMMIT;", values)

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
        if where is not None:
            condition = "WHERE type::field($name) = $text"
            values = {"name": where[0], "text": where[1]}
        left = limit
        while left is None or left > 0:
            page = PAGE if left is None else min(PAGE, left)
            # Every text sorts before an array, so an empty one is the end of all keys.
            span = RecordID(table, Range(BoundExcluded(after), BoundExcluded([])))
            text = f"SELECT id, row FROM $span {condition} LIMIT {page}"  # noqa: S608
            found = await self._select(text, {"span": span, **values})
            for record in found:
                after = str(record["id"].id)
                yield after, json.loads(record["row"])
            if len(found) < page:
                return
            left = None if left is None else left - page

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


def _content(row: Row) -> Row:
    columns = {name: value for name, value in row.items() if _plain(name, value)}
    return {**columns, "row": json.dumps(row)}


def _plain(name: str, value: object) -> bool:
    if name in _RESERVED or not name.isidentifier():
        return False
    if isinstance(value, str):
        # isascii: cheap, and nearly always true; the rest must be text that UTF-8 can hold.
        return "\0" not in value and (value.isascii() or _encodable(value))
    if isinstance(value, bool | float):
        return True
    return isinstance(value, int) and -(2**63) <= value < 2**63


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _translated(error: BaseException, what: str) -> BaseException:
    """Ours for the engine's; its panics are no `Exception`."""
    if isinstance(error, CancelledError | KeyboardInterrupt | SystemExit | GeneratorExit):
        return error
    return StoreUnavailable(f"the state {what}: {str(error)[:_SHOWN]}")
