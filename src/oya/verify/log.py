"""The event log, grouped once: what every promise looks at."""

from __future__ import annotations

from collections import defaultdict

from oya.verify.history import History, Row


class Log:
    """A history with its events by bead and by name, in order.

    `steps`: the events that set a bead's state. `named`: events by their names.
    """

    def __init__(self, history: History) -> None:
        self.history = history
        self.events = history.events
        self.steps: dict[str, list[Row]] = defaultdict(list)
        self.named: dict[str, list[Row]] = defaultdict(list)
        for row in history.events:
            self.named[row["event"]].append(row)
            if row["bead"] is not None and row["to"] is not None:
                self.steps[row["bead"]].append(row)
