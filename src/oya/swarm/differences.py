"""What the tracker says of beads that their states do not know yet, bead by bead.

Only the beads are looked at of which something changed since the last look: the tracker's
record, the state, something that they wait for, or the time until which they are deferred.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from oya.beads import Bead
from oya.beads.order import unfit
from oya.beads.where import Where
from oya.lifecycle import events as e
from oya.lifecycle.model import BeadState, Phase, Status
from oya.swarm.assembly import Parts

Change = tuple[str, e.Event]


class Differences:
    """Between the board and the store of one swarm."""

    def __init__(self, parts: Parts, where: Where) -> None:
        self._board = parts.board
        self._beads = parts.store.beads
        self._clock = parts.clock
        self._where = where
        self._at = parts.clock.now()
        self._looks = 0
        self._missing: dict[str, int] = {}
        self._touched: dict[str, None] | None = None  # None: nothing was looked at yet
        parts.board.on_change(self._read)
        parts.store.beads.watch(self._moved)

    def looked(self) -> None:
        """The tracker was read once more, whether or not anything had changed there."""
        self._looks += 1

    def touched(self) -> list[str]:
        """The beads to look at now. Whatever is not dealt with must be `touch`ed again."""
        now = self._clock.now()
        self.touch(self._board.due(self._at, now))
        touched = self._touched
        if touched is None:
            touched = dict.fromkeys((*self._board.beads, *self._beads.all()))
        self._touched, self._at = {}, now
        return list(touched | dict.fromkeys(self._missing))

    @property
    def pending(self) -> bool:
        """Whether there are beads to look at."""
        return bool(self._touched)

    def touch(self, beads: Iterable[str]) -> None:
        """Something changed, or is to be tried again."""
        if self._touched is not None:
            self._touched.update(dict.fromkeys(beads))

    def of(self, bead: str) -> Iterator[Change]:
        """What is to become of that bead. What is landing is let alone: the lander looks itself."""
        known, state = self._board.beads.get(bead), self._beads.get(bead)
        if known is None:
            if state is not None and self._is_gone(state) and not _is_landing(state):
                yield bead, e.Removed("deleted in the tracker")
            return
        self._missing.pop(bead, None)
        if state is not None:
            if not _is_landing(state):
                yield from self._difference(known, state)
        elif unfit(known, self._where, self._clock.now()) is None:
            yield bead, e.Added(known.title, known.text_key)
            yield from self._blocking(known, BeadState(bead))

    def differs(self, bead: str) -> bool:
        """Whether the tracker says something of this bead that its state does not know yet."""
        known, state = self._board.beads.get(bead), self._beads.get(bead)
        if known is None or state is None:
            return True
        return any(True for _ in self._difference(known, state))

    def _read(self, changed: Sequence[str]) -> None:
        for bead in changed if self._touched is not None else ():
            self.touch((bead, *self._board.graph.behind(bead)))

    def _moved(self, before: BeadState | None, after: BeadState) -> None:
        self.touch((after.id,))
        if (_has_landed(before), _is_removed(before)) != (_has_landed(after), _is_removed(after)):
            self.touch(self._board.graph.behind(after.id))

    def _is_gone(self, state: BeadState) -> bool:
        """Missing in two looks, one after the other: some programs write a file bit by bit."""
        if not _is_open(state):
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
        text = bead.text_key
        if state.text != text:
            yield bead.id, e.Edited(text)
        yield from self._blocking(bead, state)

    def _blocking(self, bead: Bead, state: BeadState) -> Iterator[Change]:
        waits = self._board.waits_for(bead.id, self._landed, self._lingers)
        why = unfit(bead, self._where, self._clock.now())
        words = (
            f"waits for {', '.join(waits)}" if waits else f"the tracker says: {why}" if why else ""
        )
        if words and not state.blocked:
            yield bead.id, e.Blocked(words)
        elif state.blocked and not words:
            yield bead.id, e.Unblocked()

    def _landed(self, bead: str) -> bool:
        return _has_landed(self._beads.get(bead))

    def _lingers(self, bead: str) -> bool:
        """Missing in the tracker, and not removed for it: perhaps half of the file was read."""
        state = self._beads.get(bead)
        return state is not None and _is_open(state)


def _has_landed(state: BeadState | None) -> bool:
    return state is not None and state.has_landed


def _is_removed(state: BeadState | None) -> bool:
    return state is not None and state.status is Status.REMOVED


def _is_open(state: BeadState) -> bool:
    return state.phase is not Phase.LANDED and state.status is not Status.REMOVED


def _is_landing(state: BeadState) -> bool:
    return state.phase is Phase.LANDING and state.status is Status.IN_PROGRESS
