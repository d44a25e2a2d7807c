"""After a stop or a death: what was under way is kept, and every bead is somewhere again.

The order matters: landings first, since their intents are older than any reading of the
tracker; then the folders of dead attempts; then the leases, which ended with their daemon.
"""

from __future__ import annotations

import structlog

from oya.lifecycle.events import LandingLeft, LeaseExpired
from oya.lifecycle.model import BeadState, Phase, Status
from oya.swarm.assembly import Parts
from oya.swarm.lander import record_landed
from oya.swarm.line import Line

log = structlog.get_logger()


async def recover(parts: Parts, line: Line) -> None:
    """Bring store, refs and folders into agreement; idempotent, and safe to die in."""
    await finish_landings(parts, line)
    await harvest_workspaces(parts)
    await end_leases(parts)


async def finish_landings(parts: Parts, line: Line) -> None:
    """Every durable intent is completed where the line has its candidate, and dropped otherwise."""
    for bead, intent in await parts.store.intents.all():
        state = parts.store.beads.get(bead)
        landing = state is not None and _in(state, Phase.LANDING)
        if landing and await parts.repo.is_ancestor(intent["candidate"], line.tip or ""):
            await record_landed(parts, bead, intent["candidate"])
        else:
            await parts.store.intents.delete(bead)
    for state in _in_progress(parts):
        if state.phase is Phase.LANDING:
            await parts.apply(state.id, LandingLeft("the daemon ended in the middle"))


async def harvest_workspaces(parts: Parts) -> None:
    """What dead attempts left in their folders goes under their refs, and the folders go."""
    for bead, epoch, path in await parts.workspaces.leftovers():
        found = await parts.workspaces.harvest(path)
        if found.kept is not None:
            log.error("workspace kept", bead=bead, epoch=epoch, path=str(found.kept))


async def end_leases(parts: Parts) -> None:
    """The children of the previous daemon died with it: their claims end now."""
    for state in _in_progress(parts):
        snapshot = await parts.repo.read_ref(parts.workspaces.attempt_ref(state.id, state.epoch))
        await parts.apply(
            state.id, LeaseExpired(state.epoch, "the daemon ended", snapshot), agent=state.agent
        )


def _in_progress(parts: Parts) -> list[BeadState]:
    return [s for s in parts.store.beads.all().values() if s.status is Status.IN_PROGRESS]


def _in(state: BeadState, phase: Phase) -> bool:
    return state.phase is phase and state.status is Status.IN_PROGRESS
