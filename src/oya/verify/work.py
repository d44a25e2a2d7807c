"""No work of an agent is lost, and nothing is left behind at the end."""

from __future__ import annotations

from collections.abc import Iterator

from oya.verify.history import Row
from oya.verify.log import Found, Log, promise, text, told
from oya.verify.table import ENDS

_HEADS = ("commit", "snapshot", "head")
"""Where an event names work: what was accepted, or what was kept of a failure."""
_NAMES_WORK = ENDS | {"result_refused"}


def named_work(row: Row) -> list[str]:
    """The commits of agents that an event names: accepted heads and snapshots."""
    if row["event"] not in _NAMES_WORK:
        return []
    data = row["data"]
    return [data[key] for key in _HEADS if data.get(key)]


@promise
def attempts_are_kept(log: Log) -> Iterator[Found]:
    """Every attempt that had a workspace has its ref, until its bead landed or was closed."""
    for row in log.events:
        if row["event"] not in _NAMES_WORK or not _had_workspace(row):
            continue
        attempt = (row["bead"], row["epoch"])
        if attempt not in log.history.attempts and not _may_go(log, row["bead"]):
            what = f"{row['bead']}: the ref of attempt {row['epoch']} is missing ({told(row)})"
            yield what, row["bead"], row["seq"]


@promise
def named_work_is_held(log: Log) -> Iterator[Found]:
    """Every head and snapshot that an event names can be reached from a ref, just as long."""
    for row in log.events:
        for commit in named_work(row):
            if not log.history.held(commit) and not _may_go(log, row["bead"]):
                what = f"{row['bead']}: {text(commit)} of {told(row)} is held by no ref"
                yield what, row["bead"], row["seq"]


def _had_workspace(row: Row) -> bool:
    """A result is made in one; without a result, what was kept of it shows that there was one."""
    silent = row["event"] in ("attempt_failed", "lease_expired", "result_refused")
    return bool(named_work(row)) or not silent


def _may_go(log: Log, bead: str) -> bool:
    """Retention takes only what belongs to beads that have landed or were closed by a person."""
    if log.history.pruned is None:
        return False
    return any(row["event"] in ("landed", "removed") for row in log.steps.get(bead, ()))


@promise
def nothing_is_left(log: Log) -> Iterator[Found]:
    """After the end nothing is in progress, intended, or lying about."""
    if not log.over:
        return
    for bead, state in log.history.beads.items():
        if state["status"] == "in_progress":
            yield f"{bead} is still in progress", bead, None
    for bead in log.history.intents:
        yield f"an intent to land {bead} is left", bead, None
    for words in log.history.leftovers:
        yield f"left: {words}", None, None
