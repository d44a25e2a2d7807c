"""What more than one step of the pipeline judges, from reports and exit codes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from swarm_kit import World, contract

from oya.gates.model import Case, Evidence, Outcome, Report
from oya.lifecycle.model import Check
from oya.swarm.judgement import failing_checks, passing

CASES = (
    Case("t.py::stays", Outcome.PASSED),
    Case("t.py::each[1]", Outcome.PASSED),
    Case("t.py::meant", Outcome.PASSED),
    Case("t.py::red", Outcome.FAILED, "no"),
    Case("t.py::skipped", Outcome.SKIPPED),
)


def evidence(report: Report | None) -> Evidence:
    return Evidence("k", "tests", "t", "c", 0, 1.0, 1.0, True, report, Path("log"), "")


@pytest.mark.parametrize(
    ("report", "expected"),
    [(Report(CASES), ("t.py::stays", "t.py::each[1]")), (Report(()), ()), (None, ())],
)
def test_what_passes_on_the_base_and_is_not_meant_to_change(
    report: Report | None, expected: tuple[str, ...]
) -> None:
    meant = replace(contract("a", "c"), changes=("t.py::meant",))
    assert passing(report, [meant]) == expected


def test_a_parametrised_test_changes_with_all_its_cases() -> None:
    meant = replace(contract("a", "c"), fail_to_pass=("t.py::each",), changes=("t.py::meant",))
    assert passing(Report(CASES), [meant]) == ("t.py::stays",)


def test_what_any_of_a_stack_means_to_change_need_not_pass() -> None:
    one = replace(contract("a", "c"), changes=("t.py::meant",))
    two = replace(contract("b", "c"), changes=("t.py::stays",))
    assert passing(Report(CASES), [one, two]) == ("t.py::each[1]",)


async def test_checks_run_on_the_commit_itself(world: World) -> None:
    head = await world.made(world.line.base, {"new.txt": "x\n"})
    checks = [Check("test -e new.txt", 0), Check("test -e gone.txt", 1)]
    assert await failing_checks(world.parts, head, checks) == ()
    (said,) = await failing_checks(world.parts, world.line.base, checks)
    assert said.startswith("`test -e new.txt` exited with 1, expected 0")


async def test_the_same_check_twice_is_one(world: World) -> None:
    ran: list[str] = []
    check = world.parts.check

    async def counted(commit: str, line: str) -> Any:
        ran.append(line)
        return await check(commit, line)

    world.parts.check = counted  # type: ignore[method-assign]
    await failing_checks(world.parts, world.line.base, [Check("true", 0), Check("true", 0)])
    assert ran == ["true"]
