"""A small history that keeps every promise, and ways to break one of them.

`KEPT` is written out event by event: bead `a` goes the whole way, `b` waits for it and is held
by a person at the end. A test changes as little as it can, and says what must be noticed.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from oya.clock import stamp
from oya.verify import Commit, Dependency, History, check

Row = dict[str, Any]

LIMITS = {
    "max_attempts": 2,
    "max_contests": 1,
    "max_rebases": 1,
    "max_revisions": 2,
    "planner": True,
    "review": True,
}
ROLES = {
    "contract": "test_writer",
    "contract:check": "planner",
    "implementation": "implementer",
    "review": "reviewer",
}
A = "tests/a.py::test_a"
BASE, LANDED = "b" * 40, "1" * 40
CONTRACT, WORK, CRASHED = "c" * 40, "4" * 40, "3" * 40


def event(
    name: str,
    bead: str | None = None,
    frm: str | None = None,
    to: str | None = None,
    epoch: int | None = None,
    **more: Any,
) -> Row:
    """One record; `data` in `more`, and what else it holds by its name (`class_` for class)."""
    row = {"swarm": "s-1", "bead": bead, "event": name, "from": frm, "to": to, "epoch": epoch}
    row |= {"agent": None, "class": more.pop("class_", None), "reason": None, "data": {}}
    return row | more


def ran(gate: str, key: str, tree: str, ok: bool = True, **more: Any) -> Row:
    data = {"key": key, "tree": tree, "ok": ok, "seconds": 0.1, **more}
    return event("gate_ran", reason=gate, data=data)


def claimed(bead: str, phase: str, epoch: int, base: str = BASE) -> Row:
    place = f"{phase}/pending"
    return event("claimed", bead, place, f"{phase}/in_progress", epoch, data={"base": base})


KEPT: list[Row] = [
    event(
        "swarm_starting",
        to="starting",
        data={"target": 2, "limits": LIMITS, "gates": ["tests", "ci"], "beads": []},
    ),
    event("added", "a", None, "contract/pending"),
    event("added", "b", None, "contract/pending"),
    event("blocked", "b", "contract/pending", "contract/pending", reason="waits for a"),
    ran("tests", "k-base", "t-base"),
    event("swarm_running", frm="starting", to="running"),
    claimed("a", "contract", 1),
    ran("tests", "k-red", "t-red", ok=False, red=[A]),
    event(
        "contract_accepted",
        "a",
        "contract/in_progress",
        "contract:check/pending",
        1,
        data={
            "commit": CONTRACT,
            "base": BASE,
            "kind": "behaviour",
            "fail_to_pass": [A],
            "red": {"keys": ["k-base", "k-red"]},
        },
    ),
    claimed("a", "contract:check", 2),
    event("check_accepted", "a", "contract:check/in_progress", "implementation/pending", 2),
    claimed("a", "implementation", 3),
    event(
        "attempt_failed",
        "a",
        "implementation/in_progress",
        "implementation/pending",
        3,
        class_="agent_crash",
        reason="it died",
        data={"snapshot": CRASHED, "head": CRASHED},
    ),
    claimed("a", "implementation", 4),
    ran("tests", "k-work", "t-work"),
    event(
        "implementation_accepted",
        "a",
        "implementation/in_progress",
        "review/pending",
        4,
        data={"commit": WORK, "base": BASE},
    ),
    claimed("a", "review", 5),
    event("defended", "a", "review/in_progress", "landing/pending", 5, data={"commit": WORK}),
    event("landing_started", "a", "landing/pending", "landing/in_progress", 5, data={"base": BASE}),
    ran("tests", "k-land", "t-land"),
    ran("ci", "k-ci", "t-land"),
    event(
        "landed",
        "a",
        "landing/in_progress",
        "landed/complete",
        5,
        data={"commit": LANDED, "evidence": ["k-land", "k-ci"]},
    ),
    event("unblocked", "b", "contract/pending", "contract/pending"),
    event("held_by_person", "b", "contract/pending", "contract/held", reason="mine"),
    event("swarm_stopping", frm="running", to="stopping", reason="nothing is left"),
    event("swarm_completed", frm="stopping", to="completed", reason="nothing is left"),
]


def state(bead: str, **given: Any) -> Row:
    """A final state; what `given` does not say is as in a bead that nobody has touched."""
    fresh: Row = {
        "id": bead,
        "version": 0,
        "epoch": 0,
        "phase": "contract",
        "checking": False,
        "status": "pending",
        "blocked": "",
        "reason": "",
        "claims": {},
        **dict.fromkeys(("retry_count", "contests", "rebases", "revisions", "done_claims"), 0),
        **dict.fromkeys(("base", "contract", "implementation", "reviewed", "commit")),
    }
    return fresh | given


def numbered(rows: list[Row]) -> list[Row]:
    """The events with numbers and times, and with the current epoch where they say none."""
    epochs: dict[str, int] = {}
    found = []
    for seq, row in enumerate(copy.deepcopy(rows), 1):
        row |= {"seq": seq, "at": f"2026-01-01T00:{seq // 60:02}:{seq % 60:02}.000Z"}
        if row["bead"] is not None:
            row["epoch"] = epochs.get(row["bead"], 0) if row["epoch"] is None else row["epoch"]
            epochs[row["bead"]] = row["epoch"]
        found.append(row)
    return found


def counted(rows: list[Row], bead: str) -> Row:
    """What the store counts of a bead: its events and its claims."""
    mine = [row for row in rows if row["bead"] == bead and row["to"]]
    claims: dict[str, int] = {}
    for row in mine:
        if row["event"] == "claimed":
            role = ROLES[row["from"].partition("/")[0]]
            claims[role] = claims.get(role, 0) + 1
    return {"version": len(mine), "epoch": mine[-1]["epoch"], "claims": claims}


def kept() -> History:
    """The history of `KEPT`."""
    rows = numbered(KEPT)
    a = state("a", phase="landed", status="complete", base=BASE, **counted(rows, "a"))
    a |= {"contract": CONTRACT, "implementation": WORK, "reviewed": WORK, "commit": LANDED}
    b = state("b", status="held", reason="mine", **counted(rows, "b"))
    swarm = {"id": "s-1", "status": "completed", "landed_beads": 1, "gate_runs": 5}
    return History(
        events=rows,
        beads={"a": a, "b": b},
        swarms={"s-1": swarm | {"failures": {"agent_crash": 1}}},
        commits=[Commit(LANDED, "a", BASE, "t-land", "s-1")],
        judged={BASE: "t-base", CONTRACT: "t-red"},
        attempts={("a", epoch): f"{epoch}" * 40 for epoch in range(1, 6)},
        tracker={
            "a": {"status": "closed", "close_reason": "landed by oya", "closed_at": "2026-01-02"},
            "b": {"status": "open"},
        },
        depends={"b": [Dependency("a")]},
    )


def broken(history: History) -> list[str]:
    """The names of the promises that this history breaks, each once."""
    return list(dict.fromkeys(breach.promise for breach in check(history)))


def place_of(name: str, bead: str | None = None, n: int = 1) -> int:
    """Where the n-th event of that name stands in `KEPT`."""
    places = [
        place
        for place, row in enumerate(KEPT)
        if row["event"] == name and bead in (None, row["bead"])
    ]
    return places[n - 1]


def with_events(rows: list[Row], history: History | None = None, **more: Any) -> History:
    """A history with other events, whose beads' states count them."""
    history, rows = history or kept(), numbered(rows)
    beads = {bead: {**was, **counted(rows, bead)} for bead, was in history.beads.items()}
    return replace(history, events=rows, beads=beads, **more)


def changed(name: str, n: int = 1, bead: str | None = None, **fields: Any) -> list[Row]:
    """The events with one of them different; `data` is laid over what it has."""
    rows = copy.deepcopy(KEPT)
    row = rows[place_of(name, bead, n)]
    data = row["data"] | fields.pop("data", {})
    rows[rows.index(row)] = row | fields | {"data": data}
    return rows


def put(after: str, *rows: Row, n: int = 1, bead: str | None = None) -> list[Row]:
    """The events with more of them after one."""
    place = place_of(after, bead, n) + 1
    return [*KEPT[:place], *rows, *KEPT[place:]]


def without(name: str, n: int = 1) -> list[Row]:
    """The events but one."""
    place = place_of(name, n=n)
    return [*KEPT[:place], *KEPT[place + 1 :]]


RETENTION = 30
"""Days that a swarm of `closed` keeps what is over."""


def closed(*then: Row, days: int = RETENTION + 1, reason: str = "closed in the tracker") -> History:
    """A third bead, `c`: one attempt, then it is closed; after these days `then` happens, or the
    end. The ref of that attempt is gone, and retention has taken something."""
    rows = put(
        "unblocked",
        event("added", "c", None, "contract/pending"),
        claimed("c", "contract", 1),
        ended("c", 1),
        event("removed", "c", "contract/pending", "contract/removed", reason=reason),
        *then,
    )
    rows[0] = rows[0] | {"data": rows[0]["data"] | {"retention": RETENTION * 86_400}}
    history = replace(kept(), beads={**kept().beads, "c": state("c", status="removed", base=BASE)})
    history = with_events(rows, history, pruned={"until": 0, "counts": []})
    history = swarm_of(history, failures={"agent_crash": 1, "cancelled": 1})
    return later(history, then[0]["event"] if then else "swarm_stopping", days)


def ended(bead: str, epoch: int) -> Row:
    """The end of an attempt at a contract, of which something is kept."""
    frm, to = "contract/in_progress", "contract/pending"
    data = {"snapshot": f"{epoch}" * 40}
    return event("attempt_failed", bead, frm, to, epoch, class_="cancelled", data=data)


def later(history: History, name: str, days: int) -> History:
    """The history with so many days before the first event of that name."""
    place = next(n for n, row in enumerate(history.events) if row["event"] == name)
    moved = [
        {**row, "at": stamp(datetime.fromisoformat(row["at"]) + timedelta(days=days))}
        for row in history.events[place:]
    ]
    return replace(history, events=[*history.events[:place], *moved])


def bead_of(history: History, bead: str, **fields: Any) -> History:
    """The history with a final state that differs."""
    return replace(history, beads={**history.beads, bead: history.beads[bead] | fields})


def swarm_of(history: History, **fields: Any) -> History:
    """The history with a final state of its swarm that differs."""
    return replace(history, swarms={"s-1": history.swarms["s-1"] | fields})
