"""What an attempt leaves that no commit takes: the event of its end names it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from roles_kit import at
from swarm_kit import World

from oya.lifecycle.failures import FailureClass
from oya.swarm.attempt import Attempt, AttemptOver, Result, run_attempt
from oya.swarm.messages import Claim


async def beats(active: Callable[[], float]) -> None:
    return


async def ended(world: World, names: tuple[str, ...]) -> dict[str, object]:
    """The data of the event of an attempt that ends as red with these files, of 2 kB each."""

    async def work(attempt: Attempt) -> Result:
        for name in names:
            (attempt.workspace.path / name).write_bytes(b"x" * 2000)
        raise AttemptOver(FailureClass.GATE_RED, "red")

    epoch = await world.claimed("a")
    claim = Claim("a", epoch, 1, "agent-1", "agent", world.line.base, world.state("a"))
    await run_attempt(world.parts, claim, work, beats)
    return [r for r in await world.store.events.since(0) if r.event == "attempt_failed"][-1].data


async def test_the_event_of_an_attempt_that_failed_names_what_was_too_large(
    own_git: None, tmp_path: Path
) -> None:
    async with at(tmp_path, more='[workspace]\nmax_file = "1kB"\n') as world:
        data = await ended(world, ("big.bin", "model.bin"))
        assert data["left_out"] == ["big.bin", "model.bin"]
        assert data["head"]
        assert "left_out" not in await ended(world, ())
