"""A base that is red: which tests, and since which commit, where that is cheap to find."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from oya.gates.model import Evidence
from oya.lifecycle.failures import FailureClass
from oya.swarm.assembly import GATES, Parts
from oya.swarm.attempt import Attempt, AttemptOver

SHOWN = 5
"""Red tests that are named."""
LOOKED_AT = 65
"""Commits along the first parents of a base that may be looked at, itself included."""
CHEAP = 60.0
"""Seconds of gates that the search may take, by what a run took on the base."""

Gate = Callable[[str], Awaitable[Evidence]]


async def told(parts: Parts, base: str, red: Sequence[str]) -> str:
    """`red` on `base` in words, with the first red commit if it was found."""
    more = f" and {len(red) - SHOWN} more" if len(red) > SHOWN else ""
    words = f"the base {base[:9]} is red: {', '.join(red[:SHOWN])}{more}"
    if base in parts.turned:
        return f"{words}; it was green before, so it is something beside the repository"
    first = await first_red(parts, base)
    if first is None:
        return words
    return f"{words}; since {first[:9]} ({await parts.repo.subject(first)})"


async def require_green_base(attempt: Attempt, *, ci: bool = True) -> None:
    """`AttemptOver` of class base_red, which counts as no attempt, where the base is red: the
    difference that the attempt makes cannot be told. `ci`: whether that gate is asked too."""
    red = await attempt.parts.base_red(attempt.base, gates=_gates(ci))
    await _end_if(attempt, attempt.base, red)


async def require_lasting_base(attempt: Attempt, since: int, *, ci: bool = True) -> None:
    """The same before an attempt fails by its gates, which were asked after `since` runs: the
    newest base may have been green once, and be red by now with nothing changed in it."""
    parts, base = attempt.parts, attempt.claim.base
    red = await parts.turned_red(base, parts.not_green_since(_gates(ci), since))
    await _end_if(attempt, base, red)


def _gates(ci: bool) -> list[str]:
    return [gate for gate in GATES if ci or gate != "ci"]


async def _end_if(attempt: Attempt, base: str, red: Sequence[str]) -> None:
    if red:
        why = await told(attempt.parts, base, red)
        raise AttemptOver(FailureClass.BASE_RED, why, red)


async def first_red(parts: Parts, base: str) -> str | None:
    """The first red commit on the way to a red base; None where that is not cheap to find, or
    there is no green one within reach.

    By one gate that is red there, and along first parents: first back in leaps to a green one,
    or one that is known to be green, then by halves. What is between two green ones is not seen.
    """
    found = await _red_gate(parts, base)
    if found is None:
        return None
    gate, seconds = found
    line = await parts.repo.first_parents(base, LOOKED_AT)
    search = _Search(parts, gate, line, int(CHEAP / max(seconds, 0.001)))
    place = await search.leap()
    return None if place is None else line[place]


class _Search:
    def __init__(self, parts: Parts, gate: Gate, line: Sequence[str], runs: int) -> None:
        self._parts = parts
        self._gate = gate
        self._line = line
        self._left = runs

    async def leap(self) -> int | None:
        """The place of the last red one before a green one."""
        red, leap = 0, 1
        while red + 1 < len(self._line):
            place = min(red + leap, len(self._line) - 1)
            known = await self._known_green(red + 1, place)
            if known is not None:  # what is beyond may be red for reasons of its own
                return await self._halve(red, known)
            green = await self._is_green(place)
            if green is None:
                return None
            if green:
                return await self._halve(red, place)
            red, leap = place, leap * 2
        return None

    async def _known_green(self, start: int, end: int) -> int | None:
        """The first place from `start` up to `end` that is known to be green."""
        for place in range(start, end + 1):
            if await self._parts.gates.known(self._line[place]):
                return place
        return None

    async def _halve(self, red: int, green: int) -> int | None:
        while green - red > 1:
            middle = (red + green) // 2
            found = await self._is_green(middle)
            if found is None:
                return None
            red, green = (red, middle) if found else (middle, green)
        return red

    async def _is_green(self, place: int) -> bool | None:
        """None: not known, and it costs too much to find out."""
        commit = self._line[place]
        known = await self._parts.gates.known(commit)
        if known is not None:
            return known
        if self._left < 1:
            return None
        self._left -= 1
        return (await self._gate(commit)).ok


async def _red_gate(parts: Parts, base: str) -> tuple[Gate, float] | None:
    """A gate that is red on the base, by its evidence there, and the seconds that it took."""
    gates = parts.gates
    for gate in (gates.quick, gates.tests, gates.ci):
        evidence = await gate(base)
        if not evidence.ok and not evidence.empty:
            return gate, evidence.seconds
    return None
