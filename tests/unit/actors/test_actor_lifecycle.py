"""From spawn to the end: start, stop, kill, child tasks, cancellation."""

import asyncio
from typing import Any

import pytest
from actor_kit import Boom, Do, Notebook, kinds, now, root, sleeps, virtual

from oya.actors import Actor, ActorFailed, ActorTerminated
from oya.errors import ActorDead, ActorError


def test_an_actor_starts_handles_in_order_and_says_goodbye() -> None:
    async def body() -> None:
        log: list[Any] = []
        async with root() as supervisor:
            ref = await supervisor.spawn(lambda: Notebook(log), name="a")
            assert log == ["pre_start"]
            for number in range(20):
                await ref.tell(number)
            assert await ref.ask(lambda reply: _ask(reply), timeout=1) == list(range(20))
            await ref.stop(timeout=1)
            assert not ref.alive
        assert log == ["pre_start", *range(20), "post_stop"]

    virtual(body)


def _ask(reply: Any) -> Any:
    from actor_kit import Ask

    return Ask(reply)


def test_ref_clock_and_name_are_there_in_pre_start() -> None:
    seen: list[Any] = []

    class Curious(Actor[None]):
        async def pre_start(self) -> None:
            seen.extend([self.ref.name, self.name, self.clock.monotonic()])

        async def handle(self, message: None) -> None: ...

    async def body() -> None:
        async with root() as supervisor:
            await supervisor.spawn(Curious, name="curious")

    virtual(body)
    assert seen == ["curious", "curious", 0.0]


def test_stop_finishes_the_message_in_hand_and_drops_the_queue() -> None:
    async def body() -> tuple[list[Any], list[Any]]:
        log: list[Any] = []
        events: list[Any] = []
        async with root(events=events) as supervisor:
            ref = await supervisor.spawn(lambda: Notebook(log), name="a")
            await ref.tell(Do(lambda actor: sleeps(3, log, "in hand")))
            await asyncio.sleep(1)
            await ref.tell("queued")
            await ref.stop(timeout=10)
            assert now() == 3
        return log, events

    log, events = virtual(body)
    assert log == ["pre_start", "in hand", "post_stop"]
    assert (events[-1].reason, events[-1].dropped) == ("stopped", 1)


def test_stop_kills_what_does_not_end_in_time() -> None:
    async def body() -> tuple[list[Any], str, float]:
        log: list[Any] = []
        events: list[Any] = []
        async with root(events=events) as supervisor:
            ref = await supervisor.spawn(lambda: Notebook(log), name="a")
            await ref.tell(Do(lambda actor: sleeps(1000)))
            await asyncio.sleep(1)
            await ref.stop(timeout=5)
            return log, events[-1].reason, now()

    assert virtual(body) == (["pre_start"], "killed", 6)


def test_kill_ends_at_once_without_post_stop_and_is_no_crash() -> None:
    async def body() -> list[str]:
        events: list[Any] = []
        log: list[Any] = []
        async with root(events=events) as supervisor:
            ref = await supervisor.spawn(lambda: Notebook(log), name="a")
            await ref.tell(Do(lambda actor: sleeps(1000, log, "cleaned up")))
            await asyncio.sleep(1)
            await ref.kill()
            assert now() == 1
            await ref.wait()
        assert log == ["pre_start", "cleaned up"]
        assert events[-1].reason == "killed"
        return kinds(events)

    assert virtual(body) == ["ActorStarted(a)", "ActorTerminated(a)"]


def test_a_handler_that_swallows_the_cancel_ends_all_the_same() -> None:
    async def stubborn(actor: Any) -> None:
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            actor.log.append("swallowed")

    async def body() -> list[Any]:
        log: list[Any] = []
        async with root() as supervisor:
            ref = await supervisor.spawn(lambda: Notebook(log), name="a")
            await ref.tell(Do(stubborn))
            await asyncio.sleep(1)
            await ref.kill()
        return log

    assert virtual(body) == ["pre_start", "swallowed"]


def test_kill_says_so_when_the_clean_up_does_not_end() -> None:
    async def slow(actor: Any) -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            await asyncio.sleep(20)

    async def body() -> None:
        async with root() as supervisor:
            ref = await supervisor.spawn(lambda: Notebook([]), name="a")
            await ref.tell(Do(slow))
            await asyncio.sleep(1)
            with pytest.raises(ActorError, match="has not ended"):
                await ref.kill()
            assert now() == 6
            await ref.wait()
            assert now() == 21

    virtual(body)


def test_a_dead_actor_gives_the_message_back() -> None:
    async def body() -> None:
        async with root() as supervisor:
            ref = await supervisor.spawn(lambda: Notebook([]), name="a")
            await ref.stop(timeout=1)
            with pytest.raises(ActorDead) as told:
                await ref.tell("hello")
            with pytest.raises(ActorDead) as tried:
                ref.try_tell("hullo", control=True)
            assert (told.value.message, tried.value.message) == ("hello", "hullo")

    virtual(body)


def test_an_actor_that_cannot_start_is_the_spawners_error_and_leaves_nothing() -> None:
    class Broken(Notebook):
        async def pre_start(self) -> None:
            raise Boom("no")

    async def body() -> list[str]:
        events: list[Any] = []
        async with root(events=events) as supervisor:
            with pytest.raises(Boom):
                await supervisor.spawn(lambda: Broken([]), name="a")
            assert supervisor.children == ()
            await supervisor.spawn(lambda: Notebook([]), name="a")
        return kinds(events)

    assert virtual(body)[:2] == ["ActorFailed(a)", "ActorTerminated(a)"]


def test_a_cancelled_spawn_leaves_nothing() -> None:
    class Slow(Notebook):
        async def pre_start(self) -> None:
            await asyncio.sleep(1000)

    async def body() -> None:
        async with root() as supervisor:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(2):
                    await supervisor.spawn(lambda: Slow([]), name="a")
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert supervisor.children == ()

    virtual(body)


def test_child_tasks_are_cancelled_in_spawn_order_before_post_stop() -> None:
    async def begin(actor: Any) -> None:
        for number in range(30):
            actor.start(sleeps(1000, actor.log, number), name=f"work-{number}")

    async def body() -> list[Any]:
        log: list[Any] = []
        async with root() as supervisor:
            ref = await supervisor.spawn(lambda: Notebook(log), name="a")
            await ref.tell(Do(begin))
            await asyncio.sleep(1)
            await ref.stop(timeout=1)
        return log

    assert virtual(body) == ["pre_start", *range(30), "post_stop"]


def test_an_error_in_a_child_task_crashes_the_actor_in_the_middle_of_a_message() -> None:
    async def fails() -> None:
        await asyncio.sleep(2)
        raise Boom("child")

    async def begin(actor: Any) -> None:
        actor.start(fails(), name="fails")
        actor.start(sleeps(1000, actor.log, "cancelled"), name="other")
        await asyncio.sleep(1000)

    async def body() -> tuple[list[Any], ActorFailed]:
        log: list[Any] = []
        events: list[Any] = []
        async with root(events=events) as supervisor:
            ref = await supervisor.spawn(lambda: Notebook(log), name="a")
            message = Do(begin)
            await ref.tell(message)
            await asyncio.sleep(5)
            assert events[1].message is message
        return log, events[1]

    log, failed = virtual(body)
    assert isinstance(failed.error, Boom)
    assert failed.restarting
    assert log == ["pre_start", "cancelled", "pre_start", "post_stop"]


def test_a_cancelled_child_task_is_no_crash() -> None:
    async def begin(actor: Any) -> None:
        actor.start(sleeps(1000), name="work").cancel()

    async def body() -> list[str]:
        events: list[Any] = []
        async with root(events=events) as supervisor:
            ref = await supervisor.spawn(lambda: Notebook([]), name="a")
            await ref.tell(Do(begin))
            await asyncio.sleep(5)
            assert ref.alive
        return kinds(events)

    assert virtual(body) == ["ActorStarted(a)", "ActorTerminated(a)"]


def test_awaiting_something_cancelled_by_others_is_a_crash_not_an_end() -> None:
    async def awaits_cancelled(actor: Any) -> None:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    async def body() -> list[Any]:
        events: list[Any] = []
        async with root(events=events) as supervisor:
            ref = await supervisor.spawn(lambda: Notebook([]), name="a")
            await ref.tell(Do(awaits_cancelled))
            await asyncio.sleep(5)
            assert ref.alive
        return events

    events = virtual(body)
    assert isinstance(events[1], ActorFailed)
    assert events[1].restarting
    assert isinstance(events[1].error, ActorError)


def test_cancelling_the_supervisors_body_is_an_end_not_a_crash() -> None:
    events: list[Any] = []
    log: list[Any] = []

    async def tree() -> None:
        async with root(events=events) as supervisor:
            await supervisor.spawn(lambda: Notebook(log), name="a")
            await asyncio.sleep(1000)

    async def body() -> None:
        task = asyncio.create_task(tree())
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    virtual(body)
    assert log == ["pre_start", "post_stop"]
    assert kinds(events) == ["ActorStarted(a)", "ActorTerminated(a)"]


def test_nothing_is_started_outside_of_an_actors_life() -> None:
    async def body() -> None:
        actors: list[Notebook] = []

        def factory() -> Notebook:
            actors.append(Notebook([]))
            return actors[-1]

        async with root() as supervisor:
            ref = await supervisor.spawn(factory, name="a")
            await ref.stop(timeout=1)
            with pytest.raises(ActorError):
                actors[0].start(sleeps(1), name="late")
        with pytest.raises(ActorError):
            Notebook([]).start(sleeps(1), name="early")

    virtual(body)


def test_an_actor_that_stops_itself_does_not_wait_for_itself() -> None:
    async def end(actor: Any) -> None:
        await actor.ref.stop(timeout=100)
        actor.log.append("still in the handler")

    async def body() -> list[Any]:
        log: list[Any] = []
        events: list[Any] = []
        async with root(events=events) as supervisor:
            ref = await supervisor.spawn(lambda: Notebook(log), name="a", policy="transient")
            await ref.tell(Do(end))
            await ref.wait()
            assert now() == 0
        assert isinstance(events[-1], ActorTerminated)
        assert events[-1].reason == "stopped"
        return log

    assert virtual(body) == ["pre_start", "still in the handler", "post_stop"]


def test_a_task_below_a_child_task_may_stop_the_actor_too() -> None:
    async def deep(actor: Any) -> None:
        async def end() -> None:
            await actor.ref.stop(timeout=100)

        async def middle() -> None:
            await asyncio.gather(end())

        actor.start(middle(), name="middle")

    async def body() -> None:
        log: list[Any] = []
        async with root() as supervisor:
            ref = await supervisor.spawn(lambda: Notebook(log), name="a", policy="transient")
            await ref.tell(Do(deep))
            await ref.wait()
            assert (now(), log) == (0, ["pre_start", "post_stop"])

    virtual(body)


def test_an_actor_cannot_wait_for_its_own_end() -> None:
    async def body() -> None:
        events: list[Any] = []
        async with root(events=events) as supervisor:
            ref = await supervisor.spawn(lambda: Notebook([]), name="a", policy="temporary")
            await ref.tell(Do(lambda actor: actor.ref.wait()))
            await ref.wait()
        assert "its own end" in str(events[1].error)

    virtual(body)


def test_while_it_stops_its_own_closed_mailbox_crashes_nobody() -> None:
    async def reports(actor: Any) -> None:
        async def later() -> None:
            await asyncio.sleep(1.5)
            await actor.ref.tell("from a child task")

        actor.start(later(), name="later")
        await asyncio.sleep(2)
        await actor.ref.tell("from the handler")

    async def body() -> tuple[list[Any], list[str]]:
        log: list[Any] = []
        events: list[Any] = []
        async with root(events=events) as supervisor:
            ref = await supervisor.spawn(lambda: Notebook(log), name="a")
            await ref.tell(Do(reports))
            await asyncio.sleep(1)
            await ref.stop(timeout=10)
        return log, kinds(events)

    log, seen = virtual(body)
    assert log == ["pre_start", "post_stop"]
    assert seen == ["ActorStarted(a)", "ActorTerminated(a)"]


def test_a_handler_that_swallows_the_failure_of_a_child_task_does_not_hide_it() -> None:
    async def fails() -> None:
        raise Boom("child")

    async def stubborn(actor: Any) -> None:
        actor.start(fails(), name="fails")
        try:
            await asyncio.sleep(1000)
        except asyncio.CancelledError:
            actor.log.append("swallowed")

    async def body() -> list[Any]:
        events: list[Any] = []
        async with root(events=events) as supervisor:
            ref = await supervisor.spawn(lambda: Notebook([]), name="a")
            await ref.tell(Do(stubborn))
            await asyncio.sleep(5)
        return events

    failed = virtual(body)[1]
    assert isinstance(failed, ActorFailed)
    assert isinstance(failed.error, Boom)
    assert failed.restarting
