from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from repository_kit import isolate
from swarm_kit import World


@pytest.fixture(autouse=True)
def own_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    isolate(monkeypatch, tmp_path / "home")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A repository whose tracker's file git tracks."""
    async with World.at(tmp_path) as made:
        yield made


@pytest.fixture
async def untracked(tmp_path: Path) -> AsyncIterator[World]:
    """A repository that ignores its tracker's folder."""
    async with World.at(tmp_path, ignored=True) as made:
        yield made
