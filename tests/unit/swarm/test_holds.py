"""What reviewed work needs a person for, by real commits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from swarm_kit import World, contract

from oya.lifecycle.model import Check, Hold
from oya.swarm.config import Settings
from repository_kit import write

PACKAGE = '{"scripts": {"test": "node --test"}, "version": "1"}'


def configured(world: World, **sections: dict[str, Any]) -> Settings:
    plain = world.parts.settings.model_dump(by_alias=True)
    return Settings.model_validate({**plain, **{k: {**plain[k], **v} for k, v in sections.items()}})


async def held(world: World, files: dict[str, str | None], kind: str = "check") -> Any:
    base = world.line.base
    head = await world.made(base, files)
    return await world.parts.hold_for(replace(contract("a", base), kind=kind), base, head)


async def test_ordinary_work_needs_nobody(world: World) -> None:
    assert await held(world, {"b.txt": "two\n"}) == (None, "")


async def test_a_protected_path_needs_a_person(world: World) -> None:
    work = {"b.txt": "two\n", ".gitattributes": "* text\n", ".oya/swarm.toml": "\n"}
    assert await held(world, work) == (Hold.PROTECTED, "changes .gitattributes, .oya/swarm.toml")


async def test_a_removed_file_is_a_change(world: World) -> None:
    world.parts.settings = configured(world, landing={"protected": ["a.txt"]})
    assert await held(world, {"a.txt": None}) == (Hold.PROTECTED, "changes a.txt")


async def test_the_script_of_a_gate_is_protected(world: World) -> None:
    world.parts.settings = configured(world, quality_gates={"ci": ["sh check.sh"]})
    assert await held(world, {"check.sh": "true\n"}) == (Hold.PROTECTED, "changes check.sh")


@pytest.mark.parametrize(
    ("links", "command", "path"),
    [
        ({"ci.sh": "tools/ci/run.sh"}, "sh ci.sh", "tools/ci/run.sh"),
        ({"scripts": "tools/ci"}, "./scripts/run.sh", "tools/ci/run.sh"),
        ({"scripts": "tools/ci"}, "./scripts/run.sh", "scripts"),
        ({"scripts": "tools/ci"}, "for f in scripts/*.sh; do sh $f; done", "tools/ci/new.sh"),
        (
            {"tools/x/run.sh": "../ci/run.sh", "ci.sh": "tools/x/run.sh"},
            "./ci.sh",
            "tools/x/run.sh",
        ),
        (
            {"tools/x/run.sh": "../ci/run.sh", "ci.sh": "tools/x/run.sh"},
            "./ci.sh",
            "tools/ci/run.sh",
        ),
    ],
)
async def test_what_a_gate_runs_by_a_link_is_protected_where_it_lies(
    world: World, links: dict[str, str], command: str, path: str
) -> None:
    write(world.folder, {"tools/ci/run.sh": "true\n", "tools/ci/other.txt": "x\n"})
    for link, target in links.items():
        (world.folder / link).parent.mkdir(exist_ok=True)
        (world.folder / link).symlink_to(target)
    world.commit({"more.txt": "x\n"})
    await world.line.refresh()
    assert await held(world, {path: "exit 0\n"}) == (None, "")
    world.parts.settings = configured(world, quality_gates={"ci": [command]})
    assert await held(world, {path: "exit 0\n"}) == (Hold.PROTECTED, f"changes {path}")
    assert await held(world, {"tools/ci/other.txt": "y\n"}) == (None, "")


@pytest.mark.parametrize("target", ["ci.sh", "../out/ci.sh", "/bin/true", "nowhere/ci.sh"])
async def test_a_link_that_leads_nowhere_is_followed_for_nothing(world: World, target: str) -> None:
    (world.folder / "ci.sh").symlink_to(target)
    world.commit({"more.txt": "x\n"})
    await world.line.refresh()
    world.parts.settings = configured(world, quality_gates={"ci": ["sh ci.sh"]})
    assert await held(world, {"b.txt": "y\n"}) == (None, "")
    assert (await held(world, {"ci.sh": "true\n"}))[0] is Hold.PROTECTED


@pytest.mark.parametrize(
    "path",
    [
        "node_modules/.bin/vitest",
        "tests/node_modules/chai/index.js",
        ".venv/lib/python3.12/site-packages/pytest/__init__.py",
    ],
)
async def test_what_lies_where_packages_are_installed_is_protected(world: World, path: str) -> None:
    """A runner of the candidate's own there would be believed to be the one installed."""
    assert await held(world, {path: "x\n"}) == (Hold.PROTECTED, f"changes {path}")


async def test_other_folders_that_are_kept_are_as_well(world: World) -> None:
    world.parts.settings = configured(world, workspace={"keep": ["deps"]})
    assert await held(world, {"deps/x": "x\n"}) == (Hold.PROTECTED, "changes deps/x")
    assert await held(world, {"src/target/x": "x\n"}) == (None, "")


async def test_a_command_that_makes_a_folder_ready_is_one_too(world: World) -> None:
    world.parts.settings = configured(world, workspace={"prepare": ["./setup.sh"]})
    assert await held(world, {"setup.sh": "true\n"}) == (Hold.PROTECTED, "changes setup.sh")


async def test_of_a_package_only_other_scripts_are(world: World) -> None:
    world.commit({"web/package.json": PACKAGE})
    await world.line.refresh()
    newer = {"web/package.json": PACKAGE.replace('"1"', '"2"')}
    other = {"web/package.json": PACKAGE.replace("node --test", "true")}
    assert await held(world, other) == (None, "")
    world.parts.settings = configured(world, quality_gates={"ci": ["cd web && npm test"]})
    assert await held(world, newer) == (None, "")
    assert await held(world, other) == (Hold.PROTECTED, "changes web/package.json")


async def test_kinds_that_may_not_land_alone_need_a_person(world: World) -> None:
    weak = (Hold.WEAK_CONTRACT, "its contract is of kind none")
    assert await held(world, {"b.txt": "two\n"}, "none") == weak
    world.parts.settings = configured(world, contract={"unattended": ["none"]})
    assert await held(world, {"b.txt": "two\n"}, "none") == (None, "")
    assert (await held(world, {"b.txt": "two\n"}, "check"))[0] is Hold.WEAK_CONTRACT


@pytest.mark.parametrize(
    ("command", "path"),
    [
        ("sh scripts/links.sh docs", "scripts/links.sh"),
        ("for f in scripts/*.sh; do sh $f; done", "scripts/links.sh"),
        ("make links", "Makefile"),
    ],
)
async def test_a_check_that_runs_what_the_work_has_changed_needs_a_person(
    world: World, command: str, path: str
) -> None:
    """It would pass by `exit 0` in there as well. What the contract itself brings is frozen."""
    own = await world.made(world.line.base, {path: "exit 1\n"})
    base = world.commit({path: "false\n"})
    await world.line.refresh()
    made = contract("a", base, checks=(Check(command, 0, "AC1"),))
    work = await world.made(base, {path: "exit 0\n", "docs/a.md": "y\n"})
    told = f"changes {path}, which its own checks run"
    assert await world.parts.hold_for(made, base, work) == (Hold.WEAK_CONTRACT, told)
    other = await world.made(base, {"docs/a.md": "y\n"})
    assert await world.parts.hold_for(made, base, other) == (None, "")
    tested = replace(made, kind="behaviour")
    assert await world.parts.hold_for(tested, base, work) == (None, "")
    brought = contract("a", own, base=world.git("rev-parse", f"{base}~1"), checks=made.checks)
    assert await world.parts.hold_for(brought, brought.base, own) == (None, "")


async def test_one_reason_is_kept_and_all_are_named(world: World) -> None:
    world.parts.settings = configured(world, continuous_deployment={"enabled": False})
    assert await held(world, {"b.txt": "two\n"}) == (Hold.APPROVAL, "")
    hold, why = await held(world, {".gitmodules": "\n"}, "preserve")
    assert hold is Hold.PROTECTED
    assert why == (
        "changes .gitmodules; its contract is of kind preserve; continuous deployment is off"
    )


async def test_names_of_files_are_bounded_and_shown_harmlessly(world: World) -> None:
    work: dict[str, str | None] = {f".oya/{n:02}": "x" for n in range(12)}
    _, why = await held(world, work)
    assert why.endswith(".oya/09 and 2 more")
    _, why = await held(world, {".oya/\x1b[2J" + "y" * 240: "x"})
    assert "\x1b" not in why
    assert len(why) < 250
