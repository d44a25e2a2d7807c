"""JSON-RPC over the lines of a program's stdin and stdout, whatever else it prints there.

The SDK's own reader prints a traceback for each line that is not JSON, and keeps a line
without an end for ever. This one drops both, and counts them.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any


class LineTransport:
    """Messages as `acp`'s Connection moves them; `dropped` counts lines that were none.

    `heard` is called for every line, since noise is a sign of life, too. A line longer
    than the reader's limit is dropped without being held in memory.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        heard: Callable[[], None],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._heard = heard
        self.dropped = 0

    async def receive(self) -> dict[str, Any] | None:
        """The next message; None at the end of the stream."""
        while True:
            await asyncio.sleep(0)  # what is buffered is not read at one go
            line = await self._line()
            if line == b"":
                return None
            self._heard()
            message = _message(line) if line else None
            if message is not None:
                return message
            if line is None or line.strip():
                self.dropped += 1

    async def send(self, message: dict[str, Any]) -> None:
        """Write a message. `ConnectionError` when a request of ours cannot be delivered.

        An answer that nobody reads any more is no error: the end of stdout tells the rest.
        """
        data = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        try:
            self._writer.write(data)
            await self._writer.drain()
        except (OSError, RuntimeError) as error:
            if "method" in message:
                raise ConnectionError(f"the program does not read: {error}") from error

    async def close(self) -> None:
        """Nothing: the program's owner closes its pipes."""

    async def _line(self) -> bytes | None:
        """One line, empty at the end of the stream, None for one that was too long."""
        whole = True
        while True:
            try:
                line = await self._reader.readuntil(b"\n")
            except asyncio.LimitOverrunError as error:
                whole = False
                await self._reader.readexactly(max(error.consumed, 1))
            except asyncio.IncompleteReadError as error:
                return error.partial if whole else None
            else:
                return line if whole else None


def _message(line: bytes) -> dict[str, Any] | None:
    """The message of a line, in the shape that a Connection relies on, or None."""
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict):
        return None
    if isinstance(message.get("method"), str):
        return message if isinstance(message.get("id"), int | str | None) else None
    if "method" in message or not isinstance(message.get("id"), int):
        return None
    if message.get("error") is not None and not isinstance(message["error"], dict):
        message["error"] = {"message": str(message["error"])}
    return message
