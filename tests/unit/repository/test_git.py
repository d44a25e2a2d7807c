"""What git alone promises of the repository: merges by line, and peace from a user's settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from oya.errors import RepositoryUnfit
from oya.repository.git import GitRepository
from oya.repository.port import Identity
from repository_kit import commit, git

LINE = "refs/oya/line/main"


async def head(repo: GitRepository) -> str:
    found = await repo.resolve("refs/heads/main")
    assert found
    return found


async def test_changes_of_different_lines_of_a_file_merge(
    repo: GitRepository, folder: Path
) -> None:
    lines = [f"{n}\n" for n in range(20)]
    base = commit(folder, {"a.txt": "".join(lines)})
    ours = await repo.write_tree(base, {"a.txt": "".join(["top\n", *lines[1:]]).encode()})
    theirs = await repo.write_tree(base, {"a.txt": "".join([*lines[:-1], "end\n"]).encode()})
    merged = await repo.merge_tree(ours, theirs, base=base)
    assert merged.clean
    text = "".join(["top\n", *lines[1:-1], "end\n"])
    assert await repo.read_file(merged.tree, "a.txt") == text.encode()


async def test_other_names_for_commits(repo: GitRepository, folder: Path) -> None:
    first = await head(repo)
    git(folder, "tag", "-m", "release", "v1")
    commit(folder, {"a.txt": "2"})
    assert await repo.resolve("main~1") == await repo.resolve("v1") == first
    assert await repo.resolve(first[:12]) == first


async def test_who_commits_has_an_address_and_is_the_committer_too(
    repo: GitRepository, folder: Path
) -> None:
    at = await head(repo)
    tree = await repo.tree_of(at)
    mine = await repo.commit_tree(tree, [at], "m")
    theirs = await repo.commit_tree(tree, [at], "t", author=Identity("oya", "o@x"))
    who = "--format=%an <%ae> %cn <%ce>"
    assert git(folder, "show", "-s", who, mine) == "Ada <ada@example.com> Ada <ada@example.com>"
    assert git(folder, "show", "-s", who, theirs) == "oya <o@x> oya <o@x>"


async def test_without_an_identity_a_commit_is_refused_in_clear_words(
    repo: GitRepository, tmp_path: Path
) -> None:
    (tmp_path / "home" / "gitconfig").write_text("")
    at = await head(repo)
    with pytest.raises(RepositoryUnfit, match="who you are") as caught:
        await repo.commit_tree(await repo.tree_of(at), [at], "m")
    assert "git config" in caught.value.hint


async def test_signing_and_hooks_of_the_user_do_not_run(
    repo: GitRepository, folder: Path, tmp_path: Path
) -> None:
    git(folder, "config", "commit.gpgSign", "true")
    git(folder, "config", "gpg.program", "/bin/false")
    hook = folder / ".git" / "hooks" / "reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    at = await head(repo)
    made = await repo.commit_tree(await repo.tree_of(at), [at], "m")
    assert await repo.cas_ref(LINE, made, None)
    assert not (tmp_path / "ran").exists()
