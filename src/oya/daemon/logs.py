"""Where the daemon's own words go: JSON lines in a file of bounded size."""

from __future__ import annotations

import logging
import logging.handlers
import os
from contextlib import suppress
from pathlib import Path

import structlog

from oya.errors import OyaError
from oya.folders import is_real_folder, take_away

MAX_BYTES = 5_000_000
KEPT = 3
_TAKE = 'head -c "$1" > "$0"; exec cat > /dev/null'


def stderr_to(path: Path) -> None:
    """What the interpreter and libraries say themselves (a fatal signal, a panic) is kept too.

    It is written down by a process of its own, which ends when nobody can say anything more:
    so last words are not lost with the one who says them, and a full disk, on which they
    cannot be kept, is no error for them. (The engine aborts where it cannot warn.)
    """
    reading, writing = os.pipe()
    os.posix_spawn(
        "/bin/sh",
        ("sh", "-c", _TAKE, str(path), str(MAX_BYTES)),
        {"PATH": os.environ.get("PATH", os.defpath)},
        file_actions=[
            (os.POSIX_SPAWN_DUP2, reading, 0),
            *((os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_WRONLY, 0) for fd in (1, 2)),
        ],
        setsid=True,
    )
    for fd in (1, 2):
        os.dup2(writing, fd)
    os.close(reading)
    os.close(writing)


def log_to(path: Path) -> None:
    """Send structlog and the standard library's logging to `path`; 20 MB at most, all told."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handler = logging.handlers.RotatingFileHandler(
        path, maxBytes=MAX_BYTES, backupCount=KEPT, encoding="utf-8", errors="replace"
    )
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(ensure_ascii=False, default=str),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


def prune_logs(folder: Path, before: float) -> int:
    """Remove the output of gates and attempts from before that time (seconds since 1970); how
    many files and folders. What cannot be removed stays."""
    gone = 0
    for path in (*folder.glob("gates/*"), *folder.glob("attempts/*")):
        with suppress(OSError, OyaError):
            if _changed(path) >= before:
                continue
            take_away(path)
            gone += 1
    return gone


def _changed(path: Path) -> float:
    """Of a folder, when anything right in it was: oya writes nothing further down."""
    inside = list(path.iterdir()) if is_real_folder(path) else []
    return max(float(found.lstat().st_mtime) for found in [path, *inside])
