"""Messages per second: oya.actors against a bare asyncio.Queue and against Pykka."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from oya.actors import Actor, ActorRef, Backoff, Reply, Restart, Supervisor
from oya.clock import SystemClock

TELLS = 100_000
ASKS = 10_000
ROUNDS = 3
PYKKA_TELLS = 20_000
PYKKA_ASKS = 3_000

Measure = tuple[str, float, str, str, float]


@dataclass(frozen=True, slots=True)
class Echo:
    reply: Reply[int]


class Counter(Actor[int | Echo]):
    def __init__(self) -> None:
        self.seen = 0

    async def handle(self, message: int | Echo) -> None:
        self.seen += 1
        if type(message) is Echo:
            message.reply.send(self.seen)


def measures() -> Iterator[Measure]:
    """(name, value, unit, baseline, the baseline's value), each the best of three rounds."""
    tell, ask = _best(_oya_tell, TELLS), _best(_oya_ask, ASKS)
    queue_tell, queue_ask = _best(_queue_tell, TELLS), _best(_queue_ask, ASKS)
    pykka_tell, pykka_ask = _pykka()
    yield "actors.tell", tell, "/s", "asyncio.Queue", queue_tell
    yield "actors.tell", tell, "/s", "pykka", pykka_tell
    yield "actors.ask", ask, "/s", "asyncio.Queue", queue_ask
    yield "actors.ask", ask, "/s", "pykka", pykka_ask


def _best(measured: Callable[[int], Awaitable[float]], messages: int) -> float:
    async def once() -> float:
        return await measured(messages)

    return max(messages / asyncio.run(once()) for _ in range(ROUNDS))


async def _with_counter(body: Callable[[ActorRef[int | Echo]], Awaitable[None]]) -> float:
    restart = Restart(intensity=0, period=1.0, backoff=Backoff(first=0.0))
    async with Supervisor(clock=SystemClock(), restart=restart, name="bench") as supervisor:
        ref = await supervisor.spawn(Counter, name="counter")
        begin = time.perf_counter()
        await body(ref)
        return time.perf_counter() - begin


async def _oya_tell(messages: int) -> float:
    async def body(ref: ActorRef[int | Echo]) -> None:
        for number in range(messages):
            await ref.tell(number)
        assert await ref.ask(Echo, timeout=10.0) == messages + 1

    return await _with_counter(body)


async def _oya_ask(messages: int) -> float:
    async def body(ref: ActorRef[int | Echo]) -> None:
        for number in range(messages):
            assert await ref.ask(Echo, timeout=10.0) == number + 1

    return await _with_counter(body)


async def _queue_tell(messages: int) -> float:
    queue: asyncio.Queue[int | None] = asyncio.Queue(Counter.mailbox_size)
    seen = 0

    async def consume() -> None:
        nonlocal seen
        while await queue.get() is not None:
            seen += 1

    consumer = asyncio.create_task(consume())
    begin = time.perf_counter()
    for number in range(messages):
        await queue.put(number)
    await queue.put(None)
    await consumer
    assert seen == messages
    return time.perf_counter() - begin


async def _queue_ask(messages: int) -> float:
    queue: asyncio.Queue[asyncio.Future[int]] = asyncio.Queue(Counter.mailbox_size)
    loop = asyncio.get_running_loop()

    async def answer() -> None:
        for number in range(messages):
            (await queue.get()).set_result(number)

    server = asyncio.create_task(answer())
    begin = time.perf_counter()
    for number in range(messages):
        future: asyncio.Future[int] = loop.create_future()
        await queue.put(future)
        assert await future == number
    await server
    return time.perf_counter() - begin


def _pykka() -> tuple[float, float]:
    import pykka

    class PykkaCounter(pykka.ThreadingActor):
        def __init__(self) -> None:
            super().__init__()
            self.seen = 0

        def on_receive(self, message: Any) -> int:
            self.seen += 1
            return self.seen

    ref = PykkaCounter.start()
    try:
        begin = time.perf_counter()
        for number in range(PYKKA_TELLS):
            ref.tell(number)
        assert ref.ask(None, timeout=30) == PYKKA_TELLS + 1
        told = time.perf_counter()
        for _ in range(PYKKA_ASKS):
            ref.ask(None, timeout=30)
        asked = time.perf_counter()
    finally:
        ref.stop()
    return PYKKA_TELLS / (told - begin), PYKKA_ASKS / (asked - told)
