"""The port beside the engine: what the state of a repository needs around the engine's files.

A lock, the sequence file, the marks of a clean end and of damage, copies and backups.
Implementations: `files.BesideFiles`, a directory, and `oya.testing.beside.SimulatedBeside`;
tests/contract/test_beside.py holds for both. All of it is small and rare except the sequence,
once a commit. What cannot be done now (a full disk, no permission) is an `OSError`.
"""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from oya.clock import Clock


@dataclass(frozen=True, slots=True, order=True)
class Position:
    """How far a state has come: the last event's number, the last group's, the schema's."""

    seq: int = 0
    group: int = 0
    schema: int = 0


class Held(Protocol):
    """A lock that this process holds. It ends with the process, by whatever means."""

    def release(self) -> None:
        """Let others in; idempotent."""
        ...


class SequenceMark(Protocol):
    """How far the acknowledged state goes, as it is written down outside the engine."""

    @property
    def path(self) -> Path:
        """What it is called in words to people."""
        ...

    @property
    def position(self) -> Position:
        """What it says."""
        ...

    def write(self, position: Position) -> None:
        """There for whoever looks after this process. After an error the older one stays."""
        ...

    def flush(self) -> Awaitable[None] | None:
        """Make what was written survive power loss, if opened with `sync`.

        None: it does already. Else wait for what is returned before the next `write`.
        """
        ...

    def close(self) -> None:
        """Let go of it; idempotent."""
        ...


class Beside(Protocol):
    """The places of one store. All but `told` and `damage` are for the holder of the lock."""

    @property
    def directory(self) -> Path:
        """Where all of it is."""
        ...

    @property
    def data(self) -> Path:
        """Where the engine's files are."""
        ...

    def told(self) -> Position | None:
        """What the sequence file says, with nothing touched; None where it says nothing."""
        ...

    def make(self) -> None:
        """See to it that the directory is there."""
        ...

    async def lock(self, clock: Clock, wait: float) -> Held:
        """The lock, waited for at most `wait` seconds; `StoreLocked` names who holds it."""
        ...

    def has_data(self) -> bool:
        """Whether the engine has ever been opened here."""
        ...

    def sequence(self, *, sync: bool) -> SequenceMark:
        """The one that is there; where there is nothing at all, a new one at the very beginning.

        `StoreDamaged` if it cannot be read, or is missing beside data.
        """
        ...

    def ended_cleanly(self) -> bool:
        """Whether the data are exactly what the last clean end left."""
        ...

    def mark_clean(self) -> None:
        """Remember what the data look like now."""
        ...

    def mark_open(self) -> None:
        """From here on an end is unclean until it says otherwise."""
        ...

    def damage(self) -> str | None:
        """What was found broken at an earlier opening."""
        ...

    def mark_damaged(self, words: str) -> None:
        """Open no more: each opening would copy, and push the first copy out."""
        ...

    def copy(self, name: str | None = None) -> Path:
        """Copy data and sequence file aside; only the newest three copies stay.

        One with a name stays for good, and is not made again where it is there.
        """
        ...

    def last_backup(self) -> Path | None:
        """The newest backup."""
        ...
