"""Opening and closing the state of one repository.

    async with contextlib.aclosing(await Store.open(directory, clock=SystemClock())) as store:
        await store.beads.apply("a-1", Added("a title"), swarm=None, limits=Limits())

In `directory`: `data` (the engine's files), `sequence` (how far the acknowledged state goes),
`lock`, `clean` (what the data looked like at the last clean end), `copies` (the newest three
made before openings after an unclean end), `damaged` (why it is not opened any more), and
`backups`, whose newest file is named when the state is damaged.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

from oya.clock import Clock
from oya.crashpoints import point
from oya.errors import StoreDamaged, StoreError, StoreNewer, StoreUnavailable
from oya.store.beads import BeadStore
from oya.store.beside import Beside, Held, Position, SequenceMark
from oya.store.documents import CheckpointStore, Documents
from oya.store.engine import Engine
from oya.store.events import EventLog
from oya.store.files import BesideFiles
from oya.store.head import Head
from oya.store.migrations import SCHEMA, migrate, schema_of
from oya.store.retention import Retention
from oya.store.surreal import SurrealEngine
from oya.store.swarms import SwarmStore
from oya.store.transfer import export
from oya.store.writer import Writer, position_of


class Store:
    """The open state of one repository; one process at a time, one writer."""

    def __init__(self, writer: Writer, file: SequenceMark, beside: Beside, lock: Held) -> None:
        self.beads = BeadStore(writer)
        self.swarms = SwarmStore(writer)
        self.events = EventLog(writer)
        self.contracts = Documents("contracts", writer)
        self.evidence = Documents("evidence", writer, timed=True)
        self.intents = Documents("intents", writer)
        self.checkpoints = CheckpointStore("checkpoints", writer)
        self.retention = Retention(writer, self.checkpoints)
        self._writer = writer
        self._file = file
        self._beside = beside
        self._lock = lock

    @classmethod
    async def open(
        cls,
        place: Path | Beside,
        *,
        clock: Clock,
        sync: bool = True,
        engine: Callable[[Path], Engine] | None = None,
        wait: float = 0.0,
    ) -> Store:
        """Open or create, waiting at most `wait` seconds for another process to let go.

        `place` is a directory, or what stands in for one. `sync`: what is acknowledged
        survives power loss too. `engine` makes the engine over a directory (default:
        SurrealDB); it is called again whenever the engine must be opened anew. Raises
        `StoreLocked`, which names the holder; `StoreNewer`, with nothing touched;
        `StoreDamaged`, when less is there than was acknowledged, or what is there cannot be
        read, with the files as they were kept aside; `StoreUnavailable`, when the disk refuses.
        """
        beside = BesideFiles(place) if isinstance(place, Path) else place
        make = engine or (lambda path: SurrealEngine(path, sync=sync))
        try:
            _refuse_newer(beside, beside.told())
            beside.make()
            lock = await beside.lock(clock, wait)
            try:
                return await _opened(cls, beside, make, clock, sync, lock)
            except BaseException:
                lock.release()
                raise
        except OSError as error:
            raise StoreUnavailable(
                f"the state in {beside.directory} cannot be opened: {error}",
                safe="Nothing acknowledged is lost.",
                hint="Look for space and permissions on this disk.",
            ) from error

    @property
    def commit_seconds(self) -> float:
        """Wall seconds that the engine has spent on commits since the store was opened."""
        return self._writer.seconds

    def export(self) -> AsyncIterator[str]:
        """The whole state as JSON lines (see `transfer`); change nothing meanwhile."""
        return export(self._writer.engine)

    async def failure(self) -> StoreError:
        """Wait until nothing can be written any more, ever; the reason."""
        await self._writer.failed.wait()
        assert self._writer.broken is not None
        return self._writer.broken

    async def close(self) -> None:
        """Finish what was submitted, mark the end as clean, let go; idempotent."""
        if self.events.closed:
            return
        self.events.close()
        await self._writer.stop()
        point("store.stopped")
        try:
            await self._writer.engine.close()
            point("store.closed")
            if self._writer.settled:
                self._beside.mark_clean()
                point("store.clean_marked")
        except OSError:
            pass  # A full disk: the next opening takes this for an unclean end, and copies.
        finally:
            self._file.close()
            self._lock.release()

    aclose = close


async def _opened(
    kind: type[Store],
    beside: Beside,
    make: Callable[[Path], Engine],
    clock: Clock,
    sync: bool,
    lock: Held,
) -> Store:
    file = _sequence(beside, sync)
    opened: Engine | None = None
    try:
        copy = _kept(beside, file.position)
        beside.mark_open()
        opened = make(beside.data)
        await opened.open()
        head = await _checked(opened, file, beside)
    except StoreDamaged as error:
        await _close_quietly(opened)
        file.close()
        raise _refused(beside, str(error), copy) from error
    except BaseException:
        await _close_quietly(opened)
        file.close()
        raise
    writer = Writer(head, opened, lambda: make(beside.data), file, clock)
    return kind(writer, file, beside, lock)


def _sequence(beside: Beside, sync: bool) -> SequenceMark:
    """The sequence file, looked at before anything is touched."""
    told = beside.damage()
    if told is not None:
        raise StoreDamaged(told, hint=_way_out(beside))
    try:
        file = beside.sequence(sync=sync)
    except StoreDamaged as error:
        raise _refused(beside, str(error), None) from error
    try:
        _refuse_newer(beside, file.position)
    except StoreNewer:
        file.close()
        raise
    return file


def _kept(beside: Beside, position: Position) -> Path | None:
    """A copy of what is about to be changed by more than new groups."""
    if 0 < position.schema < SCHEMA:
        return beside.copy(f"schema-{position.schema}")
    used = beside.has_data() or position.group > 0
    return beside.copy() if used and not beside.ended_cleanly() else None


async def _checked(engine: Engine, file: SequenceMark, beside: Beside) -> Head:
    _refuse_newer(beside, Position(schema=await schema_of(engine)))
    seq, group = position_of(await engine.get("meta", "group"))
    told = file.position
    if seq < told.seq or group < told.group:
        raise StoreDamaged(
            f"the state in {beside.directory} goes to event {seq} (group {group}), "
            f"but event {told.seq} (group {told.group}) was acknowledged"
        )
    await engine.confirm()
    found = Position(seq, group, SCHEMA)
    point("store.opened")
    if found != told:
        # Before the first step: from then on an older oya must not touch it.
        file.write(found)
        await (file.flush() or _nothing())
    await migrate(engine)
    return await Head.load(engine, seq, group)


async def _nothing() -> None:
    """What to wait for where there is nothing to wait for."""


def _refused(beside: Beside, words: str, copy: Path | None) -> StoreDamaged:
    """Keep the evidence, see to it that nothing opens this again, and say both."""
    copy = copy or beside.copy()
    backup = beside.last_backup()
    kept = f"the files as they were are in {copy}"
    kept += f"; the last backup is {backup}" if backup else "; there is no backup"
    beside.mark_damaged(f"{words}; {kept}")
    return StoreDamaged(words, safe=f"{kept[0].upper()}{kept[1:]}.", hint=_way_out(beside))


def _way_out(beside: Beside) -> str:
    there = beside.directory
    anew = f"To begin anew from the tracker and the landed commits: mv {there} {there}.damaged"
    backup = beside.last_backup()
    if backup is None:
        return anew
    moved = f"{there}.damaged/{backup.relative_to(there)}"
    return f"{anew}\nTo go on from the backup, after that: oya state import {moved}"


def _refuse_newer(beside: Beside, position: Position | None) -> None:
    if position is None or position.schema <= SCHEMA:
        return
    raise StoreNewer(
        f"the state in {beside.directory} has schema {position.schema}; this oya knows {SCHEMA}",
        safe="Nothing was touched.",
        hint="Type: pip install --upgrade oya",
    )


async def _close_quietly(engine: Engine | None) -> None:
    """What is being raised matters more than what closing says."""
    if engine is None:
        return
    try:
        await engine.close()
    except StoreUnavailable:
        return
