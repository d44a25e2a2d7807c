"""A failing plan made small: fewer beads, fewer faults, and as short a log as still fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TypeVar

from oya.testing.simulation.check import breaches
from oya.testing.simulation.plan import Plan
from oya.testing.simulation.run import run

T = TypeVar("T")

MOST_RUNS = 300


class Shrinker:
    """Finds a smaller plan that breaks one of the same promises. `runs`: how many it took."""

    def __init__(self, plan: Plan, most: int = MOST_RUNS) -> None:
        self.plan = plan
        self.runs = 0
        self._most = most
        self._promises = frozenset(found.promise for found in breaches(run(plan)))

    def shrink(self) -> Plan:
        """The smallest plan found within the runs that are allowed; the given one at worst."""
        while any(self._take(smaller) for smaller in _smaller(self.plan)):
            continue
        return self.plan

    def _take(self, plan: Plan) -> bool:
        if self.runs >= self._most:
            return False
        self.runs += 1
        if self._promises.isdisjoint(found.promise for found in breaches(run(plan))):
            return False
        self.plan = plan
        return True


def _smaller(plan: Plan) -> Iterator[Plan]:
    """What can be left out of a plan, the largest part first."""
    beads = [bead.id for bead in plan.beads]
    faults = [fault.number for fault in plan.faults]
    for left in _without(beads):
        yield plan.only(left, faults)
    for kept in _without(faults):
        yield plan.only(beads, kept)
    for change in _SIMPLER:
        simpler = change(plan)
        if simpler != plan:
            yield simpler


_SIMPLER: tuple[Callable[[Plan], Plan], ...] = (
    lambda plan: replace(plan, harsh=0.0),
    lambda plan: replace(plan, planner=False),
    lambda plan: replace(plan, review=False),
    lambda plan: replace(plan, deploy=True),
    lambda plan: replace(plan, target=len(plan.beads)),
)


def _without(things: Sequence[T]) -> Iterator[list[T]]:
    """The list without one half, then without one quarter …, then without one."""
    size = len(things) // 2
    while size >= 1:
        for start in range(0, len(things), size):
            yield [*things[:start], *things[start + size :]]
        size //= 2
    if len(things) == 1:
        yield []


def command(plan: Plan) -> str:
    """What to type to play this plan again."""
    words = ["python -m oya.testing.simulation", f"--seed {plan.seed}"]
    words.append(f"--beads {','.join(bead.id for bead in plan.beads)}")
    words.append(f"--faults {','.join(str(fault.number) for fault in plan.faults) or 'none'}")
    words.append(f"--target {plan.target} --harsh {plan.harsh:g}")
    words += [f"--no-{name}" for name in ("planner", "review") if not getattr(plan, name)]
    words += ["--deploy"] if plan.deploy else []
    return " ".join(words)
