"""The port under the store: what a database engine must do for the writer.

The writer is the only caller of `commit`, one call at a time; nothing relies on the
engine's isolation. Implementations: `surreal.SurrealEngine`, and
`oya.testing.engine.SimulatedEngine`; tests/contract/test_engines.py holds for both.

A row is a JSON object and comes back exactly as it went in: null, U+0000 and integers of
any size included. A key is a text of at least one character, without U+0000, that UTF-8
can encode; the writer sees to both.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Row = dict[str, Any]

TABLES = (
    "beads",
    "swarm_state",
    "contracts",
    "checkpoints",
    "events",
    "evidence",
    "intents",
    "meta",
)


@dataclass(frozen=True, slots=True)
class Put:
    """Set one record, whole. `text` is the row as JSON, where that has been made already."""

    table: str
    key: str
    row: Row
    text: str = ""


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove one record, if it is there."""

    table: str
    key: str


Write = Put | Delete


class Engine(Protocol):
    """Atomic batches in, ordered scans out."""

    async def open(self) -> None:
        """Open or create. `StoreUnavailable` when that cannot be now, `StoreDamaged` when what
        lies there cannot be read."""
        ...

    async def confirm(self) -> None:
        """Make durable what an opening has found, before it counts: a process that was killed may
        have left it in the system's caches alone."""
        ...

    async def commit(self, writes: Sequence[Write]) -> None:
        """All of it durably, or nothing. `StoreUnavailable`: surely nothing, or unknown.

        After an error the engine may take nothing more until it is opened anew, and the
        caller must read back before it decides.
        """
        ...

    async def get(self, table: str, key: str) -> Row | None:
        """One record."""
        ...

    def scan(
        self,
        table: str,
        *,
        after: str = "",
        before: str = "",
        limit: int | None = None,
        where: tuple[str, str] | None = None,
    ) -> AsyncIterator[tuple[str, Row]]:
        """Records by key in ascending order, keys greater than `after` and, if it is given, less
        than `before`; no others are read, and memory stays bounded.

        `where`: only rows whose top-level field of that name is that text.
        """
        ...

    async def close(self) -> None:
        """Flush and let go of the files; idempotent."""
        ...
