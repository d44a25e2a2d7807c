"""How many beads there are of each kind, without looking at all of them each time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from oya.lifecycle.model import BeadState, Hold, Phase, Status

if TYPE_CHECKING:
    from oya.store.beads import BeadStore

Kind = tuple[Phase, Status, Hold | None, bool]


class Tally:
    """Counts of beads by phase, status, hold, and whether they were ever claimed."""

    def __init__(self, states: Iterable[BeadState] = ()) -> None:
        self._counts: Counter[Kind] = Counter(map(_kind, states))

    @classmethod
    def of(cls, beads: BeadStore) -> Tally:
        """The counts of a store, for as long as it is open."""
        tally = cls(beads.all().values())
        beads.watch(tally.changed)
        return tally

    def changed(self, before: BeadState | None, after: BeadState) -> None:
        """One bead is of another kind now."""
        if before is not None:
            self._counts[_kind(before)] -= 1
        self._counts[_kind(after)] += 1

    def count(self, holds: Callable[[BeadState], object]) -> int:
        """For how many beads it holds; it may ask for phase, status, hold, epoch > 0."""
        return sum(number for kind, number in self._counts.items() if holds(_example(kind)))


def _kind(state: BeadState) -> Kind:
    return state.phase, state.status, state.hold, state.epoch > 0


@lru_cache(maxsize=1024)
def _example(kind: Kind) -> BeadState:
    phase, status, hold, claimed = kind
    return BeadState("", phase=phase, status=status, hold=hold, epoch=int(claimed))
