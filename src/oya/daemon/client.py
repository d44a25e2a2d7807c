"""The other end of the daemon's socket. Standard library only, since every command pays for it.

    client = Client(place.socket)
    client.get("/v1/status")

`NoDaemon` when nothing listens there; `DaemonSilent` when something does and gives no answer.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from oya.errors import DaemonSilent, OyaError, SwarmFailed, UsageError

ANSWER_WITHIN = 30.0
"""Seconds for one short answer; the daemon gives up on its own side sooner."""
SILENCE = 60.0
"""Seconds between two lines of a stream; the daemon sends an empty one every 15."""
MAX_ANSWER = 64 * 2**20
MAX_LINE = 4 * 2**20

_ERRORS: dict[int, type[OyaError]] = {2: UsageError, 4: SwarmFailed, 6: DaemonSilent}


class NoDaemon(Exception):
    """No daemon runs for this repository."""


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("oya", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Client:
    """Asks the daemon behind one socket; every call is a connection of its own."""

    def __init__(self, path: Path, *, timeout: float = ANSWER_WITHIN) -> None:
        self._path = path
        self._timeout = timeout

    def get(self, *parts: str, **query: Any) -> dict[str, Any]:
        """What stands at that path, as JSON."""
        return self._ask("GET", _target(parts, query), None)

    def post(self, *parts: str, **body: Any) -> dict[str, Any]:
        """Tell the daemon something. Raises the error that the daemon answers with."""
        return self._ask("POST", _target(parts, {}), body)

    def follow(self, since: int, bead: str | None = None) -> Iterator[dict[str, Any]]:
        """Events after `since` as they happen; the last object is the final status, if the swarm
        ended. Raises `NoDaemon` when the daemon goes away in the middle."""
        target = _target(("events",), {"since": since, "follow": "true", "bead": bead})
        connection = _Connection(self._path, SILENCE)
        try:
            response = self._send(connection, "GET", target, None)
            if response.status != 200:
                raise _error(response.read(MAX_ANSWER))
            while line := response.readline(MAX_LINE):
                if line.strip():
                    yield json.loads(line)
        except TimeoutError:
            raise _silent() from None
        except (ConnectionError, http.client.HTTPException, ValueError):
            raise NoDaemon from None
        finally:
            connection.close()

    def _ask(self, method: str, target: str, body: dict[str, Any] | None) -> dict[str, Any]:
        connection = _Connection(self._path, self._timeout)
        try:
            response = self._send(connection, method, target, body)
            data = response.read(MAX_ANSWER)
        except TimeoutError:
            raise _silent() from None
        except (ConnectionError, http.client.HTTPException):
            raise NoDaemon from None
        finally:
            connection.close()
        if response.status != 200:
            raise _error(data)
        answer: dict[str, Any] = json.loads(data)
        return answer

    def _send(
        self, connection: _Connection, method: str, target: str, body: dict[str, Any] | None
    ) -> http.client.HTTPResponse:
        headers = {"Accept": "application/jsonl, application/json"}
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        try:
            connection.connect()
        except TimeoutError:
            raise _silent() from None
        except OSError:  # no socket, or nobody behind it any more
            raise NoDaemon from None
        connection.request(method, target, data, headers)
        return connection.getresponse()


def _target(parts: tuple[str, ...], query: dict[str, Any]) -> str:
    path = "/v1/" + "/".join(quote(part, safe="") for part in parts)
    given = {key: value for key, value in query.items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path


def _silent() -> DaemonSilent:
    return DaemonSilent(
        "A daemon runs here and does not answer.",
        safe="What it has acknowledged is kept.",
        hint="Look at `oya logs`; its process id is in oya/daemon.pid of the git directory.",
    )


def error_of(said: dict[str, Any]) -> OyaError:
    """The error that {"what", "safe", "hint", "exit"} stands for."""
    kind = _ERRORS.get(int(said["exit"]), OyaError)
    return kind(str(said["what"]), safe=str(said["safe"]), hint=str(said["hint"]))


def _error(data: bytes) -> OyaError:
    try:
        return error_of(json.loads(data))
    except (ValueError, KeyError, TypeError):
        return OyaError(f"The daemon answered in words unknown here: {data[:300]!r}")
