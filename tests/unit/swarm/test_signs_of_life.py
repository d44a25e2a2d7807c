"""Signs of life reach the orchestrator, and one that cannot is no reason to die."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from swarm_kit import NEVER

from oya.actors import Actor, Backoff, Restart, Supervisor
from oya.clock import LoopClock
from oya.errors import MailboxFull
from oya.lifecycle.model import BeadState, Role
from oya.swarm.agents import base
from oya.swarm.agents.base import AgentActor
from oya.swarm.attempt import Attempt, Result
from oya.swarm.messages import Claim, ClaimBead, Heartbeat, Implement
from oya.swarm.tracking import LOOK, TrackerActor, Tracking
from oya.testing.loop import run_virtual


class Busy(Actor[Any]):
    """Handles one message, and does not come to an end with it before it is let."""

    def __init__(self, got: list[Any], let: asyncio.Event) -> None:
        self._got, self._let = got, let

    async def handle(self, message: Any) -> None:
        self._got.append(message)
        await self._let.wait()


class Agent(AgentActor):
    role = Role.IMPLEMENTER

    async def work(self, attempt: Attempt) -> Result:
        raise NotImplementedError


CLAIM = Claim("a", 1, 1, "implementer-1", "codex", "base", BeadState("a"))


def test_an_orchestrator_that_waits_for_the_store_costs_no_attempt() -> None:
    """Its mailbox fills while a commit hangs; a thousand agents may beat at one moment."""

    async def live() -> None:
        got: list[Any] = []
        let = asyncio.Event()
        async with Supervisor(clock=LoopClock(), restart=NEVER, name="test") as root:
            orchestrator = await root.spawn(lambda: Busy(got, let), name="orchestrator")
            parts: Any = None
            beat = Agent(parts, "implementer-1", "codex", orchestrator, orchestrator)._beat(CLAIM)
            await beat(lambda: 7.0)
            try:
                while True:
                    orchestrator.try_tell("full", control=True)
                    await asyncio.sleep(0)
            except MailboxFull:
                pass
            await beat(lambda: 8.0)
            waiting = asyncio.create_task(beat(lambda: 9.0))
            await asyncio.sleep(1)
            let.set()
            await waiting
            while not got or not isinstance(got[-1], Heartbeat) or len(got) == 1:
                await asyncio.sleep(1)
        beats = [message.active() for message in got if isinstance(message, Heartbeat)]
        assert beats == [7.0, 9.0]

    run_virtual(live)


class Hears(Actor[Any]):
    """Keeps what it is told."""

    def __init__(self, got: list[Any]) -> None:
        self._got = got

    async def handle(self, message: Any) -> None:
        self._got.append(message)


def test_an_agent_that_crashes_of_its_attempt_asks_for_no_other_before_it_starts_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It said that its attempt was cancelled, asked, and crashed with the next bead in hand."""

    async def defect(*_: object) -> tuple[None, str]:
        await asyncio.sleep(1)
        raise RuntimeError("a defect of ours")

    monkeypatch.setattr(base, "run_attempt", defect)

    async def live() -> None:
        got: list[Any] = []
        restart = Restart(3, 60.0, Backoff(first=5.0, jitter=0.0))
        async with Supervisor(clock=LoopClock(), restart=restart, name="test") as root:
            other = await root.spawn(lambda: Hears(got), name="other")
            parts: Any = None
            agent = await root.spawn(
                lambda: Agent(parts, "implementer-1", "codex", other, other), name="implementer-1"
            )
            await asyncio.sleep(0.5)
            agent.try_tell(Implement(CLAIM))
            await asyncio.sleep(4)
            assert [type(message) for message in got] == [ClaimBead]
            await asyncio.sleep(5)
            assert [type(message) for message in got] == [ClaimBead, ClaimBead]

    run_virtual(live)


class Slow(Tracking):
    """A tracker of which each look, and what comes of it, takes its time."""

    def __init__(self, look: float, rest: float) -> None:
        self.took = 0.0
        self.looks: list[float] = []
        self._look_takes, self._rest = look, rest

    async def refresh(self) -> bool:
        self.looks.append(asyncio.get_running_loop().time())
        self.took = self._look_takes
        await asyncio.sleep(self._look_takes + self._rest)
        return False


@pytest.mark.parametrize(
    ("look", "rest", "pause"),
    [(0.01, 0.0, LOOK), (0.01, 45.0, LOOK), (0.5, 0.0, 10.0), (9.0, 0.0, 30.0)],
)
def test_a_tracker_is_read_again_soon_however_long_the_store_made_it_wait(
    look: float, rest: float, pause: float
) -> None:
    """An outage of the store, met in the middle of a round, was followed by a pause of twenty
    times as long: what somebody typed meanwhile was not seen for half an hour."""

    async def live() -> None:
        slow = Slow(look, rest)
        async with Supervisor(clock=LoopClock(), restart=NEVER, name="test") as root:
            other = await root.spawn(lambda: Hears([]), name="other")
            await root.spawn(lambda: TrackerActor(slow, other), name="tracker")
            await asyncio.sleep(200)
        first, second = slow.looks[:2]
        assert second - first == pytest.approx(look + rest + pause)

    run_virtual(live)
