"""A folder to type commands in, and a way to type them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from cli_kit import Oya

from oya.cli.main import run
from repository_kit import isolate, make_repository


@pytest.fixture
def files() -> Mapping[str, str]:
    """What the repository begins with; a file of tests may have its own."""
    return {}


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, files: Mapping[str, str]) -> Path:
    """A repository, with nothing of the user's around it; commands are typed in it."""
    isolate(monkeypatch, tmp_path / "home")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "home"))
    made = make_repository(tmp_path / "repo", dict(files) or None)
    monkeypatch.chdir(made)
    return made


@pytest.fixture
def oya(capsys: pytest.CaptureFixture[str]) -> Oya:
    """Type a command: its exit code, stdout and stderr."""

    def ran(*args: str) -> tuple[int, str, str]:
        code = run(list(args))
        said = capsys.readouterr()
        return code, said.out, said.err

    return ran
