"""What stands beside the data, in a directory: marks, and copies made before risky opens.

Opening a damaged database repairs it by dropping what follows the damage, and so destroys
the evidence; hence the copy comes first whenever the files are not those of a clean end.
"""

from __future__ import annotations

import json
import os
import shutil
import zlib
from pathlib import Path

from oya.clock import Clock
from oya.crashpoints import point
from oya.errors import StoreDamaged
from oya.store.beside import Position
from oya.store.lock import Lock
from oya.store.sequence import SequenceFile, sync_directory

KEPT = 3
_CHUNK = 1 << 20


class BesideFiles:
    """`Beside` in `directory`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.data = directory / "data"
        self._lock = directory / "lock"
        self._sequence = directory / "sequence"
        self._clean = directory / "clean"
        self._damaged = directory / "damaged"
        self._copies = directory / "copies"
        self._backups = directory / "backups"

    def told(self) -> Position | None:
        return SequenceFile.peek(self._sequence)

    def make(self) -> None:
        self.directory.mkdir(parents=True, exist_ok=True)

    async def lock(self, clock: Clock, wait: float) -> Lock:
        return await Lock.take(self._lock, clock, wait)

    def has_data(self) -> bool:
        return self.data.exists()

    def is_used(self) -> bool:
        """Whether there is a state here, or was one that is damaged."""
        return self._sequence.exists() or self.has_data() or self._damaged.exists()

    def remove(self) -> None:
        """Remove all of it."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def adopt(self, fresh: BesideFiles) -> None:
        """Take over what was built in `importing` below this directory, its sequence last."""
        if fresh.has_data():
            fresh.data.rename(self.data)
        point("store.import_data_there")
        if fresh._clean.exists():
            fresh._clean.rename(self._clean)
        sync_directory(self.directory)
        fresh._sequence.rename(self._sequence)
        sync_directory(self.directory)
        point("store.import_adopted")
        fresh.remove()

    def sequence(self, *, sync: bool) -> SequenceFile:
        half = BesideFiles(self.directory / "importing")
        moved = self.has_data() and not half.has_data()
        if moved and half._sequence.exists() and not self._sequence.exists():
            self.adopt(half)  # an import that ended between two renamings
        if self._sequence.exists():
            return SequenceFile.load(self._sequence, sync=sync)
        if self.has_data():
            raise StoreDamaged(f"{self._sequence} is missing")
        return SequenceFile.create(self._sequence, sync=sync)

    def ended_cleanly(self) -> bool:
        try:
            told = json.loads(self._clean.read_text())
        except (OSError, ValueError):
            return False
        return bool(told == _fingerprint(self.data))

    def mark_clean(self) -> None:
        _replace(self._clean, json.dumps(_fingerprint(self.data)))

    def mark_open(self) -> None:
        self._clean.unlink(missing_ok=True)
        sync_directory(self.directory)
        point("store.clean_mark_gone")

    def damage(self) -> str | None:
        try:
            return self._damaged.read_text()
        except FileNotFoundError:
            return None

    def mark_damaged(self, words: str) -> None:
        _replace(self._damaged, words)

    def copy(self, name: str | None = None) -> Path:
        self._copies.mkdir(exist_ok=True)
        older = self._numbered()
        number = int(older[-1].name) + 1 if older else 1
        target = self._copies / (name or f"{number:06d}")
        if target.exists():
            return target
        partial = self._copies / "partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        if self.data.is_dir():
            shutil.copytree(self.data, partial / self.data.name)
        if self._sequence.is_file():
            shutil.copy2(self._sequence, partial)
        point("store.copied")
        partial.rename(target)
        point("store.copy_named")
        for old in older[: max(0, len(older) + 1 - KEPT)] if name is None else ():
            shutil.rmtree(old, ignore_errors=True)
        return target

    def last_backup(self) -> Path | None:
        if not self._backups.is_dir():
            return None
        found = self._backups.iterdir()
        files = [path for path in found if path.is_file() and path.suffix != ".partial"]
        return max(files, key=lambda path: (path.stat().st_mtime_ns, path.name), default=None)

    def _numbered(self) -> list[Path]:
        return sorted(path for path in self._copies.iterdir() if path.name.isdecimal())


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(f"{path.name}.partial")
    with partial.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.rename(path)
    sync_directory(path.parent)


def _fingerprint(directory: Path) -> dict[str, list[int]]:
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): _sum(path) for path in files}


def _sum(path: Path) -> list[int]:
    size = checksum = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            size += len(chunk)
            checksum = zlib.crc32(chunk, checksum)
    return [size, checksum]
