"""Backends that are a plain command: run once a turn, prompt on stdin, answer in a file."""

from __future__ import annotations

import asyncio

from oya.agents.acp import tail, task_env
from oya.agents.answers import answer_path, make_room
from oya.agents.classify import by_chat, by_text
from oya.agents.port import AgentSession, Stood, Task, TurnEnd, never
from oya.agents.resets import resets_in
from oya.agents.watch import UNWIND, Stuck, Vital, watched
from oya.clock import Clock
from oya.errors import ProcessError
from oya.lifecycle.failures import FailureClass
from oya.processes.port import BACKGROUND, Command, Ended, Processes
from oya.processes.programs import files_among

TAIL = 4000
EVIDENCE = 500
"""Bytes of the last output in which a program that failed is taken at its word."""


class CommandBackend:
    """Any program that takes a prompt and edits the files around it."""

    kind = "command"

    def __init__(
        self,
        name: str,
        command: tuple[str, ...],
        *,
        processes: Processes,
        clock: Clock,
        env: dict[str, str],
    ) -> None:
        self.name = name
        self._command = command
        self._processes = processes
        self._clock = clock
        self._env = env

    async def open(self, task: Task) -> AgentSession:
        """Nothing runs until the first prompt."""
        task.logs.mkdir(parents=True, exist_ok=True)
        return CommandSession(
            self.name, self._command, self._env, self._processes, self._clock, task
        )


LAST_RESORT = 7 * 86_400.0
"""Seconds after which a run ends that nobody watches any more."""


class CommandSession:
    """Each prompt is one run of the command, under the same attempt number."""

    def __init__(
        self,
        name: str,
        command: tuple[str, ...],
        env: dict[str, str],
        processes: Processes,
        clock: Clock,
        task: Task,
    ) -> None:
        self._name = name
        self._command = command
        self._env = env
        self._processes = processes
        self._clock = clock
        self._task = task
        self._turn = 0
        self._running: asyncio.Future[Ended] | None = None
        self._closed = False
        self._seconds = self._cpu = 0.0
        # A run tells its CPU only at its end; what lives is seen by its output and its files.
        self._vital = Vital(clock, task.workspace, cpu=lambda: 0.0, log=task.logs / "output.log")

    @property
    def last_activity(self) -> float:
        return self._vital.last

    async def prompt(
        self, text: str, *, stall: float, deadline: float, stood: Stood = never
    ) -> TurnEnd:
        """See `AgentSession.prompt`. The exit code is not judged."""
        self._turn += 1
        self._vital.log = self._task.logs / f"output-{self._turn}.log"
        self._running = run = asyncio.ensure_future(self._run(text))
        try:
            ended = await watched(
                run, self._vital, self._clock, stall=stall, deadline=deadline, stood=stood
            )
        except Stuck as stuck:
            return self._failed(FailureClass.AGENT_STUCK, str(stuck))
        except ProcessError as error:
            what = f"{self._name} could not be started: {error}"
            return self._failed(FailureClass.AGENT_CRASH, what)
        except asyncio.CancelledError:
            caller = asyncio.current_task()
            if not self._closed or (caller and caller.cancelling()):
                raise
            return self._failed(FailureClass.AGENT_CRASH, "the session was closed in the turn")
        return self._end(ended)

    async def close(self) -> Ended:
        """See `AgentSession.close`; a run that has ended is gone with all below it."""
        self._closed = True
        if self._running is not None and not self._running.done():
            self._running.cancel()
            await asyncio.wait((self._running,), timeout=UNWIND)
        return Ended(0, None, timed_out=False, seconds=self._seconds, cpu_seconds=self._cpu)

    async def _run(self, text: str) -> Ended:
        task = self._task
        prompt_file = task.logs / f"prompt-{self._turn}.md"
        prompt_file.write_text(text, encoding="utf-8", errors="replace")
        answer = answer_path(task.workspace, task.role)
        make_room(task.workspace, task.role)
        env = self._env | task_env(task)
        env |= {"OYA_OUTPUT": str(answer), "OYA_PROMPT_FILE": str(prompt_file)}
        ended = await self._processes.run(
            Command(
                self._command,
                cwd=task.workspace,
                env=env,
                stdin=text.encode("utf-8", "replace"),
                output=self._vital.log,
                timeout=LAST_RESORT,
                readable=(prompt_file, *files_among(self._command)),
                nice=BACKGROUND,
            )
        )
        self._seconds += ended.seconds
        self._cpu += ended.cpu_seconds
        return ended

    def _end(self, ended: Ended) -> TurnEnd:
        if ended.signal is not None:
            what = f"the program died of signal {ended.signal}"
            return self._failed(FailureClass.AGENT_CRASH, what)
        said = tail(self._vital.log, EVIDENCE)
        failure = by_chat(said.rpartition("\n")[2]) if ended.ok else by_text(said)
        if failure is not None:
            return self._failed(failure, said)
        how = "" if ended.ok else f"exit {ended.exit}"
        return TurnEnd("end_turn", tail(self._vital.log, TAIL), reason=how)

    def _failed(self, failure: FailureClass, why: str) -> TurnEnd:
        told = resets_in(failure, why, self._clock.now())
        return TurnEnd("error", tail(self._vital.log, TAIL), failure, why, resets_in=told)
