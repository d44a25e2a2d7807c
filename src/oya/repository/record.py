"""What oya knows of a workspace, beside the workspace: enough to save its work after a crash."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Record:
    """`head` and `tree` are those of the newest snapshot; before one, of the start.

    `ready` is set when everything was checked out: before that, a file that is missing
    was not deleted by anybody. `prepared` are the files that `prepare` made and git
    does not ignore, with what tells that they were not touched since. `folder` is where the
    workspace was made: the repository may have moved since, or the cache be another.
    """

    bead: str
    epoch: int
    branch: str
    start: str
    head: str
    tree: str
    conflicts: tuple[str, ...] = ()
    ready: bool = False
    prepared: dict[str, tuple[int, int]] = field(default_factory=dict)
    folder: str = ""

    def at(self, head: str, tree: str) -> Record:
        """The same after a snapshot."""
        return replace(self, head=head, tree=tree)

    def save(self, admin: Path) -> None:
        """Write it, whole or not at all."""
        admin.mkdir(parents=True, exist_ok=True)
        new = admin / "record.new"
        new.write_text(json.dumps(asdict(self)))
        new.replace(admin / "record.json")


def load(admin: Path) -> Record | None:
    """The record of a workspace; None if there is none that can be read."""
    try:
        data: dict[str, Any] = json.loads((admin / "record.json").read_text())
        data["conflicts"] = tuple(data["conflicts"])
        data["prepared"] = {path: (a, b) for path, (a, b) in data["prepared"].items()}
        return Record(**data)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def fingerprint(path: Path) -> tuple[int, int] | None:
    """Size and time of change (ns) of what lies there; None if nothing does."""
    try:
        seen = path.lstat()
    except OSError:
        return None
    return seen.st_size, seen.st_mtime_ns
