"""Data goes to stdout, words about it to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Any

from oya.errors import OyaError


class Format(StrEnum):
    """How a command prints its data."""

    TEXT = "text"
    JSON = "json"


def data(value: Any) -> None:
    """One JSON object on one line of stdout."""
    sys.stdout.write(json.dumps(value, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def lines(text: Iterable[str]) -> None:
    """Lines of text on stdout."""
    for line in text:
        sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def show(value: Any, form: Format, words: Callable[[Any], Iterable[str]]) -> None:
    """The same answer for a program or for a person."""
    if form is Format.JSON:
        data(value)
    else:
        lines(words(value))


def say(text: str) -> None:
    """Progress, a hint or a warning, on stderr."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def complain(error: OyaError) -> None:
    """What happened, what is safe, what to type next."""
    what, *rest = error.lines()
    say(f"oya: {what}")
    for line in rest:
        for part in line.splitlines():
            say(f"     {part}" if part else "")
