"""The desk while a swarm runs, and for a moment after it has ended."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import structlog

from oya.clock import Clock, stamp
from oya.daemon.desk import StoreDesk
from oya.daemon.running import RunningSwarm
from oya.errors import OyaError, UsageError
from oya.lifecycle.events import Event
from oya.lifecycle.model import BeadState, Limits
from oya.lifecycle.swarm import SwarmState, SwarmStatus
from oya.repository.places import Place
from oya.store.store import Store
from oya.swarm import report
from oya.swarm.tally import Tally

log = structlog.get_logger()


class LiveDesk(StoreDesk):
    """Answers while a swarm runs, and for a moment after it has ended.

    `run` runs the swarm, to its end whatever happens; afterwards `final` is its last status.
    """

    def __init__(
        self,
        store: Store,
        place: Place,
        limits: Limits,
        universe: RunningSwarm,
        swarm: str,
        clock: Clock,
    ) -> None:
        super().__init__(store, place, lambda: limits)
        self._universe = universe
        self._id = swarm
        self._clock = clock
        self._tally = Tally.of(store.beads)
        self._began = clock.now()
        self._started = clock.monotonic()
        self._landings: deque[datetime] = deque(maxlen=report.RECENT + 1)
        self._news = asyncio.Event()
        self._seen = store.events.last
        self._swarming: asyncio.Task[SwarmState] | None = None
        self._stops_first = False
        self.final: dict[str, Any] | None = None

    async def run(self) -> dict[str, Any]:
        """Run the swarm; its final status, with "seconds" and "exit" added. Raises nothing."""
        watch = asyncio.create_task(self._watch(), name="watch events")
        self._swarming = asyncio.create_task(self._universe.run(), name="universe")
        if self._stops_first:
            await asyncio.sleep(0)  # it has begun then, so that it can say how it ended
            self._swarming.cancel()
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
        """Until cancelled: note landings for the estimate, wake whoever follows."""
        with self.store.events.subscribe(self._seen) as records:
            async for record in records:
                if record.event == "landed":
                    self._landings.append(self._clock.now())
                self._seen = record.seq
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
        if self._swarming is None:
            self._stops_first = True
        elif swarm and swarm.status is SwarmStatus.STARTING:
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

    async def _apply(self, bead: str, event: Event) -> BeadState:
        if self.final is not None:
            return await super()._apply(bead, event)
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
        found = report.status(swarm, self._tally, alive, stamp(due) if due else None)
        if alive is None and swarm is not None:
            found["landing"]["behind"] = {swarm.branch: await self._behind(swarm.branch)}
        return found

    @property
    def _swarm(self) -> SwarmState | None:
        return self.store.swarms.get(self._id)

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
