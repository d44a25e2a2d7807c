"""What is copied from the user's main worktree."""

from __future__ import annotations

from pathlib import Path

import pytest

from oya.errors import ConfigError
from oya.repository.copies import MAX_BYTES, read_copies, require_untracked
from oya.repository.git import GitRepository
from repository_kit import write


def test_files_are_read_once_with_their_modes(tmp_path: Path) -> None:
    write(tmp_path, {".env": "a", "conf/b": "b"})
    (tmp_path / ".env").chmod(0o600)
    copies = read_copies(tmp_path, (".env", "conf/b", ".env"))
    assert copies.paths == (".env", "conf/b")
    assert (copies.files[0].data, copies.files[0].mode) == (b"a", 0o600)
    before = copies.digest
    (tmp_path / "conf" / "b").write_text("c")
    assert copies.digest == before
    assert read_copies(tmp_path, (".env", "conf/b")).digest != before


@pytest.mark.parametrize(
    ("path", "why"),
    [("none", "is not a file"), ("folder", "is not a file"), ("large", "is too large")],
)
def test_what_cannot_be_copied_is_named(tmp_path: Path, path: str, why: str) -> None:
    (tmp_path / "folder").mkdir()
    with (tmp_path / "large").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(ConfigError, match=f"`workspace.copy`: {path} {why}"):
        read_copies(tmp_path, (path,))


async def test_a_tracked_file_is_refused(repo: GitRepository, folder: Path) -> None:
    (folder / ".env").write_text("x")
    await require_untracked(repo, (".env",))
    with pytest.raises(ConfigError, match=r"a\.txt is tracked"):
        await require_untracked(repo, (".env", "a.txt"))
