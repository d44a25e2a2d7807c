"""One screen, not a scroll: the running swarm in a terminal."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from oya.cli.lines import agent, due, notes
from oya.cli.output import plain, plainly
from oya.daemon.client import Client, NoDaemon
from oya.errors import OyaError

RECENT = 8


class Screen:
    """Asks for the status when it is refreshed, and shows it with the last events."""

    def __init__(self, client: Client, console: Console | None = None) -> None:
        self._client = client
        self._events: deque[str] = deque(maxlen=RECENT)
        self._status: dict[str, Any] | None = None
        self._console = console or Console()
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            screen=False,
            transient=True,
            redirect_stderr=True,
        )
        self._live.start()
        self.refresh()

    def add(self, event: str) -> None:
        """One more event; shown with the next refresh, or at once where few come."""
        self._events.append(plain(event))

    def refresh(self) -> None:
        """Ask and draw. A daemon that gives no answer now leaves what was there."""
        try:
            self._status = plainly(self._client.get("status"))
        except (NoDaemon, OyaError):
            return
        self._live.update(draw(self._status, list(self._events), self._console.height))
        self._live.refresh()

    def close(self) -> None:
        """Give the terminal back."""
        self._live.stop()


def draw(found: dict[str, Any], events: list[str], height: int) -> RenderableType:
    """The screen of one status, no higher than the terminal."""
    now = datetime.now(UTC)
    above: list[RenderableType] = [_title(found, now), _bar(found), _phases(found)]
    below: list[RenderableType] = [Text(line, style="yellow") for line in notes(found, now)]
    room = max(4, height - len(above) - len(below) - 3)
    agents = found["agents"][: max(1, room - min(len(events), RECENT))]
    below += [Text(line, style="dim", no_wrap=True) for line in events[-(room - len(agents)) :]]
    return Group(*above, _agents(agents, now), *below)


def _title(found: dict[str, Any], now: datetime) -> Text:
    text = Text.assemble((f"{found['id']} ", "bold"), f"{found['status']}")
    if found["reason"]:
        text.append(f"  {found['reason']}", style="yellow")
    started = datetime.fromisoformat(found["started_at"]) if found["started_at"] else now
    minutes = max((now - started).total_seconds() / 60, 1 / 60)
    if found["landed_beads"]:
        text.append(f"  {found['landed_beads'] / minutes:.1f} beads a minute")
    if found["estimated_completion"]:
        text.append(f"  about {due(found['estimated_completion'], now)} left")
    text.no_wrap = True
    return text


def _bar(found: dict[str, Any]) -> Table:
    grid = Table.grid(padding=(0, 1))
    done, target = found["landed_beads"], found["target_beads"]
    grid.add_row(ProgressBar(total=target, completed=done, width=40), f"{done}/{target} landed")
    return grid


def _phases(found: dict[str, Any]) -> Text:
    counts = "  ".join(f"{name} {n}" for name, n in found["phases"].items())
    beads, landing = found["beads"], found["landing"]
    return Text(
        f"waiting {beads['pending']}  {counts}  held {beads['held']}  failed {beads['failed']}  "
        f"landing queue {landing['queued']}",
        no_wrap=True,
    )


def _agents(rows: list[dict[str, Any]], now: datetime) -> Table:
    grid = Table.grid(padding=(0, 2))
    for row in rows:
        style = {"working": "", "idle": "dim", "unhealthy": "red"}.get(row["state"], "dim")
        grid.add_row(*agent(row, now), style=style)
    return grid
