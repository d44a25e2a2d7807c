"""A tree on which `[workspace] prepare` fails is red, and who has made it so is told."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from roles_kit import Play, at, contracted, implement, write_contract
from swarm_kit import World

from oya.errors import BaseRed, NoRoom
from oya.lifecycle.events import ContractAccepted, ImplementationAccepted
from oya.lifecycle.failures import FailureClass
from oya.lifecycle.model import Check
from oya.swarm.attempt import Attempt, AttemptOver, Result, run_attempt
from oya.swarm.messages import Claim
from oya.swarm.universe import Universe
from repository_kit import write

PREPARE = "test ! -e package -o -e lock || { echo the lock is stale; exit 3; }"
"""A package needs a lock."""
SAID = f"`{PREPARE}` ([workspace] prepare) exited with 3"
FAILS = f"`{PREPARE}` ([workspace] prepare) fails: the lock is stale"
STALE: dict[str, str | None] = {"package": "x\n"}
SOUND: dict[str, str | None] = {"package": "x\n", "lock": "x\n"}


@asynccontextmanager
async def prepared(tmp_path: Path, line: str = PREPARE, **about: Any) -> AsyncIterator[World]:
    more = f"[workspace]\nprepare = [{json.dumps(line)}]\n"
    async with at(tmp_path, more=more, **about) as world:
        world.commit({"tests/old.py": "here a.txt one\n", "src/x.txt": "x\n"})
        await world.line.refresh()
        yield world


@pytest.fixture
async def world(own_git: None, tmp_path: Path) -> AsyncIterator[World]:
    async with prepared(tmp_path) as made:
        yield made


def writes(*turns: dict[str, str | None]) -> Play:
    def play(folder: Path, turn: int) -> None:
        for name, text in turns[min(turn, len(turns)) - 1].items():
            path = folder / name
            path.unlink(missing_ok=True) if text is None else path.write_text(text)

    return play


async def fall_to(world: World, text: str) -> str:
    """The user commits this as the package, without a lock."""
    base = world.commit({"package": text})
    await world.line.refresh()
    return base


class TestAnImplementer:
    @pytest.mark.parametrize("kind", ["behaviour", "check", "none"])
    async def test_is_told_in_the_same_session_and_can_mend_it(
        self, world: World, kind: str
    ) -> None:
        planned: dict[str, Any] = {"fail_to_pass": ("tests/new.py::new",)}
        files = {"tests/new.py": "new src/x.txt done\n"} if kind == "behaviour" else {}
        contract = await contracted(
            world,
            files,
            kind=kind,
            checks=(Check("grep done src/x.txt", 0),) if kind == "check" else (),
            **(planned if files else {}),
        )
        done = {**STALE, "src/x.txt": "done\n"}
        result, heard = await implement(world, contract, writes(done, {"lock": "x\n"}))
        assert isinstance(result.event, ImplementationAccepted)
        assert len(heard) == 2
        assert SAID in heard[1]
        assert "the lock is stale" in heard[1]

    async def test_who_leaves_it_so_has_failed_the_gates(self, world: World) -> None:
        with pytest.raises(AttemptOver) as over:
            await implement(world, await contracted(world, {}, kind="none"), writes(STALE))
        assert over.value.failure is FailureClass.GATE_RED
        assert "the lock is stale" in over.value.findings[0]

    async def test_begins_in_a_folder_that_cannot_be_prepared_and_is_told(
        self, world: World
    ) -> None:
        """A rework in which two sides do not fit, or the snapshot of one who was cut short."""
        contract = await contracted(world, {}, kind="none")
        snapshot = await world.made(contract.commit, STALE)
        result, heard = await implement(
            world, contract, writes({"lock": "x\n"}), snapshot=snapshot, findings=("before",)
        )
        assert "- before\n- the workspace could not be prepared" in heard[0]
        assert SAID in heard[0]
        assert isinstance(result.event, ImplementationAccepted)

    async def test_is_told_nothing_of_a_folder_that_is_prepared(self, world: World) -> None:
        _, heard = await implement(
            world, await contracted(world, {}, kind="none"), writes({"y": "y\n"})
        )
        assert "prepared" not in heard[0]


async def test_a_test_writer_is_told_in_the_same_session(world: World) -> None:
    def play(folder: Path, turn: int) -> dict[str, Any]:
        files = {"tests/new.py": "new src/x.txt done\n", "package": "x\n"}
        write(folder, {**files, **({"lock": "x\n"} if turn == 2 else {})})
        item = {"id": "tests/new.py::new", "kind": "happy", "given": "", "when": "", "then": ""}
        plan = [{**item, "covers": []}]
        stubs = ["package", *(["lock"] if turn == 2 else [])]
        known = {"kind": "behaviour", "why": "it is asked for", "test_plan": plan}
        return {**known, "test_files": ["tests/new.py"], "stubs": stubs}

    result, heard = await write_contract(world, play)
    assert SAID in heard[1]
    assert isinstance(result.event, ContractAccepted)


class TestABase:
    @pytest.mark.parametrize("gates", ["", 'baseline = "no-worse"'])
    async def test_that_cannot_be_prepared_is_red(
        self, own_git: None, tmp_path: Path, gates: str
    ) -> None:
        async with prepared(tmp_path, gates=gates) as world:
            assert await world.parts.base_red(world.line.base) == []
            base = await fall_to(world, "x\n")
            assert await world.parts.base_red(base) == [FAILS]

    async def test_a_swarm_does_not_start_on_it_and_says_why(self, world: World) -> None:
        await fall_to(world, "x\n")
        with pytest.raises(BaseRed, match=r"is red: .*the lock is stale"):
            await Universe(world.parts).prepare()

    async def test_a_rework_on_it_is_nobodys_failure(self, world: World) -> None:
        contract = await contracted(world, {}, kind="behaviour")
        await fall_to(world, "x\n")
        with pytest.raises(AttemptOver) as over:
            await implement(world, contract, writes({"y": "y\n"}), rework=True)
        assert over.value.failure is FailureClass.BASE_RED


async def test_a_failure_to_prepare_is_no_verdict_that_stays(own_git: None, tmp_path: Path) -> None:
    """The network may be there the next time."""
    tries = tmp_path / "tries"
    line = f'echo x >> {tries}; test "$(wc -l < {tries})" -gt 2'
    async with prepared(tmp_path, line) as world:
        red = await world.parts.gates.tests(world.line.base)
        assert (red.ok, red.prepared, red.report) == (False, False, None)
        assert red.log.is_file()
        green = await world.parts.gates.tests(world.line.base)
        assert (green.ok, green.reused) == (True, False)
        assert await world.parts.base_red(world.line.base) == []


async def beats(active: Callable[[], float]) -> None:
    return


@pytest.mark.parametrize("newest", ["the base is sound", "the base is not"])
async def test_a_command_that_cannot_run_ends_the_attempt_as_what_keeps_it_from_that(
    world: World, newest: str
) -> None:
    """A reviewer's challenge on work whose gates did not prepare it."""
    stale = await world.made(world.line.base, STALE)
    if newest == "the base is not":
        await fall_to(world, "x\n")

    async def challenge(attempt: Attempt) -> Result:
        await attempt.parts.check(stale, "true")
        raise AssertionError("it ran")

    epoch = await world.claimed("a")
    claim = Claim("a", epoch, 1, "agent-1", "agent", world.line.base, world.state("a"))
    failure, reason, _ = await run_attempt(world.parts, claim, challenge, beats)
    state = world.state("a")
    if newest == "the base is not":
        assert (failure, state.retry_count) == (FailureClass.BASE_RED, 0)
        assert reason.startswith(f"the base {world.line.base[:9]} cannot be prepared")
    else:
        assert (failure, state.retry_count) == (FailureClass.GATE_RED, 1)
        assert "the lock is stale" in state.findings[0]


class TestLanding:
    async def test_what_cannot_be_prepared_on_the_new_base_is_rework_with_the_words(
        self, world: World
    ) -> None:
        """Each for itself is sound: the one brings a package, the other takes the lock away."""
        world.commit({"lock": "x\n"})
        await world.line.refresh()
        await world.tracking.refresh()
        await world.reviewed("a", {"package": "x\n"})
        await world.reviewed("b", {"lock": None})
        async with world.landing():
            await world.until("a", "landed/complete")
            state = await world.until("b", "implementation/pending")
        assert state.rework
        assert SAID in state.findings[0]
        assert "the lock is stale" in state.findings[0]

    async def test_of_commits_of_the_users_it_is_said_and_the_line_goes_on(
        self, world: World
    ) -> None:
        write(world.folder, {"a.txt": "in the way of following\n"})
        await world.tracking.refresh()
        await world.reviewed("a", {"a.txt": "one, and more\n"})
        async with world.landing():
            await world.until("a", "landed/complete")
            await world.wait(lambda: world.line.followed.behind == 1)
            write(world.folder, {"a.txt": "one\n"})
            world.commit({"package": "x\n"})
            await world.look()
            await world.wait(lambda: SAID in world.line.left_out)
            await world.reviewed("b", {"b.txt": "x\n"})
            await world.look()
            await world.until("b", "landed/complete")


async def test_a_full_disk_is_no_verdict(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oya.room.shortage", lambda _: "0 MB are left")
    stale = await world.made(world.line.base, STALE)
    with pytest.raises(NoRoom):
        await world.parts.gates.tests(stale)
