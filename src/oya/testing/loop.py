"""An event loop on virtual time: nothing waits, and a seed chooses who runs first.

    def test_a_day_passes() -> None:
        async def day() -> float:
            await asyncio.sleep(86_400)
            return asyncio.get_running_loop().time()

        assert run_virtual(day) == 86_400

Time stands still while anything can run, and then jumps to the next timer. If
nothing can run and no timer is left, nothing will ever happen again: that is
a `Deadlock`, and it names every task with the line it waits at.

Without a seed the order is asyncio's own: first come, first served. With one,
tasks that became runnable side by side run in an order drawn from the seed;
plain callbacks keep their places, since libraries rely on theirs. The same seed
gives the same order. There are no sockets and no threads here, because neither
can be repeated.
"""

from __future__ import annotations

import asyncio
import random
from asyncio import base_events
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Any, NoReturn, TypeVar, TypeVarTuple, cast
from weakref import WeakKeyDictionary

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_NAMED_AT_MOST = 20
_CANCELLED_TIMERS_KEPT = 100


class Deadlock(RuntimeError):
    """Nothing can run and no timer is left."""


def run_virtual(
    coro_factory: Callable[[], Coroutine[Any, Any, T]], *, seed: int | None = None
) -> T:
    """Run a coroutine to its end on virtual time that starts at 0, and return its result.

    Tasks it leaves behind are cancelled in the order in which they were made.
    Raises what the coroutine raises, and `Deadlock` if it can never end.
    """
    loop = VirtualLoop(seed)
    try:
        return loop.run_until_complete(coro_factory())
    finally:
        try:
            loop.finish()
        finally:
            loop.close()


class _Handle:
    """What asyncio uses of its own handles, which are made and run in twice the time, since they
    have something for debugging."""

    __slots__ = ("args", "callback", "context", "dropped")

    def __init__(self, callback: Any, args: Any, context: Context | None) -> None:
        self.context = copy_context() if context is None else context
        self.callback = callback
        self.args = args
        self.dropped = False

    def cancel(self) -> None:
        self.dropped = True
        self.callback = self.args = None

    def cancelled(self) -> bool:
        return self.dropped


class _Timer(_Handle):
    __slots__ = ("_loop", "_when", "waits")

    def __init__(
        self, when: float, callback: Any, args: Any, context: Context | None, loop: VirtualLoop
    ) -> None:
        _Handle.__init__(self, callback, args, context)
        self._when = when
        self._loop = loop
        self.waits = True

    def when(self) -> float:
        return self._when

    def cancel(self) -> None:
        if not self.dropped:
            _Handle.cancel(self)
            if self.waits:
                self._loop._timer_handle_cancelled(self)


class VirtualLoop(base_events.BaseEventLoop):
    """An asyncio loop without a selector, whose `time()` is virtual, in seconds from 0."""

    _ready: deque[Any]
    _stopping: bool
    _closed: bool

    def __init__(self, seed: int | None = None) -> None:
        super().__init__()
        self._random = None if seed is None else random.Random(seed)  # noqa: S311
        self._now = 0.0
        self._timers: list[tuple[float, int, _Timer]] = []
        self._cancelled_timers = 0
        self._numbers = count()
        self._born: WeakKeyDictionary[asyncio.Task[Any], int] = WeakKeyDictionary()
        self._steps_left = -1
        self._at_the_last: BaseException | None = None

    def interrupt(self, steps: int, error: BaseException) -> None:
        """Let `error` out of the loop before the callback that comes after `steps` more."""
        self._steps_left, self._at_the_last = steps, error

    def skip(self, seconds: float) -> None:
        """Let time go by in which nothing runs, as in a process that is stopped."""
        self._now += seconds

    def time(self) -> float:
        return self._now

    def live_tasks(self) -> list[asyncio.Task[Any]]:
        """The tasks that have not ended, in the order in which they were made."""
        return sorted((t for t in self._born if not t.done()), key=self._born.__getitem__)

    def finish(self) -> None:
        """Cancel what is left, in the order in which it was made, and let it end."""
        left = self.live_tasks()
        for task in left:
            task.cancel()
        for task in left:
            if not task.done():
                self.run_until_complete(asyncio.wait([task]))
        self.run_until_complete(self.shutdown_asyncgens())

    def create_task(self, *args: Any, **kwargs: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = super().create_task(*args, **kwargs)
        self._born[task] = next(self._numbers)
        return task

    def call_soon(
        self,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:
        if self._closed:
            self._check_closed()
        handle: Any = _Handle(callback, args, context)
        self._ready.append(handle)
        return cast(asyncio.Handle, handle)

    call_soon_threadsafe = call_soon  # there are no threads; generators that go end by it

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        if self._closed:
            self._check_closed()
        timer: Any = _Timer(when, callback, args, context, self)
        heappush(self._timers, (when, next(self._numbers), timer))
        return cast(asyncio.TimerHandle, timer)

    def run_in_executor(  # type: ignore[override]  # it never returns
        self, executor: Any, func: Any, *args: Any
    ) -> NoReturn:
        raise RuntimeError("no threads on virtual time: they cannot be repeated")

    def _check_closed(self) -> None:
        if self._closed:
            raise RuntimeError("Event loop is closed")

    def _write_to_self(self) -> None:
        """Nothing sleeps here, so nothing has to be woken."""

    def _process_events(self, event_list: Any) -> None:
        """There are none."""

    def _timer_handle_cancelled(self, _: Any) -> None:
        self._cancelled_timers += 1
        if self._cancelled_timers > max(_CANCELLED_TIMERS_KEPT, len(self._timers) // 2):
            self._timers = [entry for entry in self._timers if not entry[2].dropped]
            heapify(self._timers)
            self._cancelled_timers = 0

    def _run_once(self) -> None:
        """Round after round, until the loop is told to stop."""
        ready = self._ready
        while True:
            if not ready and not self._stopping:
                self._advance()
            if self._timers and self._timers[0][0] <= self._now:
                self._collect_due()
            count = len(ready)
            if count > 1 and self._random is not None:
                self._shuffle(self._random.shuffle)
            while count:
                count -= 1
                if self._steps_left >= 0:
                    self._count_down()
                handle = ready.popleft()
                if handle.dropped:
                    continue
                try:
                    handle.context.run(handle.callback, *handle.args)
                except (SystemExit, KeyboardInterrupt):
                    raise
                except BaseException as error:
                    words = f"Exception in callback {handle.callback!r}"
                    self.call_exception_handler({"message": words, "exception": error})
            if self._stopping:
                return

    def _count_down(self) -> None:
        self._steps_left -= 1
        if self._steps_left < 0 and self._at_the_last is not None:
            raise self._at_the_last

    def _advance(self) -> None:
        timers = self._timers
        while timers and timers[0][2].dropped:
            heappop(timers)
            self._cancelled_timers -= 1
        if not timers:
            raise Deadlock(self._who_waits())
        self._now = max(self._now, timers[0][0])

    def _collect_due(self) -> None:
        timers = self._timers
        while timers and timers[0][0] <= self._now:
            timer = heappop(timers)[2]
            timer.waits = False
            if timer.dropped:
                self._cancelled_timers -= 1
            else:
                self._ready.append(timer)

    def _shuffle(self, shuffle: Callable[[list[_Handle]], None]) -> None:
        order: list[_Handle] = []
        side_by_side: list[_Handle] = []
        for handle in self._ready:
            if _steps_a_task(handle):
                side_by_side.append(handle)
                continue
            if side_by_side:
                shuffle(side_by_side)
                order += side_by_side
                side_by_side = []
            order.append(handle)
        shuffle(side_by_side)
        self._ready.clear()
        self._ready.extend(order)
        self._ready.extend(side_by_side)

    def _who_waits(self) -> str:
        tasks = self.live_tasks()
        lines = [f"  {task.get_name()} at {_where(task)}" for task in tasks[:_NAMED_AT_MOST]]
        if len(tasks) > _NAMED_AT_MOST:
            lines.append(f"  and {len(tasks) - _NAMED_AT_MOST} more")
        return "\n".join(
            [f"deadlock at {self._now:g} s: nothing can run and no timer is left; waiting:", *lines]
        )


def _steps_a_task(handle: _Handle) -> bool:
    return isinstance(getattr(handle.callback, "__self__", None), asyncio.Task)


def _where(task: asyncio.Task[Any]) -> str:
    coro: Any = task.get_coro()
    while getattr(getattr(coro, "cr_await", None), "cr_frame", None) is not None:
        coro = coro.cr_await
    frame = getattr(coro, "cr_frame", None)
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else "its end"
