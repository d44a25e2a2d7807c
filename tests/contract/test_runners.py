"""What every runner of gates promises: on the same trees they say the same.

The trees hold a suite in the language of `oya.testing.simulation.suite`. On the real
machine its commands are programs (tests/suite_program.py), in real slots and processes.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

import suite_program
from oya.clock import SystemClock
from oya.errors import GitError
from oya.gates.config import GatesConfig
from oya.gates.model import EXIT_ONLY, Case, Outcome, Report
from oya.gates.port import Job, Runner
from oya.gates.runner import ProcessRunner
from oya.processes.port import Command, Ended
from oya.processes.real import GuardedProcesses, survivors
from oya.repository.slot import Slots
from oya.testing.simulation.gates import SimulatedRunner
from oya.testing.simulation.git import GitDisk
from repository_kit import isolate, make_repository, opened
from user_kit import GitUser, Prompt, SimulatedUser, User

PASSED, FAILED, ERROR = Outcome.PASSED, Outcome.FAILED, Outcome.ERROR
FILES = {
    "tests/a.t": "one src/a.x base\ntwo src/a.x more\nflaky src/a.x base ~0.5\n",
    "tests/b.t": "one src/b.x base\n",
    "src/a.x": "base\n",
    "src/b.x": "base\n",
}
LUCK, TIMEOUT = 0.4, 60.0


@dataclass
class Bench:
    """A runner, who commits what it judges, and what can be seen of it.

    `running` are the gates that run at this moment, `most` how many there were at once.
    """

    user: User
    runner: Runner
    running: set[str]
    most: Callable[[], int]
    kill: Callable[[], object]
    left: Callable[[], list[object]]

    def commit(self, **words: str) -> str:
        """FILES, with lines added to these files of src."""
        more = {f"src/{name}.x": f"base\n{text}\n" for name, text in words.items()}
        return self.user.commit({**FILES, **more})


class Counted(set[str]):
    """A set that knows how many it has held at once."""

    most = 0

    def add(self, element: str) -> None:
        super().add(element)
        self.most = max(self.most, len(self))


class Watched(GuardedProcesses):
    """Real processes, counted while they run."""

    def __init__(self, marker: str, running: Counted) -> None:
        super().__init__(marker)
        self._running = running

    async def run(self, command: Command) -> Ended:
        name = str(command.output)
        self._running.add(name)
        try:
            return await super().run(command)
        finally:
            self._running.discard(name)


def real(root: Path, slots: int, timeout: float) -> Bench:
    folder = make_repository(root / "repo", {"first": ""})
    repo, marker, running = opened(folder), f"runner-{root.name}", Counted()
    programs, trouble = root / "bin", root / "trouble"
    programs.mkdir()
    for verb in suite_program.VERBS:
        line = f"exec {sys.executable} -I -S -B {suite_program.__file__} {verb}"
        (programs / verb).write_text(f'#!/bin/sh\n{line} "$@"\n')
        (programs / verb).chmod(0o755)
    env = {"PATH": f"{programs}:/usr/bin:/bin", "LUCK": str(LUCK), "TROUBLE": str(trouble)}
    runner = ProcessRunner(
        GatesConfig(env=env, timeout=timeout),
        processes=Watched(marker, running),
        checkout=Slots(repo, repo.place, slots),
        logs=root / "logs",
        clock=SystemClock(),
    )
    logs = root / "logs"
    left = lambda: [*survivors(marker), *(logs.iterdir() if logs.exists() else ())]  # noqa: E731
    return Bench(GitUser(folder), runner, running, lambda: running.most, trouble.touch, left)


def simulated(root: Path, slots: int, timeout: float) -> Bench:
    user, running, troubles = SimulatedUser(GitDisk()), Counted(), [""]
    runner = SimulatedRunner(
        Prompt(),
        user.disk.objects.files,
        slots=slots,
        luck=lambda: LUCK,
        trouble=lambda: troubles[-1],
        running=running,
        timeout=timeout,
    )
    kill = partial(troubles.append, "killed")
    return Bench(user, runner, running, lambda: running.most, kill, lambda: [*running])


RUNNERS = {"processes": real, "simulated": simulated}
Make = Callable[..., Bench]


@pytest.fixture(params=RUNNERS)
def make(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Make]:
    isolate(monkeypatch, tmp_path / "home")

    def make(*, slots: int = 2, timeout: float = TIMEOUT) -> Bench:
        return RUNNERS[request.param](tmp_path, slots, timeout)

    yield make
    assert survivors(f"runner-{tmp_path.name}") == []


@pytest.fixture
def bench(make: Make) -> Bench:
    return make()


def suite(*ids: str, command: str = "suite {tests} {report}") -> Job:
    return Job("tests", (command,), ids, "junit")


def ci(*commands: str) -> Job:
    return Job("ci", commands or ("ci",), exit_only=True)


def outcomes(report: Report | None) -> dict[str, Outcome]:
    assert report is not None
    assert report.broken == ()
    return {case.id: case.outcome for case in report.cases}


# Tests, one by one


async def test_each_test_has_its_outcome_and_red_ones_say_why(bench: Bench) -> None:
    found = await bench.runner.run(bench.commit(), "tree", suite(), "key", urgent=False)
    assert found.report is not None
    assert found.report.cases == (
        Case("tests/a.t::one", PASSED),
        Case("tests/a.t::two", FAILED, "AssertionError: src/a.x lacks more"),
        Case("tests/a.t::flaky", PASSED),
        Case("tests/b.t::one", PASSED),
    )
    assert (found.key, found.gate, found.tree) == ("key", "tests", "tree")
    assert (found.exit, found.ok, found.complete, found.empty) == (1, False, True, False)
    assert found.tail == "tests/a.t::two failed\nAssertionError: src/a.x lacks more"
    assert found.command == "suite  report.xml"


async def test_green_is_exit_zero_and_all_passed(bench: Bench) -> None:
    found = await bench.runner.run(bench.commit(a="more"), "t", suite(), "k", urgent=True)
    assert (found.exit, found.ok, found.timed_out, found.reused) == (0, True, False, False)
    assert set(outcomes(found.report).values()) == {PASSED}
    assert found.seconds > 0
    assert found.cpu_seconds > 0


async def test_only_the_tests_that_are_asked_for_run(bench: Bench) -> None:
    ids = ("tests/b.t::one", "tests/a.t::one")
    found = await bench.runner.run(bench.commit(), "t", suite(*ids), "k", urgent=False)
    assert outcomes(found.report) == dict.fromkeys(ids[::-1], PASSED)
    assert found.ok
    assert found.command == "suite tests/b.t::one tests/a.t::one report.xml"


async def test_a_suite_without_tests_has_not_passed(bench: Bench) -> None:
    job = suite("tests/c.t::none")
    found = await bench.runner.run(bench.commit(), "t", job, "k", urgent=False)
    assert (found.exit, found.ok, found.empty) == (5, False, True)
    assert found.tail.startswith("no test ran")


async def test_what_is_not_in_the_tree_is_not_seen(bench: Bench) -> None:
    """Not a file of the commit that was judged in that slot before."""
    older = bench.commit()
    newer = bench.user.commit({"tests/a.t": None, "src/b.x": "red\n"})
    for commit, count in ((older, 4), (newer, 1), (older, 4), (newer, 1)):
        found = await bench.runner.run(commit, "t", suite(), "k", urgent=False)
        assert len(outcomes(found.report)) == count
    assert outcomes(found.report) == {"tests/b.t::one": FAILED}


async def test_a_flaky_test_has_the_luck_of_its_run(bench: Bench) -> None:
    commit = bench.user.commit({**FILES, "tests/a.t": "x src/a.x base ~0.3\n"})
    found = await bench.runner.run(commit, "t", suite(), "k", urgent=False)
    assert found.report is not None
    assert found.report.cases[0] == Case(
        "tests/a.t::x", FAILED, "AssertionError: src/a.x was too slow"
    )


# Gates by their exit code


async def test_ci_is_one_test_by_its_exit_code(bench: Bench) -> None:
    found = await bench.runner.run(bench.commit(a="more"), "t", ci(), "k", urgent=False)
    assert (found.exit, found.ok, found.tail) == (0, True, "all passed")
    assert found.report == Report((Case(EXIT_ONLY, PASSED),))
    assert found.command == "ci"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({}, "tests/a.t::two"),
        ({"a": "more", "b": "red"}, "src/b.x is red"),
        ({"a": "more", "b": "======="}, "src/b.x has conflict markers"),
        ({"a": "more\nclash-1", "b": "clash-1"}, "src/b.x and src/a.x both have clash-1"),
        ({"a": "clash-1", "b": "red\nclash-2"}, "tests/a.t::two; src/b.x is red"),
    ],
)
async def test_ci_says_what_is_wrong(bench: Bench, words: dict[str, str], said: str) -> None:
    found = await bench.runner.run(bench.commit(**words), "t", ci(), "k", urgent=False)
    assert (found.exit, found.ok, found.tail) == (1, False, said)
    assert found.report == Report((Case(EXIT_ONLY, FAILED, said),))


async def test_commands_run_in_order_until_the_first_red_one(bench: Bench) -> None:
    job = ci("has src/a.x base", "lacks src/a.x base", "has src/b.x absent")
    found = await bench.runner.run(bench.commit(), "t", job, "k", urgent=False)
    assert (found.command, found.exit) == ("lacks src/a.x base", 1)
    assert found.tail == "lacks src/a.x base: 1"
    job = ci("has src/a.x base", "lacks src/a.x more")
    found = await bench.runner.run(bench.commit(), "t", job, "k", urgent=False)
    assert (found.command, found.exit, found.ok) == ("lacks src/a.x more", 0, True)


async def test_quick_gives_no_report(bench: Bench) -> None:
    commit = bench.commit()
    for line, ok in (("has src/a.x base", True), ("has src/a.x more", False)):
        found = await bench.runner.run(commit, "t", Job("quick", (line,)), "k", urgent=False)
        assert (found.ok, found.exit, found.report) == (ok, int(not ok), None)
        assert found.tail == f"{line}: {int(not ok)}"


# Runs that come to no end


async def test_a_run_that_was_killed_says_nothing_about_the_tree(bench: Bench) -> None:
    commit = bench.commit(a="more")
    bench.kill()
    found = await bench.runner.run(commit, "t", suite(), "k", urgent=False)
    assert (found.exit, found.ok, found.complete, found.report) == (None, False, False, None)
    assert "report is not written" in found.tail
    found = await bench.runner.run(commit, "t", ci(), "k", urgent=False)
    assert (found.exit, found.ok, found.complete) == (None, False, False)
    assert outcomes(found.report) == {EXIT_ONLY: ERROR}


async def test_a_gate_that_never_ends_is_ended(make: Make) -> None:
    bench = make(timeout=0.3)
    commit = bench.commit()
    for job, report in ((ci("hang"), {EXIT_ONLY: ERROR}), (suite(command="hang {report}"), None)):
        found = await bench.runner.run(commit, "t", job, "k", urgent=False)
        assert (found.exit, found.timed_out, found.ok) == (None, True, False)
        assert not found.complete
        assert (outcomes(found.report) if report else found.report) == report


async def test_a_tree_that_is_not_there_is_an_error(bench: Bench) -> None:
    with pytest.raises(GitError):
        await bench.runner.run("1" * 40, "t", ci(), "k", urgent=False)
    with pytest.raises(GitError):
        await bench.runner.command("1" * 40, "has a b", timeout=10)
    assert bench.left() == []


# Commands


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("has src/a.x base", 0),
        ("has src/a.x more", 1),
        ("has src/none.x base", 1),
        ("lacks src/a.x more", 0),
        ("lacks src/none.x more", 0),
        ("lacks src/a.x base", 1),
    ],
)
async def test_a_command_has_its_exit_code_and_last_line(
    bench: Bench, line: str, code: int
) -> None:
    ran = await bench.runner.command(bench.commit(), line, timeout=TIMEOUT)
    assert (ran.exit, ran.last_line, ran.tail) == (code, f"{line}: {code}", f"{line}: {code}")
    assert not ran.timed_out
    assert ran.seconds > 0


async def test_a_command_that_is_not_there(bench: Bench) -> None:
    ran = await bench.runner.command(bench.commit(), "no-such-verb a b", timeout=TIMEOUT)
    assert ran.exit == 127
    assert "no-such-verb: not found" in ran.last_line


async def test_a_command_ends_after_its_timeout(bench: Bench) -> None:
    ran = await bench.runner.command(bench.commit(), "hang", timeout=0.3)
    assert (ran.exit, ran.timed_out) == (None, True)
    assert bench.left() == []


# Slots


async def test_slots_bound_how_many_run_at_once(bench: Bench) -> None:
    commit = bench.commit()
    runs = [bench.runner.command(commit, "has src/a.x base", timeout=TIMEOUT) for _ in range(5)]
    ran = await asyncio.gather(*runs)
    assert [one.exit for one in ran] == [0] * 5
    assert bench.most() == 2
    assert bench.running == set()


async def test_who_is_urgent_goes_first(make: Make) -> None:
    bench, order = make(slots=1), list[str]()
    commit = bench.commit()

    async def one(name: str, *, urgent: bool) -> None:
        await bench.runner.run(commit, "t", ci(), name, urgent=urgent)
        order.append(name)

    first = asyncio.create_task(bench.runner.command(commit, "hang", timeout=3.0))
    await until(lambda: bool(bench.running))
    rest = [asyncio.create_task(one(name, urgent=False)) for name in ("second", "third")]
    await asyncio.sleep(0)
    rest.append(asyncio.create_task(one("urgent", urgent=True)))
    await asyncio.gather(first, *rest)
    assert order == ["urgent", "second", "third"]


async def test_a_cancelled_run_leaves_nothing(make: Make) -> None:
    bench = make(slots=1)
    commit = bench.commit()
    for begin in (
        lambda: bench.runner.run(commit, "t", ci("hang"), "k", urgent=False),
        lambda: bench.runner.command(commit, "hang", timeout=TIMEOUT),
    ):
        task = asyncio.ensure_future(begin())
        await until(lambda: bool(bench.running))
        early, late = asyncio.ensure_future(begin()), asyncio.ensure_future(begin())
        await asyncio.sleep(0)
        early.cancel()
        await asyncio.sleep(0)
        task.cancel()
        asyncio.get_running_loop().call_soon(late.cancel)  # just as its turn comes
        for gone in (early, task, late):
            with pytest.raises(asyncio.CancelledError):
                await gone
        assert bench.left() == []
        assert bench.running == set()
    assert (await bench.runner.command(commit, "has src/a.x base", timeout=TIMEOUT)).exit == 0


async def until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not met():
            await asyncio.sleep(0.005)
