"""What a backend, or a person, is told of a run: the first failures, never the whole log."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from oya.gates.model import TAIL_LIMIT, Case, Evidence, Report

FINDINGS_LIMIT: Final = 30
GIST_LIMIT: Final = 240
_QUIET_LIMIT: Final = 1_000
_FIRST_FAILURES: Final = 5
_NAMES_LIMIT: Final = 20

_ANSI: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_TROUBLE: Final = re.compile(
    r"\b(?:errors?|fail(?:ed|ures?|s)?|panic(?:ked)?|exceptions?|traceback|fatal)\b|not ok\b",
    re.I,
)
_RAISED: Final = re.compile(r"^(?:[\w.]+: |assert\b)")


def feedback(evidence: Evidence, limit: int = TAIL_LIMIT + 500) -> str:
    """What to send back to a backend about a red gate, at most `limit` characters."""
    if evidence.timed_out:
        how = f"was still running after {evidence.seconds:.0f} s and was ended"
    elif evidence.exit is None:
        how = "was ended by a signal" if evidence.command else "was not run: none is configured"
    else:
        how = f"exited with {evidence.exit}"
    head = f"Gate `{evidence.gate}`: `{clip(evidence.command, 200)}` {how}."
    if not evidence.prepared:
        what = f"`{clip(evidence.command, 200)}` ([workspace] prepare)"
        head = f"Gate `{evidence.gate}` could not run: {what} {how}."
    return clip(f"{head}\n\n{evidence.tail}".rstrip(), limit)


def failures(report: Report, limit: int = TAIL_LIMIT) -> str:
    """The first failures of a report with their messages, the rest by name."""
    red: list[Case] = [case for case in report.cases if case.red]
    told = [f"{broken.file} cannot be collected\n{broken.message}" for broken in report.broken]
    told += [f"{case.id} {case.outcome}\n{case.message}" for case in red]
    first, names = told[:_FIRST_FAILURES], [text.partition("\n")[0] for text in told]
    rest = names[_FIRST_FAILURES:]
    more = "\n".join(clip(name, 200) for name in rest[:_NAMES_LIMIT])
    if len(rest) > _NAMES_LIMIT:
        more += f"\nand {len(rest) - _NAMES_LIMIT} more"
    room = max(limit - len(more) - 2 * len(first), 0) // max(len(first), 1)
    parts = [clip(text, room) for text in first] + ([more] if more else [])
    return clip("\n\n".join(parts), limit)


def excerpt(text: str, *, ok: bool, limit: int = TAIL_LIMIT) -> str:
    """The relevant part of a command's output: where trouble begins, and its end."""
    if ok:
        return text[-_QUIET_LIMIT:]
    if len(text) <= limit:
        return text
    found = _TROUBLE.search(text)
    start = text.rfind("\n", 0, found.start()) + 1 if found else len(text)
    end = text[-limit // 3 :]
    if start >= len(text) - limit:
        return text[-limit:]
    mark = "\n[…]\n"
    return text[start : start + limit - len(end) - len(mark)] + mark + end


def plain(output: bytes) -> str:
    """Text that can be shown, stored and sent, whatever a program wrote: bytes that are no
    UTF-8 are replaced, colours and control characters taken out."""
    text = _ANSI.sub("", output.decode("utf-8", "replace")).replace("\r\n", "\n")
    return _CONTROL.sub("", text.replace("\r", "\n")).strip()


def gist(message: str) -> str:
    """A failure in one line: the exception, or the last one that pytest shows."""
    lines = message.strip().splitlines() or [""]
    raised = [line[1:].strip() for line in lines if re.match(r"E\s", line)]
    line = lines[0] if _RAISED.match(lines[0]) or not raised else raised[-1]
    return clip(line, GIST_LIMIT)


def bounded(findings: Sequence[str], limit: int = FINDINGS_LIMIT) -> tuple[str, ...]:
    """The first findings, each once, and how many more there are."""
    unique = list(dict.fromkeys(findings))
    if len(unique) <= limit:
        return tuple(unique)
    return (*unique[: limit - 1], f"and {len(unique) - limit + 1} more")


def clip(text: str, limit: int) -> str:
    """At most `limit` characters: a text's first third and its end, with a mark between."""
    if len(text) <= limit:
        return text
    mark = f" […{len(text) - limit} characters cut…] "
    room = max(limit - len(mark), 0)
    head = room // 3
    return (text[:head] + mark + text[len(text) - (room - head) :])[:limit]
