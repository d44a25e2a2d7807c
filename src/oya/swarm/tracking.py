"""The tracker and the store, kept in step: what people change there becomes events here.

Claims live in the store alone. Where git tracks the tracker's file, the closing of a bead
is part of the landed commit; otherwise the working file is rewritten after `landed`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import structlog

from oya.actors import Actor, ActorRef
from oya.beads import Backlog, Bead, dumps, overlay, parse
from oya.beads.order import unclaimed_types, unfit
from oya.beads.where import parse_where
from oya.errors import OyaError, RefusedError, TrackerError
from oya.lifecycle import events as e
from oya.lifecycle.model import BeadState, Phase, Status
from oya.lifecycle.table import CancelAttempt
from oya.swarm.assembly import Parts
from oya.swarm.line import Line
from oya.swarm.messages import CancelBead, ReadTracker, Wake
from oya.trackers.port import Tracker

log = structlog.get_logger()

LOOK = 2.0
"""Seconds between two looks at the tracker's file."""


class Tracking:
    """Reads the tracker, writes closings. Shared by the lander and the tracker's actor."""

    def __init__(self, parts: Parts, tracker: Tracker, line: Line) -> None:
        self._parts = parts
        self._tracker = tracker
        self._line = line
        self._where = parse_where(parts.settings.tracker.where)
        self._read: tuple[str, str] | None = None
        self._working: Backlog | None = None
        self._lock = asyncio.Lock()
        self.on_cancel: Callable[[str, int, str], None] = lambda bead, epoch, why: None

    async def refresh(self) -> bool:
        """Read the backlog, and let every difference be an event. True if anything happened."""
        async with self._lock:
            snapshot = await self._tracker.read()
            mark = (snapshot.fingerprint, self._line.base)
            if mark != self._read:
                self._working = snapshot.backlog
                self._parts.board.set((await self._merged(snapshot.backlog)).beads)
                self._read = mark
            return await self._apply_changes()

    async def closing(self, bead: str, base: str) -> dict[str, bytes]:
        """The tracker's file of `base` with the bead closed; empty where git does not track it."""
        text = await self._tracked(base)
        if text is None:
            return {}
        backlog = parse(text)
        if self._working is not None:
            backlog = backlog.adopt(bead, self._working)
        if bead not in backlog:
            return {}
        closed = backlog.close(bead, "landed by oya", self._parts.clock.now())
        return {self._tracker.path: dumps(closed).encode()}

    async def landed(self, bead: str, commit: str) -> None:
        """After the landing: close in the working file where git does not carry it, free others."""
        if await self._tracked(commit) is None:
            await self._close(bead, commit)
        try:
            await self.refresh()
        except TrackerError as error:
            log.warning("tracker", error=str(error))

    def warnings(self) -> list[str]:
        """What work goes on with, but a person should know."""
        graph, beads = self._parts.board.graph, self._parts.board.beads.values()
        said = [f"dependency cycle: {' → '.join((*c, c[0]))}" for c in graph.cycles()]
        said += [
            f"{bead} depends on {other}, which is not in the backlog"
            for bead, other in graph.dangling
        ]
        types = unclaimed_types(beads, self._where, self._parts.clock.now())
        said += [f"{n} beads of type {kind} are not claimed" for kind, n in sorted(types.items())]
        return said

    async def _close(self, bead: str, commit: str) -> None:
        try:
            await self._tracker.close(bead, f"landed as {commit[:12]}", self._parts.clock.now())
        except TrackerError as error:
            # It is tried again at every reading, until the tracker says closed.
            log.warning("not closed in the tracker", bead=bead, error=str(error))

    async def _tracked(self, commit: str) -> str | None:
        data = await self._parts.repo.read_file(commit, self._tracker.path)
        return None if data is None else data.decode("utf-8")

    async def _merged(self, working: Backlog) -> Backlog:
        """The base's version, overlaid with what the checkout has changed and not committed."""
        text = await self._tracked(self._line.base)
        head = await self._parts.repo.read_file("HEAD", self._tracker.path)
        if text is None or head is None:
            return working
        return overlay(parse(text), working, parse(head.decode("utf-8")))

    async def _apply_changes(self) -> bool:
        changed = False
        for bead, event in list(self._changes()):
            try:
                applied = await self._parts.apply(bead, event, agent="tracker")
            except RefusedError as refused:  # for example in the middle of landing: next time
                log.info("tracker event refused", bead=bead, why=str(refused))
                continue
            changed = True
            if isinstance(event, e.Added | e.Edited):
                await self._parts.describe(bead, title=self._parts.board.bead(bead).title)
            for effect in applied.effects:
                if isinstance(effect, CancelAttempt):
                    self.on_cancel(bead, effect.epoch, f"{e.name_of(event)} in the tracker")
        await self._close_again()
        return changed

    def _changes(self) -> Iterator[tuple[str, e.Event]]:
        beads, states = self._parts.board.beads, self._parts.store.beads.all()
        for bead in beads.values():
            state = states.get(bead.id)
            if state is not None:
                yield from self._difference(bead, state)
            elif unfit(bead, self._where, self._parts.clock.now()) is None:
                yield bead.id, e.Added(bead.title, bead.text_key)
                yield from self._blocking(bead, BeadState(bead.id))
        for state in tuple(states.values()):
            if state.id not in beads and self._is_open(state):
                yield state.id, e.Removed("deleted in the tracker")

    def _difference(self, bead: Bead, state: BeadState) -> Iterator[tuple[str, e.Event]]:
        if state.phase is Phase.LANDED:
            return
        if bead.closed:
            if self._is_open(state):
                yield bead.id, e.Removed("closed in the tracker")
            return
        if state.status is Status.REMOVED:
            yield bead.id, e.Reopened()
        if state.text != bead.text_key:
            yield bead.id, e.Edited(bead.text_key)
        yield from self._blocking(bead, state)

    def _blocking(self, bead: Bead, state: BeadState) -> Iterator[tuple[str, e.Event]]:
        waits = self._parts.board.waits_for(bead.id, self._has_landed)
        why = unfit(bead, self._where, self._parts.clock.now())
        words = (
            f"waits for {', '.join(waits)}" if waits else f"the tracker says: {why}" if why else ""
        )
        if words and not state.blocked:
            yield bead.id, e.Blocked(words)
        elif state.blocked and not words:
            yield bead.id, e.Unblocked()

    def _is_open(self, state: BeadState) -> bool:
        return state.phase is not Phase.LANDED and state.status is not Status.REMOVED

    def _has_landed(self, bead: str) -> bool:
        state = self._parts.store.beads.get(bead)
        return state is not None and state.status is Status.COMPLETE

    async def _close_again(self) -> None:
        """Landed here and open there, in a file that git does not carry: close it."""
        landed = [
            b.id
            for b in self._parts.board.beads.values()
            if not b.closed and self._has_landed(b.id)
        ]
        if not landed or await self._tracked(self._line.base) is not None:
            return
        for bead in landed:
            await self._close(bead, self._parts.store.beads.all()[bead].commit or "")


class TrackerActor(Actor[ReadTracker]):
    """Looks at the tracker now and then, and tells the orchestrator when work changed."""

    def __init__(self, tracking: Tracking, orchestrator: ActorRef[Any]) -> None:
        self._tracking = tracking
        self._orchestrator = orchestrator

    async def pre_start(self) -> None:
        self._tracking.on_cancel = self._cancel
        self.send_every(LOOK, ReadTracker())

    async def handle(self, message: ReadTracker) -> None:
        try:
            changed = await self._tracking.refresh()
        except OyaError as error:  # a half-written file, an outage: the next look will do
            log.warning("tracker", error=str(error))
            return
        if changed:
            self._orchestrator.try_tell(Wake())

    def _cancel(self, bead: str, epoch: int, why: str) -> None:
        self._orchestrator.try_tell(CancelBead(bead, epoch, why), control=True)
