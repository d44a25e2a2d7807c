"""The API's server: uvicorn in the loop of the swarm, on a socket of our own making."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from oya.errors import UsageError

LAST_WORDS = 2
"""Seconds that answers under way may still take when the server ends."""


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # signals belong to the daemon


@asynccontextmanager
async def serving(app: FastAPI, path: Path) -> AsyncIterator[None]:
    """Answer on the Unix socket at `path`, for this user alone, until the block ends.

    Whoever calls holds the repository's lock, so a socket that lies there is a dead one.
    `UsageError` where none can be made.
    """
    listener = _listen(path)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        http="h11",
        ws="none",
        limit_concurrency=128,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=LAST_WORDS,
    )
    server = _Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]), name="api")
    try:
        yield
    finally:
        server.should_exit = True
        await asyncio.wait((task,), timeout=LAST_WORDS + 5)
        task.cancel()
        _forget(path)


def _forget(path: Path) -> None:
    with suppress(OSError):
        path.unlink()


def _listen(path: Path) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise UsageError(
            f"The socket {path} cannot be made: {error.strerror or error}.",
            safe="Nothing was started.",
            hint="Set XDG_RUNTIME_DIR to a short path in which you may write.",
        ) from error
    return listener
