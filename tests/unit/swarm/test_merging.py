"""The merge of a bead's head for a candidate reads the tracker's file only in conflict."""

from __future__ import annotations

from typing import Any

import pytest
from swarm_kit import PATH, World, contract, issue, jsonl

from oya.repository.port import Merged
from oya.swarm.candidate import build_candidate
from oya.swarm.merging import merge_candidate, merge_commits

Files = dict[str, str | None]

A, B = issue("a"), issue("b")
CLOSED = {PATH: jsonl(A, issue("b", status="closed"))}
ANOTHER_TITLE: Files = {PATH: jsonl(A, issue("b", title="Else"))}
ELSEWHERE: Files = {".beads/metadata.json": "{}\n"}


async def ends(world: World, landed: Files, bead: Files) -> tuple[str, str]:
    """What has landed since a bead began, and the bead's head."""
    began = world.line.base
    return await world.made(began, landed), await world.made(began, {"new.txt": "x\n", **bead})


async def candidates(world: World, base: str, *merges: Merged) -> list[str]:
    """The trees of the candidates that come of them."""
    state, accepted = world.state("a"), contract("a", base)
    closing = await world.tracking.closing("a", base)
    made = [
        await build_candidate(world.parts, state, accepted, base, merged, closing)
        for merged in merges
    ]
    return [one.tree for one in made]


def commands(world: World) -> list[str]:
    """The git commands that are run from now on."""
    git, ran = world.repo.git, list[str]()

    async def counted(*args: str, **how: Any) -> Any:
        ran.append(args[0])
        return await git(*args, **how)

    world.repo.git = counted  # type: ignore[method-assign]
    return ran


@pytest.mark.parametrize(
    ("landed", "bead"),
    [
        pytest.param({}, {}, id="nobody wrote there"),
        pytest.param(CLOSED, {}, id="others landed"),
        pytest.param({}, ANOTHER_TITLE, id="the agent wrote there"),
        pytest.param(CLOSED, ANOTHER_TITLE, id="both wrote one line"),
        pytest.param(CLOSED, {PATH: jsonl(A, B, issue("c"))}, id="both wrote side by side"),
        pytest.param(CLOSED, ELSEWHERE, id="beside the file"),
        pytest.param(CLOSED, {PATH: None}, id="the agent removed it, in conflict"),
        pytest.param({}, {PATH: None}, id="the agent removed it"),
        pytest.param({PATH: None}, ANOTHER_TITLE, id="it was removed, in conflict"),
        pytest.param({PATH: None}, {}, id="it was removed"),
        pytest.param({**CLOSED, "a.txt": "2\n"}, {"a.txt": "3\n"}, id="a conflict elsewhere"),
        pytest.param(
            {**CLOSED, "a.txt": "2\n"}, {**ANOTHER_TITLE, "a.txt": "3\n"}, id="two conflicts"
        ),
    ],
)
async def test_a_candidate_is_the_same_as_if_the_file_were_always_merged(
    world: World, landed: Files, bead: Files
) -> None:
    base, head = await ends(world, landed, bead)
    always = await merge_commits(world.repo, base, head, PATH, landed=base)
    found = await merge_candidate(world.repo, base, head, PATH, landed=base)
    assert (found.conflicts, found.helped) == (always.conflicts, always.helped)
    one, other = await candidates(world, base, found, always)
    assert one == other


@pytest.mark.parametrize("bead", [{}, {PATH: jsonl(A, B, issue("c"))}], ids=["apart", "there"])
async def test_without_a_conflict_it_is_one_git_command(world: World, bead: Files) -> None:
    base, head = await ends(world, {"other.txt": "x\n"}, bead)
    ran = commands(world)
    assert (await merge_candidate(world.repo, base, head, PATH, landed=base)).clean
    assert ran == ["merge-tree"]


async def test_in_conflict_the_file_is_none(world: World) -> None:
    base, head = await ends(world, CLOSED, ANOTHER_TITLE)
    assert (await world.repo.merge_tree(base, head)).conflicts == (PATH,)
    assert (await merge_candidate(world.repo, base, head, PATH, landed=base)).clean
