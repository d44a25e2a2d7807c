"""The recorded agent, seen through the protocol's own client, and as a command."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import acp
import pytest
from acp.schema import AgentMessageChunk, TextContentBlock, ToolCallProgress, ToolCallStart

from oya.processes import Command, Ended, GuardedProcesses, Session, survivors
from oya.testing import scripted

AGENT = (sys.executable, "-I", "-S", "-E", scripted.__file__)
Step = dict[str, Any]


class Heard(acp.Client):
    """Collects what the agent says and does."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.titles: list[str] = []
        self.statuses: list[str | None] = []
        self.results: list[str] = []

    async def session_update(self, session_id: str, update: Any, **_: Any) -> None:
        if isinstance(update, AgentMessageChunk):
            assert isinstance(update.content, TextContentBlock)
            self.said.append(update.content.text)
        elif isinstance(update, ToolCallStart):
            self.titles.append(update.title)
        elif isinstance(update, ToolCallProgress):
            self.statuses.append(update.status)
            self.results += [part.content.text for part in update.content or []]  # type: ignore


class Talk:
    """One session with the agent."""

    def __init__(self, process: Session, connection: acp.ClientSideConnection, id: str) -> None:
        self.process, self.connection, self.id = process, connection, id
        self.heard = Heard()

    async def prompt(self, text: str = "go on") -> str:
        reply = await self.connection.prompt(session_id=self.id, prompt=[acp.text_block(text)])
        return reply.stop_reason

    async def cancel(self) -> None:
        await self.connection.cancel(session_id=self.id)


Start = Callable[..., AbstractAsyncContextManager[Talk]]


def entry(*steps: Step, bead: str = "b-1", role: str = "implementer", **more: Any) -> Step:
    return {"bead": bead, "role": role, "steps": list(steps), **more}


def scenario_file(tmp_path: Path, entries: tuple[Step, ...]) -> Path:
    path = tmp_path / "scenario.json"
    path.write_text(json.dumps({"version": 1, "entries": entries}))
    return path


def environment(bead: str = "b-1", role: str = "implementer", attempt: int = 1) -> dict[str, str]:
    path = os.environ["PATH"]
    return {"PATH": path, "OYA_BEAD": bead, "OYA_ROLE": role, "OYA_ATTEMPT": str(attempt)}


@pytest.fixture
def work(tmp_path: Path) -> Path:
    work = tmp_path / "work"
    work.mkdir()
    return work


@pytest.fixture
def start(tmp_path: Path, work: Path) -> Start:
    @asynccontextmanager
    async def start(*entries: Step, **who: Any) -> AsyncIterator[Talk]:
        marker = f"test-{uuid.uuid4().hex}"
        command = Command(
            (*AGENT, str(scenario_file(tmp_path, entries))), tmp_path, environment(**who)
        )
        process = await GuardedProcesses(marker).open(command, stderr=tmp_path / "stderr")
        heard = Heard()
        connection = acp.connect_to_agent(heard, process.stdin, process.stdout)
        try:
            hello = await connection.initialize(protocol_version=acp.PROTOCOL_VERSION)
            assert hello.protocol_version == 1
            session = await connection.new_session(cwd=str(work), mcp_servers=[])
            talk = Talk(process, connection, session.session_id)
            talk.heard = heard
            yield talk
        finally:
            await connection.close()
            await process.close(grace=0.2)
        assert survivors(marker) == []

    return start


# Which entry


@pytest.mark.parametrize(
    ("bead", "role", "attempt", "said"),
    [
        ("b-1", "implementer", 1, "first"),
        ("b-1", "implementer", 2, "first"),
        ("b-1", "implementer", 3, "third"),
        ("b-1", "implementer", 9, "third"),
        ("b-2", "implementer", 4, "anyone"),
        ("late", "implementer", 1, "anyone"),
        ("late", "implementer", 2, "late"),
        ("b-1", "reviewer", 1, "The scenario has no entry for this bead, role and attempt."),
    ],
)
async def test_the_entry_is_chosen(
    start: Start, bead: str, role: str, attempt: int, said: str
) -> None:
    entries = (
        entry({"say": "anyone"}, bead="*"),
        entry({"say": "third"}, attempt=3),
        entry({"say": "first"}),
        entry({"say": "late"}, bead="late", attempt=2),
    )
    async with start(*entries, bead=bead, role=role, attempt=attempt) as talk:
        assert await talk.prompt() == "end_turn"
        assert talk.heard.said == [said]


async def test_each_further_prompt_plays_the_next_fixes(start: Start) -> None:
    fixes = [[{"say": "two"}], [{"say": "three"}]]
    async with start(entry({"say": "one"}, fixes=fixes)) as talk:
        for _ in range(4):
            assert await talk.prompt() == "end_turn"
        assert talk.heard.said == ["one", "two", "three", "I have nothing more to do here."]


# What it does


async def test_files_are_written_edited_and_deleted(start: Start, work: Path) -> None:
    (work / "gone").write_text("")
    steps: list[Step] = [
        {"write": {"a/b.txt": "one\r\ntwo ü\n", "c": ""}},
        {"edit": {"path": "a/b.txt", "find": "two", "replace": "2"}},
        {"delete": ["gone", "never there"]},
    ]
    async with start(entry(*steps)) as talk:
        assert await talk.prompt() == "end_turn"
        assert talk.heard.statuses == ["completed"] * 5
    assert (work / "a/b.txt").read_bytes() == "one\r\n2 ü\n".encode()
    assert sorted(path.name for path in work.iterdir()) == ["a", "c"]


@pytest.mark.parametrize(
    ("before", "find", "replace", "after"),
    [
        ("a b a", "a", "x", "x b a"),
        ("x b", "a", "x", "x b"),
        ("line\n", "line\n", "line\nmore\n", "line\nmore\n"),
        ("line\nmore\n", "line\n", "line\nmore\n", "line\nmore\n"),
        ("text", "text", "", ""),
        ("", "text", "", ""),
    ],
)
async def test_an_edit_may_be_played_again(
    start: Start, work: Path, before: str, find: str, replace: str, after: str
) -> None:
    (work / "file").write_text(before)
    edit = {"edit": {"path": "file", "find": find, "replace": replace}}
    async with start(entry(edit)) as talk:
        await talk.prompt()
        assert talk.heard.statuses == ["completed"]
    assert (work / "file").read_text() == after


async def test_an_edit_that_does_not_fit_is_said_and_passed_over(start: Start, work: Path) -> None:
    (work / "file").write_text("something else")
    edits = [{"edit": {"path": p, "find": "a b", "replace": "c d"}} for p in ("file", "none")]
    async with start(entry(*edits, {"say": "on"})) as talk:
        assert await talk.prompt() == "end_turn"
        assert [text.split(":")[0] for text in talk.heard.said] == [
            "I could not edit file",
            "I could not edit none",
            "on",
        ]
        assert talk.heard.statuses == ["failed", "failed"]


async def test_a_diff_is_applied_once(start: Start, work: Path) -> None:
    (work / "file").write_text("one\ntwo\n")
    diff = "--- a/file\n+++ b/file\n@@ -1,2 +1,3 @@\n one\n+and a half\n two\n"
    wrong = diff.replace("one", "eleven")
    async with start(entry({"apply": diff}, {"apply": diff}, {"apply": wrong})) as talk:
        assert await talk.prompt() == "end_turn"
        assert talk.heard.statuses == ["completed", "completed", "failed"]
    assert (work / "file").read_text() == "one\nand a half\ntwo\n"


async def test_a_command_runs_in_the_workspace(start: Start, work: Path) -> None:
    line = "pwd; echo wrong >&2; sleep 60 & exit 3"
    async with start(entry({"run": line}, {"say": "on"})) as talk:
        assert await talk.prompt() == "end_turn"
        assert talk.heard.titles == [line]
        assert talk.heard.results == [f"{work}\nwrong\n"]
        assert talk.heard.statuses == ["failed"]
        assert talk.heard.said == ["The command ended with 3.", "on"]


async def test_only_the_last_of_a_flooding_command_is_told(start: Start) -> None:
    flood = "head -c 5000000 /dev/zero | tr '\\0' x; echo; echo end"
    async with start(entry({"run": flood})) as talk:
        assert await talk.prompt() == "end_turn"
        assert len(talk.heard.results[-1]) == 10_000
        assert talk.heard.results[-1].endswith("x\nend\n")


async def test_it_idles_while_a_command_runs_that_has_closed_its_output(start: Start) -> None:
    async with start(entry({"run": "exec >&- 2>&-; sleep 0.5"})) as talk:
        before = talk.process.activity()
        assert await talk.prompt() == "end_turn"
        assert talk.heard.statuses == ["completed"]
        assert talk.process.activity() - before < 0.25


async def test_the_answer_is_where_it_belongs(start: Start, work: Path) -> None:
    async with start(entry({"answer": {"verdict": "accept"}}, role="planner"), role="planner") as t:
        await t.prompt()
    assert json.loads((work / ".oya/out/planner.json").read_text()) == {"verdict": "accept"}


# How a turn ends


@pytest.mark.parametrize("reason", ["max_tokens", "refusal", "max_turn_requests"])
async def test_any_stop_reason(start: Start, reason: str) -> None:
    async with start(entry({"stop": reason}, {"say": "never"})) as talk:
        assert await talk.prompt() == reason
        assert talk.heard.said == []


@pytest.mark.parametrize("steps", [[{"wait": 60}], [{"run": "sleep 60 & sleep 60"}]])
async def test_cancel_ends_a_turn(start: Start, steps: list[Step]) -> None:
    async with start(entry({"say": "busy"}, *steps), bead="b-1") as talk:
        turn = asyncio.create_task(talk.prompt())
        await until(lambda: talk.heard.said == ["busy"])
        await talk.cancel()
        assert await asyncio.wait_for(turn, 5) == "cancelled"


async def test_a_hang_has_to_be_killed(start: Start) -> None:
    async with start(entry({"say": "well"}, {"hang": True})) as talk:
        turn = asyncio.create_task(talk.prompt())
        await until(lambda: talk.heard.said == ["well"])
        await talk.cancel()
        talk.process.stdin.write_eof()
        done, _ = await asyncio.wait([turn], timeout=0.3)
        assert not done
        assert (await talk.process.close(grace=0)).signal == 9
        with pytest.raises(ConnectionError):
            await turn


@pytest.mark.parametrize(
    ("step", "exit", "signal"), [({"crash": True}, None, 9), ({"exit": 3}, 3, None)]
)
async def test_deaths(start: Start, step: Step, exit: int | None, signal: int | None) -> None:
    async with start(entry(step)) as talk:
        with pytest.raises(ConnectionError):
            await talk.prompt()
        ended = await talk.process.wait()
        assert (ended.exit, ended.signal) == (exit, signal)


async def test_a_provider_error_is_an_error_of_the_prompt(start: Start) -> None:
    steps = {"error": {"status": 429, "message": "usage limit reached"}}
    async with start(entry(steps, fixes=[[{"say": "again"}]])) as talk:
        with pytest.raises(acp.RequestError, match="429 Too Many Requests: usage") as caught:
            await talk.prompt()
        assert caught.value.code == -32603
        assert caught.value.data == {"status": 429, "message": "usage limit reached"}
        assert await talk.prompt() == "end_turn"


async def test_a_provider_error_may_hide_behind_end_turn(start: Start) -> None:
    async with start(entry({"error": {"status": 429, "as": "end_turn"}})) as talk:
        assert await talk.prompt() == "end_turn"
        assert "last status: 429 Too Many Requests" in talk.heard.said[0]


@pytest.mark.parametrize("stream", ["stdout", "stderr", "updates"])
async def test_floods_are_survived(start: Start, tmp_path: Path, stream: str) -> None:
    flood = {"flood": {"stream": stream, "bytes": 1_000_001}}
    async with start(entry(flood, {"say": "done"})) as talk:
        assert await talk.prompt() == "end_turn"
        assert talk.heard.said[-1] == "done"
        if stream == "updates":
            assert sum(map(len, talk.heard.said)) == 1_000_001 + 4
    assert (tmp_path / "stderr").stat().st_size == (1_000_001 if stream == "stderr" else 0)


async def test_what_it_leaves_runs_in_a_session_of_its_own(start: Start, work: Path) -> None:
    line = "echo $$ $(cut -d' ' -f6 /proc/$$/stat) > sid.new; mv sid.new sid; sleep 60"
    async with start(entry({"leave": line})) as talk:
        assert await talk.prompt() == "end_turn"
        await until((work / "sid").exists)
        left, session = map(int, (work / "sid").read_text().split())
        assert left == session
        os.kill(session, 0)
        await talk.process.close()
        with pytest.raises(ProcessLookupError):
            os.kill(session, 0)


async def test_when_the_client_goes_it_ends(start: Start) -> None:
    async with start(entry({"say": "busy"}, {"wait": 60})) as talk:
        turn = asyncio.create_task(talk.prompt())
        await until(lambda: talk.heard.said == ["busy"])
        ended: Ended = await talk.process.close(grace=10)
        assert ended.exit == 0
        with pytest.raises(ConnectionError):
            await turn


async def test_an_unknown_method_is_refused_and_nothing_breaks(start: Start) -> None:
    async with start(entry({"say": "here"})) as talk:
        with pytest.raises(acp.RequestError):
            await talk.connection.load_session(cwd="/", session_id="x", mcp_servers=[])
        talk.process.stdin.write(b"\nnot json\n[1]\n")
        assert await talk.prompt() == "end_turn"


# As a command


def play(
    tmp_path: Path, work: Path, *entries: Step, **who: Any
) -> subprocess.CompletedProcess[str]:
    argv = [*AGENT, str(scenario_file(tmp_path, entries)), "--command"]
    env = environment(**who)
    return subprocess.run(
        argv, cwd=work, env=env, input="prompt", text=True, capture_output=True, timeout=20
    )


def test_as_a_command_it_plays_once_and_a_fix_round_the_next(tmp_path: Path, work: Path) -> None:
    steps = entry({"write": {"f": "1"}}, {"say": "one"}, fixes=[[{"say": "two"}]])
    second = entry({"say": "second attempt"}, attempt=2)
    rounds = [play(tmp_path, work, steps, second) for _ in range(3)]
    assert [each.returncode for each in rounds] == [0, 0, 0]
    assert [each.stdout.splitlines()[-1] for each in rounds] == [
        "one",
        "two",
        "I have nothing more to do here.",
    ]
    assert (work / "f").read_text() == "1"
    assert play(tmp_path, work, steps, second, attempt=2).stdout == "second attempt\n"


def test_as_a_command_an_error_is_its_exit_code(tmp_path: Path, work: Path) -> None:
    ended = play(tmp_path, work, entry({"error": {"status": 401}}))
    assert ended.returncode == 1
    assert ended.stderr == "401 Unauthorized: Unauthorized\n"
    assert play(tmp_path, work, entry({"crash": True}), attempt=2).returncode == -9
    assert play(tmp_path, work, entry({"exit": 7}), attempt=3).returncode == 7


# What it costs, and bad files


def test_it_starts_within_a_tenth_of_a_second_of_cpu(tmp_path: Path, work: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(5):
        play(tmp_path, work, entry({"say": "hello"}))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert spent / 5 < 0.1


def check(path: Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "oya.testing.scripted", "--check", str(path)]
    return subprocess.run(argv, text=True, capture_output=True, timeout=20)


def test_check_accepts_every_step_there_is(tmp_path: Path) -> None:
    steps: list[Step] = [
        {"say": ""},
        {"write": {"a": "b"}},
        {"edit": {"path": "p", "find": "a", "replace": ""}},
        {"delete": ["a"]},
        {"apply": "diff"},
        {"run": "true"},
        {"answer": {}},
        {"wait": 0.5},
        {"hang": True},
        {"crash": True},
        {"exit": 3},
        {"stop": "anything"},
        {"error": {"status": 500, "as": "end_turn"}},
        {"flood": {"stream": "stderr", "bytes": 5}},
        {"leave": "sleep 1"},
    ]
    assert {name for step in steps for name in step} == set(scripted.STEPS)
    good = scenario_file(tmp_path, (entry(*steps, fixes=[steps]), entry(attempt=2)))
    ended = check(good)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("{", "not JSON"),
        ("[]", "version"),
        ('{"version": 2}', "version"),
        ('{"version": 1, "entries": {}}', "entries"),
        ('{"version": 1, "entries": [], "more": 1}', "more"),
        ('{"version": 1, "entries": [1]}', "entries[0]"),
    ],
)
def test_check_names_what_is_wrong_with_a_file(tmp_path: Path, text: str, place: str) -> None:
    (tmp_path / "bad.json").write_text(text)
    ended = check(tmp_path / "bad.json")
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"{tmp_path / 'bad.json'}: {place}:")


def test_check_names_every_wrong_place(tmp_path: Path) -> None:
    bad = (
        entry({"exit": 300}, {"sing": "la"}, {"say": "a", "run": "b"}, {"wait": True}),
        entry(bead="", role="tester", attempt=0, colour="red", fixes=[[{"hang": False}], 3]),
        entry({"edit": {"path": "p", "find": "", "replace": "x"}}, {"error": {"status": "429"}}),
    )
    ended = check(scenario_file(tmp_path, bad))
    assert ended.returncode == 2
    places = [line.split(": ")[1] for line in ended.stderr.splitlines()]
    assert places == [
        "entries[0].steps[0].exit",
        "entries[0].steps[1].sing",
        "entries[0].steps[2]",
        "entries[0].steps[3].wait",
        "entries[1].colour",
        "entries[1].bead",
        "entries[1].role",
        "entries[1].attempt",
        "entries[1].fixes[0][0].hang",
        "entries[1].fixes[1]",
        "entries[2].steps[0].edit",
        "entries[2].steps[1].error",
        "entries[2]",
    ]


def test_a_file_it_cannot_play_is_said_in_words(tmp_path: Path) -> None:
    (tmp_path / "bad.json").write_text("{}")
    for path in ("bad.json", "missing.json"):
        argv = [*AGENT, path]
        ended = subprocess.run(argv, cwd=tmp_path, text=True, capture_output=True, timeout=20)
        assert ended.returncode == 2
        assert "--check" in ended.stderr
        assert "Traceback" not in ended.stderr


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)
