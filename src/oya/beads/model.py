"""One bead, read from one record of a tracker.

Backlogs are written by many tools and by hand, so reading is lenient: a field
of the wrong type counts as absent, two generations of the format are one
model, and whatever has no field here is kept in `extra`. Only a record
without a usable id is refused. The record itself is never written from a
`Bead`; see `oya.beads.codec`.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

DEFAULT_PRIORITY: Final = 2
LOWEST_PRIORITY: Final = 4
FINISHED: Final = frozenset({"closed", "tombstone"})


@dataclass(frozen=True, slots=True)
class Dependency:
    """`depends_on` is the id of another bead; `type` says how (`-`, never `_`, between words)."""

    depends_on: str
    type: str


@dataclass(frozen=True, slots=True)
class Comment:
    """What somebody wrote below a bead; `id` is a string whatever the tool made of it."""

    id: str
    author: str
    text: str
    created_at: datetime | None


@dataclass(frozen=True, slots=True)
class Bead:
    """One unit of work, as the tracker tells it.

    `priority` is 0 (highest) to 4. Times are aware and in UTC, None where
    absent or unreadable. Texts are always encodable. `extra` holds the
    record's other fields unread.
    """

    id: str
    title: str = ""
    description: str = ""
    design: str = ""
    acceptance_criteria: str = ""
    notes: str = ""
    status: str = "open"
    priority: int = DEFAULT_PRIORITY
    issue_type: str = "task"
    labels: tuple[str, ...] = ()
    dependencies: tuple[Dependency, ...] = ()
    comments: tuple[Comment, ...] = ()
    assignee: str = ""
    estimated_minutes: int | None = None
    created_at: datetime | None = None
    updated_at: datetime | None = None
    closed_at: datetime | None = None
    close_reason: str = ""
    due_at: datetime | None = None
    defer_until: datetime | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)

    @property
    def criteria(self) -> tuple[str, ...]:
        """The acceptance criteria AC1…ACn: the non-empty lines, without surrounding space."""
        return tuple(line.strip() for line in self.acceptance_criteria.split("\n") if line.strip())

    @property
    def closed(self) -> bool:
        """Whether the tracker is done with it: closed, or deleted with a tombstone left."""
        return self.status in FINISHED

    @property
    def text_key(self) -> str:
        """A hash (hex) of title, description and criteria: another key, another contract."""
        text = json.dumps([self.title, self.description, self.criteria])
        return hashlib.sha256(text.encode()).hexdigest()


def is_bead(record: Mapping[str, Any]) -> bool:
    """Whether a record is an issue at all; bd 1.x also exports memories."""
    return record.get("_type") in (None, "issue")


def bead_from(record: Mapping[str, Any]) -> Bead:
    """The bead that a record describes.

    Raises ValueError, with words for a person, if it has no usable id.
    """
    bead_id = record.get("id")
    if not isinstance(bead_id, str) or not bead_id.strip():
        raise ValueError("the issue has no id" if bead_id is None else "the id is not a text")
    if bead_id != _text(bead_id) or not bead_id.isprintable() or bead_id != bead_id.strip():
        raise ValueError(f"the id {bead_id!a} has characters that no id can have")
    return Bead(
        id=bead_id,
        title=_text(record.get("title")),
        description=_text(record.get("description")),
        design=_text(record.get("design")),
        acceptance_criteria=_lines(record.get("acceptance_criteria")),
        notes=_text(record.get("notes")),
        status=_word(record.get("status")) or "open",
        priority=_priority(record.get("priority")),
        issue_type=_word(record.get("issue_type")) or "task",
        labels=_labels(record.get("labels")),
        dependencies=_dependencies(record.get("dependencies")),
        comments=_comments(record.get("comments")),
        assignee=_text(record.get("assignee")),
        estimated_minutes=_minutes(record.get("estimated_minutes")),
        created_at=_time(record.get("created_at")),
        updated_at=_time(record.get("updated_at")),
        closed_at=_time(record.get("closed_at")),
        close_reason=_text(record.get("close_reason")),
        due_at=_time(record.get("due_at")),
        defer_until=_time(record.get("defer_until")),
        extra={name: value for name, value in record.items() if name not in _KNOWN} or _NOTHING,
    )


_KNOWN = frozenset(Bead.__dataclass_fields__) - {"extra"}
_NOTHING: Mapping[str, Any] = {}  # one for all beads: a backlog may have 100,000 of them


def _text(value: Any) -> str:
    if not isinstance(value, str):
        return ""
    # JSON can spell half of a surrogate pair, which no file, prompt or database takes.
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def _word(value: Any) -> str:
    """One of a few words that most beads share."""
    return sys.intern(_text(value).strip())


def _lines(value: Any) -> str:
    if isinstance(value, list):
        return "\n".join(_text(line) for line in value)
    return _text(value)


def _time(value: Any) -> datetime | None:
    if not isinstance(value, str) or not value:
        return None
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _priority(value: Any) -> int:
    if isinstance(value, str) and value.strip().upper().removeprefix("P") in {*"01234"}:
        value = int(value.strip()[-1])
    if not isinstance(value, int) or isinstance(value, bool):
        return DEFAULT_PRIORITY
    return min(max(value, 0), LOWEST_PRIORITY)


def _minutes(value: Any) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    return None


def _labels(value: Any) -> tuple[str, ...]:
    labels = (sys.intern(_text(label)) for label in value) if isinstance(value, list) else ()
    return tuple(label for label in labels if label)


def _dependencies(value: Any) -> tuple[Dependency, ...]:
    found = []
    for entry in value if isinstance(value, list) else ():
        if isinstance(entry, str):  # by hand: "dependencies": ["a-1"]
            entry = {"depends_on_id": entry}
        target = _text(entry.get("depends_on_id")) if isinstance(entry, dict) else ""
        if target:
            kind = _word(entry.get("type")).replace("_", "-") or "blocks"
            found.append(Dependency(target, kind))
    return tuple(found)


def _comments(value: Any) -> tuple[Comment, ...]:
    entries = value if isinstance(value, list) else ()
    return tuple(
        Comment(
            id=_text(str(entry.get("id", ""))),
            author=_text(entry.get("author")),
            text=_text(entry.get("text")),
            created_at=_time(entry.get("created_at")),
        )
        for entry in entries
        if isinstance(entry, dict)
    )
