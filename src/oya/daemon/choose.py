"""Which swarm a request means: a new one, or one to go on with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from oya.clock import stamp
from oya.daemon.request import Request
from oya.errors import UsageError
from oya.lifecycle.swarm import SwarmState, SwarmStatus
from oya.store.store import Store
from oya.swarm.config import Settings

TARGET = "defaults.target_beads"


@dataclass(frozen=True, slots=True)
class Choice:
    """`swarm` is as it starts; `before` as it was left, None for a new one."""

    swarm: SwarmState
    before: SwarmState | None

    @property
    def words(self) -> str:
        """What is about to happen, for the person who typed it."""
        if self.before is None:
            return f"Starts {self.swarm.id}: {self.swarm.target_beads} beads."
        done, target = self.swarm.landed_beads, self.swarm.target_beads
        was = self.before.status if self.before.ended else "its daemon had died"
        return f"Goes on with {self.swarm.id} ({was}): {done}/{target} landed."


def choose(
    swarms: Sequence[SwarmState], request: Request, settings: Settings, branch: str, now: datetime
) -> Choice:
    """The swarm to run. `swarms` in the order they were made.

    Without `--new` or `--resume` the newest one goes on if its target is not reached, or if
    its daemon was killed before it could say that it was. A swarm that goes on keeps its
    counters, and its target unless one was typed; it takes the configuration as it is now.
    `UsageError` for an unknown id, and for one that is done.
    """
    before = _before(swarms, request)
    if before is None:
        fresh = SwarmState(
            id=f"swarm-{_highest(swarms) + 1}",
            target_beads=settings.defaults.target_beads,
            started_at=stamp(now),
            branch=branch,
            config_hash=settings.pinned,
        )
        return Choice(fresh, None)
    target = settings.defaults.target_beads if TARGET in request.flags else before.target_beads
    again = replace(
        before,
        status=SwarmStatus.STARTING,  # whatever it was: after a crash it still says running
        target_beads=target,
        reason=None,
        ended_at=None,
        branch=branch,
        config_hash=settings.pinned,
    )
    if before.ended and again.reached and request.resume:
        raise UsageError(
            f"{before.id} has reached its target ({before.landed_beads}/{target}).",
            safe="Nothing was changed.",
            hint=f"oya swarm --resume {before.id} --target {before.landed_beads + 1}, "
            "or oya swarm for a new one",
        )
    return Choice(again, before)


async def record(
    store: Store, choice: Choice, settings: Settings, beads: Sequence[str] = ()
) -> None:
    """The swarm is in the store, as starting and with its rules, before it starts. `beads`: the
    only ones that it may work on, if any are named."""
    changed = ""
    if choice.before and choice.before.config_hash != choice.swarm.config_hash:
        changed = " The configuration has changed and is adopted."
    await store.swarms.put(
        choice.swarm,
        event="swarm_continued" if choice.before else "swarm_starting",
        reason=f"{choice.words}{changed}",
        data={"target": choice.swarm.target_beads, "beads": list(beads), **settings.rules},
    )


def _before(swarms: Sequence[SwarmState], request: Request) -> SwarmState | None:
    if request.new:
        return None
    if request.resume and request.resume != "last":
        found = next((s for s in swarms if s.id == request.resume), None)
        if found is None:
            known = ", ".join(s.id for s in swarms[-10:]) or "none"
            raise UsageError(
                f"There is no swarm {request.resume} here.",
                safe="Nothing was changed.",
                hint=f"Known: {known}.",
            )
        return found
    if not swarms:
        if request.resume:
            raise UsageError(
                "No swarm has run here, so there is none to resume.",
                safe="Nothing was changed.",
                hint="oya swarm",
            )
        return None
    newest = swarms[-1]
    over = newest.ended and newest.reached
    return newest if request.resume or not over else None


def _highest(swarms: Sequence[SwarmState]) -> int:
    numbers = [s.id.rpartition("-")[2] for s in swarms]
    return max((int(n) for n in numbers if n.isdecimal()), default=0)
