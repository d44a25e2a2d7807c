from __future__ import annotations

from pathlib import Path

import pytest

from oya.beads import PATH
from oya.errors import RepositoryUnfit
from oya.repository.checks import fitness
from oya.repository.git import GitRepository
from repository_kit import commit, git, make_repository, opened, write


async def test_a_plain_repository_is_fit(repo: GitRepository) -> None:
    found = await fitness(repo)
    assert found.branch == "main"
    assert found.warnings == ()
    assert found.git_version.startswith("2.")


async def refused(folder: Path, word: str) -> RepositoryUnfit:
    before = git(folder, "status", "--porcelain=v2", "--branch", check=False)
    with pytest.raises(RepositoryUnfit, match=word) as caught:
        await fitness(opened(folder))
    assert caught.value.exit_code == 2
    assert git(folder, "status", "--porcelain=v2", "--branch", check=False) == before
    return caught.value


async def test_no_commits(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "new")
    await refused(tmp_path / "new", "no commits")


async def test_a_detached_head(folder: Path) -> None:
    git(folder, "switch", "-q", "--detach")
    await refused(folder, "detached")


async def test_a_shallow_clone(folder: Path, tmp_path: Path) -> None:
    commit(folder, {"a.txt": "2"})
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{folder}", "shallow")
    await refused(tmp_path / "shallow", "shallow")


async def test_a_partial_clone(folder: Path, tmp_path: Path) -> None:
    git(folder, "config", "uploadpack.allowFilter", "true")
    git(tmp_path, "clone", "-q", "--filter=blob:none", f"file://{folder}", "partial")
    await refused(tmp_path / "partial", "partial")


async def test_submodules(folder: Path, tmp_path: Path) -> None:
    other = make_repository(tmp_path / "other")
    git(folder, "submodule", "--quiet", "add", str(other), "lib/other")
    git(folder, "commit", "-q", "-m", "with a submodule")
    await refused(folder, r"submodules \(lib/other\)")


@pytest.mark.parametrize("name", [".gitattributes", "deep/er/.gitattributes"])
async def test_lfs(folder: Path, name: str) -> None:
    commit(folder, {name: "*.txt text\n*.bin filter=lfs diff=lfs merge=lfs -text\n"})
    await refused(folder, "LFS")


async def test_lfs_in_a_comment_is_none(folder: Path) -> None:
    commit(folder, {".gitattributes": "# no filter=lfs here\n*.x filter=lfsx\n"})
    assert await fitness(opened(folder))


async def test_a_filter_that_is_configured_is_only_warned_of(folder: Path) -> None:
    commit(folder, {"sub/.gitattributes": "*.ipynb filter=strip\n*.x filter=other -filter\n"})
    assert (await fitness(opened(folder))).warnings == ()
    git(folder, "config", "filter.strip.clean", "strip %f")
    (warning,) = (await fitness(opened(folder))).warnings
    assert "filter=strip" in warning
    assert "other" not in warning


async def test_an_old_git(
    repo: GitRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho git version 2.37.9\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    with pytest.raises(RepositoryUnfit, match=r"too old.*2\.37\.9"):
        await fitness(GitRepository(repo.place))


async def test_no_identity(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "home" / "gitconfig").write_text("")
    error = await refused(folder, "who you are")
    assert "git config" in error.hint


async def test_a_dirty_checkout_is_only_warned_of(repo: GitRepository, folder: Path) -> None:
    write(folder, {"a.txt": "dirty", "untracked": "x"})
    (warning,) = (await fitness(repo)).warnings
    assert "a.txt" in warning
    assert "untracked" not in warning
    assert "will not be moved" in warning


async def test_a_changed_trackers_file_is_no_reason_to_stay(
    repo: GitRepository, folder: Path
) -> None:
    commit(folder, {PATH: '{"id":"a"}\n'})
    write(folder, {PATH: '{"id":"a","priority":0}\n'})
    assert (await fitness(repo)).warnings == ()
    git(folder, "add", PATH)
    (warning,) = (await fitness(repo)).warnings
    assert PATH in warning


async def test_an_operation_in_progress_is_only_warned_of(folder: Path, tmp_path: Path) -> None:
    linked = tmp_path / "linked"
    git(folder, "worktree", "add", "-q", "-b", "side", str(linked))
    commit(linked, {"a.txt": "side\n"})
    commit(folder, {"a.txt": "main\n"})
    git(linked, "merge", "main", check=False)
    warnings = (await fitness(opened(linked))).warnings
    assert any("in the middle of a merge" in warning for warning in warnings)
    assert (await fitness(opened(folder))).warnings == ()
