"""Folders that agents and tests have been in: entered, walked through and taken away, whatever
they have made of them: nested without an end, without permissions, with links that lead out."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path
from uuid import uuid4

from oya.errors import OyaError

_ROUNDS = 5


def is_real_folder(path: Path) -> bool:
    """Whether this is a folder itself, and no symlink to one."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except OSError:
        return False


def let_in(folder: Path) -> None:
    """Let the owner read, write and enter this folder, if it is one; no symlink is followed."""
    mode = folder.lstat().st_mode
    if stat.S_ISDIR(mode) and mode & 0o700 != 0o700:
        folder.chmod(0o700 | stat.S_IMODE(mode))


def open_up(folder: Path) -> None:
    """Let the owner into every folder in there, as far as paths reach."""
    waiting = [folder]
    while waiting:
        path = waiting.pop()
        with contextlib.suppress(OSError):
            let_in(path)
            waiting += _folders_in(path)


def walk(top: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    """Each folder from `top` down, with the names of its folders and of all else that is in it.

    As os.walk gives them, but not by recursion, which has an end (before Python 3.12). Only the
    folders that are left in the list are gone into; what cannot be read has nothing in it.
    """
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        folders, others = list[str](), list[str]()
        with contextlib.suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                (folders if entry.is_dir(follow_symlinks=False) else others).append(entry.name)
        yield folder, folders, others
        waiting += [folder / name for name in reversed(folders)]


def take_away(path: Path) -> None:
    """Remove a file, a symlink or a whole folder. Missing is fine; never through a symlink.

    A few rounds, since something may still be writing there; then `OyaError`.
    """
    for tried in range(_ROUNDS):
        try:
            if is_real_folder(path):
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        except FileNotFoundError:
            continue
        except (OSError, RecursionError):
            _flatten(path) if tried else open_up(path)
        if not os.path.lexists(path):
            return
    raise OyaError(f"{path} cannot be removed", hint=f"Remove it by hand: rm -rf {path}")


def _flatten(top: Path) -> None:
    """Move every folder in there to right below `top`: rmtree goes down by recursion and with a
    descriptor for each level, and a path has an end, a tree of folders has none."""
    waiting, mark = [top], uuid4().hex
    for number in count():
        if not waiting:
            return
        folder = waiting.pop()
        with contextlib.suppress(OSError):
            folder.chmod(0o700)
            for place, inner in enumerate(_folders_in(folder)):
                inner.chmod(0o700)  # one that may not be written to cannot be moved
                waiting.append(inner.rename(top / f"{mark}-{number}-{place}"))


def _folders_in(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        return [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]


def read_small(path: Path, limit: int = 4096) -> str | None:
    """The text of a small regular file; None for anything else. Never waits, as a FIFO would."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    with open(fd, "rb") as file:  # noqa: PTH123 (a descriptor)
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        return file.read(limit).decode("utf-8", "surrogateescape")


@contextlib.asynccontextmanager
async def temporary() -> AsyncIterator[Path]:
    """A new folder for this user alone, gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="oya-", ignore_cleanup_errors=True) as name:
        yield Path(name)


def folders_over(path: str) -> Iterator[str]:
    """The folders that a path of a tree lies in, the outermost first."""
    parts = path.split("/")
    return ("/".join(parts[:count]) for count in range(1, len(parts)))
