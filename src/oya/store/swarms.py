"""Swarms: one row each; a change of status is an event, a counter need not be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from oya.errors import RefusedError
from oya.lifecycle.record import EventRecord
from oya.lifecycle.swarm import SwarmState
from oya.store.head import Draft
from oya.store.writer import Writer

_NOTHING: Mapping[str, Any] = MappingProxyType({})

OnSwarm = Callable[[SwarmState], SwarmState]
"""A swarm's next state by its newest one; it must do nothing else."""


class SwarmStore:
    """The swarms of a repository. Reads come from the head; changes are durable on return."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self._all = MappingProxyType(writer.head.swarms)

    def get(self, swarm: str) -> SwarmState | None:
        """The acknowledged state."""
        return self._writer.head.swarms.get(swarm)

    def all(self) -> Mapping[str, SwarmState]:
        """A live read-only view, oldest first."""
        return self._all

    def current(self) -> SwarmState | None:
        """The newest swarm, ended or not."""
        return next(reversed(self._writer.head.swarms.values()), None)

    async def put(
        self,
        state: SwarmState,
        *,
        event: str,
        reason: str | None = None,
        data: Mapping[str, Any] = _NOTHING,
    ) -> EventRecord:
        """Set a swarm's state, new or not, with its event."""
        return await self._writer.submit(lambda draft: _put(draft, state, event, reason, data))

    async def update(
        self,
        swarm: str,
        change: OnSwarm,
        *,
        event: str | None,
        reason: str | None = None,
        data: Mapping[str, Any] = _NOTHING,
    ) -> SwarmState:
        """Change a swarm.

        Without `event` no record is written: for counters. `RefusedError`: there is no such
        swarm, or `change` refused; nothing was changed.
        """

        def decide(draft: Draft) -> SwarmState:
            state = change(_known(draft, swarm))
            if event is not None:
                _put(draft, state, event, reason, data)
            else:
                draft.put_swarm(state)
            return state

        return await self._writer.submit(decide)


def change_swarm(draft: Draft, swarm: str | None, change: OnSwarm | None) -> None:
    """Change the swarm's row beside what else is in the draft, if it is to be changed.

    `RefusedError`: there is no such swarm, or `change` refused.
    """
    if change is not None:
        draft.put_swarm(change(_known(draft, swarm or "")))


def _known(draft: Draft, swarm: str) -> SwarmState:
    state = draft.swarm(swarm)
    if state is None:
        raise RefusedError(f"there is no swarm {swarm or 'given'}", safe="Nothing was changed.")
    return state


def _put(
    draft: Draft, state: SwarmState, event: str, reason: str | None, data: Mapping[str, Any]
) -> EventRecord:
    old = draft.swarm(state.id)
    moved = old is None or old.status is not state.status
    draft.put_swarm(state)
    return draft.record(
        event,
        swarm=state.id,
        from_=str(old.status) if old and moved else None,
        to=str(state.status) if moved else None,
        reason=reason,
        data=data,
    )
