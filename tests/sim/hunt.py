"""`make mutants`: which seeds find each planted bug, and how many it takes.

A bug that no seed finds is a hole in the net: exit 1. A seed that fails without the bug as
well says nothing about it, and is passed over.
"""

from __future__ import annotations

import statistics
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from mutants import MUTANTS, finds

FOUND = 3
"""Finding seeds that are looked for, to have a median."""


def hunt(number: int, most: int) -> tuple[str, list[int]]:
    """The first seeds that find a bug."""
    mutant = MUTANTS[number]
    found: list[int] = []
    for seed in range(1, most + 1):
        if finds(mutant, seed):
            found.append(seed)
        if len(found) == FOUND:
            break
    return mutant.name, found


def main(most: int) -> int:
    firsts, missed = [], []
    with ProcessPoolExecutor() as pool:
        for name, found in pool.map(hunt, range(len(MUTANTS)), [most] * len(MUTANTS)):
            sys.stdout.write(f"{name:<64} {', '.join(map(str, found)) or 'NOT FOUND'}\n")
            sys.stdout.flush()
            firsts += found[:1]
            missed += [] if found else [name]
    median = statistics.median(firsts) if firsts else 0
    sys.stdout.write(
        f"{len(MUTANTS) - len(missed)} of {len(MUTANTS)} planted bugs found within {most} seeds; "
        f"median {median:g} seeds\n"
    )
    return int(bool(missed))


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000))
