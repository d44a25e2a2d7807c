"""What lies beside an engine, in memory, over the same `Disk` as the simulated engine."""

from __future__ import annotations

import asyncio
import errno
import json
import zlib
from collections.abc import Awaitable, Callable, Generator
from pathlib import Path
from typing import Any

from oya.clock import Clock
from oya.errors import StoreDamaged, StoreLocked
from oya.store.beside import Position
from oya.testing.engine import Disk, living

KEPT = 3
_LOOK_AGAIN = 0.05
_SEQUENCE, _CLEAN, _DAMAGED = "sequence", "clean", "damaged"
_COPIES, _BACKUPS = "copies/", "backups/"


class SimulatedBeside:
    """`Beside` on a simulated disk. `directory` is only what it is called in words."""

    def __init__(
        self,
        disk: Disk,
        alive: Callable[[], bool] = living,
        directory: Path = Path("/simulated/state"),
    ) -> None:
        self.disk = disk
        self.alive = alive
        self.directory = directory
        self.data = directory / "data"

    def told(self) -> Position | None:
        return _parse(self.disk.volatile_files.get(_SEQUENCE))

    def make(self) -> None:
        self._check()

    async def lock(self, clock: Clock, wait: float) -> SimulatedLock:
        deadline = clock.monotonic() + wait
        while (holder := self.disk.holder) is not None and holder.alive():
            if clock.monotonic() >= deadline:
                raise StoreLocked(f"the state in {self.directory} is held by another process")
            await clock.sleep(_LOOK_AGAIN)
        self._check()
        return SimulatedLock(self.disk, self.alive)

    def has_data(self) -> bool:
        return any(self.disk.volatile.values())

    def sequence(self, *, sync: bool) -> SimulatedSequence:
        if _SEQUENCE in self.disk.volatile_files:
            position = self.told()
            if position is None:
                raise StoreDamaged(f"{self.directory / _SEQUENCE} cannot be read")
            return SimulatedSequence(self, position, sync=sync)
        if self.has_data():
            raise StoreDamaged(f"{self.directory / _SEQUENCE} is missing")
        file = SimulatedSequence(self, Position(), sync=sync)
        self.write(_SEQUENCE, _text(Position()))
        return file

    def ended_cleanly(self) -> bool:
        return self.disk.volatile_files.get(_CLEAN) == self._fingerprint()

    def mark_clean(self) -> None:
        self.write(_CLEAN, self._fingerprint())

    def mark_open(self) -> None:
        self.write(_CLEAN, None)

    def damage(self) -> str | None:
        return self.disk.volatile_files.get(_DAMAGED)

    def mark_damaged(self, words: str) -> None:
        self.write(_DAMAGED, words)

    def copy(self, name: str | None = None) -> Path:
        files = self.disk.volatile_files
        older = sorted(n for n in files if n.startswith(_COPIES) and n[-6:].isdecimal())
        number = int(older[-1].removeprefix(_COPIES)) + 1 if older else 1
        target = _COPIES + (name or f"{number:06d}")
        if target not in files:
            text = json.dumps({"data": self.disk.volatile, _SEQUENCE: files.get(_SEQUENCE)})
            self.write(target, text)
            for old in older[: max(0, len(older) + 1 - KEPT)] if name is None else ():
                self.write(old, None)
        return self.directory / target

    def last_backup(self) -> Path | None:
        names = [name for name in self.disk.volatile_files if name.startswith(_BACKUPS)]
        return self.directory / max(names) if names else None

    def write(self, name: str, text: str | None, *, sync: bool = True) -> None:
        """Set one file, whole, or remove it. `OSError`: the disk is full, the process dead."""
        self._check()
        if self.disk.full and text is not None:
            raise OSError(errno.ENOSPC, "the simulated disk is full")
        halves = [self.disk.volatile_files] + ([self.disk.durable_files] if sync else [])
        for half in halves:
            if text is None:
                half.pop(name, None)
            else:
                half[name] = text

    def _check(self) -> None:
        if not self.alive():
            raise OSError(errno.EIO, "the simulated process is dead")

    def _fingerprint(self) -> str:
        checksum = 0
        for table, rows in self.disk.volatile.items():
            said = "\0".join((table, *sorted(map("\0".join, rows.items()))))
            checksum = zlib.crc32(said.encode(), checksum)
        return str(checksum)


class SimulatedLock:
    """A held lock; a dead process holds nothing."""

    def __init__(self, disk: Disk, alive: Callable[[], bool]) -> None:
        self._disk = disk
        self.alive = alive
        disk.holder = self

    def release(self) -> None:
        if self._disk.holder is self:
            self._disk.holder = None


class SimulatedSequence:
    """The sequence file on a simulated disk; without `sync` it lives in the caches."""

    def __init__(self, beside: SimulatedBeside, position: Position, *, sync: bool) -> None:
        self.path = beside.directory / _SEQUENCE
        self.position = position
        self._beside = beside
        self._sync = sync

    def write(self, position: Position) -> None:
        self._beside.write(_SEQUENCE, _text(position), sync=False)
        self.position = position

    def flush(self) -> Awaitable[None] | None:
        return _Flush(self._beside, _text(self.position)) if self._sync else None

    def close(self) -> None:
        """There is nothing to let go of."""


class _Flush:
    """Nothing is durable before somebody has waited for it: no disk is slower than that."""

    def __init__(self, beside: SimulatedBeside, text: str) -> None:
        self._beside = beside
        self._text = text

    def __await__(self) -> Generator[Any, None, None]:
        yield from asyncio.sleep(0).__await__()
        self._beside.write(_SEQUENCE, self._text)


def _text(position: Position) -> str:
    return f"{position.schema} {position.seq} {position.group}"


def _parse(text: str | None) -> Position | None:
    try:
        schema, seq, group = (text or "").split()
        return Position(int(seq), int(group), int(schema))
    except ValueError:
        return None
