"""Everything that a person can ask and say, with a swarm running or without.

`StoreDesk` stands on the store alone: a command opens it for itself when no daemon runs.
`live_desk.LiveDesk` is the same with a swarm behind it: the daemon's API. Answers are JSON
objects. Every command without a daemon pays for what is imported here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from oya.errors import OyaError, RefusedError, UsageError
from oya.lifecycle import events as e
from oya.lifecycle.model import BeadState, Limits, Status, state_to_json
from oya.lifecycle.record import EventRecord
from oya.lifecycle.swarm import SwarmStatus
from oya.repository.git import GitRepository
from oya.repository.places import Place
from oya.store.store import Store
from oya.swarm import report, story
from oya.swarm.candidate import beads_of
from oya.swarm.tally import Tally
from oya.verify.slim import STATE_FIELDS, SWARM_FIELDS

UNCLOSED = "unclosed:"
"""Checkpoints of landed beads that are still to be closed in the tracker's working file."""
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
    """Answers from the store; nothing of a swarm runs. `limits` is asked where a bead changes,
    `remote` (`[landing] remote`) where the checkout is to follow."""

    def __init__(
        self,
        store: Store,
        place: Place,
        limits: Callable[[], Limits],
        remote: Callable[[], str] = lambda: "",
    ) -> None:
        self.store = store
        self._remote = remote
        self._place = place
        self._limits = limits

    async def status(self) -> dict[str, Any]:
        """The status object of docs/reference/status.md."""
        swarm = self.store.swarms.current()
        found = report.status(swarm, Tally(self.store.beads.all().values()))
        if swarm is not None and not swarm.ended:
            found["reason"] = report.DAEMON_GONE
        if swarm is not None and swarm.branch:
            found["landing"]["behind"] = {swarm.branch: await self._behind(swarm.branch)}
        return found

    async def swarms(self) -> dict[str, Any]:
        """All swarms of this repository, in the order they were made."""
        return {"swarms": [report.status(s, Tally()) for s in self.store.swarms.all().values()]}

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
            "waits": self._waits(state),
            "checks": [asdict(check) for check in state.checks],
        }

    def _waits(self, state: BeadState) -> str | None:
        """What keeps a pending bead from being claimed, where that is the whole swarm."""
        swarm = self.store.swarms.current()
        if state.status is not Status.PENDING or swarm is None or not swarm.reason:
            return None
        stands = swarm.status in (SwarmStatus.PAUSED, SwarmStatus.FAILED)
        return f"{swarm.id} is {swarm.status}: {swarm.reason}" if stands else None

    async def events(
        self, since: int = 0, limit: int = MAX_EVENTS, bead: str | None = None
    ) -> dict[str, Any]:
        """Events after `since`, at most `limit`; `last` is the newest there is."""
        last = self.store.events.last  # before the reading: what comes meanwhile is not skipped
        records = await self._since(since, min(max(limit, 1), MAX_EVENTS), bead)
        return {"events": [r.to_json() for r in records], "last": last}

    async def snapshot(self) -> dict[str, Any]:
        """What `oya verify` reads of all states, at one moment; `last` is the newest event then.

        Beads as rows whose columns are `fields`.
        """
        intents = [intent for _, intent in await self.store.intents.all()]
        unclosed = [bead for bead, _ in await self.store.checkpoints.below(UNCLOSED)]
        pruned = await self.store.retention.pruned()
        beads = self.store.beads.all().values()
        swarms = self.store.swarms.all().values()
        return {
            "last": self.store.events.last,
            "fields": ["id", *STATE_FIELDS],
            "beads": [[s.id, *(getattr(s, name) for name in STATE_FIELDS)] for s in beads],
            "swarms": {s.id: {name: getattr(s, name) for name in SWARM_FIELDS} for s in swarms},
            "intents": beads_of(intents),
            "pushed": beads_of(intent for intent in intents if intent.get("remote")),
            "unclosed": unclosed,
            "pruned": pruned,
        }

    async def person(self, bead: str, verb: str, note: str) -> dict[str, Any]:
        """Approve, reject, retry, hold or release; the row of the bead afterwards."""
        self._bead(bead)
        event = self._said(bead, verb, note)
        try:
            state = await self._apply(bead, event)
        except RefusedError as refused:
            row = report.bead_row(self._bead(bead), self._about(bead))
            refused.hint = refused.hint or report.next_step(row) or f"oya why {bead}"
            raise
        return report.bead_row(state, self._about(bead))

    async def sync(self) -> dict[str, Any]:
        """Let the checkout follow now; what is in the way, if anything."""
        from oya.repository.follow import follow
        from oya.swarm.line import Line
        from oya.swarm.undone import hold_lost, hold_reverted
        from oya.trackers.jsonl import JsonlFile

        swarm = self.store.swarms.current()
        if swarm is None or not swarm.branch:
            return {"branch": None, "behind": 0, "why": "nothing has landed here yet"}
        repo = GitRepository(self._place)
        follows = partial(follow, repo, file=JsonlFile())
        line = Line(repo, swarm.branch, follows, remote=self._remote())
        await line.refresh()
        beads = tuple(self.store.beads.all().values())
        if line.rewritten and line.upstream is not None:
            await hold_lost(repo, line, beads, self._apply)
            await line.accept_rewrite()
        await hold_reverted(line, beads, self._apply)
        followed = await line.follow(asked=True)
        why = followed.why or line.trouble
        found = {"branch": swarm.branch, "behind": followed.behind, "why": why}
        return {**found, "note": followed.note}

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
        state = swarm.status if swarm and swarm.ended else "left by its daemon, which is gone"
        last = f" {swarm.id} is {state}." if swarm else ""
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
            bead, event, swarm=None, limits=self._limits(), agent="person"
        )
        return applied.state

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
