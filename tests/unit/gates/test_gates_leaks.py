"""What a command leaves behind, seen by the shell that ran it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from oya.gates.leaks import MARK, left_behind, unwatched, watched
from oya.processes.port import Command, Ended, shell
from oya.processes.real import GuardedProcesses
from repository_kit import isolate, make_repository

FILES = {"a.txt": "one\n", ".gitignore": "*.log\n"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    isolate(monkeypatch, tmp_path / "home")
    return make_repository(tmp_path / "repo", FILES)


async def run(folder: Path, line: str) -> tuple[Ended, str]:
    out = folder.parent / "out.log"
    ended = await GuardedProcesses(f"leaks-{os.getpid()}").run(
        Command(shell(line), cwd=folder, env={"PATH": os.environ["PATH"]}, output=out)
    )
    return ended, out.read_text()


async def test_files_that_git_does_not_ignore_are_named(folder: Path) -> None:
    (folder / "before.tmp").write_text("was there\n")
    line = "touch new.tmp x.log a.txt; mkdir -p sub/__pycache__ .pytest_cache 'a b'; touch 'a b/c'"
    line += " sub/__pycache__/x.pyc .pytest_cache/y"
    ended, said = await run(folder, watched(line))
    assert (ended.exit, left_behind(said)) == (0, ("file a b/c", "file new.tmp"))


async def test_processes_that_outlive_it_are_named(folder: Path) -> None:
    ended, said = await run(folder, watched("(setsid sleep 77 &) ; exit 3"))
    assert (ended.exit, left_behind(said)) == (3, ("process sleep 77",))


async def test_a_process_that_ends_by_itself_soon_is_not(folder: Path) -> None:
    _, said = await run(folder, watched("(sleep 0.05 &)"))
    assert MARK in said
    assert left_behind(said) == ()


async def test_the_exit_code_is_that_of_the_command(folder: Path) -> None:
    for line, code in (("true", 0), ("exit 7", 7), ("no-such-program", 127), ("# only this", 0)):
        ended, _ = await run(folder, watched(line))
        assert ended.exit == code, line


async def test_at_most_a_few_are_named_in_few_words(folder: Path) -> None:
    line = "for n in 1 2 3 4 5 6 7 8 9; do touch $n.tmp; done; touch " + "x" * 200
    _, said = await run(folder, watched(line))
    found = left_behind(said)
    assert len(found) == 5
    assert len(said.rpartition(MARK)[2]) < 900


async def test_where_there_is_no_git_no_file_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "bare"
    folder.mkdir()
    ended, said = await run(
        folder,
        f"GIT_CEILING_DIRECTORIES={tmp_path}; export GIT_CEILING_DIRECTORIES\n"
        + watched("touch new.tmp"),
    )
    assert (ended.exit, left_behind(said)) == (0, ())


def test_what_a_command_prints_before_the_mark_says_nothing() -> None:
    assert left_behind(f"{MARK}\nfile forged\n\n{MARK}\nprocess real\nother\n") == ("process real",)
    assert left_behind("file x\n") == ()


def test_the_command_can_be_had_back() -> None:
    assert unwatched(watched("a 'b'\nc")) == "a 'b'\nc"
    assert unwatched("plain") == "plain"
