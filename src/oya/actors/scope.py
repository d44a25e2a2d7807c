"""A task group that ends its children in the order in which they were spawned.

`asyncio.TaskGroup` keeps its children in a set and cancels them in the set's
order, which differs from run to run; a swarm that must repeat itself from a
seed cannot stand on that. Everything else here is as there: the scope does not
end before its children have, and no error of a child is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, TypeVar

from oya.errors import ActorError

T = TypeVar("T")


class Scope:
    """Owns tasks: `async with Scope("name") as scope: scope.start(work(), name="work")`.

    Leaving waits for the children. It cancels them first, in spawn order, if
    the body raised or was cancelled, if a child failed, or after `cancel()`.
    When a child fails, the body is cancelled too, and leaving raises the
    child's error: the error itself if there is one, an `ExceptionGroup` if
    there are several. A child that is cancelled, or whose error `ignore` lets
    pass, has not failed. A cancel that
    arrives while the scope waits is passed on to the children. There is no
    deadline here: whoever needs one puts it around the scope.
    """

    def __init__(
        self, name: str = "scope", *, ignore: Callable[[BaseException], bool] | None = None
    ) -> None:
        self.name = name
        self._ignore = ignore
        self._tasks: dict[asyncio.Task[Any], None] = {}
        self._errors: list[BaseException] = []
        self._host: asyncio.Task[Any] | None = None
        self._interrupting = False
        self._leaving = False
        self._closed = False
        self._empty: asyncio.Future[None] | None = None

    @property
    def failed(self) -> bool:
        """A child has failed, and leaving will raise its error."""
        return bool(self._errors)

    def start(self, coro: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        """Run a coroutine as a child. Raises `ActorError` if the scope is not open."""
        if self._host is None or self._closed:
            coro.close()
            raise ActorError(f"{name} was not started: {self.name} is not open")
        task = asyncio.get_running_loop().create_task(coro, name=name)
        self._tasks[task] = None
        task.add_done_callback(self._ended)
        return task

    def cancel(self) -> None:
        """Cancel the children in spawn order and take no more; leaving waits for their end."""
        self._closed = True
        for task in list(self._tasks):
            task.cancel()

    def fail(self, error: BaseException) -> None:
        """Make the scope fail as if a child had raised `error`."""
        self._errors.append(error)
        if self._leaving:
            self.cancel()
        elif not self._interrupting and self._host is not None:
            self._interrupting = True
            self._host.cancel()

    async def __aenter__(self) -> Scope:
        self._host = asyncio.current_task()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._leaving = True
        if error is not None or self._errors:
            self.cancel()
        cancelled = await self._wait_for_children()
        self._closed = True
        if self._interrupting and self._host is not None:
            self._host.uncancel()
        if self._errors:
            errors = list(self._errors)
            if error is not None and not isinstance(error, asyncio.CancelledError):
                errors.append(error)
            raise _one_or_all(self.name, errors)
        if cancelled:
            raise asyncio.CancelledError

    async def _wait_for_children(self) -> bool:
        cancelled = False
        while self._tasks:
            self._empty = asyncio.get_running_loop().create_future()
            try:
                await self._empty
            except asyncio.CancelledError:
                cancelled = True
                self.cancel()
        return cancelled

    def _ended(self, task: asyncio.Task[Any]) -> None:
        del self._tasks[task]
        error = None if task.cancelled() else task.exception()
        if error is not None and not (self._ignore and self._ignore(error)):
            self.fail(error)
        if not self._tasks and self._empty is not None and not self._empty.done():
            self._empty.set_result(None)


def _one_or_all(name: str, errors: list[BaseException]) -> BaseException:
    if len(errors) == 1:
        return errors[0]
    return BaseExceptionGroup(f"several tasks of {name} failed", errors)
