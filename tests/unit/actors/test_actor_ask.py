"""Every way in which an `ask` can end."""

import asyncio
from typing import Any

import pytest
from actor_kit import Ask, Boom, Do, Notebook, now, root, sleeps, virtual

from oya.actors import ActorRef, Supervisor
from oya.errors import ActorDead, ActorError, AskTimeout, MailboxFull


class Oracle(Notebook):
    async def handle(self, message: Any) -> None:
        if not isinstance(message, Ask):
            await super().handle(message)
        elif message.what == "refuse":
            message.reply.fail(Boom("refused"))
        elif message.what == "twice":
            message.reply.send(1)
            message.reply.send(2)
            message.reply.fail(Boom("late"))
        elif message.what == "crash":
            raise Boom("in hand")
        elif message.what == "later":
            self.start(self.answer(message), name="answer")
        elif message.what != "never":
            self.mine.append(message)
            await super().handle(message)

    async def answer(self, message: Ask) -> None:
        await asyncio.sleep(2)
        message.reply.send("at last")


async def oracle(supervisor: Supervisor) -> ActorRef[Any]:
    return await supervisor.spawn(lambda: Oracle([]), name="o")


def ask(ref: ActorRef[Any], what: str, timeout: float = 5) -> "asyncio.Task[Any]":
    return asyncio.create_task(ref.ask(lambda reply: Ask(reply, what), timeout=timeout))


def test_it_ends_with_the_first_answer() -> None:
    async def body() -> None:
        async with root() as supervisor:
            assert await ask(await oracle(supervisor), "twice") == 1

    virtual(body)


def test_it_ends_with_an_answer_from_a_child_task() -> None:
    async def body() -> None:
        async with root() as supervisor:
            assert await ask(await oracle(supervisor), "later") == "at last"
            assert now() == 2

    virtual(body)


def test_it_ends_with_the_error_that_was_answered_and_the_actor_lives() -> None:
    async def body() -> None:
        async with root() as supervisor:
            ref = await oracle(supervisor)
            with pytest.raises(Boom, match="refused"):
                await ask(ref, "refuse")
            assert await ask(ref, "twice") == 1

    virtual(body)


def test_it_ends_at_its_timeout_and_a_late_answer_is_ignored() -> None:
    async def body() -> None:
        async with root() as supervisor:
            ref = await oracle(supervisor)
            with pytest.raises(AskTimeout, match=r"o did not answer within 1\.5 s"):
                await ask(ref, "later", timeout=1.5)
            assert now() == 1.5
            with pytest.raises(AskTimeout):
                await ask(ref, "never", timeout=1)
            assert ref.alive

    virtual(body)


def test_it_ends_when_the_actor_crashes_with_the_question_in_hand() -> None:
    async def body() -> None:
        async with root() as supervisor:
            ref = await oracle(supervisor)
            with pytest.raises(ActorDead, match="crashed") as dead:
                await ask(ref, "crash")
            assert dead.value.message.what == "crash"
            assert now() == 0
            assert await ask(ref, "twice") == 1

    virtual(body)


def test_it_ends_when_the_actor_crashes_before_its_child_task_has_answered() -> None:
    async def body() -> None:
        async with root() as supervisor:
            ref = await oracle(supervisor)
            later = ask(ref, "later")
            await asyncio.sleep(1)
            await ref.tell("boom")
            with pytest.raises(ActorDead):
                await later
            assert now() == 1

    virtual(body)


def test_a_queued_question_survives_a_restart() -> None:
    async def body() -> None:
        async with root() as supervisor:
            ref = await oracle(supervisor)
            await ref.tell("boom")
            assert await ask(ref, "twice") == 1
            assert now() == 1

    virtual(body)


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_it_ends_when_the_actor_is_stopped_or_killed(end: str) -> None:
    async def body() -> None:
        async with root() as supervisor:
            ref = await oracle(supervisor)
            kept = ask(ref, "never", timeout=100)
            await asyncio.sleep(1)
            await ref.tell(Do(lambda actor: sleeps(2)))
            queued = ask(ref, "twice", timeout=100)
            await asyncio.sleep(1)
            await (ref.stop(timeout=50) if end == "stop" else ref.kill())
            for question in (kept, queued):
                with pytest.raises(ActorDead):
                    await question
            assert now() == (3 if end == "stop" else 2)
            with pytest.raises(ActorDead):
                await ask(ref, "twice")

    virtual(body)


def test_it_ends_when_there_is_no_room_within_its_timeout() -> None:
    async def body() -> None:
        async with root() as supervisor:
            ref = await oracle(supervisor)
            await ref.tell(Do(lambda actor: sleeps(100)))
            await asyncio.sleep(0)
            for number in range(4):
                await ref.tell(number)
            with pytest.raises(MailboxFull) as full:
                await ask(ref, "twice", timeout=3)
            assert full.value.message.what == "twice"
            assert now() == 3

    virtual(body)


def test_waiting_for_room_and_for_the_answer_share_one_timeout() -> None:
    async def body() -> None:
        async with root() as supervisor:
            ref = await oracle(supervisor)
            await ref.tell(Do(lambda actor: sleeps(3)))
            await asyncio.sleep(0)
            for number in range(4):
                await ref.tell(number)
            with pytest.raises(AskTimeout):
                await ask(ref, "never", timeout=5)
            assert now() == 5

    virtual(body)


def test_a_cancelled_question_that_is_still_queued_is_not_handled() -> None:
    async def body() -> int:
        actors: list[Oracle] = []

        def factory() -> Oracle:
            actors.append(Oracle([]))
            return actors[-1]

        async with root() as supervisor:
            ref = await supervisor.spawn(factory, name="o")
            await ref.tell(Do(lambda actor: sleeps(3)))
            question = ask(ref, "remember")
            await asyncio.sleep(1)
            question.cancel()
            await asyncio.sleep(5)
        return len(actors[0].mine)

    assert virtual(body) == 0


def test_an_actor_that_asks_itself_learns_at_once_that_it_cannot() -> None:
    async def asks_itself(actor: Any) -> None:
        with pytest.raises(ActorError, match="asked itself"):
            await actor.ref.ask(Ask, timeout=100)
        actor.log.append(now())

    async def body() -> list[Any]:
        log: list[Any] = []
        async with root() as supervisor:
            ref = await supervisor.spawn(lambda: Notebook(log), name="a")
            await ref.tell(Do(asks_itself))
            await asyncio.sleep(1)
        return log

    assert virtual(body) == ["pre_start", 0.0, "post_stop"]
