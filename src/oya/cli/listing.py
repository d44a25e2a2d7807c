"""Lists: events, and the repositories that have had a swarm."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from oya.cli.asking import STATUS, ask, events
from oya.cli.output import Format, data, lines
from oya.daemon.client import Client, NoDaemon
from oya.errors import OyaError
from oya.repository.places import Place, find_place

LOOK = 1.0
MAX_REPOSITORIES = 500


def print_events(place: Place, since: int, *, follow: bool, form: Format) -> None:
    """All events after `since`; with `follow`, those to come, until Ctrl+C."""
    since = _print_known(place, since, form)
    try:
        while follow:
            since = _print_live(place, since, form)
            time.sleep(LOOK)
    except KeyboardInterrupt:
        return


def _print_known(place: Place, since: int, form: Format) -> int:
    while True:
        page = ask(place, events(since))["events"]
        for row in page:
            _print(row, form)
            since = row["seq"]
        if not page:
            return since


def _print_live(place: Place, since: int, form: Format) -> int:
    """What a daemon tells while it runs; at once where none runs."""
    try:
        for row in Client(place.socket).follow(since):
            if "seq" in row:
                _print(row, form)
                since = row["seq"]
    except NoDaemon:
        return since
    return since


def _print(row: dict[str, Any], form: Format) -> None:
    if form is Format.JSON:
        data(row)
        return
    from oya.lifecycle.record import EventRecord
    from oya.swarm import story

    lines([f"{row['seq']:>6}  {story.line(EventRecord.from_json(row))}"])


def repositories() -> list[dict[str, Any]]:
    """Every repository of this user that has a state, with its newest swarm."""
    return [_about(path) for path in sorted(set(_known()))]


def _known() -> Iterator[Path]:
    named = os.environ.get("XDG_CACHE_HOME", "")
    home = Path(named) if named.startswith("/") else Path.home() / ".cache"
    files = sorted((home / "oya").glob("*/repository"))
    for file in files[:MAX_REPOSITORIES]:
        try:
            path = Path(file.read_text(errors="surrogateescape").rstrip("\n"))
        except OSError:
            continue
        if path.is_dir():
            yield path


def _about(path: Path) -> dict[str, Any]:
    from oya.swarm.report import DAEMON_GONE

    try:
        found = ask(find_place(path), STATUS)
    except OyaError as error:
        return {
            "path": str(path),
            "swarm": None,
            "state": f"unknown: {error}",
            "progress": "-",
            "status": None,
        }
    done, target = found["landed_beads"], found["target_beads"]
    return {
        "path": str(path),
        "swarm": found["id"],
        "state": "daemon gone" if found["reason"] == DAEMON_GONE else found["status"] or "-",
        "progress": f"{done}/{target}" if target is not None else "-",
        "status": found,
    }
