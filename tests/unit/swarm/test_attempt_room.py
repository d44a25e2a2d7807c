"""An attempt on a machine that is short of room: nobody's failure, but for who has filled it."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from swarm_kit import World

from oya.errors import GitError, NoRoom, NoSlot
from oya.lifecycle.failures import RULES, FailureClass
from oya.lifecycle.model import BeadState
from oya.repository.port import Workspace
from oya.repository.slot import Slots
from oya.swarm.attempt import Attempt, AttemptOver, Ending, Result, run_attempt
from oya.swarm.messages import Claim

PRESSURE, CRASH, RED = (
    FailureClass.HOST_PRESSURE,
    FailureClass.AGENT_CRASH,
    FailureClass.GATE_RED,
)
FILL = 2_000_000
SHORT = "1 MB are left on the disk of /somewhere"


class Work:
    """Fails in a workspace; `short` is what the machine says of itself from then on."""

    def __init__(self, world: World, error: Exception, *, short: str | None, fills: bool) -> None:
        self._world, self._error, self._short, self._fills = world, error, short, fills

    async def __call__(self, attempt: Attempt) -> Result:
        (attempt.workspace.path / "work").write_text("1")
        if self._fills:
            (attempt.workspace.path / "fill").write_bytes(os.urandom(FILL))
        self._world.parts.shortage = lambda: self._short
        raise self._error


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk of 50 MB, of which 1 should be free."""
    usage = SimpleNamespace(total=50_000_000, used=0, free=50_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)


async def beats(active: Callable[[], float]) -> None:
    return


async def tried(
    world: World, error: Exception, *, short: str | None = None, fills: bool = False
) -> tuple[Ending, BeadState]:
    epoch = await world.claimed("a")
    claim = Claim("a", epoch, 1, "agent-1", "agent", world.line.base, world.state("a"))
    work = Work(world, error, short=short, fills=fills)
    return await run_attempt(world.parts, claim, work, beats), world.state("a")


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        GitError("fatal: Out of diskspace"),
        NoRoom("no verdict"),
        AttemptOver(CRASH, "ended (exit 2): OSError: [Errno 28] No space left on device"),
    ],
    ids=["a file", "git", "a gate", "an agent"],
)
async def test_who_finds_the_disk_full_has_used_no_attempt(world: World, error: Exception) -> None:
    (failure, _, _), state = await tried(world, error)
    assert (failure, state.retry_count) == (PRESSURE, 0)
    assert state.snapshot is not None


@pytest.mark.parametrize("failure", [CRASH, FailureClass.AGENT_EMPTY, RED], ids=str)
async def test_nor_has_who_fails_while_it_is(world: World, failure: FailureClass) -> None:
    (found, reason, _), state = await tried(world, AttemptOver(failure, "x"), short=SHORT)
    assert (found, reason, state.retry_count) == (PRESSURE, SHORT, 0)


async def test_a_gate_that_only_says_so_is_red(world: World) -> None:
    (failure, _, _), state = await tried(world, AttemptOver(RED, "No space left on device"))
    assert (failure, state.retry_count) == (RED, 1)


@pytest.mark.parametrize("fills", [False, True])
async def test_who_waits_in_vain_for_a_slot_has_used_no_attempt_whatever_it_wrote(
    world: World, fills: bool
) -> None:
    slots = Slots(world.repo, world.repo.place, 1)
    async with slots.checkout(world.line.base):
        with pytest.raises(NoSlot) as waited:
            async with slots.checkout(world.line.base, wait=0.01):
                raise AssertionError("there are two in one slot")
    (failure, reason, _), state = await tried(world, waited.value, fills=fills)
    assert (failure, state.retry_count) == (PRESSURE, 0)
    assert reason == "no slot became free within 0.01 s"
    assert state.snapshot is not None, "it goes on with its work"
    assert not RULES[failure].melts


async def test_what_a_provider_says_stands(world: World) -> None:
    over = AttemptOver(FailureClass.PROVIDER_LIMIT, "429", resets_at=7.0)
    ending, _ = await tried(world, over, short=SHORT)
    assert ending == (FailureClass.PROVIDER_LIMIT, "429", 7.0)


@pytest.mark.parametrize(
    "error", [AttemptOver(CRASH, "died"), OSError(errno.ENOSPC, "full")], ids=["agent", "oya"]
)
async def test_who_has_filled_it_has_used_one_and_the_next_begins_without_that(
    world: World, error: Exception
) -> None:
    (failure, reason, _), state = await tried(world, error, short=SHORT, fills=True)
    assert (failure, reason, state.retry_count) == (RED, f"filled the disk: {SHORT}", 1)
    assert state.snapshot is None
    kept = await world.parts.repo.read_ref(world.parts.workspaces.attempt_ref("a", state.epoch))
    assert kept is not None
    assert await world.parts.repo.read_file(kept, "work") == b"1"


async def test_where_there_is_room_a_large_folder_is_no_matter(world: World) -> None:
    (failure, reason, _), state = await tried(world, AttemptOver(CRASH, "died"), fills=True)
    assert (failure, reason, state.retry_count) == (CRASH, "died", 1)
    assert state.snapshot is not None


async def test_nothing_begins_on_a_machine_that_is_short(world: World) -> None:
    world.parts.shortage = lambda: SHORT
    (failure, reason, _), state = await tried(world, AssertionError("it began"), short=SHORT)
    assert (failure, reason, state.retry_count) == (PRESSURE, SHORT, 0)
    assert await world.parts.workspaces.leftovers(every=True) == []


async def test_a_start_for_which_there_is_no_room_is_left_behind(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tried(world, AttemptOver(CRASH, "died"))
    assert world.state("a").snapshot is not None

    async def full(*_: object, **__: object) -> Workspace:
        raise GitError("error: unable to write file fill")

    monkeypatch.setattr(world.parts.workspaces, "create", full)
    (failure, _, _), state = await tried(world, AssertionError("it began"))
    assert (failure, state.snapshot) == (RED, None)
    (failure, _, _), state = await tried(world, AssertionError("it began"))
    assert (failure, state.retry_count) == (PRESSURE, 2)
