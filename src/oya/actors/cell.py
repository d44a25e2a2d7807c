"""The life behind a ref: one incarnation after the other, one mailbox for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from oya.actors.actor import Actor
from oya.actors.events import (
    ActorFailed,
    ActorStarted,
    ActorTerminated,
    IntensityExceeded,
    Reason,
    SupervisionEvent,
)
from oya.actors.mailbox import NOTHING, Mailbox
from oya.actors.ref import ActorRef
from oya.actors.reply import Question, unwrapped
from oya.actors.restart import CrashRecord, Policy, Restart
from oya.actors.scope import Scope
from oya.clock import Clock
from oya.errors import ActorDead, ActorError, MailboxFull

if TYPE_CHECKING:
    from oya.actors.supervisor import Supervisor

M = TypeVar("M")
T = TypeVar("T")

_IN_A_ROW: Final = 256
"""Messages handled before others get a turn, so that nobody starves the loop."""

_inside: ContextVar[Cell[Any] | None] = ContextVar("oya_actor", default=None)


@dataclass(frozen=True, slots=True)
class Terms:
    """What was agreed at spawn."""

    policy: Policy
    restart: Restart
    escalate: bool


class Notice:
    """A supervision event on its way to a watcher."""

    __slots__ = ("event",)

    def __init__(self, event: SupervisionEvent) -> None:
        self.event = event


class Cell(Generic[M]):
    """Runs as one task from spawn to the end; `tell` only ever touches its mailbox."""

    def __init__(
        self,
        factory: Callable[[], Actor[M]],
        *,
        name: str,
        clock: Clock,
        terms: Terms,
        supervisor: Supervisor,
    ) -> None:
        self.name = name
        self.clock = clock
        self.terms = terms
        self.started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.ended = asyncio.Event()
        self.ending = False
        self._factory = factory
        self._supervisor = supervisor
        self._start_error: BaseException = ActorDead(f"{name} ended before it had started")
        self._crashes = CrashRecord(terms.restart, clock)
        self._next: Actor[M] | None = factory()
        self.mailbox = Mailbox(name, self._next.mailbox_size, self._next.reserved)
        self.ref: ActorRef[M] = ActorRef(self)
        self._task: asyncio.Task[None] | None = None
        self._scope: Scope | None = None
        self._stack: AsyncExitStack | None = None
        self._owned: list[Supervisor] = []
        self._in_hand: Any = None
        self._open_questions: dict[asyncio.Future[Any], Any] = {}
        self._monitors: dict[Cell[Any], None] = {}
        self._resting = False
        self._reason: Reason = "stopped"
        self._dropped = 0

    # Life, as the supervisor's task

    def run_as(self, start: Callable[..., asyncio.Task[None]]) -> None:
        """Become a task; whatever happens to it, even before its first step, the end is told."""
        self._task = start(self._run(), name=self.name)
        self._task.add_done_callback(self._finish)

    async def _run(self) -> None:
        _inside.set(self)
        while (failure := await self._incarnation()) is not None:
            if not await self._starts_anew(failure):
                return

    async def _incarnation(self) -> BaseException | None:
        """Live once. Returns why it has to be judged; None if it ended as it was told."""
        assert self._task is not None
        try:
            await self._live()
        except asyncio.CancelledError as error:
            if self._task.cancelling():
                raise
            lost = ActorError(f"{self.name} awaited something that was cancelled")
            lost.__cause__ = error
            return lost
        except Exception as error:  # whatever the actor raises is a crash, to be judged
            return error
        if self.mailbox.closed or self.terms.policy != "permanent":
            return None
        return ActorError(f"{self.name} ended by itself, and is permanent")

    async def _live(self) -> None:
        self._in_hand, self.ending = None, self.mailbox.closed
        try:
            async with Scope(self.name, ignore=self._met_own_end) as self._scope:
                actor = self._embody()
                async with AsyncExitStack() as self._stack:
                    await actor.pre_start()
                    self._emit(ActorStarted(self.ref))
                    if not self.started.done():
                        self.started.set_result(None)
                    await self._serve(actor)
                self._scope.cancel()
            if not self._killed:
                await actor.post_stop()
        finally:
            self._scope = self._stack = None
            self._owned.clear()

    def _embody(self) -> Actor[M]:
        actor, self._next = self._next or self._factory(), None
        if actor._cell is not None:
            raise ActorError(f"the factory of {self.name} gave an actor that has already lived")
        actor.ref, actor.clock, actor.name, actor._cell = self.ref, self.clock, self.name, self
        return actor

    async def _serve(self, actor: Actor[M]) -> None:
        mailbox, handle, open_questions = self.mailbox, actor.handle, self._open_questions
        turns = 0
        while not self.ending:
            item = mailbox.take()
            if item is NOTHING:
                if self._interrupted:
                    return
                await mailbox.arrival()
                turns = 0
                continue
            message, question = item, None
            if type(item) is Question:
                message, question = item.message, item.future
                if question.done():
                    continue
                open_questions[question] = message
            elif type(item) is Notice:
                message = item.event
            self._in_hand = message
            try:
                if type(item) is Notice:
                    await actor.handle_supervisor_event(message)
                else:
                    await handle(message)
            except ActorDead as error:
                if not self._met_own_end(error):
                    raise
            self._in_hand = None
            if question is not None:
                self._settle(question)
            turns += 1
            if turns == _IN_A_ROW:
                turns = 0
                await asyncio.sleep(0)

    def _settle(self, question: asyncio.Future[Any]) -> None:
        if question.done():
            self._open_questions.pop(question, None)
        else:
            question.add_done_callback(self._forget_question)

    def _met_own_end(self, error: BaseException) -> bool:
        """Told itself, or a parent that stops too, while it was stopping: no crash."""
        return self.ending and isinstance(error, ActorDead)

    @property
    def _interrupted(self) -> bool:
        """A cancel came that a handler has swallowed."""
        assert self._task is not None
        return self._task.cancelling() > 0 or (self._scope is not None and self._scope.failed)

    @property
    def _killed(self) -> bool:
        assert self._task is not None
        return self._reason == "killed" or self._task.cancelling() > 0

    # Failure

    async def _starts_anew(self, error: BaseException) -> bool:
        message = self._in_hand
        self._fail_questions(f"{self.name} crashed; this question will not be answered")
        delay, exceeded = self._judge()
        self._emit(ActorFailed(self.ref, error, delay is not None, message, delay or 0.0))
        if delay is not None:
            await self._rest(delay)
            return True
        if self._reason != "killed":
            self._reason = "failed"
        if not self.started.done():
            self._start_error = error
        elif exceeded:
            self._emit(IntensityExceeded(self.ref, error))
            if self.terms.escalate:
                rule = self.terms.restart
                error.add_note(
                    f"{self.name} crashed more than {rule.intensity} times in {rule.period:g} s"
                )
                raise error
        return False

    def _judge(self) -> tuple[float | None, bool]:
        """The delay before the restart, if there is one; and whether the intensity is exceeded."""
        if self._over or not self.started.done() or self.terms.policy == "temporary":
            return None, False
        delay = self._crashes.crashed()
        return delay, delay is None

    @property
    def _over(self) -> bool:
        return self.mailbox.closed or self._killed or self._supervisor.stopping

    async def _rest(self, delay: float) -> None:
        self._resting, before = True, self.clock.monotonic()
        try:
            await self.clock.sleep(delay)
        finally:
            self._resting = False
            self._crashes.rested(self.clock.monotonic() - before)

    def _finish(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() and not self.mailbox.closed:
            self._reason = "killed"
        self._close_mailbox()
        self._fail_questions(f"{self.name} has ended; this question will not be answered")
        self._supervisor.forget(self)
        self._emit(ActorTerminated(self.ref, self._reason, self._dropped))
        self._monitors.clear()
        self.ended.set()
        if not self.started.done():
            self.started.set_exception(self._start_error)

    # What others ask of it

    def is_own_task(self) -> bool:
        """The caller is the handler itself, so that nothing is handled while it waits."""
        return asyncio.current_task() is self._task

    def is_inside(self) -> bool:
        """The caller is the handler, or a task that it or one of its tasks has started."""
        return _inside.get() is self

    def end_by_itself(self) -> None:
        if self.terms.policy == "permanent":
            self.ending = True
            self.mailbox.nudge()
        else:
            self.request_stop()

    def request_stop(self) -> None:
        self.ending = True
        for supervisor in self._owned:
            supervisor.retire()
        self._close_mailbox()
        if self._resting and self._task is not None:
            self._task.cancel()

    def request_kill(self) -> None:
        if self._task is None or self._task.done():
            return
        self._reason = "killed"
        self.request_stop()
        self._task.cancel()
        for supervisor in self._owned:
            supervisor.kill_children()

    async def ended_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self.ended.wait()
        except TimeoutError:
            return False
        return True

    def monitor(self, watcher: Cell[Any]) -> None:
        if self.ended.is_set():
            watcher.notify(ActorTerminated(self.ref, self._reason, self._dropped))
        else:
            self._monitors[watcher] = None

    def notify(self, event: SupervisionEvent) -> None:
        """Hear of another actor. One that lets a thousand events pile up crashes."""
        if self.mailbox.closed or self.mailbox.post(Notice(event)):
            return
        error = MailboxFull(f"{self.name} does not handle its events", message=event)
        if self._scope is None:
            asyncio.get_running_loop().call_exception_handler(
                {"message": f"{self.name} lost {event}", "exception": error}
            )
        elif not self._scope.failed:
            self._scope.fail(error)

    # What its actor asks of it

    def start(self, coro: Coroutine[Any, Any, T], name: str) -> asyncio.Task[T]:
        if self._scope is None:
            coro.close()
            raise ActorError(f"{name} was not started: {self.name} is not running")
        return self._scope.start(coro, name=name)

    async def supervise(self, restart: Restart, name: str, deadline: float | None) -> Supervisor:
        # Supervisors are made of cells, and a cell may own supervisors.
        from oya.actors.supervisor import STOP_DEADLINE, Supervisor

        if self._stack is None or not self.is_own_task():
            raise ActorError(f"{name} was not started: only pre_start and handlers can do so")
        supervisor = Supervisor(
            clock=self.clock,
            restart=restart,
            name=name,
            on_event=self.notify,
            deadline=STOP_DEADLINE if deadline is None else deadline,
        )
        self._owned.append(supervisor)
        return await self._stack.enter_async_context(supervisor)

    # Bookkeeping

    def _emit(self, event: SupervisionEvent) -> None:
        self._supervisor.report(event)
        for watcher in list(self._monitors):
            watcher.notify(event)

    def _close_mailbox(self) -> None:
        if self.mailbox.closed:
            return
        dropped = self.mailbox.close()
        self._dropped = sum(type(item) is not Notice for item in dropped)
        for item in dropped:
            if type(item) is Question and not item.future.done():
                item.future.set_exception(self.mailbox.dead(unwrapped(item)))

    def _fail_questions(self, why: str) -> None:
        for future, message in list(self._open_questions.items()):
            if not future.done():
                future.set_exception(ActorDead(why, message=message))
        self._open_questions.clear()

    def _forget_question(self, future: asyncio.Future[Any]) -> None:
        self._open_questions.pop(future, None)
