"""The event record: the one thing `why`, `verify`, streams and JSON output stand on."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class EventRecord:
    """One event. `seq` counts from 1 without gaps; `at` is ISO 8601 UTC.

    `from_` and `to` are `BeadState.where` before and after (swarm states for events of the
    swarm, None where nothing changed); `data` holds what else the event carries, as JSON.
    """

    seq: int
    at: str
    swarm: str | None
    bead: str | None
    event: str
    from_: str | None = None
    to: str | None = None
    epoch: int | None = None
    agent: str | None = None
    class_: str | None = None
    reason: str | None = None
    data: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The record with the names it has outside Python: `from` and `class`."""
        row = asdict(self)
        row["from"] = row.pop("from_")
        row["class"] = row.pop("class_")
        return {key: row[key] for key in ORDER}

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> EventRecord:
        """The reverse of `to_json`; keys it does not know are ignored."""
        names = {"from": "from_", "class": "class_"}
        known: dict[str, Any] = {names.get(k, k): row[k] for k in ORDER if k in row}
        return cls(**known)


ORDER = (
    "seq",
    "at",
    "swarm",
    "bead",
    "event",
    "from",
    "to",
    "epoch",
    "agent",
    "class",
    "reason",
    "data",
)
