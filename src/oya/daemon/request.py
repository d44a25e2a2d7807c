"""What a command asks a new daemon to run; one JSON object on its command line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Request:
    """`cwd` is where it was typed; `flags` by dotted TOML key, as `swarm.config.load` takes them.

    `resume` is a swarm's id, "last", or "" for oya to decide; `new` never goes on with an
    older swarm; `beads` limits the work to these.
    """

    cwd: str
    flags: Mapping[str, Any] = field(default_factory=dict)
    beads: tuple[str, ...] = ()
    resume: str = ""
    new: bool = False

    def to_json(self) -> str:
        """The request on one line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Request:
        """The reverse of `to_json`."""
        row = json.loads(text)
        return cls(**(row | {"beads": tuple(row["beads"])}))
