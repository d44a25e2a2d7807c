"""What a program subclasses: state, and what to do with one message."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from oya.actors import timers
from oya.actors.events import SupervisionEvent
from oya.actors.ref import ActorRef
from oya.actors.restart import Restart
from oya.actors.timers import TimerHandle
from oya.clock import Clock
from oya.errors import ActorError

if TYPE_CHECKING:
    from oya.actors.cell import Cell
    from oya.actors.supervisor import Supervisor

M = TypeVar("M")
T = TypeVar("T")


class Actor(ABC, Generic[M]):
    """One incarnation: a restart builds a fresh one by its factory.

    It handles one message at a time. Whatever takes long runs as a child task
    (`start`), so that it can always answer and stop. An exception from any of
    its methods or child tasks is a crash, which its supervisor decides on;
    after a crash or a kill `post_stop` does not run, so clean-up that must
    happen belongs into `finally` blocks of child tasks.

    `ref`, `clock` and `name` are there from `pre_start` on, not in `__init__`.
    """

    mailbox_size: ClassVar[int] = 256
    reserved: ClassVar[int] = 64

    ref: ActorRef[M]
    clock: Clock
    name: str
    _cell: Cell[M] | None = None

    async def pre_start(self) -> None:
        """Get ready. Messages wait until it returns; an error of the first one goes to `spawn`."""

    @abstractmethod
    async def handle(self, message: M) -> None:
        """Do what one message says."""

    async def post_stop(self) -> None:
        """Say goodbye after a graceful stop, when children and child tasks have ended."""

    async def handle_supervisor_event(self, event: SupervisionEvent) -> None:
        """Hear of own children (`supervise`) and of monitored actors; in line with messages."""

    def start(self, coro: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
        """Run long work as a child task, cancelled in spawn order when this incarnation ends.

        An exception in it crashes the actor, even in the middle of a message; to
        be cancelled is no crash. Raises `ActorError` when the actor is not running.
        """
        if self._cell is None:
            coro.close()
            raise ActorError(f"{name} was not started: the actor has not been spawned")
        return self._cell.start(coro, f"{self.name}/{name}")

    def send_after(self, seconds: float, message: M, *, control: bool = False) -> TimerHandle:
        """Send `message` to this actor once, `seconds` from now, or as soon as there is room."""
        work = timers.after(self.clock, seconds, self._deliver(message, control))
        return TimerHandle(self.start(work, name="send_after"))

    def send_every(self, seconds: float, message: M, *, control: bool = False) -> TimerHandle:
        """Send `message` every `seconds`, first `seconds` from now.

        While the mailbox is full ticks are left out, so at most one waits.
        """
        if seconds <= 0:
            raise ValueError("a period is more than 0 seconds")
        work = timers.every(self.clock, seconds, self._deliver(message, control))
        return TimerHandle(self.start(work, name="send_every"))

    async def supervise(
        self, *, restart: Restart, name: str = "", deadline: float | None = None
    ) -> Supervisor:
        """A supervisor that belongs to this actor; called in `pre_start` or a handler.

        Its events come to `handle_supervisor_event`, its escalations crash this
        actor, and it stops its children when this incarnation ends.
        """
        if self._cell is None:
            raise ActorError("nothing to supervise from: the actor has not been spawned")
        return await self._cell.supervise(restart, name or f"{self.name}/children", deadline)

    def _deliver(self, message: M, control: bool) -> Callable[[], Coroutine[Any, Any, None]]:
        # Without a deadline: the wait ends with this incarnation, whose task it is.
        return lambda: self.ref.tell(message, timeout=None, control=control)
