"""Bounds, deadlines, order, overtaking."""

import asyncio
from typing import Any

import pytest
from actor_kit import Do, Notebook, now, root, sleeps, virtual

from oya.actors import ActorRef, Supervisor
from oya.errors import ActorDead, MailboxFull


async def busy(supervisor: Supervisor, log: list[Any], seconds: float = 10) -> ActorRef[Any]:
    """A notebook with a message in hand for so long."""
    ref = await supervisor.spawn(lambda: Notebook(log), name="a")
    await ref.tell(Do(lambda actor: sleeps(seconds)))
    await asyncio.sleep(0)
    return ref


def test_a_full_mailbox_waits_for_its_deadline_and_gives_the_message_back() -> None:
    async def body() -> list[Any]:
        log: list[Any] = []
        async with root() as supervisor:
            ref = await busy(supervisor, log)
            for number in range(4):
                await ref.tell(number, timeout=0)
            with pytest.raises(MailboxFull) as full:
                await ref.tell("too much", timeout=3)
            assert (full.value.message, now()) == ("too much", 3)
            with pytest.raises(MailboxFull):
                ref.try_tell("too much")
            assert now() == 3
            await asyncio.sleep(10)
        return log

    assert virtual(body) == ["pre_start", 0, 1, 2, 3, "post_stop"]


def test_the_default_deadline_is_five_seconds_and_none_is_as_long_as_it_lives() -> None:
    async def body() -> None:
        async with root() as supervisor:
            ref = await busy(supervisor, [], seconds=100)
            for number in range(4):
                await ref.tell(number)
            with pytest.raises(MailboxFull):
                await ref.tell("x")
            assert now() == 5
            await ref.tell("y", timeout=None)
            assert now() == 100

    virtual(body)


def test_senders_that_waited_keep_their_order_and_nobody_overtakes_them() -> None:
    async def body() -> list[Any]:
        log: list[Any] = []
        async with root() as supervisor:
            ref = await busy(supervisor, log)
            senders = [asyncio.create_task(ref.tell(number, timeout=60)) for number in range(10)]
            await asyncio.sleep(10)
            senders.append(asyncio.create_task(ref.tell("late", timeout=60)))
            await asyncio.gather(*senders)
            await asyncio.sleep(1)
        return log

    assert virtual(body) == ["pre_start", *range(10), "late", "post_stop"]


def test_a_sender_that_gave_up_or_was_cancelled_delivers_nothing() -> None:
    async def body() -> list[Any]:
        log: list[Any] = []
        async with root() as supervisor:
            ref = await busy(supervisor, log)
            for number in range(4):
                await ref.tell(number)
            gone = asyncio.create_task(ref.tell("cancelled", timeout=60))
            late = asyncio.create_task(ref.tell("gave up", timeout=1))
            kept = asyncio.create_task(ref.tell("kept", timeout=60))
            await asyncio.sleep(2)
            gone.cancel()
            await asyncio.wait([gone, late, kept])
            assert gone.cancelled()
            assert isinstance(late.exception(), MailboxFull)
            await asyncio.sleep(1)
        return log

    assert virtual(body) == ["pre_start", 0, 1, 2, 3, "kept", "post_stop"]


def test_control_messages_overtake_and_have_room_when_there_is_none_for_work() -> None:
    async def body() -> list[Any]:
        log: list[Any] = []
        async with root() as supervisor:
            ref = await busy(supervisor, log)
            for number in range(4):
                await ref.tell(number)
            await ref.tell("control 1", control=True, timeout=0)
            ref.try_tell("control 2", control=True)
            with pytest.raises(MailboxFull) as full:
                await ref.tell("control 3", control=True, timeout=1)
            assert full.value.message == "control 3"
            await asyncio.sleep(20)
        return log

    assert virtual(body) == ["pre_start", "control 1", "control 2", 0, 1, 2, 3, "post_stop"]


def test_an_actor_that_tells_itself_with_no_room_learns_it_at_once() -> None:
    async def fill(actor: Any) -> None:
        for number in range(4):
            await actor.ref.tell(number)
        with pytest.raises(MailboxFull):
            await actor.ref.tell(4, timeout=None)
        actor.log.append(now())

    async def body() -> list[Any]:
        log: list[Any] = []
        async with root() as supervisor:
            ref = await supervisor.spawn(lambda: Notebook(log), name="a")
            await ref.tell(Do(fill))
            await asyncio.sleep(1)
        return log

    assert virtual(body) == ["pre_start", 0.0, 0, 1, 2, 3, "post_stop"]


def test_its_child_task_may_wait_for_room() -> None:
    async def begin(actor: Any) -> None:
        async def report() -> None:
            for number in range(8):
                await actor.ref.tell(number)

        actor.start(report(), name="report")
        await asyncio.sleep(2)

    async def body() -> list[Any]:
        log: list[Any] = []
        async with root() as supervisor:
            ref = await supervisor.spawn(lambda: Notebook(log), name="a")
            await ref.tell(Do(begin))
            await asyncio.sleep(3)
        return log

    assert virtual(body) == ["pre_start", *range(8), "post_stop"]


def test_senders_that_wait_when_the_actor_stops_get_their_messages_back() -> None:
    async def body() -> None:
        async with root() as supervisor:
            ref = await busy(supervisor, [])
            for number in range(4):
                await ref.tell(number)
            waiting = asyncio.create_task(ref.tell("waiting", timeout=60))
            await asyncio.sleep(1)
            await ref.stop(timeout=60)
            error = waiting.exception()
            assert isinstance(error, ActorDead)
            assert error.message == "waiting"

    virtual(body)


def test_one_message_at_a_time() -> None:
    inside = 0

    async def alone(actor: Any) -> None:
        nonlocal inside
        inside += 1
        assert inside == 1
        await asyncio.sleep(1)
        inside -= 1

    async def body() -> float:
        async with root() as supervisor:
            ref = await supervisor.spawn(lambda: Notebook([]), name="a", policy="temporary")
            for _ in range(5):
                await ref.tell(Do(alone), timeout=60)
                await ref.tell(Do(alone), timeout=60, control=True)
            await asyncio.sleep(20)
            assert ref.alive
        return now()

    virtual(body)


def test_an_actor_that_never_runs_out_of_work_lets_others_live() -> None:
    class Busy(Notebook):
        async def handle(self, message: Any) -> None:
            self.ref.try_tell(message)

    async def body() -> None:
        async with root(deadline=0) as supervisor:
            ref = await supervisor.spawn(lambda: Busy([]), name="a")
            await ref.tell("again")
            for _ in range(10):
                await asyncio.sleep(0)
            await ref.stop(timeout=1)

    virtual(body)


def test_room_that_comes_in_the_moment_of_the_deadline_goes_to_the_next_who_waits() -> None:
    async def body() -> list[Any]:
        log: list[Any] = []
        async with root() as supervisor:
            ref = await busy(supervisor, log, seconds=3)
            for number in range(4):
                await ref.tell(number)
            late = asyncio.create_task(ref.tell("late", timeout=3))
            patient = asyncio.create_task(ref.tell("patient", timeout=4))
            await asyncio.wait([late, patient])
            assert isinstance(late.exception(), MailboxFull)
            assert now() == 3
            await asyncio.sleep(1)
        return log

    assert virtual(body) == ["pre_start", 0, 1, 2, 3, "patient", "post_stop"]
