"""A JSONL backlog as a value: one issue per line, everything else kept as it stands.

`parse` and `dumps` are each other's inverse, byte for byte: blank lines,
carriage returns, key order, unknown fields and the missing newline at the end
included. The only change that oya makes to a record is `Backlog.close`, which
replaces single values inside that one line.

    backlog = parse(text)
    closed = backlog.close("src-abc", "landed in 1f2e3d4", clock.now())
    text = dumps(closed)
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Final, NoReturn

from oya.beads.model import Bead, bead_from, is_bead
from oya.clock import stamp
from oya.errors import TrackerError

PATH: Final = ".beads/issues.jsonl"
"""Where every tool of this format keeps it, relative to the repository's root."""

_BOM = "\ufeff"
_SPACE = " \t\r"


@dataclass(frozen=True, slots=True)
class Line:
    """One line without its newline; `bead` is None where it holds no issue."""

    text: str
    bead: Bead | None = None


@dataclass(frozen=True)
class Backlog:
    """All beads of a repository, in the order of the file. Every method gives a new value."""

    lines: tuple[Line, ...]
    mark: str = ""  # a byte order mark, where the file begins with one

    @cached_property
    def beads(self) -> tuple[Bead, ...]:
        """The issues, in the order of the file; memories and blank lines are not among them."""
        return tuple(line.bead for line in self.lines if line.bead)

    @cached_property
    def _places(self) -> Mapping[str, int]:
        return {line.bead.id: place for place, line in enumerate(self.lines) if line.bead}

    def __contains__(self, bead_id: object) -> bool:
        return bead_id in self._places

    def get(self, bead_id: str) -> Bead | None:
        """The bead of that id, or None."""
        line = self.line(bead_id)
        return line.bead if line else None

    def line(self, bead_id: str) -> Line | None:
        """The line that holds the bead of that id, or None."""
        place = self._places.get(bead_id)
        return None if place is None else self.lines[place]

    def close(self, bead_id: str, reason: str, at: datetime) -> Backlog:
        """The backlog with that bead closed; no other line changes.

        Sets status, updated_at, closed_at and close_reason. A bead that is
        closed already (or a tombstone) stays as it is, so closing twice is
        closing once. Raises TrackerError if there is no such bead.
        """
        place = self._places.get(bead_id)
        if place is None:
            raise TrackerError(
                f"The backlog has no bead {bead_id}, so it cannot be closed.",
                safe="Nothing was changed.",
                hint="Look whether it was deleted or renamed there.",
            )
        line = self.lines[place]
        if line.bead and line.bead.closed:
            return self
        text, time = line.text, stamp(at)
        text = _set(text, "status", "closed", after="")
        text = _set(text, "updated_at", time, after="created_at")
        text = _set(text, "closed_at", time, after="updated_at")
        writable = reason.encode("utf-8", "replace").decode()
        text = _set(text, "close_reason", writable, after="closed_at")
        closed = _line(text, place + 1)
        return replace(self, lines=(*self.lines[:place], closed, *self.lines[place + 1 :]))

    def adopt(self, bead_id: str, other: Backlog) -> Backlog:
        """The backlog with that bead's line from `other` added whole, if it lacks the bead."""
        line = other.line(bead_id)
        return self if line is None or bead_id in self else self._append([line])

    def _append(self, lines: list[Line]) -> Backlog:
        ended = not self.lines[-1].text
        kept, end = (self.lines[:-1], self.lines[-1:]) if ended else (self.lines, ())
        return replace(self, lines=(*kept, *lines, *end))


def parse(text: str, like: Backlog | None = None, *, lenient: bool = False) -> Backlog:
    """The backlog that a JSONL text holds.

    What stands in `like` too, line by line, is taken from there: it is not read again, and
    takes no more memory. Raises TrackerError, and takes nothing, if a line is no JSON object (named
    by line and column, both from 1), an issue has no id, or two issues have
    the same one. `lenient`: such a line is kept as a line that holds no issue.
    """
    mark = _BOM if text.startswith(_BOM) else ""
    had = like.lines if like else ()
    known = {line.text: line for line in had if line.bead or not lenient}
    lines: list[Line] = []
    seen: dict[str, int] = {}
    for number, raw in enumerate(text.removeprefix(mark).split("\n"), 1):
        line = known.get(raw) or (_any_line(raw) if lenient else _line(raw, number))
        if line.bead:
            first = seen.setdefault(line.bead.id, number)
            if first != number:
                if not lenient:
                    _refuse(number, 1, f"the bead {line.bead.id} stands on line {first} already")
                line = Line(raw)
        lines.append(line)
    return Backlog(tuple(lines), mark)


def dumps(backlog: Backlog) -> str:
    """The text of the backlog; for an unchanged one, exactly what was parsed."""
    return backlog.mark + "\n".join(line.text for line in backlog.lines)


def overlay(base: Backlog, edits: Backlog, ours: Backlog) -> Backlog:
    """`base` with what `edits` changed relative to `ours`, bead by bead.

    Meant for base's version of the file, the checkout's, and HEAD's. What
    `edits` left alone (compared as data, not as text) is base's. What it
    changed or added is taken whole, unless base has closed the bead since
    `ours` and `edits` has not: a closing wins. What it deleted goes, unless
    base changed that bead. Added beads stand at the end.
    """
    lines: list[Line] = []
    for line in base.lines:
        chosen = line if line.bead is None else _choose(line.bead.id, line, edits, ours)
        if chosen:
            lines.append(chosen)
    added = [
        line
        for line in edits.lines
        if line.bead and line.bead.id not in base and not _same(line, ours.line(line.bead.id))
    ]
    kept = replace(base, lines=tuple(lines) or (Line(""),))
    return kept._append(added) if added else kept


def _choose(bead_id: str, line: Line, edits: Backlog, ours: Backlog) -> Line | None:
    edited, before = edits.line(bead_id), ours.line(bead_id)
    if _same(edited, before):
        return line
    if edited is None:
        return None if _same(line, before) else line
    if _closed(line) and not _closed(before) and not _closed(edited):
        return line
    return edited


def _closed(line: Line | None) -> bool:
    return bool(line and line.bead and line.bead.closed)


def _same(one: Line | None, other: Line | None) -> bool:
    if one is None or other is None:
        return one is other
    return one.text == other.text or _DECODER.decode(one.text) == _DECODER.decode(other.text)


class _NotJson(ValueError):
    """A constant that Python's decoder takes and JSON does not have."""


def _constant(name: str) -> NoReturn:
    raise _NotJson(name)


_DECODER = json.JSONDecoder(parse_constant=_constant)


_CONSTANTS = re.compile(r'"(?:[^"\\]|\\.)*"|(NaN|-?Infinity)')


def _line(text: str, number: int) -> Line:
    if not text.strip(_SPACE):
        return Line(text)
    try:
        record = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        _refuse(number, error.pos + 1, error.msg)
    except _NotJson as error:
        found = (match.start(1) for match in _CONSTANTS.finditer(text) if match[1])
        _refuse(number, next(found, 0) + 1, f"{error} is no JSON value")
    except (ValueError, RecursionError):  # thousands of digits, thousands of brackets
        _refuse(number, 1, "a number too long or a value nested too deep")
    if not isinstance(record, dict):
        _refuse(number, 1, "an issue is a JSON object: {…}")
    if not is_bead(record):
        return Line(text)
    try:
        return Line(text, bead_from(record))
    except ValueError as error:
        _refuse(number, 1, str(error))


def _any_line(text: str) -> Line:
    try:
        return _line(text, 1)
    except TrackerError:
        return Line(text)


def _refuse(line: int, column: int, what: str) -> NoReturn:
    raise TrackerError(
        f"{PATH}, line {line}, column {column}: {what}.",
        safe="Nothing was taken from it and nothing was changed.",
        hint=f"Correct line {line} of {PATH} and try again.",
    ) from None


def _set(text: str, name: str, value: str, after: str) -> str:
    """That member with that value; a new one stands behind `after`, or last."""
    found = list(members(text))
    spelled = json.dumps(value, ensure_ascii=text.isascii())  # a file of one spelling keeps it
    spans = [(start, end) for key, start, end in found if key == name]
    for start, end in reversed(spans):
        text = text[:start] + spelled + text[end:]
    if spans:
        return text
    colon, comma = style(text, found)
    at = next((end for key, _, end in reversed(found) if key == after), found[-1][2])
    return f'{text[:at]}{comma}"{name}"{colon}{spelled}{text[at:]}'


def style(text: str, found: list[tuple[str, int, int]]) -> tuple[str, str]:
    """What this line writes between a name and its value, and between two of its `members`."""
    _, start, end = found[0]
    colon = text[text.rindex(":", 0, start) : start]
    if len(found) == 1:
        return colon, ", " if colon.endswith(" ") else ","
    rest = text[end:]
    return colon, rest[: rest.index('"')]


def members(text: str) -> Iterator[tuple[str, int, int]]:
    """Each member of the line's object: its name, and where its value starts and ends."""
    at = text.index("{") + 1
    while True:
        at = _skip(text, at, ",")
        if text[at] == "}":
            return
        name, at = _DECODER.raw_decode(text, at)
        start = _skip(text, at, ":")
        _, at = _DECODER.raw_decode(text, start)
        yield name, start, at


def _skip(text: str, at: int, mark: str) -> int:
    while text[at] in _SPACE or text[at] == mark:
        at += 1
    return at
