"""Backends on the simulated machine: agents that work well, badly, or not at all.

What an agent does in an attempt is drawn from seed, bead, role and the number of the
attempt, and from nothing else, so that it does not depend on who ran before whom.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from oya.agents.classify import BackendRefused
from oya.agents.port import Stood, Task, TurnEnd, never
from oya.lifecycle.failures import FailureClass
from oya.lifecycle.model import Role
from oya.processes.port import Ended
from oya.testing.simulation.life import Life
from oya.testing.simulation.plan import BeadPlan, Plan
from oya.testing.simulation.workspaces import Folder, FolderDisk, answer_name

SLOWEST = 3.0
"""Seconds that a turn takes at most, where nothing is in its way."""

SLOWEST_END = 0.8
"""Seconds that a program takes to end when it is told to."""

BAD: dict[Role, tuple[str, ...]] = {
    Role.TEST_WRITER: ("green", "stray", "garbage", "done", "needs person"),
    Role.PLANNER: ("revise", "revise", "cannot"),
    Role.IMPLEMENTER: ("lie", "lie on", "frozen", "frozen again", "lax", "lax", "wrong", "done"),
    Role.REVIEWER: ("forfeit", "unfair", "wrong", "done"),
}
ANY_BAD = ("crash", "half", "stuck", "empty", "mute", "limit", "down", "slow")


NOTICES = 0.15
"""How often an agent notices other work."""
GUARDED = ".ci"
"""A folder whose files are protected."""
WIDE = "src/wide.x"
"""What a refactoring may not touch, and touches at first."""


def deed_of(plan: Plan, task: Task) -> str:
    """How the agent of this attempt will do: `good`, or how not."""
    chance = random.Random(f"{plan.seed}/{task.bead}/{task.role}/{task.attempt}")  # noqa: S311
    if chance.random() >= plan.harsh:
        return "good"
    return chance.choice(BAD[task.role] + ANY_BAD)


def with_noticed(plan: Plan, task: Task, answer: bytes | None) -> bytes | None:
    """The answer, sometimes with other work that the agent has noticed."""
    chance = random.Random(f"{plan.seed}/{task.bead}/{task.role}/{task.attempt} saw")  # noqa: S311
    if answer is None or chance.random() >= NOTICES or not answer.endswith(b"}"):
        return answer
    titles = [f"{task.role} {task.attempt} saw {n}" for n in range(chance.randrange(1, 4))]
    more = {"discovered": [{"title": title, "description": "look"} for title in titles]}
    return _json(**json.loads(answer), **more)


@dataclass
class AgentWorld:
    """What agents need of the world. `refusing`: the class with which a provider refuses now,
    and the seconds until it ceases to, where it tells them.

    `deed` chooses what the agent of an attempt does, where it is not calm.
    """

    plan: Plan
    folders: FolderDisk
    life: Life
    calm: Callable[[], bool]
    refusing: Callable[[str], tuple[FailureClass, float | None] | None]
    now: Callable[[], float]
    deed: Callable[[Plan, Task], str] = deed_of
    sessions: dict[str, SimulatedSession] = field(default_factory=dict)


class SimulatedBackend:
    """`agents.port.Backend`."""

    kind = "simulated"

    def __init__(self, name: str, world: AgentWorld) -> None:
        self.name = name
        self._world = world

    async def open(self, task: Task) -> SimulatedSession:
        """See `Backend.open`."""
        life = self._world.life
        await life.turn("agent open", life.some(0.2))
        refused = self._world.refusing(self.name)
        if refused is not None and (refused[0] is FailureClass.AUTH or life.random.random() < 0.3):
            what = f"the simulated provider says {refused[0]}"
            raise BackendRefused(what, refused[0], resets_in=refused[1])
        session = SimulatedSession(self.name, self._world, task)
        if session.deed == "crash" and life.random.random() < 0.3:
            raise BackendRefused("the simulated program does not start", FailureClass.AGENT_CRASH)
        self._world.sessions[f"{task.bead}/{task.epoch}"] = session
        return session


class SimulatedSession:
    """`agents.port.AgentSession`: turns that change files in a folder."""

    def __init__(self, backend: str, world: AgentWorld, task: Task) -> None:
        self._world = world
        self._backend = backend
        self._task = task
        self._turns = 0
        self._died = asyncio.Event()
        self.deed = "good" if world.calm() else world.deed(world.plan, task)
        self.last_activity = world.now()

    def die(self) -> None:
        """What SIGKILL does to the program."""
        self._died.set()

    async def prompt(
        self, text: str, *, stall: float, deadline: float, stood: Stood = never
    ) -> TurnEnd:
        """See `AgentSession.prompt`."""
        self._turns += 1
        self.last_activity = self._world.now()
        turn = asyncio.ensure_future(self._turn(text, min(stall, deadline)))
        death = asyncio.ensure_future(self._died.wait())
        try:
            await asyncio.wait((turn, death), return_when=asyncio.FIRST_COMPLETED)
            if turn.done():
                return turn.result()
            return _failed(FailureClass.AGENT_CRASH, "the simulated program was killed")
        finally:
            turn.cancel()
            death.cancel()
            self.last_activity = self._world.now()

    async def close(self) -> Ended:
        """See `AgentSession.close`."""
        self.die()
        try:
            await self._world.life.turn("agent closed", self._world.life.some(SLOWEST_END))
        finally:
            self._world.sessions.pop(f"{self._task.bead}/{self._task.epoch}", None)
        return Ended(0, None, False, 1.0, 1.0)

    async def _turn(self, text: str, patience: float) -> TurnEnd:
        life, deed = self._world.life, self.deed
        await life.turn("agent", life.some(SLOWEST * (5.0 if deed == "slow" else 1.0)))
        refused = self._world.refusing(self._backend)
        if refused is None and self._turns == 1 and deed in _REFUSALS:
            refused = _REFUSALS[deed], None
        if refused is not None:
            return _failed(refused[0], f"the simulated provider says {refused[0]}", refused[1])
        if deed == "crash":
            return _failed(FailureClass.AGENT_CRASH, "the simulated program died")
        if deed == "stuck":
            await life.turn("", patience)
            return _failed(FailureClass.AGENT_STUCK, "the simulated program hangs")
        if deed == "empty":
            return TurnEnd("end_turn", "All done.")
        await self._works(text)
        if deed == "half":
            return _failed(FailureClass.AGENT_CRASH, "the simulated program died half way")
        await life.turn("agent done")
        return TurnEnd("end_turn", "All done.")

    async def _works(self, text: str) -> None:
        """Write files one by one; whoever dies in between has written some of them."""
        folder = self._folder
        work = Work(self._world.plan, self._task, self.deed, self._turns, text, dict(folder))
        changes, answer = work.done()
        answer = with_noticed(self._world.plan, self._task, answer)
        if self.deed == "half":
            changes = dict(list(changes.items())[:1])
            answer = None
        for path, data in changes.items():
            if data is None:
                self._folder.pop(path, None)
            else:
                self._folder[path] = data
            self.last_activity = self._world.now()
            await self._world.life.turn("agent writes", self._world.life.some(0.3))
        if answer is not None and self.deed != "mute":
            self._folder[answer_name(self._task.role)] = answer

    @property
    def _folder(self) -> Folder:
        self._world.life.require()
        return self._world.folders.folders[self._task.workspace]


_REFUSALS = {"limit": FailureClass.PROVIDER_LIMIT, "down": FailureClass.PROVIDER_DOWN}


def _failed(failure: FailureClass, reason: str, resets_in: float | None = None) -> TurnEnd:
    return TurnEnd("error", failure=failure, reason=reason, resets_in=resets_in)


@dataclass
class Work:
    """What one turn of an agent writes: files, and an answer."""

    plan: Plan
    task: Task
    deed: str
    turn: int
    text: str
    folder: Folder

    def done(self) -> tuple[dict[str, bytes | None], bytes | None]:
        """The files that change (None: removed), and the answer."""
        bead = self.plan.bead(self.task.bead)
        match self.task.role:
            case Role.TEST_WRITER:
                return self._contract(bead)
            case Role.PLANNER:
                return {}, self._verdict()
            case Role.IMPLEMENTER:
                return self._implementation(bead)
            case _:
                return {}, self._challenges(bead)

    # The test writer

    def _contract(self, bead: BeadPlan) -> tuple[dict[str, bytes | None], bytes | None]:
        first = self.turn == 1
        if self.deed == "needs person":
            return {}, _json(cannot="needs_person", why="it is not for me", question="may I?")
        if bead.kind == "done" and "src/done.x" in self.folder:
            check = {"command": "has src/done.x done", "expect": 0}
            return {}, _json(cannot="already_done", why="look", checks=[check])
        if self.deed == "done" and first:
            check = {"command": f"has src/{bead.id}.x done-{bead.id}", "expect": 0}
            return {}, _json(cannot="already_done", why="look", checks=[check])
        if bead.kind == "check":
            check = {"command": f"has src/{bead.id}.x done-{bead.id}", "clause": "AC1"}
            return {}, _json(kind="check", checks=[check])
        if bead.kind == "preserve":
            return {}, _json(kind="preserve", why="tidier", touches=[f"src/{bead.id}.x"])
        if bead.kind == "none":
            return {}, _json(kind="none", why="it is prose")
        if self.deed == "garbage" and first:
            return {}, b'{"kind": "nonsense"'
        word = "base" if self.deed == "green" and first else f"done-{bead.id}"
        where = "src/base.x" if self.deed == "green" and first else f"src/{bead.id}.x"
        luck = " ~0.6" if bead.kind == "flaky" and self.task.attempt < 3 else ""
        test = f"tests/{bead.id}.t"
        changes: dict[str, bytes | None] = {test: f"work {where} {word}{luck}\n".encode()}
        if self.deed == "stray" and first:
            changes["src/stray.x"] = b"stray\n"
        elif "src/stray.x" in self.folder:
            changes["src/stray.x"] = None
        plan = [{"id": f"{test}::work", "kind": "happy", "covers": ["AC1"]}]
        return changes, _json(kind="behaviour", test_plan=plan, test_files=[test])

    # The planner

    def _verdict(self) -> bytes:
        if self.deed == "cannot":
            return _json(cannot="unclear", why="it cannot be judged")
        if self.deed == "revise":
            return _json(verdict="revise", findings=["name the example"])
        return _json(verdict="accept")

    # The implementer

    def _implementation(self, bead: BeadPlan) -> tuple[dict[str, bytes | None], bytes | None]:
        lies = self.deed == "lie on" or (self.deed == "lie" and self.turn == 1)
        frozen = self.deed == "frozen again" or (self.deed == "frozen" and self.turn == 1)
        if self.deed == "wrong" and self.turn == 1:
            return {}, _json(cannot="contract_wrong", why="it contradicts itself")
        if self.deed == "done" and self.turn == 1:
            return {}, _json(cannot="already_done", why="it is there")
        if lies:
            return {f"src/{bead.id}.x": b"almost\n"}, _json(summary="done")
        changes: dict[str, bytes | None] = dict(self._resolved())
        strict = self.deed != "lax" or f"strict-{bead.id}" in self.text
        lines = [f"done-{bead.id}", *([f"strict-{bead.id}"] if strict else [])]
        if bead.kind == "stubborn":
            asked = self.folder.get(f"src/{bead.id}.x", b"").decode() + self.text
            lines += re.findall(rf"strict-{bead.id}-\d+", asked)
            lines = list(dict.fromkeys(lines))
        if bead.kind == "clash":
            told = f"both have {_clash(bead)}" in self.text
            lines.append(f"calm-{bead.id}" if told else _clash(bead))
        if bead.kind == "sour" and f"src/{bead.id}.x is red" not in self.text:
            lines.append("red")
        changes[f"src/{bead.id}.x"] = "".join(f"{line}\n" for line in lines).encode()
        if bead.kind == "shared":
            there = changes.get("src/list.x", self.folder.get("src/list.x")) or b""
            words = [*there.decode().split(), bead.id]
            changes["src/list.x"] = "".join(f"{w}\n" for w in dict.fromkeys(words)).encode()
        if bead.kind == "guarded":
            changes[f"{GUARDED}/{bead.id}"] = b"faster\n"
        if bead.kind == "preserve":  # it goes too far, until it is told
            changes[WIDE] = b"wide\n" if self.turn == self.task.attempt == 1 else None
        if frozen and f"tests/{bead.id}.t" in self.folder:
            changes[f"tests/{bead.id}.t"] = b"work src/base.x base\n"
        return changes, _json(summary="done")

    def _resolved(self) -> dict[str, bytes]:
        """Both sides of every conflict that git has left."""
        found = {}
        for path, data in self.folder.items():
            if b"=======\n" in data:
                lines = data.decode().splitlines()
                kept = [li for li in lines if not li.startswith(("<<<<<<<", "=======", ">>>>>>>"))]
                found[path] = "".join(f"{line}\n" for line in dict.fromkeys(kept)).encode()
        return found

    # The reviewer

    def _challenges(self, bead: BeadPlan) -> bytes:
        path = f"src/{bead.id}.x"
        if self.deed == "wrong":
            return _json(cannot="contract_wrong", why="it asks for too little")
        if self.deed == "done":
            return _json(cannot="unclear", why="what is it for", question="what is it for?")
        if self.deed == "forfeit":
            contradicts = f"tests/{bead.id}.t::work"
            challenge = _challenge(f"lacks {path} done-{bead.id}", contradicts=contradicts)
        elif self.deed == "unfair":
            challenge = _challenge("has src/base.x never")
        elif bead.kind == "stubborn":  # never content
            challenge = _challenge(f"has {path} strict-{bead.id}-{self.task.attempt}")
        else:
            challenge = _challenge(f"has {path} strict-{bead.id}")
        return _json(challenges=[challenge, _challenge(f"has {path} done-{bead.id}")])


def _challenge(command: str, **more: Any) -> dict[str, Any]:
    return {"command": command, "expect": 0, "why": "it has to", "clause": "AC1", **more}


def _clash(bead: BeadPlan) -> str:
    return f"clash-{int(bead.id.rpartition('-')[2]) % 3}"


def _json(**said: Any) -> bytes:
    return json.dumps(said).encode()
