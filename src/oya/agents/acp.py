"""Backends that speak the Agent Client Protocol over stdio.

The agent does its own input and output inside its workspace: no file system and no
terminal are offered. Its stop reason is reported and never believed.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from oya.agents.classify import by_error, by_text
from oya.agents.port import AgentSession, Task, TurnEnd, Usage
from oya.agents.watch import Stuck, Vital, watched
from oya.clock import Clock
from oya.errors import BackendError, ProcessError
from oya.lifecycle.failures import FailureClass
from oya.processes.port import Command, Ended, Processes, Session

if TYPE_CHECKING:
    from acp import ClientSideConnection

START = 60.0
"""Seconds until a program must have answered `initialize` and `session/new`."""
KEEP = 4000
LINE_LIMIT = 64 * 2**20


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
        """A new process and session for this attempt alone."""
        task.logs.mkdir(parents=True, exist_ok=True)
        command = Command(self._command, cwd=task.workspace, env=self._env | task_env(task))
        try:
            process = await self._processes.open(command, stderr=task.logs / "stderr.log")
        except ProcessError as error:
            raise BackendError(f"{self.name} could not be started: {error}") from error
        session = AcpSession(process, task, self._clock)
        try:
            async with asyncio.timeout(START):
                await session.begin()
        except Exception as error:
            await process.close(grace=0.0)
            raise _not_begun(self.name, error) from error
        except BaseException:
            await process.close(grace=0.0)
            raise
        return session


def _not_begun(name: str, error: Exception) -> BackendError:
    return BackendError(f"{name} did not begin a session: {type(error).__name__}: {error}")


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


class AcpSession:
    """One ACP session. Implements `AgentSession`."""

    def __init__(self, process: Session, task: Task, clock: Clock) -> None:
        self._process = process
        self._task = task
        self._clock = clock
        self._vital = Vital(clock, task.workspace, process.activity)
        self._client = _Client(self._vital)
        self._connection: ClientSideConnection | None = None
        self._session = ""
        self._tokens: int | None = None

    @property
    def last_activity(self) -> float:
        return self._vital.last

    async def begin(self) -> None:
        """initialize, session/new. Raises whatever the protocol raises."""
        from acp import PROTOCOL_VERSION, connect_to_agent
        from acp.schema import ClientCapabilities, Implementation

        self._connection = connect_to_agent(
            self._client,
            self._process.stdin,
            self._process.stdout,  # type: ignore[arg-type]
        )
        await self._connection.initialize(
            protocol_version=PROTOCOL_VERSION,
            client_capabilities=ClientCapabilities(),
            client_info=Implementation(name="oya", version="0.1.0"),
        )
        opened = await self._connection.new_session(cwd=str(self._task.workspace), mcp_servers=[])
        self._session = opened.session_id

    async def prompt(self, text: str, *, stall: float, deadline: float) -> TurnEnd:
        """See `AgentSession.prompt`."""
        self._client.new_turn()
        try:
            return await watched(
                self._turn(text), self._vital, self._clock, stall=stall, deadline=deadline
            )
        except Stuck as stuck:
            await self._end_turn()
            return self._failed(FailureClass.AGENT_STUCK, str(stuck))
        except asyncio.CancelledError:
            await self._end_turn()
            raise

    async def close(self) -> Ended:
        """See `AgentSession.close`."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            try:
                async with asyncio.timeout(2.0):
                    await connection.close()
            except Exception:  # noqa: S110 (whatever it says: the process goes now)
                pass
        return await self._process.close(grace=0.2)

    async def _turn(self, text: str) -> TurnEnd:
        from acp import RequestError, text_block

        assert self._connection is not None
        try:
            answer = await self._connection.prompt(
                session_id=self._session, prompt=[text_block(text)]
            )
        except RequestError as error:
            failure = by_error(str(error), error.data) or FailureClass.AGENT_CRASH
            return self._failed(failure, f"{error} {error.data or ''}".strip()[:KEEP])
        except Exception as error:
            return self._failed(FailureClass.AGENT_CRASH, await self._last_words(error))
        return self._ended(str(answer.stop_reason), _usage(answer))

    def _ended(self, stop_reason: str, usage: Usage) -> TurnEnd:
        client = self._client
        if client.tools == 0 and len(client.text) <= KEEP:
            failure = by_text(client.text)
            if failure is not None:
                return self._failed(failure, client.text.strip())
        return TurnEnd(stop_reason, client.text, usage=usage)

    def _failed(self, failure: FailureClass, reason: str) -> TurnEnd:
        return TurnEnd("error", self._client.text, failure, reason[:KEEP])

    async def _last_words(self, error: Exception) -> str:
        ended = await self._process.close(grace=0.5)
        how = f"signal {ended.signal}" if ended.signal else f"exit {ended.exit}"
        return f"the program ended ({how}) in the middle of a turn ({type(error).__name__})"

    async def _end_turn(self) -> None:
        """Ask it to stop; closing the session afterwards is what makes sure."""
        if self._connection is None:
            return
        try:
            async with asyncio.timeout(1.0):
                await self._connection.cancel(session_id=self._session)
        except Exception:  # noqa: S110 (a dead agent cannot be told)
            pass


def _usage(answer: Any) -> Usage:
    usage = getattr(answer, "usage", None)
    return Usage(tokens=getattr(usage, "total_tokens", None))


class _Client:
    """Our side of the protocol: listens, allows, and offers nothing."""

    def __init__(self, vital: Vital) -> None:
        self._vital = vital
        self._open: set[str] = set()
        self.text = ""
        self.tools = 0

    def new_turn(self) -> None:
        self.text, self.tools = "", 0
        self._open.clear()
        self._vital.counts_cpu = False

    async def session_update(self, session_id: str, update: Any, **_: Any) -> None:
        self._vital.sign()
        kind = getattr(update, "session_update", "")
        if kind == "agent_message_chunk":
            self.text = (self.text + (getattr(update.content, "text", "") or ""))[-2 * KEEP :]
        elif kind in ("tool_call", "tool_call_update"):
            self._tool(update)

    def _tool(self, update: Any) -> None:
        self.tools += 1
        if getattr(update, "status", None) in ("completed", "failed"):
            self._open.discard(update.tool_call_id)
        elif len(self._open) < 1000:
            self._open.add(update.tool_call_id)
        self._vital.counts_cpu = bool(self._open)

    async def request_permission(
        self, session_id: str, tool_call: Any, options: list[Any], **_: Any
    ) -> Any:
        from acp.schema import AllowedOutcome, DeniedOutcome, RequestPermissionResponse

        self._vital.sign()
        for wanted in ("allow_always", "allow_once"):
            for option in options:
                if option.kind == wanted:
                    outcome = AllowedOutcome(option_id=option.option_id, outcome="selected")
                    return RequestPermissionResponse(outcome=outcome)
        return RequestPermissionResponse(outcome=DeniedOutcome(outcome="cancelled"))

    async def ext_method(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        from acp import RequestError

        raise RequestError.method_not_found(method)

    async def ext_notification(self, method: str, params: dict[str, Any]) -> None:
        self._vital.sign()

    def on_connect(self, conn: Any) -> None:
        return None
