"""What every implementation of `Processes` promises."""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from oya.errors import ProcessError
from oya.processes import Command, GuardedProcesses, Processes, shell, survivors
from oya.processes.bubblewrap import Policy
from oya.testing.simulation.processes import SimulatedProcesses
from sandbox_kit import sandboxed
from user_kit import Prompt

ENV = {"PATH": os.environ["PATH"]}
Make = Callable[..., Command]


@pytest.fixture
def marker() -> Iterator[str]:
    marker = f"test-{uuid.uuid4().hex}"
    yield marker
    assert survivors(marker) == []


@pytest.fixture(params=["real", "sandboxed"])
def processes(request: pytest.FixtureRequest, marker: str, tmp_path: Path) -> Processes:
    real = GuardedProcesses(marker)
    if request.param == "real":
        return real
    return sandboxed(real, Policy(home=tmp_path / "home", readable=(Path(sys.executable),)))


@pytest.fixture(params=["real", "sandboxed", "simulated"])
def any_processes(request: pytest.FixtureRequest, marker: str, tmp_path: Path) -> Processes:
    """Those of a machine without programs too, where a promise needs none."""
    match request.param:
        case "real":
            return GuardedProcesses(marker)
        case "sandboxed":
            return sandboxed(GuardedProcesses(marker), Policy(home=tmp_path))
        case _:
            return SimulatedProcesses(Prompt())


@pytest.fixture
def command(tmp_path: Path) -> Make:
    def make(line: str, **changes: object) -> Command:
        given: dict[str, object] = {"cwd": tmp_path, "env": ENV, "output": tmp_path / "log"}
        return Command(shell(line), **{**given, **changes})  # type: ignore[arg-type]

    return make


def python(program: str) -> tuple[str, ...]:
    return (sys.executable, "-I", "-S", "-c", program)


# How a program ends


async def test_success_is_exit_zero(processes: Processes, command: Make) -> None:
    ended = await processes.run(command("true"))
    assert (ended.exit, ended.signal, ended.timed_out, ended.ok) == (0, None, False, True)


async def test_an_exit_code_is_handed_on(processes: Processes, command: Make) -> None:
    ended = await processes.run(command("exit 41"))
    assert (ended.exit, ended.signal, ended.ok) == (41, None, False)


@pytest.mark.parametrize("number", [6, 9, 15])
async def test_a_signal_is_told_from_an_exit(
    processes: Processes, command: Make, number: int
) -> None:
    ended = await processes.run(command(f"kill -{number} $$"))
    assert (ended.exit, ended.signal, ended.ok) == (None, number, False)


async def test_timeout_ends_it(processes: Processes, command: Make) -> None:
    ended = await processes.run(command("trap '' TERM INT; sleep 60", timeout=0.2))
    assert (ended.exit, ended.signal, ended.timed_out) == (None, 9, True)
    assert ended.seconds < 10


async def test_cancelled_only_when_all_is_gone(
    processes: Processes, command: Make, marker: str
) -> None:
    task = asyncio.create_task(processes.run(command("sleep 60 & sleep 60")))
    await until(lambda: len(survivors(marker)) >= 3)
    task.cancel()
    task_again = asyncio.get_running_loop().call_soon(task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert survivors(marker) == []
    task_again.cancel()


@pytest.mark.parametrize(
    "argv", [("no-such-program",), ("./no-such-program",), ("./not-executable",)]
)
async def test_what_cannot_be_started_is_named(
    any_processes: Processes, command: Make, tmp_path: Path, argv: tuple[str, ...]
) -> None:
    processes = any_processes
    (tmp_path / "not-executable").write_text("#!/bin/sh\n")
    wanted = Command(argv, cwd=tmp_path, env=ENV)
    with pytest.raises(ProcessError, match=argv[0]):
        await processes.run(wanted)
    with pytest.raises(ProcessError, match=argv[0]):
        await processes.open(wanted, stderr=tmp_path / "stderr")


async def test_where_nothing_was_left_there_are_no_orphans(any_processes: Processes) -> None:
    assert await any_processes.end_orphans() == []


async def test_a_missing_folder_is_named(processes: Processes, command: Make) -> None:
    with pytest.raises(ProcessError, match="/no/such/folder"):
        await processes.run(command("true", cwd=Path("/no/such/folder")))


async def test_a_log_that_cannot_be_written_is_named(processes: Processes, command: Make) -> None:
    with pytest.raises(ProcessError, match="/no/such/log"):
        await processes.run(command("true", output=Path("/no/such/log")))


async def test_an_impossible_environment_is_refused(processes: Processes, command: Make) -> None:
    with pytest.raises(ProcessError):
        await processes.run(command("true", env={**ENV, "A": "nul\0"}))


# What it is given


async def test_stdin_of_any_size(processes: Processes, command: Make, tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    await processes.run(command("cat > copy", stdin=data))
    assert (tmp_path / "copy").read_bytes() == data


async def test_stdin_is_empty_by_default(processes: Processes, command: Make) -> None:
    assert (await processes.run(command('test -z "$(cat)"'))).ok


async def test_the_environment_is_the_whole_environment(
    processes: Processes, tmp_path: Path, marker: str
) -> None:
    env = {"PATH": ENV["PATH"], "A": "b=c\nd", "EMPTY": ""}
    argv = ("cat", "/proc/self/environ")
    await processes.run(Command(argv, cwd=tmp_path, env=env, output=tmp_path / "log"))
    entries = (tmp_path / "log").read_text().split("\0")[:-1]
    seen = dict(entry.split("=", 1) for entry in entries)
    assert seen.pop("OYA_MARK") == marker
    assert seen.pop("OYA_GUARD")
    assert seen.pop("PWD", str(tmp_path)) == str(tmp_path)  # of a sandbox
    assert seen == env


async def test_words_are_not_interpreted(processes: Processes, tmp_path: Path) -> None:
    words = ("a b", "$HOME", "*", "", "ü\udcff", "-c")
    program = "import os,sys; print([os.fsencode(a) for a in sys.argv[1:]])"
    await processes.run(
        Command((*python(program), *words), cwd=tmp_path, env=ENV, output=tmp_path / "log")
    )
    assert eval((tmp_path / "log").read_text()) == [os.fsencode(word) for word in words]


async def test_signals_and_descriptors_are_fresh(
    processes: Processes, command: Make, tmp_path: Path
) -> None:
    leaked = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(leaked, True)
    try:
        await processes.run(command("grep SigIgn /proc/self/status; ls /proc/$$/fd"))
    finally:
        os.close(leaked)
    _, ignored, *descriptors = (tmp_path / "log").read_text().split()
    assert int(ignored, 16) & 0x7FFF_FFFF == 0
    assert descriptors == ["0", "1", "2"]


async def test_niceness(processes: Processes, command: Make, tmp_path: Path) -> None:
    await processes.run(command("nice", nice=7))
    assert int((tmp_path / "log").read_text()) == os.nice(0) + 7


# What it leaves


async def test_stdout_and_stderr_come_in_order(
    processes: Processes, command: Make, tmp_path: Path
) -> None:
    await processes.run(command("echo one; echo two >&2; echo three"))
    assert (tmp_path / "log").read_text() == "one\ntwo\nthree\n"


async def test_output_is_rewritten(processes: Processes, command: Make, tmp_path: Path) -> None:
    await processes.run(command("echo a long first output"))
    await processes.run(command("echo short"))
    assert (tmp_path / "log").read_text() == "short\n"


async def test_output_just_within_the_limit_is_whole(
    processes: Processes, command: Make, tmp_path: Path
) -> None:
    await processes.run(command("printf 0123456789", output_limit=10))
    assert (tmp_path / "log").read_text() == "0123456789"


async def test_head_and_tail_of_too_much_output(
    processes: Processes, command: Make, tmp_path: Path
) -> None:
    await processes.run(command("printf first; seq 100000; printf last", output_limit=10))
    assert (tmp_path / "log").read_text() == "first\n[oya: 588894 bytes cut here]\n\nlast"


async def test_a_flood_neither_hangs_nor_fills_the_disk(
    processes: Processes, command: Make, tmp_path: Path
) -> None:
    ended = await processes.run(
        command("head -c 300000000 /dev/zero; echo end >&2", output_limit=100_000)
    )
    assert ended.ok
    log = (tmp_path / "log").read_bytes()
    assert len(log) < 100_100
    assert log.endswith(b"end\n")


async def test_an_endless_flood_is_ended_by_the_timeout(
    processes: Processes, command: Make, tmp_path: Path
) -> None:
    ended = await processes.run(command("yes", timeout=0.3, output_limit=1000))
    assert ended.timed_out
    assert (tmp_path / "log").stat().st_size < 1100


async def test_without_an_output_it_is_discarded(processes: Processes, command: Make) -> None:
    assert (await processes.run(command("seq 100000", output=None))).ok


async def test_cpu_seconds_count_what_it_started(processes: Processes, command: Make) -> None:
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    line = f"{sys.executable} -I -S -c '{burn}' & (setsid {sys.executable} -I -S -c '{burn}'); wait"
    busy = await processes.run(command(line))
    assert 0.6 <= busy.cpu_seconds < 2
    idle = await processes.run(command("sleep 0.3"))
    assert idle.cpu_seconds < 0.2
    assert 0.29 <= idle.seconds < 5  # two clocks are read


# What may be left running: nothing

ESCAPES = {
    "background": "sleep 60 &",
    "nohup": "nohup sleep 60 >/dev/null 2>&1 &",
    "own session": "setsid sleep 60 &",
    "trapped": "(trap '' TERM HUP INT; while :; do sleep 60; done) &",
    "double fork": "(setsid sh -c 'setsid sleep 60 &' &)",
    "stopped": "sh -c 'kill -STOP $$' &",
    "bare environment": "env -i setsid sleep 60.125 &",
}


@pytest.mark.parametrize("escape", ESCAPES.values(), ids=ESCAPES.keys())
async def test_what_a_program_leaves_is_gone_when_it_has_ended(
    processes: Processes, command: Make, marker: str, escape: str
) -> None:
    ended = await processes.run(command(f"{escape}\nsleep 0.1"))
    assert ended.ok
    assert survivors(marker) == []
    assert not [argv for argv in command_lines() if "60.125" in argv]


async def test_a_chain_that_forks_faster_than_it_is_looked_for(
    processes: Processes, tmp_path: Path, marker: str
) -> None:
    chain = "import os\nwhile True:\n    if os.fork(): os._exit(0)\n    os.setsid()"
    start = f"import os,time\nif not os.fork():\n    exec({chain!r})\ntime.sleep(0.1)"
    command = Command(python(start), cwd=tmp_path, env=ENV, timeout=20)
    assert (await processes.run(command)).ok
    assert survivors(marker) == []


async def test_a_signal_to_its_own_group_does_not_reach_the_guard(
    processes: Processes, command: Make
) -> None:
    ended = await processes.run(command("trap '' USR1; kill -USR1 0; exit 5"))
    assert (ended.exit, ended.signal) == (5, None)


async def test_many_at_once(processes: Processes, command: Make, tmp_path: Path) -> None:
    runs = [
        processes.run(command(f"echo {n}; exit {n}", output=tmp_path / str(n))) for n in range(20)
    ]
    ended = await asyncio.gather(*runs)
    assert [each.exit for each in ended] == list(range(20))
    assert [int((tmp_path / str(n)).read_text()) for n in range(20)] == list(range(20))


# Sessions


async def test_a_session_answers(processes: Processes, command: Make, tmp_path: Path) -> None:
    session = await processes.open(command("cat"), stderr=tmp_path / "stderr")
    session.stdin.write(b"hello\n")
    assert await session.stdout.readline() == b"hello\n"
    ended = await session.close()
    assert (ended.exit, ended.timed_out) == (0, False)
    assert await session.close() == ended
    assert await session.wait() == ended


async def test_a_session_takes_a_long_line(
    processes: Processes, command: Make, tmp_path: Path
) -> None:
    session = await processes.open(command("cat"), stderr=tmp_path / "stderr")
    line = b"x" * 60_000_000 + b"\n"
    session.stdin.write(line)
    assert await session.stdout.readline() == line
    await session.close()


async def test_stdout_ends_when_the_program_ends(
    processes: Processes, command: Make, tmp_path: Path
) -> None:
    session = await processes.open(command("echo last words; exit 3"), stderr=tmp_path / "stderr")
    assert await session.stdout.read() == b"last words\n"
    assert (await session.wait()).exit == 3
    assert (await session.close()).exit == 3


async def test_a_session_that_ignores_the_end_of_stdin_is_ended(
    processes: Processes, command: Make, tmp_path: Path, marker: str
) -> None:
    line = "setsid sleep 60 & trap '' TERM; while :; do sleep 1; done"
    session = await processes.open(command(line), stderr=tmp_path / "stderr")
    first, second = await asyncio.gather(session.close(grace=0.1), session.close(grace=60))
    assert first == second
    assert (first.exit, first.signal) == (None, 9)
    assert survivors(marker) == []


async def test_a_session_nobody_reads_from_can_be_closed(
    processes: Processes, command: Make, tmp_path: Path
) -> None:
    session = await processes.open(command("yes & yes >&2"), stderr=tmp_path / "stderr")
    assert await session.stdout.readline() == b"y\n"
    assert (await session.close(grace=0.1)).signal == 9


async def test_cancelling_a_wait_ends_nothing_and_cancelling_a_close_everything(
    processes: Processes, command: Make, tmp_path: Path, marker: str
) -> None:
    line = "trap '' TERM; while :; do read x && echo $x || sleep 1; done"
    session = await processes.open(command(line), stderr=tmp_path / "stderr")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(session.wait(), 0.05)
    session.stdin.write(b"still here\n")
    assert await session.stdout.readline() == b"still here\n"
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(session.close(grace=60), 0.05)
    assert survivors(marker) == []


async def test_stderr_of_a_session_is_kept_and_bounded(
    processes: Processes, command: Make, tmp_path: Path
) -> None:
    line = "echo first >&2; head -c 5000000 /dev/zero >&2; echo last >&2"
    session = await processes.open(command(line, output_limit=1000), stderr=tmp_path / "stderr")
    assert (await session.wait()).exit == 0
    log = (tmp_path / "stderr").read_bytes()
    assert len(log) < 1100
    assert log.startswith(b"first\n")
    assert log.endswith(b"last\n")
    await session.close()


async def test_activity_grows_with_work_anywhere_below(
    processes: Processes, command: Make, tmp_path: Path
) -> None:
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    line = f"read x; setsid -w {sys.executable} -I -S -c '{burn}'; echo done; read x"
    session = await processes.open(command(line), stderr=tmp_path / "stderr")
    before = session.activity()
    session.stdin.write(b"\n")
    assert await session.stdout.readline() == b"done\n"
    assert 0.25 <= session.activity() - before < 2
    ended = await session.close()
    assert session.activity() == ended.cpu_seconds >= before + 0.25


# Helpers


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def command_lines() -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found.append((entry / "cmdline").read_bytes().decode(errors="replace"))
            except OSError:
                continue
    return found
