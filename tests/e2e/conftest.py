"""Users and stages for tests that type commands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from kit.user import User, moved_in
from kit.words import Stage


@pytest.fixture
def user(tmp_path: Path) -> Iterator[User]:
    with moved_in(tmp_path) as user:
        yield user


@pytest.fixture
def stage(user: User) -> Iterator[Stage]:
    stage = Stage(user.folder / "stage")
    yield stage
    stage.close()
