"""`oya logs`: what the daemon or a backend has said, from the files where it stands."""

from __future__ import annotations

import sys
import time
from collections import deque
from pathlib import Path

from oya.cli.asking import ask, events
from oya.cli.output import plain, say
from oya.errors import UsageError
from oya.repository.encode import encode
from oya.repository.places import Place

TAIL = 200
LOOK = 0.5
MAX_PAGES = 1000


def print_logs(place: Place, what: str, *, follow: bool) -> None:
    """The last lines of each file that belongs to a bead's or an agent's newest attempt, or of
    the daemon's log; with `follow`, what comes, until Ctrl+C."""
    files = _files_of(place, what) if what else [place.state / "logs" / "daemon.log"]
    files = [file for file in files if file.is_file()]
    if not files:
        raise UsageError(
            f"There is no log of {what or 'a daemon'} here.",
            hint="oya beads lists the beads, oya swarm status the agents.",
        )
    ends = {}
    for file in files:
        if len(files) > 1 or what:
            say(f"==> {file}")
        ends[file] = _print_tail(file)
    try:
        while follow:
            time.sleep(LOOK)
            ends = {file: _print_from(file, at) for file, at in ends.items()}
    except KeyboardInterrupt:
        return


def _files_of(place: Place, what: str) -> list[Path]:
    folder = place.state / "logs" / "attempts"
    attempts = [p for p in folder.glob(f"{encode(what)}-*") if p.name.rpartition("-")[2].isdigit()]
    if not attempts and (claim := _last_claim(place, what)):
        attempts = [folder / f"{encode(claim[0])}-{claim[1]}"]
    if not attempts:
        return []
    newest = max(attempts, key=lambda path: int(path.name.rpartition("-")[2]))
    return sorted(path for path in newest.rglob("*") if path.is_file())


def _last_claim(place: Place, agent: str) -> tuple[str, int] | None:
    """Bead and epoch that an agent took last."""
    found, since = None, 0
    for _ in range(MAX_PAGES):
        page = ask(place, events(since))["events"]
        if not page:
            break
        for row in page:
            if row["event"] == "claimed" and row["agent"] == agent:
                found = (row["bead"], row["epoch"])
        since = page[-1]["seq"]
    return found


def _print_tail(file: Path) -> int:
    with file.open("rb") as opened:
        for line in deque(opened, TAIL):
            sys.stdout.write(plain(line.decode(errors="replace")))
        at = opened.tell()
    sys.stdout.flush()
    return at


def _print_from(file: Path, at: int) -> int:
    """What was added since; from the start where the file was rotated away."""
    try:
        with file.open("rb") as opened:
            if file.stat().st_size < at:
                at = 0
            opened.seek(at)
            sys.stdout.write(plain(opened.read().decode(errors="replace")))
            sys.stdout.flush()
            return opened.tell()
    except FileNotFoundError:
        return 0
