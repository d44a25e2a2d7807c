"""Actors that the tests of this folder share, and a supervisor to put them under."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from oya.actors import Actor, Backoff, Reply, Restart, SupervisionEvent, Supervisor
from oya.clock import LoopClock
from oya.testing.loop import VirtualLoop, run_virtual

PLAIN = Restart(intensity=3, period=60.0, backoff=Backoff(first=1.0, jitter=0.0))


class Boom(Exception):
    pass


@dataclass(frozen=True)
class Ask:
    reply: Reply[Any]
    what: str = ""


@dataclass(frozen=True)
class Do:
    """Let the actor run a piece of the test inside its handler."""

    work: Callable[[Actor[Any]], Coroutine[Any, Any, Any]]


class Notebook(Actor[Any]):
    """Writes down what happens to it; `log` outlives its incarnations."""

    mailbox_size = 4
    reserved = 2

    def __init__(self, log: list[Any]) -> None:
        self.log = log
        self.mine: list[Any] = []

    async def pre_start(self) -> None:
        self.log.append("pre_start")

    async def post_stop(self) -> None:
        self.log.append("post_stop")

    async def handle_supervisor_event(self, event: SupervisionEvent) -> None:
        self.log.append(event)

    async def handle(self, message: Any) -> None:
        if isinstance(message, Do):
            await message.work(self)
        elif isinstance(message, Ask):
            message.reply.send(list(self.mine))
        elif message == "boom":
            raise Boom(message)
        else:
            self.log.append(message)
            self.mine.append(message)


def root(
    restart: Restart = PLAIN, events: list[Any] | None = None, deadline: float = 30.0
) -> Supervisor:
    return Supervisor(
        clock=LoopClock(seed=1),
        restart=restart,
        name="root",
        on_event=None if events is None else events.append,
        deadline=deadline,
    )


def virtual(body: Callable[[], Coroutine[Any, Any, Any]], seed: int | None = None) -> Any:
    """Run on virtual time, and fail if a task outlives the body."""

    async def checked() -> Any:
        result = await body()
        await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        left = [t.get_name() for t in loop.live_tasks() if t is not asyncio.current_task()]
        assert left == []
        return result

    return run_virtual(checked, seed=seed)


def now() -> float:
    return asyncio.get_running_loop().time()


def kinds(events: list[Any]) -> list[str]:
    return [f"{type(event).__name__}({event.ref.name})" for event in events]


async def sleeps(seconds: float, log: list[Any] | None = None, name: Any = None) -> None:
    try:
        await asyncio.sleep(seconds)
    finally:
        if log is not None:
            log.append(name)
