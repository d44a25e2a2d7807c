"""What is known to be true, in memory: the head, and the draft of what a group would change.

Every decision reads the head (through a draft), never the engine.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from math import isfinite
from operator import attrgetter
from sys import intern
from typing import Any, TypeVar

from oya.clock import Clock, stamp
from oya.errors import StoreDamaged
from oya.lifecycle.copies import replacer
from oya.lifecycle.model import BeadState, state_from_json
from oya.lifecycle.record import EventRecord
from oya.lifecycle.swarm import SwarmState, swarm_from_json, swarm_to_json
from oya.store.engine import Engine, Put, Row, Write

K = TypeVar("K")
V = TypeVar("V")

_NAMES = tuple(f.name for f in fields(BeadState))
_VALUES = attrgetter(*_NAMES)
_NEW = _VALUES(BeadState(""))
_ATOMS = frozenset({str, int, bool, type(None)})


@dataclass(frozen=True, slots=True)
class BeadDetails:
    """What a bead's row holds beside its state. `first`: the number of its first event.

    `shed`: the bead is over, and `contract` and `test_results` are in the engine only.
    """

    first: int
    created_at: str
    updated_at: str
    title: str | None = None
    workspace: str | None = None
    test_results: Any = None
    contract: Any = None
    shed: bool = False


with_details = replacer(BeadDetails)
"""A changed copy of a bead's details."""


class Shed(Exception):
    """A bead cannot be changed before what it shed was given back."""


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
            found = []
            async for _, row in engine.scan("beads"):
                state = state_from_json(row["state"])
                found.append((state, _lean(state, details_of(row))))
            swarms = [row async for _, row in engine.scan("swarm_state")]
            for state, details in sorted(found, key=lambda both: both[1].first):
                head.beads[state.id] = state
                head.details[state.id] = details
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

    `accept` keeps the request's changes, `refuse` takes them back. With `after`, it is the
    draft of the group that follows that one, whose changes count as made: `apply` only when
    they have become the head.
    """

    def __init__(self, head: Head, clock: Clock, after: Draft | None = None) -> None:
        self._head = head
        self._clock = clock
        self._before: int = after.seq if after else head.seq
        self.group: int = (after.group if after else head.group) + 1
        self._beads: dict[str, BeadState] = dict(after._beads) if after else {}
        self._details: dict[str, BeadDetails] = dict(after._details) if after else {}
        self._swarms: dict[str, SwarmState] = dict(after._swarms) if after else {}
        self._started: dict[str, int] = dict(after._started) if after else {}
        self._writes: dict[tuple[str, str], Write] = {}
        self._undo: list[tuple[dict[Any, Any], Any, Any]] = []
        self._accepted = 0
        self._now = ""
        self.events: list[EventRecord] = []

    @property
    def now(self) -> str:
        """Wall time, as it stands in records; the same for all of one request."""
        if not self._now:
            self._now = stamp(self._clock.now())
        return self._now

    @property
    def seq(self) -> int:
        """The number of the last event so far."""
        return self._before + len(self.events)

    @property
    def writes(self) -> list[Write]:
        """What the requests write; the last one wins where several touch a record."""
        return list(self._writes.values())

    def bead(self, bead: str) -> BeadState | None:
        """A bead's state so far."""
        return self._beads.get(bead) or self._head.beads.get(bead)

    def details(self, bead: str) -> BeadDetails | None:
        """What its row holds beside the state so far."""
        return self._details.get(bead) or self._head.details.get(bead)

    def swarm(self, swarm: str) -> SwarmState | None:
        """A swarm's state so far."""
        return self._swarms.get(swarm) or self._head.swarms.get(swarm)

    def record(
        self,
        event: str,
        *,
        data: Mapping[str, Any],
        swarm: str | None = None,
        bead: str | None = None,
        from_: str | None = None,
        to: str | None = None,
        epoch: int | None = None,
        agent: str | None = None,
        class_: str | None = None,
        reason: str | None = None,
    ) -> EventRecord:
        """One more event, its fields as in `EventRecord`."""
        seq = self.seq + 1
        told = plain(dict(data))
        record = EventRecord(
            seq, self.now, swarm, bead, event, from_, to, epoch, agent, class_, reason, told
        )
        row, key = record.to_json(), event_key(seq)
        self._set(self._writes, ("events", key), Put("events", key, row, to_text(row)))
        self.events.append(record)
        return record

    def put_bead(self, state: BeadState, details: BeadDetails) -> None:
        """The bead's new state, with its row. `Shed`: what it shed must be given back first."""
        if details.shed:
            raise Shed
        details = with_details(details, updated_at=self.now)
        self._set(self._beads, state.id, state)
        self._set(self._details, state.id, details)
        self._put("beads", state.id, bead_row(state, details))

    def give_back(self, bead: str, row: Row) -> None:
        """What a bead shed, out of its record. `Shed`: it is another record by now."""
        details = self.details(bead)
        if details is None or not details.shed:
            return
        if details.updated_at != row["updated_at"]:
            raise Shed
        self._set(self._details, bead, details_of(row))

    def put_swarm(self, state: SwarmState) -> None:
        """The swarm's new state, with its row."""
        first = self._started.get(state.id) or self._head.started.get(state.id)
        if first is None:
            first = self.seq + 1
            self._set(self._started, state.id, first)
        self._set(self._swarms, state.id, state)
        self._put("swarm_state", state.id, {**swarm_to_json(state), "first": first})

    def write(self, write: Write) -> None:
        """One write. `ValueError`, `TypeError`: the engine could not hold it as it is."""
        if isinstance(write, Put):
            self._put(write.table, write.key, write.row)
        else:
            check_key(write.key)
            self._set(self._writes, (write.table, write.key), write)

    def accept(self) -> None:
        self._undo.clear()
        self._accepted = len(self.events)
        self._now = ""

    def refuse(self) -> None:
        for changed, key, old in reversed(self._undo):
            if old is None:
                del changed[key]
            else:
                changed[key] = old
        self._undo.clear()
        del self.events[self._accepted :]
        self._now = ""

    def apply(self) -> None:
        """The group is durable: it is the head now."""
        assert (self._head.seq, self._head.group + 1) == (self._before, self.group)
        self._head.beads.update(self._beads)
        for bead, details in self._details.items():
            self._head.details[bead] = _lean(self._head.beads[bead], details)
        self._head.swarms.update(self._swarms)
        self._head.started.update(self._started)
        self._head.seq, self._head.group = self.seq, self.group

    def _put(self, table: str, key: str, row: Row) -> None:
        check_key(key)
        self._set(self._writes, (table, key), Put(table, key, row, to_text(row)))

    def _set(self, changed: dict[K, V], key: K, value: V) -> None:
        self._undo.append((changed, key, changed.get(key)))
        changed[key] = value


def bead_row(state: BeadState, details: BeadDetails) -> Row:
    """The record of a bead: the fields of the original design, and the state to rebuild it from.

    `to_text` makes JSON of it. Of the state it has what differs from a new bead's.
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
        "state": _told(state),
    }


def _told(state: BeadState) -> Row:
    values = zip(_NAMES, _VALUES(state), _NEW, strict=True)
    return {name: value for name, value, new in values if value is not new}


def event_key(seq: int) -> str:
    """The key of an event's record: keys sort as numbers do."""
    return f"{seq:016d}"


def plain(value: Any) -> Any:
    """`value` as JSON values of its own; a dataclass is an object of its fields.

    `ValueError`, `TypeError` where JSON has nothing for it.
    """
    kind = type(value)
    if kind in _ATOMS or (kind is float and isfinite(value)):
        return value
    if kind is tuple or kind is list:
        return [plain(item) for item in value]
    if kind is dict and all(type(name) is str for name in value):
        return {name: plain(item) for name, item in value.items()}
    return json.loads(to_text(value))


def fields_of(value: Any) -> dict[str, Any]:
    """The fields of a dataclass as they are; `asdict` copies deeply, and takes ten times as long.

    `TypeError`: it is none.
    """
    kind = type(value)
    names = _FIELDS.get(kind)
    if names is None:
        names = _FIELDS[kind] = tuple(f.name for f in fields(kind))
    return {name: getattr(value, name) for name in names}


_FIELDS: dict[type, tuple[str, ...]] = {}

to_text = json.JSONEncoder(allow_nan=False, default=fields_of).encode
"""A row as JSON text; `ValueError`, `TypeError` where JSON has nothing for it."""


def check_key(key: str) -> None:
    """`ValueError` unless `key` can be a record's key."""
    if not key or "\0" in key:
        raise ValueError(f"not a key: {key!r}")
    key.encode()


def details_of(row: Row) -> BeadDetails:
    """What a record of a bead holds beside its state."""
    # Those of one commit are equal, and 100,000 beads come in a thousand commits.
    created, updated = intern(row["created_at"]), intern(row["updated_at"])
    return BeadDetails(
        first=int(row["first"]),
        created_at=created,
        updated_at=updated,
        title=row.get("title"),
        workspace=row.get("workspace"),
        test_results=row.get("test_results"),
        contract=row.get("contract"),
    )


def _lean(state: BeadState, details: BeadDetails) -> BeadDetails:
    """Nobody asks for the contract of a bead that is over, and memory is for the others."""
    if not state.over or details.contract is details.test_results is None:
        return details
    return with_details(details, contract=None, test_results=None, shed=True)
