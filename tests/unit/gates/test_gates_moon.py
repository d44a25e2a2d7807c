"""moon is judged by its reports: recorded ones, and those of a program that plays moon."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from gates_world import ENV, World

from oya.gates import Evidence, moon
from oya.gates.moon import NoReport, Task, asked_for, command_of, judge, parse

RECORDED = Path(__file__).parents[2] / "fixtures" / "moon"


def recorded(name: str) -> tuple[Task, ...]:
    return parse((RECORDED / f"{name}.json").read_bytes())


def test_a_recorded_pass_is_green() -> None:
    tasks = recorded("ciReport_pass")
    assert [task.target for task in tasks] == [
        "root:fmt",
        "root:lint",
        "root:test",
        "root:quick",
        "root:ci",
    ]
    assert judge(tasks, ()) == ""
    assert judge(tasks, (":quick", "root:ci")) == ""


def test_a_recorded_failure_names_what_failed_though_moon_calls_it_completed() -> None:
    assert json.loads((RECORDED / "ciReport_fail.json").read_text())["status"] == "completed"
    said = judge(recorded("ciReport_fail"), ())
    assert said == "root:test failed (exit 3), root:ci skipped"
    assert judge(recorded("runReport_fail"), (":ci",)) == "root:test failed (exit 3)"


def test_what_was_asked_for_and_did_not_run_is_missing() -> None:
    tasks = (Task("a:quick", "passed"), Task("b:lint", "cached", 0))
    assert judge(tasks, (":quick", "b:lint")) == ""
    assert judge(tasks, (":test", "b:quick", "c:lint")) == "moon did not run :test, b:quick, c:lint"
    assert judge(tasks, ("#tag:quick",)) == ""


@pytest.mark.parametrize(
    ("tasks", "said"),
    [
        ((), "moon ran no task"),
        ((Task("a:x", "failed", 1, allowed_to_fail=True),), "moon ran no task"),
        ((Task("a:x", "failed", 1, allowed_to_fail=True), Task("a:y", "passed", 0)), ""),
        ((Task("a:x", "passed", 3),), "a:x passed (exit 3)"),
        ((Task("a:x", "aborted"), Task("a:y", "passed")), "a:x aborted"),
        ((Task("a:x", "timed-out"),), "a:x timed-out"),
        ((Task("a:x", "running"),), "a:x running"),
    ],
)
def test_only_what_ran_and_passed_is_green(tasks: tuple[Task, ...], said: str) -> None:
    assert judge(tasks, ()) == said


def test_of_many_failures_the_first_are_named() -> None:
    said = judge(tuple(Task(f"p{n}:x", "failed", 1) for n in range(1000)), ())
    assert said.startswith("p0:x failed (exit 1), p1:x")
    assert said.endswith(", and 990 more")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        b"[" * 100_000,
        b'{"actions": 3}',
        b'{"actions": [1]}',
        b'{"actions": [{"node": {}}]}',
        b'{"actions": [{"node": {"action": "run-task", "params": null}, "status": "passed"}]}',
        b'{"actions": [{"node": {"action": "run-task", "params": {"target": "a:b"}},'
        b' "status": "passed", "operations": [{"meta": 1}]}]}',
    ],
)
def test_what_is_no_report_is_refused(data: bytes) -> None:
    with pytest.raises(NoReport):
        parse(data)


def test_the_commands_that_leave_reports_are_known() -> None:
    lines = ("moon run :quick", ' moon ci --base "$X"', "moon check", "moonx a:b", "make moon run")
    assert [command_of(line) for line in lines] == ["run", "ci", None, None, None]
    assert asked_for("moon run :quick app:lint --force -- --x:y") == (":quick", "app:lint")
    assert asked_for(moon.CI) == ()


# In a slot -----------------------------------------------------------------------------------

MOON = """#!/bin/sh
# Plays moon: what it is called with goes to $SAID, what it reports is play.json, if there is one.
echo "$* $OYA_BASE $OYA_HEAD $MOON_BASE $MOON_HEAD" >> "$SAID"
case "$*" in *--force*) play=force.json ;; *) play=play.json ;; esac
mkdir -p .moon/cache
test ! -e $play || cp $play .moon/cache/$1Report.json
test ! -e exit || exit "$(cat exit)"
"""


def action(target: str, status: str = "passed", exit: int = 0) -> dict[str, Any]:
    return {
        "node": {"action": "run-task", "params": {"target": target}},
        "status": status,
        "operations": [{"meta": {"type": "task-execution", "exitCode": exit}}],
    }


def report(*actions: dict[str, Any]) -> str:
    return json.dumps({"actions": actions, "status": "completed"})


class Stage:
    def __init__(self, world: World) -> None:
        self.world = world
        program = world.root / "bin" / "moon"
        program.parent.mkdir()
        program.write_text(MOON)
        program.chmod(0o755)
        self.told = world.root / "told"
        env = {**ENV, "PATH": f"{program.parent}:{ENV['PATH']}", "SAID": str(self.told)}
        self.gates = world.gates(
            quick=(moon.QUICK,), ci=(moon.CI,), env=env, moon=True, history=True
        )

    async def quick(self, **files: str) -> Evidence:
        self.world.commit("a", {name.replace("_", "."): text for name, text in files.items()})
        return await self.gates.quick("a", fresh=True)

    async def ci(self, **files: str) -> Evidence:
        self.world.commit("a", {name.replace("_", "."): text for name, text in files.items()})
        return await self.gates.ci("a", fresh=True)


@pytest.fixture
def stage(world: World) -> Stage:
    return Stage(world)


async def test_moon_is_green_by_its_report(stage: Stage) -> None:
    assert (await stage.quick(play_json=report(action("root:quick")))).ok
    assert (await stage.ci(play_json=report(action("root:ci", "cached")))).ok


async def test_a_report_of_failures_is_red_whatever_the_exit_code_says(stage: Stage) -> None:
    evidence = await stage.ci(play_json=report(action("root:test", "failed", 3)))
    assert (evidence.exit, evidence.ok) == (0, False)
    assert evidence.tail.startswith("root:test failed (exit 3)")
    assert evidence.report is not None
    assert evidence.report.red == ("ci",)


async def test_an_exit_code_is_red_whatever_the_report_says(stage: Stage) -> None:
    assert not (await stage.quick(play_json=report(action("root:quick")), exit="1")).ok


async def test_the_report_of_an_earlier_run_counts_for_nothing(stage: Stage) -> None:
    stale = stage.world.root / "a" / ".moon" / "cache" / "runReport.json"
    stale.parent.mkdir(parents=True)
    stale.write_text(report(action("root:quick")))
    evidence = await stage.quick()
    assert (evidence.exit, evidence.ok) == (0, False)
    assert evidence.tail.startswith("moon's report is not written")


async def test_a_report_through_a_link_counts_for_nothing(stage: Stage) -> None:
    outside = stage.world.root / "outside"
    outside.mkdir()
    (outside / "runReport.json").write_text(report(action("root:quick")))
    (stage.world.root / "a" / ".moon").mkdir()
    (stage.world.root / "a" / ".moon" / "cache").symlink_to(outside)
    evidence = await stage.quick()
    assert not evidence.ok
    assert (outside / "runReport.json").exists()


async def test_where_nothing_is_affected_everything_is_run(stage: Stage) -> None:
    evidence = await stage.ci(force_json=report(action("root:test")))
    assert evidence.ok
    calls = [line.split(" --head")[0] for line in stage.told.read_text().splitlines()]
    assert len(calls) == 2
    assert "--force" in stage.told.read_text().splitlines()[1]
    assert not (await stage.ci(force_json=report(action("root:test", "failed", 1)))).ok
    (stage.world.root / "a" / "force.json").unlink()
    assert not (await stage.ci()).ok


async def test_moon_is_told_base_and_head(stage: Stage) -> None:
    stage.world.parents["a"] = "p"
    await stage.ci(play_json=report(action("root:ci")))
    assert stage.told.read_text() == "ci --base p --head a p a p a\n"
    await stage.gates.ci("a", base="other")
    assert stage.told.read_text().splitlines()[1] == "ci --base other --head a other a other a"


async def test_evidence_with_history_is_that_of_two_trees(stage: Stage) -> None:
    stage.world.commit("a", {"play.json": report(action("root:ci"))})
    first = await stage.gates.ci("a", base="p")
    assert (await stage.gates.ci("a", base="p")).reused
    assert not (await stage.gates.ci("a", base="q")).reused
    stage.world.parents["a"] = "p"
    assert (await stage.gates.ci("a")).key == first.key
    assert (await stage.gates.tests("a")).key == first.key  # without a tests gate it is ci


async def test_without_history_the_parent_is_nothing_to_it(world: World) -> None:
    gates = world.gates(ci=('test -z "$OYA_BASE"',))
    world.parents["a"] = "p"
    evidence = await gates.ci("a")
    assert evidence.ok
    assert (await gates.ci("a", base="q")).reused


async def test_any_ci_command_may_ask_for_history(world: World) -> None:
    gates = world.gates(ci=('test "$OYA_BASE..$OYA_HEAD" = p..a; exit $?',), history=True)
    world.parents["a"] = "p"
    assert (await gates.ci("a")).ok
