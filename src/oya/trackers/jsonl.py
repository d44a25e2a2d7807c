"""The tracker that is a file: `.beads/issues.jsonl`, one issue per line.

Closing writes a temporary file beside it and renames it into place, so that a
reader, or a crash, finds the old file or the new one and never half of one.
The file, and the folder it is in, must be what they seem: symbolic links are
refused, since a rename would replace the link instead of what it points to.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import ClassVar, Final, NoReturn

from oya.beads import PATH, Backlog, dumps, parse
from oya.beads.merge import merge_files
from oya.beads.noticed import Noticed, offer
from oya.crashpoints import point
from oya.errors import TrackerError
from oya.trackers.port import Snapshot

FOLDER, FILE = PATH.split("/")
LARGEST: Final = 64 * 1024 * 1024
"""Bytes that a backlog may have; a larger file is refused, unread."""

_TEMPORARY: Final = f".{FILE}.oya"  # one name, so what a crash leaves is taken up again
_TRIES: Final = 5
_SETTLED: Final = 2_000_000_000  # nanoseconds; the coarsest clock of a file system ticks every 2 s
_SAFE: Final = "Nothing was changed."
_EXAMPLE: Final = (
    '{"id":"demo-1","title":"Say hello","description":"hello() returns a greeting.",'
    '"acceptance_criteria":"hello() returns hello","status":"open","priority":1,'
    '"issue_type":"task","created_at":"2026-01-01T00:00:00Z"}'
)


class JsonlTracker:
    """The backlog in `.beads/issues.jsonl` below `root`, the root of a working tree."""

    kind: ClassVar[str] = "beads-jsonl"
    path: ClassVar[str] = PATH

    def __init__(self, root: Path) -> None:
        self._root = root

    async def read(self, known: Snapshot | None = None) -> Snapshot:
        """See `Tracker.read`."""
        return await asyncio.to_thread(self._read, known)

    async def close(
        self, bead_id: str, reason: str, at: datetime, found: Sequence[Noticed] = ()
    ) -> None:
        """See `Tracker.close`. Tries anew, at most 5 times, if the file changes meanwhile."""
        await asyncio.to_thread(self._close, bead_id, reason, at, found)

    def _read(self, known: Snapshot | None) -> Snapshot:
        with _folder(self._root) as folder:
            entry = _status(folder)
            if known and known.mark and entry and known.mark == _identity(entry):
                return known
            data, was = _load(folder)
        fingerprint, mark = hashlib.sha256(data).hexdigest(), _mark(was)
        if known and known.fingerprint == fingerprint:
            return replace(known, mark=mark)
        text = _text(data)
        del data  # it may be large, and a parsed backlog is larger
        return Snapshot(parse(text, known.backlog if known else None), fingerprint, mark)

    def _close(self, bead_id: str, reason: str, at: datetime, found: Sequence[Noticed]) -> None:
        def closed(data: bytes) -> bytes:
            before = decode(data)
            after = offer(before.close(bead_id, reason, at), bead_id, found, at)
            return data if after is before else dumps(after).encode()

        _rewrite(self._root, closed, f"{bead_id} could not be closed in it")


class JsonlFile:
    """That file in any worktree, for a checkout that follows: see `MergedFile` of the repository's
    port."""

    path: ClassVar[str] = PATH

    async def read(self, root: Path) -> bytes:
        """The file, whole. `TrackerError` if it is no plain file, or holds no backlog."""
        return await asyncio.to_thread(_sound, root)

    def merge(self, base: bytes | None, ours: bytes, theirs: bytes) -> bytes:
        """By bead: see `oya.beads.merge`."""
        return merge_files(base, ours, theirs)

    async def rewrite(self, root: Path, change: Callable[[bytes], bytes]) -> None:
        """As `close` does it."""
        await asyncio.to_thread(_rewrite, root, change, "it could not be merged")


def _sound(root: Path) -> bytes:
    with _folder(root) as folder:
        data, _ = _load(folder)
    decode(data)
    return data


def _rewrite(root: Path, change: Callable[[bytes], bytes], failed: str) -> None:
    with _folder(root) as folder:
        for _ in range(_TRIES):
            data, was = _load(folder)
            after = change(data)
            if after == data or _replace(folder, after, was):
                return
    raise TrackerError(
        f"{PATH} keeps changing, so {failed}.",
        safe=_SAFE,
        hint="End the program that writes it, and try again.",
    )


def missing() -> TrackerError:
    """The error for a repository without a backlog; it says how to make one."""
    return TrackerError(
        f"There is no backlog: {PATH} does not exist.",
        safe=_SAFE,
        hint=f"Write one, one issue per line: mkdir -p {FOLDER} && echo '{_EXAMPLE}' > {PATH}",
    )


@contextmanager
def _folder(root: Path) -> Iterator[int]:
    """The open folder of the file; whatever the system refuses meanwhile is a TrackerError."""
    try:
        folder = os.open(root / FOLDER, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise missing() from None
    except NotADirectoryError:
        _refuse(f"{FOLDER} is a symbolic link or no folder, and oya follows none.")
    except OSError as error:
        _refuse(f"{FOLDER} cannot be read: {error.strerror}.")
    try:
        yield folder
    except OSError as error:
        _refuse(f"{PATH} cannot be read or written: {error.strerror}.")
    finally:
        os.close(folder)


def _load(folder: int) -> tuple[bytes, os.stat_result]:
    entry = _status(folder)
    if entry is None:
        raise missing()
    if not stat.S_ISREG(entry.st_mode):
        _refuse(f"{PATH} is a symbolic link or no plain file, and oya follows none.")
    opened = os.open(FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    with os.fdopen(opened, "rb") as file:
        was = os.fstat(file.fileno())
        data = file.read(LARGEST + 1)
    if len(data) > LARGEST:
        _refuse(f"{PATH} is larger than {LARGEST // 1024 // 1024} MB.")
    return data, was


def _mark(was: os.stat_result) -> tuple[int, ...] | None:
    """What tells the file as it was read from any other; None while it is too young for that.

    Two writes within one tick of the file system's clock look the same: that clock, not
    the swarm's, must have gone on since the last one.
    """
    return _identity(was) if time.time_ns() - was.st_ctime_ns > _SETTLED else None


def decode(data: bytes, like: Backlog | None = None) -> Backlog:
    """The backlog in a file's bytes. `TrackerError` where they hold none."""
    return parse(_text(data), like)


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        begin = data.rfind(b"\n", 0, error.start) + 1
        column = len(data[begin : error.start].decode()) + 1
        _refuse(f"{PATH}, line {line}, column {column}: this is no UTF-8 text.")


def _replace(folder: int, data: bytes, was: os.stat_result) -> bool:
    """Put `data` in the file's place, durably; False, and nothing, if it is not as it `was`."""
    with suppress(FileNotFoundError):
        os.unlink(_TEMPORARY, dir_fd=folder)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        with os.fdopen(os.open(_TEMPORARY, flags, 0o600, dir_fd=folder), "wb") as file:
            os.fchmod(file.fileno(), stat.S_IMODE(was.st_mode))
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        point("tracker.written")
        # The last look before the rename: what another program wrote meanwhile must not be lost.
        now = _status(folder)
        if now is None or _identity(now) != _identity(was):
            return False
        os.rename(_TEMPORARY, FILE, src_dir_fd=folder, dst_dir_fd=folder)
        os.fsync(folder)
        point("tracker.renamed")
    finally:
        with suppress(FileNotFoundError):
            os.unlink(_TEMPORARY, dir_fd=folder)
    return True


def _status(folder: int) -> os.stat_result | None:
    try:
        return os.stat(FILE, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _identity(status: os.stat_result) -> tuple[int, ...]:
    times = status.st_mtime_ns, status.st_ctime_ns
    return status.st_ino, status.st_size, *times, status.st_mode


def _refuse(what: str) -> NoReturn:
    raise TrackerError(what, safe=_SAFE, hint=f"Look at {PATH}, and try again.") from None
