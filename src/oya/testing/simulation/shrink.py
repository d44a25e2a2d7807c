"""A failing plan made small: fewer beads, fewer faults, and as short a log as still fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import TypeVar

from oya.testing.simulation.check import play
from oya.testing.simulation.plan import Plan

T = TypeVar("T")

MOST_RUNS = 300


class Shrinker:
    """Finds a smaller plan that breaks one of the same promises. `runs`: how many it took."""

    def __init__(self, plan: Plan, most: int = MOST_RUNS) -> None:
        self.plan = plan
        self.runs = 0
        self._most = most
        self._promises = frozenset(breach.promise for breach in play(plan)[1])

    def shrink(self) -> Plan:
        """The smallest plan found within the runs that are allowed; the given one at worst."""
        while self._step():
            continue
        return self.plan

    def _step(self) -> bool:
        """Among plans of one size that fail, the one with the shortest log is the next."""
        for _, equals in groupby(_smaller(self.plan), key=_size):
            failing = [(length, plan) for plan in equals if (length := self._fails(plan)) >= 0]
            if failing:
                self.plan = min(failing, key=lambda found: found[0])[1]
                return True
        return False

    def _fails(self, plan: Plan) -> int:
        """How long the log is; -1 where the plan keeps the promises, or may not be tried."""
        if self.runs >= self._most:
            return -1
        self.runs += 1
        ran, broken = play(plan)
        if self._promises.isdisjoint(breach.promise for breach in broken):
            return -1
        return len(ran.events) if ran is not None else 0


def _size(plan: Plan) -> tuple[int, int]:
    return len(plan.beads), len(plan.faults)


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
    lambda plan: replace(plan, remote=False),
    lambda plan: replace(plan, harsh=0.0),
    lambda plan: replace(plan, planner=False),
    lambda plan: replace(plan, review=False),
    lambda plan: replace(plan, deploy=True),
    lambda plan: replace(plan, target=max(len(plan.beads), 1)),
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


def command_of(seed: int) -> str:
    """What to type to play a seed again."""
    return f"python -m oya.testing.simulation --seed {seed}"


def command(plan: Plan) -> str:
    """What to type to play this plan again."""
    words = [command_of(plan.seed)]
    words.append(f"--beads {','.join(bead.id for bead in plan.beads) or 'none'}")
    words.append(f"--faults {','.join(str(fault.number) for fault in plan.faults) or 'none'}")
    words.append(f"--target {plan.target} --harsh {plan.harsh:g}")
    off = ("planner", "review", "remote")
    words += [f"--no-{name}" for name in off if not getattr(plan, name)]
    words += ["--deploy"] if plan.deploy else []
    return " ".join(words)
