"""The tracker's file while a checkout follows: whoever dies in between, no edit is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from oya.repository.follow import follow
from oya.repository.git import GitRepository
from oya.trackers.jsonl import JsonlFile
from repository_kit import commit, git, opened, write

PATH = ".beads/issues.jsonl"
FIRST = '{"id":"a"}\n{"id":"b"}\n'
LANDED = '{"id":"a","status":"closed"}\n{"id":"b"}\n'
MINE = '{"id":"a"}\n{"id":"b","priority":0}\n'
BOTH = '{"id":"a","status":"closed"}\n{"id":"b","priority":0}\n'
FILE = JsonlFile()

_DIES = """
import asyncio, sys
from pathlib import Path
from oya.crashpoints import arm
from oya.repository.follow import follow
from oya.repository.git import GitRepository
from oya.repository.places import find_place
from oya.trackers.jsonl import JsonlFile

repo = GitRepository(find_place(Path(sys.argv[1])))
arm(sys.argv[3])
asyncio.run(follow(repo, "main", sys.argv[2], file=JsonlFile()))
"""


@pytest.fixture
async def line(repo: GitRepository, folder: Path) -> str:
    """A landing that closes a bead, ahead of main, where the user has changed another."""
    at = commit(folder, {PATH: FIRST})
    tree = await repo.write_tree(at, {PATH: LANDED.encode(), "landed.txt": b"1\n"})
    made = await repo.commit_tree(tree, [at], "lands")
    git(folder, "update-ref", "refs/oya/line/main", made)
    write(folder, {PATH: MINE})
    return made


def die(folder: Path, line: str, where: str) -> None:
    argv = [sys.executable, "-c", _DIES, str(folder), line, where]
    died = subprocess.run(argv, env={**os.environ}, timeout=60, check=False)
    assert died.returncode == -signal.SIGKILL


def text(folder: Path) -> str:
    return (folder / PATH).read_text()


def refs(folder: Path) -> str:
    return git(folder, "for-each-ref", "refs/oya/tracker")


MOMENTS = [
    "follow.kept", "follow.staged", "tracker.written", "tracker.renamed", "follow.moved",
    "follow.merged", "follow.let_go",
]  # fmt: skip


@pytest.mark.parametrize("where", MOMENTS)
async def test_whoever_comes_after_a_death_finishes_it(
    repo: GitRepository, folder: Path, line: str, where: str
) -> None:
    die(folder, line, where)
    assert text(folder) in (MINE, BOTH), "never half of it, and never without the user's"
    found = await follow(repo, "main", line, file=FILE)
    assert (found.behind, found.why) == (0, "")
    assert git(folder, "rev-parse", "main") == line
    assert text(folder) == BOTH
    assert git(folder, "status", "--porcelain") == f" M {PATH}"
    assert refs(folder) == ""


@pytest.mark.parametrize("where", MOMENTS)
async def test_what_the_user_edits_after_a_death_is_kept_too(
    repo: GitRepository, folder: Path, line: str, where: str
) -> None:
    die(folder, line, where)
    (folder / PATH).write_text(text(folder) + '{"id":"new"}\n')
    await follow(repo, "main", line, file=FILE)
    assert text(folder) == BOTH + '{"id":"new"}\n'


@pytest.mark.parametrize("where", ["follow.kept", "follow.staged"])
async def test_where_it_cannot_move_after_a_death_all_is_as_before(
    repo: GitRepository, folder: Path, line: str, where: str
) -> None:
    die(folder, line, where)
    write(folder, {"a.txt": "mine"})
    found = await follow(repo, "main", line, file=FILE)
    assert (found.behind, "a.txt" in found.why) == (1, True)
    assert text(folder) == MINE
    assert git(folder, "status", "--porcelain") == f" M {PATH}\n M a.txt"
    assert refs(folder) == ""


async def test_what_git_refuses_leaves_the_index_as_it_was(
    repo: GitRepository, folder: Path, line: str
) -> None:
    write(folder, {"landed.txt": "untracked"})
    found = await follow(repo, "main", line, file=FILE)
    assert (found.behind, "landed.txt" in found.why) == (1, True)
    assert text(folder) == MINE
    assert git(folder, "status", "--porcelain") == f" M {PATH}\n?? landed.txt"
    assert refs(folder) == ""


async def test_what_the_user_has_staged_keeps_it_in_place(
    repo: GitRepository, folder: Path, line: str
) -> None:
    git(folder, "add", PATH)
    found = await follow(repo, "main", line, file=FILE)
    assert (found.behind, PATH in found.why) == (1, True)
    assert git(folder, "status", "--porcelain") == f"M  {PATH}"


async def test_a_link_in_its_place_keeps_it_in_place(
    repo: GitRepository, folder: Path, tmp_path: Path, line: str
) -> None:
    (tmp_path / "outside").write_text(MINE)
    (folder / PATH).unlink()
    (folder / PATH).symlink_to(tmp_path / "outside")
    found = await follow(repo, "main", line, file=FILE)
    assert (found.behind, found.moved) == (1, False)
    assert (tmp_path / "outside").read_text() == MINE


async def test_every_worktree_of_the_branch_keeps_its_own_changes(
    repo: GitRepository, folder: Path, tmp_path: Path, line: str
) -> None:
    linked = tmp_path / "li nked ü"
    git(folder, "worktree", "add", "-q", "-f", str(linked), "main")
    other = MINE.replace('"priority":0', '"priority":4')
    write(linked, {PATH: other})
    found = await follow(repo, "main", line, file=FILE)
    assert (found.moved, found.why) == (True, "")
    assert (text(folder), text(linked)) == (BOTH, BOTH.replace('"priority":0', '"priority":4'))
    for tree in (folder, linked):
        assert git(tree, "status", "--porcelain") == f" M {PATH}"
        assert (tree / "landed.txt").exists()
    assert refs(folder) == ""


async def test_of_a_worktree_that_is_gone_nothing_is_kept(
    repo: GitRepository, folder: Path, tmp_path: Path, line: str
) -> None:
    linked = tmp_path / "linked"
    git(folder, "checkout", "-q", PATH)
    git(folder, "switch", "-q", "-c", "other")
    git(folder, "worktree", "add", "-q", str(linked), "main")
    write(linked, {PATH: MINE})
    die(linked, line, "follow.kept")
    assert refs(folder)
    git(folder, "worktree", "remove", "--force", str(linked))
    assert (await follow(opened(folder), "main", line, file=FILE)).moved
    assert refs(folder) == ""


async def test_a_worktree_is_looked_through_once(
    repo: GitRepository, folder: Path, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """git looks at each of its files for that."""
    looked: list[Path] = []
    real = repo.changes

    async def changes(worktree: Path) -> dict[str, str]:
        looked.append(worktree)
        return await real(worktree)

    monkeypatch.setattr(repo, "changes", changes)
    assert (await follow(repo, "main", line, file=FILE)).moved
    assert looked == [folder]
