"""Who waits for whom: the dependency graph of a backlog, and readiness on it.

Readiness counts four types of dependency. `blocks`, `conditional-blocks` and
`waits-for` block until the bead they name has landed or is closed in the
tracker. `parent-child` blocks while the parent is itself blocked; the parent
is no blocker. Every other type, custom ones included, is information.

A dependency on a bead that the backlog does not have is dangling: it is
reported, and does not block, since nothing could ever satisfy it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

import rustworkx as rx

from oya.beads.model import Bead

PARENT: Final = "parent-child"
BLOCKING: Final = frozenset({"blocks", "conditional-blocks", "waits-for"})
# A parent that a person has put aside holds its children as a blocked one does.
HELD: Final = frozenset({"blocked", "deferred"})


def in_words(cycle: Sequence[str]) -> str:
    """One of `Graph.cycles`, for people."""
    return f"dependency cycle: {' → '.join((*cycle, cycle[0]))}"


class Graph:
    """The dependencies that count, over all beads of a backlog.

    Nothing here asks the store: `satisfied` says which beads have landed.
    Beads that are closed in the tracker are satisfied without being asked.
    """

    def __init__(self, beads: Iterable[Bead] | Mapping[str, Bead]) -> None:
        if not isinstance(beads, Mapping):
            beads = {bead.id: bead for bead in beads}
        self._beads = beads
        self._needed_by: dict[str, list[str]] = {}
        self._children: dict[str, list[str]] = {}
        dangling: list[tuple[str, str]] = []
        for bead in self._beads.values():
            if not bead.dependencies:
                continue
            for reverse, targets in (
                (self._needed_by, _needs(bead)),
                (self._children, _parents(bead)),
            ):
                for target in targets:
                    reverse.setdefault(target, []).append(bead.id)
                    if target not in self._beads and not bead.closed:
                        dangling.append((bead.id, target))
        self.dangling: Final = tuple(dict.fromkeys(dangling))
        """(bead, the missing bead that it names), for beads that are not closed."""

    def blockers(self, bead_id: str) -> tuple[str, ...]:
        """What must be done before that bead, directly or through its parents, done or not."""
        return self._held_by(bead_id, lambda other: other not in self._beads)

    def waits_for(
        self,
        bead_id: str,
        satisfied: Callable[[str], bool],
        lingers: Callable[[str], bool] = lambda _: False,
    ) -> tuple[str, ...]:
        """The beads that hold that bead now, sorted; empty if it is free (or unknown).

        A parent is among them only where a person has put it aside (status
        blocked or deferred); otherwise it is what the parent waits for.
        `lingers` says whether a bead that the backlog lacks counts all the same.
        """

        def done(other: str) -> bool:
            bead = self._beads.get(other)
            return not lingers(other) if bead is None else bead.closed or satisfied(other)

        return self._held_by(bead_id, done)

    def blocked(self, bead_id: str, satisfied: Callable[[str], bool]) -> bool:
        """Whether that bead waits for another one."""
        return bool(self.waits_for(bead_id, satisfied))

    def behind(self, bead_id: str) -> tuple[str, ...]:
        """The beads that may become free, or blocked, when that bead changes in any way.

        Those that need it, those below it, and those below any of these; each once, in no
        order but always the same.
        """
        found: dict[str, None] = {}
        line = [bead_id, *self._needed_by.get(bead_id, ())]
        for other in line:  # it grows; `found` ends it where parents go in a circle
            if other not in found:
                found[other] = None
                line += self._children.get(other, ())
        found.pop(bead_id, None)
        return tuple(found)

    def cycles(self) -> tuple[tuple[str, ...], ...]:
        """One cycle for every knot of beads that wait for each other, from its smallest id.

        `("a", "b")` reads: a waits for b, b waits for a. Closed beads wait for
        nobody. Unless it is made of parents alone, nothing in a cycle, or
        behind it, ever becomes free by itself.
        """
        graph: rx.PyDiGraph[str, str] = rx.PyDiGraph(multigraph=False)
        still_open = sorted(filter(self._open, self._beads))
        node = {bead_id: graph.add_node(bead_id) for bead_id in still_open}
        for bead_id in node:
            bead = self._beads[bead_id]
            for target in (*_needs(bead), *_parents(bead)):
                if target in node:
                    graph.add_edge(node[bead_id], node[target], target)
        knots = [sorted(knot) for knot in rx.strongly_connected_components(graph)]
        found = [_cycle(graph, knot) for knot in knots]
        return tuple(sorted(cycle for cycle in found if cycle))

    def _open(self, bead_id: str) -> bool:
        return not self._beads[bead_id].closed

    def _held_by(self, bead_id: str, done: Callable[[str], bool]) -> tuple[str, ...]:
        held: set[str] = set()
        seen = {bead_id}
        line = [bead_id]
        while line:  # upwards through the parents; `seen` ends it where they go in a circle
            bead = self._beads.get(line.pop())
            if bead is None:
                continue
            if bead.id != bead_id and bead.status in HELD:
                held.add(bead.id)
            held.update(target for target in _needs(bead) if not done(target))
            parents = [p for p in _parents(bead) if p not in seen and p in self._beads]
            seen.update(parents)
            line += [parent for parent in parents if not done(parent)]
        return tuple(sorted(held))


def _needs(bead: Bead) -> tuple[str, ...]:
    return tuple(d.depends_on for d in bead.dependencies if d.type in BLOCKING)


def _parents(bead: Bead) -> tuple[str, ...]:
    return tuple(d.depends_on for d in bead.dependencies if d.type == PARENT)


def _cycle(graph: rx.PyDiGraph[str, str], knot: list[int]) -> tuple[str, ...]:
    if len(knot) == 1 and not graph.has_edge(knot[0], knot[0]):
        return ()
    part = graph.subgraph(knot)
    cycle = [part[source] for source, _ in rx.digraph_find_cycle(part, 0)]
    first = cycle.index(min(cycle))
    return tuple(cycle[first:] + cycle[:first])
