"""The tracker of the simulated machine: the file in the user's worktree."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime

from oya.beads import PATH, dumps
from oya.beads.noticed import Noticed, offer
from oya.errors import TrackerError
from oya.testing.simulation.git import GitDisk
from oya.testing.simulation.life import Life
from oya.trackers.jsonl import decode, missing
from oya.trackers.port import Snapshot


class SimulatedTracker:
    """`trackers.port.Tracker` over the worktree of a `GitDisk`.

    `failing` makes it refuse; `takes` says how many seconds a step lasts longer than it should.
    """

    kind = "simulated"
    path = PATH

    def __init__(
        self,
        disk: GitDisk,
        life: Life,
        failing: Callable[[], bool] = lambda: False,
        takes: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._disk = disk
        self._life = life
        self._failing = failing
        self._takes = takes

    async def read(self, known: Snapshot | None = None) -> Snapshot:
        """See `Tracker.read`."""
        await self._life.turn("", self._life.moment(0.05) + self._takes())
        data = self._data()
        fingerprint = hashlib.sha256(data).hexdigest()
        if known is not None and known.fingerprint == fingerprint:
            return known
        return Snapshot(decode(data, known.backlog if known else None), fingerprint)

    async def close(
        self, bead_id: str, reason: str, at: datetime, found: Sequence[Noticed] = ()
    ) -> None:
        """See `Tracker.close`."""
        await self._life.turn("tracker close", self._takes())
        before = decode(self._data())
        after = offer(before.close(bead_id, reason, at), bead_id, found, at)
        if after is not before:
            self._disk.working[PATH] = dumps(after).encode()
        await self._life.turn("tracker close done", self._life.moment(0.05) + self._takes())

    def _data(self) -> bytes:
        if self._failing():
            raise TrackerError(f"{PATH} cannot be read now.", safe="Nothing was changed.")
        if PATH not in self._disk.working:
            raise missing()
        return self._disk.working[PATH]
