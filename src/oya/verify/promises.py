"""The promises of docs/semantics.md, each a predicate with a name, and the check of all."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from oya.verify.history import Breach, History
from oya.verify.log import Log
from oya.verify.steps import log_has_no_gaps, steps_join

Promise = Callable[[Log], Iterator[Breach]]

PROMISES: tuple[Promise, ...] = (log_has_no_gaps, steps_join)


def check(history: History) -> list[Breach]:
    """Every breach of every promise; empty: all are kept."""
    log = Log(history)
    return [breach for promise in PROMISES for breach in promise(log)]
