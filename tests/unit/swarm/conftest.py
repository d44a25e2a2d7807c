from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from swarm_kit import World

from repository_kit import isolate


@pytest.fixture
def own_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    isolate(monkeypatch, tmp_path / "home")


@pytest.fixture
async def world(own_git: None, tmp_path: Path) -> AsyncIterator[World]:
    """A repository whose tracker's file git tracks."""
    async with World.at(tmp_path) as made:
        yield made


@pytest.fixture
async def untracked(own_git: None, tmp_path: Path) -> AsyncIterator[World]:
    """A repository that ignores its tracker's folder."""
    async with World.at(tmp_path, ignored=True) as made:
        yield made
