"""The runner: real processes, evidence made once, nothing left of a cancelled run."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from gates_world import ENV, PYTEST, World

from oya.errors import ConfigError, NoRoom
from oya.gates import Evidence, GatesConfig, Outcome
from oya.gates.baseline import reds
from oya.gates.config import fill, words
from oya.gates.feedback import feedback
from oya.gates.green import judge_implementation, unstable
from oya.gates.red import judge_contract
from oya.gates.reports.kinds import KINDS
from oya.processes.port import Command, Ended, Session
from oya.processes.real import GuardedProcesses

SUITE = {"tests/test_a.py": "def test_one(): pass\ndef test_two(): assert 0\n"}


class Held:
    """Processes that count, and wait for a word before they run."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.started = asyncio.Event()
        self.go = asyncio.Event()
        self._real = GuardedProcesses("gates-test-held")

    async def run(self, command: Command) -> Ended:
        self.commands.append(command)
        self.started.set()
        await self.go.wait()
        return await self._real.run(command)

    async def open(self, command: Command, *, stderr: Path) -> Session:
        raise NotImplementedError


class ByHand:
    """Processes whose end the test decides."""

    def __init__(self, *ends: Ended) -> None:
        self.ends = list(ends)
        self.commands: list[Command] = []

    async def run(self, command: Command) -> Ended:
        self.commands.append(command)
        return self.ends.pop(0)

    async def open(self, command: Command, *, stderr: Path) -> Session:
        raise NotImplementedError


def ended(exit: int | None = 0, *, timed_out: bool = False, seconds: float = 1.0) -> Ended:
    signal = 9 if exit is None else None
    return Ended(exit, signal, timed_out=timed_out, seconds=seconds, cpu_seconds=0.5)


async def test_only_the_tests_that_are_asked_for_run(world: World) -> None:
    gates = world.gates(tests_command=PYTEST)
    commit = world.commit("a", SUITE)
    evidence = await gates.tests(commit, ["tests/test_a.py::test_one"])
    assert evidence.ok
    assert evidence.report is not None
    assert [case.id for case in evidence.report.cases] == ["tests/test_a.py::test_one"]
    assert evidence.cpu_seconds > 0
    assert evidence.log.read_text().count("1 passed") == 1
    assert [path.suffix for path in world.logs.iterdir()] == [".log"]


async def test_a_gate_that_ran_nothing_has_not_passed(world: World) -> None:
    gates = world.gates(
        tests_command="printf '<testsuites><testsuite/></testsuites>' > {report}; true {tests}"
    )
    evidence = await gates.tests("a", ["tests/test_a.py::test_one"])
    assert (evidence.exit, evidence.ok, evidence.empty) == (0, False, True)
    assert evidence.tail.startswith("no test ran")


async def test_a_name_may_have_any_letters_and_blanks_and_no_control_characters(
    world: World,
) -> None:
    named = ["a.js::zwölf\u00a0g", "a.js::\u3000", "a.js::👩\u200d🍳", "a.js::a\u2028b"]
    refused = ["a.js::a\nb", "a.js::\x1b[1m", "a.js::\x7f", "a.js::\ud800", "-p"]
    gates = world.gates(tests_command="printf '<%s>' {tests}; : {report}")
    (evidence,) = await gates.repeats("a", [*named, *refused], 1)
    assert evidence.log.read_text() == "".join(f"<{id}>" for id in named)


async def test_a_report_with_something_red_is_red_whatever_the_exit_code(world: World) -> None:
    """A command that ends in `|| true`: nothing else may take such a base for a green one."""
    gates = world.gates(tests_command=f"{PYTEST} || true")
    commit = world.commit("a", {"test_a.py": "def test_bad():\n    assert 1 == 2\n"})
    evidence = await gates.tests(commit)
    assert (evidence.exit, evidence.ok) == (0, False)
    assert "assert 1 == 2" in evidence.tail
    assert reds([evidence]) == ["test_a.py::test_bad"]
    assert await gates.known(commit) is False


async def test_a_suite_without_tests_is_empty_and_says_so(world: World) -> None:
    evidence = await world.gates(tests_command=PYTEST).tests(world.commit("a", {"x.py": ""}))
    assert (evidence.exit, evidence.ok, evidence.empty) == (5, False, True)


async def test_without_a_report_the_gate_is_red(world: World) -> None:
    evidence = await world.gates(tests_command="echo fine; : {report}").tests("a")
    assert (evidence.exit, evidence.ok, evidence.report) == (0, False, None)
    assert "report is not written" in evidence.tail
    assert "fine" in evidence.tail


@pytest.mark.parametrize(
    ("trick", "word"),
    [
        ("rm -f $LOGS/*.log; ln -s /dev/zero {report}", "report is not written"),
        ("ln -s /dev/zero {report}", "report is not written"),
        ("echo '<testsuites/>' > real; ln -s $PWD/real {report}", "report is not written"),
        ("mkfifo {report}", "not a regular file"),
        ("mkdir {report}", "not a regular file"),
    ],
)
async def test_what_is_no_file_is_no_report(world: World, trick: str, word: str) -> None:
    gates = world.gates(tests_command=trick, env={**ENV, "LOGS": str(world.logs)})
    evidence = await gates.tests("a")
    assert evidence.exit == 0
    assert evidence.report is None
    assert not list(world.logs.glob("*.xml"))
    assert word in evidence.tail
    assert not list(world.logs.glob("*.xml"))


async def test_the_users_own_pytest_options_stay(world: World) -> None:
    env = {**ENV, "PYTEST_ADDOPTS": "-k one"}
    gates = world.gates(tests_command=PYTEST, env=env)
    evidence = await gates.tests(world.commit("a", SUITE))
    assert evidence.report is not None
    assert [case.id for case in evidence.report.cases] == ["tests/test_a.py::test_one"]


async def test_a_suite_that_stops_at_the_first_failure_is_reported_whole(world: World) -> None:
    commit = world.commit("a", {**SUITE, "pytest.ini": "[pytest]\naddopts = -x\n"})
    world.commit("a", {"tests/test_0.py": "assert 0", "tests/test_b.py": "def test_three(): pass"})
    report = (await world.gates(tests_command=PYTEST).tests(commit)).report
    assert report is not None
    assert [case.id.partition("::")[2] for case in report.cases] == [
        "test_one",
        "test_two",
        "test_three",
    ]


async def test_a_conftest_that_cannot_be_imported_gives_no_report_but_its_words(
    world: World,
) -> None:
    commit = world.commit("a", {**SUITE, "tests/conftest.py": "import larder.gone\n"})
    evidence = await world.gates(tests_command=PYTEST).tests(commit, ["tests/test_a.py::test_one"])
    assert (evidence.ok, evidence.report) == (False, None)
    assert "No module named 'larder'" in feedback(evidence)
    assert evidence.command == ("python -m pytest tests/test_a.py::test_one --junitxml=report.xml")


async def test_evidence_is_found_again_by_another_process(world: World) -> None:
    commit = world.commit("a", SUITE)
    made = await world.gates(tests_command=PYTEST).tests(commit)
    again = world.gates(tests_command=PYTEST)
    found = await again.tests(commit)
    assert found.reused
    assert (found.report, found.tail, found.exit, found.ok) == (
        made.report,
        made.tail,
        made.exit,
        made.ok,
    )
    assert again.runs == 0
    assert len(world.heard) == 1


@pytest.mark.parametrize(
    "other",
    [{"ci": ("true", "true")}, {"fingerprint": "python 3.12"}],
)
async def test_another_command_or_environment_is_another_key(
    world: World, other: dict[str, object]
) -> None:
    gates = world.gates(**{"ci": ("true",), **other})
    first = await world.gates(ci=("true",)).ci("a")
    assert (await gates.ci("a")).key != first.key
    assert gates.runs == 1


async def test_another_tree_or_other_ids_are_another_key(world: World) -> None:
    (world.root / "b").mkdir()
    ends = ByHand(*(ended(1) for _ in range(4)))
    gates = world.gates(ends, tests_command=PYTEST)
    keys = [
        (await gates.tests("a")).key,
        (await gates.tests("b")).key,
        (await gates.tests("a", ["x::y"])).key,
        (await gates.tests("a", ["x::z", "x::y"])).key,
        (await gates.tests("a", ["x::y", "x::z"])).key,
    ]
    assert len(set(keys)) == 4
    assert gates.runs == 4


async def test_a_fresh_run_is_a_real_one_and_becomes_the_evidence(world: World) -> None:
    gates = world.gates(ci=("test -f fixed",))
    assert not (await gates.ci("a")).ok
    world.commit("a", {"fixed": ""})
    assert (await gates.ci("a")).reused
    assert (await gates.ci("a", fresh=True)).ok
    found = await gates.ci("a")
    assert (found.ok, found.reused, gates.runs) == (True, True, 2)
    assert [run.again for run in world.heard] == [False, True]


async def test_red_evidence_that_is_doubted_is_made_anew_once(world: World) -> None:
    red, green = world.commit("a", {"x": ""}), world.commit("b", {"y": ""})
    gates = world.gates(ci=("test ! -e x",))
    for commit in (red, green):
        await gates.ci(commit)
    gates.doubt_reds()
    assert await gates.known(red) is None
    assert [(await gates.ci(commit)).reused for commit in (red, green)] == [False, True]
    assert (await gates.ci(red)).reused


async def test_a_gate_is_green_since_then_by_a_run_that_began_later(world: World) -> None:
    red, green = world.commit("a", {"x": ""}), world.commit("b", {"y": ""})
    gates = world.gates(ci=("test ! -e x",))
    await gates.ci(green)
    begun = gates.begun
    await gates.ci(red)
    await gates.ci(green)
    assert not gates.green_since("ci", begun), "it was found, not run"
    await gates.ci(green, fresh=True)
    assert gates.green_since("ci", begun)
    assert not gates.green_since("tests", begun)


async def test_two_who_want_the_same_run_it_once(world: World) -> None:
    processes = Held()
    gates = world.gates(processes, ci=("echo ran",))
    callers = [asyncio.create_task(gates.ci("a")) for _ in range(3)]
    await processes.started.wait()
    processes.go.set()
    evidence = await asyncio.gather(*callers)
    assert len(processes.commands) == gates.runs == 1
    assert sorted(one.reused for one in evidence) == [False, True, True]


async def waiting(count: int = 20) -> None:
    """Let everybody come as far as they can without a run."""
    for _ in range(count):
        await asyncio.sleep(0)


@pytest.mark.parametrize("known", [True, False])
async def test_two_who_want_the_same_fresh_run_it_once(world: World, known: bool) -> None:
    processes = Held()
    gates = world.gates(processes, ci=("date +%N",))
    if known:
        processes.go.set()
        await gates.ci("a")
        processes.go.clear()
    runs = gates.runs
    first = asyncio.create_task(gates.ci("a", fresh=known))
    await waiting()
    others = [asyncio.create_task(gates.ci("a", fresh=True)) for _ in range(3)]
    await waiting()
    processes.go.set()
    made, *shared = await asyncio.gather(first, *others)
    assert shared == [made] * 3
    assert not made.reused
    assert gates.runs == runs + 1
    assert (await gates.ci("a", fresh=True)).tail != made.tail, "and the next is another one"


async def test_who_needs_no_fresh_one_does_not_wait_for_it(world: World) -> None:
    processes = Held()
    gates = world.gates(processes, ci=("true",))
    processes.go.set()
    await gates.ci("a")
    processes.go.clear()
    fresh = asyncio.create_task(gates.ci("a", fresh=True))
    await waiting()
    assert (await gates.ci("a")).reused
    assert not fresh.done()
    processes.go.set()
    assert not (await fresh).reused


async def test_a_fresh_run_that_was_cut_short_is_nobody_elses(world: World) -> None:
    processes = Held()
    gates = world.gates(processes, ci=("kill -9 $$",))
    first, second = (asyncio.create_task(gates.ci("a", fresh=True)) for _ in range(2))
    await waiting()
    processes.go.set()
    assert not (await first).complete
    assert not (await second).complete
    assert gates.runs == 2


@pytest.mark.parametrize("fresh", [False, True])
async def test_who_waits_for_a_cancelled_run_runs_it(world: World, fresh: bool) -> None:
    processes = Held()
    gates = world.gates(processes, ci=("echo ran",))
    first, second = (asyncio.create_task(gates.ci("a", fresh=fresh)) for _ in range(2))
    await processes.started.wait()
    first.cancel()
    processes.go.set()
    assert (await second).ok
    assert first.cancelled()
    assert len(processes.commands) == 2


async def test_a_cancelled_run_leaves_nothing(world: World) -> None:
    begun = world.root / "a/begun"
    os.mkfifo(begun)
    gates = world.gates(ci=("echo output; echo yes > begun; sleep 600",))
    task = asyncio.create_task(gates.ci("a"))
    assert await asyncio.to_thread(begun.read_text) == "yes\n"
    assert len(list(world.logs.glob("*.log"))) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert list(world.logs.iterdir()) == []
    assert (world.rows, world.heard, gates.runs, world.held) == ({}, [], 0, 0)


async def test_commands_run_in_order_until_the_first_red(world: World) -> None:
    gates = world.gates(quick=("echo one >> said", "echo two >> said; exit 3", "echo no >> said"))
    evidence = await gates.quick("a")
    assert (world.root / "a/said").read_text() == "one\ntwo\n"
    assert (evidence.exit, evidence.ok, gates.runs) == (3, False, 1)
    assert evidence.command.startswith("echo two")
    assert "exited with 3" in feedback(evidence)


async def test_a_gate_without_commands_is_green_and_says_that_nothing_ran(world: World) -> None:
    gates = world.gates()
    for evidence in (await gates.quick("a"), await gates.ci("a"), await gates.tests("a")):
        assert evidence.ok
        assert evidence.exit is None
        assert "nothing was run" in evidence.tail
    assert (gates.runs, world.rows, world.heard) == (0, {}, [])


async def test_a_timeout_ends_the_gate_and_is_never_reused(world: World) -> None:
    gates = world.gates(ci=("echo begun; sleep 600",), timeout=3.0)
    evidence = await gates.ci("a")
    assert (evidence.timed_out, evidence.ok, evidence.exit) == (True, False, None)
    assert "begun" in evidence.tail
    assert "was still running after" in feedback(evidence)
    assert not (await gates.ci("a")).reused
    assert gates.runs == 2


async def test_the_timeout_is_for_all_commands_together(world: World) -> None:
    processes = ByHand(ended(seconds=40.0), ended(seconds=3.0))
    await world.gates(processes, ci=("a", "b"), timeout=60.0).ci("a")
    assert [command.timeout for command in processes.commands] == [60.0, 20.0]


async def test_a_run_that_a_signal_ended_is_never_reused(world: World) -> None:
    processes = ByHand(ended(None), ended(0))
    gates = world.gates(processes, ci=("make test",))
    assert not (await gates.ci("a")).ok
    assert (await gates.ci("a")).ok


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk of 50 MB with no room left."""
    usage = SimpleNamespace(total=50_000_000, used=50_000_000, free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)


async def test_what_is_red_on_a_full_disk_is_no_verdict(world: World, full: None) -> None:
    gates = world.gates(ci=("exit 1",))
    world.commit("a", SUITE)
    with pytest.raises(NoRoom, match="no verdict: 0 MB are left on the disk of"):
        await gates.ci("a")
    with pytest.raises(NoRoom):
        await gates.command("a", "exit 1", timeout=60)
    assert (world.rows, world.heard, list(world.logs.iterdir())) == ({}, [], [])


async def test_what_is_green_on_a_full_disk_is_green(world: World, full: None) -> None:
    gates = world.gates(ci=("true",))
    world.commit("a", SUITE)
    assert (await gates.ci("a")).ok
    assert (await gates.command("a", "true", timeout=60)).exit == 0


@pytest.mark.parametrize("where", [".", "$TMPDIR"])
async def test_a_gate_that_fills_the_disk_itself_is_red(
    world: World, full: None, where: str
) -> None:
    gates = world.gates(ci=(f"head -c 2000000 /dev/urandom > {where}/fill; exit 1",))
    world.commit("a", SUITE)
    assert not (await gates.ci("a")).ok


async def test_a_damaged_row_is_no_evidence(world: World) -> None:
    gates = world.gates(ci=("true",))
    key = (await gates.ci("a")).key
    world.rows[key] = {"key": key, "ok": True}
    assert not (await gates.ci("a")).reused


async def test_a_gate_sees_its_environment_and_its_slot(world: World) -> None:
    evidence = await world.gates(ci=("env; pwd",), env={"PATH": "/usr/bin:/bin", "MINE": "1"}).ci(
        "a"
    )
    seen = set(evidence.tail.splitlines())
    assert {"MINE=1", "OYA_SLOT=7", "."} <= seen
    assert not any(line.startswith(("HOME=", "PYTEST_ADDOPTS=")) for line in seen)


async def test_output_may_be_any_bytes(world: World) -> None:
    evidence = await world.gates(ci=(r"printf '\377\033[31mred\033[0m\000\n'; exit 1",)).ci("a")
    assert evidence.tail == "\N{REPLACEMENT CHARACTER}red"


@pytest.mark.parametrize("config", [{}, {"tests_command": "sh run {tests}", "report": "none"}])
async def test_other_runners_are_one_test_by_exit_code(
    world: World, config: dict[str, object]
) -> None:
    gates = world.gates(**{"ci": ("sh run",), **config})
    base = await gates.tests(world.commit("base", {"run": "exit 0"}))
    red = await gates.tests(world.commit("red", {"run": "echo no such function; exit 1"}), ["t"])
    assert base.report is not None
    assert red.report is not None
    verdict = judge_contract(["t"], base.report, red.report, ["t"], lambda _: True)
    assert verdict.ok
    assert verdict.fail_to_pass == ("ci",)
    assert judge_implementation(base.report, ["ci"], [], []) == ()
    assert "no such function" in judge_implementation(red.report, ["ci"], [], [])[0]
    green = judge_contract(["t"], base.report, base.report, ["t"], lambda _: True)
    assert green.findings == ("nothing is red: every planned test passes before the work is done",)


async def test_without_a_tests_gate_tests_and_ci_are_one_gate(world: World) -> None:
    gates = world.gates(ci=("true",))
    await gates.tests("a")
    evidence = await gates.ci("a")
    assert evidence.reused
    assert evidence.report is not None
    assert evidence.report.of("ci")[0].outcome is Outcome.PASSED


async def test_repeats_find_a_flake_and_leave_no_evidence(world: World) -> None:
    flaky = (
        "import pathlib\n"
        "def test_flaky():\n"
        "    seen = pathlib.Path('seen')\n"
        "    seen.write_text(seen.read_text() + 'x' if seen.exists() else 'x')\n"
        "    assert len(seen.read_text()) != 2\n"
        "def test_steady(): pass\n"
    )
    gates = world.gates(tests_command=PYTEST)
    ids = ["tests/test_f.py::test_flaky", "tests/test_f.py::test_steady"]
    runs = await gates.repeats(world.commit("a", {"tests/test_f.py": flaky}), ids, 2)
    assert unstable([run.report for run in runs], ids) == ("tests/test_f.py::test_flaky",)
    assert (gates.runs, world.rows, len(world.heard)) == (2, {}, 2)
    assert all(run.again for run in world.heard)


async def test_a_command_is_run_in_a_slot_and_leaves_no_file(world: World) -> None:
    gates = world.gates()
    ran = await gates.command("a", r"echo first; echo last from $PWD; echo; exit 4", timeout=10)
    assert (ran.exit, ran.last_line, ran.timed_out) == (4, "last from .", False)
    assert "first" in ran.tail
    slow = await gates.command("a", "sleep 600", timeout=0.3)
    assert (slow.exit, slow.timed_out) == (None, True)
    assert (list(world.logs.iterdir()), gates.runs, world.heard) == ([], 0, [])


async def test_the_book_hears_of_a_run_with_its_evidence(world: World) -> None:
    evidence = await world.gates(ci=("exit 1",)).ci("a")
    assert world.heard == [evidence]
    assert list(world.rows) == [evidence.key]
    assert evidence.tree == "tree-of-a"


async def test_ids_cannot_become_options_or_shell(world: World) -> None:
    command = "printf '%s\\n' {tests} > args; : {report}"
    gates = world.gates(tests_command=command)
    await gates.tests("a", ["-p evil", "t.py::a; touch hacked", "t.py::{report}", "nul\0", "$HOME"])
    args = (world.root / "a/args").read_text().splitlines()
    assert args == ["t.py::a; touch hacked", "t.py::{report}", "$HOME"]
    assert not (world.root / "a/hacked").exists()


def test_more_ids_than_a_command_line_takes_are_the_whole_suite() -> None:
    few, many = ([f"t.py::{n:094}" for n in range(size)] for size in (10, 1_100))
    for kind, count in (("junit", 10), ("cargo", 11), ("vitest", 3)):
        assert len(words(KINDS[kind], few, Path("/nowhere"))) == count
        assert words(KINDS[kind], many, Path("/nowhere")) == ()
    assert fill("run {tests}", few, Path("r")) == f"run {shlex.join(few)}"


def test_a_tests_command_says_where_its_report_goes() -> None:
    with pytest.raises(ConfigError, match="report"):
        GatesConfig(tests_command="pytest {tests}")
    assert not GatesConfig(tests_command="go test ./...", report="none").reports_tests


async def test_feedback_is_bounded(world: World) -> None:
    line = "i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done; echo ERROR here; exit 1"
    evidence: Evidence = await world.gates(ci=(line,)).ci("a")
    assert len(evidence.tail) <= 8_000
    assert "ERROR here" in evidence.tail
    assert len(feedback(evidence)) <= 8_500


async def test_named_tests_are_asked_for_as_their_runner_wants_it(world: World) -> None:
    said = world.gates(tests_command="echo asked {tests} {report}", report="cargo")
    line = said.tests_line
    assert line is not None
    ran = await said.command("a", line, timeout=10, ids=["tests/x.rs::one", "--evil"])
    assert ran.last_line.startswith("asked ")
    assert "one" in ran.last_line
    assert "evil" not in ran.last_line
    assert world.gates(tests_command="true", report="none").tests_line is None
