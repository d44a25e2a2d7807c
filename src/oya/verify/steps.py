"""The log is whole: numbers without gaps, and each bead's steps join up to its state."""

from __future__ import annotations

from collections.abc import Iterator

from oya.verify.history import Breach, Row
from oya.verify.log import Log


def log_has_no_gaps(log: Log) -> Iterator[Breach]:
    """Events are numbered from 1, each once."""
    for expected, row in enumerate(log.events, 1):
        if row["seq"] != expected:
            yield Breach("log_has_no_gaps", f"event {expected} is missing", seq=row["seq"])
            return


def steps_join(log: Log) -> Iterator[Breach]:
    """Each step of a bead begins where the one before ended; the last ends in its state."""
    for bead, rows in log.steps.items():
        at = None
        for row in rows:
            if row["from"] != at:
                what = f"{bead} was {at}, event {row['seq']} ({row['event']}) says {row['from']}"
                yield Breach("steps_join", what, bead, row["seq"])
            at = row["to"]
        final = where(log.history.beads.get(bead))
        if at != final:
            yield Breach("steps_join", f"{bead}: the log ends in {at}, its state is {final}", bead)


def where(state: Row | None) -> str | None:
    """Phase and status of a state as they stand in events, e.g. `contract:check/pending`."""
    if state is None:
        return None
    phase = f"{state['phase']}:check" if state["checking"] else str(state["phase"])
    return f"{phase}/{state['status']}"
