"""The commit that lands: what is in it, and what its message says."""

from __future__ import annotations

from pathlib import Path

import pytest
from swarm_kit import PATH, World, contract, issue

from oya.repository.port import Merged
from oya.swarm.candidate import build_candidate, commit_message


async def message(world: World, bead: str = "a") -> str:
    state = world.state(bead)
    return commit_message(world.parts, state, contract(bead, world.line.base))


async def built(world: World, files: dict[str, str | None], closing: bool = False) -> str:
    """The candidate of bead a with these files."""
    head = await world.made(world.line.base, files)
    base = world.line.base
    made = await build_candidate(
        world.parts,
        world.state("a"),
        contract("a", base),
        base,
        Merged(await world.repo.tree_of(head)),
        await world.tracking.closing("a", base) if closing else {},
    )
    return made.commit


def trailers(world: World, commit: str) -> dict[str, str]:
    out = world.git("log", "-1", "--format=%(trailers:only,unfold)", commit)
    return dict(line.split(": ", 1) for line in out.splitlines() if line)


async def test_one_squashed_commit_by_the_user_with_trailers(world: World) -> None:
    commit = await built(world, {"new.txt": "x\n"})
    assert world.git("rev-parse", f"{commit}^@") == world.line.base
    assert world.git("log", "-1", "--format=%an <%ae> %cn", commit) == "Ada <ada@example.com> Ada"
    assert world.git("log", "-1", "--format=%s", commit) == "Title of a"
    found = trailers(world, commit)
    assert found["Bead"] == "a"
    assert found["Swarm"] == "swarm-1"
    assert found["Contract"] == contract("a", world.line.base).hash
    assert found["Contract-Kind"] == "check"
    assert found["Co-authored-by"] == "agent <agent@agents.invalid>"


@pytest.mark.parametrize(
    "files",
    [
        {PATH: "{}"},
        {PATH: None},
        {".beads": "a file where the folder was", PATH: None},
        {".oya/out/reviewer.json": "{}"},
    ],
)
async def test_no_agents_edit_of_oyas_own_folders_gets_in(
    world: World, files: dict[str, str | None]
) -> None:
    commit = await built(world, {"new.txt": "x\n", **files})
    changed = world.git("diff-tree", "-r", "--name-only", world.line.base, commit)
    assert changed.splitlines() == ["new.txt"]


async def test_the_closing_gets_in_whatever_the_agent_wrote_there(world: World) -> None:
    commit = await built(world, {PATH: "{}"}, closing=True)
    assert (world.issue("a", commit) or {})["status"] == "closed"
    assert (world.issue("b", commit) or {})["status"] == "open"


async def test_a_template_is_filled_once(own_git: None, tmp_path: Path) -> None:
    more = '[landing]\nmessage = "{id}: {title}"'
    issues = (issue("a", title="Say {description}", description="hello {id}"),)
    async with World.at(tmp_path, more=more, issues=issues) as world:
        assert (await message(world)).splitlines()[0] == "a: Say {description}"


@pytest.mark.parametrize(
    ("title", "subject"), [("two\nlines", "two lines"), ("", "a"), ("a \0 byte", "a  byte")]
)
async def test_any_title_makes_a_subject(world: World, title: str, subject: str) -> None:
    world.backlog(issue("a", title=title), issue("b"))
    await world.tracking.refresh()
    commit = await built(world, {"new.txt": "x\n"})
    assert world.git("log", "-1", "--format=%s", commit) == subject


async def test_ids_in_trailers_are_encoded(own_git: None, tmp_path: Path) -> None:
    async with World.at(tmp_path, issues=(issue("a b/ü"),)) as world:
        assert "\nBead: a%20b%2F%C3%BC\n" in await message(world, "a b/ü")


async def test_changed_tests_are_named(world: World) -> None:
    meant = contract("a", world.line.base, changes=("t.py::x", "t.py::y"))
    text = commit_message(world.parts, world.state("a"), meant)
    assert "\nChanges: t.py::x, t.py::y\n" in text
