"""The backlog as it was last read: what the swarm knows of the work beside its state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from oya.beads.graph import Graph
from oya.beads.model import Bead
from oya.beads.order import in_order


class Board:
    """Beads by id, their graph, and the order in which work is taken."""

    def __init__(self) -> None:
        self._beads: dict[str, Bead] = {}
        self._keys: dict[str, str] = {}
        self.graph = Graph(())

    def set(self, beads: Iterable[Bead]) -> None:
        """Replace what is known by a new reading."""
        self._beads = {bead.id: bead for bead in beads}
        self._keys = {}
        self.graph = Graph(tuple(self._beads.values()))

    @property
    def beads(self) -> Mapping[str, Bead]:
        """All beads, in the order of the tracker's file."""
        return self._beads

    def bead(self, bead: str) -> Bead:
        """One bead; a bead that has left the file is an empty one with its id."""
        return self._beads.get(bead) or Bead(id=bead, title=bead)

    def text_key(self, bead: str) -> str:
        """The bead's `text_key`, computed once a reading: it is asked for at every look."""
        if bead not in self._keys:
            self._keys[bead] = self.bead(bead).text_key
        return self._keys[bead]

    def order(self, ids: Iterable[str]) -> list[str]:
        """Priority, then age, then id."""
        return [bead.id for bead in in_order(self.bead(bead) for bead in ids)]

    def waits_for(self, bead: str, landed: Callable[[str], bool]) -> tuple[str, ...]:
        """What still blocks a bead: not landed, and not closed in the tracker."""
        return self.graph.waits_for(bead, landed)
