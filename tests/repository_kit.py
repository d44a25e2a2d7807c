"""Real git repositories for tests, which know nothing of the runner's own git."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from oya.repository.git import GitRepository
from oya.repository.places import find_place


def isolate(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    """Give this test a home, a cache and a git of its own."""
    for name in [name for name in os.environ if name.startswith(("GIT_", "XDG_"))]:
        monkeypatch.delenv(name)
    home.mkdir(parents=True, exist_ok=True)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / "gitconfig"))
    (home / "gitconfig").write_text(
        "[user]\n\tname = Ada\n\temail = ada@example.com\n"
        '[init]\n\tdefaultBranch = main\n[protocol "file"]\n\tallow = always\n'
    )


def git(folder: Path, *args: str, check: bool = True) -> str:
    """Run git as the user would; what it says on stdout."""
    done = subprocess.run(
        ["git", "-C", str(folder), *args], capture_output=True, timeout=30, check=False
    )
    if check and done.returncode:
        raise AssertionError(f"git {args}: {done.stderr.decode(errors='replace')}")
    return done.stdout.decode("utf-8", "surrogateescape").rstrip("\n")


def write(folder: Path, files: dict[str, str]) -> None:
    """Write text files, with the folders they need."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def commit(folder: Path, files: dict[str, str], message: str = "change") -> str:
    """Write files, commit them all, and return the commit."""
    write(folder, files)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", message)
    return git(folder, "rev-parse", "HEAD")


def make_repository(folder: Path, files: dict[str, str] | None = None) -> Path:
    """A repository with one commit on `main`."""
    folder.mkdir(parents=True)
    git(folder, "init", "-q", "-b", "main")
    commit(folder, files or {"a.txt": "one\n", "src/b.txt": "two\n"}, "first")
    return folder


def opened(folder: Path) -> GitRepository:
    """oya's view of that repository, its folders made."""
    place = find_place(folder)
    place.make_folders()
    return GitRepository(place)
