"""The tracker and the store, kept in step: what people change there becomes events here.

Claims live in the store alone. Where git tracks the tracker's file, the closing of a bead
is part of the landed commit; otherwise the working file is rewritten after `landed`.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import structlog

from oya.actors import Actor, ActorRef
from oya.beads import Backlog, dumps, overlay, parse
from oya.beads.graph import in_words
from oya.beads.noticed import MOST, Noticed, noticed, offer
from oya.beads.order import unclaimed_types
from oya.beads.where import parse_where
from oya.crashpoints import point
from oya.errors import GitError, OyaError, RefusedError, TrackerError
from oya.lifecycle import events as e
from oya.lifecycle.model import Status
from oya.lifecycle.table import CancelAttempt
from oya.swarm.assembly import Parts
from oya.swarm.differences import Change, Differences
from oya.swarm.line import Line
from oya.swarm.messages import CancelBead, ReadTracker, Wake
from oya.swarm.resume import UNCLOSED
from oya.trackers.port import Snapshot

log = structlog.get_logger()

LOOK = 2.0
"""Seconds between two looks at the tracker's file, at least."""
SHARE = 20
"""A look that took long is followed by a pause of this many times as long."""
LONGEST = 30.0
"""Seconds that such a pause lasts, at most."""
AT_ONCE = 100
"""Beads that are looked at before others have a turn; the new ones come in one commit."""
BEAD = 100
"""Characters that a bead counts for where its text is not read again."""
KNOWN = 4
"""Backlogs that are kept as they were parsed."""
TRIES = 3
"""How often a file that changes while it is read is read again."""
PAGE = 1000
"""Events that are read at once."""
REMEMBERED = 100
"""Beads of which it is known what was noticed at them: a bead is stacked again and again."""
FOLLOWING = "refs/oya/tracker"
"""What the user's versions of the file are under, while a checkout follows."""
_INLINE = 100_000
"""Characters above which a backlog is worked on in a thread: the loop must not wait for it."""

T = TypeVar("T")


class Tracking:
    """Reads the tracker, writes closings. Shared by the lander and the tracker's actor.

    `took`: the seconds of the last look, without what came of it.
    """

    def __init__(self, parts: Parts, line: Line, known: Snapshot | None = None) -> None:
        self._parts = parts
        self._tracker = parts.tracker
        self._line = line
        self._where = parse_where(parts.settings.tracker.where)
        self._differences = Differences(parts, self._where)
        self._read: tuple[str, str] | None = None
        self._snapshot = known
        self._parsed: dict[str, Backlog] = {}
        self._found: dict[tuple[str, int], tuple[Noticed, ...]] = {}
        self._unclosed: dict[str, str] | None = None
        self._complaints: dict[str, str] = {}
        self._lock = asyncio.Lock()
        self.took = 0.0
        self.on_cancel: Callable[[str, int, str], None] = lambda bead, epoch, why: None

    async def refresh(self) -> bool:
        """Read the backlog, and let every difference be an event. True if anything happened.

        A backlog that cannot be read is told of once, and work goes on with what was read
        before; `TrackerError` or `GitError` only where nothing was.
        """
        async with self._lock:
            try:
                await self._timed_look()
                self._complaints.pop("read", None)
            except (TrackerError, GitError) as error:
                if self._read is None:
                    raise
                await self._complain("read", error)
            await self._close_landed()
            return await self._apply_changes()

    @property
    def settled(self) -> bool:
        """Whether the states say all that the tracker says, as far as it was read."""
        return not (self._lock.locked() or self._differences.pending)

    async def landed(self) -> None:
        """After a landing: close in the working file where git does not carry it, free others."""
        async with self._lock:
            self._unclosed = None
            await self._close_landed()
            await self._apply_changes()

    async def closing(self, bead: str, base: str) -> dict[str, bytes] | None:
        """The tracker's file of `base` with the bead closed, and what was noticed at it offered;
        None where git does not track it.

        A bead that the base lacks is added whole, as it stands in the working file.
        """
        text = await self._tracked(base)
        if text is None:
            return None
        backlog = await self._parse(text)
        closing = partial(self._closed, bead, backlog, await self._noticed(bead))
        digest, closed, data = await self._aside(len(text), closing)
        if bead not in closed:
            return {}
        self._keep(digest, closed)  # most likely the next base
        return {self._tracker.path: data}

    def _closed(
        self, bead: str, backlog: Backlog, found: Sequence[Noticed]
    ) -> tuple[str, Backlog, bytes]:
        closed = backlog
        if self._snapshot is not None:
            closed = closed.adopt(bead, self._snapshot.backlog)
        if bead in closed:
            now = self._parts.clock.now()
            closed = offer(closed.close(bead, "landed by oya", now), bead, found, now)
        data = dumps(closed).encode()
        return _digest(data), closed, data

    async def _noticed(self, bead: str) -> tuple[Noticed, ...]:
        """What agents of every role noticed besides, as the log has it."""
        state = self._parts.store.beads.get(bead)
        epoch = state.epoch if state else 0
        if (bead, epoch) not in self._found:
            events, said, seq = self._parts.store.events, list[Any](), 0
            while records := await events.since(seq, PAGE, bead):
                seq = records[-1].seq
                said += [row for r in records for row in r.data.get("discovered") or ()]
                if len(records) < PAGE or len(noticed(said)) == MOST:
                    break
            while len(self._found) >= REMEMBERED:
                del self._found[next(iter(self._found))]
            self._found[bead, epoch] = noticed(said)
        return self._found[bead, epoch]

    def differs(self, bead: str) -> bool:
        """Whether the tracker says something of this bead that its state does not know yet."""
        return self._differences.differs(bead)

    async def warnings(self) -> list[str]:
        """What work goes on with, but a person should know."""
        size = BEAD * len(self._parts.board.beads)
        return await self._aside(size, self._warnings)

    def _warnings(self) -> list[str]:
        graph, beads = self._parts.board.graph, self._parts.board.beads.values()
        said = [in_words(cycle) for cycle in graph.cycles()]
        said += [
            f"{bead} depends on {other}, which is not in the backlog"
            for bead, other in graph.dangling
        ]
        types = unclaimed_types(beads, self._where, self._parts.clock.now())
        said += [f"{n} beads of type {kind} are not claimed" for kind, n in sorted(types.items())]
        return said

    # Reading ------------------------------------------------------------------------------

    async def _timed_look(self) -> None:
        began = self._parts.clock.monotonic()
        try:
            await self._look()
        finally:
            self.took = self._parts.clock.monotonic() - began

    async def _look(self) -> None:
        for _ in range(TRIES):
            snapshot = await self._tracker.read(self._snapshot)
            self._snapshot = snapshot
            mark = (snapshot.fingerprint, self._line.base)
            if mark == self._read:
                break
            merged = await self._merged(snapshot.backlog)
            if (await self._tracker.read(snapshot)).fingerprint == snapshot.fingerprint:
                break  # else the checkout has followed in between
        self._differences.looked()
        if mark == self._read:
            return
        reading = partial(self._parts.board.read, merged.beads)
        self._parts.board.take(await self._aside(BEAD * len(merged.lines), reading))
        self._read = mark

    async def _merged(self, working: Backlog) -> Backlog:
        """The base's version, overlaid with what the checkout has and the line has not."""
        text = await self._tracked(self._line.base)
        if text is None:
            return working
        common = await self._common()
        since = text if common == self._line.base else await self._tracked(common)
        if since == text:
            return working
        base, before = await self._parse(text), await self._parse(since or "")
        return await self._aside(len(text), partial(overlay, base, working, before))

    async def _common(self) -> str:
        """What the working file's changes are counted from: HEAD; but what the user has
        committed on the branch is theirs as well, until the line has it. While a checkout
        follows with changes in that file, it is where HEAD was before."""
        repo = self._parts.repo
        head = await repo.resolve("HEAD") or self._line.base
        for kept in (await repo.list_refs(FOLLOWING)).values():  # after HEAD: it goes last
            head = (await repo.parents(kept))[0]
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
        digest = await self._aside(len(text), lambda: _digest(text.encode()))
        if digest not in self._parsed:
            like = self._snapshot.backlog if self._snapshot else None
            self._keep(digest, await self._aside(len(text), partial(parse, text, like)))
        return self._parsed[digest]

    def _keep(self, digest: str, backlog: Backlog) -> None:
        self._parsed[digest] = backlog
        while len(self._parsed) > KNOWN:
            del self._parsed[next(iter(self._parsed))]

    async def _aside(self, size: int, work: Callable[[], T]) -> T:
        """What `work` gives; it may run in a thread where it has that many characters to do."""
        return work() if size <= _INLINE else await asyncio.to_thread(work)

    # What changed -------------------------------------------------------------------------

    async def _apply_changes(self) -> bool:
        """Deal with every bead that was touched, a few at a time; True if anything happened."""
        touched, happened, done = self._differences.touched(), False, 0
        try:
            for start in range(0, len(touched), AT_ONCE):
                some = touched[start : start + AT_ONCE]
                happened |= await self._apply_some(some)
                done = start + AT_ONCE
                if done < len(touched):
                    await self._parts.clock.sleep(0)
        finally:
            self._differences.touch(touched[done:])
        return happened

    async def _apply_some(self, beads: Sequence[str]) -> bool:
        changes = [change for bead in beads for change in self._differences.of(bead)]
        known = self._parts.store.beads
        new = [change for change in changes if known.get(change[0]) is None]
        rest = [change for change in changes if known.get(change[0]) is not None]
        if new:
            await known.apply_many(new, swarm=self._parts.swarm, limits=self._parts.limits)
            point("tracker.added")
        rest.sort(key=self._is_late)
        applied = [await self._apply(bead, event) for bead, event in rest]
        return bool(new) or any(applied)

    def _is_late(self, change: Change) -> bool:
        """Whoever must wait is told first, so that nobody claims it in between."""
        bead, event = change
        state = self._parts.store.beads.get(bead)
        removed = state is not None and state.status is Status.REMOVED
        return removed or not isinstance(event, e.Blocked)

    async def _apply(self, bead: str, event: e.Event) -> bool:
        try:
            applied = await self._parts.apply(bead, event, agent="tracker")
        except RefusedError as refused:  # it has moved on meanwhile: the next look sees how
            log.info("tracker event refused", bead=bead, why=str(refused))
            self._differences.touch((bead,))
            return False
        for effect in applied.effects:
            if isinstance(effect, CancelAttempt):
                self.on_cancel(bead, effect.epoch, f"{e.name_of(event)} in the tracker")
        if isinstance(event, e.Edited):
            await self._parts.store.beads.describe(bead, title=self._parts.board.bead(bead).title)
        return True

    # Closing ------------------------------------------------------------------------------

    async def _close_landed(self) -> None:
        """Close in the working file what has landed without its closing; again until it works."""
        if self._unclosed is None:
            rows = await self._parts.store.checkpoints.below(UNCLOSED)
            self._unclosed = {bead: row["commit"] for bead, row in rows}
        for bead, commit in list(self._unclosed.items()):
            if await self._close(bead, commit):
                point("tracker.closed")
                await self._parts.store.checkpoints.delete(f"{UNCLOSED}{bead}")
                point("tracker.forgotten")
                del self._unclosed[bead]

    async def _close(self, bead: str, commit: str) -> bool:
        try:
            now, found = self._parts.clock.now(), await self._noticed(bead)
            await self._tracker.close(bead, f"landed as {commit[:12]}", now, found)
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


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class TrackerActor(Actor[ReadTracker]):
    """Looks at the tracker now and then, and tells the orchestrator when work changed."""

    def __init__(self, tracking: Tracking, orchestrator: ActorRef[Any]) -> None:
        self._tracking = tracking
        self._orchestrator = orchestrator

    async def pre_start(self) -> None:
        self._tracking.on_cancel = self._cancel
        self.send_after(LOOK, ReadTracker())

    async def handle(self, message: ReadTracker) -> None:
        try:
            if await self._tracking.refresh():
                self._orchestrator.try_tell(Wake())
        except OyaError as error:  # an outage of the store: the next look will do
            log.warning("tracker", error=str(error))
        self.send_after(min(max(LOOK, SHARE * self._tracking.took), LONGEST), ReadTracker())

    def _cancel(self, bead: str, epoch: int, why: str) -> None:
        self._orchestrator.try_tell(CancelBead(bead, epoch, why), control=True)
