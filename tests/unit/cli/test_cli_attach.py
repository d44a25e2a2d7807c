"""`oya swarm` where one is there already, which may be about to go."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from cli_kit import Oya

from oya.cli.attached import Follower
from oya.clock import SystemClock
from oya.daemon.client import Client, NoDaemon
from oya.daemon.launch import Locked, Started
from oya.daemon.request import Request
from oya.lifecycle.swarm import SwarmState, SwarmStatus
from oya.repository.places import find_place
from oya.store import Store
from oya.swarm.report import status
from oya.swarm.tally import Tally

ENDED = SwarmState(
    id="swarm-1",
    target_beads=1,
    landed_beads=1,
    status=SwarmStatus.COMPLETED,
    started_at="2026-11-28T08:00:00Z",
    branch="main",
    config_hash="0",
)


@contextmanager
def going(folder: Path) -> Iterator[None]:
    """A daemon whose swarm has ended, and which goes once it has said so."""

    async def leave_state() -> None:
        store = await Store.open(folder / ".git/oya", clock=SystemClock())
        await store.swarms.put(ENDED, event="swarm_completed")
        await store.close()

    asyncio.run(leave_state())
    body = json.dumps(status(ENDED, Tally())).encode()
    path = find_place(folder).socket
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listening:
        listening.bind(str(path))
        listening.listen()

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                listening.close()
                path.unlink()
                head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
                connection.sendall(head.encode() + body)

        thread = threading.Thread(target=answer)
        thread.start()
        yield
        thread.join(30.0)


def test_one_that_goes_meanwhile_is_told_by_what_it_left(folder: Path, oya: Oya) -> None:
    """That was called a defect of oya."""
    with going(folder):
        code, out, err = oya("swarm")
    assert (code, err) == (0, "Attached to swarm-1, which is completed: 1/1 landed.\n")
    assert out.startswith("Landed 1/1 beads")


def test_and_so_it_is_where_nobody_stays(folder: Path, oya: Oya) -> None:
    with going(folder):
        code, out, _ = oya("swarm", "--detach", "--format", "json")
    assert (code, json.loads(out)["status"]) == (0, "completed")


def test_one_that_holds_the_state_and_does_not_answer_yet_is_waited_for(
    folder: Path, oya: Oya, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two that are started at once, on a busy machine."""
    with ExitStack() as daemon:

        def launch(_: Request, __: object) -> Started:
            daemon.enter_context(going(folder))
            raise Locked

        monkeypatch.setattr("oya.daemon.launch.launch", launch)
        code, out, _ = oya("swarm")
    assert (code, out.startswith("Landed 1/1 beads")) == (0, True)


def test_one_that_never_answers_is_not_waited_for_in_vain(
    folder: Path, oya: Oya, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[Request] = []

    def launch(request: Request, _: object) -> Started:
        tried.append(request)
        raise Locked

    monkeypatch.setattr("oya.daemon.launch.launch", launch)
    code, _, err = oya("swarm")
    assert (code, len(tried)) == (6, 3)
    assert "Another process holds the state" in err


def test_watching_it_ends_with_it(folder: Path, oya: Oya) -> None:
    with going(folder):
        code, out, err = oya("swarm", "status", "--watch")
    assert code == 0, (out, err)


def test_a_stream_that_breaks_off_is_followed_again(folder: Path) -> None:
    """Its daemon was said to be dead, and its agents with it."""
    streams = [[{"seq": 1}, {"seq": 2}], [], [{"seq": 3}, {"id": "swarm-1", "exit": 0}]]
    asked: list[int] = []

    class Broken(Client):
        def follow(self, since: int, bead: str | None = None) -> Iterator[dict[str, Any]]:
            asked.append(since)
            rows = streams.pop(0)
            yield from rows
            if streams:
                raise NoDaemon

        def get(self, *parts: str, **query: Any) -> dict[str, Any]:
            return {}

    follower = Follower(Broken(folder / "socket"), 0)
    follower.start()
    heard = [follower.next(20.0) for _ in range(5)]
    assert heard == [{"seq": 1}, {"seq": 2}, {"seq": 3}, {"id": "swarm-1", "exit": 0}, None]
    assert asked == [0, 2, 2]
