"""What goes after its time: notes in the event log, evidence that can be made again, and
checkpoints that only help with a bead that is still open.

Events that changed a state stay for ever: `why` and `verify` stand on them. Notes go when
they are old, are about no bead that is still open, and are no run of a gate that a landing or
a contract names. What went is counted in the checkpoint `pruned`, so that the numbers that
are missing from the log are explained, and what is counted can still be checked:

    {"until": 1480, "counts": [["swarm-1", "gate_ran", null, 310], …], "evidence": KEY}

Nothing is missing after event `until`; `counts` has swarm, event, class and how many;
`evidence` is the key up to which evidence was looked at last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from oya.crashpoints import point
from oya.store.documents import CheckpointStore, end_of
from oya.store.engine import Delete, Put, Row
from oya.store.head import Draft, event_key
from oya.store.writer import Writer

PRUNED = "pruned"
PAGE = 200
_NOTES = frozenset({"gate_ran", "findings", "flaky", "result_refused", "warning"})
_NAMERS = frozenset({"landed", "contract_accepted"})


@dataclass
class _Slice:
    """What one commit takes out."""

    until: int = 0
    events: list[str] = field(default_factory=list)
    counts: Counter[tuple[str | None, str, str | None]] = field(default_factory=Counter)


class Retention:
    """Prunes in slices of at most 200 records a commit, between which others have their turn."""

    def __init__(self, writer: Writer, checkpoints: CheckpointStore) -> None:
        self._writer = writer
        self._checkpoints = checkpoints

    async def pruned(self) -> Row | None:
        """What went so far, as it stands above; None: nothing."""
        return await self._checkpoints.get(PRUNED)

    async def anything(self, before: str) -> bool:
        """Whether there is anything from before that time: one record is read."""
        return await self._any(0, before)

    async def events(self, before: str, *, pages: int) -> int:
        """Take out the notes of before that time (ISO 8601); how many.

        Reads at most `pages` pages of 200 events, and does nothing where that is too few to
        see all events since the last time. `StoreUnavailable`: what was taken out is counted.
        """
        until = int((await self.pruned() or {}).get("until", 0))
        last = self._writer.head.seq
        if last - until > pages * PAGE or not await self._any(until, before):
            return 0
        named = {key async for row in self._after(until) for key in _named(row)}
        gone = 0
        part = _Slice(until)
        async for row in self._after(until):
            if row["at"] >= before or row["seq"] >= last:
                break
            part.until = row["seq"]
            if self._may_go(row, named):
                part.events.append(event_key(row["seq"]))
                part.counts[row["swarm"], row["event"], row["class"]] += 1
            if row["seq"] % PAGE == 0:
                gone += await self._take(part)
                part = _Slice(part.until)
        return gone + await self._take(part)

    async def evidence(self, before: str, *, pages: int) -> int:
        """Take out evidence of before that time, going round its table; how many."""
        gone = 0
        after = str((await self.pruned() or {}).get("evidence", ""))
        for _ in range(pages):
            scan = self._writer.engine.scan("evidence", after=after, limit=PAGE)
            page = [(key, row.get("at", "")) async for key, row in scan]
            after = page[-1][0] if len(page) == PAGE else ""
            old = [key for key, at in page if at < before]
            await self._forget(old, after)
            gone += len(old)
            if not after:
                break
        return gone

    async def checkpoints(self, kinds: Sequence[str], before: str, *, pages: int) -> int:
        """Take out those that belong to a bead that is over since before that time, or is unknown;
        how many. Their keys are one of `kinds` and the bead's id; no others are read."""
        gone = 0
        for kind in kinds:
            after = kind
            while after and pages:
                pages -= 1
                scan = self._writer.engine.scan(
                    "checkpoints", after=after, before=end_of(kind), limit=PAGE
                )
                page = [key async for key, _ in scan]
                after = page[-1] if len(page) == PAGE else ""
                old = [key for key in page if self._is_long_over(key.removeprefix(kind), before)]
                await self._delete("checkpoints", old)
                gone += len(old)
        return gone

    async def _delete(self, table: str, keys: Sequence[str]) -> None:
        def decide(draft: Draft) -> None:
            for key in keys:
                draft.write(Delete(table, key))

        if keys:
            await self._writer.submit(decide)

    async def _forget(self, keys: list[str], after: str) -> None:
        row = await self.pruned() or {"until": 0, "counts": []}
        if not keys and row.get("evidence", "") == after:
            return

        def decide(draft: Draft) -> None:
            for key in keys:
                draft.write(Delete("evidence", key))
            draft.write(Put("checkpoints", PRUNED, {**row, "evidence": after}))

        await self._writer.submit(decide)
        point("retention.evidence_gone")

    async def _any(self, until: int, before: str) -> bool:
        async for row in self._after(until, limit=1):
            return bool(row["at"] < before)
        return False

    async def _after(self, seq: int, limit: int | None = None) -> AsyncIterator[Row]:
        last = self._writer.head.seq
        async for _, row in self._writer.engine.scan("events", after=event_key(seq), limit=limit):
            if row["seq"] > last:
                return
            yield row

    def _may_go(self, row: Row, named: set[str]) -> bool:
        name = row["event"]
        if row["to"] is not None or not (name in _NOTES or name.startswith("backend_")):
            return False
        if name == "gate_ran":
            # An oya that named no keys: the tree says which landing it proves.
            key = row["data"].get("key")
            return key is not None and key not in named
        return row["bead"] is None or self._is_over(row["bead"])

    def _is_long_over(self, bead: str, before: str) -> bool:
        details = self._writer.head.details.get(bead)
        return self._is_over(bead) and (details is None or details.updated_at < before)

    def _is_over(self, bead: str) -> bool:
        state = self._writer.head.beads.get(bead)
        return state is None or state.over

    async def _take(self, part: _Slice) -> int:
        def decide(draft: Draft) -> None:
            for key in part.events:
                draft.write(Delete("events", key))
            counts = Counter({(s, e, c): n for s, e, c, n in row.get("counts", ())})
            counts.update(part.counts)
            rows = [[*what, n] for what, n in sorted(counts.items(), key=lambda i: str(i[0]))]
            draft.write(Put("checkpoints", PRUNED, {**row, "until": part.until, "counts": rows}))

        row = await self.pruned() or {}
        if part.until > int(row.get("until", 0)):
            await self._writer.submit(decide)
            point("retention.events_gone")
        return len(part.events)


def _named(row: Row) -> list[str]:
    """The evidence that an event stands on."""
    if row["event"] not in _NAMERS:
        return []
    data = row["data"]
    return [*(data.get("evidence") or ()), *((data.get("red") or {}).get("keys") or ())]
