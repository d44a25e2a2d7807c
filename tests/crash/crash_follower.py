"""Somebody outside who hears what any daemon of one ground says has happened.

follower = Follower(lambda: ground.client)
...                                 # daemons live and die
follower.stop()                     # when none is left
follower.heard                      # all of it was acknowledged: it may not be lost
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

from oya.daemon.client import Client, NoDaemon
from oya.errors import OyaError

LOOK = 0.05
"""Seconds until it asks again whether a daemon is there."""
ENDS_WITHIN = 90.0
"""Seconds; a daemon that hangs is silent for 60 at most."""


class Follower:
    """Follows the event stream in a thread of its own, from one daemon to the next."""

    def __init__(self, client: Callable[[], Client]) -> None:
        self.heard: list[dict[str, Any]] = []
        self._client = client
        self._over = Event()
        pool = ThreadPoolExecutor(1, "follower")
        self._listening = pool.submit(self._listen)
        pool.shutdown(wait=False)

    def leave(self) -> None:
        """Listen no more, once the daemon that speaks has ended; idempotent."""
        self._over.set()

    def stop(self) -> None:
        """The same, and wait for it. Raises what the follower itself died of."""
        self.leave()
        self._listening.result(ENDS_WITHIN)

    def _listen(self) -> None:
        while not self._over.wait(LOOK):
            try:
                self._hear()
            except (NoDaemon, OyaError):
                continue

    def _hear(self) -> None:
        since = self.heard[-1]["seq"] if self.heard else 0
        for row in self._client().follow(since):
            if "seq" in row:  # the last one is the swarm's final status
                self.heard.append(row)
