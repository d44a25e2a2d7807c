"""The event log, grouped once: what every promise looks at."""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import wraps
from math import inf
from typing import Any

from oya.verify.history import Breach, History, Row

Found = tuple[str, str | None, int | None]
"""What is wrong, in words; the bead and the number of the event, where there are."""

ENDED = frozenset({"stopped", "completed", "failed"})
"""The states in which nothing of a swarm runs any more."""
SECONDS = len("2026-01-01T00:00:00")
"""As much of a time as is compared: some write fractions of a second, others do not."""
STARTS = ("swarm_starting", "swarm_continued")
_SAY = (*STARTS, "swarm_changed", "target_capped")
_SETTINGS = ("target", "limits", "gates", "beads", "unattended", "baseline")


class Log:
    """A history with its events by bead and by name, in order.

    `steps`: the events that set a bead's state. `named`: events by their names. `life`: the
    events of swarms themselves. `runs`: runs of gates by the key of their evidence.
    `told_since`: the first event of a version that writes down what evidence it had.
    `last_at`: the newest time. `retention`: the shortest that a swarm ran under, in seconds; 0
    where one did not say.
    """

    def __init__(self, history: History) -> None:
        self.history = history
        self.events = history.events
        self.steps: dict[str, list[Row]] = defaultdict(list)
        self.named: dict[str, list[Row]] = defaultdict(list)
        self.life: list[Row] = []
        self._settings: dict[str, list[tuple[int, Row]]] = defaultdict(list)
        for row in history.events:
            name, bead = row["event"], row["bead"]
            self.named[name].append(row)
            if bead is None:
                if row["to"] is not None or name in _SAY:
                    self._lives(row)
            elif row["to"] is not None:
                self.steps[bead].append(row)
        self.runs = _by_key(self.named["gate_ran"])
        keyed = (row["seq"] for row in self.named["gate_ran"] if "key" in row["data"])
        self.told_since: float = next(keyed, inf)
        self.last_at = max((row["at"] for row in history.events), default="")
        starts = (row for name in STARTS for row in self.named[name])
        self.retention = min((row["data"].get("retention", 0.0) for row in starts), default=0.0)

    def _lives(self, row: Row) -> None:
        self.life.append(row)
        if row["event"] in _SAY:
            known = self._settings[row["swarm"]]
            said = {key: row["data"][key] for key in _SETTINGS if key in row["data"]}
            known.append((row["seq"], {**(known[-1][1] if known else {}), **said}))

    def settings(self, swarm: str | None, seq: int) -> Row:
        """Under which target, limits and gates a swarm was at an event, and for which beads (none:
        for all); {} where it never said."""
        known = self._settings.get(swarm or "", ())
        place = bisect_right(known, seq, key=lambda said: said[0])
        return known[place - 1][1] if place else {}

    def targets(self, swarm: str | None, since: int, until: int) -> list[int]:
        """Every target that a swarm had between two events, the one it came with included."""
        said = [
            row["target"]
            for seq, row in self._settings.get(swarm or "", ())
            if "target" in row and since < seq <= until
        ]
        first = self.settings(swarm, since).get("target")
        return said if first is None else [first, *said]

    def gone(self, name: str) -> Counter[str]:
        """How many events of that name retention took out, by swarm."""
        counts: Counter[str] = Counter()
        for swarm, event, _, count in (self.history.pruned or {}).get("counts", ()):
            if event == name:
                counts[swarm] += count
        return counts

    @property
    def over(self) -> bool:
        """Whether no swarm runs, nor was cut off: only then nothing may be left."""
        return all(str(swarm["status"]) in ENDED for swarm in self.history.swarms.values())


def promise(look: Callable[[Log], Iterator[Found]]) -> Callable[[Log], Iterator[Breach]]:
    """Make a predicate of a function that yields what is wrong; its name names the promise."""

    @wraps(look)
    def kept(log: Log) -> Iterator[Breach]:
        for what, bead, seq in look(log):
            yield Breach(look.__name__, what, bead, seq)

    return kept


def seconds(since: str, until: str) -> float:
    """What lies between two ISO times."""
    return (datetime.fromisoformat(until) - datetime.fromisoformat(since)).total_seconds()


def told(row: Row) -> str:
    """An event, as breaches name it."""
    return f"event {row['seq']} ({row['event']})"


def phase_of(place: str | None) -> str:
    """The phase of `phase/status`."""
    return (place or "").partition("/")[0]


def status_of(place: str | None) -> str:
    """The status of `phase/status`."""
    return (place or "").partition("/")[2]


def _by_key(runs: list[Row]) -> Mapping[str, list[Row]]:
    found: dict[str, list[Row]] = defaultdict(list)
    for row in runs:
        found[row["data"].get("key", "")].append(row)
    return found


def text(value: Any) -> str:
    """A commit or another id, short enough to read."""
    return str(value)[:9] if value else "none"
