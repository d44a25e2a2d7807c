"""The tracker and the store, kept in step: what people change there becomes events here.

Claims live in the store alone. Where git tracks the tracker's file, the closing of a bead
is part of the landed commit; otherwise the working file is rewritten after `landed`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import structlog

from oya.actors import Actor, ActorRef
from oya.beads import Backlog, Bead, dumps, overlay, parse
from oya.beads.order import unclaimed_types, unfit
from oya.beads.where import parse_where
from oya.crashpoints import point
from oya.errors import GitError, OyaError, RefusedError, TrackerError
from oya.lifecycle import events as e
from oya.lifecycle.model import BeadState, Phase, Status
from oya.lifecycle.table import CancelAttempt
from oya.swarm.assembly import Parts
from oya.swarm.line import Line
from oya.swarm.messages import CancelBead, ReadTracker, Wake
from oya.swarm.resume import UNCLOSED

log = structlog.get_logger()

LOOK = 2.0
"""Seconds between two looks at the tracker's file, at least."""
SHARE = 20
"""A look that took long is followed by a pause of this many times as long."""
AT_ONCE = 100
"""New beads in one commit of the store."""
_INLINE = 100_000
"""Characters above which a backlog is parsed in a thread: the loop must not wait for it."""

Change = tuple[str, e.Event]


class Tracking:
    """Reads the tracker, writes closings. Shared by the lander and the tracker's actor."""

    def __init__(self, parts: Parts, line: Line) -> None:
        self._parts = parts
        self._tracker = parts.tracker
        self._line = line
        self._where = parse_where(parts.settings.tracker.where)
        self._read: tuple[str, str] | None = None
        self._working: Backlog | None = None
        self._parsed: deque[tuple[str, Backlog]] = deque(maxlen=4)
        self._looks = 0
        self._missing: dict[str, int] = {}
        self._unclosed: dict[str, str] | None = None
        self._complaints: dict[str, str] = {}
        self._lock = asyncio.Lock()
        self.on_cancel: Callable[[str, int, str], None] = lambda bead, epoch, why: None

    async def refresh(self) -> bool:
        """Read the backlog, and let every difference be an event. True if anything happened.

        A backlog that cannot be read is told of once, and work goes on with what was read
        before; `TrackerError` or `GitError` only where nothing was.
        """
        async with self._lock:
            try:
                await self._look()
                self._complaints.pop("read", None)
            except (TrackerError, GitError) as error:
                if self._read is None:
                    raise
                await self._complain("read", error)
            await self._close_landed()
            return await self._apply_changes()

    async def landed(self) -> None:
        """After a landing: close in the working file where git does not carry it, free others."""
        async with self._lock:
            self._unclosed = None
            await self._close_landed()
            await self._apply_changes()

    async def closing(self, bead: str, base: str) -> dict[str, bytes] | None:
        """The tracker's file of `base` with the bead closed; None where git does not track it.

        A bead that the base lacks is added whole, as it stands in the working file.
        """
        text = await self._tracked(base)
        if text is None:
            return None
        backlog = await self._parse(text)
        if self._working is not None:
            backlog = backlog.adopt(bead, self._working)
        if bead not in backlog:
            return {}
        closed = backlog.close(bead, "landed by oya", self._parts.clock.now())
        text = dumps(closed)
        self._parsed.append((text, closed))  # most likely the next base
        return {self._tracker.path: text.encode()}

    def differs(self, bead: str) -> bool:
        """Whether the tracker says something of this bead that its state does not know yet."""
        known, state = self._parts.board.beads.get(bead), self._parts.store.beads.get(bead)
        if known is None or state is None:
            return True
        return any(True for _ in self._difference(known, state))

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

    # Reading ------------------------------------------------------------------------------

    async def _look(self) -> None:
        snapshot = await self._tracker.read()
        self._looks += 1
        mark = (snapshot.fingerprint, self._line.base)
        if mark == self._read:
            return
        merged = await self._merged(snapshot.backlog)
        self._parts.board.set(merged.beads)
        self._working, self._read = snapshot.backlog, mark

    async def _merged(self, working: Backlog) -> Backlog:
        """The base's version, overlaid with what the checkout has and the line has not."""
        text = await self._tracked(self._line.base)
        if text is None:
            return working
        since = await self._tracked(await self._common())
        if since == text:
            return working
        base, before = await self._parse(text), await self._parse(since or "")
        return overlay(base, working, before)

    async def _common(self) -> str:
        """What the working file's changes are counted from: HEAD; but what the user has
        committed on the branch is theirs as well, until the line has it."""
        repo = self._parts.repo
        head = await repo.resolve("HEAD") or self._line.base
        if head != await repo.read_ref(f"refs/heads/{self._line.branch}"):
            return head
        return await repo.merge_base(head, self._line.base) or head

    async def _tracked(self, commit: str) -> str | None:
        data = await self._parts.repo.read_file(commit, self._tracker.path)
        try:
            return None if data is None else data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise TrackerError(
                f"{self._tracker.path} of {commit[:9]} is no UTF-8 text",
                safe="Nothing was taken from it and nothing was changed.",
                hint="Correct it, and commit that.",
            ) from error

    async def _parse(self, text: str) -> Backlog:
        for known, backlog in self._parsed:
            if known == text:
                return backlog
        small = len(text) <= _INLINE
        backlog = parse(text) if small else await asyncio.to_thread(parse, text)
        self._parsed.append((text, backlog))
        return backlog

    # What changed -------------------------------------------------------------------------

    async def _apply_changes(self) -> bool:
        changes = list(self._changes())
        known = self._parts.store.beads.all()
        new = [change for change in changes if change[0] not in known]
        rest = [change for change in changes if change[0] in known]
        for start in range(0, len(new), AT_ONCE):
            await self._parts.store.beads.apply_many(
                new[start : start + AT_ONCE], swarm=self._parts.swarm, limits=self._parts.limits
            )
            point("tracker.added")
        applied = [await self._apply(bead, event) for bead, event in rest]
        return bool(new) or any(applied)

    async def _apply(self, bead: str, event: e.Event) -> bool:
        try:
            applied = await self._parts.apply(bead, event, agent="tracker")
        except RefusedError as refused:  # it has moved on meanwhile: the next look sees how
            log.info("tracker event refused", bead=bead, why=str(refused))
            return False
        for effect in applied.effects:
            if isinstance(effect, CancelAttempt):
                self.on_cancel(bead, effect.epoch, f"{e.name_of(event)} in the tracker")
        if isinstance(event, e.Edited):
            await self._parts.describe(bead, title=self._parts.board.bead(bead).title)
        return True

    def _changes(self) -> Iterator[Change]:
        beads, states = self._parts.board.beads, self._parts.store.beads.all()
        for bead in beads.values():
            state = states.get(bead.id)
            if state is None:
                if unfit(bead, self._where, self._parts.clock.now()) is None:
                    yield bead.id, e.Added(bead.title, self._parts.board.text_key(bead.id))
                    yield from self._blocking(bead, BeadState(bead.id))
            elif not _is_landing(state):  # the lander looks before it moves anything
                yield from self._difference(bead, state)
        for state in states.values():
            if self._is_gone(state) and not _is_landing(state):
                yield state.id, e.Removed("deleted in the tracker")

    def _is_gone(self, state: BeadState) -> bool:
        """Missing in two looks, one after the other: some programs write a file bit by bit."""
        if state.id in self._parts.board.beads or not _is_open(state):
            self._missing.pop(state.id, None)
            return False
        first = self._missing.setdefault(state.id, self._looks)
        return self._looks == 1 or self._looks > first

    def _difference(self, bead: Bead, state: BeadState) -> Iterator[Change]:
        if state.phase is Phase.LANDED:
            return
        if bead.closed:
            if _is_open(state):
                yield bead.id, e.Removed("closed in the tracker")
            return
        if state.status is Status.REMOVED:
            yield bead.id, e.Reopened()
        text = self._parts.board.text_key(bead.id)
        if state.text != text:
            yield bead.id, e.Edited(text)
        yield from self._blocking(bead, state)

    def _blocking(self, bead: Bead, state: BeadState) -> Iterator[Change]:
        waits = self._parts.board.waits_for(bead.id, self._has_landed)
        why = unfit(bead, self._where, self._parts.clock.now())
        words = (
            f"waits for {', '.join(waits)}" if waits else f"the tracker says: {why}" if why else ""
        )
        if words and not state.blocked:
            yield bead.id, e.Blocked(words)
        elif state.blocked and not words:
            yield bead.id, e.Unblocked()

    def _has_landed(self, bead: str) -> bool:
        state = self._parts.store.beads.get(bead)
        return state is not None and state.status is Status.COMPLETE

    # Closing ------------------------------------------------------------------------------

    async def _close_landed(self) -> None:
        """Close in the working file what has landed without its closing; again until it works."""
        if self._unclosed is None:
            rows = await self._parts.store.checkpoints.all()
            self._unclosed = {
                key.removeprefix(UNCLOSED): row["commit"]
                for key, row in rows
                if key.startswith(UNCLOSED)
            }
        for bead, commit in list(self._unclosed.items()):
            if await self._close(bead, commit):
                point("tracker.closed")
                await self._parts.store.checkpoints.delete(f"{UNCLOSED}{bead}")
                point("tracker.forgotten")
                del self._unclosed[bead]

    async def _close(self, bead: str, commit: str) -> bool:
        try:
            await self._tracker.close(bead, f"landed as {commit[:12]}", self._parts.clock.now())
        except TrackerError as error:
            if bead not in self._parts.board.beads:
                return True  # it was deleted, so there is nothing to close
            await self._complain(bead, error)
            return False
        return True

    async def _complain(self, about: str, error: OyaError) -> None:
        """Once for each trouble, however often it is met."""
        known = str(error) in self._complaints.values()
        self._complaints[about] = str(error)
        if known:
            return
        log.warning("tracker", about=about, error=str(error))
        bead = None if about == "read" else about
        await self._parts.store.events.append(
            "warning", swarm=self._parts.swarm, bead=bead, reason=f"tracker: {error}"
        )


def _is_open(state: BeadState) -> bool:
    return state.phase is not Phase.LANDED and state.status is not Status.REMOVED


def _is_landing(state: BeadState) -> bool:
    return state.phase is Phase.LANDING and state.status is Status.IN_PROGRESS


class TrackerActor(Actor[ReadTracker]):
    """Looks at the tracker now and then, and tells the orchestrator when work changed."""

    def __init__(self, tracking: Tracking, orchestrator: ActorRef[Any]) -> None:
        self._tracking = tracking
        self._orchestrator = orchestrator

    async def pre_start(self) -> None:
        self._tracking.on_cancel = self._cancel
        self.send_after(LOOK, ReadTracker())

    async def handle(self, message: ReadTracker) -> None:
        began = self.clock.monotonic()
        try:
            if await self._tracking.refresh():
                self._orchestrator.try_tell(Wake())
        except OyaError as error:  # an outage of the store: the next look will do
            log.warning("tracker", error=str(error))
        took = self.clock.monotonic() - began
        self.send_after(max(LOOK, SHARE * took), ReadTracker())

    def _cancel(self, bead: str, epoch: int, why: str) -> None:
        self._orchestrator.try_tell(CancelBead(bead, epoch, why), control=True)
