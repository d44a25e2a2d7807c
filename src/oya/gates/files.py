"""Files that a gate leaves behind, read and removed without trusting what lies there."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from oya.errors import OyaError
from oya.folders import take_away


class NotAFile(Exception):
    """There is nothing to read; the text says what is there instead."""


def read_regular(path: Path, limit: int) -> bytes:
    """At most `limit` bytes of a regular file; a link, a pipe, a device is not followed.

    Raises NotAFile.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise NotAFile("not written") from error
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise NotAFile("not a regular file")
        with os.fdopen(handle, "rb", closefd=False) as file:
            return file.read(limit)
    finally:
        os.close(handle)


def remove(path: Path) -> None:
    """Remove whatever is there, as far as that is possible."""
    with suppress(OyaError):
        take_away(path)


def make_empty(path: Path) -> None:
    """See that there is an empty folder, whatever was there. `OyaError` where it cannot be."""
    take_away(path)
    path.mkdir(mode=0o700, parents=True)
