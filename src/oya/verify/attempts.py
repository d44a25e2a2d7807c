"""Attempts: epochs, leases, one result between two entries, and what is counted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from oya.verify.history import Row
from oya.verify.log import Found, Log, phase_of, promise, status_of, told
from oya.verify.table import COUNTS, ENDS, RESULTS

TAKEN = ("held_by_person", "blocked")
"""The attempt is told to go, and its end is still to come."""
ANEW = ("edited", "reopened", "retried", "rejected")
"""An entry into a phase, even if it is the same one."""


@promise
def epochs_rise_at_claims(log: Log) -> Iterator[Found]:
    """The epoch rises by one at each claim and nowhere else."""
    for bead, rows in log.steps.items():
        epoch = 0
        for row in rows:
            expected = epoch + (row["event"] == "claimed")
            if row["epoch"] != expected:
                what = f"{bead}: {told(row)} has epoch {row['epoch']}, {expected} is current"
                yield what, bead, row["seq"]
            epoch = max(epoch, row["epoch"])


@promise
def leases_never_overlap(log: Log) -> Iterator[Found]:
    """One attempt at a bead at a time, and each ends once, under its own epoch."""
    for bead, rows in log.steps.items():
        at_work = leaving = 0
        for row in rows:
            name, epoch = row["event"], row["epoch"]
            if name == "claimed":
                if at_work:
                    what = f"{bead}: {told(row)} while attempt {at_work} is under way"
                    yield what, bead, row["seq"]
                at_work, leaving = epoch, 0
            elif name in ENDS:
                if at_work == epoch > 0:
                    at_work = 0
                elif leaving == epoch > 0 and row["from"] == row["to"]:
                    leaving = 0
                else:
                    what = f"{bead}: {told(row)} ends attempt {epoch}, which is not under way"
                    yield what, bead, row["seq"]
            elif name in TAKEN:
                at_work, leaving = 0, at_work or leaving
            elif name in ("edited", "removed"):
                at_work, leaving = 0, leaving if name == "removed" else 0
            elif name == "reopened":
                leaving = 0


@promise
def accepted_at_most_once(log: Log) -> Iterator[Found]:
    """Between two entries to a phase at most one result is accepted, of a claim made there."""
    for bead, rows in log.steps.items():
        phase, accepted, claimed = "", 0, 0
        for row in rows:
            name, to = row["event"], phase_of(row["to"])
            if name == "claimed":
                claimed = row["epoch"]
            elif name in RESULTS:
                if accepted:
                    what = f"{bead}: {told(row)} is a second result, after event {accepted}"
                    yield what, bead, row["seq"]
                if RESULTS[name] != phase or (phase != "landing" and claimed != row["epoch"]):
                    what = f"{bead}: {told(row)} of epoch {row['epoch']} came into {phase}, where "
                    yield f"{what}{claimed or 'none'} was claimed", bead, row["seq"]
                accepted = row["seq"]
            if to != phase or name in ANEW:
                phase, accepted, claimed = to, 0, 0


@dataclass(slots=True)
class _Tally:
    """What is counted of a bead; `done`: it was claimed to be done already."""

    retry_count: int = 0
    contests: int = 0
    rebases: int = 0
    revisions: int = 0
    done_claims: int = 0
    done: bool = False


@promise
def attempts_are_counted(log: Log) -> Iterator[Found]:
    """Failures count as their classes say; a bead fails at a limit, and nowhere else."""
    for bead, rows in log.steps.items():
        tally = _Tally()
        for row in rows:
            limits = log.settings(row["swarm"], row["seq"]).get("limits")
            for what in _counted(tally, row, limits or {}):
                yield f"{bead}: {told(row)} {what}", bead, row["seq"]
            _entered(tally, row)
        state = log.history.beads.get(bead) or {}
        for name in ("retry_count", "contests", "rebases", "revisions", "done_claims"):
            if name in state and state[name] != getattr(tally, name):
                what = f"{bead}: {name} is {state[name]}, its events make {getattr(tally, name)}"
                yield what, bead, None
        if state.get("status") == "failed" and not state.get("reason"):
            yield f"{bead} has failed without a reason", bead, None


def _counted(tally: _Tally, row: Row, limits: Row) -> Iterator[str]:
    """Count one event; what is wrong with where it went."""
    name, to = row["event"], row["to"]
    if name == "attempt_failed":
        if row["from"] != to:  # else it was told to go, and only its snapshot counts
            yield from _used(tally, row, limits, row["class"] in COUNTS)
    elif name == "cannot_do":
        yield from _cannot(tally, row, limits)
    elif name in ("contested", "forfeited"):
        tally.contests += 1
        yield from _at_limit(row, tally.contests, limits.get("max_contests"))
    elif name == "landing_conflicted":
        tally.rebases += 1
        yield from _at_limit(row, tally.rebases, limits.get("max_rebases"))
    elif name == "check_revised":
        tally.revisions += 1
        limit = limits.get("max_revisions")
        if limit is not None and (tally.revisions >= limit) != (to == "implementation/pending"):
            yield f"goes to {to} after {tally.revisions} of {limit} revisions"


def _used(tally: _Tally, row: Row, limits: Row, counts: bool) -> Iterator[str]:
    tally.retry_count += counts
    said, same = row["data"].get("used"), phase_of(row["to"]) == phase_of(row["from"])
    if said is not None and same and said != tally.retry_count:
        yield f"({row['class']}) says that {said} attempts are used, and it is {tally.retry_count}"
    limit = limits.get("max_attempts")
    if limit is None:
        return
    given_up = status_of(row["to"]) == "failed" or not same
    if (counts and tally.retry_count >= limit) != given_up:
        yield f"({row['class']}) goes to {row['to']} after {tally.retry_count} of {limit} attempts"


def _cannot(tally: _Tally, row: Row, limits: Row) -> Iterator[str]:
    if row["data"].get("cannot") != "already_done":
        return
    if row["from"] == "contract/in_progress":
        tally.done = True
    elif row["from"] == "implementation/in_progress":
        if tally.done_claims:
            yield from _used(tally, row, limits, True)
        tally.done_claims = 1


def _at_limit(row: Row, count: int, limit: int | None) -> Iterator[str]:
    if limit is not None and (count > limit) != (status_of(row["to"]) == "failed"):
        yield f"goes to {row['to']} at number {count} of {limit} that are allowed"


_PERSON = ("approved", "rejected", "released", "retried", "reopened")


def _entered(tally: _Tally, row: Row) -> None:
    """What an event sets back."""
    name, frm, to = row["event"], phase_of(row["from"]), phase_of(row["to"])
    if frm != to or name == "edited":
        tally.retry_count = tally.done_claims = 0
    if name in _PERSON:
        tally.retry_count = tally.contests = tally.rebases = 0
    if name == "edited":
        tally.contests = tally.rebases = 0
    if name == "retried":
        tally.done_claims = 0
    if name in ("edited", "reopened") or to == "implementation" or _begins_anew(tally, row):
        tally.revisions = 0
    tally.done = tally.done and name in ("cannot_do", "blocked", "unblocked")


def _begins_anew(tally: _Tally, row: Row) -> bool:
    return row["event"] == "retried" and (tally.done or row["from"] == "landed/held")
