"""The state of a repository on disk: where it is, and whether there is any."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING

from oya.clock import Clock
from oya.errors import StoreLocked
from oya.repository.places import Place

if TYPE_CHECKING:
    from oya.store import Store

WAIT = 5.0
"""Seconds to wait for another process to let go of the state."""
LOOK = 0.1
"""Seconds between two looks whether that is a daemon which answers by now."""


def has_state(place: Place) -> bool:
    """Whether anything was ever kept for this repository."""
    return (place.state / "sequence").exists()


async def open_store(place: Place, clock: Clock, *, sync: bool = True) -> Store:
    """Open or create it; `StoreError` in one of its forms.

    `StoreLocked` after 5 s, or as soon as whoever has it listens on the socket: it will not
    let go, and can be asked instead.
    """
    from oya.store import Store  # an engine, that whoever only looks need not load

    until = clock.monotonic() + WAIT
    while True:
        left = until - clock.monotonic()
        try:
            return await Store.open(place.state, clock=clock, sync=sync, wait=min(LOOK, left))
        except StoreLocked:
            if left <= LOOK or _listens(place.socket):
                raise


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as asked:
        asked.settimeout(LOOK)
        return asked.connect_ex(str(path)) == 0
