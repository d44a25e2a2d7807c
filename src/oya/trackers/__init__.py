"""Where beads come from and where their closing goes back to.

`port` says what a tracker does, its implementations stand beside it, and
`detect` chooses one. Claims are no business of a tracker: they live in oya's
own store.
"""

from __future__ import annotations

from oya.trackers.detect import detect
from oya.trackers.port import Snapshot, Tracker

__all__ = ["Snapshot", "Tracker", "detect"]
