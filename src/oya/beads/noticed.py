"""Other work that agents noticed, offered to the backlog: deferred, until a person opens it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from oya.beads.codec import Backlog, Line, members, parse, style
from oya.clock import stamp

MOST: Final = 5
"""Beads that are offered for one, at most."""
LONGEST_TITLE: Final = 200
LONGEST: Final = 4000
"""Characters of a description."""
OYA: Final = "oya"
"""Who they are by."""


@dataclass(frozen=True, slots=True)
class Noticed:
    """Work that is no part of the bead at which it was noticed."""

    title: str
    description: str = ""


def noticed(rows: Iterable[Any]) -> tuple[Noticed, ...]:
    """What agents have said, in that order: clipped, each title once, at most `MOST`.

    More said later changes nothing of what it gives before that. `rows` are `{"title": …,
    "description": …}`; what is none is passed over.
    """
    found: dict[str, Noticed] = {}
    for row in rows:
        told = row if isinstance(row, Mapping) else {}
        title = _clipped(" ".join(_plain(told.get("title")).split()), LONGEST_TITLE)
        if title and title not in found and len(found) < MOST:
            found[title] = Noticed(title, _clipped(_plain(told.get("description")), LONGEST))
    return tuple(found.values())


def offer(backlog: Backlog, bead_id: str, found: Sequence[Noticed], at: datetime) -> Backlog:
    """The backlog with these as new beads at its end, deferred, discovered from that bead.

    They are `<bead>.d1` and so on, by their places in `found`; an id that is there already stays
    as it is, so that offering twice is offering once. Without that bead nothing is added.
    """
    line = backlog.line(bead_id)
    for number, one in enumerate(found if line else (), 1):
        assert line
        text = _record(f"{bead_id}.d{number}", bead_id, one, stamp(at), line)
        backlog = backlog.adopt(f"{bead_id}.d{number}", parse(text))
    return backlog


def _record(id: str, bead_id: str, one: Noticed, at: str, like: Line) -> str:
    """A line that is spelled and spaced as `like` is."""
    found = list(members(like.text))
    colon, comma = style(like.text, found)
    by = {"created_at": at, "created_by": OYA}
    record = {
        **({"_type": "issue"} if any(name == "_type" for name, _, _ in found) else {}),
        "id": id,
        "title": one.title,
        "description": one.description,
        "status": "deferred",
        "priority": 2,
        "issue_type": "task",
        **by,
        "updated_at": at,
        "dependencies": [
            {"issue_id": id, "depends_on_id": bead_id, "type": "discovered-from", **by}
        ],
    }
    return json.dumps(record, ensure_ascii=like.text.isascii(), separators=(comma, colon))


def _plain(text: Any) -> str:
    """Without what no person types: control characters, halves of surrogate pairs."""
    said = text.encode("utf-8", "replace").decode() if isinstance(text, str) else ""
    return "".join(c for c in said if c.isprintable() or c in "\n\t").strip()


def _clipped(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
