"""Requests of agents for a gate: files in their workspace, which is theirs to write.

So whatever lies there may be anything: the folder is entered without following a link, only
small regular files are read, and answers are new files. What can be asked for is the name of
a gate, nothing else.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

from oya.agents.oya_gate import ALIVE, FOLDER, GATES

MAX_REQUEST = 1000
"""Bytes of a request."""
MAX_ENTRIES = 100
"""Names in the folder that are looked at; where there are more, somebody plays."""
_ENTER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NAME = re.compile(r"request-([0-9a-f]{16})\.json")


@dataclass(frozen=True, slots=True)
class GateRequest:
    """One request; `gate` is one of `GATES`."""

    id: str
    gate: str


class GateRequests(Protocol):
    """Where requests of one workspace at a time are found, and answered. Never raises for what
    is in the workspace."""

    def listen(self, workspace: Path) -> None:
        """Show that somebody listens; what was asked before that is forgotten."""
        ...

    def alive(self, workspace: Path) -> None:
        """A sign of life to whoever waits."""
        ...

    def take(self, workspace: Path) -> GateRequest | None:
        """A request, which is gone from there then; None if there is none."""
        ...

    def answer(self, workspace: Path, id: str, *, ok: bool | None, text: str) -> None:
        """The verdict (None: there is none) and what is to be read about it."""
        ...

    def close(self, workspace: Path) -> None:
        """Nobody listens any more."""
        ...


class FolderRequests:
    """`GateRequests` on disk."""

    def listen(self, workspace: Path) -> None:
        with suppress(OSError), _entered(workspace, make=True) as folder:
            _empty(folder)
            _replace(folder, ALIVE, b"")

    def alive(self, workspace: Path) -> None:
        with suppress(OSError), _entered(workspace) as folder:
            _replace(folder, ALIVE, b"")

    def take(self, workspace: Path) -> GateRequest | None:
        with suppress(OSError), _entered(workspace) as folder:
            for name in _names(folder):
                if found := _NAME.fullmatch(name):
                    gate = _gate_of(_read(folder, name))
                    os.unlink(name, dir_fd=folder)
                    if gate is not None:
                        return GateRequest(found[1], gate)
        return None

    def answer(self, workspace: Path, id: str, *, ok: bool | None, text: str) -> None:
        with suppress(OSError), _entered(workspace) as folder:
            said = json.dumps({"ok": ok, "text": text}).encode()
            _replace(folder, f"answer-{id}.json", said)

    def close(self, workspace: Path) -> None:
        with suppress(OSError), _entered(workspace) as folder:
            _empty(folder)


@contextmanager
def _entered(workspace: Path, *, make: bool = False) -> Iterator[int]:
    """A descriptor of the folder; `OSError` where a link or a file is in its place."""
    here = os.open(workspace, _ENTER)
    try:
        for part in FOLDER.split("/"):
            if make:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=here)
            inner = os.open(part, _ENTER, dir_fd=here)
            os.close(here)
            here = inner
        yield here
    finally:
        os.close(here)


def _names(folder: int) -> list[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in islice(entries, MAX_ENTRIES)]


def _empty(folder: int) -> None:
    for name in _names(folder):
        with suppress(OSError):
            os.unlink(name, dir_fd=folder)


def _read(folder: int, name: str) -> bytes:
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    try:
        return os.read(fd, MAX_REQUEST) if stat.S_ISREG(os.fstat(fd).st_mode) else b""
    finally:
        os.close(fd)


def _gate_of(data: bytes) -> str | None:
    try:
        gate = json.loads(data)["gate"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return next((one for one in GATES if one == gate), None)


def _replace(folder: int, name: str, data: bytes) -> None:
    new = f".{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    fd = os.open(new, flags, 0o600, dir_fd=folder)
    try:
        with open(fd, "wb") as file:  # noqa: PTH123 (a descriptor)
            file.write(data)
        os.rename(new, name, src_dir_fd=folder, dst_dir_fd=folder)
    except OSError:
        os.unlink(new, dir_fd=folder)
        raise
