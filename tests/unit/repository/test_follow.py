"""What real git adds to the promises of tests/contract/test_repository.py about following."""

from __future__ import annotations

from pathlib import Path

import pytest

from oya.repository.follow import follow
from oya.repository.git import GitRepository
from repository_kit import commit, git, opened, write


async def land(repo: GitRepository, files: dict[str, bytes | None] | None = None) -> str:
    """Two commits on the line, ahead of main."""
    tip = await repo.read_ref("refs/heads/main")
    assert tip
    first = await repo.write_tree(tip, {"landed.txt": b"1\n"})
    middle = await repo.commit_tree(first, [tip], "one")
    tree = await repo.write_tree(first, files or {"a.txt": b"landed\n"})
    line = await repo.commit_tree(tree, [middle], "two")
    assert await repo.cas_ref("refs/oya/line/main", line, None)
    return line


async def test_a_clean_checkout_follows(repo: GitRepository, folder: Path) -> None:
    line = await land(repo)
    write(folder, {"untracked": "mine"})
    found = await follow(repo, "main", line)
    assert (found.behind, found.why, found.moved) == (0, "", True)
    assert (folder / "a.txt").read_text() == "landed\n"
    assert git(folder, "status", "--porcelain=v1", "--branch") == "## main\n?? untracked"
    assert git(folder, "rev-parse", "main") == line
    again = await follow(repo, "main", line)
    assert (again.behind, again.why, again.moved) == (0, "", False)


async def stays(repo: GitRepository, folder: Path, line: str, *words: str) -> None:
    before = git(folder, "rev-parse", "main"), git(folder, "status", "--porcelain")
    text = (folder / "a.txt").read_text()
    found = await follow(repo, "main", line)
    assert (found.behind, found.moved) == (2, False)
    for word in words:
        assert word in found.why
    assert (git(folder, "rev-parse", "main"), git(folder, "status", "--porcelain")) == before
    assert (folder / "a.txt").read_text() == text


async def test_a_modified_file_keeps_it_in_place(repo: GitRepository, folder: Path) -> None:
    line = await land(repo, {"n": b"1"})
    write(folder, {"a.txt": "mine"})
    await stays(repo, folder, line, "a.txt", str(folder))
    git(folder, "checkout", "-q", "a.txt")
    assert (await follow(repo, "main", line)).moved


async def test_a_staged_file_keeps_it_in_place(repo: GitRepository, folder: Path) -> None:
    line = await land(repo, {"n": b"1"})
    write(folder, {"staged": "mine"})
    git(folder, "add", "staged")
    await stays(repo, folder, line, "staged")


async def test_the_index_lock_of_another_git_keeps_it_in_place(
    repo: GitRepository, folder: Path
) -> None:
    line = await land(repo)
    (folder / ".git" / "index.lock").touch()
    await stays(repo, folder, line, "index.lock")


def conflict(folder: Path) -> None:
    """A side branch whose commit conflicts with main's newest."""
    git(folder, "switch", "-q", "-c", "side", "HEAD~1")
    commit(folder, {"a.txt": "side\n"})
    git(folder, "switch", "-q", "main")


@pytest.mark.parametrize(
    ("operation", "word"),
    [
        (("merge", "side"), "a merge"),
        (("cherry-pick", "side"), "a cherry-pick"),
        (("rebase", "side"), "a rebase"),
        (("revert", "--no-edit", "HEAD~1"), "a revert"),
        (("bisect", "start", "HEAD", "HEAD~1"), "a bisect"),
    ],
)
async def test_an_operation_in_progress_keeps_it_in_place(
    repo: GitRepository, folder: Path, operation: tuple[str, ...], word: str
) -> None:
    commit(folder, {"a.txt": "two\n"})
    commit(folder, {"a.txt": "three\n"})
    conflict(folder)
    line = await land(repo, {"n": b"1"})
    git(folder, *operation, check=False)
    await stays(repo, folder, line, word)


async def test_a_rebase_elsewhere_of_the_branch_keeps_it_in_place(
    repo: GitRepository, folder: Path, tmp_path: Path
) -> None:
    commit(folder, {"a.txt": "two\n"})
    conflict(folder)
    line = await land(repo, {"n": b"1"})
    git(folder, "switch", "-q", "side")
    git(folder, "worktree", "add", "-q", str(tmp_path / "linked"), "main")
    git(tmp_path / "linked", "rebase", "side", check=False)
    await stays(repo, folder, line, "a rebase", str(tmp_path / "linked"))


async def test_a_linked_worktree_follows_too(
    repo: GitRepository, folder: Path, tmp_path: Path
) -> None:
    line = await land(repo)
    git(folder, "switch", "-q", "-c", "other")
    linked = tmp_path / "li nked"
    git(folder, "worktree", "add", "-q", str(linked), "main")
    write(linked, {"a.txt": "dirty"})
    found = await follow(opened(linked), "main", line)
    assert str(linked) in found.why
    git(linked, "checkout", "-q", "a.txt")
    assert (await follow(repo, "main", line)).moved
    assert (linked / "a.txt").read_text() == "landed\n"
    assert git(linked, "status", "--porcelain") == ""


async def test_two_worktrees_on_the_branch_move_together_or_not_at_all(
    repo: GitRepository, folder: Path, tmp_path: Path
) -> None:
    line = await land(repo)
    linked = tmp_path / "linked"
    git(folder, "worktree", "add", "-q", "-f", str(linked), "main")
    write(linked, {"src/b.txt": "dirty"})
    await stays(repo, folder, line, "src/b.txt")
    git(linked, "checkout", "-q", "src/b.txt")
    assert (await follow(repo, "main", line)).moved
    for tree in (folder, linked):
        assert git(tree, "status", "--porcelain=v1", "--branch") == "## main"
        assert (tree / "a.txt").read_text() == "landed\n"


async def test_a_worktree_whose_folder_is_gone_is_not_in_the_way(
    repo: GitRepository, folder: Path, tmp_path: Path
) -> None:
    line = await land(repo)
    git(folder, "switch", "-q", "-c", "other")
    git(folder, "worktree", "add", "-q", str(tmp_path / "linked"), "main")
    (tmp_path / "linked").rename(tmp_path / "elsewhere")
    assert (await follow(repo, "main", line)).moved


async def test_a_locked_worktree_that_is_not_there_keeps_it_in_place(
    repo: GitRepository, folder: Path, tmp_path: Path
) -> None:
    line = await land(repo)
    git(folder, "switch", "-q", "-c", "other")
    git(folder, "worktree", "add", "-q", "--lock", str(tmp_path / "linked"), "main")
    (tmp_path / "linked").rename(tmp_path / "elsewhere")
    await stays(repo, folder, line, "locked")


async def test_hooks_and_merge_settings_of_the_user_do_not_interfere(
    repo: GitRepository, folder: Path, tmp_path: Path
) -> None:
    line = await land(repo)
    git(folder, "config", "branch.main.mergeOptions", "--no-ff --squash")
    git(folder, "config", "merge.ff", "false")
    hook = folder / ".git" / "hooks" / "post-merge"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    assert (await follow(repo, "main", line)).moved
    assert git(folder, "status", "--porcelain=v1", "--branch") == "## main"
    assert not (tmp_path / "ran").exists()


IGNORED = "config.json\nmade/\n"


WAYS = {
    "a file": ({"config.json": "mine"}, {"config.json": b"landed"}),
    "a folder where a file lands": ({"made/deep/mine": "mine"}, {"made": b"landed"}),
    "a file where a folder lands": ({"config.json": "mine"}, {"config.json/landed": b"landed"}),
    "a file beside what went from a folder": (
        {"src/made/mine": "mine"},
        {"src/b.txt": None, "src": b"landed"},
    ),
}


@pytest.mark.parametrize("linked", [False, True])
@pytest.mark.parametrize("way", WAYS)
async def test_what_git_ignores_is_the_users_too(
    repo: GitRepository, folder: Path, tmp_path: Path, way: str, linked: bool
) -> None:
    theirs, landed = WAYS[way]
    commit(folder, {".gitignore": IGNORED})
    tree = folder
    if linked:
        tree = tmp_path / "linked"
        git(folder, "worktree", "add", "-q", "-f", str(tree), "main")
    write(tree, theirs)
    assert git(tree, "status", "--porcelain") == ""
    line = await land(repo, landed)
    await stays(repo, folder, line, str(tree), "untracked")
    for path, text in theirs.items():
        assert (tree / path).read_text() == text
        (tree / path).unlink()
    assert (await follow(repo, "main", line)).moved
    assert git(tree, "status", "--porcelain=v1", "--branch") == "## main"


async def test_a_link_of_the_users_is_followed_nowhere(
    repo: GitRepository, folder: Path, tmp_path: Path
) -> None:
    commit(folder, {".gitignore": "config.json\n"})
    write(tmp_path, {"elsewhere/landed": "mine"})
    (folder / "config.json").symlink_to(tmp_path / "elsewhere")
    line = await land(repo, {"config.json/landed": b"landed"})
    await stays(repo, folder, line, "untracked", "config.json")
    assert (tmp_path / "elsewhere" / "landed").read_text() == "mine"


async def test_files_become_folders_and_folders_files(repo: GitRepository, folder: Path) -> None:
    commit(folder, {"sub/deep/c.txt": "c", "sub/d.txt": "d"})
    (folder / "sub" / "empty").mkdir()
    line = await land(
        repo,
        {"sub/deep/c.txt": None, "sub/d.txt": None, "sub": b"1", "a.txt": None, "a.txt/in": b"2"},
    )
    found = await follow(repo, "main", line)
    assert (found.why, found.moved) == ("", True)
    assert (folder / "sub").read_text() == "1"
    assert (folder / "a.txt" / "in").read_text() == "2"
    assert git(folder, "status", "--porcelain=v1", "--branch") == "## main"
