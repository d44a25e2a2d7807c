"""From what a backend said when it failed to the class of the failure.

Agents report a provider's refusal in many ways, some as chat text with `end_turn`
(recorded: codex-acp on HTTP 429). Errors are read generously. Chat is not: a model that
talks about rate limits has not met one, so only a short last paragraph that begins as the
programs' own messages do counts, and nothing that was said before the last tool call.
"""

from __future__ import annotations

import re
from typing import Any

from oya.errors import BackendError
from oya.lifecycle.failures import FailureClass

MAX_EVIDENCE = 2000
MAX_PARAGRAPH = 400
AUTH_REQUIRED = -32000

_STATUS = re.compile(r"(?:status|error|http|code)\D{0,12}\b([45]\d\d)\b", re.IGNORECASE)
_WORDS = (
    (
        FailureClass.PROVIDER_LIMIT,
        r"\b429\b|rate.?limit|usage.limit|too many requests|quota|resource.exhausted",
    ),
    (
        FailureClass.AUTH,
        r"\b401\b|\b403\b|unauthori[sz]ed|not logged in|invalid api key|forbidden"
        r"|authentication required|please log ?in",
    ),
    (
        FailureClass.PROVIDER_DOWN,
        r"\b50[0234]\b|\b529\b|connection (?:refused|reset|error)|overloaded|bad gateway"
        r"|service unavailable|internal server error",
    ),
)
_SAID_STATUS = re.compile(
    r"(?:.{0,60}\b(?:last|unexpected) status:? |(?:api )?error:? (?:code:? )?|http )([45]\d\d)\b",
    re.IGNORECASE,
)
_SAID = (
    (
        FailureClass.PROVIDER_LIMIT,
        r"you(?:.ve| have)? (?:hit|reached|exceeded) your .{0,30}(?:limit|quota)"
        r"|.{0,30}usage limit reached"
        r"|.{0,30}limit reached .{0,5}resets? |429 too many|rate limit (?:reached|exceeded)"
        r"|quota exceeded|you have exhausted your (?:capacity|quota)",
    ),
    (
        FailureClass.AUTH,
        r"(?:invalid api key|not logged in|authentication required|please run \W?\S*login)",
    ),
    (
        FailureClass.PROVIDER_DOWN,
        r"stream disconnected before completion|connection (?:refused|reset|error)|overloaded"
        r"|we.re currently experiencing high demand",
    ),
)
_PREFIX = re.compile(r"^(?:\W|error:|warning:)*", re.IGNORECASE)


class BackendRefused(BackendError):
    """The backend did not begin a session; `failure` is the class of the reason, `resets_in`
    as in `TurnEnd`."""

    def __init__(
        self,
        what: str,
        failure: FailureClass,
        *,
        hint: str = "",
        resets_in: float | None = None,
    ) -> None:
        super().__init__(what, hint=hint)
        self.failure = failure
        self.resets_in = resets_in


def by_status(status: int) -> FailureClass | None:
    """The class of an HTTP status; None where it says nothing about the provider."""
    if status == 429:
        return FailureClass.PROVIDER_LIMIT
    if status in (401, 403):
        return FailureClass.AUTH
    return FailureClass.PROVIDER_DOWN if 500 <= status <= 599 else None


def by_error(message: str, data: Any, code: Any = None) -> FailureClass | None:
    """The class of a protocol error, from its code, its data or its words."""
    if code == AUTH_REQUIRED:
        return FailureClass.AUTH
    status = _status_in(data)
    if status is not None and (known := by_status(status)):
        return known
    return by_text(f"{message} {words(data)}"[:MAX_EVIDENCE])


def words(data: Any) -> str:
    """What a person can read of an error's data, bounded."""
    try:
        return str(data)[:MAX_EVIDENCE] if data else ""
    except RecursionError:
        return ""


def by_text(text: str) -> FailureClass | None:
    """The class that a short error text names; not for what a model has written."""
    text = text[-MAX_EVIDENCE:]
    found = _STATUS.search(text)
    if found and (known := by_status(int(found.group(1)))):
        return known
    return _first(_WORDS, text, re.search)


def by_chat(text: str) -> FailureClass | None:
    """The class of a refusal that came as the last paragraph of a turn."""
    last = last_paragraph(text)
    if len(last) > MAX_PARAGRAPH:
        return None
    said = _PREFIX.sub("", last)
    found = _SAID_STATUS.match(said) or _SAID_STATUS.match(last)
    if found:
        return by_status(int(found.group(1)))
    return _first(_SAID, said, re.match)


def last_paragraph(text: str) -> str:
    """What follows the last blank line."""
    return text.strip().rpartition("\n\n")[2].strip()


def _first(patterns: Any, text: str, how: Any) -> FailureClass | None:
    for failure, pattern in patterns:
        if how(pattern, text, re.IGNORECASE):
            return FailureClass(failure)
    return None


def _status_in(data: Any, depth: int = 3) -> int | None:
    """An HTTP status under one of its usual names, at most `depth` objects down."""
    if not isinstance(data, dict) or depth == 0:
        return None
    for name in ("status", "statusCode", "status_code", "http_status", "code"):
        value = data.get(name)
        if isinstance(value, int) and 400 <= value <= 599:
            return value
    for value in data.values():
        found = _status_in(value, depth - 1)
        if found is not None:
            return found
    return None
