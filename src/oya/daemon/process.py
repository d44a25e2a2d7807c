"""`python -m oya.daemon REQUEST READY`: one swarm, from the lock to its last word.

It is a session of its own, so closing a terminal never reaches it. SIGTERM (or SIGINT) is a
graceful stop, a second one stops now, SIGHUP is nothing. What it is asked stands in REQUEST
(`oya.daemon.request`); on the descriptor READY it says in one JSON line how starting went.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from oya.clock import Clock, SystemClock
from oya.crashpoints import VARIABLE, arm, point
from oya.daemon.api import Followers, create_app
from oya.daemon.choose import Choice, choose, record
from oya.daemon.live_desk import LiveDesk
from oya.daemon.logs import log_to, prune_logs, stderr_to
from oya.daemon.preflight import Preflight, preflight
from oya.daemon.request import Request
from oya.daemon.server import reachable
from oya.daemon.state import has_state, open_store
from oya.errors import OyaError, StoreLocked
from oya.repository.places import Place, find_place
from oya.store.store import Store
from oya.swarm.config import Settings, load

log = structlog.get_logger()

LINGER = 5.0
"""Seconds that followers get to read the final status."""


@dataclass
class Ready:
    """Tells whoever started the daemon how that went; once."""

    fd: int

    def say(self, words: dict[str, Any]) -> None:
        """One line, then nothing more."""
        if self.fd < 0:
            return
        with suppress(OSError):  # nobody waits for it any more
            os.write(self.fd, json.dumps(words).encode() + b"\n")
        with suppress(OSError):
            os.close(self.fd)
        self.fd = -1


def main(argv: list[str]) -> int:
    """Run the daemon; its exit code is the swarm's."""
    if os.getsid(0) != os.getpid():
        os.setsid()
    os.umask(0o077)
    request, ready = Request.from_json(argv[1]), Ready(int(argv[2]) if len(argv) > 2 else -1)
    try:
        return asyncio.run(_daemon(request, ready, SystemClock()))
    except OyaError as error:
        log.error("not started", error=str(error))
        ready.say({"error": error_to_json(error), "locked": isinstance(error, StoreLocked)})
        return error.exit_code
    except Exception as error:
        log.exception("defect")
        ready.say(
            {
                "error": {
                    "what": f"A defect of oya: {type(error).__name__}: {error}",
                    "safe": "Nothing was claimed.",
                    "hint": "The traceback is in `oya logs`.",
                    "exit": 1,
                }
            }
        )
        return 1


def error_to_json(error: OyaError) -> dict[str, Any]:
    """An error as it travels: {"what", "safe", "hint", "exit"}."""
    return {
        "what": str(error),
        "safe": error.safe,
        "hint": error.hint,
        "exit": error.exit_code,
    }


def collect_less() -> None:
    """Let Python look for garbage less often, and not at what is there now.

    That lives as long as the daemon, and to look through it takes half a second; and where
    the threshold is 700 objects, a sixth of the time of deciding goes into looking.
    """
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


async def _daemon(request: Request, ready: Ready, clock: Clock) -> int:
    arm(os.environ.get(VARIABLE))
    place = find_place(Path(request.cwd))
    settings = load(place.root / ".oya/swarm.toml", request.flags)
    before = await preflight(place, settings, request.beads)
    if not has_state(place):
        choose((), request, settings, before.branch, clock.now())  # refuses before it writes
    place.make_folders()
    log_to(place.state / "logs" / "daemon.log")
    stderr_to(place.state / "logs" / "daemon.err")
    store = await open_store(place, clock, sync=settings.store.sync)
    collect_less()
    pid = place.state / "daemon.pid"
    try:
        pid.write_text(f"{os.getpid()}\n")
        point("daemon.pid_written")
        choice = choose(
            tuple(store.swarms.all().values()), request, settings, before.branch, clock.now()
        )
        return await _swarm(request, ready, clock, place, settings, store, choice, before)
    finally:
        pid.unlink(missing_ok=True)
        await store.close()


async def _swarm(
    request: Request,
    ready: Ready,
    clock: Clock,
    place: Place,
    settings: Settings,
    store: Store,
    choice: Choice,
    before: Preflight,
) -> int:
    from oya.swarm.assembly import build_parts
    from oya.swarm.universe import Universe

    since = store.events.last
    swarm = choice.swarm
    parts = build_parts(settings, place, store, clock, swarm.id, swarm.branch)
    universe = Universe(parts, only=request.beads, known=before.read)
    desk = LiveDesk(store, place, settings.limits, universe, choice.swarm.id, clock)
    _on_signals(desk)  # before there is a swarm, which would be left as starting for ever
    await record(store, choice, settings, request.beads)
    point("daemon.recorded")
    followers = Followers()
    async with reachable(create_app(desk, followers), place):
        point("daemon.answers")
        ready.say(
            {
                "swarm": choice.swarm.id,
                "words": choice.words,
                "since": since,
                "warnings": list(before.warnings),
                "pid": os.getpid(),
            }
        )
        final = await desk.run()
        log.info("ended", status=final["status"], exit=final["exit"])
        kept_since = clock.now().timestamp() - settings.store.retention
        await asyncio.to_thread(prune_logs, place.state / "logs", kept_since)
        with suppress(TimeoutError):
            async with asyncio.timeout(LINGER):
                await followers.none.wait()
    code: int = final["exit"]
    return code


def _on_signals(desk: LiveDesk) -> None:
    loop = asyncio.get_running_loop()
    asked: list[asyncio.Task[Any]] = []

    def stop() -> None:
        now = bool(asked)
        log.info("signal", now=now)
        if len(asked) < 10:
            asked.append(loop.create_task(desk.stop(now), name="stop"))

    loop.add_signal_handler(signal.SIGTERM, stop)
    loop.add_signal_handler(signal.SIGINT, stop)
    # A handler, not SIG_IGN: what is ignored stays so in every program that the swarm starts.
    loop.add_signal_handler(signal.SIGHUP, lambda: None)
