"""The port of a tracker: read the whole backlog, and close one bead in it.

Where git tracks the tracker's file, oya writes the closing into the landed
commit itself (with `oya.beads`, on the text of `path` in that commit), and
uses a tracker only to read the checkout. Otherwise it calls `close` after the
bead has landed. Which of the two it is, the caller asks git about `path`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from oya.beads import Backlog


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The backlog at one moment; an equal `fingerprint` means an equal backlog."""

    backlog: Backlog
    fingerprint: str


class Tracker(Protocol):
    """One backlog. Implementations keep no state between calls, and cache nothing.

    All methods raise TrackerError, with nothing changed, if the backlog cannot
    be read or written now.
    """

    @property
    def kind(self) -> str:
        """The name that `[tracker] kind` has for it."""
        ...

    @property
    def path(self) -> str:
        """The tracker's file, relative to the repository's root, with `/` between folders."""
        ...

    async def read(self) -> Snapshot:
        """The backlog as it stands in the working tree now."""
        ...

    async def close(self, bead_id: str, reason: str, at: datetime) -> None:
        """Close that bead; durable when this returns, and all or nothing before.

        Nothing else in the backlog changes, and changes that others made since
        `read` stay. Closing what is closed already changes nothing. Raises
        TrackerError also if there is no such bead.
        """
        ...
