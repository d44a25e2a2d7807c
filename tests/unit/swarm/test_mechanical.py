"""What oya finds in a change by itself: real pytest, on variants of a small project."""

from __future__ import annotations

from pathlib import Path

from review_kit import PLANNED, Review

from oya.lifecycle.model import Check
from oya.swarm.mechanical import look

HELD = "def double(n):\n    return n * 2\n"
BRANCH = "def double(n):\n    if n < 0:\n        raise ValueError(n)\n    return n * 2\n"
OWN = (
    "import pytest\nfrom new import double\n\n"
    "def test_below():\n    with pytest.raises(ValueError):\n        double(-1)\n"
    "def test_zero():\n    assert double(0) == 0\n"
)


async def test_a_branch_that_no_test_needs_is_found_once_and_remembered(tmp_path: Path) -> None:
    async with Review.of(tmp_path, {"new.py": BRANCH}) as review:
        found = await look(review.attempt(), review.contract)
        assert [said.partition(",")[0] for said in found.survivors] == [
            "new.py:2: with this `n < 0` made `False`"
        ]
        assert (found.grave, found.more, found.why) == (1, False, "")
        assert "if n < 0:" in found.survivors[0]
        (told,) = [r for r in await review.world.store.events.since(0) if r.event == "looked"]
        assert (told.bead, told.data) == ("a", found.to_json())
        runs = len(review.commands)
        assert await look(review.attempt(), review.contract) == found
        assert len(review.commands) == runs
        other = await review.world.made(str(review.state.contract), {"new.py": HELD})
        assert (await look(review.attempt(implementation=other), review.contract)).grave == 0


async def test_what_the_implementers_own_tests_hold_is_held(tmp_path: Path) -> None:
    work: dict[str, str | None] = {"new.py": BRANCH, "tests/test_own.py": OWN}
    async with Review.of(tmp_path, work) as review:
        found = await look(review.attempt(), review.contract)
        assert (found.survivors, found.why) == ([], "")
        assert found.tried >= 4


async def test_only_what_lies_outside_of_the_contracts_files_is_the_implementers_own(
    tmp_path: Path,
) -> None:
    test = "from new import double\n\ndef test_double():\n    assert double(2) == 4\n"
    test += "def test_unplanned():\n    assert double(3) == 6\n"
    work: dict[str, str | None] = {"tests/new.py": BRANCH, "tests/test_own.py": OWN}
    planned = ("test_new.py::test_double",)
    async with Review.of(
        tmp_path, work, {"tests/test_new.py": test}, planned, place="tests", review="variants = 1"
    ) as review:
        await look(review.attempt(), review.contract)
        first = review.commands[0]
        assert "test_own.py::test_below" in first
        assert "test_new.py::test_double" in first
        assert "test_new.py::test_unplanned" not in first


async def test_what_another_test_of_the_project_needs_is_no_finding(tmp_path: Path) -> None:
    work: dict[str, str | None] = {
        "new.py": HELD,
        "old.py": "def one():\n    unit = 0\n    return unit + 1\n",
    }
    async with Review.of(tmp_path, work, review="variants = 20") as review:
        found = await look(review.attempt(), review.contract)
        assert [s.partition(":")[0] for s in found.survivors if "unit" in s] == ["old.py"]
        (harmless,) = found.survivors
        assert harmless.startswith("old.py:2-3: with this as on the base")


async def test_in_a_language_that_it_does_not_know_it_leaves_out_what_is_indented(
    tmp_path: Path,
) -> None:
    script = '#!/bin/sh\nif [ "$1" -lt 0 ]; then\n  exit 1\nfi\necho $(($1 * 2))\n'
    test = "import subprocess\n\ndef test_double():\n"
    test += "    assert subprocess.check_output(['sh', 'double.sh', '2']) == b'4\\n'\n"
    async with Review.of(tmp_path, {"double.sh": script}, {"tests/test_new.py": test}) as review:
        found = await look(review.attempt(), review.contract)
        assert [said.partition(",")[0] for said in found.survivors] == [
            "double.sh:1-4: with this left out"
        ]


async def test_tests_that_need_each_other_are_found_by_another_order(tmp_path: Path) -> None:
    test = "from new import double\nseen = []\n\n"
    test += "def test_double():\n    seen.append(1)\n    assert double(2) == 4\n"
    test += "def test_again():\n    assert seen and double(3) == 6\n"
    planned = (*PLANNED, "tests/test_new.py::test_again")
    async with Review.of(
        tmp_path, {"new.py": HELD}, {"tests/test_new.py": test}, planned
    ) as review:
        (said,) = (await look(review.attempt(), review.contract)).survivors
        assert (
            "fail in this one: tests/test_new.py::test_again, tests/test_new.py::test_dou" in said
        )


async def test_what_the_tests_leave_behind_is_found(tmp_path: Path) -> None:
    test = "import subprocess\nfrom new import double\n\ndef test_double():\n"
    test += "    open('left.txt', 'w').close()\n    subprocess.Popen(['sleep', '77'])\n"
    test += "    assert double(2) == 4\n"
    async with Review.of(tmp_path, {"new.py": HELD}, {"tests/test_new.py": test}) as review:
        found = await look(review.attempt(), review.contract)
        assert [said.rpartition(": ")[2] for said in found.survivors] == ["sleep 77", "left.txt"]


async def test_a_contract_without_tests_has_nothing_to_run(tmp_path: Path) -> None:
    checks = (Check("true", 0),)
    about = {"kind": "check", "fail_to_pass": (), "checks": checks}
    async with Review.of(tmp_path, {"new.py": BRANCH}, **about) as review:
        found = await look(review.attempt(), review.contract)
        assert (found.why, found.survivors) == (
            "the contract has no tests that could be run alone",
            [],
        )
        assert review.commands == []


async def test_it_can_be_turned_off(tmp_path: Path) -> None:
    async with Review.of(tmp_path, {"new.py": BRANCH}, review="variants = 0") as review:
        assert (await look(review.attempt(), review.contract)).why == "[review] variants is 0"
        assert review.commands == []


async def test_it_tries_so_many_and_says_that_there_are_more(tmp_path: Path) -> None:
    async with Review.of(tmp_path, {"new.py": BRANCH}, review="variants = 1") as review:
        found = await look(review.attempt(), review.contract)
        assert (found.tried, found.more, found.grave) == (1, True, 1)


async def test_tests_that_are_red_by_themselves_tell_nothing(tmp_path: Path) -> None:
    async with Review.of(tmp_path, {"new.py": "def double(n):\n    return 5\n"}) as review:
        found = await look(review.attempt(), review.contract)
        assert found.why == "the contract's tests are not green when they run alone"
        assert (found.tried, found.survivors) == (0, [])


async def test_numbers_alone_are_not_worth_a_round(tmp_path: Path) -> None:
    work: dict[str, str | None] = {
        "new.py": "def double(n, most=10):\n    return min(n, most) * 2\n"
    }
    async with Review.of(tmp_path, work) as review:
        found = await look(review.attempt(), review.contract)
        (said,) = found.survivors
        assert said.startswith("new.py:1: with this `10` made `11`, every test still passes.")
        assert found.grave == 0
