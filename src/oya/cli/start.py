"""`oya swarm`: start, go on, or attach, and say which."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from oya.cli.output import Format, data, say
from oya.daemon.client import Client, NoDaemon
from oya.daemon.request import Request
from oya.errors import DaemonSilent, UsageError
from oya.repository.places import Place

if TYPE_CHECKING:
    from oya.daemon.launch import Started

TRIES: Final = 3
"""Daemons that are started, one after the other, while another process holds the state; it may
be one that does not answer yet."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What was typed: `flags` by dotted TOML key, only those that were given."""

    flags: Mapping[str, Any]
    beads: tuple[str, ...]
    resume: str
    new: bool

    def request(self, cwd: Path) -> Request:
        """The same for a daemon."""
        return Request(str(cwd), dict(self.flags), self.beads, self.resume, self.new)


def start(place: Place, wish: Wish, *, form: Format, dry_run: bool, detach: bool) -> int:
    """Start a swarm, go on with one, or attach to the running one; the exit code."""
    if wish.new and wish.resume:
        raise UsageError("--new and --resume do not go together.", safe="Nothing was started.")
    if dry_run:
        from oya.cli.dry_run import explain

        return explain(place, wish.request(Path.cwd()), form)
    started = None
    for turn in range(TRIES):
        running = _running(Client(place.socket))
        if running is not None:
            return _attach(place, wish, running, form, detach)
        if (started := _launch(wish, aloud=turn == 0)) is not None:
            break
    if started is None:
        raise _held()
    for warning in started.warnings:
        say(f"Warning: {warning}")
    say(started.words)
    if detach:
        return _leave(place, form)
    from oya.cli.attached import stay

    return stay(place, form, since=started.since, ours=True)


def _launch(wish: Wish, *, aloud: bool) -> Started | None:
    """None where another process has held the state for as long as one waits for it. `aloud`: on
    a terminal, say what takes a while."""
    from oya.daemon.launch import Locked, launch

    words = "Starting: looks at the repository, its backlog and the sandbox."
    slow = partial(say, words) if aloud and sys.stderr.isatty() else None
    try:
        return launch(wish.request(Path.cwd()), slow)
    except Locked:
        return None
    except KeyboardInterrupt:
        say("Nothing was claimed. Start again: oya swarm")
        raise


def watch_running(place: Place, form: Format) -> int | None:
    """Stay with the running swarm; None where none runs."""
    client = Client(place.socket)
    running = _running(client)
    if running is None:
        return None
    from oya.cli.attached import stay

    stay(place, form, since=_last(client), ours=False)
    return 0


def pairs(changes: Iterable[str]) -> dict[str, str]:
    """`KEY=VALUE` words by key."""
    found = {}
    for change in changes:
        key, equals, value = change.partition("=")
        if not (key and equals and value):
            raise UsageError(
                f"{change!r} is not KEY=VALUE.",
                safe="Nothing was changed.",
                hint="For example: oya swarm set target=10",
            )
        found[key] = value
    return found


def _running(client: Client) -> dict[str, Any] | None:
    try:
        status = client.get("status")
    except NoDaemon:
        return None
    return status


def _last(client: Client) -> int:
    """The newest event; 0 where the daemon has gone since, so that no more come of it."""
    try:
        last: int = client.get("events", limit=1)["last"]
    except NoDaemon:
        return 0
    return last


def _attach(
    place: Place, wish: Wish, running: Mapping[str, Any], form: Format, detach: bool
) -> int:
    swarm = running["id"]
    if wish.flags or wish.beads or wish.new or wish.resume not in ("", "last", swarm):
        raise UsageError(
            f"{swarm} is running here already; what you typed would change nothing.",
            safe="It goes on as it is.",
            hint="Attach: oya swarm. Change it: oya swarm set target=N. End it: oya swarm stop.",
        )
    done, target = running["landed_beads"], running["target_beads"]
    say(f"Attached to {swarm}, which is {running['status']}: {done}/{target} landed.")
    if detach:
        return _leave(place, form)
    from oya.cli.attached import stay

    return stay(place, form, since=_last(Client(place.socket)), ours=False)


def _leave(place: Place, form: Format) -> int:
    if form is Format.JSON:
        from oya.cli.asking import STATUS, ask

        data(ask(place, STATUS))
    say("It runs in the background: oya swarm status, oya swarm stop.")
    return 0


def _held() -> DaemonSilent:
    return DaemonSilent(
        "Another process holds the state of this repository, and no daemon answers.",
        safe="Nothing was started.",
        hint="If it is a command of yours, let it end and try again.",
    )
