"""The desk over HTTP, on the Unix socket of one repository.

Every answer is JSON, errors too: {"what", "safe", "hint", "exit"}. Followers of
`/v1/events` are bounded in number, and each pulls at its own pace from the store, so a slow
one costs no memory. A stream ends with the final status when the swarm has ended.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
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
    async def status() -> dict[str, Any]:
        async with asyncio.timeout(DEADLINE):
            return await desk.status()

    @app.get("/v1/swarms")
    async def swarms() -> dict[str, Any]:
        async with asyncio.timeout(DEADLINE):
            return await desk.swarms()

    @app.get("/v1/beads")
    async def beads() -> dict[str, Any]:
        async with asyncio.timeout(DEADLINE):
            return await desk.beads()

    @app.get("/v1/beads/{bead:path}/why")
    async def why(bead: str) -> dict[str, Any]:
        async with asyncio.timeout(DEADLINE):
            return await desk.why(bead)

    @app.get("/v1/beads/{bead:path}")
    async def bead(bead: str) -> dict[str, Any]:
        async with asyncio.timeout(DEADLINE):
            return await desk.bead(bead)

    @app.get("/v1/events", response_model=None)
    async def events(
        since: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=MAX_EVENTS)] = MAX_EVENTS,
        bead: str | None = None,
        follow: bool = False,
        accept: Annotated[str, Header()] = "",
    ) -> Response | dict[str, Any]:
        if not follow:
            async with asyncio.timeout(DEADLINE):
                return await desk.events(since, limit, bead)
        followers.enter()
        sse = SSE in accept
        lines = _followed(desk, since, bead, _as_sse if sse else _as_line)
        return _Stream(lines, followers, media_type=SSE if sse else JSONL)

    @app.get("/v1/snapshot")
    async def snapshot() -> dict[str, Any]:
        async with asyncio.timeout(DEADLINE):
            return await desk.snapshot()


def _telling(app: FastAPI, desk: LiveDesk) -> None:
    @app.post("/v1/stop")
    async def stop(how: Annotated[_Stop | None, Body()] = None) -> dict[str, Any]:
        async with asyncio.timeout(DEADLINE):
            return await desk.stop(how.now if how else False)

    @app.post("/v1/pause")
    async def pause() -> dict[str, Any]:
        async with asyncio.timeout(DEADLINE):
            return await desk.pause()

    @app.post("/v1/continue")
    async def resume() -> dict[str, Any]:
        async with asyncio.timeout(DEADLINE):
            return await desk.resume()

    @app.post("/v1/set")
    async def set_(changes: Annotated[dict[str, str], Body()]) -> dict[str, Any]:
        async with asyncio.timeout(DEADLINE):
            return await desk.set(changes)

    @app.post("/v1/sync")
    async def sync() -> dict[str, Any]:
        async with asyncio.timeout(DEADLINE):
            return await desk.sync()

    @app.post("/v1/beads/{bead:path}/{verb}")
    async def person(
        bead: str, verb: str, words: Annotated[_Words | None, Body()] = None
    ) -> dict[str, Any]:
        async with asyncio.timeout(DEADLINE):
            return await desk.person(bead, verb, words.note if words else "")


class _Stream(StreamingResponse):
    """Gives its place back however it ends, also when it never got to its first line."""

    def __init__(self, lines: AsyncIterator[str], followers: Followers, *, media_type: str) -> None:
        super().__init__(lines, media_type=media_type, headers={"Cache-Control": "no-store"})
        self._followers = followers

    async def __call__(self, *args: Any) -> None:
        try:
            await super().__call__(*args)
        finally:
            self._followers.leave()


async def _followed(
    desk: LiveDesk, since: int, bead: str | None, written: Callable[[dict[str, Any]], str]
) -> AsyncIterator[str]:
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
            yield "\n"


def _as_line(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"


def _as_sse(row: dict[str, Any]) -> str:
    kind, number = ("event", f"id: {row['seq']}\n") if "seq" in row else ("final", "")
    return f"{number}event: {kind}\ndata: {json.dumps(row, ensure_ascii=False)}\n\n"


# Errors --------------------------------------------------------------------------------------


def _answer(status: int, what: str, safe: str, hint: str, code: int) -> JSONResponse:
    body = {"what": what, "safe": safe, "hint": hint, "exit": code}
    return JSONResponse(body, status_code=status)


async def _on_oya_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, OyaError)
    status = 500
    if isinstance(error, UsageError):
        status = 409 if isinstance(error, RefusedError) else 400
    return _answer(status, str(error), error.safe, error.hint, error.exit_code)


async def _on_bad_request(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return _answer(422, f"{where}: {first['msg']}", "Nothing was changed.", "", 2)


async def _on_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    what = f"{request.method} {request.url.path}: {error.detail}"
    return _answer(error.status_code, what, "Nothing was changed.", "", 2)


async def _on_timeout(_: Request, __: Exception) -> JSONResponse:
    return _answer(
        503,
        f"The swarm gave no answer within {DEADLINE:.0f} s.",
        "It goes on with what it does.",
        "Try again; `oya logs` tells more.",
        1,
    )


async def _on_defect(request: Request, error: Exception) -> JSONResponse:
    log.error("defect", path=request.url.path, exc_info=error)
    return _answer(
        500,
        f"A defect of oya: {type(error).__name__}: {error}",
        "The swarm goes on.",
        "The traceback is in `oya logs`.",
        1,
    )
