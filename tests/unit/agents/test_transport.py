"""Messages out of what a program prints."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from oya.agents.transport import LineTransport
from oya.testing.loop import run_virtual


class Writer:
    """Stands for the pipe to a program; a broken one raises as a real one does."""

    def __init__(self, *, broken: bool = False) -> None:
        self.written = b""
        self._broken = broken

    def write(self, data: bytes) -> None:
        self.written += data

    async def drain(self) -> None:
        if self._broken:
            raise BrokenPipeError("nobody reads")


def received(*chunks: bytes, limit: int = 100) -> tuple[list[dict[str, Any]], int, int]:
    """The messages in what was printed, the lines dropped, and the signs of life."""

    async def receive() -> tuple[list[dict[str, Any]], int, int]:
        reader, signs = asyncio.StreamReader(limit=limit), 0

        def heard() -> None:
            nonlocal signs
            signs += 1

        transport = LineTransport(reader, Writer(), heard)  # type: ignore[arg-type]

        async def feed() -> None:
            for chunk in chunks:
                reader.feed_data(chunk)
                await asyncio.sleep(0.01)
            reader.feed_eof()

        feeding = asyncio.ensure_future(feed())
        messages = []
        while (message := await transport.receive()) is not None:
            messages.append(message)
        await feeding
        return messages, transport.dropped, signs

    return run_virtual(receive)


A, B = b'{"id": 1, "result": 5}\n', b'{"method": "x", "params": {}}\n'
ONE, TWO = {"id": 1, "result": 5}, {"method": "x", "params": {}}


def test_messages_come_in_order_however_they_are_cut() -> None:
    assert received(A + B[:5], B[5:-1], b"\n" + A) == ([ONE, TWO, ONE], 0, 3)


def test_the_last_line_needs_no_end() -> None:
    assert received(A, B.strip()) == ([ONE, TWO], 0, 2)


@pytest.mark.parametrize(
    "junk",
    [
        b"not json",
        b"\xff\xfe",
        b"[]",
        b"5",
        b"{}",
        b'{"id": "1", "result": 5}',
        b'{"id": [1], "result": 5}',
        b'{"id": {}, "method": "x"}',
        b'{"method": 5}',
        b'{"id": 1, "method": null}',
    ],
)
def test_a_line_that_is_no_message_is_dropped_and_counted(junk: bytes) -> None:
    assert received(A, junk + b"\n", B) == ([ONE, TWO], 1, 3)


def test_empty_lines_are_not_counted() -> None:
    assert received(b"\n", A, b"  \r\n") == ([ONE], 0, 3)


@pytest.mark.parametrize("cut", [1, 7, 100, 1000])
def test_a_line_over_the_limit_is_dropped_whole(cut: int) -> None:
    long = b'{"id": 1, "result": "' + b"x" * 1000 + b'"}\n'
    chunks = [long[at : at + cut] for at in range(0, len(long), cut)]
    assert received(A, *chunks, B) == ([ONE, TWO], 1, 3)


def test_the_end_of_a_line_over_the_limit_is_no_message() -> None:
    assert received(b"x" * 500, A, B)[:2] == ([TWO], 1)


def test_a_line_over_the_limit_at_the_end_is_dropped() -> None:
    assert received(A, b"x" * 500)[:2] == ([ONE], 1)
    assert received(A, b"x" * 500, A.strip())[:2] == ([ONE], 1)


def test_an_error_has_the_shape_that_is_relied_on() -> None:
    messages, _, _ = received(b'{"id": 1, "error": "no"}\n', b'{"id": 2, "error": {"code": 1}}\n')
    assert messages == [{"id": 1, "error": {"message": "no"}}, {"id": 2, "error": {"code": 1}}]


def test_what_is_sent_is_one_line() -> None:
    async def send() -> bytes:
        writer = Writer()
        transport = LineTransport(asyncio.StreamReader(), writer, lambda: None)  # type: ignore[arg-type]
        await transport.send({"method": "x", "params": {"text": "a\nü\ud800"}})
        return writer.written

    assert run_virtual(send) == b'{"method":"x","params":{"text":"a\\n\\u00fc\\ud800"}}\n'


def test_a_request_that_cannot_be_delivered_fails_and_an_answer_does_not() -> None:
    async def send() -> None:
        writer = Writer(broken=True)
        transport = LineTransport(asyncio.StreamReader(), writer, lambda: None)  # type: ignore[arg-type]
        await transport.send({"id": 1, "result": {}})
        with pytest.raises(ConnectionError, match="nobody reads"):
            await transport.send({"id": 2, "method": "x"})

    run_virtual(send)
