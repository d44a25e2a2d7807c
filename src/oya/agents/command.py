"""Backends that are a plain command: run once a turn, prompt on stdin, answer in a file."""

from __future__ import annotations

import asyncio

from oya.agents.acp import task_env
from oya.agents.answers import answer_path
from oya.agents.classify import by_text
from oya.agents.port import AgentSession, Task, TurnEnd
from oya.agents.watch import Stuck, Vital, watched
from oya.clock import Clock
from oya.errors import BackendError, ProcessError
from oya.lifecycle.failures import FailureClass
from oya.processes.port import Command, Ended, Processes

TAIL = 4000


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
        self._seconds = self._cpu = 0.0
        self._log = task.logs / "output.log"
        self._vital = Vital(clock, task.workspace, self._signs)

    @property
    def last_activity(self) -> float:
        return self._vital.last

    async def prompt(self, text: str, *, stall: float, deadline: float) -> TurnEnd:
        """See `AgentSession.prompt`. The exit code is not judged."""
        self._turn += 1
        self._log = self._task.logs / f"output-{self._turn}.log"
        # Neither output nor CPU arrive by themselves here; both are looked for.
        self._vital.counts_cpu = True
        try:
            ended = await watched(
                self._run(text, deadline), self._vital, self._clock, stall=stall, deadline=deadline
            )
        except Stuck as stuck:
            return TurnEnd("error", self._tail(), FailureClass.AGENT_STUCK, str(stuck))
        except ProcessError as error:
            raise BackendError(f"{self._name} could not be started: {error}") from error
        return self._end(ended)

    async def close(self) -> Ended:
        """See `AgentSession.close`; each run has ended already, with all below it."""
        await asyncio.sleep(0)
        return Ended(0, None, timed_out=False, seconds=self._seconds, cpu_seconds=self._cpu)

    async def _run(self, text: str, deadline: float) -> Ended:
        task = self._task
        prompt_file = task.logs / f"prompt-{self._turn}.md"
        prompt_file.write_text(text, encoding="utf-8", errors="replace")
        answer = answer_path(task.workspace, task.role)
        answer.parent.mkdir(parents=True, exist_ok=True)
        env = self._env | task_env(task)
        env |= {"OYA_OUTPUT": str(answer), "OYA_PROMPT_FILE": str(prompt_file)}
        ended = await self._processes.run(
            Command(
                self._command,
                cwd=task.workspace,
                env=env,
                stdin=text.encode("utf-8", "replace"),
                output=self._log,
                timeout=deadline + 60.0,
            )
        )
        self._seconds += ended.seconds
        self._cpu += ended.cpu_seconds
        return ended

    def _end(self, ended: Ended) -> TurnEnd:
        tail = self._tail()
        if ended.signal is not None:
            reason = f"the program died of signal {ended.signal}"
            return TurnEnd("error", tail, FailureClass.AGENT_CRASH, reason)
        if not ended.ok:
            failure = by_text(tail)
            if failure is not None:
                return TurnEnd("error", tail, failure, tail.strip()[-500:])
        return TurnEnd("end_turn", tail)

    def _tail(self) -> str:
        try:
            data = self._log.read_bytes()[-TAIL:]
        except OSError:
            return ""
        return data.decode("utf-8", "replace")

    def _signs(self) -> float:
        """The size of the output stands for the CPU here: it only has to grow."""
        try:
            return float(self._log.stat().st_size)
        except OSError:
            return 0.0
