"""What the benchmarks at scale share: repositories of any size, and agents that only decide.

A measurement runs in a process of its own, so that its memory is a daemon's and not that of
whoever made the repository: `in_child` calls a coroutine function of a benchmark there.
Store, repository, tracker, gates, supervision are the real ones; null agents stand in for
programs that think: an attempt waits, and then reports the event that ends it well.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar

import structlog

from oya.clock import SystemClock
from oya.daemon.live_desk import LiveDesk
from oya.daemon.state import open_store
from oya.lifecycle import events as e
from oya.lifecycle.model import Role
from oya.lifecycle.swarm import SwarmState
from oya.repository.places import find_place
from oya.swarm import supervisor
from oya.swarm.agents.base import AgentActor
from oya.swarm.assembly import build_parts
from oya.swarm.attempt import Attempt, Result
from oya.swarm.config import load
from oya.swarm.messages import AttemptEnded, Claim
from oya.swarm.universe import Universe

TIMEOUT = 900.0
CONFIG = """
[defaults]
backend = "null"
planner = false
test_writers = {agents}
[backends.null]
kind = "command"
command = ["sleep", "3600"]
[sandbox]
kind = "none"
[quality-gates]
ci = ["true"]
[execution]
grace = "1s"
"""


@contextmanager
def filled_repository(beads: int, agents: int) -> Iterator[Path]:
    """A repository with a backlog of so many beads, all of them known to the store."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "repository"
        _make_repository(folder, beads, agents)
        in_child("scale_kit", "fill", folder)
        yield folder


def _make_repository(folder: Path, beads: int, agents: int) -> None:
    """A git repository that tracks a backlog of so many beads, of about 400 bytes each."""
    (folder / ".beads").mkdir(parents=True)
    (folder / ".oya").mkdir()
    with (folder / ".beads/issues.jsonl").open("w") as file:
        file.writelines(json.dumps(_issue(number)) + "\n" for number in range(beads))
    (folder / ".oya/swarm.toml").write_text(CONFIG.format(agents=agents))
    git(folder, "init", "-q", "-b", "main")
    git(folder, "config", "user.name", "bench")
    git(folder, "config", "user.email", "bench@example.invalid")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "a backlog")


def git(folder: Path, *args: str) -> None:
    """One git command."""
    subprocess.run(("git", *args), cwd=folder, check=True, env=environment(folder))


def environment(folder: Path) -> dict[str, str]:
    """With nothing of the user's: caches and configuration lie beside the repository."""
    beside = folder.parent
    places = {"HOME": beside, "XDG_CACHE_HOME": beside / "c", "XDG_RUNTIME_DIR": beside / "r"}
    for path in places.values():
        path.mkdir(mode=0o700, exist_ok=True)
    return {"PATH": os.environ["PATH"]} | {name: str(path) for name, path in places.items()}


def in_child(bench: str, function: str, folder: Path) -> dict[str, Any]:
    """What `async def function(folder)` of that benchmark gives, in a process of its own."""
    ran = subprocess.run(
        (sys.executable, __file__, bench, function, str(folder)),
        check=True,
        capture_output=True,
        text=True,
        timeout=TIMEOUT,
        env=environment(folder),
    )
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    return found


@asynccontextmanager
async def swarm_in(folder: Path, *, seats: int, sync: bool = True) -> AsyncIterator[Universe]:
    """A universe over that repository, with the desk that a daemon has; not yet running."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    clock, place = SystemClock(), find_place(folder)
    settings = load(folder / ".oya/swarm.toml", {})
    backends = {
        n: b.model_copy(update={"max_sessions": seats}) for n, b in settings.backends.items()
    }
    settings = settings.model_copy(update={"backends": backends})
    place.make_folders()
    store = await open_store(place, clock, sync=sync)
    try:
        swarm = SwarmState("swarm-bench", target_beads=10**6, branch="main")
        await store.swarms.put(swarm, event="swarm_starting")
        parts = build_parts(settings, place, store, clock, swarm.id, swarm.branch)
        universe = Universe(parts)
        LiveDesk(store, place, settings.limits, universe, swarm.id, clock)
        yield universe
    finally:
        await store.close()


async def fill(folder: Path) -> dict[str, Any]:
    """Let the store learn the backlog, as at a first start."""
    began = time.perf_counter()
    async with swarm_in(folder, seats=1, sync=False) as universe:
        await universe.prepare()
        return {"beads": len(universe.parts.store.beads.all()), "s": time.perf_counter() - began}


class NullAgent(AgentActor):
    """Thinks for `think` seconds on average, and its work is always good.

    `served`: seconds from each question for work to its answer.
    """

    think: ClassVar[float] = 0.0
    served: ClassVar[list[float]] = []
    asked = 0.0

    async def work(self, attempt: Attempt) -> Result:
        raise NotImplementedError

    async def _ask_for_work(self) -> None:
        self.asked = time.perf_counter()
        await super()._ask_for_work()

    def _begin(self, claim: Claim) -> None:
        self.served.append(time.perf_counter() - self.asked)
        super()._begin(claim)

    async def _attempt(self, claim: Claim) -> None:
        if self.think:
            await asyncio.sleep(random.uniform(0.5, 1.5) * self.think)
        await self.parts.apply(claim.bead, DONE[self.role](claim), agent=self.agent)
        self.ref.try_tell(AttemptEnded(claim, None, ""), control=True)


COMMIT = "0" * 40
DONE: dict[Role, Callable[[Claim], e.Event]] = {
    Role.TEST_WRITER: lambda c: e.ContractAccepted(c.epoch, COMMIT, c.base, "behaviour"),
    Role.PLANNER: lambda c: e.CheckAccepted(c.epoch),
    Role.IMPLEMENTER: lambda c: e.ImplementationAccepted(c.epoch, COMMIT, c.base),
    Role.REVIEWER: lambda c: e.Defended(c.epoch, COMMIT),
}


class Idle(NullAgent):
    """Never asks for anything."""

    async def _ask_for_work(self) -> None:
        return


def use(agents: dict[Role, type[NullAgent]]) -> None:
    """Let these classes be the agents of every swarm of this process."""
    for role, kind in agents.items():
        supervisor.ACTORS[role] = type(f"{kind.__name__}_{role}", (kind,), {"role": role})


@asynccontextmanager
async def running(universe: Universe) -> AsyncIterator[None]:
    """The universe at work; stopped at the end."""
    task = asyncio.create_task(universe.run())
    try:
        yield
        await universe.stop(now=True)
        await task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


def memory() -> dict[str, float]:
    """Resident memory of this process in MB: now, and the most there ever was."""
    lines = Path("/proc/self/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return {name: int(fields[key].split()[0]) / 1024 for name, key in _MEMORY.items()}


_MEMORY = {"rss": "VmRSS", "peak": "VmHWM"}


def percentile(values: list[float], percent: float) -> float:
    """The value that so many percent do not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * percent / 100))]


def _issue(number: int) -> dict[str, Any]:
    made = {
        "id": f"bench-{number:06}",
        "title": f"Part {number} of the machine does what the manual says",
        "description": "A few words about what is wanted here, and why somebody wants it. " * 2,
        "acceptance_criteria": "it does the first thing\nit does the second thing",
        "status": "open",
        "priority": number % 5,
        "issue_type": "task",
        "created_at": f"2026-01-{1 + number % 28:02}T00:00:00Z",
    }
    if number % 10 == 9:
        needs = {"depends_on_id": f"bench-{number // 2:06}", "type": "blocks"}
        made["dependencies"] = [needs]
    return made


def _main(bench: str, function: str, folder: str) -> None:
    sys.path.insert(0, str(Path(__file__).parent))
    wanted = getattr(importlib.import_module(bench), function)
    print(json.dumps(asyncio.run(wanted(Path(folder)))))


if __name__ == "__main__":
    _main(*sys.argv[1:])
