"""What stands beside the data: the mark of a clean end, and copies made before risky opens.

Opening a damaged database repairs it by dropping what follows the damage, and so destroys
the evidence; hence the copy comes first whenever the files are not those of a clean end.
"""

from __future__ import annotations

import json
import os
import shutil
import zlib
from pathlib import Path

from oya.crashpoints import point
from oya.store.sequence import sync_directory

KEPT = 3
_CHUNK = 1 << 20


class Beside:
    """The places beside the data of one store, in `directory`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.lock = directory / "lock"
        self.sequence = directory / "sequence"
        self._clean = directory / "clean"
        self._damaged = directory / "damaged"
        self._copies = directory / "copies"
        self._backups = directory / "backups"

    def make(self) -> None:
        """See to it that the directory is there."""
        self.directory.mkdir(parents=True, exist_ok=True)

    def ended_cleanly(self) -> bool:
        """Whether the data are, byte for byte, what the last clean end left."""
        try:
            told = json.loads(self._clean.read_text())
        except (OSError, ValueError):
            return False
        return bool(told == _fingerprint(self.data))

    def mark_clean(self) -> None:
        """Remember what the data look like now."""
        _replace(self._clean, json.dumps(_fingerprint(self.data)))

    def mark_open(self) -> None:
        """From here on an end is unclean until it says otherwise."""
        self._clean.unlink(missing_ok=True)
        sync_directory(self.directory)
        point("store.clean_mark_gone")

    def damage(self) -> str | None:
        """What was found broken at an earlier opening."""
        try:
            return self._damaged.read_text()
        except FileNotFoundError:
            return None

    def mark_damaged(self, words: str) -> None:
        """Open no more: each opening would copy, and push the first copy out."""
        _replace(self._damaged, words)

    def copy(self) -> Path:
        """Copy data and sequence file aside; only the newest three copies stay."""
        self._copies.mkdir(exist_ok=True)
        older = self._numbered()
        number = int(older[-1].name) + 1 if older else 1
        target = self._copies / f"{number:06d}"
        partial = self._copies / "partial"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        if self.data.is_dir():
            shutil.copytree(self.data, partial / self.data.name)
        if self.sequence.is_file():
            shutil.copy2(self.sequence, partial)
        point("store.copied")
        partial.rename(target)
        point("store.copy_named")
        for old in older[: max(0, len(older) + 1 - KEPT)]:
            shutil.rmtree(old, ignore_errors=True)
        return target

    def last_backup(self) -> Path | None:
        """The newest file in `backups`."""
        if not self._backups.is_dir():
            return None
        files = [path for path in self._backups.iterdir() if path.is_file()]
        return max(files, key=lambda path: path.stat().st_mtime, default=None)

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
