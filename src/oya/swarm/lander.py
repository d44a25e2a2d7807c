"""LanderActor: watches the branch, lets the checkout follow, and works off the landing queue."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import structlog

from oya.actors import Actor, ActorRef
from oya.errors import OyaError, StoreError
from oya.lifecycle.events import Undone
from oya.swarm.assembly import Parts
from oya.swarm.landing import LandingQueue
from oya.swarm.line import Line
from oya.swarm.messages import (
    Continue,
    LanderMessage,
    LookForReviewed,
    OrchestratorMessage,
    Pause,
    Sync,
    Wake,
)
from oya.swarm.moving import Moving, finish
from oya.swarm.proof import Proof
from oya.swarm.tracking import Tracking
from oya.swarm.undone import hold_lost, hold_reverted
from oya.swarm.work import Work

log = structlog.get_logger()

LOOK = 2.0
"""Seconds between two looks at the branch when nothing else happens."""


class LanderActor(Actor[LanderMessage]):
    """One lander per repository and branch."""

    def __init__(
        self,
        parts: Parts,
        line: Line,
        tracking: Tracking,
        orchestrator: ActorRef[Any],
        work: Work,
    ) -> None:
        self._parts = parts
        self._line = line
        self._tracking = tracking
        self._orchestrator = orchestrator
        self._work = work
        self._refs = asyncio.Lock()
        self._moving = Moving(parts, line, tracking, refs=self._refs, tell=self._tell)
        self._queue = LandingQueue(
            parts, line, tracking, work, self._moving, refs=self._refs, tell=self._tell
        )
        self._round: asyncio.Task[None] | None = None
        self._woken = asyncio.Event()
        self._looked = 0.0
        self._news_of: str | None = None
        self._paused: bool | None = None
        self._complaint = ""

    async def pre_start(self) -> None:
        self.send_every(LOOK, LookForReviewed())
        self.ref.try_tell(LookForReviewed())

    async def handle(self, message: LanderMessage) -> None:
        match message:
            case LookForReviewed():
                self._woken.set()
                if self._round is None or self._round.done():
                    self._round = self.start(self._rounds(), name="landing")
            case Sync(reply=reply):
                try:
                    reply.send(await self.sync())
                except OyaError as error:
                    reply.fail(error)

    def _tell(self, message: OrchestratorMessage) -> None:
        self._orchestrator.try_tell(message, control=not isinstance(message, Wake))

    async def _rounds(self) -> None:
        while self._woken.is_set():
            self._woken.clear()
            try:
                await self._take_up()
                await self._work_off()
            except OyaError as error:  # store, git: the next look will do
                await self._queue.give_up("an outage came in the middle")
                await self._complain(error)
                return
            except asyncio.CancelledError:
                await finish(self._queue.give_up("the swarm was stopped"))
                raise
            except Exception:  # a defect: whoever comes next knows nothing of what is being proven
                await self._queue.give_up("the lander crashed")
                raise
            self._complaint = ""
        self._tell(Wake())

    async def _take_up(self) -> None:
        """What an outage left in the middle is finished before anything else."""
        if self._work.landing and not self._moving.is_open:
            await self._moving.take_up("an outage came in the middle")
            await self._line.refresh()
            await self._tracking.landed()

    async def _work_off(self) -> None:
        """Until nothing more can land now."""
        await self._look()
        while running := await self._queue.step():
            await self._wait_for(running)
            # Gates may take half an hour; the branch is watched meanwhile.
            if self.clock.monotonic() - self._looked >= LOOK / 2:
                await self._look()

    async def _wait_for(self, running: Sequence[asyncio.Task[Proof]]) -> None:
        """Until a proof has ended, or something is said."""
        woken = asyncio.ensure_future(self._woken.wait())
        try:
            await asyncio.wait([*running, woken], return_when=asyncio.FIRST_COMPLETED)
        finally:
            woken.cancel()
        self._woken.clear()

    async def _look(self) -> None:
        self._looked = self.clock.monotonic()
        async with self._refs:
            await self._line.refresh()
            await self._hold_reverted()
            await self._line.follow()
        self._tell_rewritten()
        await self._queue.meet_base()

    async def _hold_reverted(self) -> None:
        """What was reverted on the branch is undone, before claims go on."""
        if self._line.upstream == self._news_of:
            return
        found: list[str] = []

        async def apply(bead: str, undone: Undone) -> None:
            await self._parts.apply(bead, undone)
            found.append(bead)

        await hold_reverted(self._line, self._parts.store.beads.all().values(), apply)
        self._news_of = self._line.upstream
        if found:
            await self._tracking.refresh()

    def _tell_rewritten(self) -> None:
        words = self._line.rewritten
        if bool(words) != self._paused:
            self._paused = bool(words)
            self._tell(Pause("rewritten", words) if words else Continue("rewritten"))

    async def _complain(self, error: OyaError) -> None:
        """Once for each trouble, however often it is met."""
        if str(error) == self._complaint:
            return
        self._complaint = str(error)
        log.error("landing waits", error=str(error))
        with suppress(StoreError):
            await self._parts.store.events.append(
                "warning", swarm=self._parts.swarm, reason=f"landing waits: {error}"
            )

    async def sync(self) -> dict[str, Any]:
        """`oya sync`: follow now, or say what is in the way; after a rewrite, take the branch."""
        async with self._refs:
            await self._line.refresh(now=True)
            await self._hold_reverted()
            if self._line.rewritten and self._line.upstream is not None:
                states = tuple(self._parts.store.beads.all().values())
                await hold_lost(self._parts.repo, self._line, states, self._parts.apply)
                await self._line.accept_rewrite()
                await self._tracking.refresh()  # before claims go on: who needs what was undone?
            followed = await self._line.follow(asked=True)
        self._tell_rewritten()
        why = "; ".join(filter(None, (followed.why, self._line.trouble)))
        found = {"branch": self._line.branch, "behind": followed.behind, "why": why}
        return found | {"note": followed.note}
