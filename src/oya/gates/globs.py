"""Paths against globs, as `[landing] protected` and a contract's `touches` spell them.

A pattern starts at the root of the repository. `*` and `?` stay within one name; a part that
is `**` stands for any number of folders, none included. What matches a folder covers all
that lies in it, so `docs`, `docs/` and `docs/**` say the same; `**/docs` means it anywhere.
Brackets mean themselves: they are common in the names of files. Case counts.
"""

from __future__ import annotations

from collections.abc import Iterable

ANY = "**"


def matches(path: str, pattern: str) -> bool:
    """Whether the pattern names this path or a folder around it. Patterns may come from an
    agent: the time is bounded by the product of both lengths."""
    parts = [part for part in pattern.split("/") if part not in ("", ".")]
    if not parts:
        return False
    at = _over(parts, {0})
    for name in path.split("/"):
        if len(parts) in at:
            return True
        at = _over(parts, {_next(parts, i) for i in at if _fits(name, parts[i])})
    return len(parts) in at


def among(path: str, patterns: Iterable[str]) -> bool:
    """Whether one of the patterns matches."""
    return any(matches(path, pattern) for pattern in patterns)


def names_all(pattern: str) -> bool:
    """Whether a pattern says nothing: wildcards only."""
    return not pattern.strip("*?/.")


def _next(parts: list[str], i: int) -> int:
    return i if parts[i] == ANY else i + 1


def _over(parts: list[str], at: set[int]) -> set[int]:
    """With the places behind each `**`, which may stand for nothing."""
    found = set(at)
    for i in sorted(at):
        while i < len(parts) and parts[i] == ANY:
            i += 1
            found.add(i)
    return found


def _fits(name: str, part: str) -> bool:
    """One name against one part: after a mismatch the last `*` takes one character more."""
    if part == ANY:
        return True
    i = j = 0
    star, resume = -1, 0
    while i < len(name):
        if j < len(part) and part[j] == "*":
            star, resume = j, i
            j += 1
        elif j < len(part) and part[j] in ("?", name[i]):
            i, j = i + 1, j + 1
        elif star >= 0:
            resume += 1
            i, j = resume, star + 1
        else:
            return False
    return not part[j:].strip("*")
