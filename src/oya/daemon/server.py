"""The API's server: uvicorn in the loop of the swarm, on a socket of our own making."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path

import structlog
import uvicorn
from fastapi import FastAPI

from oya.errors import OyaError, UsageError
from oya.repository.places import SOCKET, Place, find_place

log = structlog.get_logger()

LAST_WORDS = 2
"""Seconds that answers under way may still take when the server ends."""
LOOK = 5.0
"""Seconds between two looks whether the socket is still there."""


@asynccontextmanager
async def reachable(app: FastAPI, place: Place) -> AsyncIterator[None]:
    """As `serving` on the socket of `place`, whatever becomes of that path: a folder for sockets
    goes when its user logs out. Then another is made where one started now would have it, and
    commands from any environment find it by what the state says."""
    async with AsyncExitStack() as servers:
        servers.callback(_forget, place.state / SOCKET)
        await _open(app, place, servers)
        watch = asyncio.create_task(_keep(app, place, servers), name="socket")
        try:
            yield
        finally:
            watch.cancel()
            await asyncio.wait((watch,))


async def _keep(app: FastAPI, place: Place, servers: AsyncExitStack) -> None:
    own = _identity(place.socket)
    while True:
        await asyncio.sleep(LOOK)
        if own is not None and _identity(place.socket) == own:
            continue
        log.warning("the socket is gone", path=str(place.socket))
        try:
            place = await asyncio.to_thread(find_place, place.root)
            place.make_folders()
            await _open(app, place, servers)
            own = _identity(place.socket)
        except (OyaError, OSError) as error:  # at the next look
            log.warning("no socket", why=str(error))


async def _open(app: FastAPI, place: Place, servers: AsyncExitStack) -> None:
    await servers.enter_async_context(serving(app, place.socket))
    (place.state / SOCKET).write_text(str(place.socket), errors="surrogateescape")


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        about = path.lstat()
    except OSError:
        return None
    return about.st_dev, about.st_ino


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
