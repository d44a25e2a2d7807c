"""Data goes to stdout, words about it to stderr. Words are for a terminal, and much of what is
in them was written by agents, tests and trackers: what a terminal would obey is shown instead."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any

from oya.errors import OyaError

_COLOUR = re.compile(r"\x1b\[[0-9;:]*m")
_PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"}
_OTHERS = (0x7F, *range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_SHOWN = _PICTURES | dict.fromkeys(_OTHERS, 0xFFFD)
"""What moves the cursor, titles the window or turns the writing round, and its picture."""


class Format(StrEnum):
    """How a command prints its data."""

    TEXT = "text"
    JSON = "json"


def data(value: Any) -> None:
    """One JSON object on one line of stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def lines(text: Iterable[str], *, exact: bool = False) -> None:
    """Lines of text on stdout. `exact`: as they are, where no terminal reads them."""
    exact = exact and not sys.stdout.isatty()
    for line in text:
        sys.stdout.write(f"{line if exact else plain(line)}\n")
    sys.stdout.flush()


def plain(text: str) -> str:
    """Without colours, and with a picture (`␛`, `�`) of whatever else a terminal would obey."""
    return _COLOUR.sub("", text).translate(_SHOWN)


def plainly(value: Any) -> Any:
    """The same of every text in decoded JSON."""
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, list):
        return [plainly(one) for one in value]
    if isinstance(value, dict):
        return {key: plainly(one) for key, one in value.items()}
    return value


def show(
    value: Any, form: Format, words: Callable[[Any], Iterable[str]], *, exact: bool = False
) -> None:
    """The same answer for a program or for a person."""
    if form is Format.JSON:
        data(value)
    else:
        lines(words(value), exact=exact)


def say(text: str) -> None:
    """Progress, a hint or a warning, on stderr."""
    sys.stderr.write(f"{plain(text)}\n")
    sys.stderr.flush()


def complain(error: OyaError) -> None:
    """What happened, what is safe, what to type next."""
    what, *rest = error.lines()
    say(f"oya: {what}")
    for line in rest:
        for part in line.splitlines():
            say(f"     {part}" if part else "")
