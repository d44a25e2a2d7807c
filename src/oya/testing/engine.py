"""A database engine in memory that fails on demand, for tests of the store on any clock.

    disk = Disk()
    disk.outcomes.extend([Outcome.OK, Outcome.LOST, Outcome.KEPT])
    beside = SimulatedBeside(disk)
    store = await Store.open(beside, clock=clock, engine=lambda _: SimulatedEngine(disk))

The disk outlives the engine and what is beside it, as a real one does: opening again over
the same disk is what happens after a crash. `alive` of both tells whether their process
still lives; once it does not, nothing they are asked has an effect.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from oya.errors import StoreUnavailable
from oya.store.engine import TABLES, Put, Row, Write

Tables = dict[str, dict[str, str]]
Files = dict[str, str]


class Outcome(StrEnum):
    """What becomes of a commit.

    `FAILED`: refused before anything was written. `LOST` and `KEPT`: the same error, and the
    caller cannot tell that the group is (not) on the disk.
    """

    OK = "ok"
    FAILED = "failed"
    LOST = "lost"
    KEPT = "kept"


class Holder(Protocol):
    """Whoever may hold the lock."""

    @property
    def alive(self) -> Callable[[], bool]:
        """Whether its process lives."""
        ...


def living() -> bool:
    """A process that nobody kills."""
    return True


@dataclass(slots=True)
class Disk:
    """What a power loss leaves (`durable`), and what is only in caches (`volatile`).

    `outcomes` are used up, one a commit, and then all is well; `refusals` likewise, one an
    opening. `lying`: commits are acknowledged before they are durable. `commits` counts
    those that were made. Files are those beside the engine; while the disk is `full`, none
    can be written. `holder` has the lock.
    """

    durable: Tables = field(default_factory=lambda: {table: {} for table in TABLES})
    volatile: Tables = field(default_factory=lambda: {table: {} for table in TABLES})
    outcomes: deque[Outcome] = field(default_factory=deque)
    refusals: deque[bool] = field(default_factory=deque)
    lying: bool = False
    commits: int = 0
    durable_files: Files = field(default_factory=dict)
    volatile_files: Files = field(default_factory=dict)
    full: bool = False
    holder: Holder | None = None

    def lose_power(self) -> None:
        """Forget what was only in caches."""
        self.volatile = _copied(self.durable)
        self.volatile_files = dict(self.durable_files)

    def flush(self) -> None:
        """Make everything durable."""
        self.persist()
        self.durable_files = dict(self.volatile_files)

    def persist(self) -> None:
        """Make the tables durable, and what is beside them no more than it was."""
        self.durable = _copied(self.volatile)


class SimulatedEngine:
    """An engine over a `Disk`. Each call gives other tasks a turn before it does anything.

    A commit is in the caches first, and durable when it returns.
    """

    def __init__(self, disk: Disk, alive: Callable[[], bool] = living) -> None:
        self._disk = disk
        self._alive = alive
        self._open = False
        self._sick = False

    async def open(self) -> None:
        await asyncio.sleep(0)
        if not self._alive():
            raise StoreUnavailable("the simulated process is dead")
        if self._disk.refusals and self._disk.refusals.popleft():
            raise StoreUnavailable("the simulated disk cannot be opened")
        self._open = True

    async def confirm(self) -> None:
        self._require()
        if not self._disk.lying:
            self._disk.persist()

    async def commit(self, writes: Sequence[Write]) -> None:
        await self._turn()
        outcome = self._disk.outcomes.popleft() if self._disk.outcomes else Outcome.OK
        if outcome in (Outcome.OK, Outcome.KEPT):
            _write(self._disk.volatile, writes)
            self._disk.commits += 1
            await self._reach()
            if not self._disk.lying:
                _write(self._disk.durable, writes)
        if outcome is not Outcome.OK:
            self._sick = True
            raise StoreUnavailable("the simulated disk refused the commit")

    async def get(self, table: str, key: str) -> Row | None:
        await self._turn()
        text = self._disk.volatile[table].get(key)
        return None if text is None else json.loads(text)

    async def scan(
        self,
        table: str,
        *,
        after: str = "",
        before: str = "",
        limit: int | None = None,
        where: tuple[str, str] | None = None,
    ) -> AsyncIterator[tuple[str, Row]]:
        await self._turn()
        left = limit
        keys = [key for key in self._disk.volatile[table] if key > after]
        for key in sorted(key for key in keys if not before or key < before):
            if left is not None and left <= 0:
                return
            row: Row = json.loads(self._disk.volatile[table][key])
            if where is None or row.get(where[0]) == where[1]:
                left = None if left is None else left - 1
                yield key, row

    async def close(self) -> None:
        await asyncio.sleep(0)
        self._open = False

    async def _turn(self) -> None:
        await asyncio.sleep(0)
        self._require()

    def _require(self) -> None:
        if not self._open or self._sick or not self._alive():
            raise StoreUnavailable("the simulated engine is not open")

    async def _reach(self) -> None:
        """Wait for the disk to have what was written; who dies meanwhile never knows."""
        await asyncio.sleep(0)


def _write(tables: Tables, writes: Sequence[Write]) -> None:
    for write in writes:
        if isinstance(write, Put):
            tables[write.table][write.key] = write.text or json.dumps(write.row)
        else:
            tables[write.table].pop(write.key, None)


def _copied(tables: Tables) -> Tables:
    return {name: dict(rows) for name, rows in tables.items()}
