"""What happens to a swarm from outside: faults at their moments, and persons with their words."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, cast

from oya.actors import ActorRef
from oya.actors.cell import Notice
from oya.actors.mailbox import Mailbox
from oya.actors.reply import Question
from oya.beads import PATH
from oya.clock import stamp
from oya.errors import OyaError
from oya.lifecycle import events as e
from oya.lifecycle.failures import FailureClass
from oya.lifecycle.model import APPROVABLE, Limits, Status
from oya.store.store import Store
from oya.swarm.messages import ClaimBead, GetNextBead, Heartbeat, Wake
from oya.swarm.tracking import LONGEST
from oya.swarm.universe import Universe
from oya.testing.engine import Outcome
from oya.testing.simulation.agents import AgentWorld
from oya.testing.simulation.life import Life, MachineClock
from oya.testing.simulation.plan import BeadPlan, Fault
from oya.testing.simulation.world import BEGAN, Refusal, Weather, World, issue

PATROL = 5.0
"""Virtual seconds between two looks of a person at what waits for them."""

SAID: dict[str, Callable[[], e.Event]] = {
    "hold": lambda: e.HeldByPerson("leave it"),
    "release": lambda: e.Released("go on"),
    "approve": lambda: e.Approved("fine"),
    "reject": lambda: e.Rejected("not like this"),
    "retry": lambda: e.Retried("once more"),
}


class Poison:
    """A message that crashes whoever looks at it, once: a defect of ours, met in a handler.

    Whoever gets it again finds the message that it stands for.
    """

    def __init__(self, real: Any = None) -> None:
        self._spent = False
        self._real = real

    @property  # type: ignore[misc]
    def __class__(self) -> type:
        if self._spent:
            return type(self._real)
        self._spent = True
        raise RuntimeError("a planted defect, met in a handler")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


REPEATED = frozenset({Wake, Heartbeat, ClaimBead, GetNextBead})
"""Messages whose loss is made good by the next of their kind."""
NEVER_POISONED = REPEATED | {Question, Notice, Poison}


class Trap:
    """Stands before the mailbox of an actor until it has poisoned a message that matters."""

    def __init__(self, actor: ActorRef[Any]) -> None:
        self._cell = actor._cell
        self._real = self._cell.mailbox
        self._cell.mailbox = cast(Mailbox, self)

    def offer(self, item: Any, control: bool) -> bool:
        """See `Mailbox.offer`."""
        if type(item) in NEVER_POISONED:
            return self._real.offer(item, control)
        self._cell.mailbox = self._real
        return self._real.offer(Poison(item), control)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class Nature:
    """Lets the faults of a plan happen in one life of the daemon, each once over all lives."""

    def __init__(
        self, world: World, life: Life, clock: MachineClock, left: list[Fault], agents: AgentWorld
    ) -> None:
        self._world = world
        self._life = life
        self._clock = clock
        self._left = left
        self._agents = agents
        self._patrolled = 0.0
        self.universe: Universe | None = None

    async def run(self) -> None:
        """Until cancelled. Faults whose time came between two lives happen at once."""
        while True:
            now = self._world.now()
            while self._left and self._left[0].at <= now:
                await self._happens(self._left.pop(0))
            if not self._world.calm and not self._left and now >= self._world.plan.calm_from:
                self._calm_down()
            if now - self._patrolled >= PATROL:
                self._patrolled = now
                await self._patrol()
            soon = self._left[0].at - now if self._left else PATROL
            await asyncio.sleep(min(max(soon, 0.001), PATROL))

    async def _happens(self, fault: Fault) -> None:
        self._world.fates.append(f"{fault.number} {fault.kind} at {self._world.now():.3f}")
        found = _HAPPENS[fault.kind](self, fault.about)
        if found is not None:
            await found

    def _follows(self, seconds: float, kind: str, **about: Any) -> None:
        """What a fault brings with it later, in this life or another."""
        fault = Fault(-1, self._world.now() + seconds, kind, about)
        self._left.append(fault)
        self._left.sort(key=lambda one: one.at)

    # Death and decay

    def _crash(self, about: dict[str, Any]) -> None:
        self._world.crash_in(about["steps"])

    def _crash_at(self, about: dict[str, Any]) -> None:
        self._world.due.append((about["step"], about["nth"]))

    def _crash_again(self, about: dict[str, Any]) -> None:
        if about["times"] > 1:
            self._follows(0.0, "crash again", **(about | {"times": about["times"] - 1}))
        self._world.crash_in(about["steps"])

    def _power(self, about: dict[str, Any]) -> None:
        """The machine goes dark, often with a commit or its acknowledgement under way."""
        self._world.unplugged = True
        if about["step"]:
            self._crash_at(about)
        else:
            self._crash(about)

    def _commits(self, about: dict[str, Any]) -> None:
        self._world.disk.outcomes.extend(Outcome(name) for name in about["outcomes"])

    def _weather(self, about: dict[str, Any], *, what: str) -> None:
        setattr(self._world.weather, what, self._world.now() + about["seconds"])
        if what in ("store", "tracker", "git"):
            self._is_deaf(about["seconds"])
        elif what == "slow":
            self._is_deaf(about["seconds"] + LONGEST)

    def _is_deaf(self, seconds: float) -> None:
        """The daemon hears nothing of the backlog, or can say nothing of it."""
        now = self._world.now()
        self._world.deaf.append((now, now + seconds))

    def _provider(self, about: dict[str, Any]) -> None:
        until = self._world.now() + about["seconds"]
        refuses = FailureClass(about["class"])
        told = about["told"] and refuses is FailureClass.PROVIDER_LIMIT
        self._world.weather.providers[about["backend"]] = Refusal(refuses, until, told)
        if refuses is FailureClass.AUTH:
            self._follows(about["seconds"] + 1.0, "continue")

    def _defect(self, about: dict[str, Any]) -> None:
        actor = self.universe.actor(about["where"]) if self.universe is not None else None
        if about["where"] == "a port" or actor is None:
            self._world.weather.defects += 1
        elif about.get("in_hand"):
            Trap(actor)
        else:
            with suppress(OyaError):
                actor.try_tell(Poison(), control=True)
        if about.get("again", 0) > 0:
            self._follows(0.3, "defect", **(about | {"again": about["again"] - 1}))

    def _agent_dies(self, about: dict[str, Any]) -> None:
        if self._agents.sessions:
            name = self._world.chance.choice(sorted(self._agents.sessions))
            self._agents.sessions[name].die()

    def _clock_jumps(self, about: dict[str, Any]) -> None:
        self._clock.jumped += about["jump"]
        self._world.jumped += about["jump"]

    def _asleep(self, about: dict[str, Any]) -> None:
        """The daemon is stopped (SIGSTOP, suspend): time goes on without it."""
        self._is_deaf(about["seconds"])
        loop: Any = asyncio.get_running_loop()
        loop.skip(about["seconds"])

    # Other people's work

    def _foreign(self, about: dict[str, Any]) -> None:
        path = about["path"]
        there = self._world.git.objects.files(self._world.upstream).get(path)
        data = (there.data if there else b"") + f"foreign-{self._world.now():.0f}\n".encode()
        self._world.commit_as_other({path: data}, "by somebody else")

    def _red_base(self, about: dict[str, Any]) -> None:
        self._world.commit_as_other({"src/broken.x": b"red\n"}, "oops")
        self._follows(about["seconds"], "mend")

    def _mend(self, about: dict[str, Any]) -> None:
        if "src/broken.x" in self._world.git.objects.files(self._world.upstream):
            self._world.commit_as_other({"src/broken.x": None}, "mended")

    def _edit(self, about: dict[str, Any]) -> None:
        data = self._world.git.working[PATH].decode()
        records = [json.loads(line) for line in data.splitlines()]
        how = about["how"]
        if how == "close and reopen":
            how = "close"
            self._follows(3.0, "edit", **(about | {"how": "reopen"}))
        edited = _edited(self._world, records, self._chosen(about), how)
        text = "".join(f"{json.dumps(record)}\n" for record in edited).encode()
        # What the user commits beside a remote is theirs to push, and nobody's backlog till then.
        if self._world.plan.tracked and about["commit"] and not self._world.plan.remote:
            self._world.commit_as_user({PATH: text}, "edit the backlog")
        else:
            self._world.leave(PATH, text)

    def _dirty(self, about: dict[str, Any]) -> None:
        there = self._world.git.working["src/base.x"]
        self._world.leave("src/base.x", there + b"edited\n")
        self._follows(about["seconds"], "clean")

    def _clean(self, about: dict[str, Any]) -> None:
        git = self._world.git
        files = git.objects.files(git.refs["refs/heads/main"])
        self._world.leave("src/base.x", files["src/base.x"].data)

    def _rewrite(self, about: dict[str, Any]) -> None:
        """The user amends the tip of the branch; on a remote somebody pushes that by force."""
        git = self._world.git
        tip = git.objects.commits[self._world.upstream]
        if not tip.parents:
            return
        amended = git.objects.add_commit(tip.tree, tip.parents, "amended", "Ada", "1")
        remote = git.remotes.get("origin")
        (remote.refs if remote else git.refs)["refs/heads/main"] = amended
        self._follows(about["seconds"], "sync")

    # The remote

    def _troubled(self, about: dict[str, Any], **trouble: Any) -> None:
        """Until it is over, or another trouble of the same kind is."""
        for remote in self._world.git.remotes.values():
            for name, value in trouble.items():
                setattr(remote, name, value)
        self._follows(about["seconds"], "over", names=list(trouble))

    def _over(self, about: dict[str, Any]) -> None:
        for remote in self._world.git.remotes.values():
            for name in about["names"]:
                setattr(remote, name, 0.0 if name == "slow" else "")
            remote.arrive()

    async def _sync(self, about: dict[str, Any]) -> None:
        await self._asks(lambda universe: universe.sync())

    # Persons

    async def _person(self, about: dict[str, Any]) -> None:
        bead = self._chosen(about)
        await self._says(bead, about["verb"])
        if about["back"] and about["verb"] == "hold":
            again = {"bead": bead, "verb": "release", "back": False}
            self._follows(about["later"], "person", **again)

    def _chosen(self, about: dict[str, Any]) -> str:
        """The bead that a fault names, or (`live`) one that somebody works on just now."""
        bead: str = about["bead"]
        if not about.get("live") or self.universe is None:
            return bead
        states = self.universe.parts.store.beads.all().values()
        at_work = [s.id for s in states if s.status is Status.IN_PROGRESS]
        return self._world.chance.choice(at_work) if at_work else bead

    async def _says(self, bead: str, verb: str) -> None:
        await self._asks(lambda universe: universe.person(bead, SAID[verb]()))

    async def _pause(self, about: dict[str, Any]) -> None:
        await self._asks(lambda universe: universe.pause())
        self._follows(about["seconds"], "continue")

    async def _continue(self, about: dict[str, Any]) -> None:
        await self._asks(lambda universe: universe.resume())

    async def _stop(self, about: dict[str, Any]) -> None:
        await self._asks(lambda universe: universe.stop(now=about["now"]))

    async def _target(self, about: dict[str, Any]) -> None:
        await self._asks(lambda universe: universe.set({"target": str(about["target"])}))

    async def _asks(self, what: Callable[[Universe], Any]) -> None:
        """A person types a command; what is refused, or comes too late, is only that."""
        universe = self.universe
        if universe is not None and universe.running:
            with suppress(OyaError):
                await what(universe)

    async def _patrol(self) -> None:
        """Somebody looks now and then: approves, and at the end puts all right."""
        universe = self.universe
        if universe is None:
            return
        beads = universe.parts.store.beads.all()
        for bead in [s.id for s in beads.values() if s.hold in APPROVABLE]:
            good = self._world.calm or self._world.chance.random() < 0.8
            await self._says(bead, "approve" if good else "reject")
        if self._world.calm and universe.line.rewritten:
            await self._sync({})
        if self._world.calm and universe.paused_by_person:
            await self._continue({})

    async def before(self, store: Store, limits: Limits) -> None:
        """What a person does while no swarm runs: approve what waits for that."""
        for state in tuple(store.beads.all().values()):
            if state.hold in APPROVABLE:
                await store.beads.apply(
                    state.id, e.Approved("fine"), swarm=None, limits=limits, agent="person"
                )

    def _calm_down(self) -> None:
        """From here on nothing goes wrong any more."""
        world = self._world
        world.calm = True
        world.due.clear()
        world.unplugged = False
        world.disk.outcomes.clear()
        world.weather = Weather()
        self._over({"names": ["refuses", "unreachable", "slow", "loses"]})
        self._mend({})
        self._clean({})


def _edited(
    world: World, records: list[dict[str, Any]], bead: str, how: str
) -> list[dict[str, Any]]:
    """The backlog after somebody has changed one bead of it."""
    place = next((n for n, record in enumerate(records) if record["id"] == bead), None)
    if how == "add" or place is None:
        world.added += 1
        return [*records, issue(BeadPlan(f"x-{world.added:02}", "plain"))]
    record = records[place] | {"updated_at": _later(world)}
    match how:
        case "text":
            record["description"] += f" And {world.now():.0f}."
        case "close":
            record |= {"status": "closed", "closed_at": "2026-01-01T00:00:00Z"}
        case "reopen":
            record |= {"status": "open"}
            record.pop("closed_at", None)
        case "defer":
            record["defer_until"] = "2026-01-01T20:01:30Z"
        case "block":
            others = [r["id"] for r in records if r["id"] < bead]
            needs = [{"depends_on_id": n, "type": "blocks"} for n in others[:1]]
            record["dependencies"] = record["dependencies"] + needs
            world.needs += [(world.now(), bead, need) for need in others[:1]]
        case "delete":
            return [r for r in records if r["id"] != bead]
    return [record if r["id"] == bead else r for r in records]


def _later(world: World) -> str:
    """When somebody changes it now: after all that happened, though the clock may have jumped
    back; the checker tells by this who changed a record last."""
    last = max((row["at"] for row in world.rows("events")), default=stamp(BEGAN))
    return stamp(max(world.moment, datetime.fromisoformat(last) + timedelta(seconds=1)))


def _of(what: str) -> Callable[[Nature, dict[str, Any]], Any]:
    return lambda nature, about: nature._weather(about, what=what)


_HAPPENS: dict[str, Callable[[Nature, dict[str, Any]], Any]] = {
    "crash": Nature._crash,
    "crash at": Nature._crash_at,
    "crash again": Nature._crash_again,
    "power": Nature._power,
    "commits": Nature._commits,
    "store out": _of("store"),
    "tracker out": _of("tracker"),
    "tracker slow": _of("slow"),
    "git out": _of("git"),
    "flips": _of("flips"),
    "killed gates": _of("killed"),
    "provider": Nature._provider,
    "foreign": Nature._foreign,
    "red base": Nature._red_base,
    "edit": Nature._edit,
    "dirty": Nature._dirty,
    "rewrite": Nature._rewrite,
    "agent dies": Nature._agent_dies,
    "defect": Nature._defect,
    "person": Nature._person,
    "pause": Nature._pause,
    "stop": Nature._stop,
    "target": Nature._target,
    "clock": Nature._clock_jumps,
    "asleep": Nature._asleep,
    "refuses": lambda n, about: n._troubled(about, refuses="main is protected"),
    "gone": lambda n, about: n._troubled(about, unreachable="no route"),
    "slow": lambda n, about: n._troubled(about, slow=about["seconds"] / 5),
    "unsure": lambda n, about: n._troubled(about, loses=about["loses"]),
    "over": Nature._over,
    "continue": Nature._continue,
    "mend": Nature._mend,
    "clean": Nature._clean,
    "sync": Nature._sync,
}
