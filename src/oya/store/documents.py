"""Tables of rows by key: contracts, evidence, intents, checkpoints."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from oya.store.engine import Delete, Put, Row, Write
from oya.store.head import Draft, to_text
from oya.store.swarms import OnSwarm, change_swarm
from oya.store.writer import Writer

CACHED = 500


class Documents:
    """One table. Rows are JSON objects and belong to the caller; a get by key never scans.

    What was read or written lately is kept in memory, at most 500 rows. `timed`: a row that
    is put gets the time, in the field `at`.
    """

    def __init__(self, table: str, writer: Writer, *, timed: bool = False) -> None:
        self._table = table
        self._timed = timed
        self._writer = writer
        self._cache: OrderedDict[str, str] = OrderedDict()
        self._changes = 0
        writer.readers.setdefault(table, []).append(self._written)

    async def get(self, key: str) -> Row | None:
        """The acknowledged row. `StoreUnavailable` while the engine cannot be read."""
        if key in self._cache:
            self._cache.move_to_end(key)
            return _row(self._cache[key])
        before = self._changes
        row = await self._writer.engine.get(self._table, key)
        if row is not None and before == self._changes:
            self._keep(key, to_text(row))
        return row

    async def put(
        self,
        key: str,
        row: Mapping[str, Any],
        *,
        event: str | None = None,
        swarm: str | None = None,
        bead: str | None = None,
        reason: str | None = None,
        data: Mapping[str, Any] | None = None,
        on_swarm: OnSwarm | None = None,
    ) -> None:
        """Set the row, whole; with `event`, an event record in the same commit.

        `on_swarm` changes the row of `swarm` in it, too. `RefusedError`: there is no such swarm.
        """

        def decide(draft: Draft) -> None:
            about = {"at": draft.now} if self._timed else {}
            draft.write(Put(self._table, key, {**row, **about}))
            if event is not None:
                draft.record(event, swarm=swarm, bead=bead, reason=reason, data=data or {})
            change_swarm(draft, swarm, on_swarm)

        await self._writer.submit(decide)

    async def delete(self, key: str) -> None:
        """Remove the row, if it is there."""
        await self._writer.submit(lambda draft: draft.write(Delete(self._table, key)))

    async def all(self) -> list[tuple[str, Row]]:
        """Every row, by key: for tables that stay small."""
        return [found async for found in self._writer.engine.scan(self._table)]

    async def below(self, prefix: str) -> list[tuple[str, Row]]:
        """The rows whose keys begin so, by the rest of their keys; no others are read.

        `prefix`: ASCII, as keys begin that oya gives a kind, and longer than nothing.
        """
        scan = self._writer.engine.scan(self._table, after=prefix, before=end_of(prefix))
        return [(key.removeprefix(prefix), row) async for key, row in scan]

    def _written(self, write: Write) -> None:
        self._changes += 1
        if isinstance(write, Put):
            self._keep(write.key, write.text)
        else:
            self._cache.pop(write.key, None)

    def _keep(self, key: str, text: str) -> None:
        self._cache[key] = text
        self._cache.move_to_end(key)
        if len(self._cache) > CACHED:
            self._cache.popitem(last=False)


def end_of(prefix: str) -> str:
    """What comes after all keys that begin so, and before any other: ASCII, as `prefix` is."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


class CheckpointStore(Documents):
    """Where a swarm stands, one checkpoint a swarm, besides other rows by key."""

    async def save(self, swarm: str, row: Mapping[str, Any]) -> None:
        """Replace the swarm's checkpoint; `swarm`, `seq` and `at` are added to the row."""

        def decide(draft: Draft) -> None:
            about = {"swarm": swarm, "seq": draft.seq, "at": draft.now}
            draft.write(Put(self._table, f"swarm:{swarm}", {**row, **about}))

        await self._writer.submit(decide)

    async def latest(self, swarm: str) -> Row | None:
        """The swarm's last checkpoint."""
        return await self.get(f"swarm:{swarm}")


def _row(text: str) -> Row:
    row: Row = json.loads(text)
    return row
