"""How the state becomes a file, and a file the state; only while no daemon runs."""

from __future__ import annotations

import asyncio
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from oya.cli.output import say
from oya.clock import SystemClock, stamp
from oya.daemon.client import Client, NoDaemon
from oya.daemon.state import WAIT, has_state, open_store
from oya.errors import OyaError, UsageError
from oya.repository.places import Place

if TYPE_CHECKING:
    from collections.abc import Iterator

STDIO = "-"


def write(place: Place, name: str | None) -> None:
    """Export to `name`, to stdout for `-`, to a new backup for None."""
    _alone(place)
    if not has_state(place):
        raise UsageError(
            "There is no state here yet: no swarm has run in this repository.",
            safe="Nothing was written.",
        )
    path = _backup(place) if name is None else Path(name)
    with _target(path, name == STDIO) as file:
        records = asyncio.run(_export(place, file))
    say(f"Exported {records} records{'' if name == STDIO else f' to {path}'}.")


def read(place: Place, name: str) -> None:
    """Import from `name`, from stdin for `-`."""
    from oya.store.transfer import import_state

    _alone(place)
    place.make_folders()
    clock = SystemClock()
    try:
        if name == STDIO:
            position = asyncio.run(
                import_state(place.state, sys.stdin.buffer, clock=clock, wait=WAIT)
            )
        else:
            with Path(name).open("rb") as file:
                position = asyncio.run(import_state(place.state, file, clock=clock, wait=WAIT))
    except OSError as error:
        raise _failed(error, "Nothing was imported.") from error
    say(f"Imported the state up to event {position.seq}. Look at it: oya beads")


async def _export(place: Place, file: IO[str]) -> int:
    store = await open_store(place, SystemClock())
    records = -2  # the first line and the last
    try:
        async for line in store.export():
            file.write(line)
            records += 1
    finally:
        await store.close()
    return records


def _alone(place: Place) -> None:
    """`UsageError` while a daemon runs."""
    try:
        Client(place.socket).get("status")
    except NoDaemon:
        return
    except OyaError:
        pass  # it runs, and has other troubles
    raise UsageError(
        "A swarm runs here, and the state is its own until it has ended.",
        safe="Nothing was changed.",
        hint="oya swarm stop ends it; `oya swarm` goes on later.",
    )


def _backup(place: Place) -> Path:
    moment = stamp(SystemClock().now()).replace(":", "").replace("-", "")[:15]
    path = place.state / "backups" / f"state-{moment}Z.jsonl"
    path.parent.mkdir(mode=0o700, exist_ok=True)
    return path


@contextmanager
def _target(path: Path, stdout: bool) -> Iterator[IO[str]]:
    """Where to write; a file appears under its name when it is complete, and durable."""
    if stdout:
        yield sys.stdout
        sys.stdout.flush()
        return
    partial = path.with_name(f"{path.name}.partial")
    try:
        with partial.open("w", encoding="ascii") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise _failed(error, "The state is as it was.") from error
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _failed(error: OSError, safe: str) -> UsageError:
    return UsageError(f"{error.filename or 'the file'}: {error.strerror}", safe=safe)
