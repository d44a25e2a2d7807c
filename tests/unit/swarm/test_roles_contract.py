"""A test writer's contract is judged: each kind by what belongs to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from roles_kit import at, write_contract
from swarm_kit import World, issue

from oya.lifecycle.events import CannotDo, ContractAccepted
from oya.swarm.contract import Contract

PRESERVE = {"kind": "preserve", "why": "shorter", "touches": ["src/**"]}
NONE = {"kind": "none", "why": "prose"}


@pytest.fixture
async def world(own_git: None, tmp_path: Path) -> AsyncIterator[World]:
    issues = (issue("a", acceptance_criteria="one\ntwo"), issue("b"))
    async with at(tmp_path, issues=issues) as made:
        made.commit({"tests/old.py": "here a.txt one\n", "src/x.txt": "x\n"})
        await made.line.refresh()
        yield made


def accepted(result: Any) -> Contract:
    assert isinstance(result.event, ContractAccepted), result
    (write,) = result.also
    return Contract.from_json(write.row)


async def test_prose_needs_nothing_but_a_reason(world: World) -> None:
    result, heard = await write_contract(world, lambda *_: NONE)
    contract = accepted(result)
    assert (contract.kind, contract.planned, contract.checks) == ("none", (), ())
    assert "tests/old.py" in contract.frozen
    assert result.data["red"] == {"keys": []}
    assert len(heard) == 1


async def test_prose_with_a_check_is_told_what_it_is(world: World) -> None:
    check = {"command": "true", "expect": 0}
    result, heard = await write_contract(
        world, lambda _, turn: {**NONE, "checks": [check] if turn == 1 else []}
    )
    assert accepted(result).kind == "none"
    assert "kind none has no tests, checks or stubs" in heard[1]


async def test_a_refactoring_is_held_to_what_passes_today(world: World) -> None:
    result, _ = await write_contract(world, lambda *_: PRESERVE)
    contract = accepted(result)
    assert (contract.kind, contract.fail_to_pass, contract.guards) == ("preserve", (), ())
    assert contract.touches == ("src/**",)
    assert "tests/old.py" in contract.frozen
    assert len(result.data["red"]["keys"]) == 2


async def test_a_guard_that_is_red_is_a_finding(world: World) -> None:
    def play(folder: Path, turn: int) -> dict[str, Any]:
        (folder / "tests/guard.py").write_text(f"kept src/x.txt {'y' if turn == 1 else 'x'}\n")
        plan = [{"id": "tests/guard.py::kept", "kind": "edge"}]
        return {**PRESERVE, "test_plan": plan, "test_files": ["tests/guard.py"]}

    result, heard = await write_contract(world, play)
    assert "tests/guard.py::kept: is red" in heard[1]
    assert accepted(result).guards == ("tests/guard.py::kept",)


async def test_a_check_of_a_refactoring_holds_before_it(world: World) -> None:
    def play(_: Path, turn: int) -> dict[str, Any]:
        command = "test -e src/x.txt" if turn > 1 else "test -e src/y.txt"
        return {**PRESERVE, "checks": [{"command": command, "expect": 0}]}

    result, heard = await write_contract(world, play)
    assert "to preserve is what holds" in heard[1]
    assert [check.command for check in accepted(result).checks] == ["test -e src/x.txt"]


async def test_a_script_that_is_to_judge_is_frozen_where_the_contract_names_it(
    world: World,
) -> None:
    world.commit({"scripts/links.sh": "false\n"})
    await world.line.refresh()
    checks = [{"command": "sh scripts/links.sh", "clause": clause} for clause in ("AC1", "AC2")]
    answer = {"kind": "check", "why": "links", "checks": checks}
    for named, frozen in (([], False), (["scripts/links.sh"], True)):
        given = {**answer, "test_files": named}
        result, heard = await write_contract(world, lambda *_, given=given: given)
        contract = accepted(result)
        assert ("scripts/links.sh" in contract.frozen, len(heard)) == (frozen, 1)
        assert "tests/old.py" not in contract.frozen


async def test_to_touch_everything_is_to_say_nothing(world: World) -> None:
    _, heard = await write_contract(
        world, lambda _, turn: {**PRESERVE, "touches": ["**" if turn == 1 else "src"]}
    )
    assert "`touches` names everything" in heard[1]


async def test_what_is_missing_unknown_or_not_there_is_named(world: World) -> None:
    def play(folder: Path, turn: int) -> dict[str, Any]:
        (folder / "tests/new.py").write_text("new src/x.txt done\n")
        covers = ["AC1", "AC9"] if turn == 1 else ["AC1", "AC2", "P1"]
        return {
            "kind": "behaviour",
            "test_plan": [{"id": "tests/new.py::new", "kind": "happy", "covers": covers}],
            "test_files": ["tests/new.py"],
            "postconditions": ["it is done"],
            "changes": [{"id": "tests/old.py::her", "why": "gone"}] if turn == 2 else [],
        }

    result, heard = await write_contract(world, play)
    assert "no planned test covers: AC2, P1" in heard[1]
    assert "`covers` names what is not there: AC9; there is AC1, AC2, P1" in heard[1]
    assert "tests/old.py::her: named in `changes`, and is no test of the base" in heard[2]
    assert accepted(result).fail_to_pass == ("tests/new.py::new",)


async def test_done_already_is_believed_where_its_checks_hold_on_the_base(world: World) -> None:
    def play(_: Path, turn: int) -> dict[str, Any]:
        checks = [[], [{"command": "test -e gone", "expect": 0}], [{"command": "true"}]]
        return {"cannot": "already_done", "why": "look", "checks": checks[turn - 1]}

    result, heard = await write_contract(world, play)
    assert "`already_done` needs `checks`" in heard[1]
    assert "`already_done`, but on the base: `test -e gone` exited with 1" in heard[2]
    assert isinstance(result.event, CannotDo)
    assert result.event.cannot == "already_done"
