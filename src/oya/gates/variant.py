"""A change of one file of an implementation, to see whether its tests would notice.

`ablation` makes them for any language, `mutation` for Python. Both are pure, and what they
read was written by an agent: files over the limits, and files that are no program, have none.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from oya.gates.feedback import clip

FILE_LIMIT: Final = 100_000
"""Bytes of a file that is looked at."""
LINES_LIMIT: Final = 3_000
_SHOWN_LINES: Final = 8
_SHOWN: Final = 600

_NO_PROGRAM: Final = frozenset(
    {
        *("md", "rst", "txt", "adoc", "org", "tex", "html", "htm", "css", "scss", "less", "svg"),
        *("json", "jsonl", "yaml", "yml", "toml", "ini", "cfg", "conf", "properties", "env"),
        *("lock", "sum", "mod", "csv", "tsv", "xml", "po", "pot", "snap", "ipynb", "map", "log"),
        *("pyi", "d.ts", "patch", "diff", "pem", "license"),
    }
)
_TEST_FOLDERS: Final = frozenset({"test", "tests", "__tests__", "spec", "specs", "testdata"})
_TEST_NAME: Final = re.compile(
    r"^(?:tests?|test[-_.].*|.*[-_.](?:tests?|specs?)|conftest|.*Tests?)\.\w+$"
)
_HASH: Final = frozenset({"py", "rb", "sh", "bash", "pl", "r", "jl", "ex", "exs", "nim", "cr"})
_DASHES: Final = frozenset({"sql", "lua", "hs", "elm", "adb", "ads", "vhd"})
_SEMICOLON: Final = frozenset({"lisp", "clj", "cljs", "scm", "el", "asm", "s"})
_PERCENT: Final = frozenset({"erl", "hrl", "m"})
_SLASHES: Final = ("//", "/*", "*/", "* ", "*\n")
_NAMES_ONLY: Final = re.compile(
    r"^(?:from\s+\S+\s+import\b|import\b|use\s|using\s|package\s|#\s*include\b|#!|require\b"
    r"|extern crate\b|mod\s+\w+;|export \* from\b|namespace\s|[\"']use strict[\"'])"
)


@dataclass(frozen=True, slots=True)
class Variant:
    """The file `path` as `data` (None: not there), otherwise the implementation.

    `first` and `last` are the lines of the implementation that it changes, from 1. `how` says
    what was done to them, `shown` is what stands there.
    """

    path: str
    first: int
    last: int
    how: str
    shown: str
    data: bytes | None
    slight: bool = False

    @property
    def where(self) -> str:
        """File and lines, for people."""
        lines = f"{self.first}" if self.first == self.last else f"{self.first}-{self.last}"
        return f"{self.path}:{lines}"

    def within(self, other: Variant) -> bool:
        """Whether it changes nothing but lines that `other` changes too."""
        return self.path == other.path and other.first <= self.first and self.last <= other.last


def program(path: str, data: bytes | None) -> str | None:
    """The text of a file that is part of a program and small enough; else None.

    Tests, documents, data and lock files are no part of it; of files without an ending only
    scripts are.
    """
    if data is None or len(data) > FILE_LIMIT or b"\0" in data or is_test(path):
        return None
    name = path.rpartition("/")[2].lower()
    if "." not in name.lstrip("."):
        fits = data.startswith(b"#!")
    else:
        fits = not _NO_PROGRAM & {ending(path), ".".join(name.rsplit(".", 2)[1:])}
    try:
        text = data.decode() if fits else None
    except UnicodeDecodeError:
        return None
    return text if text is not None and text.count("\n") < LINES_LIMIT else None


def is_test(path: str) -> bool:
    """Whether a path looks like a test's, in any of the usual ways."""
    return not _TEST_FOLDERS.isdisjoint(path.split("/")[:-1]) or named_as_test(path)


def named_as_test(path: str) -> bool:
    """Whether a file's own name is that of a test, whatever folder it lies in."""
    return _TEST_NAME.match(path.rpartition("/")[2]) is not None


def ending(path: str) -> str:
    """The last ending of a file's name, in small letters; "" if it has none."""
    name = path.rpartition("/")[2]
    return name.rpartition(".")[2].lower() if "." in name else ""


def code(path: str, lines: Sequence[str]) -> list[str]:
    """Lines that may do something when they run: no blank ones, comments, or names brought in."""
    marks = _comment_marks(ending(path))
    said = [line.strip() for line in lines]
    return [
        line
        for line in said
        if line and not f"{line}\n".startswith(marks) and not _NAMES_ONLY.match(line)
    ]


def excerpt(lines: Sequence[str]) -> str:
    """Lines as they are shown in a finding: the first few."""
    more = [f"… {len(lines) - _SHOWN_LINES} more lines"] if len(lines) > _SHOWN_LINES else []
    text = "\n".join([*(line.rstrip() for line in lines[:_SHOWN_LINES]), *more])
    return clip(text.strip("\n"), _SHOWN)


def _comment_marks(kind: str) -> tuple[str, ...]:
    if kind in _HASH:
        return ("#",)
    for kinds, marks in ((_DASHES, "--"), (_SEMICOLON, ";"), (_PERCENT, "%")):
        if kind in kinds:
            return (marks,)
    return _SLASHES
