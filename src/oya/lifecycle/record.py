"""The event record: the one thing `why`, `verify`, streams and JSON output stand on."""

from __future__ import annotations

from dataclasses import dataclass, field
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
        return {
            "seq": self.seq,
            "at": self.at,
            "swarm": self.swarm,
            "bead": self.bead,
            "event": self.event,
            "from": self.from_,
            "to": self.to,
            "epoch": self.epoch,
            "agent": self.agent,
            "class": self.class_,
            "reason": self.reason,
            "data": self.data,
        }

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> EventRecord:
        """The reverse of `to_json`; keys it does not know are ignored."""
        return cls(
            row["seq"],
            row["at"],
            row["swarm"],
            row["bead"],
            row["event"],
            row.get("from"),
            row.get("to"),
            row.get("epoch"),
            row.get("agent"),
            row.get("class"),
            row.get("reason"),
            row.get("data") or {},
        )


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
