"""Which swarm a request means."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from oya.clock import SystemClock
from oya.daemon.choose import Choice, choose, record
from oya.daemon.request import Request
from oya.errors import UsageError
from oya.lifecycle.swarm import SwarmState, SwarmStatus
from oya.store import Store
from oya.swarm.config import load
from oya.testing.beside import SimulatedBeside
from oya.testing.engine import Disk, SimulatedEngine

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def swarm(number: int, status: SwarmStatus, landed: int, target: int = 5) -> SwarmState:
    return SwarmState(
        f"swarm-{number}", status, target, landed, ended_at="then", reason="why", branch="main"
    )


def chosen(*swarms: SwarmState, **wish: object) -> Choice:
    request = Request("/r", **wish)  # type: ignore[arg-type]
    return choose(swarms, request, load(None, request.flags, complete=False), "main", NOW)


def test_the_first_swarm_is_new_and_takes_its_target_from_the_configuration() -> None:
    choice = chosen()
    assert (choice.swarm.id, choice.swarm.target_beads, choice.before) == ("swarm-1", 25, None)
    assert choice.swarm.branch == "main"
    assert choice.swarm.started_at.startswith("2026-01-01")
    assert choice.words == "Starts swarm-1: 25 beads."


@pytest.mark.parametrize(
    "status",
    [
        SwarmStatus.STOPPED,
        SwarmStatus.FAILED,
        SwarmStatus.COMPLETED,
        SwarmStatus.RUNNING,  # its daemon was killed
        SwarmStatus.STOPPING,
    ],
)
def test_an_unfinished_swarm_goes_on_with_its_counters(status: SwarmStatus) -> None:
    choice = chosen(swarm(1, status, 2))
    again = choice.swarm
    assert (again.id, again.landed_beads, again.target_beads) == ("swarm-1", 2, 5)
    assert again.status is SwarmStatus.STARTING
    assert (again.ended_at, again.reason) == (None, None)
    died = status in (SwarmStatus.RUNNING, SwarmStatus.STOPPING)
    was = "its daemon had died" if died else status
    assert choice.words == f"Goes on with swarm-1 ({was}): 2/5 landed."


@pytest.mark.parametrize("resume", ["", "last", "swarm-1"])
def test_one_that_was_killed_after_its_last_landing_goes_on_to_say_so(resume: str) -> None:
    choice = chosen(swarm(1, SwarmStatus.RUNNING, 5), resume=resume)
    assert (choice.swarm.id, choice.swarm.landed_beads) == ("swarm-1", 5)


def test_a_typed_target_replaces_the_old_one() -> None:
    choice = chosen(swarm(1, SwarmStatus.STOPPED, 2), flags={"defaults.target_beads": 9})
    assert (choice.swarm.id, choice.swarm.target_beads) == ("swarm-1", 9)


def test_after_a_finished_swarm_comes_a_new_one() -> None:
    assert chosen(swarm(1, SwarmStatus.COMPLETED, 5)).swarm.id == "swarm-2"


def test_new_never_goes_on() -> None:
    assert chosen(swarm(4, SwarmStatus.STOPPED, 2), new=True).swarm.id == "swarm-5"


def test_resume_takes_the_one_that_is_named() -> None:
    old, newer = swarm(1, SwarmStatus.STOPPED, 1), swarm(2, SwarmStatus.STOPPED, 2)
    assert chosen(old, newer, resume="swarm-1").swarm.id == "swarm-1"
    assert chosen(old, newer, resume="last").swarm.id == "swarm-2"


def test_resume_of_what_is_not_there_names_what_is() -> None:
    with pytest.raises(UsageError, match="no swarm swarm-7") as caught:
        chosen(swarm(1, SwarmStatus.STOPPED, 1), resume="swarm-7")
    assert caught.value.hint == "Known: swarm-1."
    with pytest.raises(UsageError, match="none to resume"):
        chosen(resume="last")


def test_resume_of_a_finished_swarm_wants_a_new_target() -> None:
    with pytest.raises(UsageError, match=r"reached its target \(5/5\)"):
        chosen(swarm(1, SwarmStatus.COMPLETED, 5), resume="last")
    flags = {"defaults.target_beads": 6}
    assert chosen(swarm(1, SwarmStatus.COMPLETED, 5), resume="last", flags=flags).swarm.id


def test_a_request_survives_its_journey() -> None:
    request = Request("/r", {"defaults.target_beads": 3}, ("a", "b"), "last", False)
    assert Request.from_json(request.to_json()) == request


@pytest.mark.parametrize("beads", [(), ("a", "b")])
def test_a_start_says_what_it_is_held_to(beads: tuple[str, ...]) -> None:
    async def start() -> dict[str, Any]:
        disk = Disk()
        store = await Store.open(
            SimulatedBeside(disk), clock=SystemClock(), engine=lambda _: SimulatedEngine(disk)
        )
        await record(store, chosen(), load(None, {}, complete=False), beads)
        (told,) = await store.events.since(0)
        await store.close()
        return told.data

    told = asyncio.run(start())
    assert (told["target"], told["beads"], told["retention"]) == (25, list(beads), 30 * 86_400)
