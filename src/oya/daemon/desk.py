"""Everything that a person can ask and say, with a swarm running or without.

`StoreDesk` stands on the store alone: a command opens it for itself when no daemon runs.
`LiveDesk` is the same with a swarm behind it: the daemon's API. Answers are JSON objects.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import structlog

from oya.clock import Clock, stamp
from oya.daemon.running import RunningSwarm
from oya.errors import OyaError, UsageError
from oya.lifecycle import events as e
from oya.lifecycle.model import BeadState, Limits, state_to_json
from oya.lifecycle.record import EventRecord
from oya.lifecycle.swarm import SwarmState, SwarmStatus
from oya.repository.git import GitRepository
from oya.repository.places import Place
from oya.store.store import Store
from oya.swarm import report, story

log = structlog.get_logger()

MAX_EVENTS = 1000
"""Events in one answer."""

PERSON: dict[str, Callable[[str], e.Event]] = {
    "approve": e.Approved,
    "reject": e.Rejected,
    "retry": e.Retried,
    "hold": e.HeldByPerson,
    "release": e.Released,
}
"""What a person can say of a bead: the event that it is."""


class StoreDesk:
    """Answers from the store; nothing of a swarm runs."""

    def __init__(self, store: Store, place: Place, limits: Limits) -> None:
        self.store = store
        self._place = place
        self._limits = limits

    async def status(self) -> dict[str, Any]:
        """The status object of docs/reference/status.md."""
        swarm = self.store.swarms.current()
        found = report.status(swarm, self.store.beads.all().values())
        if swarm is not None and swarm.branch:
            found["landing"]["behind"] = {swarm.branch: await self._behind(swarm.branch)}
        return found

    async def swarms(self) -> dict[str, Any]:
        """All swarms of this repository, in the order they were made."""
        return {"swarms": [report.status(s, ()) for s in self.store.swarms.all().values()]}

    async def beads(self) -> dict[str, Any]:
        """A row for each bead, in the order in which they came."""
        rows = [
            report.bead_row(state, self._about(state.id))
            for state in self.store.beads.all().values()
        ]
        return {"beads": rows}

    async def bead(self, bead: str) -> dict[str, Any]:
        """Everything known of one bead."""
        state = self._bead(bead)
        about = self._about(bead)
        row = report.bead_row(state, about)
        return {
            **about,
            **state_to_json(state),
            "contract_record": await self.store.contracts.get(bead),
            "next": report.next_step(row),
        }

    async def why(self, bead: str) -> dict[str, Any]:
        """The bead's story: its events, and the same in sentences."""
        state = self._bead(bead)
        row = report.bead_row(state, self._about(bead))
        records = await self._all_of(bead)
        return {
            **row,
            "events": [record.to_json() for record in records],
            "story": story.why(records),
            "next": report.next_step(row),
        }

    async def events(
        self, since: int = 0, limit: int = MAX_EVENTS, bead: str | None = None
    ) -> dict[str, Any]:
        """Events after `since`, at most `limit`; `last` is the newest there is."""
        last = self.store.events.last  # before the reading: what comes meanwhile is not skipped
        records = await self._since(since, min(max(limit, 1), MAX_EVENTS), bead)
        return {"events": [r.to_json() for r in records], "last": last}

    async def person(self, bead: str, verb: str, note: str) -> dict[str, Any]:
        """Approve, reject, retry, hold or release; the row of the bead afterwards."""
        self._bead(bead)
        event = self._said(bead, verb, note)
        state = await self._apply(bead, event)
        return report.bead_row(state, self._about(bead))

    async def sync(self) -> dict[str, Any]:
        """Let the checkout follow now; what is in the way, if anything."""
        from oya.swarm.line import Line

        swarm = self.store.swarms.current()
        if swarm is None or not swarm.branch:
            return {"branch": None, "behind": 0, "why": "nothing has landed here yet"}
        repo = GitRepository(self._place)
        line = Line(repo, swarm.branch)
        await line.refresh()
        if line.rewritten:
            await line.accept_rewrite()
            await self._hold_undone(repo, line.base, swarm.branch)
        followed = await line.follow()
        return {"branch": swarm.branch, "behind": followed.behind, "why": followed.why}

    async def stop(self, now: bool) -> dict[str, Any]:
        """End the swarm; there is none."""
        raise self._idle()

    async def pause(self) -> dict[str, Any]:
        """Stop claims; there is nobody to claim."""
        raise self._idle()

    async def resume(self) -> dict[str, Any]:
        """Claim again; there is nobody to claim."""
        raise self._idle()

    async def set(self, changes: Mapping[str, str]) -> dict[str, Any]:
        """Change the running swarm; there is none."""
        raise self._idle()

    def _idle(self) -> UsageError:
        swarm = self.store.swarms.current()
        last = f" {swarm.id} is {swarm.status}." if swarm and swarm.ended else ""
        return UsageError(
            f"No swarm is running here.{last}", safe="Nothing was changed.", hint="oya swarm"
        )

    def _bead(self, bead: str) -> BeadState:
        state = self.store.beads.get(bead)
        if state is not None:
            return state
        import difflib

        near = difflib.get_close_matches(bead, self.store.beads.all(), 1, 0.5)
        raise UsageError(
            f"There is no bead {bead} here.",
            safe="Nothing was changed.",
            hint=f"Did you mean {near[0]}?" if near else "oya beads lists them.",
        )

    def _said(self, bead: str, verb: str, note: str) -> e.Event:
        if verb not in PERSON:
            raise UsageError(f"{verb} is not known; known: {', '.join(PERSON)}")
        if verb == "reject" and not note.strip():
            raise UsageError(
                "A rejection needs words: they are what the implementer reads next.",
                safe="Nothing was changed.",
                hint=f'oya reject {bead} --note "what is wrong"',
            )
        return PERSON[verb](note.strip())

    def _about(self, bead: str) -> dict[str, Any]:
        """What the store holds of a bead beside its state."""
        return self.store.beads.row(bead) or {}

    async def _apply(self, bead: str, event: e.Event) -> BeadState:
        applied = await self.store.beads.apply(
            bead, event, swarm=None, limits=self._limits, agent="person"
        )
        return applied.state

    async def _hold_undone(self, repo: GitRepository, base: str, branch: str) -> None:
        for state in tuple(self.store.beads.all().values()):
            if state.commit and not await repo.is_ancestor(state.commit, base):
                await self._apply(
                    state.id, e.Undone(f"{state.commit[:9]} is no longer on {branch}")
                )

    async def _behind(self, branch: str) -> int | None:
        repo = GitRepository(self._place)
        try:
            tip = await repo.read_ref(f"refs/heads/{branch}")
            line = await repo.read_ref(f"refs/oya/line/{branch}")
            return await repo.count(tip, line) if tip and line else 0
        except OyaError:
            return None

    async def _since(self, since: int, limit: int, bead: str | None) -> list[EventRecord]:
        return await self.store.events.since(since, limit, bead)

    async def _all_of(self, bead: str) -> list[EventRecord]:
        found: list[EventRecord] = []
        while len(found) < 10 * MAX_EVENTS:
            page = await self._since(found[-1].seq if found else 0, MAX_EVENTS, bead)
            found += page
            if len(page) < MAX_EVENTS:
                break
        return found


class LiveDesk(StoreDesk):
    """Answers while a swarm runs, and for a moment after it has ended.

    `run` runs the swarm, to its end whatever happens; afterwards `final` is its last status.
    """

    def __init__(
        self, store: Store, place: Place, limits: Limits, universe: RunningSwarm, clock: Clock
    ) -> None:
        super().__init__(store, place, limits)
        self._universe = universe
        self._clock = clock
        self._began = clock.now()
        self._started = clock.monotonic()
        self._landings: deque[datetime] = deque(maxlen=report.RECENT + 1)
        self._news = asyncio.Event()
        self._swarming: asyncio.Task[SwarmState] | None = None
        self.final: dict[str, Any] | None = None

    async def run(self) -> dict[str, Any]:
        """Run the swarm; its final status, with "seconds" and "exit" added. Raises nothing."""
        watch = asyncio.create_task(self._watch(), name="watch events")
        self._swarming = asyncio.create_task(self._universe.run(), name="universe")
        code, error = await self._end_of(self._swarming)
        await self._close(code, error)
        watch.cancel()
        await asyncio.wait((watch,))
        assert self.final is not None
        return self.final

    async def _end_of(self, swarming: asyncio.Task[SwarmState]) -> tuple[int, OyaError | None]:
        await asyncio.wait((swarming,))
        if swarming.cancelled():
            return 5, None
        failed = swarming.exception()
        if failed is None:
            return report.exit_code(swarming.result()), None
        log.error("swarm", exc_info=failed)
        if isinstance(failed, OyaError):
            return failed.exit_code, failed
        return 1, OyaError(
            f"A defect of oya ended the swarm: {type(failed).__name__}: {failed}",
            safe="All work is kept.",
            hint="The traceback is in `oya logs`; oya swarm goes on.",
        )

    async def _watch(self) -> None:
        """Until cancelled: note landings for the estimate, and wake whoever follows."""
        with self.store.events.subscribe() as records:
            async for record in records:
                if record.event == "landed":
                    self._landings.append(self._clock.now())
                self._wake()

    def mark(self) -> asyncio.Event:
        """To be taken before reading, and given to `news` after it."""
        return self._news

    async def news(self, mark: asyncio.Event, timeout: float) -> bool:
        """Wait until something happened since `mark`; False after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                return await mark.wait()
        except TimeoutError:
            return False

    async def status(self) -> dict[str, Any]:
        if self.final is not None:
            return self.final
        return await self._status()

    async def _close(self, code: int, error: OyaError | None) -> None:
        final = await self._status()
        final["seconds"] = round(self._clock.monotonic() - self._started, 1)
        final["exit"] = code
        if error is not None:
            final["error"] = {"what": str(error), "safe": error.safe, "hint": error.hint}
        self.final = final
        self._wake()

    async def sync(self) -> dict[str, Any]:
        self._running()
        return await self._universe.sync()

    async def stop(self, now: bool) -> dict[str, Any]:
        swarm = self._swarm
        if self._swarming is not None and swarm and swarm.status is SwarmStatus.STARTING:
            self._swarming.cancel()  # nothing is claimed yet, so there is nothing to wait for
        elif self.final is None:
            await self._universe.stop(now=now)
        return {"stopping": True}

    async def pause(self) -> dict[str, Any]:
        self._running()
        await self._universe.pause()
        return {"paused": True}

    async def resume(self) -> dict[str, Any]:
        self._running()
        await self._universe.resume()
        return {"paused": False}

    async def set(self, changes: Mapping[str, str]) -> dict[str, Any]:
        self._running()
        if not changes:
            raise UsageError("Nothing to set.", hint="For example: oya swarm set target=10")
        await self._universe.set(changes)
        return {"set": dict(changes)}

    async def _apply(self, bead: str, event: e.Event) -> BeadState:
        self._running()
        return await self._universe.person(bead, event)

    async def _status(self) -> dict[str, Any]:
        swarm = self._swarm
        starting = swarm is None or swarm.status is SwarmStatus.STARTING
        alive = None
        if not starting and swarm and not swarm.ended:
            try:
                alive = await self._universe.live()
            except OyaError:  # in the middle of ending: what the store knows will do
                alive = None
        now = self._clock.now()
        landings = list(self._landings)
        left = swarm.target_beads - swarm.landed_beads if swarm else 0
        due = report.estimate(landings, self._began, left, now)
        found = report.status(
            swarm, self.store.beads.all().values(), alive, stamp(due) if due else None
        )
        if alive is None and swarm is not None:
            found["landing"]["behind"] = {swarm.branch: await self._behind(swarm.branch)}
        return found

    @property
    def _swarm(self) -> SwarmState | None:
        return self.store.swarms.current()

    def _running(self) -> None:
        """Refuse what needs a swarm at work."""
        swarm = self._swarm
        if self.final is not None or swarm is None or swarm.ended:
            raise self._idle()
        if swarm.status is SwarmStatus.STARTING:
            raise OyaError(
                f"{swarm.id} is still starting: it proves the base first.",
                safe="Nothing was changed.",
                hint="Try again in a moment.",
            )

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()
