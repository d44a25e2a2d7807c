"""One simulated run: life after life of a real swarm, until it is done or something is wrong."""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import structlog

from oya import crashpoints
from oya.agents.prompts import Prompts
from oya.daemon.choose import choose, record
from oya.daemon.request import Request
from oya.errors import OyaError
from oya.gates.gates import Gates
from oya.lifecycle.swarm import SwarmState, SwarmStatus
from oya.repository.places import Place
from oya.store.store import Store
from oya.swarm.assembly import JudgedTrees, Parts, gates_config
from oya.swarm.board import Board
from oya.swarm.book import StoreBook
from oya.swarm.config import Settings
from oya.swarm.meter import Meter
from oya.swarm.universe import Universe
from oya.testing.beside import SimulatedBeside
from oya.testing.loop import Deadlock, VirtualLoop
from oya.testing.simulation.agents import AgentWorld, SimulatedBackend
from oya.testing.simulation.checkout import moves
from oya.testing.simulation.gates import SimulatedRunner
from oya.testing.simulation.git import SimulatedGit
from oya.testing.simulation.life import Crash, Endless, Late, Life, MachineClock
from oya.testing.simulation.nature import Nature
from oya.testing.simulation.plan import Fault, Plan
from oya.testing.simulation.processes import SimulatedProcesses
from oya.testing.simulation.tracker import SimulatedTracker
from oya.testing.simulation.workspaces import SimulatedAnswers, SimulatedWorkspaces
from oya.testing.simulation.world import MOST_COMMITS, MachineEngine, World

MOST_LIVES = 60
ENDS_WITHIN = 1800.0
"""Virtual seconds after the last fault in which a swarm comes to its end, or it is stuck.

Most take a hundred. The product's longest pause (a base that is red by a flaky test, a provider
that refuses) is 900, and until flaky tests hold still another may begin.
"""
LOOKED = 1.0
"""Virtual seconds between the last look at the branch and the move of the line, at most."""
AFTER_ERROR = 15.0
BETWEEN = 2.0
"""Virtual seconds between the end of a life and the next, unless a fault says otherwise."""


class QuietMeter(Meter):
    """Says nothing of the real machine: a log must be the same on each."""

    def totals(self, store_seconds: float) -> dict[str, Any]:
        return {}


@dataclass(frozen=True)
class Ran:
    """What came of a plan. `events` is the log as JSON lines; `world` as it was left."""

    plan: Plan
    world: World
    events: bytes
    stuck: str

    @property
    def digest(self) -> str:
        """Names the log: equal for equal logs."""
        return hashlib.sha256(self.events).hexdigest()


def run(plan: Plan) -> Ran:
    """Run a plan to its end; never raises for what the swarm does."""
    _be_quiet()
    world = World(plan)
    left = list(plan.faults)
    stuck = ""
    while not stuck:
        if world.lives >= MOST_LIVES:
            stuck = f"not done after {MOST_LIVES} lives"
            break
        ended, stuck = _live(world, left)
        if ended is not None and _is_done(world, ended):
            break
    rows = world.disk.volatile["events"]
    log = "".join(f"{rows[key]}\n" for key in sorted(rows))
    return Ran(plan, world, log.encode(), stuck)


def _is_done(world: World, swarm: SwarmState) -> bool:
    if swarm.status is not SwarmStatus.COMPLETED:
        return False
    last = world.rows("events", 8)  # a person may have spoken while it came to its end
    return swarm.reached or (world.calm and all(row["agent"] != "person" for row in last))


def _live(world: World, left: list[Fault]) -> tuple[SwarmState | None, str]:
    """One life of the daemon; the swarm as it ended (None: it did not), and why it is stuck."""
    world.lives += 1
    chance = random.Random(f"life {world.plan.seed} {world.lives}")  # noqa: S311
    loop = VirtualLoop(chance.randrange(2**32))
    loop.call_later(world.plan.calm_from + ENDS_WITHIN - world.elapsed, _late)
    life = Life(chance, world.passing)
    jumps = random.Random(chance.randrange(2**32))  # noqa: S311
    clock = MachineClock(world.wall, jumps, loop.time)
    world.time = loop.time
    world.crash_in = lambda steps: loop.interrupt(steps, Crash())
    crashpoints.action = lambda name: life.step(f"point {name}")
    down, ended, stuck = BETWEEN, None, ""
    try:
        ended = loop.run_until_complete(_daemon(world, life, clock, left))
        if ended is None:
            down = AFTER_ERROR
        elif ended.status is SwarmStatus.COMPLETED:
            soon = left[0].at if left else world.plan.calm_from
            down = max(BETWEEN, soon - world.elapsed - loop.time())
    except Endless:
        stuck = f"still at work after {MOST_COMMITS} commits"
    except Late:
        stuck = f"not done {ENDS_WITHIN:.0f} s after the last fault, in life {world.lives}"
    except Crash:
        world.fates.append(f"died at {world.elapsed + loop.time():.3f}")
        down = world.chance.uniform(0.1, 10.0)
    except Deadlock as error:
        stuck = str(error)
    finally:  # also where it raises, which is a defect of the product
        life.over = True
        world.end_life()
        world.elapsed += loop.time() + down
        _drop(loop)
    return ended, stuck


def _late() -> None:
    raise Late


def _drop(loop: VirtualLoop) -> None:
    """Let the tasks of a dead daemon go; whatever they still do has no effect."""
    loop.set_exception_handler(lambda _, __: None)
    for task in loop.live_tasks():
        task._log_destroy_pending = False  # type: ignore[attr-defined]
        coro: Any = task.get_coro()
        for _ in range(3):
            try:
                coro.close()
            except BaseException:  # noqa: S112 (a `finally` that awaits: once more)
                continue
            break
    loop.close()


async def _daemon(
    world: World, life: Life, clock: MachineClock, left: list[Fault]
) -> SwarmState | None:
    """What `oya.daemon.process` does, without a process: the swarm as it ended, if it did."""
    agents = AgentWorld(
        world.plan,
        world.folders,
        life,
        lambda: world.calm,
        world.refusing,
        clock.monotonic,
    )
    nature = Nature(world, life, clock, left, agents)
    outside = asyncio.ensure_future(nature.run())
    try:
        return await _swarm(world, life, clock, nature, agents)
    except OyaError as error:
        world.fates.append(f"life {world.lives} ended: {error}")
        return None
    except RuntimeError as defect:  # a planted one, before there was a tree to hold it
        if life.over:
            raise
        world.fates.append(f"life {world.lives} ended: {defect!r}")
        return None
    finally:
        outside.cancel()
        with suppress(asyncio.CancelledError):
            await outside
        world.breaches += [f"still at work after the end: {n}" for n in sorted(agents.sessions)]
        world.breaches += [f"still running after the end: {n}" for n in sorted(world.running)]


async def _swarm(
    world: World, life: Life, clock: MachineClock, nature: Nature, agents: AgentWorld
) -> SwarmState:
    settings = settings_of(world)
    beside = SimulatedBeside(world.disk, lambda: not life.over)
    store = await Store.open(
        beside, clock=clock, engine=lambda _: MachineEngine(world.disk, life, world), wait=5.0
    )
    store._writer.listeners.append(lambda _, writes: world.hear(writes))
    try:
        request = Request("/simulated")
        known = tuple(store.swarms.all().values())
        choice = choose(known, request, settings, "main", clock.now())
        await record(store, choice, settings)
        await nature.before(store, settings.limits)
        parts = parts_of(world, life, clock, store, settings, choice.swarm.id, agents)
        nature.universe = Universe(parts)
        return await nature.universe.run()
    finally:
        await store.close()


def parts_of(
    world: World,
    life: Life,
    clock: MachineClock,
    store: Store,
    settings: Settings,
    swarm: str,
    agents: AgentWorld,
) -> Parts:
    """The real parts on simulated ports."""
    objects = world.git.objects
    repo = SimulatedGit(
        world.git,
        life,
        clock.now,
        moving=lambda name, old, new: _watch(world, name, old, new),
        failing=lambda: world.now() < world.weather.git,
    )
    meter = QuietMeter()
    runner = SimulatedRunner(
        life,
        objects.files,
        slots=world.plan.slots,
        ci=world.plan.ci,
        takes=dict(world.plan.takes),
        luck=world.luck,
        trouble=world.gate_trouble,
        running=world.running,
    )
    gates = Gates(
        gates_config(settings),
        runner=runner,
        trees=JudgedTrees(repo),
        book=StoreBook(store, meter, swarm),
    )
    return Parts(
        settings=settings,
        place=_PLACE,
        clock=clock,
        store=store,
        swarm=swarm,
        repo=repo,
        follow=repo.follow,
        tracker=SimulatedTracker(
            world.git,
            life,
            failing=lambda: world.now() < world.weather.tracker,
            takes=world.tracker_takes,
        ),
        workspaces=SimulatedWorkspaces(world.folders, repo, objects, life),
        answers=SimulatedAnswers(world.folders, life),
        gates=gates,
        backends={name: SimulatedBackend(name, agents) for name in ("alpha", "beta")},
        prompts=_prompts(),
        processes=SimulatedProcesses(life),
        limits=settings.limits,
        board=Board(),
        branch="main",
        meter=meter,
        clean_slots=_nothing,
    )


async def _nothing() -> None:
    """No slot of this machine is a folder."""


def _watch(world: World, name: str, old: str | None, new: str | None) -> None:
    """What must be so at the very moment at which a ref moves."""
    world.breaches += moves(world, name, old, new)
    if name.startswith("refs/oya/line/") and new is not None and old is not None:
        branch = world.upstream
        intended = [row["candidate"] for row in map(json.loads, _intents(world))]
        if new not in intended and new != branch:
            world.breaches.append(f"the line moved to {new[:9]} without a durable intent")
        if new != branch and _leaves_out(world, branch, old, new):
            world.breaches.append(f"the line moved to {new[:9]} past {branch[:9]} of others")


def _leaves_out(world: World, branch: str, old: str, new: str) -> bool:
    """Whether what somebody committed well before, on top of the line, is not in it now."""
    objects, since = world.git.objects, world.others.get(branch)
    if since is None or world.now() - since < LOOKED or not objects.is_ancestor(old, branch):
        return False
    slept = any(fault.kind == "asleep" for fault in world.plan.faults)
    return not slept and not objects.is_ancestor(branch, new)


def _intents(world: World) -> list[str]:
    rows = world.disk.durable["intents"]
    return [rows[key] for key in sorted(rows)]


_PLACE = Place(
    root=Path("/simulated"),
    common_dir=Path("/simulated/.git"),
    repo_id="simulated",
    state=Path("/simulated/.git/oya"),
    cache=Path("/simulated/cache"),
    socket=Path("/simulated/socket"),
)


def settings_of(world: World) -> Settings:
    """The configuration of a plan."""
    plan = world.plan
    return _settings_of(
        *(world.target, plan.planner, plan.review, plan.deploy),
        *(plan.batch, plan.prove, plan.variants, "origin" if plan.remote else ""),
    )


@cache
def _settings_of(
    target: int,
    planner: bool,
    review: bool,
    deploy: bool,
    batch: int,
    prove: str,
    variants: int,
    remote: str,
) -> Settings:
    return Settings.model_validate(
        {
            "defaults": {"target_beads": target, "planner": planner, "backend": "alpha"},
            "roles": {"implementer": {"backend": "beta"}, "planner": {"backend": "beta"}},
            "backends": {
                name: {"kind": "command", "command": ("true",), "max_sessions": 20}
                for name in ("alpha", "beta")
            },
            "quality_gates": {
                "ci": ("ci",),
                "red_queen": review,
                "tests": {"command": "suite {tests} {report}"},
            },
            "contract": {"repeat": 2},
            "landing": {"batch": batch, "prove": prove, "remote": remote},
            "review": {"variants": variants},
            "planner": {"timeout": "30s"},
            "execution": {
                "attempt_timeout": "90s",
                "stall_timeout": "20s",
                "grace": "5s",
                "lease": "10s",
            },
            "continuous_deployment": {"enabled": deploy},
            "sandbox": {"kind": "none"},
        }
    )


@cache
def _prompts() -> Prompts:
    return Prompts.load({}, Path("/simulated"))


@cache
def _be_quiet() -> None:
    """What the product logs is not looked at here, and takes more time than all the rest."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(50), cache_logger_on_first_use=True
    )
