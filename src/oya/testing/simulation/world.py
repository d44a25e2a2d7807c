"""The simulated machine: what outlives a daemon, and what is wrong with it right now."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from oya.beads import PATH
from oya.errors import StoreUnavailable
from oya.lifecycle.failures import FailureClass
from oya.store.engine import Put, Row, Write
from oya.testing.engine import Disk, Outcome, SimulatedEngine
from oya.testing.simulation.git import GitDisk
from oya.testing.simulation.life import Crash, Endless, Life
from oya.testing.simulation.objects import File, lay
from oya.testing.simulation.plan import BeadPlan, Plan
from oya.testing.simulation.remote import Remote
from oya.testing.simulation.workspaces import Folder, FolderDisk

BEGAN = datetime(2026, 1, 1, 20, tzinfo=UTC)
SLOWEST_COMMIT = 0.05
READ = 10.0
"""Virtual seconds after which a change of the backlog has been read and dealt with, with nothing
in the way: the swarm looks every two."""
MOST_COMMITS = 6000
"""Commits of one run, some ten times what it needs, after which it will never end."""

FLAKY_FOR = 300.0
"""Virtual seconds after the last fault in which flaky tests still flicker."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A provider refuses until a moment in virtual time; `told`: it says which."""

    failure: FailureClass
    until: float
    told: bool


@dataclass
class Weather:
    """What goes wrong now: each until a moment in virtual time, 0 for not at all."""

    store: float = 0.0
    tracker: float = 0.0
    slow: float = 0.0
    git: float = 0.0
    flips: float = 0.0
    killed: float = 0.0
    providers: dict[str, Refusal] = field(default_factory=dict)
    defects: int = 0


class World:
    """Everything beside the daemon, over all its lives."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.chance = random.Random(f"world {plan.seed}")  # noqa: S311
        self.disk = Disk()
        self.git = GitDisk()
        self.folders = FolderDisk()
        self.weather = Weather()
        self.lives = 0
        self.elapsed = 0.0
        self.ended = 0.0
        self.jumped = 0.0
        self.unplugged = False
        self.calm = False
        self.target = plan.target
        self.due: list[tuple[str, int]] = []
        self.stakes: dict[tuple[str, int], Folder] = {}
        self.breaches: list[str] = []
        self.fates: list[str] = []
        self.acknowledged: dict[str, str] = {}
        self.running: set[str] = set()
        self.added = 0
        self.others: dict[str, float] = {}
        self.left: dict[str, bytes] = {}
        self.left_on: dict[str, bytes] = {}
        self.needs: list[tuple[float, str, str]] = []
        self.deaf: list[tuple[float, float]] = []
        self.crash_in: Callable[[int], None] = lambda steps: None
        self.time: Callable[[], float] = lambda: 0.0
        _settle(self)

    def now(self) -> float:
        """Virtual seconds since the beginning, over all lives."""
        return self.elapsed + self.time()

    @property
    def wall(self) -> datetime:
        """Wall time at the beginning of this life."""
        return BEGAN + timedelta(seconds=self.elapsed + self.jumped)

    @property
    def moment(self) -> datetime:
        """Wall time now."""
        return BEGAN + timedelta(seconds=self.now() + self.jumped)

    # What ports ask

    def passing(self, step: str) -> None:
        """Called by a `Life` before each step: here a crash may have been placed."""
        for place, (name, left) in enumerate(self.due):
            if name == step:
                if left <= 1:
                    del self.due[place]
                    self.fates.append(f"crashed before {step}")
                    self.crash_in(0)  # whatever the code makes of the error: nothing runs after it
                    raise Crash
                self.due[place] = name, left - 1
        if self.weather.defects and step.startswith(("git", "gate", "commit", "workspace")):
            self.weather.defects -= 1
            raise RuntimeError(f"a planted defect, met before {step}")

    def gate_trouble(self) -> str:
        """What becomes of the run of a gate that ends now."""
        if self.now() < self.weather.flips and self.chance.random() < 0.3:
            return "flip"
        return "killed" if self.now() < self.weather.killed and self.chance.random() < 0.3 else ""

    def seen(self, at: float) -> float:
        """When a swarm that is at work has read for sure what was in the backlog at that moment."""
        for began, ended in sorted(self.deaf):
            if began <= at + READ:
                at = max(at, ended)
        return at + READ

    def luck(self) -> float:
        """The chance of a flaky test; long after the last fault it fails no more."""
        calm_for = self.now() - self.plan.calm_from
        return self.chance.random() if calm_for < FLAKY_FOR else 0.0

    def refusing(self, backend: str) -> tuple[FailureClass, float | None] | None:
        """With which class a provider refuses now, if it does, and for how long, if it says so."""
        refusal = self.weather.providers.get(backend)
        if refusal is None or self.now() >= refusal.until:
            return None
        return refusal.failure, refusal.until - self.now() if refusal.told else None

    def hear(self, writes: Sequence[Write]) -> None:
        """A store says that these writes are durable: what it said of events must stay true."""
        for write in writes:
            if write.table != "events":
                continue
            if isinstance(write, Put):
                self.acknowledged[write.key] = write.text or json.dumps(write.row)
            else:
                self.acknowledged.pop(write.key, None)

    def tracker_takes(self) -> float:
        """How long the tracker's disk keeps whoever reads or writes now, in seconds."""
        return self.chance.uniform(1.0, 6.0) if self.now() < self.weather.slow else 0.0

    # What outlives a daemon

    def end_life(self) -> None:
        """A daemon is dead, by whatever it died of."""
        self.ended = self.now()
        self.note_stakes()
        self.running.clear()
        if self.unplugged:
            self.unplugged = False
            self.fates.append("the power was gone")
            self.disk.lose_power()

    def note_stakes(self) -> None:
        """A daemon died: what lies in its workspaces must not be lost."""
        for key, record in self.folders.records.items():
            work = next((p for p in self.folders.folders if p.name == key), None)
            if record.ready and work is not None:
                self.stakes[record.bead, record.epoch] = self.folders.work_in(work)

    @property
    def git_was_out(self) -> bool:
        """Whether git refused to the very end of the last life: the next one would clear up."""
        return self.ended < self.weather.git

    def rows(self, table: str, last: int = 0) -> list[Row]:
        """The rows of a table as they are on the disk, by key; only the `last` ones, if given."""
        rows = self.disk.volatile[table]
        return [json.loads(rows[key]) for key in sorted(rows)[-last:]]

    def row(self, table: str, key: str) -> Row | None:
        """One row as it is on the disk."""
        text = self.disk.volatile[table].get(key)
        return None if text is None else json.loads(text)

    def leave(self, path: str, data: bytes) -> None:
        """The user writes a file of their worktree, and leaves it there uncommitted."""
        tracked = self.git.tracked().get(path)
        self.git.working[path] = self.left[path] = data
        self.left_on[path] = tracked.data if tracked else b""
        if tracked is not None and tracked.data == data:
            del self.left[path]

    @property
    def upstream(self) -> str:
        """The tip of the branch that everybody means: the remote's where there is one."""
        remote = self.git.remotes.get("origin")
        return (remote.refs if remote else self.git.refs)["refs/heads/main"]

    def commit_as_other(self, changes: dict[str, bytes | None], message: str) -> None:
        """Somebody commits there: with a remote in their own clone, which they push."""
        if self.git.remotes:
            self.push_as_other(changes)
        else:
            self.commit_as_user(changes, message)

    def commit_as_user(self, changes: dict[str, bytes | None], message: str) -> None:
        """The user commits on the branch, in their own worktree."""
        files = {path: None if data is None else File(data) for path, data in changes.items()}
        self.git.commit(files, message, f"{self.moment:%s}")
        for path in changes:
            self.left.pop(path, None)
        self.others[self.git.refs["refs/heads/main"]] = self.now()

    def add_remote(self, name: str = "origin") -> Remote:
        """Give the repository a remote, which has its branches as they are now."""
        heads = {ref: at for ref, at in self.git.refs.items() if ref.startswith("refs/heads/")}
        self.git.remotes[name] = Remote(heads)
        return self.git.remotes[name]

    def push_as_other(self, changes: dict[str, bytes | None], name: str = "origin") -> str:
        """Somebody else changes these files (None: removes) on the main of a remote."""
        remote, objects = self.git.remotes[name], self.git.objects
        files = dict(objects.files(remote.refs["refs/heads/main"]))
        for path, data in changes.items():
            files.pop(path, None)
            if data is not None:
                lay(files, path, File(data))
        commit = remote.push_as_other(objects, files, "main", f"{self.moment:%s}")
        self.others[commit] = self.now()
        return commit


class MachineEngine(SimulatedEngine):
    """The simulated engine with the machine's time, outages and crashes."""

    def __init__(self, disk: Disk, life: Life, world: World) -> None:
        super().__init__(disk, lambda: not life.over)
        self._life = life
        self._world = world

    async def commit(self, writes: Sequence[Write]) -> None:
        await self._life.turn("commit", self._life.moment(SLOWEST_COMMIT))
        if self._disk.commits > MOST_COMMITS:
            raise Endless
        if self._world.now() < self._world.weather.store:
            self._disk.outcomes.appendleft(Outcome.FAILED)
        await super().commit(writes)
        await self._life.turn("commit done")

    async def _reach(self) -> None:
        await self._life.turn("commit written")

    async def _turn(self) -> None:
        await self._life.glance()
        self._require()

    async def scan(self, table: str, **how: Any) -> AsyncIterator[tuple[str, Row]]:
        self._refuse()
        async for found in super().scan(table, **how):
            yield found

    async def get(self, table: str, key: str) -> Row | None:
        self._refuse()
        return await super().get(table, key)

    def _refuse(self) -> None:
        if self._world.now() < self._world.weather.store:
            raise StoreUnavailable("the simulated disk is out of reach")


def _settle(world: World) -> None:
    """The repository as it is before the first life."""
    lines = "".join(f"{json.dumps(issue(bead))}\n" for bead in world.plan.beads)
    files = {
        "tests/base.t": File(b"work src/base.x base\n"),
        "src/base.x": File(b"base\n"),
        "src/done.x": File(b"done\n"),
        "src/list.x": File(b"list\n"),
    }
    if world.plan.tracked:
        files[PATH] = File(lines.encode())
    objects = world.git.objects
    first = objects.add_commit(objects.add_tree(files), (), "first", "Ada", "0")
    world.git.refs["refs/heads/main"] = first
    world.git.working = {path: file.data for path, file in files.items()}
    world.leave(PATH, lines.encode())
    if world.plan.remote:
        world.add_remote()


def issue(bead: BeadPlan, **fields: Any) -> dict[str, Any]:
    """A record of the tracker's file."""
    number = int(bead.id.rpartition("-")[2])
    return {
        "id": bead.id,
        "title": f"The work of {bead.id}",
        "description": f"Do what {bead.id} says.",
        "acceptance_criteria": "it is done",
        "status": "open",
        "priority": bead.priority,
        "issue_type": "task",
        "created_at": f"2025-12-01T{number // 60 % 24:02}:{number % 60:02}:00Z",
        "dependencies": [{"depends_on_id": need, "type": "blocks"} for need in bead.needs],
        **fields,
    }
