"""One attempt of a role on a real repository, with real gates and a backend that is a function.

A suite is judged in a few milliseconds: a file `tests/NAME.py` has one test a line, `CASE PATH
WORD`, which passes where the file PATH has WORD; with `say N` before it, a red one says N lines.
"""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from swarm_kit import World, contract

from oya.agents.port import Stood, Task, TurnEnd, never
from oya.lifecycle.model import BeadState, Phase
from oya.processes.port import Ended
from oya.swarm.agents.base import AgentActor
from oya.swarm.attempt import Attempt, Result
from oya.swarm.contract import Contract
from oya.swarm.messages import Claim

SUITE = """\
import pathlib, sys
from xml.sax.saxutils import quoteattr
cases, red, n = [], 0, 0
for file in sorted(pathlib.Path("tests").glob("*.py")):
    for line in file.read_text().splitlines():
        name, path, word, *say = line.split()
        there = pathlib.Path(path)
        ok = there.is_file() and word in there.read_text()
        long = "".join(f"&#10;line {i} of {name}" for i in range(int(say[0]) if say else 0))
        why = f'<failure message="AssertionError: {path} lacks {word}">{long}</failure>'
        cases.append(
            f'<testcase classname="tests.{file.stem}" file="{file}" name={quoteattr(name)}>'
            + ("" if ok else why) + "</testcase>"
        )
        red, n = red + (not ok), n + 1
pathlib.Path(sys.argv[1]).write_text(f"<testsuite>{''.join(cases)}</testsuite>")
sys.exit(1 if red else 0 if n else 5)
"""
EPOCHS = count(1)
Play = Callable[[Path, int], dict[str, Any] | None]
"""What the agent does in a turn: given its folder and the number of the turn, from 1; its
answer, if it gives one."""


@dataclass
class Session:
    """`AgentSession`; `heard` is what it was told."""

    task: Task
    play: Play
    heard: list[str]
    last_activity: float = 0.0

    async def prompt(
        self, text: str, *, stall: float, deadline: float, stood: Stood = never
    ) -> TurnEnd:
        self.heard.append(text)
        answer = self.play(self.task.workspace, len(self.heard))
        if answer is not None:
            out = self.task.workspace / f".oya/out/{self.task.role}.json"
            out.write_text(json.dumps(answer))
        return TurnEnd("end_turn")

    async def close(self) -> Ended:
        return Ended(0, None, False, 0.0, 0.0)


@dataclass
class FunctionBackend:
    """`Backend`."""

    play: Play
    heard: list[str] = field(default_factory=list)
    name: str = "agent"
    kind: str = "function"

    async def open(self, task: Task) -> Session:
        return Session(task, self.play, self.heard)


@asynccontextmanager
async def at(
    tmp_path: Path,
    *,
    more: str = "",
    gates: str = "",
    before: str = "",
    after: str = "",
    **about: Any,
) -> AsyncIterator[World]:
    """A world with a tests gate; `gates` are lines of [quality-gates], `more` other sections,
    `before` and `after` stand around the command of the tests."""
    (tmp_path / "suite.py").write_text(SUITE)
    command = f"{before}{sys.executable} -S -E {tmp_path / 'suite.py'} {{report}}{after}"
    config = f"{gates}\n[quality-gates.tests]\ncommand = {json.dumps(command)}\n{more}"
    async with World.at(tmp_path, more=config, **about) as world:
        yield world


async def write_contract(world: World, play: Play) -> tuple[Result, list[str]]:
    """One attempt of a test writer on the newest base, and what it was told."""
    from oya.swarm.agents.test_writer import TestWriterActor

    epoch = next(EPOCHS)
    state = BeadState("a", phase=Phase.CONTRACT, agent="x-1", epoch=epoch)
    claim = Claim("a", epoch, 1, "x-1", "agent", world.line.base, state)
    return await _attempt(world, claim, TestWriterActor, play)


async def implement(
    world: World, accepted: Contract, play: Play, **about: Any
) -> tuple[Result, list[str]]:
    """One attempt of an implementer at this contract; `about` are fields of the bead's state."""
    from oya.swarm.agents.implementer import ImplementerActor

    await world.store.contracts.put("a", accepted.to_json())
    epoch = next(EPOCHS)
    known = {"contract": accepted.commit, "base": accepted.base, "agent": "x-1", "epoch": epoch}
    state = BeadState("a", phase=Phase.IMPLEMENTATION, **{**known, **about})
    claim = Claim("a", epoch, 1, "x-1", "agent", world.line.base, state)
    return await _attempt(world, claim, ImplementerActor, play)


async def plan(world: World, accepted: Contract, play: Play) -> tuple[Result, list[str]]:
    """One attempt of a planner at this contract."""
    from oya.swarm.agents.planner import PlannerActor

    await world.store.contracts.put("a", accepted.to_json())
    epoch = next(EPOCHS)
    state = BeadState(
        "a",
        phase=Phase.CONTRACT,
        checking=True,
        contract=accepted.commit,
        base=accepted.base,
        agent="x-1",
        epoch=epoch,
    )
    claim = Claim("a", epoch, 1, "x-1", "agent", world.line.base, state)
    return await _attempt(world, claim, PlannerActor, play)


async def _attempt(
    world: World, claim: Claim, actor: type[AgentActor], play: Play
) -> tuple[Result, list[str]]:
    backend = FunctionBackend(play)
    world.parts.backends = {"agent": backend}
    nobody: Any = None
    async with Attempt(world.parts, claim) as attempt:
        return await actor(world.parts, "x-1", "agent", nobody, nobody).work(attempt), backend.heard


async def contracted(world: World, files: dict[str, str | None], **about: Any) -> Contract:
    """A contract on the newest base that adds these files."""
    base = world.line.base
    commit = await world.made(base, files)
    return contract("a", commit, **{"base": base, "test_files": tuple(files), **about})
