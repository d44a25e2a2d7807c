"""The port of a tracker: read the whole backlog, and close one bead in it.

Where git tracks the tracker's file, oya writes the closing into the landed
commit itself (with `oya.beads`, on the text of `path` in that commit), and
uses a tracker only to read the checkout. Otherwise it calls `close` after the
bead has landed. Which of the two it is, the caller asks git about `path`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from oya.beads import Backlog
from oya.beads.noticed import Noticed


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The backlog at one moment; an equal `fingerprint` means an equal backlog.

    `mark` is the tracker's own: by it alone it may see that nothing has changed since.
    """

    backlog: Backlog
    fingerprint: str
    mark: object = None


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

    async def read(self, known: Snapshot | None = None) -> Snapshot:
        """The backlog as it stands in the working tree now.

        `known`: what was read before; where nothing has changed since, its backlog is
        given again, and where something has, the beads that did not change are its beads.
        """
        ...

    async def close(
        self, bead_id: str, reason: str, at: datetime, found: Sequence[Noticed] = ()
    ) -> None:
        """Close that bead, and offer what was `found` at it as new, deferred beads (see
        `oya.beads.noticed`); durable when this returns, and all or nothing before.

        Nothing else in the backlog changes, and changes that others made since
        `read` stay. Closing what is closed already, and offering what was offered, changes
        nothing. Raises
        TrackerError also if there is no such bead.
        """
        ...
