"""Room on a disk: when it is short, who says so, and who took it."""

from __future__ import annotations

import errno
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from oya.errors import GitError, NoRoom, OyaError
from oya.room import LEAST, SHARE, is_full, shortage, took_it

Free = Callable[[int, int], None]


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Free:
    """Sets how many bytes are free, of how many."""

    def of(free: int, total: int) -> None:
        usage = SimpleNamespace(total=total, used=total - free, free=free)
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)

    return of


def test_a_disk_is_short_below_what_should_be_free(disk: Free, tmp_path: Path) -> None:
    large = 1 << 40
    disk(LEAST, large)
    assert shortage(tmp_path) is None
    disk(LEAST - 1, large)
    assert shortage(tmp_path) == f"268 MB are left on the disk of {tmp_path}"


def test_of_a_small_disk_a_part_is_enough(disk: Free, tmp_path: Path) -> None:
    small = SHARE * 1_000_000
    disk(1_000_000, small)
    assert shortage(tmp_path) is None
    disk(999_999, small)
    assert shortage(tmp_path) is not None


def test_this_disk_has_room(tmp_path: Path) -> None:
    assert shortage(tmp_path) is None


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(errno.ENOSPC, "x"), True),
        (OSError(errno.EDQUOT, "x"), True),
        (OSError(errno.EACCES, "x"), False),
        (GitError("error: unable to write file a: No space left on device"), True),
        (GitError("fatal: Out of diskspace"), True),
        (OyaError("npm error ENOSPC: no space left on device, write"), True),
        (GitError("error: unable to write file shop/till.py"), True),
        (GitError("fatal: bad object"), False),
        (NoRoom("3 MB are left"), True),
    ],
)
def test_whose_error_says_that_a_disk_is_full(error: Exception, full: bool) -> None:
    assert is_full(error) is full


def test_who_has_written_as_much_as_is_missing_took_it(disk: Free, tmp_path: Path) -> None:
    disk(0, SHARE * 500_000)
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "file").write_bytes(os.urandom(400_000))
    since = time.time() - 60
    assert not took_it(tmp_path, since)
    (tmp_path / "other").write_bytes(os.urandom(200_000))
    assert took_it(tmp_path, since)


def test_what_was_there_before_does_not_count(disk: Free, tmp_path: Path) -> None:
    disk(0, SHARE * 100_000)
    (tmp_path / "old").write_bytes(os.urandom(200_000))
    os.utime(tmp_path / "old")
    assert took_it(tmp_path, time.time() - 60)
    assert not took_it(tmp_path, time.time() + 60)


def test_what_lies_elsewhere_does_not_count(disk: Free, tmp_path: Path) -> None:
    disk(0, SHARE * 100_000)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").write_bytes(os.urandom(200_000))
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "link").symlink_to(tmp_path / "elsewhere")
    assert not took_it(tmp_path / "here", 0.0)
