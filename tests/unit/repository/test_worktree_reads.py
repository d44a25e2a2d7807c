from __future__ import annotations

from pathlib import Path

from oya.repository.git import GitRepository
from repository_kit import commit, git, write


async def test_dirty_paths_are_tracked_ones_only(repo: GitRepository, folder: Path) -> None:
    assert await repo.dirty_paths() == ()
    write(folder, {"a.txt": "changed", "new.txt": "untracked", "src/ü b.txt": "staged"})
    git(folder, "add", "src/ü b.txt")
    (folder / "src" / "b.txt").unlink()
    assert set(await repo.dirty_paths()) == {"a.txt", "src/b.txt", "src/ü b.txt"}


async def test_looking_does_not_write_the_users_index(repo: GitRepository, folder: Path) -> None:
    write(folder, {"a.txt": "one\n"})
    before = (folder / ".git" / "index").read_bytes()
    assert await repo.dirty_paths() == ()
    assert (folder / ".git" / "index").read_bytes() == before


async def test_tracked_and_working_files(repo: GitRepository, folder: Path) -> None:
    commit(folder, {".beads/issues.jsonl": "{}\n", "[a]*": "x"})
    write(folder, {".beads/issues.jsonl": "{1}\n", "b*": "y"})
    assert await repo.tracked(".beads/issues.jsonl")
    assert await repo.tracked("[a]*")
    assert not await repo.tracked(".beads")
    assert not await repo.tracked("b*")
    assert await repo.working_file(".beads/issues.jsonl") == b"{1}\n"
    assert await repo.working_file("absent/x") is None
    assert await repo.working_file("src") is None
