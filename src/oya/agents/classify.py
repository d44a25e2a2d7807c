"""From what a backend said when it failed to the class of the failure.

Agents report a provider's refusal in many ways, some as chat text with `end_turn`
(recorded: codex-acp on HTTP 429). Text counts as evidence only where nothing else
happened in the turn: a model that talks about rate limits has not met one.
"""

from __future__ import annotations

import re
from typing import Any

from oya.lifecycle.failures import FailureClass

MAX_EVIDENCE = 2000

_STATUS = re.compile(r"(?:status|error|http|code)\D{0,12}\b([45]\d\d)\b", re.IGNORECASE)
_WORDS = (
    (FailureClass.PROVIDER_LIMIT, r"\b429\b|rate.?limit|usage limit|too many requests|quota"),
    (FailureClass.AUTH, r"\b401\b|\b403\b|unauthori[sz]ed|not logged in|invalid api key|forbidden"),
    (
        FailureClass.PROVIDER_DOWN,
        r"\b50[0234]\b|\b529\b|connection (?:refused|reset|error)|overloaded|bad gateway"
        r"|service unavailable|internal server error",
    ),
)


def by_status(status: int) -> FailureClass | None:
    """The class of an HTTP status; None where it says nothing about the provider."""
    if status == 429:
        return FailureClass.PROVIDER_LIMIT
    if status in (401, 403):
        return FailureClass.AUTH
    return FailureClass.PROVIDER_DOWN if 500 <= status <= 599 else None


def by_error(message: str, data: Any) -> FailureClass | None:
    """The class of a protocol error, from its data or its words."""
    status = data.get("status") if isinstance(data, dict) else None
    if isinstance(status, int):
        return by_status(status)
    return by_text(f"{message} {data or ''}")


def by_text(text: str) -> FailureClass | None:
    """The class that a short error text names."""
    text = text[-MAX_EVIDENCE:]
    found = _STATUS.search(text)
    if found and (known := by_status(int(found.group(1)))):
        return known
    for failure, pattern in _WORDS:
        if re.search(pattern, text, re.IGNORECASE):
            return failure
    return None
