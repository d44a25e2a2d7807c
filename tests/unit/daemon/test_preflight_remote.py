"""What is said of `[landing] remote` before anything starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from oya.daemon.preflight import check_remote
from oya.errors import ConfigError
from oya.repository.git import GitRepository
from repository_kit import git, isolate, make_repository, opened
from user_kit import GitElsewhere, with_remote


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    isolate(monkeypatch, tmp_path / "home")
    return make_repository(tmp_path / "repo")


@pytest.fixture
def there(folder: Path) -> GitElsewhere:
    return with_remote(folder)


@pytest.fixture
def repo(folder: Path, there: GitElsewhere) -> GitRepository:
    return opened(folder)


async def test_a_remote_that_answers_needs_no_words(repo: GitRepository, folder: Path) -> None:
    before = git(folder, "for-each-ref")
    assert await check_remote(repo, "origin", "main") == ()
    assert await check_remote(repo, "", "main") == ()
    assert git(folder, "for-each-ref") == before


async def test_a_remote_that_does_not_answer_is_a_warning(
    repo: GitRepository, there: GitElsewhere
) -> None:
    there.vanish()
    (warning,) = await check_remote(repo, "origin", "main")
    assert "origin cannot be reached" in warning
    assert "nothing lands until it answers" in warning


@pytest.mark.parametrize(
    ("remote", "branch", "what", "hint"),
    [
        ("orign", "main", "there is no remote orign", "Did you mean origin"),
        ("x", "main", "there is no remote x", "git remote add x URL"),
        ("origin", "next", "origin has no branch next", "git push origin next"),
    ],
)
async def test_what_cannot_work_is_refused(
    repo: GitRepository, remote: str, branch: str, what: str, hint: str
) -> None:
    with pytest.raises(ConfigError, match=what) as refused:
        await check_remote(repo, remote, branch)
    assert hint in refused.value.hint
