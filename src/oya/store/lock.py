"""One process at a time: an flock beside the data, with the holder's pid in it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import NoReturn

from oya.clock import Clock
from oya.errors import StoreLocked

_LOOK_AGAIN = 0.05


class Lock:
    """A held lock. The kernel frees it when its process ends, by whatever means."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    @classmethod
    async def take(cls, path: Path, clock: Clock, wait: float) -> Lock:
        """The lock, waited for at most `wait` seconds; then `StoreLocked`, which names the holder.

        `OSError` where the file cannot be made.
        """
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        deadline = clock.monotonic() + wait
        try:
            while not _locked(fd):
                if clock.monotonic() >= deadline:
                    _refuse(path)
                await clock.sleep(_LOOK_AGAIN)
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        except BaseException:
            os.close(fd)
            raise
        return cls(fd)

    def release(self) -> None:
        """Let others in; idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def holder(path: Path) -> int | None:
    """The pid that a lock file names; only meaningful while the lock is held."""
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _refuse(path: Path) -> NoReturn:
    pid = holder(path)
    by = f"process {pid}" if pid else "another process"
    raise StoreLocked(
        f"the state in {path.parent} is held by {by}",
        safe="Nothing was changed.",
        hint="Type: oya swarm status",
    )
