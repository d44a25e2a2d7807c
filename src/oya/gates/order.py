"""Orders in which to run tests that should pass in any."""

from __future__ import annotations

import random
from collections.abc import Sequence


def orders(ids: Sequence[str], seed: str, limit: int) -> list[tuple[str, ...]]:
    """At most `limit` orders other than the given one; the same seed gives the same.

    The first is the reverse: with the given order it has each test run after each other one,
    so that two of which one needs, or spoils, the other are found. In every further one a test
    comes first that never did, and so runs as if it were alone; the rest is shuffled.
    """
    known = tuple(dict.fromkeys(ids))
    if len(known) < 2:
        return []
    chance = random.Random(seed)  # noqa: S311 (repeatable, no secret)
    made = [known[::-1]]
    for first in chance.sample(known[1:-1], len(known) - 2):
        rest = [id for id in known if id != first]
        chance.shuffle(rest)
        made.append((first, *rest))
    return made[:limit]
