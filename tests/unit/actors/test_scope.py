"""The task group: order of cancelling, errors, cancellation from outside."""

import asyncio
from typing import Any

import pytest
from actor_kit import Boom, now, sleeps, virtual

from oya.actors import Scope
from oya.errors import ActorError


async def fails(seconds: float, what: str = "boom") -> None:
    await asyncio.sleep(seconds)
    raise Boom(what)


def test_leaving_waits_for_the_children() -> None:
    async def body() -> None:
        async with Scope() as scope:
            task = scope.start(asyncio.sleep(3, "result"), name="child")
        assert (task.result(), task.get_name(), now()) == ("result", "child", 3)

    virtual(body)


def test_children_are_cancelled_in_spawn_order() -> None:
    async def body() -> list[Any]:
        log: list[Any] = []
        async with Scope() as scope:
            for number in range(50):
                scope.start(sleeps(1000, log, number), name=str(number))
            await asyncio.sleep(1)
            scope.cancel()
        assert now() == 1
        return log

    assert virtual(body) == list(range(50))


def test_a_failing_child_cancels_the_body_and_the_others_and_its_error_is_raised() -> None:
    async def body() -> None:
        log: list[Any] = []
        with pytest.raises(Boom):
            async with Scope() as scope:
                scope.start(sleeps(1000, log, "other"), name="other")
                scope.start(fails(2), name="fails")
                await sleeps(1000, log, "body")
        assert (log, now()) == (["body", "other"], 2)
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        await asyncio.sleep(1)

    virtual(body)


def test_a_child_that_fails_while_leaving_waits_cancels_the_others() -> None:
    async def body() -> None:
        with pytest.raises(Boom):
            async with Scope() as scope:
                scope.start(sleeps(1000), name="other")
                scope.start(fails(2), name="fails")
        assert now() == 2

    virtual(body)


def test_no_error_is_lost() -> None:
    async def fails_when_cancelled() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            raise Boom("second")

    async def body() -> None:
        with pytest.raises(ExceptionGroup) as raised:
            async with Scope("s") as scope:
                scope.start(fails_when_cancelled(), name="a")
                scope.start(fails(1, "first"), name="b")
                try:
                    await asyncio.sleep(1000)
                except asyncio.CancelledError:
                    raise Boom("third") from None
        assert [str(error) for error in raised.value.exceptions] == ["first", "second", "third"]

    virtual(body)


def test_an_error_of_the_body_cancels_the_children_and_is_raised() -> None:
    async def body() -> None:
        log: list[Any] = []
        with pytest.raises(Boom):
            async with Scope() as scope:
                scope.start(sleeps(1000, log, "child"), name="child")
                await asyncio.sleep(1)
                raise Boom
        assert log == ["child"]

    virtual(body)


def test_a_cancelled_child_has_not_failed() -> None:
    async def body() -> None:
        async with Scope() as scope:
            scope.start(sleeps(1000), name="child").cancel()
            await asyncio.sleep(1)
        assert not scope.failed

    virtual(body)


@pytest.mark.parametrize("leaving", [True, False])
def test_a_cancel_from_outside_reaches_the_children_and_goes_on(leaving: bool) -> None:
    log: list[Any] = []

    async def host() -> None:
        async with Scope() as scope:
            scope.start(sleeps(1000, log, "child"), name="child")
            if not leaving:
                await asyncio.sleep(1000)

    async def body() -> None:
        task = asyncio.create_task(host())
        await asyncio.sleep(1)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        assert (log, now()) == (["child"], 1)

    virtual(body)


def test_it_waits_for_a_childs_clean_up_and_a_second_cancel_is_passed_on() -> None:
    log: list[str] = []

    async def slow() -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            try:
                await asyncio.sleep(50)
                log.append("cleaned up")
            except asyncio.CancelledError:
                log.append("hurried")

    async def host() -> None:
        async with Scope() as scope:
            scope.start(slow(), name="slow")

    async def body() -> None:
        first, second = asyncio.create_task(host()), asyncio.create_task(host())
        await asyncio.sleep(1)
        first.cancel()
        second.cancel()
        await asyncio.sleep(1)
        second.cancel()
        await asyncio.wait([first, second])
        assert now() == 51

    virtual(body)
    assert log == ["hurried", "cleaned up"]


def test_nothing_starts_before_or_after() -> None:
    async def body() -> None:
        scope = Scope("s")
        with pytest.raises(ActorError, match="late was not started: s is not open"):
            scope.start(sleeps(1), name="late")
        async with scope:
            pass
        with pytest.raises(ActorError):
            scope.start(sleeps(1), name="late")

    virtual(body)
