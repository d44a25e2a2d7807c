"""Ablation, for any language: what of a change can be left out without a test noticing.

First whole hunks (the stretches in which the file differs from the base's), then what they are
made of, by indentation: a statement with its body, a function, a branch. In Python single
statements are left to `mutation`, which knows them by name.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Final

from oya.gates.variant import (
    FILE_LIMIT,
    LINES_LIMIT,
    Variant,
    code,
    ending,
    excerpt,
    program,
)

OUT = "left out"
AS_BEFORE = "as on the base"
LEVELS: Final = 7
"""How deep a hunk is taken apart: the whole of it, its statements, theirs …"""
_CLOSES: Final = re.compile(r"^(?:[\])}>]|end\b|fi\b|done\b|esac\b)")
_GOES_ON: Final = re.compile(r"^(?:else|elif|elsif|elseif|except|catch|finally|rescue|ensure)\b")
_BELONGS_TO_NEXT: Final = re.compile(r"^(?:@\w|#\[|//|/\*|\*|#(?!include)|--)")
_PYTHON_ITEM: Final = re.compile(r"^(?:@|(?:async\s+)?def\b|class\b)")
_PARSE_ERRORS: Final = (SyntaxError, ValueError, RecursionError, MemoryError)


@dataclass(frozen=True, slots=True)
class Hunk:
    """Lines `first` to `last` (exclusive, from 0) of the new text stand for `old` of the old."""

    first: int
    last: int
    old: tuple[str, ...]


def hunks(before: Sequence[str], after: Sequence[str]) -> list[Hunk]:
    """Where `after` differs from `before`, in order. Restoring all gives `before` again."""
    matcher = SequenceMatcher(None, before, after)
    return [
        Hunk(j1, j2, tuple(before[i1:i2]))
        for tag, i1, i2, j1, j2 in matcher.get_opcodes()
        if tag != "equal"
    ]


def restored(after: Sequence[str], hunk: Hunk) -> list[str]:
    """`after` with one hunk as it was."""
    return [*after[: hunk.first], *hunk.old, *after[hunk.last :]]


def drops(path: str, before: bytes | None, after: bytes | None) -> list[Iterator[Variant]]:
    """The variants of one changed file: `LEVELS` sources, the coarsest first, each by line.

    Hunks that only remove, and blank lines, comments and imports alone, have none. Each is
    made when it is asked for; `different` says whether it is worth a run.
    """
    old, new = _both(path, before, after)
    found = hunks(old, new)
    parts: list[list[tuple[int, int]]] = [[] for _ in range(LEVELS)]
    for hunk in found:
        for level, first, last in _pieces(path, new, hunk.first, hunk.last):
            if (first, last) != (hunk.first, hunk.last):
                parts[level].append((first, last))
    whole = (_whole(path, before, new, hunk) for hunk in found)
    below = [(_without(path, new, *piece) for piece in sorted(level)) for level in parts[1:]]
    return [(one for one in level if one is not None) for level in (whole, *below)]


def different(variant: Variant, after: bytes) -> bool:
    """Whether a variant can run, and may do another thing than the implementation, `after`.

    Only of Python is more known than that other lines of code are in it.
    """
    if variant.data is None or ending(variant.path) != "py":
        return True
    try:
        return _meaning(variant.data) != _meaning(after)
    except _PARSE_ERRORS:
        return False


def changed_lines(path: str, before: bytes | None, after: bytes | None) -> set[int]:
    """Numbers, from 1, of the lines of a program that are not the base's."""
    return {
        number + 1
        for hunk in hunks(*_both(path, before, after))
        for number in range(hunk.first, hunk.last)
    }


def _both(path: str, before: bytes | None, after: bytes | None) -> tuple[list[str], list[str]]:
    """The lines of both, none where this is no program or was too large."""
    text, old = program(path, after), before or b""
    if text is None or len(old) > FILE_LIMIT or old.count(b"\n") >= LINES_LIMIT:
        return [], []
    return _lines(old.decode("utf-8", "replace")), _lines(text)


def _lines(text: str) -> list[str]:
    """With their ends. By line feeds alone, as every language counts them."""
    *whole, rest = text.split("\n")
    return [f"{line}\n" for line in whole] + ([rest] if rest else [])


def _whole(path: str, before: bytes | None, new: list[str], hunk: Hunk) -> Variant | None:
    piece, was = new[hunk.first : hunk.last], code(path, hunk.old)
    if code(path, piece) in ([], was):
        return None
    data = "".join(restored(new, hunk)).encode() if before is not None else None
    how = AS_BEFORE if was else OUT
    return Variant(path, hunk.first + 1, hunk.last, how, excerpt(piece), data)


def _without(path: str, new: list[str], first: int, last: int) -> Variant | None:
    piece = new[first:last]
    if not code(path, piece):
        return None
    data = "".join([*new[:first], *new[last:]]).encode()
    while not piece[-1].strip():
        piece.pop()
    return Variant(path, first + 1, first + len(piece), OUT, excerpt(piece), data)


def _pieces(path: str, lines: list[str], first: int, last: int) -> Iterator[tuple[int, int, int]]:
    """(level, first, last) of what the lines are made of; level 1 is the outermost."""
    waiting = [(1, first, last)]
    while waiting:
        level, first, last = waiting.pop()
        for start, end in items(lines, first, last):
            if level == 1 or ending(path) != "py" or _PYTHON_ITEM.match(lines[start].strip()):
                yield level, start, end
            if level < LEVELS - 1:
                waiting += [(level + 1, *body) for body in _bodies(lines, start, end)]


def items(lines: Sequence[str], first: int, last: int) -> list[tuple[int, int]]:
    """Statements side by side in these lines, each with its body, its comments and its end."""
    least = min((_indent(line) for line in lines[first:last] if line.strip()), default=0)
    starts: list[int] = []
    held = False
    for number in range(first, last):
        said = lines[number].strip()
        if not said or _indent(lines[number]) > least:
            continue
        if not starts or not (held or _CLOSES.match(said) or _GOES_ON.match(said)):
            starts.append(number)
        held = bool(_BELONGS_TO_NEXT.match(said))
    return list(zip(starts, [*starts[1:], last], strict=False))


def _bodies(lines: Sequence[str], first: int, last: int) -> Iterator[tuple[int, int]]:
    """The stretches of an item that are indented more than its first line."""
    least, begun = _indent(lines[first]), None
    for number in range(first, last):
        deeper = not lines[number].strip() or _indent(lines[number]) > least
        if deeper and begun is None and lines[number].strip():
            begun = number
        elif not deeper and begun is not None:
            yield begun, number
            begun = None
    if begun is not None:
        yield begun, last


def _indent(line: str) -> int:
    expanded = line.expandtabs(8)
    return len(expanded) - len(expanded.lstrip())


def _meaning(data: bytes) -> str:
    """What a Python file says, without its docstrings, comments and imports."""
    tree = ast.parse(data)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [one for one in body if not _says_nothing(one)]  # type: ignore[attr-defined]
    return ast.dump(tree)


def _says_nothing(node: ast.stmt) -> bool:
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    return isinstance(node, ast.Import | ast.ImportFrom)
