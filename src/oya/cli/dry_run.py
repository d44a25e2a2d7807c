"""`oya swarm --dry-run`: what would happen, and where every value comes from."""

from __future__ import annotations

import asyncio
import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

from oya.beads import Backlog
from oya.beads.graph import Graph, in_words
from oya.beads.order import in_order, unfit
from oya.beads.where import parse_where
from oya.cli import lines
from oya.cli.output import Format, show
from oya.clock import SystemClock
from oya.daemon.choose import choose
from oya.daemon.client import Client, NoDaemon
from oya.daemon.preflight import preflight
from oya.daemon.request import Request
from oya.daemon.state import has_state, open_store
from oya.lifecycle.model import BeadState, Status
from oya.lifecycle.swarm import SwarmState
from oya.repository.places import Place
from oya.store import Store
from oya.swarm.config import Settings, load

FIRST = 10
LOOKED_AT = 2000


def explain(place: Place, request: Request, form: Format) -> int:
    """Print the plan; start nothing, change nothing. Errors are those that a start would meet."""
    settings = load(place.root / ".oya/swarm.toml", request.flags)
    show(asyncio.run(_plan(place, request, settings)), form, _words)
    return 0


async def _plan(place: Place, request: Request, settings: Settings) -> dict[str, Any]:
    clock = SystemClock()
    before = await preflight(place, settings, request.beads)
    try:
        running = Client(place.socket).get("status")
    except NoDaemon:
        running = None
    swarms: tuple[SwarmState, ...] = ()
    states: Mapping[str, BeadState] = {}
    seconds: dict[str, float] = {}
    if running is None and has_state(place):
        store = await open_store(place, clock, sync=settings.store.sync)
        try:
            swarms, states = tuple(store.swarms.all().values()), dict(store.beads.all())
            seconds = await _measured(store)
        finally:
            await store.close()
    if running is not None:
        would, target = f"Attaches to {running['id']}, which is {running['status']}.", None
    else:
        choice = choose(swarms, request, settings, before.branch, clock.now())
        would, target = choice.words, choice.swarm.target_beads - choice.swarm.landed_beads
    workable = _workable(before.backlog, settings, states, request.beads)
    free = _free(before.backlog, workable, states)
    warnings = [*before.warnings]
    if target is not None and len(workable) < target:
        warnings.append(f"only {len(workable)} beads can be worked on: the target would be capped")
    warnings += [
        f"{in_words(cycle)}; none of these can land"
        for cycle in Graph(before.backlog.beads).cycles()
    ]
    return {
        "would": would,
        "configuration": [
            {"key": key, "value": value, "source": settings.provenance[key]}
            for key, value in settings.values.items()
        ],
        "workable": len(workable),
        "first_beads": [_named(before.backlog, bead) for bead in free[:FIRST]],
        "gates": [
            {"gate": gate, "command": command, "seconds": seconds.get(gate)}
            for gate, command in _gates(settings)
        ],
        "touches": _touches(place, settings, before.branch),
        "warnings": warnings,
    }


def _workable(
    backlog: Backlog, settings: Settings, states: Mapping[str, BeadState], only: tuple[str, ...]
) -> list[str]:
    where, now = parse_where(settings.tracker.where), SystemClock().now()
    found = []
    for bead in in_order(backlog.beads):
        state = states.get(bead.id)
        wanted = (not only or bead.id in only) and (state is None or state.workable)
        if wanted and unfit(bead, where, now) is None:
            found.append(bead.id)
    return found


def _free(backlog: Backlog, ids: list[str], states: Mapping[str, BeadState]) -> list[str]:
    graph = Graph(backlog.beads)

    def landed(bead: str) -> bool:
        return bead in states and states[bead].status is Status.COMPLETE

    return [bead for bead in ids if not graph.blocked(bead, landed)]


def _named(backlog: Backlog, bead: str) -> dict[str, str]:
    known = backlog.get(bead)
    return {"id": bead, "title": known.title if known else ""}


def _gates(settings: Settings) -> Iterator[tuple[str, str]]:
    gates = settings.quality_gates
    for command in gates.quick:
        yield "quick", command
    if gates.tests.command:
        yield "tests", gates.tests.command
    for command in gates.ci:
        yield "ci", command


async def _measured(store: Store) -> dict[str, float]:
    """The median of what each gate took lately, in seconds."""
    took: dict[str, list[float]] = defaultdict(list)
    since = max(0, store.events.last - LOOKED_AT)
    for record in await store.events.since(since, LOOKED_AT):
        if record.event == "gate_ran" and isinstance(record.data.get("seconds"), int | float):
            took[str(record.reason)].append(record.data["seconds"])
    return {gate: round(statistics.median(values), 3) for gate, values in took.items()}


def _touches(place: Place, settings: Settings, branch: str) -> list[str]:
    follows = ", and your checkout of it where that is clean" if settings.landing.follow else ""
    return [
        f"the branch {branch}: fast-forward only{follows}",
        "refs/oya/*: the line, attempts, bases, candidates; refs/notes/oya",
        "the tracker's file: closed beads",
        f"{place.state}: state and logs",
        f"{place.cache}: workspaces and slots",
        f"{place.socket}: the socket",
    ]


def _words(plan: dict[str, Any]) -> Iterator[str]:
    yield plan["would"]
    yield ""
    yield f"{plan['workable']} beads can be worked on. First:"
    yield from lines.table([(b["id"], b["title"]) for b in plan["first_beads"]], "  ")
    yield ""
    yield "Gates:"
    rows = [(g["gate"], _seconds(g["seconds"]), g["command"]) for g in plan["gates"]]
    yield from lines.table(rows, "  ")
    yield ""
    yield "Touches:"
    for text in plan["touches"]:
        yield f"  {text}"
    yield ""
    yield "Configuration:"
    cells = [(c["key"], _value(c["value"]), c["source"]) for c in plan["configuration"]]
    yield from lines.table(cells, "  ")
    for warning in plan["warnings"]:
        yield f"Warning: {warning}"


def _seconds(value: float | None) -> str:
    return "not measured yet" if value is None else f"{value:.1f} s"


def _value(value: Any) -> str:
    import json

    return "-" if value is None else json.dumps(value, ensure_ascii=False)
