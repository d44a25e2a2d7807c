"""What is proven lands: the line moves, and what has landed is recorded.

The order of steps is the promise: evidence noted, intent durable, line moved, landed recorded,
checkout follows, tracker told. Whatever ends it in between, `resume.finish_landings` picks it
up: at the next round, or in the next daemon.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import structlog

from oya.crashpoints import point
from oya.errors import PushUnsure, RemoteError
from oya.swarm.assembly import Parts
from oya.swarm.candidate import Candidate, beads_of, candidate_ref, evidence_note, intent_of
from oya.swarm.conflicts import learn, learn_of
from oya.swarm.line import Line
from oya.swarm.messages import OrchestratorMessage, Wake
from oya.swarm.resume import finish_landings, record_landed
from oya.swarm.tracking import Tracking

log = structlog.get_logger()

PLACE = ("remote", "branch")
"""Where an intent is pushed to, by its names."""
PUSH_FIRST = 2.0
PUSH_LIMIT = 60.0
"""Seconds between two pushes to a remote that took the last one not: twice as many each time."""


class Moving:
    """The landings of one line, one after the other. `refs` is held by whoever reads the line to
    move it, or something after it; `tell` reaches the orchestrator.

    A landing that was pushed, and is not known to have arrived, is open: nothing else may land
    until it has, or cannot any more.
    """

    def __init__(
        self,
        parts: Parts,
        line: Line,
        tracking: Tracking,
        *,
        refs: asyncio.Lock,
        tell: Callable[[OrchestratorMessage], None],
    ) -> None:
        self._parts = parts
        self._line = line
        self._tracking = tracking
        self._refs = refs
        self._tell = tell
        self._open: tuple[str, dict[str, Any]] | None = None
        self._refusals = 0
        self._push_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether something was pushed, and is not known to have arrived."""
        return self._open is not None

    @property
    def waits(self) -> bool:
        """Whether the remote is not to be asked to take anything now."""
        if self._line.unreachable:
            return True
        return bool(self._line.refused) and self._parts.clock.monotonic() < self._push_at

    async def take_up(self, why: str) -> None:
        """What was left in the middle is finished; `why` is told to what has not landed by it."""
        waiting = await finish_landings(self._parts, why)
        self._open = waiting[0] if waiting else None
        self._line.owed = await self._owed()
        await learn(self._parts)

    async def _owed(self) -> str:
        """What to do, for a person, where what is open was pushed to another remote or branch."""
        remote, branch = (self._open[1][name] for name in PLACE) if self._open else ("", "")
        if not self._open or (remote, branch) == (self._line.remote, self._line.branch):
            return ""
        said = f"a push to {remote}/{branch} may still arrive, and is looked for first"
        try:
            await self._parts.repo.remote_tip(remote, branch)
        except RemoteError as error:
            return "; ".join(filter(None, (said, str(error), error.hint)))
        return f'{said}; while that is as it was: [landing] remote = "{remote}" pushes it again'

    async def land(self, landing: Sequence[tuple[str, Candidate]]) -> bool:
        """Land these beads, each on the one before, the first on the line's base: True once that
        is recorded, and `follow` is next. Only with `refs` held, and nothing open.

        False: nothing has moved. `PushUnsure`: nobody knows, so that it is open.
        """
        for _, made in landing:
            await self._parts.repo.add_note(made.commit, evidence_note(made))
        point("landing.noted")
        key, top = landing[0][0], landing[-1][1].commit
        intent = intent_of(landing, top, self._parts.swarm, self._line)
        await self._parts.store.intents.put(key, intent)
        point("landing.intended")
        try:
            return await self._advance(key, intent)
        except PushUnsure:
            self._open = key, intent
            self.put_off()
            raise

    async def follow(self, beads: Sequence[str]) -> None:
        """These have landed: the line alone holds them from now on, and the checkout follows."""
        self._refusals = 0
        for bead in beads:
            await self._parts.repo.delete_ref(candidate_ref(bead))
        point("landing.ref_gone")
        await self._line.follow()
        point("landing.followed")
        await learn_of(self._parts, beads)

    async def push_again(self) -> bool:
        """What is open, if its time has come: has it arrived by now, or is it pushed once more?
        False if it has not moved and never will, so that nothing is open any more."""
        if self._open is None or self._parts.clock.monotonic() < self._push_at:
            return True
        await self.take_up("it was pushed, and the remote has gone on without it")
        if self._open is None:
            self._refusals = 0
            await self._tracking.landed()
            return True
        self.put_off()
        return await self._push_once_more(*self._open)

    async def surely(self, work: Coroutine[Any, Any, Any]) -> None:
        """Refs move in a moment, and a stop waits for that. A remote may let us wait for
        minutes: a stop leaves it, and the durable intent says what is open."""
        await (work if self._line.remote else finish(work))

    def put_off(self) -> None:
        """The remote takes nothing: it is left alone for a while."""
        seconds = min(PUSH_FIRST * 2**self._refusals, PUSH_LIMIT)
        self._refusals = min(self._refusals + 1, 10)
        self._push_at = self._parts.clock.monotonic() + seconds

    async def _push_once_more(self, key: str, intent: dict[str, Any]) -> bool:
        async with self._refs:
            await self._line.refresh(now=True)
            ours = (intent["remote"], intent["branch"]) == (self._line.remote, self._line.branch)
            if not ours or self._line.rewritten or self._line.base != intent["parent"]:
                return True  # looked at again, and dropped where it cannot land any more
            if self._line.unreachable:
                return True
            try:
                if not await self._advance(key, intent):
                    return False
            except PushUnsure:
                return True
            await self.follow(beads_of((intent,)))
        await self._tracking.landed()
        self._tell(Wake())
        return True

    async def _advance(self, key: str, intent: dict[str, Any]) -> bool:
        """The line moves to what is intended, and that is recorded; or it is intended no more."""
        moved = await self._line.advance(intent["candidate"])
        self._open, self._line.owed = None, ""
        if moved:
            point("landing.line_moved")
            await record_landed(self._parts, key, intent)
            point("landing.landed")
            return True
        if self._line.refused:
            self.put_off()
        await self._parts.store.intents.delete(key)
        return False


async def finish(work: Coroutine[Any, Any, Any]) -> None:
    """Run `work` to its end even if the caller is cancelled meanwhile, then be cancelled."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait((task,))
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("landing ended while it was stopped", error=str(error))
        raise
