"""Beads: their states change by the lifecycle's table alone, one event record each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeVar

from oya.errors import RefusedError, StoreUnavailable
from oya.lifecycle.events import Added, Event, name_of
from oya.lifecycle.model import BeadState, Limits, state_to_json
from oya.lifecycle.record import EventRecord
from oya.lifecycle.table import Effect, transition
from oya.store.engine import Put, Row, Write
from oya.store.head import BeadDetails, Draft, Shed, bead_row, fields_of, plain, with_details
from oya.store.swarms import OnSwarm, change_swarm
from oya.store.writer import Writer

SIDE_TABLES = ("contracts", "checkpoints", "evidence", "intents")
CONTRACT_FIELDS = ("error_variants", "preconditions", "postconditions", "test_plan")
_REASONS = ("reason", "why", "question", "contradiction", "unchecked", "note")
_OWN_FIELDS = ("epoch", "agent", "failure")
_KEEP: Any = object()

TRIES = 10
T = TypeVar("T")

Watcher = Callable[[BeadState | None, BeadState], None]
"""Hears of a bead's state as it was acknowledged before, and as it is now."""


@dataclass(frozen=True, slots=True)
class Applied:
    """An event that happened: the state after it, what must be done, and its record."""

    state: BeadState
    effects: tuple[Effect, ...]
    record: EventRecord


class BeadStore:
    """The beads of a repository. Reads come from the head; changes are durable on return."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._all = MappingProxyType(writer.head.beads)
        self._watchers: list[Watcher] = []
        self._told: dict[str, BeadState] = {}

    def watch(self, watcher: Watcher) -> None:
        """Let `watcher` hear of every bead that changes, before whoever changed it does.

        It is called in the order of the changes, and must not raise; of several in one commit
        it hears the last.
        """
        if not self._watchers:
            self._told = dict(self._all)
            self._writer.readers.setdefault("beads", []).append(self._written)
        self._watchers.append(watcher)

    def _written(self, write: Write) -> None:
        before, after = self._told.get(write.key), self._all[write.key]
        if after is not before:  # what stands beside the state may have changed alone
            self._told[write.key] = after
            for watcher in self._watchers:
                watcher(before, after)

    def get(self, bead: str) -> BeadState | None:
        """The acknowledged state."""
        return self._writer.head.beads.get(bead)

    def all(self) -> Mapping[str, BeadState]:
        """A live read-only view of all states, in the order in which beads were added."""
        return self._all

    def row(self, bead: str) -> Row | None:
        """The record as it stands in the table `beads`, with the whole state; contract and test
        results only while the bead is not over."""
        state = self.get(bead)
        if state is None:
            return None
        row = bead_row(state, self._writer.head.details[bead]) | {"state": state_to_json(state)}
        told: Row = plain(row)
        return told

    def changed_at(self, bead: str) -> str:
        """When its row was last changed, as it stands in records; "" for an unknown bead."""
        details = self._writer.head.details.get(bead)
        return details.updated_at if details else ""

    async def apply(
        self,
        bead: str,
        event: Event,
        *,
        swarm: str | None,
        limits: Limits,
        agent: str | None = None,
        data: Mapping[str, Any] = MappingProxyType({}),
        also: Sequence[Write] = (),
        on_swarm: OnSwarm | None = None,
        workspace: str | None = None,
    ) -> Applied:
        """Change a bead by the table. State, record, `also` and the swarm go in one commit.

        `also` may write the tables contracts, checkpoints, evidence and intents; a contract
        put under the bead's id shows in the bead's row, and so does `workspace`, the folder
        of its attempt. `on_swarm` changes the row of `swarm`. `RefusedError`: nothing was
        changed; also for an unknown bead, unless the event is `Added`. `StoreUnavailable`:
        nothing was changed.
        """

        def decide(draft: Draft) -> Applied:
            applied = _step(draft, bead, event, swarm, limits, agent, data, also, workspace)
            change_swarm(draft, swarm, on_swarm)
            return applied

        return await self._submit([bead], decide)

    async def apply_many(
        self,
        items: Sequence[tuple[str, Event]],
        *,
        swarm: str | None,
        limits: Limits,
        agent: str | None = None,
        data: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
        also: Sequence[Write] = (),
        on_swarm: OnSwarm | None = None,
    ) -> list[Applied]:
        """Several changes in one commit, in order: all of them, or the first refusal and none.

        `data` is by bead, `also` as for `apply`.
        """

        def decide(draft: Draft) -> list[Applied]:
            done = [
                _step(draft, b, e, swarm, limits, agent, data.get(b, {}), also if not n else ())
                for n, (b, e) in enumerate(items)
            ]
            change_swarm(draft, swarm, on_swarm)
            return done

        return await self._submit([bead for bead, _ in items], decide)

    async def describe(
        self,
        bead: str,
        *,
        title: str | None = _KEEP,
        test_results: Any = _KEEP,
        contract: Any = _KEEP,
    ) -> None:
        """Set what the row holds beside the state; no event. `RefusedError`: unknown bead."""
        given = {
            "title": title,
            "test_results": test_results,
            "contract": contract,
        }
        changes = {name: plain(value) for name, value in given.items() if value is not _KEEP}

        def decide(draft: Draft) -> None:
            state, details = draft.bead(bead), draft.details(bead)
            if state is None or details is None:
                raise _unknown(bead)
            draft.put_bead(state, with_details(details, **changes))

        await self._submit([bead], decide)

    async def _submit(self, beads: Sequence[str], decide: Callable[[Draft], T]) -> T:
        """Submit a change of these beads, with what those that are over had shed."""
        known = self._writer.head.details
        for _ in range(TRIES):
            over = [bead for bead in beads if bead in known and known[bead].shed]
            rows = await self._rows(over) if over else {}
            try:
                return await self._writer.submit(_with(rows, decide) if rows else decide)
            except Shed:
                continue  # it ended, or changed, between the reading and the deciding
        raise StoreUnavailable("a bead changes too fast", safe="Nothing was changed.")

    async def _rows(self, beads: Sequence[str]) -> dict[str, Row]:
        engine = self._writer.engine
        rows = {bead: await engine.get("beads", bead) for bead in beads}
        return {bead: row for bead, row in rows.items() if row is not None}


def _with(rows: Mapping[str, Row], decide: Callable[[Draft], T]) -> Callable[[Draft], T]:
    def decide_whole(draft: Draft) -> T:
        for bead, row in rows.items():
            draft.give_back(bead, row)
        return decide(draft)

    return decide_whole


def _step(
    draft: Draft,
    bead: str,
    event: Event,
    swarm: str | None,
    limits: Limits,
    agent: str | None = None,
    data: Mapping[str, Any] = MappingProxyType({}),
    also: Sequence[Write] = (),
    workspace: str | None = None,
) -> Applied:
    before = draft.bead(bead)
    if before is None and not isinstance(event, Added):
        raise _unknown(bead)
    after, effects = transition(before or BeadState(bead), event, limits)
    class_, reason, told = _told(event, data, after)
    record = draft.record(
        name_of(event),
        swarm=swarm,
        bead=bead,
        from_=before.where if before else None,
        to=after.where,
        epoch=getattr(event, "epoch", after.epoch),  # of the attempt that it ends, if it ends one
        agent=agent or (before.agent if before else None) or after.agent,
        class_=class_,
        reason=reason,
        data=told,
    )
    details = draft.details(bead) or BeadDetails(record.seq, record.at, record.at)
    if isinstance(event, Added):
        details = with_details(details, title=event.title)
    if workspace is not None:
        details = with_details(details, workspace=workspace)
    for write in also:
        if write.table not in SIDE_TABLES:
            raise ValueError(f"{write.table} is written by its own store only")
        draft.write(write)
        if isinstance(write, Put) and (write.table, write.key) == ("contracts", bead):
            contract = {name: write.row[name] for name in CONTRACT_FIELDS if name in write.row}
            details = with_details(details, contract=plain(contract))
    draft.put_bead(after, details)
    return Applied(after, effects, record)


def _told(
    event: Event, data: Mapping[str, Any], after: BeadState
) -> tuple[str | None, str | None, dict[str, Any]]:
    """Class, reason and data of a record, out of the event's fields. A failure says how many
    attempts are used with it."""
    told = fields_of(event)
    failure = told.get("failure")
    for name in _OWN_FIELDS:
        told.pop(name, None)
    reason = None
    for name in _REASONS:
        if told.get(name):
            reason = told.pop(name)
            break
    if failure:
        told["used"] = after.retry_count
    told.update(data)
    return str(failure) if failure else None, reason, told


def _unknown(bead: str) -> RefusedError:
    return RefusedError(
        f"there is no bead {bead}", safe="Nothing was changed.", hint="Type: oya beads"
    )
