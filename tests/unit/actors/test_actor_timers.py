"""Timers, on the injected clock."""

import asyncio
from typing import Any

import pytest
from actor_kit import PLAIN, Do, Notebook, now, root, sleeps, virtual

from oya.actors import Supervisor, TimerHandle
from oya.clock import LoopClock


class Ticking(Notebook):
    async def pre_start(self) -> None:
        self.begun = self.clock.monotonic()
        self.timers: list[TimerHandle] = []
        self.set()

    def set(self) -> None:
        raise NotImplementedError

    async def handle(self, message: Any) -> None:
        if message == "tick":
            self.log.append(self.clock.monotonic())
        else:
            await super().handle(message)


class Every(Ticking):
    def set(self) -> None:
        self.timers.append(self.send_every(10, "tick"))


class After(Ticking):
    def set(self) -> None:
        self.timers.append(self.send_after(5, "tick"))


def run(actor: type[Ticking], seconds: float, *messages: tuple[float, Any]) -> list[Any]:
    async def body() -> list[Any]:
        log: list[Any] = []
        async with root() as supervisor:
            ref = await supervisor.spawn(lambda: actor(log), name="a")
            for at, message in messages:
                await asyncio.sleep(at - now())
                await ref.tell(message)
            await asyncio.sleep(seconds - now())
        return log

    return list(virtual(body))


def test_send_after_sends_once() -> None:
    assert run(After, 100) == [5, "post_stop"]


def test_send_every_keeps_its_rhythm() -> None:
    assert run(Every, 45) == [10, 20, 30, 40, "post_stop"]


def test_a_cancelled_timer_sends_nothing() -> None:
    async def cancel(actor: Any) -> None:
        assert actor.timers[0].active
        actor.timers[0].cancel()
        await asyncio.sleep(0)
        assert not actor.timers[0].active

    assert run(After, 100, (1, Do(cancel))) == ["post_stop"]
    assert run(Every, 100, (15, Do(cancel))) == [10, "post_stop"]


def test_timers_end_with_the_incarnation_that_set_them() -> None:
    assert run(After, 100, (1, "boom")) == [1 + 1 + 5, "post_stop"]


def test_a_busy_actor_gets_its_tick_late_and_no_heap_of_them() -> None:
    class Full(Every):
        async def busy(self) -> None:
            for _ in range(4):
                self.ref.try_tell(None)
            await asyncio.sleep(65)

        async def handle(self, message: Any) -> None:
            if message == "busy":
                await self.busy()
            elif message is not None:
                await super().handle(message)

    assert run(Full, 95, (0, "busy")) == [65, 70, 80, 90, "post_stop"]


def test_a_control_timer_overtakes_work() -> None:
    class Urgent(Ticking):
        def set(self) -> None:
            self.send_after(1, "urgent", control=True)

    async def body() -> list[Any]:
        log: list[Any] = []
        async with root() as supervisor:
            ref = await supervisor.spawn(lambda: Urgent(log), name="a")
            await ref.tell(Do(lambda actor: sleeps(2)))
            await ref.tell("work")
            await asyncio.sleep(3)
        return log

    assert virtual(body) == ["urgent", "work", "post_stop"]


def test_a_period_is_more_than_nothing() -> None:
    class Wrong(Ticking):
        def set(self) -> None:
            self.send_every(0, "tick")

    async def body() -> None:
        async with root() as supervisor:
            with pytest.raises(ValueError, match="more than 0"):
                await supervisor.spawn(lambda: Wrong([]), name="a")

    virtual(body)


def test_timers_and_backoff_ask_the_injected_clock() -> None:
    class Slow(LoopClock):
        """Everything takes twice as long."""

        async def sleep(self, seconds: float) -> None:
            await super().sleep(2 * seconds)

    async def body() -> list[Any]:
        log: list[Any] = []
        async with Supervisor(clock=Slow(), restart=PLAIN, name="root") as supervisor:
            ref = await supervisor.spawn(lambda: After(log), name="a")
            await ref.tell("boom")
            await asyncio.sleep(100)
        return log

    assert virtual(body) == [2 + 10, "post_stop"]
