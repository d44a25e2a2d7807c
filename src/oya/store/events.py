"""The event log: every record in order, from memory where it is young, else from the engine."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any

from oya.lifecycle.record import EventRecord
from oya.store.engine import Delete, Write
from oya.store.head import event_key
from oya.store.writer import Writer

RECENT = 2000
CHUNK = 500


class EventLog:
    """What happened, without gaps: `seq` counts from 1."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._recent: deque[EventRecord] = deque(maxlen=RECENT)
        self._readers: list[Subscription] = []
        self.closed = False
        writer.listeners.append(self._committed)
        writer.readers.setdefault("events", []).append(self._written)

    @property
    def last(self) -> int:
        """The number of the last acknowledged event; 0 before the first."""
        return self._writer.head.seq

    async def append(
        self,
        event: str,
        *,
        swarm: str | None = None,
        bead: str | None = None,
        agent: str | None = None,
        class_: str | None = None,
        reason: str | None = None,
        epoch: int | None = None,
        from_: str | None = None,
        to: str | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> EventRecord:
        """An event that changes no state; durable on return."""
        return await self._writer.submit(
            lambda draft: draft.record(
                event,
                swarm=swarm,
                bead=bead,
                agent=agent,
                class_=class_,
                reason=reason,
                epoch=epoch,
                from_=from_,
                to=to,
                data=data or {},
            )
        )

    async def since(
        self, seq: int, limit: int = 1000, bead: str | None = None
    ) -> list[EventRecord]:
        """At most `limit` acknowledged records after number `seq`, in order; of one bead, if given.

        `StoreUnavailable` while the engine cannot be read.
        """
        if self._recent and self._recent[0].seq <= seq + 1:
            return self.recent(seq, limit, bead)
        where = ("bead", bead) if bead is not None else None
        if bead in self._writer.head.details:  # there is nothing about it before its first event
            seq = max(seq, self._writer.head.details[bead].first - 1)
        scan = self._writer.engine.scan(
            "events", after=event_key(max(seq, 0)), limit=limit, where=where
        )
        rows = [EventRecord.from_json(row) async for _, row in scan]
        return [record for record in rows if record.seq <= self.last]

    def recent(self, seq: int, limit: int = 1000, bead: str | None = None) -> list[EventRecord]:
        """The same from memory alone, so perhaps with older records missing."""
        if not self._recent:
            return []
        start = max(seq + 1 - self._recent[0].seq, 0)
        found = []
        for place in range(start, len(self._recent)):
            record = self._recent[place]
            if bead is None or record.bead == bead:
                found.append(record)
            if len(found) >= limit:
                break
        return found

    def subscribe(self, after: int | None = None) -> Subscription:
        """Records as they come, from the next one on, or from after number `after`.

        Close it, or use it as a context manager.
        """
        reader = Subscription(self, self.last if after is None else after)
        self._readers.append(reader)
        return reader

    def leave(self, reader: Subscription) -> None:
        """Forget a reader."""
        if reader in self._readers:
            self._readers.remove(reader)

    def close(self) -> None:
        """Let readers end after the last record."""
        self.closed = True
        self._wake()

    def _committed(self, events: Sequence[EventRecord], _: Sequence[Write]) -> None:
        self._recent.extend(events)
        if events:
            self._wake()

    def _written(self, write: Write) -> None:
        """What is taken out is not in memory any more, nor is what is before it."""
        while isinstance(write, Delete) and self._recent and self._is_before(write.key):
            self._recent.popleft()

    def _is_before(self, key: str) -> bool:
        return event_key(self._recent[0].seq) <= key

    def _wake(self) -> None:
        for reader in self._readers:
            reader.woken.set()


class Subscription:
    """One reader's place in the log; it holds a few hundred records at most.

    A slow reader never delays the writer: it reads what it missed from the log. Ends when
    it is closed, and after the last record when the store is.
    """

    def __init__(self, log: EventLog, after: int) -> None:
        self.woken = asyncio.Event()
        self._log = log
        self._at = after
        self._ahead: deque[EventRecord] = deque()
        self._closed = False

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> EventRecord:
        while not self._ahead:
            if self._closed:
                raise StopAsyncIteration
            self.woken.clear()
            if self._log.closed:
                self._ahead.extend(self._log.recent(self._at, CHUNK))
                self._closed = not self._ahead
                continue
            self._ahead.extend(await self._log.since(self._at, CHUNK))
            if not self._ahead:
                await self.woken.wait()
        record = self._ahead.popleft()
        self._at = record.seq
        return record

    def close(self) -> None:
        """Stop listening; idempotent."""
        self._closed = True
        self._ahead.clear()
        self._log.leave(self)
        self.woken.set()

    def __enter__(self) -> Subscription:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
