"""One-for-one supervision: a child that crashes starts anew, alone, within bounds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, TypeVar

from oya.actors.actor import Actor
from oya.actors.cell import Cell, Terms
from oya.actors.events import SupervisionEvent
from oya.actors.ref import ActorRef
from oya.actors.restart import Policy, Restart
from oya.actors.scope import Scope
from oya.clock import Clock
from oya.errors import ActorError

M = TypeVar("M")

STOP_DEADLINE: Final = 30.0
"""Seconds that each child gets to stop when its supervisor leaves."""


class Supervisor:
    """Spawns actors and starts them anew when they crash: `async with Supervisor(…) as s:`.

    Inside an actor use `Actor.supervise`, which makes one that belongs to it.

    Leaving stops the children one after the other, the last spawned first as in
    OTP (so that a child may lean on those before it), each within `deadline`
    seconds; what has not ended then is killed. It returns when all have ended.
    A child over its intensity that escalates makes the supervisor fail: the
    body is cancelled, the others are stopped, and leaving raises that child's
    last error. `on_event` hears everything; an exception in it is logged and
    changes nothing.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        restart: Restart,
        name: str,
        on_event: Callable[[SupervisionEvent], None] | None = None,
        deadline: float = STOP_DEADLINE,
    ) -> None:
        self.name = name
        self.stopping = False
        self._clock = clock
        self._restart = restart
        self._on_event = on_event
        self._deadline = deadline
        self._scope = Scope(name)
        self._children: dict[str, Cell[Any]] = {}

    @property
    def children(self) -> tuple[ActorRef[Any], ...]:
        """The children that have not ended, in spawn order."""
        return tuple(cell.ref for cell in self._children.values())

    async def spawn(
        self,
        factory: Callable[[], Actor[M]],
        *,
        name: str,
        restart: Restart | None = None,
        policy: Policy = "permanent",
        escalate: bool = True,
    ) -> ActorRef[M]:
        """Start a child; returns when its `pre_start` has.

        The first incarnation's errors, from `factory` or `pre_start`, are raised
        here, and the child is not kept. `restart` defaults to the supervisor's.
        Over its intensity a child stays out: with `escalate` the supervisor
        fails, without it only the events tell. Raises `ActorError` if a living
        child has this name, or if the supervisor is not running.
        """
        if name in self._children:
            raise ActorError(f"{self.name} has a child called {name} already")
        if self.stopping:
            raise ActorError(f"{name} was not started: {self.name} is stopping")
        terms = Terms(policy, restart or self._restart, escalate)
        cell = Cell(factory, name=name, clock=self._clock, terms=terms, supervisor=self)
        cell.run_as(self._scope.start)
        self._children[name] = cell
        try:
            await cell.started
        except asyncio.CancelledError:
            cell.request_kill()
            raise
        return cell.ref

    def retire(self) -> None:
        """Start no child anew from now on, and take no new ones."""
        self.stopping = True

    async def __aenter__(self) -> Supervisor:
        await self._scope.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.retire()
        try:
            await self._stop_children()
        except asyncio.CancelledError as cancelled:
            self.kill_children()
            await self._scope.__aexit__(type(cancelled), cancelled, None)
            raise
        await self._scope.__aexit__(kind, error, trace)

    async def _stop_children(self) -> None:
        for cell in reversed(list(self._children.values())):
            cell.request_stop()
            if not await cell.ended_within(self._deadline):
                cell.request_kill()

    # For its cells

    def kill_children(self) -> None:
        self.retire()
        for cell in list(self._children.values()):
            cell.request_kill()

    def report(self, event: SupervisionEvent) -> None:
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except Exception as error:  # an observer cannot kill what it observes
            asyncio.get_running_loop().call_exception_handler(
                {"message": f"on_event of {self.name} failed on {event}", "exception": error}
            )

    def forget(self, cell: Cell[Any]) -> None:
        if self._children.get(cell.name) is cell:
            del self._children[cell.name]
