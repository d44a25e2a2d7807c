"""An implementer's work is judged: by its contract, on its base, within bounds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from roles_kit import Play, at, contracted, implement
from swarm_kit import World

from oya.lifecycle.events import CannotDo, ImplementationAccepted
from oya.lifecycle.failures import FailureClass
from oya.lifecycle.model import Hold
from oya.swarm.attempt import AttemptOver
from oya.swarm.contract import Contract

NEW = "tests/new.py::new"


@pytest.fixture
async def world(own_git: None, tmp_path: Path) -> AsyncIterator[World]:
    async with at(tmp_path) as made:
        await began(made)
        yield made


async def began(world: World) -> None:
    world.commit({"tests/old.py": "here a.txt one\n", "src/x.txt": "x\n"})
    await world.line.refresh()


async def behaviour(world: World, line: str = "new src/x.txt done\n") -> Contract:
    """`src/x.txt` is to say done."""
    return await contracted(
        world,
        {"tests/new.py": line},
        kind="behaviour",
        fail_to_pass=(NEW,),
        frozen=("tests/new.py", "tests/old.py"),
    )


async def preserve(world: World) -> Contract:
    answer = {"touches": ["src"], "why": "shorter"}
    return await contracted(world, {}, kind="preserve", answer=answer, frozen=("tests/old.py",))


def writes(*turns: dict[str, str | None]) -> Play:
    """An agent that writes these files, turn by turn."""

    def play(folder: Path, turn: int) -> None:
        for name, text in turns[min(turn, len(turns)) - 1].items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True) if text is None else path.write_text(text)

    return play


DONE: dict[str, str | None] = {"src/x.txt": "x done\n"}


async def failed(world: World, contract: Contract, play: Play, **about: Any) -> AttemptOver:
    with pytest.raises(AttemptOver) as over:
        await implement(world, contract, play, **about)
    return over.value


async def test_green_is_accepted(world: World) -> None:
    result, heard = await implement(world, await behaviour(world), writes(DONE))
    assert isinstance(result.event, ImplementationAccepted)
    assert (result.event.hold, len(heard)) == (None, 1)


async def test_what_was_accepted_and_is_left_as_it_is_is_not_run_again(world: World) -> None:
    contract = await behaviour(world)
    result, _ = await implement(world, contract, writes(DONE))
    assert isinstance(result.event, ImplementationAccepted)
    runs, before = world.parts.gates.runs, result.event.commit
    again: dict[str, Any] = {"spare": True, "snapshot": before, "implementation": before}
    result, _ = await implement(world, contract, writes({}), **again)
    assert isinstance(result.event, ImplementationAccepted)
    assert world.parts.gates.runs == runs
    other: dict[str, str | None] = {"src/x.txt": "x done well\n"}
    await implement(world, contract, writes(other), **again)
    assert world.parts.gates.runs == runs + 4, "tests and ci, and the tests twice more"


async def test_a_refactoring_stays_inside_what_it_may_touch(world: World) -> None:
    stray: dict[str, str | None] = {**DONE, "docs/x.md": "hm\n"}
    result, heard = await implement(
        world, await preserve(world), writes(stray, {"docs/x.md": None})
    )
    assert "this work is to touch only src; put these back: docs/x.md" in heard[1]
    assert isinstance(result.event, ImplementationAccepted)
    assert result.event.hold is Hold.WEAK_CONTRACT
    assert result.event.why == "its contract is of kind preserve: shorter"


async def test_a_refactoring_breaks_nothing(world: World) -> None:
    world.commit({"tests/more.py": "kept src/x.txt x\n"})
    await world.line.refresh()
    over = await failed(world, await preserve(world), writes({"src/x.txt": "gone\n"}))
    assert over.failure is FailureClass.GATE_RED
    assert over.findings[0].startswith("tests/more.py::kept: failed")


@pytest.mark.parametrize("kind", ["none", "preserve"])
async def test_what_no_red_test_stands_for_needs_a_change(world: World, kind: str) -> None:
    contract = await contracted(world, {}, kind=kind)
    for about in ({}, {"rework": True}):
        over = await failed(world, contract, writes({}), **about)
        assert over.failure is FailureClass.AGENT_EMPTY
    result, _ = await implement(world, contract, writes({"docs/story.md": "Once\n"}))
    assert isinstance(result.event, ImplementationAccepted)


async def test_done_already_is_a_question_where_nothing_was_red(world: World) -> None:
    def done(*_: Any) -> dict[str, Any]:
        return {"cannot": "already_done", "why": "it reads well"}

    result, _ = await implement(world, await contracted(world, {}, kind="none"), done)
    assert isinstance(result.event, CannotDo)
    assert result.event.cannot == "needs_person"
    assert "done already: it reads well" in result.event.question
    result, _ = await implement(world, await behaviour(world), done)
    assert isinstance(result.event, CannotDo)
    assert result.event.cannot == "already_done"


def says_done(*_: Any) -> dict[str, Any]:
    return {"cannot": "already_done", "why": "it is there"}


@pytest.mark.parametrize("play", [writes({}), says_done], ids=["nothing", "already_done"])
async def test_work_for_an_earlier_contract_may_be_all_that_the_new_one_needs(
    world: World, play: Play
) -> None:
    old = await world.made((await behaviour(world)).commit, DONE)
    anew = await behaviour(world, "new src/x.txt don\n")
    result, _ = await implement(world, anew, play, implementation=old)
    assert isinstance(result.event, ImplementationAccepted)


@pytest.mark.parametrize("play", [writes({}), says_done], ids=["nothing", "already_done"])
async def test_whether_it_is_the_gates_decide(world: World, play: Play) -> None:
    old = await world.made((await behaviour(world)).commit, DONE)
    anew = await behaviour(world, "new src/x.txt better\n")
    over = await failed(world, anew, play, implementation=old)
    assert over.failure is FailureClass.GATE_RED
    assert over.findings[0].startswith(f"{NEW}: failed")


async def test_an_implementation_that_was_contested_is_not_enough(world: World) -> None:
    contract = await behaviour(world)
    old = await world.made(contract.commit, DONE)
    over = await failed(world, contract, writes({}), implementation=old)
    assert over.failure is FailureClass.AGENT_EMPTY


async def test_tests_that_landed_meanwhile_are_frozen_on_the_new_base(world: World) -> None:
    contract = await behaviour(world)
    landed = world.commit({"tests/later.py": "later a.txt one\n"})
    await world.line.refresh()
    eased: dict[str, str | None] = {**DONE, "tests/later.py": "later a.txt o\n"}
    _, heard = await implement(world, contract, writes(eased, {}), rework=True, base=landed)
    assert "frozen by the contract and were put back: tests/later.py" in heard[1]


async def test_rework_on_a_base_that_is_red_is_not_blamed(world: World) -> None:
    contract = await behaviour(world)
    red = world.commit({"a.txt": "two\n"}, "oops")
    await world.line.refresh()
    over = await failed(world, contract, writes(DONE), rework=True, base=red)
    assert over.failure is FailureClass.BASE_RED
    assert "tests/old.py::here" in over.reason
    assert f"since {red[:9]} (oops)" in over.reason


async def test_what_others_changed_in_a_frozen_file_is_nobodys_edit(world: World) -> None:
    contract = await behaviour(world)
    landed = world.commit({"tests/old.py": "here a.txt one\nmore a.txt one\n"})
    await world.line.refresh()
    result, heard = await implement(world, contract, writes(DONE), rework=True, base=landed)
    assert isinstance(result.event, ImplementationAccepted)
    assert len(heard) == 1


async def test_what_landed_before_a_rework_is_nobodys_edit_in_the_attempt_after_it_either(
    world: World,
) -> None:
    """Accepted as rework, contested, implemented again: the base is the new one still."""
    contract = await behaviour(world)
    others = {
        "tests/old.py": "here a.txt one\nmore a.txt one\n",
        "tests/later.py": "later a.txt one\n",
        "conftest.py": "",
    }
    landed = world.commit(others)
    await world.line.refresh()
    result, _ = await implement(world, contract, writes(DONE), rework=True)
    reworked = result.event
    assert isinstance(reworked, ImplementationAccepted)
    assert reworked.base == landed
    world.commit({"tests/newest.py": "newest a.txt one\n"})
    await world.line.refresh()

    known = {"implementation": reworked.commit, "base": reworked.base}
    eased = {"src/x.txt": "x done better\n", "tests/later.py": "later a.txt o\n"}
    result, heard = await implement(world, contract, writes(eased, {}), **known)
    assert isinstance(result.event, ImplementationAccepted)
    assert "frozen by the contract and were put back: tests/later.py." in heard[1]
    assert len(heard) == 2
    assert result.event.base == landed
    for path, text in others.items():
        assert await world.repo.read_file(result.event.commit, path) == text.encode()


async def test_a_new_file_that_runs_before_the_tests_is_put_back_and_then_ends_it(
    world: World,
) -> None:
    before: dict[str, str | None] = {**DONE, "sitecustomize.py": "raise SystemExit(0)\n"}
    _, heard = await implement(world, await behaviour(world), writes(before, {}))
    assert "were put back: sitecustomize.py" in heard[1]
    over = await failed(world, await behaviour(world), writes(before))
    assert over.failure is FailureClass.CONTRACT_BROKEN
    assert "edited the frozen files again: sitecustomize.py" in over.reason


@pytest.mark.parametrize("way", ["link", "program", "package"])
async def test_what_a_frozen_file_is_counts_as_what_is_in_it(world: World, way: str) -> None:
    """The blob of a link to `x` is that of a file that says `x`."""
    old = (await world.parts.repo.read_file(world.line.base, "tests/old.py") or b"").decode()

    def play(folder: Path, turn: int) -> None:
        (folder / "src/x.txt").write_text("done\n")
        if turn > 1:
            return
        file = folder / "tests/old.py"
        if way == "program":
            file.chmod(0o755)
        elif way == "link":
            file.unlink()
            file.symlink_to(old)
        else:
            (folder / "tests/old").symlink_to("../src")

    result, heard = await implement(world, await behaviour(world), play)
    assert f"were put back: tests/old{'' if way == 'package' else '.py'}." in heard[1]
    assert isinstance(result.event, ImplementationAccepted)
    there = await world.parts.repo.diff(world.line.base, result.event.commit)
    assert [change.path for change in there] == ["src/x.txt", "tests/new.py"]


async def test_of_a_failure_of_200_kilobytes_the_first_lines_come_back(world: World) -> None:
    """A report, a check and a gate that each say very much."""
    contract = await behaviour(world, "new src/x.txt done 12000\n" + "also src/x.txt done 12000\n")
    almost: dict[str, str | None] = {"src/x.txt": "almost\n"}
    _, heard = await implement(world, contract, writes(almost, DONE))
    assert "AssertionError: src/x.txt lacks done" in heard[1]
    assert "line 11999 of new" not in heard[1]
    assert len(heard[1]) < 12_000


async def test_of_a_gate_that_says_200_kilobytes_the_trouble_comes_back(
    own_git: None, tmp_path: Path
) -> None:
    say = "seq 1 20000; echo the error: x is not done; seq 1 20000; grep -q done src/x.txt"
    async with at(tmp_path, ci=say) as world:
        await began(world)
        world.commit({"src/x.txt": "done\n"})
        await world.line.refresh()
        contract = await contracted(world, {}, kind="none")
        broken: dict[str, str | None] = {"src/x.txt": "x\n"}
        _, heard = await implement(world, contract, writes(broken, {"src/x.txt": "done it\n"}))
    assert "the error: x is not done" in heard[1]
    assert len(heard[1]) < 12_000


async def test_who_leaves_what_is_too_large_is_told_so_with_what_is_red_for_it(
    own_git: None, tmp_path: Path
) -> None:
    async with at(tmp_path, more='[workspace]\nmax_file = "1kB"\n') as world:
        await began(world)
        contract = await behaviour(world)
        large: dict[str, str | None] = {"src/x.txt": "done\n" * 400, "src/y.txt": "y" * 2000}
        large["src/small.txt"] = "s\n"
        result, heard = await implement(world, contract, writes(large, DONE))
        assert f"{NEW}: failed" in heard[1]
        assert "Too large, or no file, and left out: src/x.txt, src/y.txt" in heard[1]
        assert isinstance(result.event, ImplementationAccepted)
        assert result.data["left_out"] == ["src/y.txt"]

        over = await failed(world, contract, writes(large, {"src/z.txt": "z"}))
        assert over.findings[0].startswith(f"{NEW}: failed")
        assert over.findings[-1].endswith("left out: src/x.txt, src/y.txt")
        alone: dict[str, str | None] = {"src/x.txt": "done\n" * 400}
        _, heard = await implement(world, contract, writes(alone, DONE))
        assert "nothing had changed" in heard[1]
        assert "left out: src/x.txt" in heard[1]
        over = await failed(world, contract, writes(alone))
        assert over.failure is FailureClass.AGENT_EMPTY
        assert over.findings[-1].endswith("left out: src/x.txt")

        small: dict[str, str | None] = {"src/x.txt": "no\n"}
        _, heard = await implement(world, contract, writes(small, DONE))
        assert "left out" not in heard[1]


async def test_an_exit_code_that_no_test_explains_comes_back_before_landing(
    own_git: None, tmp_path: Path
) -> None:
    after = "; code=$?; grep -q 'x done$' src/x.txt && exit 3; exit $code"
    async with at(tmp_path, after=after) as world:
        await began(world)
        contract = await behaviour(world)
        better: dict[str, str | None] = {"src/x.txt": "x done now\n"}
        _, heard = await implement(world, contract, writes(DONE, better))
    assert "exited with 3" in heard[1]


async def test_a_planned_test_that_never_runs_breaks_the_contract(
    own_git: None, tmp_path: Path
) -> None:
    """It goes back first, like anything red."""
    async with at(tmp_path, before="test ! -e src/hide || rm tests/new.py; ") as world:
        await began(world)
        hides: dict[str, str | None] = {**DONE, "src/hide": "x"}
        over = await failed(world, await behaviour(world), writes(hides))
        assert over.failure is FailureClass.CONTRACT_BROKEN
        assert f"{NEW}: missing from the runner's report" in over.findings[0]
        result, heard = await implement(
            world, await behaviour(world), writes(hides, {"src/hide": None})
        )
        assert isinstance(result.event, ImplementationAccepted)
        assert len(heard) == 2


async def test_what_is_missing_beside_the_tree_is_no_failure_of_the_attempt(
    own_git: None, tmp_path: Path
) -> None:
    """The base is known to be green, by a run of before."""
    service = tmp_path / "service"
    service.touch()
    async with at(tmp_path, ci=f"test -e {service}") as world:
        await began(world)
        assert await world.parts.base_red(world.line.base) == []
        contract = await behaviour(world)
        service.unlink()
        over = await failed(world, contract, writes(DONE))
        assert over.failure is FailureClass.BASE_RED
        assert "it was green before" in over.reason
        service.touch()
        assert await world.parts.base_red(world.line.base, fresh=True) == []
        result, heard = await implement(world, contract, writes(DONE))
        assert isinstance(result.event, ImplementationAccepted)
        assert len(heard) == 1, "what was red without it is run again"


@pytest.mark.parametrize(("seconds", "runs"), [(299.0, 1), (301.0, 0)])
async def test_a_long_ci_runs_at_landing_alone(world: World, seconds: float, runs: int) -> None:
    world.parts.meter.know("ci", [1.0, seconds, 2000.0])
    before = await world.said("gate_ran")
    await implement(world, await behaviour(world), writes(DONE))
    after = (await world.said("gate_ran"))[len(before) :]
    assert after.count("ci") == runs


async def test_the_median_of_a_gate_is_that_of_its_newest_runs_in_the_log(world: World) -> None:
    assert await world.parts.gate_median("ci") is None
    world.parts.meter.runs.clear()
    for seconds in (*[9.0] * 30, *[1.0, 2.0, 5.0] * 7):
        await world.store.events.append("gate_ran", reason="ci", data={"seconds": seconds})
        await world.store.events.append("gate_ran", reason="quick", data={"seconds": 7.0})
    assert await world.parts.gate_median("ci") == 2.0
    world.parts.meter.ran("ci", 3.0)
    world.parts.meter.ran("tests", 3.0)
    assert len(world.parts.meter.runs["ci"]) == 20
    assert await world.parts.gate_median("tests") is None


async def test_with_no_worse_what_was_red_may_stay_red(own_git: None, tmp_path: Path) -> None:
    """The base has a red test, and `ci` is red for it."""
    ci = "! grep -q bad src/x.txt"
    async with at(tmp_path, gates='baseline = "no-worse"', ci=ci) as world:
        await began(world)
        world.commit({"tests/sick.py": "sick a.txt never\n", "src/x.txt": "bad\n"})
        await world.line.refresh()
        assert await world.parts.base_red(world.line.base) == []
        contract = await behaviour(world)
        result, heard = await implement(
            world,
            contract,
            writes({"src/x.txt": "bad done\n", "a.txt": "lost\n"}, {"a.txt": "one\n"}),
        )
        assert isinstance(result.event, ImplementationAccepted)
        assert heard[1].count("tests/old.py::here") == 1, "nothing that passes may fail"
        assert "sick" not in heard[1]


async def test_where_ci_is_green_on_the_base_no_worse_does_not_excuse_it(
    own_git: None, tmp_path: Path
) -> None:
    async with at(tmp_path, gates='baseline = "no-worse"') as world:
        await began(world)
        bad: dict[str, str | None] = {**DONE, "red.txt": "x\n"}
        _, heard = await implement(world, await behaviour(world), writes(bad, {"red.txt": None}))
    assert "Gate `ci`" in heard[1]


async def test_a_base_without_tests_is_red_once_behaviour_has_landed(world: World) -> None:
    world.commit({"tests/old.py": ""})
    await world.line.refresh()
    base = world.line.base
    assert await world.parts.base_red(base) == []
    await world.reviewed("a", {"b.txt": "two\n"}, kind="check")
    await world.reviewed("b", {"c.txt": "two\n"}, kind="behaviour")
    for bead, red in (("a", []), ("b", ["tests: no test is collected any more"])):
        await land(world, bead)
        assert await world.parts.base_red(base) == red


async def land(world: World, bead: str) -> None:
    from oya.lifecycle import events as e

    await world.parts.apply(bead, e.LandingStarted(world.line.base))
    await world.parts.apply(bead, e.Landed("c" * 40))
