"""The landing queue, as far as it can be decided: what to prove next, what may land, who is guilty.

Beads stand in a stack, each a commit on the one before it, counted from 1; 0 is the base, which
is green. A verdict says whether the gates were green on the commit at that place. The stack
comes in batches, of which only the last commit is asked for; with `prove = "all"` each bead is
a batch of its own. A red batch is searched for its first red commit by halves, as bors does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

Prove = Literal["all", "top"]

ODDS: Final = 0.5
"""A commit is proven ahead of those below it where it is at least this likely to be of use."""
BATCH_ODDS: Final = 0.35
"""A batch is so large that it is at least this likely to be green: then a run says most."""
_REDS, _JUDGED = 1, 10
"""What is taken for granted before anything was seen: one bead of ten is red."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What is known of a stack. `land`: so many of its first commits may land. `guilty`: the
    place of the bead that must leave, right after those that may land. `probe`: the places
    whose verdict is wanted, the most wanted first; what is running elsewhere is of no use."""

    land: int = 0
    guilty: int | None = None
    probe: tuple[int, ...] = ()


def decide(
    ends: Sequence[int], verdicts: Mapping[int, bool], hints: Mapping[int, int] | None = None
) -> Decision:
    """What the verdicts say of a stack whose batches end at `ends`, ascending.

    The guilty one is the last of the shortest red prefix, as far as halving finds it. `hints`
    names for a red place the place whose bead the reports accuse; it only saves runs.
    """
    land = 0
    for number, end in enumerate(ends):
        verdict = verdicts.get(end)
        if verdict is None:
            return Decision(land, probe=_wanted(ends[number:], verdicts))
        if not verdict:
            return _search(land, end, verdicts, hints or {})
        land = end
    return Decision(land)


def _wanted(ends: Sequence[int], verdicts: Mapping[int, bool]) -> tuple[int, ...]:
    """Those not known yet, up to the first that is red."""
    wanted = []
    for end in ends:
        if verdicts.get(end) is False:
            break
        if end not in verdicts:
            wanted.append(end)
    return tuple(wanted)


def _search(
    green: int, red: int, verdicts: Mapping[int, bool], hints: Mapping[int, int]
) -> Decision:
    red = min(place for place, ok in verdicts.items() if green < place <= red and not ok)
    green = max([green, *(place for place, ok in verdicts.items() if green < place < red and ok)])
    if red - green == 1:
        return Decision(green, guilty=red)
    accused = hints.get(red, 0)
    for place in (accused - 1, accused):
        if green < place < red:
            return Decision(green, probe=(place,))
    return Decision(green, probe=((green + red) // 2,))


@dataclass(frozen=True, slots=True)
class Odds:
    """How often a bead was red on its candidate so far, and what that makes worth while."""

    reds: int = 0
    judged: int = 0

    def seen(self, *, red: int = 0, green: int = 0) -> Odds:
        """With what has been seen since."""
        return Odds(self.reds + red, self.judged + red + green)

    def all_green(self, beads: int) -> float:
        """How likely it is that none of so many beads is red."""
        red = (self.reds + _REDS) / (self.judged + _JUDGED)
        return float((1.0 - min(red, 1.0)) ** beads)


def room(stacked: int, batches: int, at_once: int, batch: int, prove: Prove, odds: Odds) -> int:
    """How many beads the next batch may have, now that `stacked` stand in `batches` batches.

    At most `batch` stand unproven with `prove = "all"`, and as many in each batch otherwise;
    no more batches than can be judged `at_once`. The first is always worth while; one on top
    of others only where they are likely enough to be green. Where many are red, a batch has
    fewer.
    """
    if batches >= at_once or (stacked and odds.all_green(stacked) < ODDS):
        return 0
    if prove == "all":
        return 1 if stacked < batch else 0
    while batch > 1 and odds.all_green(batch) < BATCH_ODDS:
        batch -= 1
    return batch
