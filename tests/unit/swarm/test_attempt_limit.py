"""An attempt that a provider's limit ends: it is recorded, it costs nothing, its end is known."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from swarm_kit import World

from oya.agents.classify import BackendRefused
from oya.agents.port import AgentSession, Stood, Task, TurnEnd, never
from oya.lifecycle.failures import FailureClass
from oya.processes.port import Ended
from oya.swarm.attempt import Attempt, Result, run_attempt
from oya.swarm.messages import Claim

LIMIT = FailureClass.PROVIDER_LIMIT


class Limited:
    """A backend whose provider refuses, in the turn or before it; `resets_in` is what it tells."""

    name = kind = "limited"
    last_activity = 0.0

    def __init__(self, resets_in: float | None, *, opens: bool) -> None:
        self._resets_in, self._opens = resets_in, opens

    async def open(self, task: Task) -> AgentSession:
        if not self._opens:
            raise BackendRefused("429", LIMIT, resets_in=self._resets_in)
        return self

    async def prompt(
        self, text: str, *, stall: float, deadline: float, stood: Stood = never
    ) -> TurnEnd:
        return TurnEnd("error", failure=LIMIT, reason="429", resets_in=self._resets_in)

    async def close(self) -> Ended:
        return Ended(0, None, False, 0.0, 0.0)


async def asks(attempt: Attempt) -> Result:
    await attempt.prompt("do it")
    raise AssertionError("it was refused")


async def beats(active: Callable[[], float]) -> None:
    return


@pytest.mark.parametrize("opens", [True, False], ids=["in the turn", "before it"])
@pytest.mark.parametrize("told", [20.0, None])
async def test_a_limit_costs_no_attempt_and_its_end_is_a_moment(
    world: World, told: float | None, opens: bool
) -> None:
    world.parts.backends["agent"] = Limited(told, opens=opens)
    epoch = await world.claimed("a")
    claim = Claim("a", epoch, 1, "agent-1", "agent", world.line.base, world.state("a"))
    began = world.clock.monotonic()

    failure, reason, resets_at = await run_attempt(world.parts, claim, asks, beats)

    assert (failure, reason) == (LIMIT, "429")
    state = world.state("a")
    assert (state.where, state.retry_count) == ("contract/pending", 0)
    if told is None:
        assert resets_at is None
    else:
        assert resets_at is not None
        assert began <= resets_at - told <= world.clock.monotonic()
