from __future__ import annotations

from pathlib import Path

import pytest

from oya.repository.git import GitRepository
from repository_kit import isolate, make_repository, opened


@pytest.fixture(autouse=True)
def own_git(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    isolate(monkeypatch, tmp_path / "home")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The user's repository."""
    return make_repository(tmp_path / "repo")


@pytest.fixture
def repo(folder: Path) -> GitRepository:
    return opened(folder)
