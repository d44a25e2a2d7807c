"""SIGKILL while old records go, at every point that there is."""

from __future__ import annotations

from pathlib import Path

import pytest
from crash_retention import Old, kills, nothing_else_goes, what_is_old_goes
from crash_rounds import OLD, Tally


def test_what_is_old_goes_whole_and_nothing_else_wherever_it_died(tmp_path: Path) -> None:
    tally = Tally()
    old = Old.make(tmp_path / "old", tally)
    try:
        old.go(kills(round=2))
    finally:
        old.ground.close()
    assert old.wrong == []
    assert tally.hits == dict.fromkeys(OLD, 1)


@pytest.mark.parametrize(
    ("left", "breaches"), [({"a"}, (1, 0)), ({"a", "b"}, (0, 0)), ({"a", "b", "c"}, (0, 1))]
)
def test_more_or_less_that_is_gone_is_a_breach(left: set[str], breaches: tuple[int, int]) -> None:
    found = nothing_else_goes(left, {"a", "b"}), what_is_old_goes(left, {"a", "b"})
    assert tuple(len(list(words)) for words in found) == breaches
