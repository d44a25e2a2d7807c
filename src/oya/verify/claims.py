"""Claims: nothing is begun that is not free, and nothing while the swarm does not run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from oya.verify.history import Dependency, Row
from oya.verify.log import ENDED, SECONDS, STARTS, Found, Log, promise, seconds, status_of, told
from oya.verify.table import ENDS

SHORTEST_PAUSE = 0.2
"""Seconds: the first pause of an agent after a crash is half a second, of which chance may take
away the half."""
AT_ONCE = 50
"""Events before a claim that may have been decided after it, in one commit of the store or two:
a person who brings a bead back, or lowers the target, may come between."""
_RESTARTS = ("agent_crash", "agent_stuck")
_BEGINS = ("claimed", "landing_started")
_ACTIVE = ENDS | {
    *("claimed", "gate_ran", "landing_started", "landed", "landing_left", "landing_conflicted"),
    *("findings", "flaky", "result_refused"),
}
"""Events that somebody at work for a swarm makes."""


@promise
def only_free_beads_are_begun(log: Log) -> Iterator[Found]:
    """No claim and no landing of a bead that is held, blocked, removed, failed or at work."""
    for bead, rows in log.steps.items():
        blocked, at = False, None
        for row in rows:
            if row["event"] in _BEGINS and (blocked or status_of(at) != "pending"):
                what = f"{bead}: {told(row)} while it was {at}{' and blocked' if blocked else ''}"
                yield what, bead, row["seq"]
            at = row["to"]
            blocked = row["event"] == "blocked" or (blocked and row["event"] != "unblocked")


@promise
def dependencies_come_first(log: Log) -> Iterator[Found]:
    """No claim of a bead that depends on one that is neither landed nor closed."""
    for bead, needs in log.history.depends.items():
        for row in log.steps.get(bead, ()):
            if row["event"] != "claimed":
                continue
            for need in needs:
                counts = need.since <= row["at"] and (not need.until or row["at"] < need.until)
                if counts and not _is_done(log, need, row):
                    what = f"{bead}: {told(row)} while {need.on}, which it depends on, was not done"
                    yield what, bead, row["seq"]


def _is_done(log: Log, need: Dependency, claim: Row) -> bool:
    """Whether what is needed had landed just then, or was closed; what is gone from the tracker,
    and removed for it, holds nobody."""
    steps = log.steps.get(need.on, ())
    before = [row for row in steps if row["seq"] < claim["seq"]]
    at = before[-1]["to"] if before else None
    if at == "landed/complete" or status_of(at) == "removed":
        return True
    if _leaves(row for row in steps if row["seq"] > claim["seq"]):
        return True
    known = (log.history.tracker or {}).get(need.on)
    if not before and (known is None or steps):
        return True  # not in the backlog; or no work yet: it was closed, and opened again later
    if (known or {}).get("status") != "closed":
        return False
    closed = (known or {}).get("closed_at") or ""
    # Where the clock was set back since it landed, times say nothing.
    set_back = any(row["event"] == "landed" and row["at"] > claim["at"] for row in before)
    return set_back or closed[:SECONDS] <= claim["at"][:SECONDS]


def _leaves(steps: Iterable[Row]) -> bool:
    """Whether a bead was removed next: closed in the tracker, it may have been at work still."""
    first = next(
        (r for r in steps if r["event"] in _BEGINS or status_of(r["to"]) == "removed"), None
    )
    return first is not None and status_of(first["to"]) == "removed"


@promise
def new_beads_have_room(log: Log) -> Iterator[Found]:
    """A bead is begun only while landed + in flight < target."""
    begun, flying, landed = set[str](), dict[str, int](), Counter[str]()
    awaits: dict[str, str | None] = {}
    for row in log.events:
        bead, name, seq = row["bead"], row["event"], row["seq"]
        if bead is None or row["to"] is None:
            continue
        if name == "claimed" and bead not in begun:
            if what := _without_room(log, row, flying, landed[row["swarm"]]):
                yield f"{bead}: {told(row)} {what}", bead, seq
            begun.add(bead)
            flying[bead] = 0
        landed[row["swarm"]] += name == "landed"
        if name in ("implementation_accepted", "defended", "withheld"):
            awaits[bead] = row["data"].get("hold")
        if name in ("blocked", "unblocked") or bead not in begun:
            continue
        if _flies(row, awaits.get(bead)):
            flying.setdefault(bead, seq)
        else:
            flying.pop(bead, None)


def _without_room(log: Log, claim: Row, flying: Mapping[str, int], landed: int) -> str:
    """What is wrong with beginning a bead just then. `flying`: those in flight, and since which
    event, where a person brought them back."""
    swarm, seq = claim["swarm"], claim["seq"]
    only, targets = log.settings(swarm, seq).get("beads"), log.targets(swarm, seq - AT_ONCE, seq)
    if only is None or not targets:
        return ""  # a version that did not say for which beads it counts is taken as it is
    target = max(targets)
    mine = [since for bead, since in flying.items() if not only or bead in only]
    there = landed + sum(1 for since in mine if not since or since < seq - AT_ONCE)
    return f"while {there} of {target} had landed or were in flight" if there >= target else ""


def _flies(row: Row, awaits: str | None) -> bool:
    """Whether a bead that was begun is still to land, without a person or by approval alone."""
    if row["to"] == "landing/held":
        return row["event"] != "held_by_person" and awaits == "approval"
    return status_of(row["to"]) in ("pending", "in_progress")


@promise
def claims_only_while_running(log: Log) -> Iterator[Found]:
    """No claim while the swarm starts, is paused, is stopping or has ended."""
    at: dict[str | None, str] = {}
    for row in log.events:
        if row["event"] == "claimed" and at.get(row["swarm"]) != "running":
            what = f"{row['bead']}: {told(row)} while {row['swarm']} was {at.get(row['swarm'])}"
            yield what, row["bead"], row["seq"]
        elif row["bead"] is None:
            _move(at, row)


@promise
def crashed_agents_pause(log: Log) -> Iterator[Found]:
    """An agent whose backend died or hung claims nothing at once."""
    crashed: dict[str, Row] = {}
    for row in log.events:
        name = row["event"]
        if name in STARTS:
            crashed.clear()
        elif name == "attempt_failed" and row["class"] in _RESTARTS:
            crashed[row["agent"]] = row
        elif name == "claimed" and (before := crashed.pop(row["agent"], None)):
            pause = seconds(before["at"], row["at"])
            if 0 <= pause < SHORTEST_PAUSE:  # below 0 somebody has set the clock
                what = f"{row['agent']}: {told(row)} only {pause:.3f} s after {told(before)}"
                yield what, row["bead"], row["seq"]


@promise
def nothing_runs_after_the_end(log: Log) -> Iterator[Found]:
    """Between a swarm's end and its next start nobody works for it.

    What had landed when a daemon died may be recorded by the next one, for the swarm that
    intended it.
    """
    at: dict[str | None, str] = {}
    for row in log.events:
        swarm, name = row["swarm"], row["event"]
        if row["bead"] is None and name != "gate_ran":
            _move(at, row)
        elif swarm is not None and name in _ACTIVE and at.get(swarm, "stopped") in ENDED:
            if name == "landed" and any(status not in ENDED for status in at.values()):
                continue
            yield f"{told(row)} of {swarm}, which has ended", row["bead"], row["seq"]


def _move(at: dict[str | None, str], row: Row) -> None:
    if row["event"] in STARTS:
        at[row["swarm"]] = "starting"
    elif row["to"] is not None:
        at[row["swarm"]] = row["to"]
