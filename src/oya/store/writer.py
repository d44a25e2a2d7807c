"""The one writer: requests in, one commit a group, then the head moves and callers hear of it.

Whoever wants a change submits a function from a draft of the head to a result. The writer
runs what is waiting in the order of submission, forgets the changes of those that raise,
commits the rest as one group, and answers after the commit. Where a commit's outcome is
unknown it opens the engine anew and reads the group's number back.

While the engine commits, what still waits is decided ahead, as if that commit went well; if
it does not, all of that is forgotten and decided again. Nobody hears of it before its own
commit either way.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from oya.clock import Clock
from oya.crashpoints import point
from oya.errors import StoreDamaged, StoreError, StoreUnavailable
from oya.lifecycle.record import EventRecord
from oya.store.beside import Position, SequenceMark
from oya.store.engine import Engine, Put, Row, Write
from oya.store.group import Group, Request
from oya.store.head import Draft, Head, to_text

T = TypeVar("T")
Listener = Callable[[Sequence[EventRecord], Sequence[Write]], None]

WAITING = 1000
GROUP = 200
SLICE = 20
"""Requests that are decided ahead between two looks at the commit under way."""
DEADLINE = 60.0
REOPENINGS = (0.0, 0.1, 0.5, 2.0)
"""Seconds before each try to open the engine again after an error."""


class Writer:
    """Owns the head and the open engine.

    `listeners` hear of every group that was committed, `readers` of a table of every write to it.
    `failed` is set when the writer can decide nothing more; `broken` says why.
    """

    def __init__(
        self,
        head: Head,
        engine: Engine,
        fresh: Callable[[], Engine],
        file: SequenceMark,
        clock: Clock,
    ) -> None:
        self.head = head
        self.engine = engine
        self.listeners: list[Listener] = []
        self.readers: dict[str, list[Callable[[Write], None]]] = {}
        self._fresh = fresh
        self._file = file
        self._clock = clock
        self._queue: asyncio.Queue[Request | None] = asyncio.Queue(WAITING)
        self._ahead = Group()
        self._closing = False
        self._unresolved: Draft | None = None
        self._broken: StoreError | None = None
        self._flushing: Awaitable[None] | None = None
        self._unflushed = False
        self.failed = asyncio.Event()
        self.seconds = 0.0
        self._task = asyncio.get_running_loop().create_task(self._run(), name="store writer")

    @property
    def broken(self) -> StoreError | None:
        """Why nothing more can be decided until the store is opened anew; set with `failed`."""
        return self._broken

    def _break(self, error: StoreError) -> StoreError:
        self._broken = error
        self.failed.set()
        return error

    @property
    def settled(self) -> bool:
        """Whether engine and sequence file are known to hold exactly the head."""
        told = (self._file.position.seq, self._file.position.group)
        certain = self._broken is None and self._unresolved is None
        return certain and told == (self.head.seq, self.head.group)

    async def submit(self, decide: Callable[[Draft], T]) -> T:
        """What `decide` returns, once its changes are durable; or what it raises.

        `decide` may run again, on another draft: it must change nothing but the draft, and
        not keep it. If the caller is cancelled, the change is either made whole or not at
        all. `StoreUnavailable`: nothing was changed.
        """
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if not self._task.done():
            await self._queue.put(Request(decide, answer))
        if self._task.done():
            raise StoreUnavailable("the store is closed", safe="Nothing was changed.")
        return await answer

    async def stop(self) -> None:
        """Finish what was submitted before, then take nothing more."""
        if not self._task.done():
            await self._queue.put(None)
        await asyncio.gather(self._task, return_exceptions=True)
        with contextlib.suppress(OSError):
            await self._flushed()

    async def _run(self) -> None:
        group = Group()
        try:
            while not self._closing or self._ahead.requests:
                if not self._ahead.requests:
                    self._take(self._ahead, await self._queue.get())
                group, self._ahead = self._ahead, Group()
                await self._settle(group)
        finally:
            closed = StoreUnavailable("the store is closed", safe="Nothing was changed.")
            for unheard in (group, self._ahead, self._left()):
                unheard.fail(closed)

    def _left(self) -> Group:
        left = Group()
        while not self._queue.empty():
            self._take(left, self._queue.get_nowait())
        return left

    def _take(self, group: Group, request: Request | None) -> None:
        if request is None:
            self._closing = True
        else:
            group.add(request)

    def _fill(self, group: Group, most: int) -> bool:
        """Take what waits, `most` at most, while there is room; whether anything was taken."""
        before = len(group.requests)
        room = min(before + most, GROUP)
        while len(group.requests) < room and not self._closing and not self._queue.empty():
            self._take(group, self._queue.get_nowait())
        return len(group.requests) > before

    async def _settle(self, group: Group) -> None:
        try:
            await self._make_ready()
            if group.draft is None:
                group.decide(Draft(self.head, self._clock))
            self._fill(group, GROUP)
            if group.draft is not None and group.draft.writes:
                await self._commit(group.draft)
        except StoreError as error:
            group.fail(error)
        except Exception as error:
            # A defect of ours: what the engine holds is unknown, so nothing more is decided.
            broken = self._break(StoreError(f"the store's writer failed: {error!r}"))
            broken.__cause__ = error
            group.fail(broken)
        else:
            group.answer()

    async def _make_ready(self) -> None:
        if self._broken is not None:
            raise self._broken
        if self._unresolved is not None:
            await self._resolve(self._unresolved, None)
        self._write_down()
        if self._unflushed:
            self._flushing = self._file.flush()
            try:
                await self._flushed()
            except OSError as error:
                raise self._unwritten(error) from error

    async def _flushed(self) -> None:
        """Wait for the file; it is made durable while the next group is on its way."""
        flushing, self._flushing = self._flushing, None
        self._unflushed = True
        if flushing is not None:
            await flushing
        self._unflushed = False

    def _write_down(self) -> None:
        """Bring the sequence file up to the head."""
        told, head = self._file.position, self.head
        if (told.seq, told.group) == (head.seq, head.group):
            return
        try:
            self._file.write(Position(head.seq, head.group, told.schema))
            self._flushing = self._file.flush()
        except OSError as error:
            raise self._unwritten(error) from error

    def _unwritten(self, error: OSError) -> StoreUnavailable:
        return StoreUnavailable(
            f"{self._file.path} cannot be written: {error}",
            safe="Nothing acknowledged is lost.",
            hint="Free some space on this disk; the store goes on by itself.",
        )

    async def _commit(self, draft: Draft) -> None:
        group = {"seq": draft.seq, "group": draft.group}
        writes = [*draft.writes, Put("meta", "group", group, to_text(group))]
        began = self._clock.monotonic()
        point("store.committing")
        try:
            async with asyncio.timeout(DEADLINE):
                await self._committed(draft, writes)
            point("store.committed")
            self.seconds += self._clock.monotonic() - began
        except TimeoutError:
            # It may still arrive, at any time: reading back would prove nothing.
            broken = StoreUnavailable(
                f"the engine has not answered for {DEADLINE:.0f} s",
                safe="Nothing acknowledged is lost.",
                hint="Start the swarm again.",
            )
            raise self._break(broken) from None
        except StoreError as error:
            self._unresolved = draft
            await self._resolve(draft, error)
        else:
            await self._acknowledge(draft)

    async def _committed(self, draft: Draft, writes: Sequence[Write]) -> None:
        """Commit; what still waits is decided meanwhile."""
        if self._queue.empty():
            await self.engine.commit(writes)
            return
        commit = asyncio.ensure_future(self.engine.commit(writes))
        self._ahead.draft = Draft(self.head, self._clock, after=draft)
        try:
            while True:
                await asyncio.sleep(0)  # the engine's part comes first
                if commit.done() or not self._fill(self._ahead, SLICE):
                    break
            await commit
        except BaseException:
            commit.cancel()
            self._ahead.forget()
            raise

    async def _resolve(self, draft: Draft, error: StoreError | None) -> None:
        """Find out on disk what became of a group; acknowledge it, or raise `error`."""
        found = position_of(await self._read_back())
        before = (self.head.seq, self.head.group)
        if found == (draft.seq, draft.group):
            self._unresolved = None
            await self._acknowledge(draft)
        elif found == before:
            self._unresolved = None
            if error is not None:
                raise _unavailable(error, "Nothing was changed.")
        else:
            damaged = StoreDamaged(
                f"after an error of the engine the state says {found} instead of {before}",
                safe="Nothing was acknowledged since.",
                hint="Start the swarm again: the files will be copied aside and looked at.",
            )
            raise self._break(damaged)

    async def _read_back(self) -> Row | None:
        """The last group's record, by an engine that is opened anew."""
        failure: Exception | None = None
        for delay in REOPENINGS:
            await self._clock.sleep(delay)
            try:
                async with asyncio.timeout(DEADLINE):
                    with contextlib.suppress(StoreError):
                        await self.engine.close()
                    self.engine = self._fresh()
                    await self.engine.open()
                    await self.engine.confirm()
                    return await self.engine.get("meta", "group")
            except (StoreError, TimeoutError) as again:
                failure = again
        safe = "Nothing acknowledged is lost; the last change is looked at before any other."
        raise _unavailable(failure or StoreUnavailable(), safe)

    async def _acknowledge(self, draft: Draft) -> None:
        if self._flushing is not None:
            with contextlib.suppress(OSError):
                await self._flushed()
        draft.apply()
        # If this fails the group is durable all the same; the next one waits for it.
        with contextlib.suppress(StoreUnavailable):
            self._write_down()
        point("store.acknowledged")
        writes = draft.writes
        for write in writes:
            for changed in self.readers.get(write.table, ()):
                changed(write)
        for listener in self.listeners:
            listener(draft.events, writes)


def position_of(row: Row | None) -> tuple[int, int]:
    """(last event, last group) of the group record in `meta`."""
    return (int(row["seq"]), int(row["group"])) if row else (0, 0)


def _unavailable(error: Exception, safe: str) -> StoreUnavailable:
    hint = "Look for space and permissions on this disk; the store goes on when it can."
    return StoreUnavailable(str(error), safe=safe, hint=hint)
