"""A safety net is worth what it catches: each planted bug is found by its seed."""

from __future__ import annotations

import pytest
from mutants import MUTANTS, Mutant, finds

OTHERS = 60


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_planted_bug_is_found(mutant: Mutant) -> None:
    """Any change of the code may move a run, so a few other seeds are tried before it counts as
    lost; then `make mutants` finds the seeds anew."""
    assert any(finds(mutant, seed) for seed in (mutant.seed, *range(1, OTHERS)))


def test_there_are_enough_of_them() -> None:
    assert len(MUTANTS) >= 20
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
