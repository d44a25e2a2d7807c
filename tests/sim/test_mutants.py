"""A safety net is worth what it catches: each planted bug is found by its seed."""

from __future__ import annotations

import pytest
from mutants import MUTANTS, Mutant, finds


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_planted_bug_is_found(mutant: Mutant) -> None:
    """Where it is not, the code or the plan has changed: `make mutants` finds another seed."""
    assert finds(mutant, mutant.seed)


def test_there_are_enough_of_them() -> None:
    assert len(MUTANTS) >= 20
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
