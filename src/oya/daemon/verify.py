"""What `oya verify` holds against the promises: read from the store, or the daemon, and from git.

The store is read at one moment, git around it: with a swarm at work what it does meanwhile is
left for the next time.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from oya.beads import PATH
from oya.clock import stamp
from oya.daemon.verify_git import Line, Reading
from oya.repository.encode import encode
from oya.repository.git import GitRepository
from oya.repository.places import SOCKET, Place
from oya.swarm.candidate import candidate_ref
from oya.verify import Commit, Dependency, History
from oya.verify.history import Row
from oya.verify.landings import named_trees
from oya.verify.slim import slim
from oya.verify.work import named_work

BLOCKING = frozenset({"blocks", "conditional-blocks", "waits-for"})
"""Types of dependency that hold a bead until the one that they name is done."""
SEEN = timedelta(minutes=5)
"""After so long a dependency that was added while a swarm ran has been read for sure."""
_KEPT = re.compile(r"(.+)\.(\d+)(-\d+)?")


class Source(Protocol):
    """Where events and states come from: `StoreDesk`, or the daemon."""

    async def snapshot(self) -> dict[str, Any]:
        """See `StoreDesk.snapshot`."""
        ...

    async def events(self, since: int) -> dict[str, Any]:
        """See `StoreDesk.events`."""
        ...


@dataclass(frozen=True, slots=True)
class Stored:
    """What the store knows: slim events up to `last`, and the states of that moment."""

    events: list[Row]
    beads: dict[str, Row]
    swarms: dict[str, Row]
    intents: list[str]
    pushed: list[str]
    unclosed: list[str]
    pruned: Row | None

    @classmethod
    async def read(cls, source: Source) -> Stored:
        """Everything, page by page."""
        found = await source.snapshot()
        events: list[Row] = []
        while not events or events[-1]["seq"] < found["last"]:
            page = (await source.events(events[-1]["seq"] if events else 0))["events"]
            events += [slim(row) for row in page if row["seq"] <= found["last"]]
            if not page:
                break
        beads: dict[str, Row] = {
            row[0]: dict(zip(found["fields"], row, strict=True)) for row in found["beads"]
        }
        names = ("swarms", "intents", "pushed", "unclosed", "pruned")
        return cls(events, beads, *(found[name] for name in names))

    @property
    def landed(self) -> list[str]:
        """Commits that landed, in the order of the log."""
        return [row["data"]["commit"] for row in self.events if row["event"] == "landed"]

    @property
    def first_base(self) -> str | None:
        """The base that the log's first work began on: what the line had before is not its own."""
        named = (row["data"]["base"] for row in self.events if "base" in row["data"])
        return next(named, None)


async def read_history(place: Place, source: Source, *, running: bool) -> History:
    """The whole history. `running`: a swarm is at work, so that nothing is left over yet, and
    the tracker may be ahead of the events."""
    reading = Reading(GitRepository(place))
    before = await _lines(reading, await source.snapshot()) if running else []
    stored = await Stored.read(source)
    lines = await _lines(reading, {"swarms": stored.swarms})
    names = {encode(bead): bead for bead in stored.beads}
    commits = await _commits(reading, stored, lines, names)
    if running:  # what landed after the events were read is for the next time
        known = {*stored.landed, *(commit.id for line in before for commit in line.commits)}
        commits = [commit for commit in commits if commit.id in known]
    tracker = None if running else await _tracker(place, reading, lines, stored)
    named = {commit for row in stored.events for commit in named_work(row)}
    lost = await reading.unheld(sorted(named))
    return History(
        events=stored.events,
        beads=stored.beads,
        swarms=stored.swarms,
        commits=commits,
        judged=await reading.judged(_named_trees(stored)),
        attempts=_kept(place, names) | await _attempts(reading, names),
        held=lambda commit: commit not in lost,
        intents=stored.intents,
        pushed=stored.pushed,
        unclosed=stored.unclosed,
        leftovers=() if running else [*await _refs_left(reading, stored), *_left(place)],
        tracker=tracker,
        depends=_depends(tracker or {}, stored),
        pruned=stored.pruned,
    )


async def _lines(reading: Reading, found: Mapping[str, Any]) -> list[Line]:
    branches = dict.fromkeys(swarm["branch"] for swarm in found["swarms"].values())
    return [await reading.line(branch) for branch in branches if branch]


# Commits -------------------------------------------------------------------------------------


async def _commits(
    reading: Reading, stored: Stored, lines: list[Line], names: Mapping[str, str]
) -> list[Commit]:
    """Those that oya made since the log began: the log names them, or they have its note."""
    place = {commit: at for at, commit in enumerate(stored.landed)}
    before = await reading.before(stored.first_base)
    noted = await reading.noted()
    waiting = [
        [c for c in line.commits if c.id in place or (c.id in noted and c.id not in before)]
        for line in lines
    ]
    found = []
    while waiting := [line for line in waiting if line]:
        # Several branches are one list: each in its own order, and where that leaves a choice,
        # as the log has them.
        line = min(waiting, key=lambda line: place.get(line[0].id, -1))
        found.append(line.pop(0))
    judged = await reading.judged([commit.id for commit in found])
    return [Commit(c.id, names.get(c.bead, c.bead), c.parent, judged[c.id], c.swarm) for c in found]


def _named_trees(stored: Stored) -> list[str]:
    return list(dict.fromkeys(commit for row in stored.events for commit in named_trees(row)))


async def _attempts(reading: Reading, names: Mapping[str, str]) -> dict[tuple[str, int], str]:
    found = {}
    for bead, epoch, head in await reading.attempts():
        found[names.get(bead, bead), epoch] = head
    return found


# Folders and files ---------------------------------------------------------------------------


def _kept(place: Place, names: Mapping[str, str]) -> dict[tuple[str, int], str]:
    """Workspaces that could not be read, and were moved aside."""
    found = {}
    for path in _below(place.cache / "kept"):
        if match := _KEPT.fullmatch(path.name):
            found[names.get(match[1], match[1]), int(match[2])] = str(path)
    return found


async def _refs_left(reading: Reading, stored: Stored) -> list[str]:
    """Refs that only somebody at work needs; what may still arrive at a remote is held by one."""
    held = {candidate_ref(bead) for bead in stored.pushed}
    return [name for name in await reading.leftovers() if name not in held]


def _left(place: Place) -> Iterator[str]:
    """What only somebody at work leaves, while nobody is: workspaces, locks of oya's refs."""
    yield from (str(path) for path in _below(place.cache / "work"))
    yield from (str(path) for path in _below(place.admin / "work"))
    refs = place.common_dir / "refs" / "oya"
    yield from (str(path) for path in sorted(refs.rglob("*.lock")) if refs.is_dir())
    for name in ("daemon.pid", SOCKET):
        if (place.state / name).exists():
            yield str(place.state / name)


def _below(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


async def _tracker(
    place: Place, reading: Reading, lines: list[Line], stored: Stored
) -> dict[str, Row] | None:
    """The line's version of the tracker's file, or the working file where git has none."""
    data = await reading.file(lines[-1].tip, PATH) if lines and lines[-1].tip else None
    if data is None:
        try:
            data = (place.main_root / PATH).read_bytes()
        except OSError:
            return None
    records = list(_records(data))
    needed = {need for record in records for need, _ in _needs(record)}
    return {row["id"]: row for row in records if row["id"] in stored.beads or row["id"] in needed}


_READ = ("id", "status", "close_reason", "created_at", "updated_at", "closed_at", "dependencies")


def _records(data: bytes) -> Iterator[dict[str, Any]]:
    """The issues of the file; lines that are none are left to whoever works with it."""
    for line in data.splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if isinstance(row, dict) and isinstance(row.get("id"), str):
            yield {"status": "open", **{name: row[name] for name in _READ if name in row}}


def _needs(record: Row) -> Iterator[tuple[str, str]]:
    """What a record names as blocking it, and since when."""
    said = record.get("dependencies")
    for entry in said if isinstance(said, list) else ():
        entry = {"depends_on_id": entry} if isinstance(entry, str) else entry
        kind = str(entry.get("type") or "blocks").replace("_", "-")
        if kind in BLOCKING and isinstance(entry.get("depends_on_id"), str):
            yield entry["depends_on_id"], str(entry.get("created_at") or "")


def _depends(tracker: Mapping[str, Row], stored: Stored) -> dict[str, list[Dependency]]:
    began = stored.events[0]["at"] if stored.events else ""
    found = {}
    for bead, record in tracker.items():
        needs = [Dependency(need, _since(made, began)) for need, made in _needs(record)]
        if needs and bead in stored.beads:
            found[bead] = needs
    return found


def _since(made: str, began: str) -> str:
    """From when a dependency counts: always, if it was there before the first swarm."""
    try:
        moment, first = datetime.fromisoformat(made), datetime.fromisoformat(began)
        return "" if moment <= first else stamp(moment + SEEN)
    except (ValueError, TypeError):
        return ""
