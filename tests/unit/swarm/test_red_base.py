"""Since which commit a base is red: found where that is cheap, on real git with real gates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from swarm_kit import World

from oya.gates.model import Evidence
from oya.swarm import red_base
from oya.swarm.red_base import first_red, told


def runs_of(world: World) -> list[str]:
    """The commits on which ci runs from here on, however it is asked."""
    ran: list[str] = []
    run = world.parts.gates._runner.run

    async def noted(commit: str, *rest: Any, **how: Any) -> Evidence:
        ran.append(commit)
        return await run(commit, *rest, **how)

    world.parts.gates._runner.run = noted  # type: ignore[method-assign]
    return ran


def history(world: World, commits: int, red_from: int) -> list[str]:
    """So many commits; `red.txt` comes with that one, counted from 1."""
    made = []
    for number in range(1, commits + 1):
        files = {"red.txt": "x\n"} if number == red_from else {f"{number}.txt": "x\n"}
        made.append(world.commit(files, f"number {number}"))
    return made


@pytest.mark.parametrize("red_from", [1, 2, 3, 5, 8])
async def test_it_is_the_first_red_one(world: World, red_from: int) -> None:
    made = history(world, 8, red_from)
    assert await world.parts.base_red(made[-1])
    assert await first_red(world.parts, made[-1]) == made[red_from - 1]


async def test_what_is_known_to_be_green_is_not_leapt_over(world: World) -> None:
    """Before it the gates may have been others."""
    made = history(world, 4, 1)
    world.git("rm", "-q", "red.txt")
    green = world.commit({}, "green")
    made = [*made, green, world.commit({"red.txt": "x\n"}), world.commit({"more.txt": "x\n"})]
    await world.parts.gates.ci(green)
    assert await world.parts.base_red(made[-1])
    assert await first_red(world.parts, made[-1]) == made[-2]


async def test_it_is_told_beside_the_tests(world: World) -> None:
    made = history(world, 3, 2)
    words = await told(world.parts, made[-1], ["test_a", "test_b"])
    assert words == (
        f"the base {made[2][:9]} is red: test_a, test_b; since {made[1][:9]} (number 2)"
    )


async def test_what_is_known_to_be_green_is_not_run_again(world: World) -> None:
    made = history(world, 4, 4)
    await world.parts.gates.ci(made[2])
    await world.parts.base_red(made[3])
    ran = runs_of(world)
    assert await first_red(world.parts, made[3]) == made[3]
    assert ran == []


async def test_where_no_commit_is_green_nothing_is_said(own_git: None, tmp_path: Path) -> None:
    async with World.at(tmp_path, ci="false") as world:
        made = history(world, 3, 1)
        assert await first_red(world.parts, made[-1]) is None
        assert "since" not in await told(world.parts, made[-1], ["ci"])


async def test_where_a_run_takes_long_nothing_is_run(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = history(world, 4, 2)
    await world.parts.base_red(made[-1])
    monkeypatch.setattr(red_base, "CHEAP", 0.0)
    ran = runs_of(world)
    assert await first_red(world.parts, made[-1]) is None
    assert ran == []


async def test_the_first_commit_of_all_has_none_before_it(world: World) -> None:
    (root,) = world.git("rev-list", "--max-parents=0", "main").splitlines()
    assert await first_red(world.parts, root) is None
