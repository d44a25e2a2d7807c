"""Room to work in: whether a disk has any left, and who took it."""

from __future__ import annotations

import errno
import os
import shutil
import stat
from pathlib import Path
from typing import Final

from oya.errors import NoRoom

LEAST: Final = 256 << 20
"""Bytes that a disk should have free."""
SHARE: Final = 50
"""Of a small disk, that part of it is enough."""
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_SAID: Final = (
    *("no space left on device", "disk quota exceeded"),
    *("out of diskspace", "unable to write file"),
)
"""How programs say it, and git where it does not name the error."""
_LOOKED_AT: Final = 1_000_000
"""Entries of a folder, at most."""


def shortage(folder: Path) -> str | None:
    """What the disk of that folder lacks, in words; None while at least `LEAST` bytes, or a
    fiftieth of it where that is less, are free."""
    seen = shutil.disk_usage(folder)
    if seen.free >= _least(seen.total):
        return None
    return f"{seen.free / 1e6:.0f} MB are left on the disk of {folder}"


def is_full(error: BaseException) -> bool:
    """Whether this is the error of somebody who found no room on a disk."""
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    return isinstance(error, NoRoom) or any(words in str(error).lower() for words in _SAID)


def took_it(folder: Path, since: float) -> bool:
    """Whether the files that were made or changed in there since that moment (seconds of wall
    time) hold as much as its disk should have free, so that a shortage is their doing.

    A file's ctime counts, which no program can set. What is in there is not followed.
    """
    least, waiting, seen = _least(shutil.disk_usage(folder).total), [folder], 0
    while waiting and seen < _LOOKED_AT:
        try:
            with os.scandir(waiting.pop()) as entries:
                for entry in entries:
                    seen += 1
                    about = entry.stat(follow_symlinks=False)
                    if stat.S_ISDIR(about.st_mode):
                        waiting.append(Path(entry.path))
                    elif about.st_ctime >= since:
                        least -= about.st_blocks * 512
        except OSError:
            continue  # it goes, or lies too deep for a path
        if least <= 0:
            return True
    return False


def _least(total: int) -> int:
    return min(LEAST, total // SHARE)
