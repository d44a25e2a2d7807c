"""An agent that asks for a gate in its turn, through the program, with real gates."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from swarm_kit import World

from oya.agents import oya_gate
from oya.agents.port import AgentSession, Stood, Task, TurnEnd, never
from oya.lifecycle.failures import FailureClass
from oya.processes.port import Ended
from oya.swarm import asking
from oya.swarm.attempt import Attempt, AttemptOver, Result, run_attempt
from oya.swarm.messages import Claim
from repository_kit import git, isolate, write

Turn = Callable[[Path], Awaitable[None]]


class Asking:
    """A backend whose turn is a function of the workspace."""

    name = kind = "agent"
    last_activity = 0.0

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self.stood: Stood = never
        self._workspace = Path()

    async def open(self, task: Task) -> AgentSession:
        self._workspace = task.workspace
        return self

    async def prompt(
        self, text: str, *, stall: float, deadline: float, stood: Stood = never
    ) -> TurnEnd:
        self.stood = stood
        await self._turn(self._workspace)
        return TurnEnd("end_turn")

    async def close(self) -> Ended:
        return Ended(0, None, False, 0.0, 0.0)


async def ask(workspace: Path, gate: str = "tests") -> tuple[int | None, str]:
    """What the program says there, and its exit code."""
    program = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-S", "-E", oya_gate.__file__, gate,
        env={"PATH": os.environ["PATH"], "OYA_WORKSPACE": str(workspace)},
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await asyncio.wait_for(program.communicate(), 60)
    return program.returncode, out.decode()


async def nothing(attempt: Attempt) -> None:
    """What is done after the turn, where nothing is."""


async def attempt(
    world: World, turn: Turn, after: Callable[[Attempt], Awaitable[None]] = nothing
) -> None:
    world.parts.backends["agent"] = Asking(turn)
    epoch = await world.claimed("a")
    claim = Claim("a", epoch, 1, "agent-1", "agent", world.line.base, world.state("a"))

    async def work(attempt: Attempt) -> Result:
        await attempt.prompt("do it")
        await after(attempt)
        raise AttemptOver(FailureClass.CANCELLED, "enough")

    async def beats(active: Callable[[], float]) -> None:
        return

    failure, reason, _ = await run_attempt(world.parts, claim, work, beats)
    assert (failure, reason) == (FailureClass.CANCELLED, "enough")


async def test_the_evidence_is_that_of_the_attempt_itself(world: World) -> None:
    said = list[tuple[int | None, str]]()
    reused = list[bool]()

    async def turn(workspace: Path) -> None:
        write(workspace, {"red.txt": "1"})
        said.append(await ask(workspace))
        (workspace / "red.txt").unlink()
        write(workspace, {"new.txt": "1"})
        git(workspace, "add", "-A")
        before = git(workspace, "status", "--porcelain")
        said.append(await ask(workspace))
        assert git(workspace, "status", "--porcelain") == before
        said.append(await ask(workspace))

    async def after(attempt: Attempt) -> None:
        head = await attempt.head()
        changed = await attempt.parts.repo.diff(attempt.workspace.start, head.commit)
        assert [change.path for change in changed] == ["new.txt"]
        reused.append((await attempt.parts.gates.tests(head.commit)).reused)
        parents = git(world.folder, "log", "-1", "--format=%P", head.commit)
        assert parents == attempt.workspace.start

    await attempt(world, turn, after)
    assert [code for code, _ in said] == [1, 0, 0]
    assert "exited with 1" in said[0][1]
    assert "is green" in said[1][1]
    assert "judged before" in said[2][1]
    assert reused == [True]


async def test_there_is_an_end_to_asking(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "MOST", 1)
    codes = list[int | None]()

    async def turn(workspace: Path) -> None:
        for _ in range(2):
            codes.append((await ask(workspace))[0])

    await attempt(world, turn)
    assert codes == [0, 2]


async def test_when_the_turn_is_over_nobody_listens(world: World) -> None:
    left = list[str]()

    async def after(attempt: Attempt) -> None:
        left.extend(path.name for path in (attempt.workspace.path / ".oya" / "gate").iterdir())

    async def turn(workspace: Path) -> None:
        assert (workspace / ".oya" / "gate" / "alive").exists()

    await attempt(world, turn, after)
    assert left == []


async def test_while_a_gate_runs_oya_shows_life_and_the_clock_of_the_attempt_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    isolate(monkeypatch, tmp_path / "home")
    monkeypatch.setattr(asking, "BEAT", 0.05)
    go = tmp_path / "go"

    async def turn(workspace: Path) -> None:
        alive = workspace / ".oya" / "gate" / "alive"
        backend = world.parts.backends["agent"]
        assert isinstance(backend, Asking)
        stood = backend.stood
        assert stood() == 0
        seen = set[int]()
        running = asyncio.ensure_future(ask(workspace))
        while len(seen) < 4:
            seen.add(alive.stat().st_mtime_ns)
            await asyncio.sleep(0.01)
        world.clock.ahead += 1000.0
        assert 1000 <= stood() < 1900
        go.touch()
        assert (await running)[0] == 0
        assert 1000 <= stood() < 1900

    async def after(attempt: Attempt) -> None:
        assert attempt._turn_seconds < 900.0

    ci = f"while ! test -e {go}; do sleep 0.02; done"
    async with World.at(tmp_path, ci=ci) as world:
        await attempt(world, turn, after)
