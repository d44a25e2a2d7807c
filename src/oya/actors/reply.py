"""The way back of an `ask`."""

from __future__ import annotations

import asyncio
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Reply(Generic[T]):
    """Travels in a message, so that whoever handles it can answer.

    It may be kept and answered later, by a child task for instance. Only the
    first answer counts; one that comes after the asker has given up is ignored.
    """

    __slots__ = ("_future",)

    def __init__(self, future: asyncio.Future[T]) -> None:
        self._future = future

    @property
    def done(self) -> bool:
        """Answered, or nobody waits for the answer any more."""
        return self._future.done()

    def send(self, value: T) -> None:
        """Answer: `ask` returns `value`."""
        if not self._future.done():
            self._future.set_result(value)

    def fail(self, error: Exception) -> None:
        """Refuse: `ask` raises `error`."""
        if not self._future.done():
            self._future.set_exception(error)


class Question:
    """A message in the mailbox together with the reply that somebody waits for."""

    __slots__ = ("future", "message")

    def __init__(self, message: Any, future: asyncio.Future[Any]) -> None:
        self.message = message
        self.future = future


def unwrapped(item: Any) -> Any:
    return item.message if type(item) is Question else item
