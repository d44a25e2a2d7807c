"""The state of a repository on disk: where it is, and whether there is any."""

from __future__ import annotations

from typing import TYPE_CHECKING

from oya.clock import Clock
from oya.repository.places import Place

if TYPE_CHECKING:
    from oya.store import Store

WAIT = 5.0
"""Seconds to wait for another process to let go of the state."""


def has_state(place: Place) -> bool:
    """Whether anything was ever kept for this repository."""
    return (place.state / "sequence").exists()


async def open_store(place: Place, clock: Clock, *, sync: bool = True) -> Store:
    """Open or create it, waiting up to 5 s for the lock; `StoreError` in one of its forms."""
    from oya.store import Store  # an engine, that whoever only looks need not load

    return await Store.open(place.state, clock=clock, sync=sync, wait=WAIT)
