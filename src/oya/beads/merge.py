"""Three versions of a backlog become one, bead by bead and field by field.

Where git would see two changed lines, most often two people have changed two things of one
bead, or one has closed it: nothing that somebody did gets lost, and nobody is asked.

    merge(base, ours, theirs)     # ours: the line's version, theirs: the user's
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from oya.beads.codec import Backlog, Line, dumps, members, parse, style

_CLOSING: Final = ("status", "closed_at", "close_reason")
"""Fields that say one thing together."""
_LONG_AGO = datetime.min.replace(tzinfo=UTC)

_Key = tuple[str, int]  # a bead's id and -1, or another line's text and its number among such
_Side = dict[_Key, Line]
_Member = tuple[str, str]  # a value as it is spelled, and in one spelling for all


def merge(base: Backlog, ours: Backlog, theirs: Backlog) -> Backlog:
    """`ours` with what `theirs` changed since `base`.

    What one side alone changed is as on that side; of what both changed, lists have what each
    added, and lack what either removed, and a field is that of the record with the newer
    `updated_at`, of equal ones `theirs`. A closing wins over any other status. A bead that one
    side removed and the other changed stays. Lines stand as in `ours`, what `theirs` added
    behind the line before it there; those that hold no issue are kept or gone like beads, and
    blank ones go. Merging the result with the same two again changes nothing.
    """
    if _texts(theirs) in (_texts(base), _texts(ours)):
        return ours
    if _texts(ours) == _texts(base):
        return theirs
    (was, was_end), (mine, my_end), (other, other_end) = map(_keyed, (base, ours, theirs))
    kept: dict[_Key, Line] = {}
    for key in (*mine, *other):
        if key not in kept and (line := _choose(key, was, mine, other)):
            kept[key] = line
    if not (kept or mine):
        return ours
    lines = [kept[key] for key in _in_order(kept, mine, other)]
    end = other_end if my_end == was_end else my_end
    mark = theirs.mark if ours.mark == base.mark else ours.mark
    return Backlog((*lines, *([Line("")] if end or not lines else [])), mark)


def merge_files(base: bytes | None, ours: bytes, theirs: bytes) -> bytes:
    """The same for the bytes of files, whatever is in them; without a base, nothing is older."""
    texts = [(data or b"").decode("utf-8", "surrogateescape") for data in (base, ours, theirs)]
    first = parse(texts[0], lenient=True)
    second = parse(texts[1], first, lenient=True)
    third = parse(texts[2], second, lenient=True)
    return dumps(merge(first, second, third)).encode("utf-8", "surrogateescape")


def _texts(backlog: Backlog) -> tuple[str, tuple[str, ...]]:
    return backlog.mark, tuple(line.text for line in backlog.lines)


def _keyed(backlog: Backlog) -> tuple[_Side, bool]:
    """The lines by their keys, without blank ones; and whether a newline ends the last."""
    seen = Counter[str]()
    found: _Side = {}
    for line in backlog.lines:
        if line.bead:
            found[line.bead.id, -1] = line
        elif line.text.strip():
            found[line.text, seen[line.text]] = line
            seen[line.text] += 1
    return found, not backlog.lines[-1].text


def _choose(key: _Key, was: _Side, mine: _Side, other: _Side) -> Line | None:
    """The line for one key; None where it is gone."""
    old, one, another = was.get(key), mine.get(key), other.get(key)
    there = one or another
    if key[1] >= 0:
        wanted = _copies(*(_count(side, key[0]) for side in (was, mine, other)))
        return there if key[1] < wanted else None
    if one is None or another is None:
        return there if old is None or (there and not _same(there, old)) else None
    if _same(one, another) or (old and _same(another, old)):
        return one
    return another if old and _same(one, old) else _merged(old, one, another)


def _count(side: _Side, text: str) -> int:
    number = 0
    while (text, number) in side:
        number += 1
    return number


def _copies(was: int, mine: int, other: int) -> int:
    """How often a line that holds no issue stands in the result."""
    if mine == was:
        return other
    return mine if other == was else max(mine, other)


def _in_order(kept: _Side, mine: _Side, other: _Side) -> Iterator[_Key]:
    behind: dict[_Key | None, list[_Key]] = {}
    place: _Key | None = None
    for key in other:
        if key in mine and key in kept:
            place = key
        elif key in kept:
            behind.setdefault(place, []).append(key)
    yield from behind.get(None, ())
    for key in mine:
        if key in kept:
            yield key
            yield from behind.get(key, ())


def _same(one: Line, another: Line) -> bool:
    if one.text == another.text:
        return True
    return bool(one.bead and another.bead) and _plain(one.text) == _plain(another.text)


def _plain(text: str) -> str:
    return json.dumps(json.loads(text), sort_keys=True)


def _merged(was: Line | None, mine: Line, other: Line) -> Line:
    """One bead that both sides changed."""
    assert mine.bead and other.bead
    before = _values(was) if was else {}
    ours, theirs = _values(mine), _values(other)
    theirs_is_newer = (other.bead.updated_at or _LONG_AGO) >= (mine.bead.updated_at or _LONG_AGO)
    newer = theirs if theirs_is_newer else ours
    closing = _closing_side(before, ours, theirs, newer, mine.bead.closed, other.bead.closed)
    found: dict[str, str] = {}
    for name in dict.fromkeys((*ours, *theirs)):
        sides = before.get(name), ours.get(name), theirs.get(name)
        value = closing.get(name) if name in _CLOSING else _field(*sides, newer.get(name))
        if value is not None:
            found[name] = value[0]
    if found == {name: value[0] for name, value in ours.items()}:
        return mine
    if found == {name: value[0] for name, value in theirs.items()}:
        return other
    text = _spelled(mine.text, found)
    return replace(parse(text).lines[0], text=text)


def _values(line: Line) -> dict[str, _Member]:
    raw = {name: line.text[start:end] for name, start, end in members(line.text)}
    return {name: (text, _plain(text)) for name, text in raw.items()}


def _differ(one: _Member | None, another: _Member | None) -> bool:
    return (one and one[1]) != (another and another[1])


def _field(
    was: _Member | None, mine: _Member | None, other: _Member | None, newer: _Member | None
) -> _Member | None:
    if not _differ(mine, other) or not _differ(other, was):
        return mine
    if not _differ(mine, was):
        return other
    lists = [json.loads(value[0]) if value else [] for value in (was, mine, other)]
    if mine and other and all(isinstance(value, list) for value in lists):
        return _united(*lists)
    return newer


def _united(was: list[Any], mine: list[Any], other: list[Any]) -> _Member:
    spelled = [[json.dumps(item, sort_keys=True) for item in some] for some in (was, mine, other)]
    before, ours, theirs = ({*some} for some in spelled)
    stay = [x for x in spelled[1] if x in theirs or x not in before]
    come = [x for x in spelled[2] if x not in ours and x not in before]
    by_spelling = dict(zip(spelled[1] + spelled[2], mine + other, strict=True))
    items = [by_spelling[x] for x in (*stay, *dict.fromkeys(come))]
    return _json(items), json.dumps(items, sort_keys=True)


def _closing_side(
    before: dict[str, _Member],
    ours: dict[str, _Member],
    theirs: dict[str, _Member],
    newer: dict[str, _Member],
    mine_closed: bool,
    other_closed: bool,
) -> dict[str, _Member]:
    """Whose status, time and reason of closing hold."""
    if not _changed(before, theirs):
        return ours
    if not _changed(before, ours):
        return theirs
    if mine_closed != other_closed:
        return ours if mine_closed else theirs
    return newer


def _changed(before: dict[str, _Member], now: dict[str, _Member]) -> bool:
    return any(_differ(before.get(name), now.get(name)) for name in _CLOSING)


def _spelled(like: str, values: dict[str, str]) -> str:
    """A line with these members, spaced as `like` is."""
    found = list(members(like))
    colon, comma = style(like, found)
    inside = comma.join(f"{_json(name)}{colon}{value}" for name, value in values.items())
    begin, end = like.index('"'), found[-1][2]
    return f"{like[:begin]}{inside}{like[end:]}"


def _json(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair, which JSON can spell
        return json.dumps(value)
    return text
