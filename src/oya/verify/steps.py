"""The log is whole, every step is in the table, and the states are what the events make."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from oya.verify.history import Row
from oya.verify.log import STARTS, Found, Log, phase_of, promise, told
from oya.verify.table import ALLOWED, SWARM

_ROLES = {
    "contract": "test_writer",
    "contract:check": "planner",
    "implementation": "implementer",
    "review": "reviewer",
}


@promise
def log_has_no_gaps(log: Log) -> Iterator[Found]:
    """Events are numbered from 1, each once; only what retention took out is missing."""
    pruned = log.history.pruned or {"until": 0, "counts": ()}
    gone, last = sum(count for *_, count in pruned["counts"]), 0
    for row in log.events:
        missing = row["seq"] - last - 1
        explained = missing >= 0 and row["seq"] - 1 <= pruned["until"]
        if missing and not explained:
            yield f"after event {last} comes {row['seq']}", None, row["seq"]
        gone -= missing if explained else 0
        last = row["seq"]
    if gone:
        yield f"what retention took out and what is missing differ by {gone} events", None, None


@promise
def steps_join(log: Log) -> Iterator[Found]:
    """Each step of a bead begins where the one before ended; the last ends in its state."""
    for bead, rows in log.steps.items():
        at = None
        for row in rows:
            if row["from"] != at:
                yield f"{bead} was {at}, {told(row)} says {row['from']}", bead, row["seq"]
            at = row["to"]
        final = _where(log.history.beads.get(bead))
        if at != final:
            yield f"{bead}: the log ends in {at}, its state is {final}", bead, None
    for bead in log.history.beads:
        if bead not in log.steps:
            yield f"{bead} has a state and no event", bead, None


@promise
def steps_are_in_the_table(log: Log) -> Iterator[Found]:
    """No bead goes a way that docs/semantics.md does not know."""
    for bead, rows in log.steps.items():
        for row in rows:
            if (row["event"], row["from"], row["to"]) not in ALLOWED:
                what = f"{bead}: {told(row)} goes from {row['from']} to {row['to']}"
                yield what, bead, row["seq"]


@promise
def states_are_what_events_make(log: Log) -> Iterator[Found]:
    """A bead's final state holds what its events said: nothing acknowledged is lost."""
    for bead, rows in log.steps.items():
        state = log.history.beads.get(bead)
        if state is None:
            continue  # steps_join has said so
        made, blocked = _made(rows)
        if bool(state["blocked"]) != blocked:
            yield f"{bead}: its events leave it {_free(blocked)}, its state not", bead, None
        for name, value in made.items():
            if state[name] != value:
                yield f"{bead}: {name} is {state[name]}, its events make {value}", bead, None


def _where(state: Row | None) -> str | None:
    if state is None:
        return None
    phase = f"{state['phase']}:check" if state["checking"] else str(state["phase"])
    return f"{phase}/{state['status']}"


def _free(blocked: bool) -> str:
    return "blocked" if blocked else "free"


def _made(rows: list[Row]) -> tuple[dict[str, Any], bool]:
    """What a state should hold, and whether the bead is blocked."""
    made: dict[str, Any] = dict.fromkeys(
        ("base", "contract", "implementation", "reviewed", "commit")
    )
    epoch, blocked = 0, False
    claims: Counter[str] = Counter()
    for row in rows:
        name = row["event"]
        if name == "claimed":
            epoch = row["epoch"]
            claims[_ROLES.get(phase_of(row["from"]), "")] += 1
        blocked = name == "blocked" or (blocked and name != "unblocked")
        change = _CHANGES.get(name)
        if change is not None:
            made.update(change(row))
    made |= {"epoch": epoch, "claims": dict(claims), "version": len(rows)}
    return made, blocked


def _claimed(row: Row) -> dict[str, Any]:
    """Only a contract starts on a base of its own."""
    return {"base": row["data"]["base"]} if row["from"] == "contract/pending" else {}


def _implemented(row: Row) -> dict[str, Any]:
    data = row["data"]
    found = {"implementation": data["commit"], "base": data["base"]}
    if phase_of(row["to"]) == "landing":
        found["reviewed"] = data["commit"]
    return found


def _retried(row: Row) -> dict[str, Any]:
    return {"commit": None} if row["from"] == "landed/held" else {}


_CHANGES = {
    "claimed": _claimed,
    "contract_accepted": lambda row: {
        "contract": row["data"]["commit"],
        "base": row["data"]["base"],
    },
    "implementation_accepted": _implemented,
    "defended": lambda row: {"reviewed": row["data"]["commit"]},
    "landing_started": lambda row: {"base": row["data"]["base"]},
    "landed": lambda row: {"commit": row["data"]["commit"]},
    "retried": _retried,
}


@promise
def swarms_live_as_they_should(log: Log) -> Iterator[Found]:
    """Each swarm goes the ways of its life, and its last event is its state."""
    at: dict[str, str] = {}
    for row in log.life:
        swarm, name, to = row["swarm"], row["event"], row["to"]
        if name in STARTS:
            at[swarm] = "starting"
        elif to is not None:
            before = at.get(swarm)
            if row["from"] != before or (name, before, to) not in SWARM:
                what = f"{swarm} was {before}, {told(row)} goes from {row['from']} to {to}"
                yield what, None, row["seq"]
            at[swarm] = to
    for swarm, state in log.history.swarms.items():
        if str(state["status"]) != at.get(swarm):
            yield f"{swarm} is {state['status']}, its events end in {at.get(swarm)}", None, None
