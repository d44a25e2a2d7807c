from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from oya.errors import RepositoryUnfit, UsageError
from oya.repository.places import SOCKET, find_place
from repository_kit import git, isolate, make_repository


def test_a_subfolder_and_a_linked_worktree_are_the_same_repository(
    folder: Path, tmp_path: Path
) -> None:
    git(folder, "worktree", "add", "-q", str(tmp_path / "linked"), "-b", "side")
    top, sub = find_place(folder), find_place(folder / "src")
    linked = find_place(tmp_path / "linked" / "src")
    assert top == sub
    assert top.root == folder
    assert linked.root == tmp_path / "linked"
    assert linked.main_root == top.main_root == folder
    assert (linked.common_dir, linked.state) == (folder / ".git", folder / ".git" / "oya")
    assert (linked.repo_id, linked.cache, linked.socket) == (top.repo_id, top.cache, top.socket)


def test_two_repositories_of_one_name_have_places_of_their_own(tmp_path: Path) -> None:
    a, b = (find_place(make_repository(tmp_path / side / "repo")) for side in "ab")
    assert a.repo_id != b.repo_id
    assert a.repo_id.startswith("repo-")


def test_a_symlinked_path_is_the_same_place(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    assert find_place(tmp_path / "link") == find_place(folder)


def test_the_cache_is_where_xdg_says(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = find_place(folder)
    assert place.cache == tmp_path / "home" / "cache" / "oya" / place.repo_id
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert find_place(folder).cache == tmp_path / "home" / ".cache" / "oya" / place.repo_id


def test_git_variables_of_the_shell_point_nowhere_else(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_repository(tmp_path / "other")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert find_place(folder).root == folder


def test_the_socket_lies_in_the_runtime_folder(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/tmp")
    place = find_place(folder)
    assert place.socket == Path("/tmp/oya") / f"{place.repo_id}.sock"


def test_without_a_runtime_folder_it_lies_in_a_private_temporary_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "absent"))
    monkeypatch.setenv("TMPDIR", "/tmp/x")
    assert find_place(folder).socket.parent == Path(f"/tmp/x/oya-{os.getuid()}")


def test_a_long_runtime_path_falls_back_and_two_long_ones_are_an_error(
    folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    monkeypatch.setenv("TMPDIR", "/tmp")
    assert find_place(folder).socket.parent == Path(f"/tmp/oya-{os.getuid()}")
    monkeypatch.setenv("TMPDIR", str(long))
    with pytest.raises(UsageError, match="too long") as caught:
        find_place(folder)
    assert "TMPDIR" in caught.value.hint


def test_folders_are_made_for_this_user_alone(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", "/tmp")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    place = find_place(folder)
    place.make_folders()
    place.make_folders()
    assert place.state.is_dir()
    assert place.socket.parent.stat().st_mode & 0o777 == 0o700
    assert (place.cache / "repository").read_text() == f"{folder}\n"


def test_a_socket_folder_that_others_may_write_to_is_refused(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/tmp")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    place = find_place(folder)
    place.socket.parent.mkdir(parents=True)
    place.socket.parent.chmod(0o777)
    with pytest.raises(UsageError, match="somebody else"):
        place.make_folders()


def test_a_folder_that_cannot_be_made_is_said(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "home" / "cache").write_text("in the way")
    with pytest.raises(UsageError, match="cannot write"):
        find_place(folder).make_folders()


def test_a_full_disk_is_said_by_the_folder_on_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    place = find_place(folder)
    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(UsageError, match=f"cannot write to {place.cache}: No space left"):
        place.make_folders()


@pytest.mark.parametrize("where", [".", "absent"])
def test_no_repository_is_refused(tmp_path: Path, where: str) -> None:
    with pytest.raises(RepositoryUnfit):
        find_place(tmp_path / where)


def test_a_bare_repository_is_refused(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q", "--bare", "bare.git")
    with pytest.raises(RepositoryUnfit, match="bare"):
        find_place(tmp_path / "bare.git")


def test_inside_the_git_folder_is_no_worktree(folder: Path) -> None:
    with pytest.raises(RepositoryUnfit):
        find_place(folder / ".git")


@pytest.mark.parametrize("name", [b"two\nlines", b"caf\xe9"], ids=["newline", "latin-1"])
def test_a_path_that_is_no_line_of_text_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: bytes
) -> None:
    isolate(monkeypatch, tmp_path / "home")
    folder = make_repository(tmp_path / os.fsdecode(name))
    with pytest.raises(RepositoryUnfit, match="newline in it, or bytes that are no UTF-8"):
        find_place(folder)
    assert not (tmp_path / "home" / "cache").exists()


def test_where_a_daemon_says_that_its_socket_is_goes_before_the_environment(
    folder: Path, tmp_path: Path
) -> None:
    place = find_place(folder)
    place.make_folders()
    there = tmp_path / "elsewhere.sock"
    (place.state / SOCKET).write_text(str(there))
    assert find_place(folder).socket == place.socket, "nothing is there"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(there))
        assert find_place(folder).socket == there
