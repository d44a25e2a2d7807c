"""The address of an actor: the only way to reach it, valid over its restarts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from oya.actors.reply import Question, Reply
from oya.errors import ActorError, AskTimeout

if TYPE_CHECKING:
    from oya.actors.cell import Cell

M = TypeVar("M", contravariant=True)
T = TypeVar("T")

DEFAULT_DEADLINE: Final = 5.0
"""Seconds that `tell` waits for room, and `kill` for the end, unless told otherwise."""


class ActorRef(Generic[M]):
    """Sends to one actor. Made by `Supervisor.spawn`; all times are in seconds."""

    __slots__ = ("__weakref__", "_cell", "name")

    def __init__(self, cell: Cell[Any]) -> None:
        self._cell = cell
        self.name: str = cell.name

    def __repr__(self) -> str:
        return f"<ActorRef {self.name}{'' if self.alive else ' (dead)'}>"

    @property
    def alive(self) -> bool:
        """It takes messages: from its spawn until it is told to stop, restarts included."""
        return not self._cell.mailbox.closed

    async def tell(
        self, message: M, *, timeout: float | None = DEFAULT_DEADLINE, control: bool = False
    ) -> None:
        """Put a message into the mailbox; returns once it is there, not when it is handled.

        Waits up to `timeout` while the mailbox is full (None: as long as the
        actor lives), then raises `MailboxFull`. Raises `ActorDead` if the actor
        has ended or is stopping, and `MailboxFull` at once if the actor tells
        itself from its own handler, which could never make room. Both errors
        carry the message. `control` messages have room of their own and
        overtake ordinary ones; senders of one kind are served in order.
        A delivered message is lost only if the actor crashes with it in hand,
        or is stopped before it gets there.
        """
        cell = self._cell
        if not cell.mailbox.offer(message, control):
            if cell.is_own_task():
                raise cell.mailbox.full(message)
            await cell.mailbox.put(message, control, timeout)

    def try_tell(self, message: M, *, control: bool = False) -> None:
        """As `tell`, never waiting: `MailboxFull` at once."""
        if not self._cell.mailbox.offer(message, control):
            raise self._cell.mailbox.full(message)

    async def ask(
        self, make: Callable[[Reply[T]], M], *, timeout: float, control: bool = False
    ) -> T:
        """Send the message that `make` builds round a reply, and return what comes back.

        Always ends within `timeout`: with the answer; with the error the actor
        answered; `ActorDead` if it has ended, stops first, or crashes after it
        has taken the question; `MailboxFull` if there was no room in time (it
        was not handled); `AskTimeout` (it may have been, or may still be). A
        question that is still queued survives a restart. Raises `ActorError`
        at once if an actor asks itself from its own handler.
        """
        cell = self._cell
        if cell.is_own_task():
            raise ActorError(f"{self.name} asked itself; it handles one message at a time")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        question = Question(make(Reply(future)), future)
        deadline = loop.time() + timeout
        if not cell.mailbox.offer(question, control):
            await cell.mailbox.put(question, control, timeout)
        timer = loop.call_at(deadline, _expire, future, self.name, timeout)
        try:
            return await future
        finally:
            timer.cancel()

    async def stop(self, *, timeout: float) -> None:
        """End it gracefully, and wait for the end.

        The message in hand is finished, the queue is dropped (questions fail
        with `ActorDead`), its own children are stopped, its child tasks
        cancelled in spawn order, `post_stop` runs. What has not ended within
        `timeout` is killed. It is not started anew, whatever its policy.

        From the actor itself (its handler or a child task) it returns at once,
        and the actor ends after the message in hand; a `permanent` one that
        ends by itself starts anew, as in OTP, and keeps its queue.
        """
        cell = self._cell
        if cell.is_inside():
            cell.end_by_itself()
            return
        cell.request_stop()
        if not await cell.ended_within(timeout):
            await self.kill()

    async def kill(self) -> None:
        """Cancel it and its child tasks now, without `post_stop`, and wait for the end.

        Raises `ActorError` if its clean-up (`finally` blocks) has not come to
        an end within 5 s; it stays cancelled. From the actor itself it returns
        at once.
        """
        cell = self._cell
        cell.request_kill()
        if cell.is_inside():
            return
        if not await cell.ended_within(DEFAULT_DEADLINE):
            raise ActorError(f"{self.name} was killed {DEFAULT_DEADLINE:g} s ago and has not ended")

    def monitor(self, watcher: ActorRef[Any]) -> None:
        """Report this actor's events to `watcher.handle_supervisor_event` from now on.

        An actor that has ended already is reported as terminated at once.
        """
        self._cell.monitor(watcher._cell)

    async def wait(self) -> None:
        """Return when it has ended for good. Raises `ActorError` if it waits for itself."""
        if self._cell.is_inside():
            raise ActorError(f"{self.name} waits for its own end")
        await self._cell.ended.wait()


def _expire(future: asyncio.Future[Any], name: str, timeout: float) -> None:
    if not future.done():
        future.set_exception(AskTimeout(f"{name} did not answer within {timeout:g} s"))
