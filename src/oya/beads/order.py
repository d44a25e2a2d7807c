"""What may be claimed, and in which order: the tracker's half of the question.

Whether a bead waits for others is the graph's half (`oya.beads.graph`), and
whether it has been worked on is the store's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final, Literal

from oya.beads.model import Bead
from oya.beads.where import CONTAINER, Where

WORKABLE: Final = frozenset({"open", "in_progress"})
_NEVER: Final = datetime.max.replace(tzinfo=UTC)

Unfit = Literal["status", "deferred", "epic", "type", "where"]
"""Why a bead is not claimed: its status, a date to come, a container, an unknown type,
or the other terms of `[tracker] where`."""


def unfit(bead: Bead, where: Where, now: datetime) -> Unfit | None:
    """The first reason why the bead is not work to claim at wall time `now`, or None."""
    if bead.status not in WORKABLE:
        return "status"
    if bead.defer_until and bead.defer_until > now:
        return "deferred"
    if bead.issue_type == CONTAINER:
        return "epic"
    if bead.issue_type not in where.types:
        return "type"
    return None if where.selects(bead) else "where"


def workable(bead: Bead, where: Where, now: datetime) -> bool:
    """Whether the tracker offers the bead as work; it may still wait for others."""
    return unfit(bead, where, now) is None


def unclaimed_types(beads: Iterable[Bead], where: Where, now: datetime) -> Counter[str]:
    """How many beads would be claimed if only their type were known, by that type."""
    return Counter(bead.issue_type for bead in beads if unfit(bead, where, now) == "type")


Rank = tuple[int, datetime, str]
"""Where a bead stands in the order of work; the last of it is its id."""


def rank(bead: Bead) -> Rank:
    """By priority, then age (oldest first, unknown age last), then id."""
    return bead.priority, bead.created_at or _NEVER, bead.id


def in_order(beads: Iterable[Bead]) -> list[Bead]:
    """By `rank`."""
    return sorted(beads, key=rank)
