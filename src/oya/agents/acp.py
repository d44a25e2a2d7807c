"""Backends that speak the Agent Client Protocol over stdio.

The agent does its own input and output inside its workspace: no file system and no
terminal are offered. Its stop reason is reported and never believed.
"""

from __future__ import annotations

import asyncio
import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import oya
from oya.agents.classify import BackendRefused, by_chat, by_error, by_text, last_paragraph, words
from oya.agents.listen import Listener, tokens_of
from oya.agents.port import AgentSession, Stood, Task, TurnEnd, Usage, never
from oya.agents.resets import resets_in
from oya.agents.transport import LineTransport
from oya.agents.watch import Stuck, Vital, watched
from oya.clock import Clock
from oya.errors import ProcessError
from oya.lifecycle.failures import FailureClass
from oya.processes.port import BACKGROUND, Command, Ended, Processes, Session
from oya.processes.programs import files_among

if TYPE_CHECKING:
    from acp.core import Connection

START = 60.0
"""Seconds until a program must have answered `initialize` and `session/new`."""
GRACE = 0.5
"""Seconds that a program has to end by itself, once it was told to."""
PROTOCOL = 1
MAX_REASON = 4000
TAIL = 500


class AcpBackend:
    """Any command that speaks ACP. `env` is the whole environment of its sessions."""

    def __init__(
        self,
        name: str,
        kind: str,
        command: tuple[str, ...],
        *,
        processes: Processes,
        clock: Clock,
        env: dict[str, str],
    ) -> None:
        self.name = name
        self.kind = kind
        self._command = command
        self._processes = processes
        self._clock = clock
        self._env = env

    async def open(self, task: Task) -> AgentSession:
        """A new process and session for this attempt alone. `BackendRefused` if there is none."""
        # The SDK takes a second or two to import: not on the loop's time, and not at start.
        await asyncio.to_thread(importlib.import_module, "acp.core")
        task.logs.mkdir(parents=True, exist_ok=True)
        stderr = task.logs / "stderr.log"
        command = Command(
            self._command,
            cwd=task.workspace,
            env=self._env | task_env(task),
            nice=BACKGROUND,
            readable=files_among(self._command),
        )
        try:
            process = await self._processes.open(command, stderr=stderr)
        except ProcessError as error:
            what = f"{self.name} could not be started: {error}"
            raise BackendRefused(what, FailureClass.AGENT_CRASH, hint=error.hint) from error
        session = AcpSession(process, task, self._clock, stderr)
        try:
            async with asyncio.timeout(START):
                await session.begin()
        except Exception as error:
            await session.close()
            raise _not_begun(self.name, error, tail(stderr, TAIL), self._clock) from error
        except BaseException:
            await session.close()
            raise
        return session


def _not_begun(name: str, error: Exception, said: str, clock: Clock) -> BackendRefused:
    data = getattr(error, "data", None)
    code = getattr(error, "code", None)
    failure = by_error(str(error), data, code) or by_text(said) or FailureClass.AGENT_CRASH
    why = " · ".join(part for part in (str(error), words(data), said) if part)
    what = f"{name} did not begin a session: {why or type(error).__name__}"
    what = what[:MAX_REASON]
    return BackendRefused(what, failure, resets_in=resets_in(failure, what, clock.now()))


def task_env(task: Task) -> dict[str, str]:
    """What every backend finds in its environment about its task."""
    return {
        "OYA_BEAD": task.bead,
        "OYA_ROLE": str(task.role),
        "OYA_ATTEMPT": str(task.attempt),
        "OYA_EPOCH": str(task.epoch),
        "OYA_WORKSPACE": str(task.workspace),
        **task.env,
    }


def tail(file: Path, size: int) -> str:
    """The last `size` bytes of a text file; empty where there is none."""
    try:
        with file.open("rb") as stream:
            stream.seek(max(0, file.stat().st_size - size))
            return stream.read(size).decode("utf-8", "replace").strip()
    except OSError:
        return ""


class AcpSession:
    """One ACP session. Implements `AgentSession`."""

    def __init__(self, process: Session, task: Task, clock: Clock, stderr: Path) -> None:
        self._process = process
        self._task = task
        self._clock = clock
        self._stderr = stderr
        self._vital = Vital(clock, task.workspace, cpu=process.activity, log=stderr)
        self._listener = Listener(self._vital)
        self._lines = LineTransport(process.stdout, process.stdin, self._vital.sign)
        self._cost: float | None = None
        self._connection: Connection | None = None
        self._session = ""

    @property
    def last_activity(self) -> float:
        return self._vital.last

    async def begin(self) -> None:
        """initialize, session/new. Raises whatever the protocol raises."""
        from acp.core import Connection

        self._connection = Connection(self._listener, self._lines)
        answer = await self._connection.send_request(
            "initialize",
            {
                "protocolVersion": PROTOCOL,
                "clientCapabilities": {
                    "fs": {"readTextFile": False, "writeTextFile": False},
                    "terminal": False,
                },
                "clientInfo": {"name": "oya", "version": oya.__version__},
            },
        )
        speaks = answer.get("protocolVersion") if isinstance(answer, dict) else None
        if speaks != PROTOCOL:
            raise ConnectionError(f"it speaks version {speaks} of the protocol, not {PROTOCOL}")
        self._session = await self._new_session(self._connection)

    async def _new_session(self, connection: Connection) -> str:
        opened = await connection.send_request(
            "session/new", {"cwd": str(self._task.workspace), "mcpServers": []}
        )
        session = opened.get("sessionId") if isinstance(opened, dict) else None
        if not isinstance(session, str):
            raise ConnectionError("its answer to session/new names no session")
        return session

    async def prompt(
        self, text: str, *, stall: float, deadline: float, stood: Stood = never
    ) -> TurnEnd:
        """See `AgentSession.prompt`. A session whose program was ended here is over."""
        self._listener.new_turn()
        try:
            turn, vital = self._turn(text), self._vital
            return await watched(
                turn, vital, self._clock, stall=stall, deadline=deadline, stood=stood
            )
        except Stuck as stuck:
            await self._cancel_turn()
            await self._process.close(grace=GRACE)
            return self._failed(FailureClass.AGENT_STUCK, str(stuck))
        except asyncio.CancelledError:
            await self._cancel_turn()
            raise

    async def close(self) -> Ended:
        """See `AgentSession.close`."""
        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                await connection.close()
        finally:
            ended = await self._process.close(grace=GRACE)
        return ended

    async def _turn(self, text: str) -> TurnEnd:
        from acp import RequestError

        if self._connection is None:
            return self._failed(FailureClass.AGENT_CRASH, "the session is closed")
        prompt = [{"type": "text", "text": text}]
        try:
            answer = await self._connection.send_request(
                "session/prompt", {"sessionId": self._session, "prompt": prompt}
            )
        except RequestError as error:
            failure = by_error(str(error), error.data, error.code) or FailureClass.AGENT_CRASH
            return self._failed(failure, f"{error} {words(error.data)}".strip())
        except ConnectionError:
            return self._failed(FailureClass.AGENT_CRASH, await self._last_words())
        return self._ended(answer)

    def _ended(self, answer: Any) -> TurnEnd:
        listener = self._listener
        usage = self._usage(answer)
        reason = answer.get("stopReason") if isinstance(answer, dict) else None
        if not isinstance(reason, str):
            what = "the answer to the prompt names no stop reason"
            return self._failed(FailureClass.AGENT_CRASH, what, usage)
        failure = by_chat(listener.last)
        if failure is not None:
            return self._failed(failure, last_paragraph(listener.last), usage)
        return TurnEnd(reason[:100], listener.text, usage=usage)

    def _usage(self, answer: Any) -> Usage:
        """Tokens are taken as told for the turn (codex-acp 2.6 does so), cost is of the session."""
        before, self._cost = self._cost or 0.0, self._listener.cost_usd
        cost = None if self._cost is None else max(self._cost - before, 0.0)
        return Usage(tokens_of(answer), cost)

    def _failed(self, failure: FailureClass, why: str, usage: Usage | None = None) -> TurnEnd:
        why = why[:MAX_REASON]
        told = resets_in(failure, why, self._clock.now())
        return TurnEnd("error", self._listener.text, failure, why, usage or Usage(), told)

    async def _last_words(self) -> str:
        ended = await self._process.close(grace=GRACE)
        how = f"signal {ended.signal}" if ended.signal else f"exit {ended.exit}"
        said = tail(self._stderr, TAIL)
        return f"the program ended in the middle of a turn ({how}){': ' if said else ''}{said}"

    async def _cancel_turn(self) -> None:
        """Ask it to stop; ending its processes afterwards is what makes sure."""
        if self._connection is None:
            return
        try:
            async with asyncio.timeout(1.0):
                await self._connection.send_notification(
                    "session/cancel", {"sessionId": self._session}
                )
        except (OSError, TimeoutError):
            pass  # a dead agent cannot be told
