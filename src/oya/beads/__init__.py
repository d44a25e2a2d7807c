"""The work itself: beads as they stand in a backlog, and what may be worked on. Pure, no I/O.

- `model`: one bead, read leniently from what a tracker's tool wrote.
- `codec`: the JSONL file as a value; what oya does not change stays byte for byte.
- `noticed`: what agents noticed besides, offered as new lines.
- `merge`: three versions of such a file become one, bead by bead.
- `graph`: who waits for whom (`oya.beads.graph` loads rustworkx; import it where it is needed).
- `where`: the `[tracker] where` expression.
- `order`: what may be claimed, and in which order.
"""

from __future__ import annotations

from oya.beads.codec import PATH, Backlog, dumps, overlay, parse
from oya.beads.model import Bead, Comment, Dependency

__all__ = ["PATH", "Backlog", "Bead", "Comment", "Dependency", "dumps", "overlay", "parse"]
