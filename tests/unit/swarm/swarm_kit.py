"""A swarm's tools on a real repository and the simulated engine, and a lander on them.

Gates are real processes: `ci` is red where the tree has a file `red.txt`.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oya.actors import Actor, ActorRef, Backoff, Restart, Supervisor
from oya.clock import SystemClock
from oya.daemon.choose import Choice, record
from oya.lifecycle import events as e
from oya.lifecycle.leases import Leases
from oya.lifecycle.model import BeadState, Check
from oya.lifecycle.swarm import SwarmState, SwarmStatus, move
from oya.repository.git import GitRepository
from oya.repository.workspace import GitWorkspaces
from oya.store import Store
from oya.store.engine import Put
from oya.swarm.admission import Admission
from oya.swarm.assembly import Parts, build_parts
from oya.swarm.config import load
from oya.swarm.contract import Contract
from oya.swarm.lander import LanderActor
from oya.swarm.line import Line
from oya.swarm.messages import LookForReviewed, Sync, Wake
from oya.swarm.pool import AgentPool
from oya.swarm.shared import Shared
from oya.swarm.tracking import Tracking
from oya.swarm.work import Work
from oya.testing.engine import Disk, SimulatedEngine
from repository_kit import commit, git, make_repository, opened, write
from user_kit import GitElsewhere, with_remote

PATH = ".beads/issues.jsonl"
PATIENCE = 60.0
"""Seconds for what takes a moment, on a busy machine."""
CONFIG = """
[defaults]
backend = "agent"
planner = false
[backends.agent]
kind = "command"
command = ["true"]
[sandbox]
kind = "none"
[quality-gates]
ci = ["{ci}"]
red_queen = false
{more}
"""
NEVER = Restart(intensity=0, period=60.0, backoff=Backoff(first=0.1))
Hook = Callable[[], Awaitable[None] | None]


class HandClock(SystemClock):
    """A clock that also moves when a test says so."""

    ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead


class Inbox(Actor[Any]):
    """Stands where the orchestrator does; `got` is what it was told."""

    def __init__(self, got: list[Any]) -> None:
        self._got = got

    async def handle(self, message: Any) -> None:
        self._got.append(message)


def issue(bead: str, **fields: Any) -> dict[str, Any]:
    """One record of the tracker's file."""
    made = {"id": bead, "title": f"Title of {bead}", "status": "open", "priority": 2}
    return {**made, "issue_type": "task", "created_at": "2026-01-01T00:00:00Z", **fields}


def needs(*beads: str) -> list[dict[str, str]]:
    return [{"depends_on_id": bead, "type": "blocks"} for bead in beads]


def jsonl(*issues: dict[str, Any]) -> str:
    return "".join(f"{json.dumps(one)}\n" for one in issues)


def contract(bead: str, at: str, **fields: Any) -> Contract:
    """An accepted contract of kind check, unless `fields` say otherwise."""
    made: dict[str, Any] = {
        "bead": bead,
        "epoch": 1,
        "kind": "check",
        "commit": at,
        "base": at,
        "fail_to_pass": (),
        "guards": (),
        "changes": (),
        "test_files": (),
        "frozen": (),
        "checks": (),
        "answer": {},
    }
    return Contract(**{**made, **fields})


def _repository(tmp_path: Path, files: dict[str, str]) -> Path:
    """A copy of a repository that the first test with these files has made."""
    name = hashlib.sha256(json.dumps(files).encode()).hexdigest()[:12]
    template = tmp_path.parent / f"repository-{name}"
    if not template.exists():
        make_repository(template, files)
    return shutil.copytree(template, tmp_path / "repo")


@dataclass
class World:
    """Everything a lander stands on. `told` is what the orchestrator would have heard."""

    folder: Path
    repo: GitRepository
    store: Store
    disk: Disk
    clock: HandClock
    parts: Parts
    line: Line
    tracking: Tracking
    told: list[Any] = field(default_factory=list)
    lander: ActorRef[Any] | None = None
    there: GitElsewhere | None = None

    @classmethod
    @contextlib.asynccontextmanager
    async def at(
        cls,
        tmp_path: Path,
        *,
        ignored: bool = False,
        more: str = "",
        ci: str = "test ! -e red.txt",
        issues: tuple[dict[str, Any], ...] = (),
        remote: bool = False,
    ) -> AsyncIterator[World]:
        """`remote`: it lands on `origin`, where somebody else is at work too (`elsewhere`)."""
        backlog = jsonl(*(issues or (issue("a"), issue("b"))))
        more_files = {".gitignore": ".beads\n"} if ignored else {PATH: backlog}
        folder = _repository(tmp_path, {"a.txt": "one\n", **more_files})
        write(folder, {PATH: backlog})
        there = with_remote(folder) if remote else None
        more += '[landing]\nremote = "origin"\n' if remote else ""
        repo = opened(folder)
        config = tmp_path / "swarm.toml"
        config.write_text(CONFIG.format(ci=ci, more=more))
        settings = load(config, {})
        clock, disk = HandClock(1), Disk()
        store = await Store.open(
            repo.place.state, clock=clock, sync=False, engine=lambda _: SimulatedEngine(disk)
        )
        swarm = SwarmState("swarm-1", target_beads=10, branch="main")
        await record(store, Choice(swarm, None), settings)
        await store.swarms.put(move(swarm, SwarmStatus.RUNNING), event="swarm_running")
        parts = build_parts(settings, repo.place, store, clock, swarm.id, "main")
        landing = settings.landing
        line = Line(repo, "main", parts.follow, follows=landing.follow, remote=landing.remote)
        await line.refresh()
        tracking = Tracking(parts, line)
        await tracking.refresh()
        world = cls(folder, repo, store, disk, clock, parts, line, tracking, there=there)
        try:
            yield world
        finally:
            await store.close()

    # The user

    @property
    def elsewhere(self) -> GitElsewhere:
        """The remote."""
        assert self.there is not None
        return self.there

    def backlog(self, *issues: dict[str, Any]) -> None:
        """Write the tracker's working file."""
        write(self.folder, {PATH: jsonl(*issues)})

    def issue(self, bead: str, rev: str | None = None) -> dict[str, Any] | None:
        """A record of the working file, or of a commit's."""
        text = (
            (self.folder / PATH).read_text() if rev is None else self.git("show", f"{rev}:{PATH}")
        )
        found: Iterator[dict[str, Any]] = (json.loads(row) for row in text.splitlines() if row)
        return next((one for one in found if one["id"] == bead), None)

    def commit(self, files: dict[str, str], message: str = "by the user") -> str:
        return commit(self.folder, files, message)

    def git(self, *args: str) -> str:
        return git(self.folder, *args)

    # The work

    def state(self, bead: str) -> BeadState:
        state = self.store.beads.get(bead)
        assert state is not None
        return state

    def landings(self, swarm: str = "swarm-1") -> int:
        """How many landings that swarm has counted."""
        found = self.store.swarms.get(swarm)
        assert found is not None
        return found.landed_beads

    async def said(self, event: str) -> list[str | None]:
        """The reasons of all events of that name."""
        return [r.reason for r in await self.store.events.since(0) if r.event == event]

    async def claimed(self, bead: str, agent: str = "agent-1") -> int:
        """A claim of that bead; its epoch."""
        state = (await self.parts.apply(bead, e.Claimed(agent, "agent", self.line.base))).state
        return state.epoch

    async def made(self, base: str, files: dict[str, str | None]) -> str:
        """A commit on `base`, as an agent's head."""
        changes = {p: None if text is None else text.encode() for p, text in files.items()}
        tree = await self.repo.write_tree(base, changes)
        return await self.repo.commit_tree(tree, (base,), "work")

    async def reviewed(
        self,
        bead: str,
        files: dict[str, str | None],
        *checks: Check,
        noticed: Sequence[str] = (),
        **about: Any,
    ) -> str:
        """Bring a bead to the landing queue with these files; the head that is to land. `noticed`:
        what else its agents saw."""
        base = self.line.base
        head = await self.made(base, files)
        accepted = contract(bead, base, checks=checks, **about)
        epoch = await self.claimed(bead)
        await self.parts.apply(
            bead,
            e.ContractAccepted(epoch, base, base, accepted.kind),
            also=(Put("contracts", bead, accepted.to_json()),),
        )
        epoch = await self.claimed(bead)
        said = {"discovered": [{"title": title, "description": ""} for title in noticed]}
        await self.parts.apply(
            bead, e.ImplementationAccepted(epoch, head, base), data=said if noticed else {}
        )
        return head

    async def reworked(self, bead: str, earlier: str, files: dict[str, str | None]) -> str:
        """A bead that was sent back is accepted anew, merged with the base of now."""
        base = self.line.base
        tree = await self.repo.tree_of(await self.made(base, files))
        head = await self.repo.commit_tree(tree, (base, earlier), "rework")
        epoch = await self.claimed(bead)
        await self.parts.apply(bead, e.ImplementationAccepted(epoch, head, base))
        return head

    # oya

    def new_daemon(self) -> None:
        """What only lived in memory is gone."""
        self.tracking = Tracking(self.parts, self.line)
        self.parts.workspaces = GitWorkspaces(self.repo, self.repo.place)

    @contextlib.asynccontextmanager
    async def landing(self, only: frozenset[str] = frozenset()) -> AsyncIterator[None]:
        """A lander at work."""
        async with Supervisor(clock=self.clock, restart=NEVER, name="test") as root:
            orchestrator = await root.spawn(lambda: Inbox(self.told), name="orchestrator")
            work = Work(self.store.beads, self.parts.board, only)
            self.lander = await root.spawn(
                lambda: LanderActor(self.parts, self.line, self.tracking, orchestrator, work),
                name="lander",
            )
            yield

    def shared(self, seats: int) -> Shared:
        """What orchestrator and supervisor have in common, with so many seats of one backend."""
        return Shared(
            pool=AgentPool(),
            leases=Leases(120.0),
            admission=Admission({"agent": seats}, self.clock),
            line=self.line,
            work=Work(self.store.beads, self.parts.board),
        )

    async def look(self) -> None:
        """Ask the lander to look again."""
        assert self.lander is not None
        await self.lander.tell(LookForReviewed())

    async def sync(self) -> dict[str, Any]:
        """What `oya sync` would say."""
        assert self.lander is not None
        found: dict[str, Any] = await self.lander.ask(Sync, timeout=PATIENCE)
        return found

    async def idle(self) -> None:
        """Wait until the lander has nothing to do: it says Wake after a bead and after a round."""
        for _ in range(2):
            self.told.clear()
            await self.look()
            await self.wait(lambda: Wake() in self.told)

    async def until(self, bead: str, where: str) -> BeadState:
        """Wait until a bead is there (`landed/complete`)."""
        return await self.wait(lambda: self.state(bead).where == where and self.state(bead))

    async def wait(self, what: Callable[[], Any]) -> Any:
        """Wait for something true, and return it."""
        async with asyncio.timeout(PATIENCE):
            while not (found := what()):
                await asyncio.sleep(0.01)
        return found

    async def hears(self, kind: type[Any]) -> Any:
        """Wait until the newest word to the orchestrator, Wake apart, is one of that kind."""
        return await self.wait(lambda: (m := self.words[-1:]) and isinstance(m[0], kind) and m[0])

    @property
    def words(self) -> list[Any]:
        """What the orchestrator was told, Wake apart."""
        return [message for message in self.told if not isinstance(message, Wake)]

    def before_ci(self, hook: Hook, *, times: int = 1) -> None:
        """Let something happen while the gates run."""
        gates, ci, left = self.parts.gates, self.parts.gates.ci, times

        async def hooked(commit: str, **how: Any) -> Any:
            nonlocal left
            if left:
                left -= 1
                if (waiting := hook()) is not None:
                    await waiting
            return await ci(commit, **how)

        gates.ci = hooked  # type: ignore[method-assign]
