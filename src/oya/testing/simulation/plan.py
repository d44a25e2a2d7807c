"""What happens in one simulated run, drawn from its seed: beads, settings, faults.

A plan is all there is to a run: the same plan gives the same event log, byte for byte. To
shrink a failing one, beads and faults are taken out of it, and nothing else changes.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from oya.crashpoints import POINTS

BEADS = 25
HORIZON = 90.0
"""Virtual seconds in which faults begin; later there are none."""
MOST_FAULTS = 10

KINDS = (
    ("plain",) * 6
    + ("preserve", "none")
    + ("shared",) * 3
    + ("guarded",)
    + ("clash",) * 3
    + ("check",) * 2
    + ("flaky", "done", "stubborn")
)
"""What is drawn. `sour`, red in `ci` alone until its agent is told, only where a plan has it."""

STEPS = (
    "commit", "commit written", "commit done", "git cas line", "git cas line done",
    "git note", "git note done",
    "git set candidates", "git set candidates done", "git delete candidates",
    "git set attempts", "git set attempts done", "git set base", "git set base done",
    "git delete base", "git follow", "git follow done", "git cas seen", "gate", "gate done",
    "command", "workspace record", "workspace fill", "workspace ready", "workspace snapshot",
    "workspace folder away", "workspace record away", "workspace harvest", "tracker close",
    "tracker close done", "agent", "agent done",
)  # fmt: skip
"""Where a crash can be placed: before the step of that name is taken."""

UNPROVEN = ("preserve", "none")
"""Kinds of beads whose work no test stands for."""
HELD = (*UNPROVEN, "guarded")
"""Kinds of beads that a person has to approve: for their contract, or for what they change."""

LANDING = (
    "git cas line", "git cas line done", "git set candidates done", "git note done", "git follow",
    *(f"point {name}" for name in POINTS if name.startswith(("landing.", "tracker.closed"))),
)  # fmt: skip
"""Steps of a landing: there the store, git and the tracker have to agree."""

STORING = (
    "commit", "commit written", "commit done", "point store.committed", "point store.acknowledged",
)  # fmt: skip
"""Steps of a commit of the store: there a power loss finds something that is only in caches."""

ANYWHERE = (
    *STEPS,
    *(
        f"point {name}"
        for name in POINTS
        if name.startswith(("store.commit", "store.ack", "attempt.", "gate.", "resume.", "line."))
    ),
)

WEIGHTS: dict[str, int] = {
    "crash": 14,
    "crash at": 12,
    "crash again": 4,
    "power": 5,
    "commits": 6,
    "store out": 4,
    "tracker out": 3,
    "tracker slow": 2,
    "git out": 2,
    "provider": 4,
    "flips": 3,
    "killed gates": 2,
    "foreign": 6,
    "red base": 2,
    "edit": 8,
    "dirty": 3,
    "rewrite": 1,
    "agent dies": 4,
    "defect": 8,
    "person": 14,
    "pause": 3,
    "stop": 4,
    "target": 2,
    "clock": 2,
    "asleep": 3,
}
"""How often each kind of fault is drawn, against the others."""

REMOTE = 0.25
"""How many of the plans have a remote, and up to `MOST_TROUBLES` more faults there."""
MOST_TROUBLES = 4
TROUBLES = ("foreign",) * 3 + ("refuses",) * 2 + ("gone",) * 3 + ("unsure",) * 4 + ("slow",)
LOSES = ("request", "answer", "late")

ACTORS = ("a port", "a port", "orchestrator", "orchestrator", "supervisor", "lander", "tracker")
EDITS = ("text",) * 4 + ("close", "delete", "add", "defer", "block", "reopen", "close and reopen")
VERBS = ("hold", "hold", "release", "approve", "reject", "retry")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong, at `at` virtual seconds; `number` is its place in the plan."""

    number: int
    at: float
    kind: str
    about: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BeadPlan:
    """One bead: what its work is like, and which beads it waits for."""

    id: str
    kind: str
    needs: tuple[str, ...] = ()
    priority: int = 2


@dataclass(frozen=True, slots=True)
class Plan:
    """`tracked`: git has the tracker's file. `harsh`: how often agents do badly, 0 to 1.
    `ci`: how much longer than the other gates it takes; beads wait before the lander then.
    `takes`: seconds of gates that always take the same time.
    `variants`: changed trees that oya tries before a review. `remote`: it lands on a remote, to
    which everybody else pushes."""

    seed: int
    beads: tuple[BeadPlan, ...]
    faults: tuple[Fault, ...]
    target: int
    tracked: bool = True
    planner: bool = True
    review: bool = True
    deploy: bool = True
    harsh: float = 0.2
    slots: int = 2
    batch: int = 8
    prove: str = ""
    ci: float = 1.0
    takes: tuple[tuple[str, float], ...] = ()
    variants: int = 4
    remote: bool = False

    def bead(self, bead: str) -> BeadPlan:
        """The plan of a bead; one that others have added is a plain one."""
        return next((one for one in self.beads if one.id == bead), BeadPlan(bead, "plain"))

    def only(self, beads: Sequence[str], faults: Sequence[int]) -> Plan:
        """The same with these beads and these faults alone."""
        kept = tuple(
            replace(one, needs=tuple(n for n in one.needs if n in beads))
            for one in self.beads
            if one.id in beads
        )
        left = tuple(one for one in self.faults if one.number in faults)
        target = max(min(self.target, len(kept)), 1)
        return replace(self, beads=kept, faults=left, target=target)

    @property
    def calm_from(self) -> float:
        """When the last fault has begun, and all of them are over."""
        ends = [fault.at + fault.about.get("seconds", 0.0) for fault in self.faults]
        return max(ends, default=0.0) + 5.0


def draw(seed: int, beads: int = BEADS) -> Plan:
    """The plan of a seed."""
    chance = random.Random(f"plan {seed}")  # noqa: S311 (repeatable, no secret)
    names = [f"b-{number:02}" for number in range(1, beads + 1)]
    planned = tuple(_bead(chance, names, number) for number in range(beads))
    kinds, weights = list(WEIGHTS), list(WEIGHTS.values())
    count = chance.randrange(1, MOST_FAULTS + 1)
    drawn = sorted(
        (chance.uniform(0.0, HORIZON), kind) for kind in chance.choices(kinds, weights, k=count)
    )
    faults = tuple(
        Fault(number, round(at, 3), kind, _about(chance, kind, names))
        for number, (at, kind) in enumerate(drawn)
    )
    plan = Plan(
        seed=seed,
        beads=planned,
        faults=faults,
        target=beads if chance.random() < 0.7 else chance.randrange(1, beads + 1),
        tracked=chance.random() < 0.7,
        planner=chance.random() < 0.8,
        review=chance.random() < 0.9,
        deploy=chance.random() < 0.85,
        harsh=chance.choice((0.0, 0.1, 0.2, 0.2, 0.35)),
        slots=chance.choice((2, 2, 4)),
        batch=chance.choice((1, 3, 8)),
        prove=chance.choice(("", "all", "top", "top")),
        ci=chance.choice((1.0, 1.0, 30.0)),
        variants=chance.choice((0, 0, 4)),
    )
    return _with_remote(chance, plan, names) if chance.random() < REMOTE else plan


def _with_remote(chance: random.Random, plan: Plan, names: list[str]) -> Plan:
    """Drawn last: plans without one stay what they were."""
    kinds = [chance.choice(TROUBLES) for _ in range(chance.randrange(MOST_TROUBLES + 1))]
    more = [
        Fault(number, round(chance.uniform(0.0, HORIZON), 3), kind, _about(chance, kind, names))
        for number, kind in enumerate(kinds, len(plan.faults))
    ]
    faults = sorted((*plan.faults, *more), key=lambda fault: fault.at)
    return replace(plan, remote=True, faults=tuple(faults))


def _bead(chance: random.Random, names: list[str], number: int) -> BeadPlan:
    before = names[:number]
    needs = chance.sample(before, 1) if before and chance.random() < 0.25 else []
    return BeadPlan(names[number], chance.choice(KINDS), tuple(needs), chance.randrange(5))


def _about(chance: random.Random, kind: str, names: list[str]) -> dict[str, Any]:
    bead = chance.choice(names)
    down = round(chance.uniform(0.1, 20.0), 3)
    seconds = round(chance.uniform(0.5, 25.0), 3)
    match kind:
        case "crash":
            return {"steps": chance.randrange(1, 60), "down": down}
        case "crash at":
            steps = LANDING if chance.random() < 0.4 else ANYWHERE
            return {"step": chance.choice(steps), "nth": chance.randrange(1, 4), "down": down}
        case "crash again":
            return {"times": chance.randrange(2, 5), "steps": chance.randrange(1, 400), "down": 0.5}
        case "power":
            step = chance.choice(STORING) if chance.random() < 0.7 else ""
            return {"step": step, "nth": chance.randrange(1, 4), "steps": chance.randrange(1, 60)}
        case "commits":
            ends = ("failed", "lost", "kept", "ok")
            return {"outcomes": [chance.choice(ends) for _ in range(chance.randrange(1, 5))]}
        case "provider":
            classes = ("provider_limit", "provider_down", "auth")
            backend = chance.choice(("alpha", "beta"))
            about = {"backend": backend, "class": chance.choice(classes), "seconds": seconds}
            return about | {"told": down < 10.0}  # drawn anyway: other seeds stay as they are
        case "foreign":
            return {"path": chance.choice(("src/list.x", "src/foreign.x", f"src/{bead}.x"))}
        case "unsure":
            return {"seconds": seconds, "loses": chance.choice(LOSES)}
        case "edit":
            how, live = chance.choice(EDITS), chance.random() < 0.5
            return {"bead": bead, "how": how, "commit": chance.random() < 0.5, "live": live}
        case "person":
            later = seconds if chance.random() < 0.6 else round(chance.uniform(0.0, 0.5), 3)
            about = {"bead": bead, "verb": chance.choice(VERBS), "later": later}
            return about | {"back": chance.random() < 0.8, "live": chance.random() < 0.6}
        case "stop":
            return {"now": chance.random() < 0.5, "down": down}
        case "defect":
            where = chance.choice(ACTORS)
            again = 0 if where == "a port" else chance.randrange(4)
            return {"where": where, "again": again, "in_hand": chance.random() < 0.5}
        case "store out" if chance.random() < 0.2:
            return {"seconds": round(chance.uniform(60.0, 120.0), 3)}
        case "target":
            return {"target": chance.randrange(1, len(names) + 1)}
        case "clock":
            return {"jump": round(chance.uniform(-4000.0, 4000.0), 3)}
        case _:
            return {"seconds": seconds}
