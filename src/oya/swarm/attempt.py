"""One agent's try at one phase of one bead: a workspace, a session, and what is kept of both.

Whatever happens in between, the head of the workspace, uncommitted files included, is
under `refs/oya/attempts/<bead>/<epoch>` before the folder goes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import structlog

from oya.agents.answers import AnswerWrong, RoleAnswer, answer_path, parse_answer
from oya.agents.classify import BackendRefused
from oya.agents.port import AgentSession, Task
from oya.agents.prompts import Briefing
from oya.crashpoints import point
from oya.errors import (
    BackendError,
    GitError,
    NoSlot,
    OyaError,
    PrepareFailed,
    RefusedError,
    StoreError,
)
from oya.lifecycle.events import AttemptFailed, Event
from oya.lifecycle.failures import RULES, FailureClass
from oya.lifecycle.model import BeadState, Phase
from oya.lifecycle.swarm import counted
from oya.repository.port import Head, Workspace
from oya.room import is_full, took_it
from oya.store.engine import Write
from oya.swarm.asking import GateDesk, left_out
from oya.swarm.assembly import Parts
from oya.swarm.briefing import brief
from oya.swarm.messages import Claim

log = structlog.get_logger()
A = TypeVar("A", bound=RoleAnswer)

BEATS = 4
"""Signs of life to the orchestrator in the term of a lease."""
AGAIN = 1.0
"""Seconds until a result is offered again to a store that took nothing."""
OUTAGE = 60.0
"""Seconds for which a result waits for such a store."""


LAST_WORDS = 200
"""Characters of what an agent said before it left without work."""


class AttemptOver(Exception):
    """The attempt ends here without a result; the class decides what follows. `resets_at` is
    when the provider's limit is over, in monotonic seconds; None: not known, or there is none."""

    def __init__(
        self,
        failure: FailureClass,
        reason: str,
        findings: Sequence[str] = (),
        *,
        resets_at: float | None = None,
    ) -> None:
        super().__init__(reason)
        self.failure = failure
        self.reason = reason
        self.findings = tuple(findings)
        self.resets_at = resets_at


@dataclass(frozen=True, slots=True)
class Result:
    """What an attempt came to: one event, and the writes that belong in the same commit."""

    event: Event
    also: tuple[Write, ...] = ()
    data: dict[str, Any] = field(default_factory=dict)


def discovered(*answers: RoleAnswer | None) -> dict[str, Any]:
    """Other work that an agent noticed, as it stands in the event; nobody works on it."""
    found: list[dict[str, Any]] = []
    for item in (item for answer in answers if answer for item in answer.discovered):
        said = item.model_dump()
        found += [said] if said not in found else []
    return {"discovered": found} if found else {}


def starting_point(state: BeadState, base: str) -> tuple[str, tuple[str, ...]]:
    """The commit an attempt starts from, and what is merged into it (docs/pipeline.md, Places)."""
    if state.snapshot is not None:
        return state.snapshot, ((base,) if on_new_base(state) else ())
    contract, implementation = state.contract, state.implementation
    if state.phase is Phase.CONTRACT and not state.checking:
        return base, ((contract,) if contract else ())
    if state.phase is Phase.REVIEW:
        return _known(implementation), ()
    if state.phase is Phase.IMPLEMENTATION and state.rework:
        return base, tuple(commit for commit in (contract, implementation) if commit)
    if state.phase is Phase.IMPLEMENTATION and implementation:
        return _known(contract), (implementation,)
    return _known(contract), ()


def on_new_base(state: BeadState) -> bool:
    """Whether an attempt's work is judged against the base of its claim, not of an earlier one."""
    return state.rework or (state.phase is Phase.CONTRACT and not state.checking)


def _known(commit: str | None) -> str:
    assert commit is not None, "the table lets nobody claim a phase before the work it builds on"
    return commit


class Attempt:
    """The attempt of `claim`; used as an async context manager.

    Inside, `prompt` runs one turn, `head` commits what is there, `answer` reads the answer;
    each raises `AttemptOver` where the attempt cannot go on.
    """

    def __init__(self, parts: Parts, claim: Claim) -> None:
        self.parts = parts
        self.claim = claim
        self.state = claim.state
        self.role = parts.role_of(claim)
        self._session: AgentSession | None = None
        self._turn: AgentSession | None = None
        self._workspace: Workspace | None = None
        self._desk: GateDesk | None = None
        self._head: Head | None = None
        self._turn_seconds = 0.0
        self._said = ""
        self.fixes = 0
        self._began = 0.0

    @property
    def workspace(self) -> Workspace:
        """The folder of this attempt."""
        assert self._workspace is not None
        return self._workspace

    @property
    def active(self) -> float:
        """When the backend last did something; now, while no turn of it is open."""
        return self._turn.last_activity if self._turn else self.parts.clock.monotonic()

    @property
    def base(self) -> str:
        """The base that this attempt's work is judged against."""
        new = on_new_base(self.state) or self.state.base is None
        return self.claim.base if new else str(self.state.base)

    async def __aenter__(self) -> Attempt:
        start, merge = starting_point(self.state, self.claim.base)
        try:
            self._workspace = await self._create(start, merge)
        except GitError:
            # A bead may be opened again when the time to keep what it came to is over.
            there = [commit for commit in merge if await self.parts.repo.resolve(commit)]
            if len(there) == len(merge):
                raise
            self._workspace = await self._create(start, there)
        self._began = self.parts.clock.now().timestamp()
        return self

    def filled_the_disk(self, short: str | None) -> bool:
        """Whether what was written in its folder is what the disk lacks, or has lacked until now
        (`short`); of a folder that could not be made, whether there is room without it."""
        if self._workspace is None:
            return short is None and self.state.snapshot is not None
        return took_it(self._workspace.path, self._began)

    async def _create(self, start: str, merge: Sequence[str]) -> Workspace:
        return await self.parts.workspaces.create(
            self.claim.bead, self.claim.epoch, start=start, merge=merge
        )

    async def __aexit__(self, *_: object) -> None:
        await self.close_session()

    async def close_session(self) -> None:
        """End the backend and all below it."""
        session, self._session = self._session, None
        if session is not None:
            ended = await session.close()
            self.parts.meter.add("agents", ended.seconds, ended.cpu_seconds)

    async def briefing(self) -> Briefing:
        """What the prompts say about this bead."""
        return await brief(self.parts, self.claim, self.workspace, self.base)

    async def prompt(self, text: str) -> None:
        """One turn. Raises `AttemptOver` with the class of whatever ended it badly."""
        session = self._session or await self._open()
        execution = self.parts.settings.execution
        allowed = self.parts.attempt_timeout(self.role) - self._turn_seconds
        self.parts.answers.make_room(self.workspace.path, self.role)
        began, stood = self.parts.clock.monotonic(), self._stood()
        self._turn = session
        try:
            async with self._gates_on_request():
                end = await session.prompt(
                    text,
                    stall=execution.stall_timeout,
                    deadline=max(allowed, 0.0),
                    stood=lambda: self._stood() - stood,
                )
        finally:
            self._turn = None
        stood = self._stood() - stood
        self._turn_seconds += self.parts.clock.monotonic() - began - stood
        self.parts.meter.usage(self.claim.backend, end.usage)
        last = end.text.rstrip().rpartition("\n")[2]
        self._said = " ".join(f"{end.reason} {last}".split())
        if end.failure is not None:
            raise AttemptOver(end.failure, end.reason, resets_at=self._moment(end.resets_in))

    @property
    def last_words(self) -> str:
        """How the last turn ended and what it said at last, to follow on why it was nothing."""
        return f"; at last it said: {self._said[:LAST_WORDS]}" if self._said else ""

    def _stood(self) -> float:
        return self._desk.stood() if self._desk else 0.0

    def _gates_on_request(self) -> AbstractAsyncContextManager[None]:
        """Nobody but this reads the workspace meanwhile; it is over before anybody else does."""
        if self._desk is None and self.parts.requests is not None:
            self._desk = GateDesk(self.parts, self.parts.requests, self.workspace)
        return self._desk.serving() if self._desk else nullcontext()

    async def fix(self, findings: Sequence[str], failure: FailureClass) -> None:
        """Say what is wrong in the same session, and what was left out of what was judged; over
        `fix_rounds` the attempt has failed."""
        findings = (*findings, *left_out(self._head))
        if self.fixes >= self.parts.settings.execution.fix_rounds:
            raise AttemptOver(failure, findings[0].splitlines()[0][:300], findings)
        self.fixes += 1
        await self.parts.note(
            "findings", self.claim, reason=findings[0].splitlines()[0][:300], round=self.fixes
        )
        await self.prompt(self.parts.prompts.again(self.role, findings))

    async def head(self, *, last: bool = False) -> Head:
        """Commit everything that is in the workspace, and hold it by the attempt's ref. `last`:
        nobody works there any more."""
        message = f"{self.role} on {self.claim.bead}, attempt {self.claim.attempt}"
        self._head = await self.parts.workspaces.commit(self.workspace, message, last=last)
        return self._head

    def answer(self, model: type[A]) -> A | None:
        """The answer file, or None where there is none; `AnswerWrong` when it does not fit."""
        data = self.parts.answers.read(self.workspace.path, self.role)
        return None if data is None else parse_answer(data, self.role, model)

    async def full_answer(self, model: type[A]) -> A:
        """The answer; a wrong one goes back as a finding, none at all is `agent_empty`."""
        while True:
            try:
                answer = self.answer(model)
            except AnswerWrong as wrong:
                await self.fix([str(wrong)], FailureClass.AGENT_EMPTY)
                continue
            if answer is None:
                where = answer_path(self.workspace.path, self.role).name
                why = f"ended its turn without an answer (.oya/out/{where})"
                raise AttemptOver(FailureClass.AGENT_EMPTY, f"{why}{self.last_words}")
            return answer

    async def _open(self) -> AgentSession:
        claim = self.claim
        task = Task(
            bead=claim.bead,
            role=self.role,
            attempt=claim.attempt,
            epoch=claim.epoch,
            workspace=self.workspace.path,
            logs=self.parts.attempt_logs(claim),
        )
        try:
            self._session = await self.parts.backends[claim.backend].open(task)
        except BackendRefused as refused:
            moment = self._moment(refused.resets_in)
            raise AttemptOver(refused.failure, str(refused), resets_at=moment) from refused
        except BackendError as error:
            raise AttemptOver(FailureClass.AGENT_CRASH, str(error)) from error
        point("attempt.opened")
        return self._session

    def _moment(self, seconds: float | None) -> float | None:
        return None if seconds is None else self.parts.clock.monotonic() + seconds


Working = Callable[[Attempt], Awaitable[Result]]
Beat = Callable[[Callable[[], float]], Awaitable[None]]
Ending = tuple[FailureClass | None, str, float | None]
"""The class of a failure (None: a result), why, and when the provider's limit is over."""


async def run_attempt(parts: Parts, claim: Claim, work: Working, beat: Beat) -> Ending:
    """Run one attempt to its recorded end, and say which it was.

    The result, or the failure with its snapshot, is in the store when this returns; the
    workspace is gone. Cancelled, it does the same with class `cancelled` before it goes.
    `beat(active)` is called now and then while the attempt lives, gates and waiting included,
    so that its lease is renewed; `active()` is when the backend was last active.
    """
    attempt = Attempt(parts, claim)
    task = asyncio.ensure_future(_tried(attempt, work))
    try:
        while not task.done():
            await beat(lambda: attempt.active)
            await asyncio.wait((task,), timeout=parts.settings.execution.lease / BEATS)
    except asyncio.CancelledError:
        task.cancel()
        try:
            await asyncio.wait((task,), timeout=parts.settings.execution.grace)
        finally:
            task.cancel()  # told twice to go, or too slow: what it closes ends at once then
        over = AttemptOver(FailureClass.CANCELLED, "cancelled")
        await _settle(attempt, over if _unfinished(task) else task.result(), beat)
        raise
    return await _settle(attempt, task.result(), beat)


def _unfinished(task: asyncio.Task[Result | AttemptOver]) -> bool:
    return not task.done() or task.cancelled()


async def _tried(attempt: Attempt, work: Working) -> Result | AttemptOver:
    try:
        if short := attempt.parts.shortage():
            return AttemptOver(FailureClass.HOST_PRESSURE, short)
        async with attempt:
            return await _worked(attempt, work)
    except AttemptOver as over:
        return await _pressed(attempt, over) if RULES[over.failure].counts else over
    except StoreError as outage:  # nobody's fault, and no attempt used
        return AttemptOver(FailureClass.CANCELLED, str(outage))
    except NoSlot as busy:
        return AttemptOver(FailureClass.HOST_PRESSURE, str(busy))
    except Exception as error:
        if is_full(error):
            return await _pressed(attempt, AttemptOver(FailureClass.HOST_PRESSURE, str(error)))
        log.exception("attempt failed", bead=attempt.claim.bead, epoch=attempt.claim.epoch)
        return AttemptOver(FailureClass.INTERNAL, f"{type(error).__name__}: {error}")


async def _worked(attempt: Attempt, work: Working) -> Result:
    """A command that could not run, since its tree could not be prepared, ends the attempt: by
    its own failure, unless not even the newest base can be prepared now."""
    try:
        return await work(attempt)
    except PrepareFailed as failed:
        parts, base = attempt.parts, attempt.claim.base
        try:
            await parts.check(base, "true")
        except PrepareFailed as too:
            why = f"the base {base[:9]} cannot be prepared: {too.told.splitlines()[0]}"
            raise AttemptOver(FailureClass.BASE_RED, why) from too
        why = f"the work cannot be prepared: {failed.told}"
        raise AttemptOver(FailureClass.GATE_RED, why.splitlines()[0], (why,)) from failed


async def _pressed(attempt: Attempt, over: AttemptOver) -> AttemptOver:
    """What ends while the machine is short of room, or of an agent that found none a moment ago,
    is nobody's failure; work that has filled the disk itself is refused, so that the next attempt
    does not begin with it."""
    short = attempt.parts.shortage()
    met = over.failure is FailureClass.AGENT_CRASH and is_full(over)
    if short is None and not met and over.failure is not FailureClass.HOST_PRESSURE:
        return over
    if await asyncio.to_thread(attempt.filled_the_disk, short):
        why = f"filled the disk: {short or over.reason}"
        return AttemptOver(FailureClass.GATE_RED, why, (why,))
    return AttemptOver(FailureClass.HOST_PRESSURE, short or over.reason)


async def _settle(attempt: Attempt, outcome: Result | AttemptOver, beat: Beat) -> Ending:
    """Record the end. The snapshot of a failure comes before its event, the folder goes last."""
    failure, reason, resets_at = None, "", None
    if isinstance(outcome, AttemptOver):
        failure, reason, resets_at = outcome.failure, outcome.reason, outcome.resets_at
        outcome = await _failed(attempt, outcome)
    parts, until = attempt.parts, attempt.parts.clock.monotonic() + OUTAGE
    point("attempt.ending")
    while True:
        try:
            await _record(attempt, outcome, failure)
            break
        except StoreError as outage:
            log.warning("result waits", bead=attempt.claim.bead, why=str(outage))
        if parts.clock.monotonic() >= until:
            break  # the orchestrator finds a bead in progress that nobody works on
        await beat(parts.clock.monotonic)
        await parts.clock.sleep(AGAIN)
    point("attempt.ended")
    await _put_away(attempt)
    return failure, reason, resets_at


async def _record(attempt: Attempt, outcome: Result, failure: FailureClass | None) -> None:
    parts, claim = attempt.parts, attempt.claim
    try:
        await parts.apply(
            claim.bead,
            outcome.event,
            agent=claim.agent,
            also=outcome.also,
            data=outcome.data,
            # In the commit of the event, so that a death in between cannot make the two differ.
            on_swarm=partial(counted, failure) if failure else None,
        )
    except RefusedError as refused:
        # The bead has moved on (held, edited, lease lost): the work is kept, the result is not.
        log.info("result refused", bead=claim.bead, epoch=claim.epoch, why=str(refused))
        head = getattr(outcome.event, "commit", None) or outcome.data.get("head")
        await parts.note("result_refused", claim, reason=str(refused), head=head)


async def _failed(attempt: Attempt, over: AttemptOver) -> Result:
    snapshot, data = None, dict[str, Any]()
    if attempt._workspace is not None and (head := await _kept(attempt)):
        snapshot = None if head.commit == attempt.workspace.start else head.commit
        data = {"head": head.commit}
        data |= {"left_out": list(head.left_out)} if head.left_out else {}
    event = AttemptFailed(attempt.claim.epoch, over.failure, over.reason, over.findings, snapshot)
    return Result(event, data=data)


async def _put_away(attempt: Attempt) -> None:
    """The folder goes; what lies in it is under the attempt's ref by then, a reviewer's and a
    planner's files too. One that cannot be read stays: it may be for a full disk, which has
    room again when the swarm ends or oya starts anew, and what is left is harvested."""
    if attempt._workspace is None:
        return
    try:
        if await _kept(attempt) is not None:
            await attempt.parts.workspaces.remove(attempt.workspace)
    except (OyaError, OSError) as error:
        log.error("workspace left", bead=attempt.claim.bead, error=str(error))


async def _kept(attempt: Attempt) -> Head | None:
    """The attempt's head with everything that lies there; None where that cannot be read."""
    try:
        return await attempt.head(last=True)
    except (OyaError, OSError) as error:
        log.warning("no snapshot", bead=attempt.claim.bead, why=str(error))
        return None
