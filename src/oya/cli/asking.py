"""One question, two ways to the answer: the daemon if one runs, else the store itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oya.daemon.client import Client, NoDaemon
from oya.errors import DaemonSilent, RepositoryUnfit, StoreLocked, UsageError
from oya.repository.places import Place, find_place

if TYPE_CHECKING:
    from oya.daemon.desk import StoreDesk
    from oya.swarm.config import Settings

Answer = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Question:
    """How to ask the daemon, how to ask the store, and the answer where there is no state yet
    (None: an error that says so)."""

    remote: Callable[[Client], Answer]
    local: Callable[[StoreDesk], Awaitable[Answer]]
    empty: Callable[[], Answer] | None = None


def here() -> Place:
    """The repository that the command was typed in."""
    try:
        return find_place(Path.cwd())
    except FileNotFoundError as error:
        raise RepositoryUnfit(
            "the folder that this was typed in is gone",
            safe="Nothing was changed.",
            hint="Go into the repository again: cd",
        ) from error


def ask(place: Place, question: Question) -> Answer:
    """The answer. `DaemonSilent` (exit 6) where a process holds the state and gives none."""
    try:
        return question.remote(Client(place.socket))
    except NoDaemon:
        pass
    from oya.daemon.state import has_state

    if not has_state(place):
        if question.empty is not None:
            return question.empty()
        raise UsageError(
            "Nothing is known here yet: no swarm has run in this repository.",
            safe="Nothing was changed.",
            hint="oya swarm --dry-run shows what one would do.",
        )
    import asyncio

    try:
        return asyncio.run(_from_store(place, question))
    except StoreLocked as locked:
        return _late(place, question, locked)


def _late(place: Place, question: Question, locked: StoreLocked) -> Answer:
    """A daemon may have started meanwhile; then it answers."""
    try:
        return question.remote(Client(place.socket))
    except NoDaemon:
        raise DaemonSilent(
            f"{str(locked)[:1].upper()}{str(locked)[1:]}, which does not answer.",
            safe="What it has acknowledged is kept.",
            hint="If it hangs, end that process and try again; `oya logs` tells more.",
        ) from None


async def _from_store(place: Place, question: Question) -> Answer:
    from oya.clock import SystemClock
    from oya.daemon.desk import StoreDesk
    from oya.daemon.state import open_store

    store = await open_store(place, SystemClock())
    try:
        desk = StoreDesk(store, place, lambda: _settings(place).limits, lambda: _remote(place))
        return await question.local(desk)
    finally:
        await store.close()


def _remote(place: Place) -> str:
    return _settings(place).landing.remote


def _settings(place: Place) -> Settings:
    """The configuration; the defaults where it cannot be read."""
    from oya.errors import ConfigError
    from oya.swarm.config import load

    try:
        return load(place.root / ".oya/swarm.toml", {}, complete=False)
    except ConfigError:
        return load(None, {}, complete=False)


# The questions -------------------------------------------------------------------------------


def _no_status() -> Answer:
    from oya.swarm.report import status
    from oya.swarm.tally import Tally

    return status(None, Tally())


STATUS = Question(lambda c: c.get("status"), lambda d: d.status(), _no_status)
BEADS = Question(lambda c: c.get("beads"), lambda d: d.beads(), lambda: {"beads": []})
SYNC = Question(lambda c: c.post("sync"), lambda d: d.sync())
PAUSE = Question(lambda c: c.post("pause"), lambda d: d.pause())
CONTINUE = Question(lambda c: c.post("continue"), lambda d: d.resume())


def stop(now: bool) -> Question:
    """End the running swarm."""
    return Question(lambda c: c.post("stop", now=now), lambda d: d.stop(now))


def change(changes: dict[str, str]) -> Question:
    """Change the running swarm."""
    return Question(lambda c: c.post("set", **changes), lambda d: d.set(changes))


def bead(name: str) -> Question:
    """Everything known of a bead."""
    return Question(lambda c: c.get("beads", name), lambda d: d.bead(name))


def why(name: str) -> Question:
    """The story of a bead."""
    return Question(lambda c: c.get("beads", name, "why"), lambda d: d.why(name))


def events(since: int) -> Question:
    """A page of events after `since`."""
    return Question(
        lambda c: c.get("events", since=since),
        lambda d: d.events(since),
        lambda: {"events": [], "last": 0},
    )


def person(name: str, verb: str, note: str) -> Question:
    """What a person says of a bead."""
    return Question(
        lambda c: c.post("beads", name, verb, note=note), lambda d: d.person(name, verb, note)
    )
