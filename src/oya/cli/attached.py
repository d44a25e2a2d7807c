"""Staying with a running swarm: lines, JSON lines or a screen, and what Ctrl+C means."""

from __future__ import annotations

import os
import queue
import select
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any

from oya.cli.asking import BEADS, STATUS, ask
from oya.cli.output import Format, complain, data, lines, say
from oya.daemon.client import Client, NoDaemon
from oya.errors import DaemonSilent, OyaError, StoreError
from oya.lifecycle.record import EventRecord
from oya.repository.places import Place

GONE_WITHIN = 30.0
"""Seconds that a daemon may take to end after its last word."""
BACKLOG = 10_000
LOOK = 0.5
BREAKS = 100
"""How often a stream of events may break off while the daemon lives."""


@dataclass
class Follower:
    """Follows the events in a thread of its own, so that Ctrl+C never cuts a line in two."""

    client: Client
    since: int
    news: queue.Queue[dict[str, Any] | Exception | None] = field(
        default_factory=lambda: queue.Queue(BACKLOG)
    )

    def start(self) -> Follower:
        """Begin; objects arrive in `news`, None when the stream is over."""
        threading.Thread(target=self._run, name="follow", daemon=True).start()
        return self

    def _run(self) -> None:
        try:
            self._follow()
        except NoDaemon:
            pass
        except OyaError as error:
            self.news.put(error)
        self.news.put(None)

    def _follow(self) -> None:
        """To the final status; again where the stream breaks off and a daemon still answers."""
        for _ in range(BREAKS):
            with suppress(NoDaemon):
                for row in self.client.follow(self.since):
                    self.news.put(row)
                    if "seq" not in row:
                        return
                    self.since = row["seq"]
            self.client.get("status")
        raise DaemonSilent(
            "The events of the running swarm cannot be followed.",
            safe="It goes on.",
            hint="oya swarm status shows it; `oya logs` tells more.",
        )

    def next(self, timeout: float) -> dict[str, Any] | Exception | None:
        """The next object; `queue.Empty` after `timeout` seconds without one."""
        return self.news.get(timeout=timeout)


def stay(place: Place, form: Format, *, since: int, ours: bool) -> int:
    """Until the swarm has ended: its exit code. `ours`: this terminal started it, so the first
    Ctrl+C stops it gracefully and the second at once; otherwise Ctrl+C only leaves."""
    pid = daemon_pid(place)
    client = Client(place.socket)
    follower = Follower(client, since).start()
    watcher = _screen(client) if form is Format.TEXT and sys.stdout.isatty() else None
    try:
        with _counted() as interrupts, closing(watcher) if watcher else nullcontext():
            final = _until_end(follower, form, watcher, interrupts, client if ours else None)
    except _Left:
        say("Left; the swarm goes on. `oya swarm` comes back, `oya swarm stop` ends it.")
        return 0
    _wait_for(pid)
    return _farewell(place, form, final)


def daemon_pid(place: Place) -> int | None:
    """The process that says it is the daemon here."""
    try:
        return int((place.state / "daemon.pid").read_text())
    except (OSError, ValueError):
        return None


class _Left(Exception):
    """Ctrl+C where the swarm belongs to another terminal."""


@contextmanager
def _counted() -> Iterator[list[int]]:
    """Each Ctrl+C is noted, and raises nothing: one that comes while the last is being
    answered must not end the command instead of the swarm."""
    noted: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: noted.append(number))
    try:
        yield noted
    finally:
        signal.signal(signal.SIGINT, before)


def _until_end(
    follower: Follower, form: Format, watcher: Any, interrupts: list[int], ours: Client | None
) -> dict[str, Any] | None:
    """The final status; None where the daemon went away without one. `ours` is to be stopped
    by interrupts; without it they raise `_Left`."""
    tell, answered = _teller(form, watcher), 0
    while True:
        while answered < len(interrupts):
            if ours is None:
                raise _Left
            answered += 1
            _interrupt(ours, answered)
        try:
            row = follower.next(LOOK)
        except queue.Empty:
            if watcher is not None:
                watcher.refresh()
            continue
        if row is None:
            return None
        if isinstance(row, Exception):
            raise row
        if "seq" not in row:
            return row
        tell(row)


def _teller(form: Format, watcher: Any) -> Callable[[dict[str, Any]], None]:
    if form is Format.JSON:
        return data
    from oya.swarm import story

    def line(row: dict[str, Any]) -> None:
        words = story.line(EventRecord.from_json(row))
        if watcher is not None:
            watcher.add(words)
        else:
            lines([words])

    return line


def _screen(client: Client) -> Any:
    from oya.cli.screen import Screen

    return Screen(client)


def _interrupt(client: Client, times: int) -> None:
    """The first Ctrl+C says what it waits for, the next ones stop now."""
    try:
        if times > 1:
            client.post("stop", now=True)
            say("Stopping now; all work is kept.")
            return
        working = [a for a in client.get("status")["agents"] if a["bead"]]
        client.post("stop", now=False)
    except NoDaemon:
        return
    except OyaError as error:
        complain(error)
        return
    if working:
        beads = ", ".join(str(a["bead"]) for a in working[:8])
        turns = "1 running turn" if len(working) == 1 else f"{len(working)} running turns"
        say(f"Stopping: waits for {turns} ({beads}). Ctrl+C again stops now.")
    else:
        say("Stopping: no turn is running. Ctrl+C again stops now.")


def _wait_for(pid: int | None) -> None:
    """Return when that process has ended, so that the state is free for the next command."""
    if pid is None:
        return
    try:
        process = os.pidfd_open(pid)
    except OSError:
        return
    try:
        select.select([process], [], [], GONE_WITHIN)
    finally:
        os.close(process)


def _farewell(place: Place, form: Format, final: dict[str, Any] | None) -> int:
    from oya.lifecycle.swarm import ENDED

    if final is None:
        final = _after_a_death(place)
    error = final.pop("error", None)
    code: int = final["exit"]
    if error is not None:
        complain(OyaError(error["what"], safe=error["safe"], hint=error["hint"]))
    if form is Format.JSON:
        data(final)
    elif error is None or final["status"] in {str(s) for s in ENDED}:
        lines(_end(place, final, quiet=error is not None))
    if final["status"] == "failed" and error is None:
        say(f"oya: {final['reason']}")
    return code


def _after_a_death(place: Place) -> dict[str, Any]:
    """The daemon is gone, without a last word: what the store says."""
    final = ask(place, STATUS)
    ended = final["status"] in ("stopped", "completed", "failed")
    codes = {"stopped": 5, "failed": 4}
    reached = 0 if (final["landed_beads"] or 0) >= (final["target_beads"] or 0) else 3
    final |= {"seconds": None, "exit": codes.get(final["status"], reached) if ended else 1}
    if not ended:
        final["error"] = {
            "what": "The daemon is gone without a last word.",
            "safe": "Everything acknowledged is kept, and its agents ended with it.",
            "hint": "Go on: oya swarm (oya logs tells what it said before)",
        }
    return final


def _end(place: Place, final: dict[str, Any], *, quiet: bool) -> list[str]:
    from oya.processes.real import survivors
    from oya.swarm.report import end_lines

    try:
        rows = ask(place, BEADS)["beads"]
    except (DaemonSilent, StoreError):
        rows = []
    said = end_lines(final, rows, len(survivors(place.repo_id)))
    return said[:1] if quiet else said
