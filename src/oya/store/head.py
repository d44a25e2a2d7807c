"""What is known to be true, in memory: the head, and the draft of what a group would change.

Every decision reads the head (through a draft), never the engine.
"""

from __future__ import annotations

import json
from collections import ChainMap
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from oya.clock import Clock, stamp
from oya.errors import StoreDamaged
from oya.lifecycle.model import BeadState, state_from_json
from oya.lifecycle.record import EventRecord
from oya.lifecycle.swarm import SwarmState, swarm_from_json, swarm_to_json
from oya.store.engine import Engine, Put, Row, Write

V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class BeadDetails:
    """What a bead's row holds beside its state. `first`: the number of its first event."""

    first: int
    created_at: str
    updated_at: str
    title: str | None = None
    workspace: str | None = None
    test_results: Any = None
    contract: Any = None


@dataclass(slots=True)
class Head:
    """All that has been acknowledged; dictionaries are in the order of first events."""

    seq: int = 0
    group: int = 0
    beads: dict[str, BeadState] = field(default_factory=dict)
    details: dict[str, BeadDetails] = field(default_factory=dict)
    swarms: dict[str, SwarmState] = field(default_factory=dict)
    started: dict[str, int] = field(default_factory=dict)

    @classmethod
    async def load(cls, engine: Engine, seq: int, group: int) -> Head:
        """The head of what the engine holds. `StoreDamaged` if that does not hang together."""
        head = cls(seq, group)
        try:
            beads = [row async for _, row in engine.scan("beads")]
            swarms = [row async for _, row in engine.scan("swarm_state")]
            for row in sorted(beads, key=lambda row: int(row["first"])):
                state = state_from_json(row["state"])
                head.beads[state.id] = state
                head.details[state.id] = _details(row)
            for row in sorted(swarms, key=lambda row: int(row["first"])):
                swarm = swarm_from_json(row)
                head.swarms[swarm.id] = swarm
                head.started[swarm.id] = int(row["first"])
        except (KeyError, TypeError, ValueError) as error:
            raise StoreDamaged(f"a record cannot be read: {error!r}") from error
        if seq and await engine.get("events", event_key(seq)) is None:
            raise StoreDamaged(f"event {seq} is missing")
        return head


class Draft:
    """The head as it will be after what is before in the group; one request at a time on top.

    `accept` adds the request's changes to the group, `refuse` forgets them.
    """

    def __init__(self, head: Head, clock: Clock) -> None:
        self._head = head
        self._clock = clock
        self.beads: ChainMap[str, BeadState] = _over(head.beads)
        self.details: ChainMap[str, BeadDetails] = _over(head.details)
        self.swarms: ChainMap[str, SwarmState] = _over(head.swarms)
        self._started: ChainMap[str, int] = _over(head.started)
        self._writes: ChainMap[tuple[str, str], Write] = ChainMap({}, {})
        self._new: list[EventRecord] = []
        self.events: list[EventRecord] = []

    @property
    def now(self) -> str:
        """Wall time, as it stands in records."""
        return stamp(self._clock.now())

    @property
    def seq(self) -> int:
        """The number of the last event so far."""
        return self._head.seq + len(self.events) + len(self._new)

    @property
    def writes(self) -> list[Write]:
        """What the accepted requests write; the last one wins where several touch a record."""
        return list(self._writes.maps[1].values())

    def record(self, event: str, *, data: Mapping[str, Any], **fields: Any) -> EventRecord:
        """One more event; `fields` as in `EventRecord`."""
        known = {"swarm": None, "bead": None} | fields
        record = EventRecord(
            seq=self.seq + 1, at=self.now, event=event, data=plain(dict(data)), **known
        )
        self._new.append(record)
        self.write(Put("events", event_key(record.seq), record.to_json()))
        return record

    def put_bead(self, state: BeadState, details: BeadDetails) -> None:
        """The bead's new state, with its row."""
        details = replace(details, updated_at=self.now)
        self.beads[state.id] = state
        self.details[state.id] = details
        self.write(Put("beads", state.id, bead_row(state, details)))

    def put_swarm(self, state: SwarmState) -> None:
        """The swarm's new state, with its row."""
        first = self._started.setdefault(state.id, self.seq + 1)
        self.swarms[state.id] = state
        self.write(Put("swarm_state", state.id, {**swarm_to_json(state), "first": first}))

    def write(self, write: Write) -> None:
        """One write. `ValueError`, `TypeError`: the engine could not hold it as it is."""
        check_key(write.key)
        if isinstance(write, Put):
            write = Put(write.table, write.key, plain(write.row))
        self._writes[write.table, write.key] = write

    def accept(self) -> None:
        for layers in self._layers():
            own, group = layers.maps[0], layers.maps[1]
            group.update(own)
            own.clear()
        self.events += self._new
        self._new = []

    def refuse(self) -> None:
        for layers in self._layers():
            layers.maps[0].clear()
        self._new = []

    def apply(self) -> None:
        """The group is durable: it is the head now."""
        self._head.beads.update(self.beads.maps[1])
        self._head.details.update(self.details.maps[1])
        self._head.swarms.update(self.swarms.maps[1])
        self._head.started.update(self._started.maps[1])
        self._head.seq += len(self.events)
        self._head.group += 1

    def _layers(self) -> tuple[ChainMap[Any, Any], ...]:
        return (self.beads, self.details, self.swarms, self._started, self._writes)


def bead_row(state: BeadState, details: BeadDetails) -> Row:
    """The record of a bead: the fields of the original design, and the state to rebuild it from.

    `plain` makes JSON of it, that of `lifecycle.model.state_to_json` for the state.
    """
    return {
        "id": state.id,
        "title": details.title,
        "status": state.status,
        "assigned_to": state.agent,
        "phase": state.phase,
        "contract": details.contract,
        "workspace": details.workspace,
        "test_results": details.test_results,
        "commit_hash": state.commit,
        "retry_count": state.retry_count,
        "created_at": details.created_at,
        "updated_at": details.updated_at,
        "first": details.first,
        "state": state,
    }


def event_key(seq: int) -> str:
    """The key of an event's record: keys sort as numbers do."""
    return f"{seq:016d}"


def plain(value: Any) -> Any:
    """`value` as JSON values of its own; a dataclass is an object of its fields.

    `ValueError`, `TypeError` where JSON has nothing for it.
    """
    return json.loads(json.dumps(value, allow_nan=False, default=fields_of))


def fields_of(value: Any) -> dict[str, Any]:
    """The fields of a dataclass as they are; `asdict` copies deeply, and takes ten times as long.

    `TypeError`: it is none.
    """
    return {f.name: getattr(value, f.name) for f in fields(value)}


def check_key(key: str) -> None:
    """`ValueError` unless `key` can be a record's key."""
    if not key or "\0" in key:
        raise ValueError(f"not a key: {key!r}")
    key.encode()


def _details(row: Row) -> BeadDetails:
    return BeadDetails(
        first=int(row["first"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        title=row.get("title"),
        workspace=row.get("workspace"),
        test_results=row.get("test_results"),
        contract=row.get("contract"),
    )


def _over(acknowledged: dict[str, V]) -> ChainMap[str, V]:
    return ChainMap({}, {}, acknowledged)
