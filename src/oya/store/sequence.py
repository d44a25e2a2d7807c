"""The small file that says how far the state had come when it was last acknowledged.

Two slots in two blocks, written in turn and each with its checksum, so that a torn write
costs at most the newest; the file is never replaced, so a full disk does not stop it.
"""

from __future__ import annotations

import asyncio
import os
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from oya.crashpoints import point
from oya.errors import StoreDamaged
from oya.store.beside import Position

_BLOCK = 4096
_SLOT = 96


class SequenceFile:
    """The open file. `position` is what it says."""

    def __init__(self, path: Path, *, sync: bool) -> None:
        self.path = path
        self._sync = sync
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._turn = 0
        self._thread = ThreadPoolExecutor(1, "sequence")
        self.position = Position()

    @classmethod
    def create(cls, path: Path, *, sync: bool) -> SequenceFile:
        """A new one, at the very beginning. `OSError` where it cannot be written."""
        partial = path.with_name(f"{path.name}.partial")
        file = cls(partial, sync=sync)
        try:
            os.pwrite(file._fd, bytes(_BLOCK + _SLOT), 0)
            file.write(Position())
            os.fsync(file._fd)
            point("store.sequence_written")
            partial.rename(path)
            file.path = path
            sync_directory(path.parent)
            point("store.sequence_created")
        except OSError:
            file.close()
            raise
        return file

    @classmethod
    def load(cls, path: Path, *, sync: bool) -> SequenceFile:
        """The existing one. `StoreDamaged` if neither slot can be read."""
        file = cls(path, sync=sync)
        found = _slots(file._fd)
        if not found:
            file.close()
            raise StoreDamaged(f"{path} cannot be read")
        file.position, newest = max(found)
        file._turn = 1 - newest
        return file

    @classmethod
    def peek(cls, path: Path) -> Position | None:
        """What a file says, if there is one that can be read; it is not touched."""
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            return max(_slots(fd), default=(None, 0))[0]
        finally:
            os.close(fd)

    def write(self, position: Position) -> None:
        os.pwrite(self._fd, _format(position), self._turn * _BLOCK)
        self._turn = 1 - self._turn
        self.position = position

    def flush(self) -> asyncio.Future[None] | None:
        if not self._sync:
            return None
        # A thread of its own: those of the loop may be busy for long.
        return asyncio.get_running_loop().run_in_executor(self._thread, os.fdatasync, self._fd)

    def close(self) -> None:
        """Let go of the file; idempotent."""
        self._thread.shutdown()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _format(position: Position) -> bytes:
    text = f"oya {position.schema} {position.seq:020d} {position.group:020d}".encode()
    return (text + f" {zlib.crc32(text):08x}".encode()).ljust(_SLOT - 1) + b"\n"


def _slots(fd: int) -> list[tuple[Position, int]]:
    """What can be read, each with the number of its slot."""
    slots = [_parse(os.pread(fd, _SLOT, turn * _BLOCK)) for turn in (0, 1)]
    return [(position, turn) for turn, position in enumerate(slots) if position is not None]


def _parse(slot: bytes) -> Position | None:
    body, _, checksum = slot.rstrip().rpartition(b" ")
    if checksum != f"{zlib.crc32(body):08x}".encode():
        return None
    _, schema, seq, group = body.split()
    return Position(int(seq), int(group), int(schema))
