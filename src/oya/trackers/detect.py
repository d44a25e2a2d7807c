"""Which tracker a repository has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from oya.beads import PATH
from oya.errors import ConfigError, TrackerError
from oya.trackers.jsonl import FOLDER, JsonlTracker, missing
from oya.trackers.port import Tracker

AUTO: Final = "auto"
KINDS: Final = {JsonlTracker.kind: JsonlTracker}

_DATABASES: Final = ("*.db", "*.sqlite", "*.sqlite3", "dolt", "embeddeddolt")
_NAMES: Final = ("database", "dolt_database", "backend")
_LARGEST_METADATA: Final = 64 * 1024


def detect(root: Path, kind: str = AUTO) -> Tracker:
    """The tracker of the working tree at `root`, by `[tracker] kind`.

    `auto` takes the file `.beads/issues.jsonl`, unless bd or br keeps its
    database beside it: then the file is their export, and a closing written
    there would be lost at the next one. Raises ConfigError for an unknown
    kind, and TrackerError if there is no backlog or it is such an export.
    Blocks for a few file accesses; reads no backlog.
    """
    if kind not in (AUTO, *KINDS):
        known = ", ".join((AUTO, *KINDS))
        raise ConfigError(f"[tracker] kind = {kind!r} is not known.", hint=f"Known kinds: {known}.")
    try:
        database = _database(root / FOLDER) if kind == AUTO else None
        absent = not (root / PATH).is_symlink() and not (root / PATH).exists()
    except OSError as error:
        raise TrackerError(f"{FOLDER} cannot be read: {error.strerror}.") from None
    if database:
        raise TrackerError(
            f"{FOLDER}/{database} says that bd or br keeps a database here, which oya cannot "
            f"close beads in yet; what it closes in their export, {PATH}, the next one undoes.",
            safe="Nothing was changed.",
            hint="If the file is your backlog all the same, write this into .oya/swarm.toml: "
            f'[tracker] kind = "{JsonlTracker.kind}"',
        )
    if absent:
        raise missing()
    return KINDS.get(kind, JsonlTracker)(root)


def _database(folder: Path) -> str | None:
    """The name of what shows that a database lives in the folder, or None."""
    for pattern in _DATABASES:
        for found in sorted(folder.glob(pattern)):
            return found.name
    metadata = folder / "metadata.json"
    return metadata.name if _names_database(metadata) else None


def _names_database(metadata: Path) -> bool:
    try:
        with metadata.open("rb") as file:
            record = json.loads(file.read(_LARGEST_METADATA))
    except FileNotFoundError:
        return False
    except (ValueError, RecursionError):
        return True  # bd's or br's file all the same
    return isinstance(record, dict) and any(record.get(name) for name in _NAMES)
