"""Grounds that leave nothing behind, whatever a test finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from crash_kit import Ground


@pytest.fixture
def make_ground(tmp_path: Path) -> Iterator[Callable[..., Ground]]:
    """`Ground.make`; what it made is ended afterwards."""
    made: list[Ground] = []

    def make(**given: object) -> Ground:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Ground.make(folder, **given))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for ground in made:
        ground.close()


@pytest.fixture
def ground(make_ground: Callable[..., Ground]) -> Ground:
    """A fresh one, as it is by default."""
    return make_ground()
