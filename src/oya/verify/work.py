"""No work of an agent is lost, and nothing is left behind at the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import inf

from oya.verify.history import Row
from oya.verify.log import Found, Log, promise, seconds, status_of, text, told
from oya.verify.table import ENDS

_HEADS = ("commit", "snapshot", "head")
"""Where an event names work: what was accepted, or what was kept of a failure."""
SLACK = 3600.0
"""Seconds that may lie between the newest event and the moment at which retention looked."""
_NAMES_WORK = ENDS | {"result_refused"}


def named_work(row: Row) -> list[str]:
    """The commits of agents that an event names: accepted heads and snapshots."""
    if row["event"] not in _NAMES_WORK:
        return []
    data = row["data"]
    return [data[key] for key in _HEADS if data.get(key)]


@promise
def attempts_are_kept(log: Log) -> Iterator[Found]:
    """Every attempt that had a workspace has its ref, until its bead is long landed or closed."""
    for row in log.events:
        if row["event"] not in _NAMES_WORK or not _had_workspace(row):
            continue
        attempt = (row["bead"], row["epoch"])
        if attempt not in log.history.attempts and not _may_go(log, row):
            what = f"{row['bead']}: the ref of attempt {row['epoch']} is missing ({told(row)})"
            yield what, row["bead"], row["seq"]


@promise
def named_work_is_held(log: Log) -> Iterator[Found]:
    """Every head and snapshot that an event names can be reached from a ref, just as long."""
    for row in log.events:
        for commit in named_work(row):
            if not log.history.held(commit) and not _may_go(log, row):
                what = f"{row['bead']}: {text(commit)} of {told(row)} is held by no ref"
                yield what, row["bead"], row["seq"]


def _had_workspace(row: Row) -> bool:
    """A result is made in one; without a result, what was kept of it shows that there was one."""
    silent = row["event"] in ("attempt_failed", "lease_expired", "result_refused")
    return bool(named_work(row)) or not silent


def _may_go(log: Log, attempt: Row) -> bool:
    """Retention takes what belongs to a bead that after that attempt stood as landed, or as
    closed by a person, for all of its time; whatever became of the bead later."""
    if log.history.pruned is None:
        return False
    return any(
        attempt["seq"] < ended and lasted >= log.retention - SLACK
        for ended, lasted in _rests(log, log.steps.get(attempt["bead"], ()))
    )


def _rests(log: Log, steps: Sequence[Row]) -> Iterator[tuple[float, float]]:
    """Each time that a bead was over: the event that ended it, and how many seconds it lasted,
    counted from when the bead was changed last."""
    since = ""
    for row in steps:
        if since and not _is_over(row, since):
            yield row["seq"], seconds(since, row["at"])
        since = row["at"] if _is_over(row, since) else ""
    if since:
        yield inf, seconds(since, log.last_at)


def _is_over(row: Row, since: str) -> bool:
    """What was only deleted in the tracker may be a mistake. `since`: it was over before."""
    if row["event"] == "removed":
        return str(row["reason"]).startswith("closed")
    gone = status_of(row["to"]) == "removed"  # what comes after the removal does not undo it
    return row["to"] == "landed/complete" or (gone and since != "")


@promise
def nothing_is_left(log: Log) -> Iterator[Found]:
    """After the end nothing is in progress, intended, or lying about; what was pushed and may
    still arrive apart, which the next swarm finds out."""
    if not log.over:
        return
    open_ = {bead for bead in log.history.pushed if _is_landing(log, bead)}
    for bead, state in log.history.beads.items():
        if state["status"] == "in_progress" and bead not in open_:
            yield f"{bead} is still in progress", bead, None
    for bead in log.history.intents:
        if bead not in open_:
            yield f"an intent to land {bead} is left", bead, None
    for words in log.history.leftovers:
        yield f"left: {words}", None, None


def _is_landing(log: Log, bead: str) -> bool:
    state = log.history.beads.get(bead)
    return state is not None and (state["phase"], state["status"]) == ("landing", "in_progress")
