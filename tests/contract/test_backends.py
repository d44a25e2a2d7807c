"""What every implementation of `Backend` promises: on real programs, and what needs none of a
simulated one too.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any, Protocol

import pytest

from oya.agents.acp import AcpBackend
from oya.agents.classify import BackendRefused
from oya.agents.command import CommandBackend
from oya.agents.port import AgentSession, Backend, Task, TurnEnd
from oya.clock import SystemClock
from oya.errors import BackendError
from oya.lifecycle.failures import FailureClass
from oya.lifecycle.model import Role
from oya.processes.real import GuardedProcesses, survivors
from oya.testing import scripted
from oya.testing.simulation.agents import AgentWorld, SimulatedBackend
from oya.testing.simulation.plan import draw
from oya.testing.simulation.workspaces import FolderDisk
from user_kit import Prompt

Step = dict[str, Any]
Open = Callable[..., Coroutine[Any, Any, AgentSession]]
SCRIPTED = (sys.executable, "-I", "-S", "-E", scripted.__file__)
ENV = {"PATH": os.environ["PATH"], "HOME": "/nonexistent"}
STALL = 0.5
DEADLINE = 30.0


class Stage:
    """A workspace, and backends whose programs are counted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.work = folder / "work"
        self.work.mkdir()
        self.logs = folder / "logs"
        self.marker = f"test-{uuid.uuid4().hex}"
        self.processes = GuardedProcesses(self.marker)
        self.sessions: list[AgentSession] = []

    def backend(self, kind: str, command: tuple[str, ...]) -> Backend:
        given: dict[str, Any] = {"processes": self.processes, "clock": SystemClock(), "env": ENV}
        if kind == "acp":
            return AcpBackend("b", "acp", command, **given)
        return CommandBackend("b", command, **given)

    def scripted(
        self,
        kind: str,
        *steps: Step,
        fixes: list[list[Step]] | None = None,
        role: Role = Role.PLANNER,
    ) -> Backend:
        entry = {"bead": "*", "role": role, "steps": steps, "fixes": fixes or []}
        file = self.folder / "scenario.json"
        file.write_text(json.dumps({"version": 1, "entries": [entry]}))
        flags = ("--command",) if kind == "command" else ()
        return self.backend(kind, (*SCRIPTED, str(file), *flags))

    async def open(self, backend: Backend, role: Role = Role.PLANNER) -> AgentSession:
        task = Task("b-1", role, 2 + len(self.sessions), 7, self.work, self.logs, {"EXTRA": "yes"})
        session = await backend.open(task)
        self.sessions.append(session)
        return session

    @property
    def answer(self) -> Path:
        return self.work / ".oya/out/planner.json"


async def until(met: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not met():
            await asyncio.sleep(0.005)


async def ask(session: AgentSession, *, stall: float = 20.0, deadline: float = DEADLINE) -> TurnEnd:
    async with asyncio.timeout(40):
        return await session.prompt("Do it, ü 😀.\n", stall=stall, deadline=deadline)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    for session in stage.sessions:
        await session.close()
    assert survivors(stage.marker) == []


@pytest.fixture(params=["acp", "command"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def play(stage: Stage, kind: str) -> Open:
    async def play(*steps: Step, fixes: list[list[Step]] | None = None) -> AgentSession:
        return await stage.open(stage.scripted(kind, *steps, fixes=fixes))

    return play


# What all promise, whatever their agents are like

WORK = {"write": {"src/b-1.x": "done-b-1\nstrict-b-1\n"}}
DEEDS: dict[str, list[Step]] = {
    "good": [WORK, {"answer": {"summary": "done"}}, {"say": "All done."}],
    "mute": [WORK, {"say": "All done."}],
    "empty": [{"say": "All done."}],
    "crash": [{"crash": True}],
    "half": [WORK, {"crash": True}],
    "stuck": [{"hang": True}],
    "limit": [{"error": {"status": 429}}],
    "down": [{"error": {"status": 500}}],
    "auth": [{"error": {"status": 401}}],
}
"""What an agent does in its first turn; in those after it, it works as it should."""


class Agents(Protocol):
    """Sessions of agents that implement a bead, and what these have left."""

    async def open(self, deed: str) -> AgentSession: ...

    def file(self, path: str) -> str | None: ...

    def left(self) -> list[Any]:
        """What still runs."""
        ...


class RealAgents:
    def __init__(self, stage: Stage, kind: str) -> None:
        self._stage, self._kind = stage, kind

    async def open(self, deed: str) -> AgentSession:
        fixes = [DEEDS["good"]]
        role = Role.IMPLEMENTER
        backend = self._stage.scripted(self._kind, *DEEDS[deed], fixes=fixes, role=role)
        return await self._stage.open(backend, role)

    def file(self, path: str) -> str | None:
        file = self._stage.work / path
        return file.read_text() if file.exists() else None

    def left(self) -> list[Any]:
        return survivors(self._stage.marker)


class SimulatedAgents:
    FOLDER = Path("/simulated/work/b-1.7")

    def __init__(self) -> None:
        self._folders = FolderDisk({self.FOLDER: {}})
        self._deed = ""
        self._world = AgentWorld(
            plan=draw(1, beads=1),
            folders=self._folders,
            life=Prompt(),
            calm=lambda: False,
            refusing=lambda _: (FailureClass.AUTH, None) if self._deed == "auth" else None,
            now=time.monotonic,
            deed=lambda plan, task: self._deed,
        )

    async def open(self, deed: str) -> AgentSession:
        self._deed = deed
        task = Task("b-1", Role.IMPLEMENTER, 2, 7, self.FOLDER, Path("/simulated/logs"))
        return await SimulatedBackend("b", self._world).open(task)

    def file(self, path: str) -> str | None:
        data = self._folders.folders[self.FOLDER].get(path)
        return None if data is None else data.decode()

    def left(self) -> list[Any]:
        return sorted(self._world.sessions)


@pytest.fixture(params=["acp", "command", "simulated"])
def agents(request: pytest.FixtureRequest, stage: Stage) -> Agents:
    return SimulatedAgents() if request.param == "simulated" else RealAgents(stage, request.param)


ANSWER = ".oya/out/implementer.json"


async def failure_of(agents: Agents, deed: str, **times: float) -> FailureClass | None:
    """The class of a failure, in the turn or before it could begin."""
    try:
        session = await agents.open(deed)
    except BackendRefused as refused:
        return refused.failure
    end = await ask(session, **times)
    assert (end.failure is not None) is (end.reason != "")
    await session.close()
    return end.failure


async def test_who_works_leaves_files_and_an_answer(agents: Agents) -> None:
    session = await agents.open("good")
    end = await ask(session)
    assert (end.stop_reason, end.failure, end.reason) == ("end_turn", None, "")
    assert end.text.strip().endswith("All done.")
    assert agents.file("src/b-1.x") == "done-b-1\nstrict-b-1\n"
    assert json.loads(agents.file(ANSWER) or "") == {"summary": "done"}


@pytest.mark.parametrize(("deed", "works"), [("mute", True), ("empty", False)])
async def test_a_missing_answer_is_no_failure_of_the_backend(
    agents: Agents, deed: str, works: bool
) -> None:
    assert await failure_of(agents, deed) is None
    assert (agents.file("src/b-1.x") is not None) is works
    assert agents.file(ANSWER) is None


@pytest.mark.parametrize(
    ("deed", "failure"),
    [
        ("crash", FailureClass.AGENT_CRASH),
        ("half", FailureClass.AGENT_CRASH),
        ("limit", FailureClass.PROVIDER_LIMIT),
        ("down", FailureClass.PROVIDER_DOWN),
        ("auth", FailureClass.AUTH),
    ],
)
async def test_a_failure_has_its_class(agents: Agents, deed: str, failure: FailureClass) -> None:
    for _ in range(2):  # a program may die before there is a session, or in it
        assert await failure_of(agents, deed) is failure
    assert agents.file(ANSWER) is None
    assert (agents.file("src/b-1.x") is not None) is (deed == "half")
    assert agents.left() == []


@pytest.mark.parametrize("times", [{"stall": STALL}, {"deadline": STALL}], ids=["stall", "over"])
async def test_who_hangs_is_stuck(agents: Agents, times: dict[str, float]) -> None:
    assert await failure_of(agents, "stuck", **times) is FailureClass.AGENT_STUCK
    assert agents.left() == []


async def test_after_a_refusal_the_session_goes_on(agents: Agents) -> None:
    session = await agents.open("limit")
    assert (await ask(session)).failure is FailureClass.PROVIDER_LIMIT
    assert (await ask(session)).failure is None
    assert json.loads(agents.file(ANSWER) or "") == {"summary": "done"}


@pytest.mark.parametrize("prompted", [True, False])
async def test_close_may_be_called_again_and_leaves_nothing(agents: Agents, prompted: bool) -> None:
    session = await agents.open("good")
    if prompted:
        await ask(session)
    first = await session.close()
    assert await session.close() == first
    assert agents.left() == []


async def test_closing_in_a_turn_ends_it(agents: Agents) -> None:
    session = await agents.open("stuck")
    turn = asyncio.create_task(ask(session))
    began = session.last_activity
    await until(lambda: session.last_activity != began)
    await session.close()
    assert (await turn).failure is FailureClass.AGENT_CRASH
    assert agents.left() == []


async def test_cancelling_a_turn_ends_it(agents: Agents) -> None:
    session = await agents.open("stuck")
    turn = asyncio.create_task(ask(session))
    began = session.last_activity
    await until(lambda: session.last_activity != began)
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    await session.close()
    assert agents.left() == []


async def test_a_turn_is_a_sign_of_life(agents: Agents) -> None:
    session = await agents.open("good")
    before = session.last_activity
    await ask(session)
    assert session.last_activity > before


# How a turn ends


async def test_work_and_the_answer_are_in_the_workspace(stage: Stage, play: Open) -> None:
    session = await play(
        {"write": {"a/b.txt": "one\n"}}, {"answer": {"verdict": "accept"}}, {"say": "All done."}
    )
    end = await ask(session)
    assert (end.stop_reason, end.failure, end.reason) == ("end_turn", None, "")
    assert end.text.strip().endswith("All done.")
    assert (stage.work / "a/b.txt").read_text() == "one\n"
    assert json.loads(stage.answer.read_text()) == {"verdict": "accept"}


async def test_a_turn_that_ends_with_nothing_is_no_failure_of_the_backend(
    stage: Stage, play: Open
) -> None:
    end = await ask(await play())
    assert (end.stop_reason, end.failure, end.text) == ("end_turn", None, "")
    assert not stage.answer.exists()


async def test_death_by_a_signal_is_a_crash(play: Open) -> None:
    session = await play({"say": "well"}, {"crash": True})
    began = time.monotonic()
    end = await ask(session)
    assert end.failure is FailureClass.AGENT_CRASH
    assert "signal 9" in end.reason
    assert "well" in end.text
    assert time.monotonic() - began < 15.0


async def test_an_exit_is_a_crash_of_a_session_and_no_matter_to_a_command(
    play: Open, kind: str
) -> None:
    end = await ask(await play({"exit": 3}))
    if kind == "acp":
        assert end.failure is FailureClass.AGENT_CRASH
        assert "exit 3" in end.reason
    else:
        assert (end.stop_reason, end.failure, end.reason) == ("end_turn", None, "exit 3")


async def test_a_hang_is_stuck_within_the_stall_time(stage: Stage, play: Open) -> None:
    session = await play({"say": "well"}, {"hang": True})
    began = time.monotonic()
    end = await ask(session, stall=STALL)
    assert end.failure is FailureClass.AGENT_STUCK
    assert "no sign of life for 0.5 s" in end.reason
    assert time.monotonic() - began < 15.0
    assert survivors(stage.marker) == []


async def test_a_turn_over_its_deadline_is_stuck_however_lively(stage: Stage, play: Open) -> None:
    chatter = [step for n in range(200) for step in ({"say": f"{n}"}, {"wait": 0.05})]
    end = await ask(await play(*chatter), stall=20.0, deadline=3.0)
    assert end.failure is FailureClass.AGENT_STUCK
    assert "after 3 s" in end.reason
    assert survivors(stage.marker) == []


@pytest.mark.parametrize(
    "alive",
    [{"say": "still here"}, {"write": {"file": "x"}}, {"flood": {"stream": "stderr", "bytes": 9}}],
    ids=["says", "writes", "stderr"],
)
async def test_signs_of_life_keep_a_turn_alive(play: Open, alive: Step) -> None:
    session = await play(*[alive, {"wait": 1.2}] * 4)
    end = await ask(session, stall=4.0)
    assert (end.stop_reason, end.failure) == ("end_turn", None)


@pytest.mark.parametrize("form", [{}, {"as": "end_turn"}], ids=["error", "chat"])
@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (429, FailureClass.PROVIDER_LIMIT),
        (401, FailureClass.AUTH),
        (403, FailureClass.AUTH),
        (500, FailureClass.PROVIDER_DOWN),
        (529, FailureClass.PROVIDER_DOWN),
    ],
)
async def test_a_refusal_of_the_provider_has_its_class(
    play: Open, form: Step, status: int, failure: FailureClass
) -> None:
    session = await play({"write": {"file": "x"}}, {"error": {"status": status, **form}})
    end = await ask(session)
    assert end.failure is failure
    assert str(status) in end.reason


@pytest.mark.parametrize("form", [{}, {"as": "end_turn"}], ids=["error", "chat"])
@pytest.mark.parametrize(
    ("status", "says", "seconds"),
    [
        (429, "Please try again in 7m12s.", 432.0),
        (429, "Please try again later.", None),
        (500, "Please try again in 7m12s.", None),
    ],
)
async def test_a_limit_that_tells_its_end_is_known_to_last_that_long(
    play: Open, form: Step, status: int, says: str, seconds: float | None
) -> None:
    end = await ask(await play({"error": {"status": status, "message": says, **form}}))
    assert end.resets_in == seconds


async def test_talk_about_limits_is_no_refusal(play: Open) -> None:
    text = "I made the client retry on 429 Too Many Requests, with the usage limit in the error."
    end = await ask(await play({"say": text}))
    assert (end.failure, end.text.strip()) == (None, text)


async def test_what_was_said_before_the_last_tool_call_is_no_refusal(stage: Stage) -> None:
    steps: list[Step] = [{"say": "API Error: 429"}, {"write": {"file": "x"}}]
    end = await ask(await stage.open(stage.scripted("acp", *steps)))
    assert (end.failure, end.text) == (None, "API Error: 429")
    end = await ask(await stage.open(stage.scripted("acp", *reversed(steps))))
    assert end.failure is FailureClass.PROVIDER_LIMIT


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
async def test_floods_are_survived_and_bounded(stage: Stage, play: Open, stream: str) -> None:
    session = await play({"flood": {"stream": stream, "bytes": 25_000_000}}, {"say": "done"})
    end = await ask(session)
    assert (end.stop_reason, end.failure) == ("end_turn", None)
    assert end.text.strip().endswith("done")
    assert len(end.text) <= 8000
    assert sum(file.stat().st_size for file in stage.logs.iterdir()) < 10_100_000


async def test_a_prompt_larger_than_a_pipe_arrives(stage: Stage, kind: str) -> None:
    session = await stage.open(stage.scripted(kind, {"say": "read"}))
    end = await session.prompt("x" * 3_000_000, stall=20, deadline=DEADLINE)
    assert end.text.strip() == "read"


# Sessions


async def test_a_second_prompt_goes_to_the_same_session(stage: Stage, play: Open) -> None:
    session = await play({"say": "one"}, fixes=[[{"say": "two"}, {"write": {"file": "x"}}]])
    first, second = await ask(session), await ask(session)
    assert [first.text.strip(), second.text.strip().splitlines()[0]] == ["one", "two"]
    assert (stage.work / "file").exists()


async def test_the_task_is_in_the_environment(stage: Stage, play: Open) -> None:
    await ask(await play({"run": "env > env.txt; pwd >> env.txt"}))
    lines = set((stage.work / "env.txt").read_text().splitlines())
    wanted = {"OYA_BEAD=b-1", "OYA_ROLE=planner", "OYA_ATTEMPT=2", "OYA_EPOCH=7", "EXTRA=yes"}
    wanted |= {f"OYA_WORKSPACE={stage.work}", "HOME=/nonexistent", str(stage.work)}
    assert wanted <= lines
    assert not any(line.startswith("PYTEST_") for line in lines)


async def test_a_child_left_behind_is_gone_after_close(stage: Stage, play: Open) -> None:
    session = await play({"leave": "sleep 600"}, {"write": {"file": "x"}})
    await ask(session)
    await session.close()
    assert survivors(stage.marker) == []


async def test_close_may_be_called_again_and_says_what_was_used(play: Open) -> None:
    session = await play({"say": "one"})
    await ask(session)
    first = await session.close()
    assert await session.close() == first
    assert first.seconds > 0
    assert first.cpu_seconds > 0


async def test_a_session_that_was_never_prompted_closes(stage: Stage, play: Open) -> None:
    session = await play()
    await session.close()
    assert survivors(stage.marker) == []


async def test_cancelling_a_prompt_ends_the_turn(stage: Stage, play: Open) -> None:
    session = await play({"write": {"began": ""}}, {"run": "sleep 600"})
    turn = asyncio.create_task(ask(session))
    await until((stage.work / "began").exists)
    turn.cancel()
    with pytest.raises(asyncio.CancelledError):
        await turn
    await session.close()
    assert survivors(stage.marker) == []


async def test_activity_moves_on_with_the_turn(play: Open) -> None:
    session = await play({"say": "one"})
    before = session.last_activity
    await ask(session)
    assert session.last_activity > before


async def test_a_program_that_is_not_there(stage: Stage, kind: str) -> None:
    backend = stage.backend(kind, ("./no-such-program",))
    if kind == "acp":
        with pytest.raises(BackendError, match="no-such-program") as caught:
            await stage.open(backend)
        assert isinstance(caught.value, BackendRefused)
        assert caught.value.failure is FailureClass.AGENT_CRASH
    else:
        end = await ask(await stage.open(backend))
        assert end.failure is FailureClass.AGENT_CRASH
        assert "no-such-program" in end.reason


# Commands: a program that knows nothing of oya but what docs/pipeline.md says


def sh(stage: Stage, script: str) -> Backend:
    return stage.backend("command", ("/bin/sh", "-c", script))


async def test_a_command_has_its_prompt_on_stdin_and_in_a_file(stage: Stage) -> None:
    script = 'cat > stdin.md; cmp stdin.md "$OYA_PROMPT_FILE" && echo same'
    end = await ask(await stage.open(sh(stage, script)))
    assert end.text == "same"
    assert (stage.work / "stdin.md").read_text() == "Do it, ü 😀.\n"


async def test_a_command_is_told_where_its_answer_belongs(stage: Stage) -> None:
    await ask(await stage.open(sh(stage, 'echo "{}" > "$OYA_OUTPUT"')))
    assert stage.answer.read_text() == "{}\n"


@pytest.mark.parametrize(
    "prepare", ["touch .oya", "mkdir -p .oya; ln -s /nonexistent .oya/out", "mkdir -p .oya/out"]
)
async def test_what_stands_in_the_answers_way_is_removed(stage: Stage, prepare: str) -> None:
    session = await stage.open(sh(stage, f'echo "{{}}" > "$OYA_OUTPUT"; rm -rf .oya; {prepare}'))
    await ask(session)
    await ask(session)
    assert not stage.answer.exists()
    await ask(await stage.open(sh(stage, 'echo "{}" > "$OYA_OUTPUT"')))
    assert stage.answer.read_text() == "{}\n"


async def test_each_run_of_a_command_has_a_log_of_its_own(stage: Stage) -> None:
    session = await stage.open(sh(stage, "echo run"))
    await ask(session)
    await ask(session)
    assert {file.name for file in stage.logs.iterdir()} == {
        *("output-1.log", "output-2.log", "prompt-1.md", "prompt-2.md")
    }


async def test_an_error_of_a_failed_command_is_read_at_its_end_only(stage: Stage) -> None:
    script = "echo 'GET / -> HTTP 503'; yes 'a test has failed' | head -100; exit 1"
    assert (await ask(await stage.open(sh(stage, script)))).failure is None
    script = "yes 'thinking' | head -100; echo 'HTTP 503 from the model'; exit 1"
    end = await ask(await stage.open(sh(stage, script)))
    assert end.failure is FailureClass.PROVIDER_DOWN


# ACP: agents that behave as no SDK does

AGENT = """
import json, sys, time

def send(**message):
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)

def update(kind, **fields):
    send(method="session/update",
         params={"sessionId": "s", "update": {"sessionUpdate": kind, **fields}})

def say(text):
    update("agent_message_chunk", content={"type": "text", "text": text})

def receive():
    return json.loads(sys.stdin.readline())

def prompt(message):
    return {"stopReason": "end_turn"}

ANSWERS = {"initialize": {"protocolVersion": 1}, "session/new": {"sessionId": "s"}}
ERRORS = {}
%s
for line in sys.stdin:
    message = json.loads(line)
    method = message.get("method")
    if "id" not in message:
        continue
    if method in ERRORS:
        send(id=message["id"], error=ERRORS[method])
    else:
        answer = prompt(message) if method == "session/prompt" else ANSWERS.get(method)
        send(id=message["id"], result=answer)
"""


@pytest.fixture
def agent(stage: Stage) -> Open:
    async def agent(body: str) -> AgentSession:
        program = (sys.executable, "-I", "-S", "-c", AGENT % body)
        return await stage.open(stage.backend("acp", program))

    return agent


async def test_an_unknown_stop_reason_ends_the_turn(stage: Stage) -> None:
    end = await ask(await stage.open(stage.scripted("acp", {"stop": "ran_out_of_ideas"})))
    assert (end.stop_reason, end.failure) == ("ran_out_of_ideas", None)


@pytest.mark.parametrize("answer", ["None", "[]", "'end_turn'", "{}", "{'stopReason': 5}"])
async def test_an_answer_without_a_stop_reason_is_a_broken_protocol(
    agent: Open, answer: str
) -> None:
    end = await ask(await agent(f"def prompt(message): return {answer}"))
    assert end.failure is FailureClass.AGENT_CRASH


async def test_unknown_updates_and_requests_are_passed_over(
    agent: Open, caplog: pytest.LogCaptureFixture
) -> None:
    session = await agent("""
def prompt(message):
    update("hologram", content=5)
    update("agent_message_chunk", content="no object")
    update("tool_call_update", toolCallId=5, status="floating")
    update("usage_update", cost={"amount": "much", "currency": "USD"})
    send(method="session/update", params=[1])
    send(method="session/update")
    send(method="something/new", params={})
    send(method="_vendor/ping", params=5)
    send(id=77, method="fs/read_text_file", params={"path": "/etc/passwd", "sessionId": "s"})
    say(str(receive()["error"]["code"]))
    send(id="78", method="terminal/create", params=None)
    say(str(receive()["error"]["code"]))
    return {"stopReason": "end_turn", "new": {"field": 1}}
""")
    end = await ask(session)
    assert (end.stop_reason, end.failure, end.text) == ("end_turn", None, "-32601-32601")
    assert caplog.records == []


async def test_lines_that_are_no_messages_are_dropped(
    agent: Open, caplog: pytest.LogCaptureFixture
) -> None:
    session = await agent("""
JUNK = ["not json", "5", "[1]", "null", "{", "{}", '{"id": [1], "result": 5}', "[" * 5000,
        '{"id": {}, "method": "session/update"}', '{"method": 5}', '{"id": 99, "result": 1}', ""]
def prompt(message):
    for line in JUNK:
        print(line, flush=True)
    sys.stdout.buffer.write(bytes(range(128, 256)) + b"\\n")
    sys.stdout.flush()
    say("clean")
    return {"stopReason": "end_turn"}
""")
    end = await ask(session)
    assert (end.failure, end.text) == (None, "clean")
    assert caplog.records == []


async def test_a_line_without_an_end_is_dropped(agent: Open) -> None:
    session = await agent("""
def prompt(message):
    for _ in range(70):
        sys.stdout.write("x" * 2**20)
    print()
    say("clean")
    return {"stopReason": "end_turn"}
""")
    end = await ask(session)
    assert (end.failure, end.text) == (None, "clean")


async def test_an_error_of_another_shape_is_an_error(agent: Open) -> None:
    end = await ask(await agent('ERRORS["session/prompt"] = "HTTP 429"'))
    assert end.failure is FailureClass.PROVIDER_LIMIT
    end = await ask(await agent('ERRORS["session/prompt"] = {"code": 1, "message": "odd"}'))
    assert end.failure is FailureClass.AGENT_CRASH
    assert "odd" in end.reason
    deep = 'DEEP = {}\nfor _ in range(900): DEEP = {"a": DEEP}\n'
    deep += 'ERRORS["session/prompt"] = {"code": 1, "message": "deep", "data": DEEP}'
    end = await ask(await agent(deep))
    assert end.failure is FailureClass.AGENT_CRASH


async def test_what_it_may_do_is_allowed_for_good_if_it_can_be(agent: Open) -> None:
    session = await agent("""
KINDS = [["reject_once", "allow_once", "allow_always"], ["allow_once", "reject_once"],
         ["reject_once"], []]
def prompt(message):
    for kinds in KINDS:
        options = [{"optionId": "my " + kind, "kind": kind, "name": kind} for kind in kinds]
        send(id=5, method="session/request_permission",
             params={"sessionId": "s", "toolCall": {"toolCallId": "1"}, "options": options})
        outcome = receive()["result"]["outcome"]
        say(outcome.get("optionId", outcome["outcome"]) + ";")
    return {"stopReason": "end_turn"}
""")
    assert (await ask(session)).text == "my allow_always;my allow_once;cancelled;cancelled;"


async def test_usage_is_told_by_turn(agent: Open) -> None:
    session = await agent("""
TURNS = [(100, 0.5), (250, 0.75), (-1, None), (None, 1.0)]
def prompt(message):
    tokens, cost = TURNS.pop(0)
    if cost:
        update("usage_update", used=1, size=2, cost={"amount": cost, "currency": "USD"})
    return {"stopReason": "end_turn", "usage": tokens and {"totalTokens": tokens}}
""")
    used = [(await ask(session)).usage for _ in range(4)]
    assert [usage.tokens for usage in used] == [100, 250, None, None]
    assert [usage.cost_usd for usage in used] == [0.5, 0.25, 0.0, 0.25]


async def test_an_open_tool_that_works_is_alive_and_one_that_idles_is_not(agent: Open) -> None:
    session = await agent("""
def prompt(message):
    update("tool_call", toolCallId="1", status="in_progress")
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        pass
    update("tool_call_update", toolCallId="1", status="completed")
    return {"stopReason": "end_turn"}
""")
    assert (await ask(session, stall=STALL)).failure is None
    session = await agent("""
def prompt(message):
    update("tool_call", toolCallId="1", status="in_progress")
    time.sleep(600)
""")
    assert (await ask(session, stall=STALL)).failure is FailureClass.AGENT_STUCK


async def test_cpu_without_an_open_tool_is_no_sign_of_life(agent: Open) -> None:
    session = await agent("""
def prompt(message):
    update("tool_call", toolCallId="1", status="in_progress")
    update("tool_call_update", toolCallId="1", status="completed")
    while True:
        pass
""")
    assert (await ask(session, stall=STALL)).failure is FailureClass.AGENT_STUCK


async def test_a_crash_tells_the_last_of_stderr(agent: Open) -> None:
    session = await agent("""
def prompt(message):
    sys.exit("the configuration is broken")
""")
    end = await ask(session)
    assert end.failure is FailureClass.AGENT_CRASH
    assert end.reason.endswith("the configuration is broken")


async def test_a_session_whose_program_has_died_says_so_again(agent: Open) -> None:
    session = await agent("def prompt(message): sys.exit(1)")
    for _ in range(2):
        assert (await ask(session)).failure is FailureClass.AGENT_CRASH


@pytest.mark.parametrize(
    ("body", "failure", "says"),
    [
        (
            'ERRORS["session/new"] = {"code": -32000, "message": "Authentication required"}',
            FailureClass.AUTH,
            "Authentication required",
        ),
        (
            'ERRORS["session/new"] = {"code": -32603, "message": "x", "data": {"status": 429}}',
            FailureClass.PROVIDER_LIMIT,
            "429",
        ),
        ('sys.exit("not logged in")', FailureClass.AUTH, "not logged in"),
        ("sys.exit(3)", FailureClass.AGENT_CRASH, "Connection closed"),
        ('ANSWERS["initialize"] = {"protocolVersion": 2}', FailureClass.AGENT_CRASH, "version 2"),
        ('ANSWERS["initialize"] = 5', FailureClass.AGENT_CRASH, "version None"),
        ('ANSWERS["session/new"] = {"sessionId": 5}', FailureClass.AGENT_CRASH, "no session"),
    ],
)
async def test_a_session_that_does_not_begin(
    stage: Stage, agent: Open, body: str, failure: FailureClass, says: str
) -> None:
    with pytest.raises(BackendRefused, match=says) as caught:
        await agent(body)
    assert caught.value.failure is failure
    assert survivors(stage.marker) == []


async def test_a_session_that_a_limit_keeps_from_beginning_tells_its_end(agent: Open) -> None:
    data = '{"status": 429, "headers": {"retry-after": "20"}}'
    with pytest.raises(BackendRefused) as caught:
        await agent(f'ERRORS["session/new"] = {{"code": 1, "message": "x", "data": {data}}}')
    assert (caught.value.failure, caught.value.resets_in) == (FailureClass.PROVIDER_LIMIT, 20.0)


async def test_opening_can_be_cancelled(stage: Stage, agent: Open) -> None:
    opening = asyncio.create_task(agent("time.sleep(600)"))
    await until(lambda: len(survivors(stage.marker)) == 2)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert survivors(stage.marker) == []
