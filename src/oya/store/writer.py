"""The one writer: requests in, one commit a group, then the head moves and callers hear of it.

Whoever wants a change submits a function from a draft of the head to a result. The writer
runs what is waiting in the order of submission, forgets the changes of those that raise,
commits the rest as one group, and answers after the commit. Where a commit's outcome is
unknown it opens the engine anew and reads the group's number back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from oya.clock import Clock
from oya.crashpoints import point
from oya.errors import StoreDamaged, StoreError, StoreUnavailable
from oya.lifecycle.record import EventRecord
from oya.store.beside import Position, SequenceMark
from oya.store.engine import Engine, Put, Row, Write
from oya.store.head import Draft, Head

T = TypeVar("T")
Listener = Callable[[Sequence[EventRecord], Sequence[Write]], None]

WAITING = 1000
GROUP = 200
DEADLINE = 60.0
REOPENINGS = (0.0, 0.1, 0.5, 2.0)
"""Seconds before each try to open the engine again after an error."""


@dataclass(frozen=True, slots=True)
class _Request:
    decide: Callable[[Draft], Any]
    answer: asyncio.Future[Any]


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
        self._queue: asyncio.Queue[_Request | None] = asyncio.Queue(WAITING)
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

        `decide` runs at once or not at all and must not keep the draft. If the caller is
        cancelled, the change is either made whole or not at all. `StoreUnavailable`:
        nothing was changed.
        """
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        if not self._task.done():
            await self._queue.put(_Request(decide, answer))
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
        group: list[_Request] = []
        try:
            while (first := await self._queue.get()) is not None:
                group = [first]
                last = False
                while not last and len(group) < GROUP and not self._queue.empty():
                    request = self._queue.get_nowait()
                    last = request is None
                    group += [request] if request else []
                await self._settle(group)
                if last:
                    return
        finally:
            closed = StoreUnavailable("the store is closed", safe="Nothing was changed.")
            _fail([*group, *self._left()], closed)

    def _left(self) -> list[_Request]:
        left = []
        while not self._queue.empty():
            request = self._queue.get_nowait()
            left += [request] if request else []
        return left

    async def _settle(self, group: list[_Request]) -> None:
        try:
            await self._make_ready()
            draft = Draft(self.head, self._clock)
            answers = [(r, _decided(draft, r)) for r in group if not r.answer.done()]
            if draft.writes:
                await self._commit(draft)
        except StoreError as error:
            _fail(group, error)
        except Exception as error:
            # A defect of ours: what the engine holds is unknown, so nothing more is decided.
            broken = self._break(StoreError(f"the store's writer failed: {error!r}"))
            broken.__cause__ = error
            _fail(group, broken)
        else:
            for request, (result, refusal) in answers:
                _answer(request, result, refusal)

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
        group = {"seq": draft.seq, "group": self.head.group + 1}
        writes = [*draft.writes, Put("meta", "group", group)]
        began = self._clock.monotonic()
        point("store.committing")
        try:
            async with asyncio.timeout(DEADLINE):
                await self.engine.commit(writes)
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

    async def _resolve(self, draft: Draft, error: StoreError | None) -> None:
        """Find out on disk what became of a group; acknowledge it, or raise `error`."""
        found = position_of(await self._read_back())
        before = (self.head.seq, self.head.group)
        if found == (draft.seq, self.head.group + 1):
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


def _decided(draft: Draft, request: _Request) -> tuple[Any, Exception | None]:
    try:
        result = request.decide(draft)
    except Exception as refusal:
        draft.refuse()
        return None, refusal
    draft.accept()
    return result, None


def _answer(request: _Request, result: Any, refusal: Exception | None) -> None:
    if request.answer.done():
        return
    if refusal is not None:
        request.answer.set_exception(refusal)
    else:
        request.answer.set_result(result)


def _fail(group: Sequence[_Request], error: StoreError) -> None:
    for request in group:
        # One each: an exception that is raised in several tasks collects all their tracebacks.
        copy = type(error)(str(error), safe=error.safe, hint=error.hint)
        copy.__cause__ = error.__cause__
        _answer(request, None, copy)


def _unavailable(error: Exception, safe: str) -> StoreUnavailable:
    hint = "Look for space and permissions on this disk; the store goes on when it can."
    return StoreUnavailable(str(error), safe=safe, hint=hint)
