"""Requests that are decided, committed and answered together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from oya.errors import StoreError
from oya.store.head import Draft


@dataclass(frozen=True, slots=True)
class Request:
    """A change that somebody waits for."""

    decide: Callable[[Draft], Any]
    answer: asyncio.Future[Any]


@dataclass(slots=True)
class Group:
    """Requests in the order of submission; `draft` is what they come to, None: not decided yet."""

    draft: Draft | None = None
    requests: list[Request] = field(default_factory=list)
    _decided: list[tuple[Request, Any, Exception | None]] = field(default_factory=list)

    def add(self, request: Request) -> None:
        """One more, decided at once if the others are."""
        self.requests.append(request)
        if self.draft is not None:
            self._decide(self.draft, request)

    def decide(self, draft: Draft) -> None:
        """Decide all of them on `draft`."""
        self.draft = draft
        for request in self.requests:
            self._decide(draft, request)

    def forget(self) -> None:
        """What was decided holds no more: it must be decided again, on another draft."""
        self.draft = None
        self._decided.clear()

    def answer(self) -> None:
        """Let everybody hear what came of it."""
        for request, result, refusal in self._decided:
            if request.answer.done():
                continue
            if refusal is not None:
                request.answer.set_exception(refusal)
            else:
                request.answer.set_result(result)

    def fail(self, error: StoreError) -> None:
        """Let everybody hear that nothing came of it."""
        for request in self.requests:
            if request.answer.done():
                continue
            # One each: an exception that is raised in several tasks collects all their tracebacks.
            copy = type(error)(str(error), safe=error.safe, hint=error.hint)
            copy.__cause__ = error.__cause__
            request.answer.set_exception(copy)

    def _decide(self, draft: Draft, request: Request) -> None:
        if request.answer.done():  # nobody waits for it any more
            return
        try:
            result = request.decide(draft)
        except Exception as refusal:
            draft.refuse()
            self._decided.append((request, None, refusal))
        else:
            draft.accept()
            self._decided.append((request, result, None))
