"""Virtual time, the seed's choice, and deadlocks that say who waits."""

import asyncio
import time

import pytest

from oya.testing.loop import Deadlock, VirtualLoop, run_virtual


def order_of(seed: int | None, tasks: int = 8) -> list[int]:
    async def main() -> list[int]:
        seen: list[int] = []

        async def one(number: int) -> None:
            for _ in range(3):
                await asyncio.sleep(0)
                seen.append(number)

        await asyncio.gather(*(one(number) for number in range(tasks)))
        return seen

    return run_virtual(main, seed=seed)


def test_a_year_of_virtual_time_passes_at_once() -> None:
    async def main() -> float:
        await asyncio.sleep(365 * 86_400)
        return asyncio.get_running_loop().time()

    before = time.monotonic()
    assert run_virtual(main) == 365 * 86_400
    assert time.monotonic() - before < 1


def test_without_a_seed_the_order_is_first_come_first_served() -> None:
    assert order_of(None) == list(range(8)) * 3


def test_the_same_seed_gives_the_same_order_and_another_seed_another() -> None:
    assert order_of(7) == order_of(7)
    assert len({tuple(order_of(seed)) for seed in range(5)}) == 5


def test_the_seed_keeps_each_tasks_own_order_and_the_order_of_callbacks() -> None:
    async def main() -> list[int]:
        seen: list[int] = []
        for number in range(20):
            asyncio.get_running_loop().call_soon(seen.append, number)
        await asyncio.sleep(0)
        return seen

    assert run_virtual(main, seed=3) == list(range(20))


def test_timers_of_the_same_moment_fire_in_the_order_in_which_they_were_set() -> None:
    async def main() -> list[int]:
        seen: list[int] = []
        loop = asyncio.get_running_loop()
        for number in range(50):
            loop.call_at(5, seen.append, number)
        await asyncio.sleep(6)
        return seen

    assert run_virtual(main) == list(range(50))


def test_cancelled_timers_never_fire_and_are_forgotten() -> None:
    async def main() -> tuple[list[str], int]:
        seen: list[str] = []
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        handles = [loop.call_later(1, seen.append, "no") for _ in range(1000)]
        loop.call_later(1, seen.append, "yes")
        for handle in handles:
            handle.cancel()
        kept = len(loop._timers)
        await asyncio.sleep(2)
        return seen, kept

    seen, kept = run_virtual(main)
    assert seen == ["yes"]
    assert kept < 300


def test_a_deadlock_is_an_error_that_names_who_waits() -> None:
    async def forever() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        await asyncio.gather(asyncio.create_task(forever(), name="the-one-that-waits"))

    with pytest.raises(Deadlock, match=r"the-one-that-waits at .*locks\.py:\d+"):
        run_virtual(main)


def test_tasks_left_behind_are_cancelled_in_the_order_in_which_they_were_made() -> None:
    ended: list[int] = []

    async def one(number: int) -> None:
        try:
            await asyncio.sleep(1000)
        finally:
            ended.append(number)

    async def main() -> None:
        main.kept = [asyncio.create_task(one(number)) for number in range(30)]  # type: ignore[attr-defined]
        await asyncio.sleep(1)

    run_virtual(main)
    assert ended == list(range(30))


def test_there_are_no_threads() -> None:
    async def main() -> None:
        await asyncio.to_thread(time.monotonic)

    with pytest.raises(RuntimeError, match="no threads"):
        run_virtual(main)


def test_timeouts_run_on_virtual_time() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await asyncio.Event().wait()
        return asyncio.get_running_loop().time()

    assert run_virtual(main) == 30
