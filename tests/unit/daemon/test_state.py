"""Opening the state while another process has it."""

from __future__ import annotations

import asyncio
import fcntl
import socket
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import pytest

from oya.daemon.state import WAIT, open_store
from oya.errors import StoreLocked
from oya.repository.places import Place


class Watch:
    """A clock on which only sleeping takes time; `after` seconds of it, `then` happens."""

    def __init__(self) -> None:
        self.random = Random(1)
        self.slept = 0.0
        self.after = float("inf")

    def then(self) -> None:
        raise AssertionError

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.slept

    async def sleep(self, seconds: float) -> None:
        self.slept += seconds
        if self.slept >= self.after:
            self.after = float("inf")
            self.then()
        await asyncio.sleep(0)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with tempfile.TemporaryDirectory(prefix="oya-") as short:  # the path of a socket must be
        place = Place(
            root=tmp_path,
            common_dir=tmp_path / ".git",
            repo_id="book",
            state=tmp_path / "state",
            cache=tmp_path / "cache",
            socket=Path(short) / "book.sock",
        )
        place.state.mkdir()
        yield place


@pytest.fixture
def held(place: Place) -> Iterator[None]:
    with (place.state / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


async def test_one_that_listens_is_not_waited_for(place: Place, held: None) -> None:
    clock = Watch()
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as daemon:

        def listen() -> None:
            daemon.bind(str(place.socket))
            daemon.listen()

        clock.after, clock.then = 1.0, listen  # type: ignore[method-assign]
        with pytest.raises(StoreLocked):
            await open_store(place, clock)
    assert 1.0 <= clock.slept < 1.3


async def test_one_that_does_not_gets_its_time(place: Place, held: None) -> None:
    place.socket.touch()  # of a daemon that is dead
    clock = Watch()
    with pytest.raises(StoreLocked):
        await open_store(place, clock)
    assert WAIT <= clock.slept < WAIT + 0.3


async def test_one_that_lets_go_in_time_is_no_matter(place: Place) -> None:
    clock = Watch()
    with (place.state / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        clock.after, clock.then = 2.0, lambda: fcntl.flock(lock, fcntl.LOCK_UN)  # type: ignore[method-assign]
        store = await open_store(place, clock)
    await store.close()
