"""The backlog as it was last read: what the swarm knows of the work beside its state."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from oya.beads.graph import Graph
from oya.beads.model import Bead
from oya.beads.order import Rank, in_order, rank

_UNRANKED = rank(Bead(id=""))[:2]

Reader = Callable[[Sequence[str]], None]


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading, made ready to become what is known.

    `changed` are the beads that differ from the reading before, in the order of the file,
    and then those that are gone. `deferred` are the dates to come, in order.
    """

    beads: Mapping[str, Bead]
    graph: Graph
    deferred: tuple[tuple[datetime, str], ...]
    changed: tuple[str, ...]


class Board:
    """Beads by id, their graph, and the order in which work is taken."""

    def __init__(self) -> None:
        self._now = Reading({}, Graph(()), (), ())
        self._readers: list[Reader] = []

    def read(self, beads: Iterable[Bead]) -> Reading:
        """Compare a new reading with what is known. Changes nothing, so a thread may do it."""
        found, known = {bead.id: bead for bead in beads}, self._now.beads
        changed = [b.id for b in found.values() if not _same(known.get(b.id), b)]
        changed += [bead for bead in known if bead not in found]
        dates = [(b.defer_until, b.id) for b in found.values() if b.defer_until is not None]
        return Reading(found, Graph(found), tuple(sorted(dates)), tuple(changed))

    def take(self, reading: Reading) -> None:
        """Replace what is known, and tell those who want to hear what changed."""
        self._now = reading
        for reader in self._readers:
            reader(reading.changed)

    def set(self, beads: Iterable[Bead]) -> None:
        """Replace what is known by a new reading, at once."""
        self.take(self.read(beads))

    def on_change(self, reader: Reader) -> None:
        """Let `reader` hear of every reading: the beads that it changed."""
        self._readers.append(reader)

    @property
    def beads(self) -> Mapping[str, Bead]:
        """All beads, in the order of the tracker's file."""
        return self._now.beads

    @property
    def graph(self) -> Graph:
        """Who waits for whom."""
        return self._now.graph

    def bead(self, bead: str) -> Bead:
        """One bead; a bead that has left the file is an empty one with its id."""
        return self._now.beads.get(bead) or Bead(id=bead, title=bead)

    def rank(self, bead: str) -> Rank:
        """Where a bead stands in the order of work."""
        known = self._now.beads.get(bead)
        return rank(known) if known else (*_UNRANKED, bead)

    def order(self, ids: Iterable[str]) -> list[str]:
        """Priority, then age, then id."""
        return [bead.id for bead in in_order(self.bead(bead) for bead in ids)]

    def due(self, one: datetime, other: datetime) -> tuple[str, ...]:
        """The beads whose deferral ends, or begins anew, as the clock goes from one to other."""
        dates = self._now.deferred
        first, last = sorted(
            bisect_right(dates, at, key=lambda entry: entry[0]) for at in (one, other)
        )
        return tuple(bead for _, bead in dates[first:last])

    def waits_for(
        self,
        bead: str,
        landed: Callable[[str], bool],
        lingers: Callable[[str], bool] = lambda _: False,
    ) -> tuple[str, ...]:
        """What still blocks a bead: not landed, and not closed in the tracker; of what the
        tracker lacks, whatever `lingers`."""
        return self.graph.waits_for(bead, landed, lingers)


def _same(one: Bead | None, other: Bead) -> bool:
    return one is other or one == other
