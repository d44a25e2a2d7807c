"""Answers as lines for people: quiet, aligned, one voice."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from oya.cli.choice import BLOCKED, CHECK

Row = Mapping[str, Any]


def table(rows: Sequence[Sequence[str]], indent: str = "") -> Iterator[str]:
    """Columns, each as wide as its widest cell; the last one is cut to the terminal."""
    if not rows:
        return
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    room = width()
    for row in rows:
        cells = [cell.ljust(size) for cell, size in zip(row, widths, strict=True)]
        yield f"{indent}{'  '.join(cells).rstrip()}"[:room]


def width() -> int:
    """Columns of the terminal; 200 where there is none."""
    try:
        return os.get_terminal_size(1).columns
    except OSError:
        return 200


def ago(at: str | None, now: datetime) -> str:
    """How long ago a stamp was: `12s`, `3m`, `2h`."""
    if not at:
        return "-"
    seconds = max(0, int((now - datetime.fromisoformat(at)).total_seconds()))
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def due(at: str | None, now: datetime) -> str:
    """How long until a stamp."""
    if not at:
        return "-"
    seconds = max(0, int((datetime.fromisoformat(at) - now).total_seconds()))
    minutes, seconds = divmod(seconds, 60)
    return f"{minutes}m {seconds:02}s" if minutes else f"{seconds}s"


def status(found: Row) -> Iterator[str]:
    """`oya swarm status`."""
    if found["id"] is None:
        yield "No swarm has run here. Start one: oya swarm"
        return
    now = datetime.now(UTC)
    yield from head(found, now)
    yield from _counts(found)
    if found["agents"]:
        yield ""
        yield from table([agent(row, now) for row in found["agents"]])
    yield from notes(found, now)


def head(found: Row, now: datetime) -> Iterator[str]:
    """One line: which swarm, how it fares, how far it is."""
    reason = f" ({found['reason']})" if found["reason"] else ""
    eta = found["estimated_completion"]
    left = f", about {due(eta, now)} left" if eta else ""
    done, target = found["landed_beads"], found["target_beads"]
    yield f"{found['id']}  {found['status']}{reason}  {done}/{target} landed{left}"


def _counts(found: Row) -> Iterator[str]:
    for title in ("beads", "phases"):
        counts = "  ".join(f"{name.replace('_', ' ')} {n}" for name, n in found[title].items())
        yield f"{title:<8} {counts}"
    landing = found["landing"]
    runs = landing["gate_runs"]
    yield f"{'landing':<8} queued {landing['queued']}  gate runs {'?' if runs is None else runs}"
    if found["failures"]:
        counts = "  ".join(f"{name} {n}" for name, n in sorted(found["failures"].items()))
        yield f"{'failures':<8} {counts}"


def agent(row: Row, now: datetime) -> tuple[str, ...]:
    """One agent as cells."""
    return (
        row["id"],
        row["state"],
        row["bead"] or "-",
        row["backend"],
        ago(row["since"], now),
        f"active {ago(row['last_activity'], now)} ago" if row["bead"] else "",
    )


def notes(found: Row, now: datetime) -> Iterator[str]:
    """What a person should know beside the numbers."""
    for backend in found["backends"]:
        if backend["state"] != "ok":
            until = f", tried again in {due(backend['until'], now)}" if backend["until"] else ""
            why = f": {backend['reason']}" if backend["reason"] else ""
            yield f"backend {backend['name']} is {backend['state']}{until}{why}"
    if found["landing"]["red_base"]:
        yield f"the base {found['landing']['red_base'][:9]} is red; nothing new is claimed"
    if found["landing"]["remote"]:
        yield f"nothing lands for now: {found['landing']['remote']}; tried again"
    if found["landing"]["left_out"]:
        yield f"commits of yours wait to be merged: {found['landing']['left_out']}"
    for branch, count in found["landing"]["behind"].items():
        if count:
            yield f"{branch} is {count} behind: oya sync"


def bead_rows(rows: Iterable[Row], of: int = 0) -> list[str]:
    """`oya beads`; `of`: how many there are to choose from."""
    cells = [
        (row["id"], phase(row), state(row), row["agent"] or "-", _one_line(row["title"]))
        for row in rows
    ]
    if not cells:
        if of:
            return [f"None of {of} beads."]
        return ["No beads. A swarm reads them from the tracker: oya swarm"]
    return list(table([("BEAD", "PHASE", "STATUS", "AGENT", "TITLE"), *cells]))


def phase(row: Row) -> str:
    """Where it is; `check` is the planner's part of the contract."""
    return CHECK if row["checking"] else str(row["phase"])


def state(row: Row) -> str:
    """What it does there, and what it waits for."""
    if row["status"] == "held":
        return f"held ({str(row['hold']).replace('_', ' ')})"
    if row["status"] == "pending" and row["blocked"]:
        return BLOCKED
    return str(row["status"]).replace("_", " ")


def standing(row: Row) -> str:
    """Where a bead is, as a sentence."""
    if row["status"] == "complete":
        return f"{row['id']} has landed."
    if row["status"] == "removed":
        return f"{row['id']} is removed: {row['reason']}."
    return f"{row['id']} is {state(row)} in {phase(row)}."


def _one_line(text: str) -> str:
    return " ".join(text.split())


def bead(found: Row) -> Iterator[str]:
    """`oya show`."""
    yield f"{found['id']}  {_one_line(found.get('title') or '')}"
    pairs = [
        ("phase", phase(found)),
        ("status", state(found)),
        ("reason", found["reason"]),
        ("blocked", found["blocked"]),
        ("agent", found["agent"]),
        ("attempts", _claims(found["claims"])),
        ("contract", found["contract"] if isinstance(found["contract"], str) else None),
        ("implementation", found["implementation"]),
        ("landed as", found["commit"]),
        ("kept at", found["snapshot"]),
        ("next", found["next"]),
    ]
    yield from table([(name, str(value)) for name, value in pairs if value], "  ")
    yield from _contract(found.get("contract_record"))
    for title, key in (("findings", "findings"), ("notes", "notes")):
        for text in found[key]:
            yield f"  {title:<14}  {_one_line(text)}"
    for check in found["checks"]:
        yield f"  {'check':<14}  {check['command']} (exit {check['expect']})"


def _claims(claims: Mapping[str, int]) -> str:
    return ", ".join(f"{role.replace('_', ' ')} {count}" for role, count in claims.items())


def _contract(record: Mapping[str, Any] | None) -> Iterator[str]:
    if not record:
        return
    if record.get("kind"):
        yield f"  {'contract kind':<14}  {record['kind']}"
    for name in record.get("changes", ()):
        yield f"  {'changes test':<14}  {_one_line(name)}"
    for name in record.get("fail_to_pass", ()):
        yield f"  {'red to green':<14}  {name}"
    for path in record.get("test_files", ()):
        yield f"  {'frozen':<14}  {path}"


def why(found: Row) -> Iterator[str]:
    """`oya why`."""
    yield f"{found['id']}  {_one_line(found['title'])}"
    yield standing(found)
    yield ""
    yield from found["story"]
    if found["waits"]:
        yield ""
        yield f"It waits: {found['waits']}."
    if found["next"]:
        yield ""
        yield f"Next: {found['next']}"
    yield from _lasting(found)


def _lasting(found: Row) -> Iterator[str]:
    """What a bead that came to a stop has to pass whatever is done, unless its text is edited."""
    stopped = found["status"] == "failed" or found["hold"] == "question"
    checks = found.get("checks")  # a daemon of an older version says nothing of them
    if not stopped or not checks:
        return
    yield ""
    yield "Checks that its reviews have left stay until its text changes:"
    for check in checks:
        yield f"  {_one_line(check['command'])} (exit {check['expect']})"
    yield (
        "If one is wrong, edit its title, description or acceptance criteria in the tracker: all "
        "of them go, and it begins anew."
    )


def swarms(rows: Sequence[Row]) -> list[str]:
    """`oya swarm list`."""
    if not rows:
        return ["No repository of yours has had a swarm."]
    cells = [(row["swarm"] or "-", row["state"], row["progress"], row["path"]) for row in rows]
    return list(table([("SWARM", "STATUS", "LANDED", "REPOSITORY"), *cells]))
