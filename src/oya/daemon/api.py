"""The desk over HTTP, on the Unix socket of one repository.

Every answer is JSON, errors too: {"what", "safe", "hint", "exit"}. Followers of
`/v1/events` are bounded in number, and each pulls at its own pace from the store, so a slow
one costs no memory. A stream ends with the final status when the swarm has ended.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated, Any

import structlog
from fastapi import Body, FastAPI, Header, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from oya.daemon.desk import MAX_EVENTS
from oya.daemon.live_desk import LiveDesk
from oya.errors import OyaError, RefusedError, UsageError

log = structlog.get_logger()

DEADLINE = 25.0
"""Seconds for one short answer; less than a client waits."""
HEARTBEAT = 15.0
"""Seconds after which a silent stream sends an empty line."""
PAGE = 200
MAX_FOLLOWERS = 32

SSE = "text/event-stream"
JSONL = "application/jsonl"


class _Words(BaseModel):
    model_config = ConfigDict(extra="forbid")

    note: Annotated[str, Field(max_length=10_000)] = ""


class _Stop(BaseModel):
    model_config = ConfigDict(extra="forbid")

    now: bool = False


class Followers:
    """Who follows the events right now."""

    def __init__(self) -> None:
        self.count = 0
        self.none = asyncio.Event()
        self.none.set()

    def enter(self) -> None:
        """One more; `OyaError` over the bound."""
        if self.count >= MAX_FOLLOWERS:
            raise OyaError(
                f"{MAX_FOLLOWERS} others follow the events already.", hint="Close one of them."
            )
        self.count += 1
        self.none.clear()

    def leave(self) -> None:
        """One less."""
        self.count -= 1
        if not self.count:
            self.none.set()


def create_app(desk: LiveDesk, followers: Followers) -> FastAPI:
    """The application; it starts nothing of its own and ends with its server."""
    app = FastAPI(title="oya", version="1", docs_url=None, redoc_url=None)
    app.add_exception_handler(OyaError, _on_oya_error)
    app.add_exception_handler(RequestValidationError, _on_bad_request)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(TimeoutError, _on_timeout)
    app.add_exception_handler(Exception, _on_defect)
    _reading(app, desk, followers)
    _telling(app, desk)
    return app


def _reading(app: FastAPI, desk: LiveDesk, followers: Followers) -> None:
    @app.get("/v1/status")
    async def status() -> Response:
        return await _answered(desk.status())

    @app.get("/v1/swarms")
    async def swarms() -> Response:
        return await _answered(desk.swarms())

    @app.get("/v1/beads")
    async def beads() -> Response:
        return await _answered(desk.beads())

    @app.get("/v1/beads/{bead:path}/why")
    async def why(bead: str) -> Response:
        return await _answered(desk.why(bead))

    @app.get("/v1/beads/{bead:path}")
    async def bead(bead: str) -> Response:
        return await _answered(desk.bead(bead))

    @app.get("/v1/events")
    async def events(
        since: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=MAX_EVENTS)] = MAX_EVENTS,
        bead: str | None = None,
        follow: bool = False,
        accept: Annotated[str, Header()] = "",
    ) -> Response:
        if not follow:
            return await _answered(desk.events(since, limit, bead))
        followers.enter()
        sse = SSE in accept
        lines = _followed(desk, since, bead, _as_sse if sse else _as_line)
        return _Stream(lines, followers, media_type=SSE if sse else JSONL)

    @app.get("/v1/snapshot")
    async def snapshot() -> Response:
        return await _answered(desk.snapshot())


def _telling(app: FastAPI, desk: LiveDesk) -> None:
    @app.post("/v1/stop")
    async def stop(how: Annotated[_Stop | None, Body()] = None) -> Response:
        return await _answered(desk.stop(how.now if how else False))

    @app.post("/v1/pause")
    async def pause() -> Response:
        return await _answered(desk.pause())

    @app.post("/v1/continue")
    async def resume() -> Response:
        return await _answered(desk.resume())

    @app.post("/v1/set")
    async def set_(changes: Annotated[dict[str, str], Body()]) -> Response:
        return await _answered(desk.set(changes))

    @app.post("/v1/sync")
    async def sync() -> Response:
        return await _answered(desk.sync())

    @app.post("/v1/beads/{bead:path}/{verb}")
    async def person(
        bead: str, verb: str, words: Annotated[_Words | None, Body()] = None
    ) -> Response:
        return await _answered(desk.person(bead, verb, words.note if words else ""))


async def _answered(answer: Awaitable[dict[str, Any]]) -> Response:
    async with asyncio.timeout(DEADLINE):
        return _Json(await answer)


class _Json(JSONResponse):
    """A file's name or a tool's words may be no text: what UTF-8 cannot say is a `?`."""

    def render(self, content: Any) -> bytes:
        return _written(content)


def _written(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")


class _Stream(StreamingResponse):
    """Gives its place back however it ends, also when it never got to its first line."""

    def __init__(
        self, lines: AsyncIterator[bytes], followers: Followers, *, media_type: str
    ) -> None:
        super().__init__(lines, media_type=media_type, headers={"Cache-Control": "no-store"})
        self._followers = followers

    async def __call__(self, *args: Any) -> None:
        try:
            await super().__call__(*args)
        finally:
            self._followers.leave()


async def _followed(
    desk: LiveDesk, since: int, bead: str | None, written: Callable[[dict[str, Any]], bytes]
) -> AsyncIterator[bytes]:
    """Events after `since`, as they happen; then the final status."""
    while True:
        # Both looked at first: what comes before the end is still sent, and nothing is missed.
        over, mark = desk.final is not None, desk.mark()
        page = await desk.events(since, PAGE, bead)
        for row in page["events"]:
            since = row["seq"]
            yield written(row)
        if len(page["events"]) == PAGE:
            continue
        if over and desk.final is not None:
            yield written(desk.final)
            return
        since = max(since, page["last"])
        if not await desk.news(mark, HEARTBEAT):
            yield b"\n"


def _as_line(row: dict[str, Any]) -> bytes:
    return _written(row) + b"\n"


def _as_sse(row: dict[str, Any]) -> bytes:
    kind, number = ("event", f"id: {row['seq']}\n") if "seq" in row else ("final", "")
    return f"{number}event: {kind}\ndata: ".encode() + _written(row) + b"\n\n"


# Errors --------------------------------------------------------------------------------------


def _answer(status: int, what: str, safe: str, hint: str, code: int) -> Response:
    body = {"what": what, "safe": safe, "hint": hint, "exit": code}
    return _Json(body, status_code=status)


async def _on_oya_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, OyaError)
    status = 500
    if isinstance(error, UsageError):
        status = 409 if isinstance(error, RefusedError) else 400
    return _answer(status, str(error), error.safe, error.hint, error.exit_code)


async def _on_bad_request(_: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return _answer(422, f"{where}: {first['msg']}", "Nothing was changed.", "", 2)


async def _on_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    what = f"{request.method} {request.url.path}: {error.detail}"
    return _answer(error.status_code, what, "Nothing was changed.", "", 2)


async def _on_timeout(_: Request, __: Exception) -> Response:
    return _answer(
        503,
        f"The swarm gave no answer within {DEADLINE:.0f} s.",
        "It goes on with what it does.",
        "Try again; `oya logs` tells more.",
        1,
    )


async def _on_defect(request: Request, error: Exception) -> Response:
    log.error("defect", path=request.url.path, exc_info=error)
    return _answer(
        500,
        f"A defect of oya: {type(error).__name__}: {error}",
        "The swarm goes on.",
        "The traceback is in `oya logs`.",
        1,
    )
