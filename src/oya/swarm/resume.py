"""After a stop or a death: what was under way is kept, and every bead is somewhere again.

The order matters: what its death may have left running ends first, and slots that were in use
are cleaned up; then landings, since their intents are older than any reading of the tracker;
then the folders of dead attempts, in which nobody writes any more; then the leases, which
ended with their daemon.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from oya.crashpoints import point
from oya.errors import OyaError, RemoteError
from oya.lifecycle.events import Landed, LandingLeft, LeaseExpired
from oya.lifecycle.model import BeadState, Phase, Status
from oya.lifecycle.swarm import SwarmState, replace
from oya.repository.prune import prune
from oya.store.engine import Delete, Put, Write
from oya.swarm.assembly import Parts
from oya.swarm.candidate import CANDIDATES, candidate_ref, landings_of
from oya.swarm.line import Whereabouts, whereabouts

log = structlog.get_logger()

AT_ONCE = 4
"""Folders that are harvested side by side: whoever resumes waits for them."""
ASK = 15.0
"""Seconds within which a remote must say what became of a landing: starts and stops wait."""
UNCLOSED = "unclosed:"
"""Checkpoints of beads that have landed and are still to be closed in the working file."""


async def recover(parts: Parts) -> None:
    """Bring store, refs and folders into agreement; idempotent, and safe to die in."""
    await end_orphans(parts)
    point("resume.begun")
    await parts.clean_slots()
    waiting = await finish_landings(parts, "the daemon ended in the middle")
    point("resume.landings_over")
    held = {candidate_ref(one["bead"]) for _, intent in waiting for one in landings_of(intent)}
    for ref in await parts.repo.list_refs(CANDIDATES):
        if ref not in held:
            await parts.repo.delete_ref(ref)
            point("resume.candidate_gone")
    started = await parts.repo.list_refs("refs/oya/base")
    await harvest_workspaces(parts)
    await prune(parts.repo, ())  # no workspace lives yet
    point("resume.pruned")
    await end_leases(parts, started)
    point("resume.recovered")


async def end_orphans(parts: Parts) -> None:
    """Nothing of the dead daemon may still write where its work is looked at from here on, or
    move a ref; what its gits had locked is free."""
    ended = await parts.processes.end_orphans()
    await parts.repo.clear_locks()
    if ended:
        words = f"ended what the daemon before had left running: {', '.join(map(str, ended))}"
        log.warning(words)
        await parts.store.events.append("warning", swarm=parts.swarm, reason=words)


async def finish_landings(parts: Parts, why: str) -> list[tuple[str, dict[str, Any]]]:
    """Complete or drop what is in landing; the intents that stay open, by key.

    A durable intent is completed where its line, or the remote, has the candidate, and dropped
    otherwise; `why` is what the beads that did not land are told. One that was pushed and may
    still arrive stays open, its beads in landing: only its candidate may be pushed until it has
    landed or cannot any more. Only for whoever is the lander.
    """
    under_way = {s.id for s in _in_progress(parts) if s.phase is Phase.LANDING}
    waiting, still = [], set[str]()
    for key, intent in await parts.store.intents.all():
        beads = {one["bead"] for one in landings_of(intent)}
        where = await _where(parts, intent) if beads <= under_way else Whereabouts.LOST
        if where is Whereabouts.LANDED and beads:
            await record_landed(parts, key, intent)
            point("resume.completed")
            for bead in sorted(beads):
                await parts.repo.delete_ref(candidate_ref(bead))
        elif where is Whereabouts.OPEN:
            waiting.append((key, intent))
            still |= beads
        else:
            await parts.store.intents.delete(key)
            point("resume.dropped")
    for state in _in_progress(parts):
        if state.phase is Phase.LANDING and state.id not in still:
            await parts.apply(state.id, LandingLeft(why))
            point("resume.left")
            await parts.repo.delete_ref(candidate_ref(state.id))
    return waiting


async def _where(parts: Parts, intent: Mapping[str, Any]) -> Whereabouts:
    try:
        async with asyncio.timeout(ASK):
            return await whereabouts(parts.repo, intent)
    except (RemoteError, TimeoutError) as error:
        log.warning("a landing is not known to have arrived", error=str(error))
        return Whereabouts.OPEN


async def record_landed(parts: Parts, key: str, intent: Mapping[str, Any]) -> None:
    """`landed` of every bead, the swarm's counter and the end of the intent that is kept under
    `key`, in one commit of the store.

    The landing counts for the swarm that intended it, whichever runs by now.
    """
    about = landings_of(intent)
    also: list[Write] = [Delete("intents", key)]
    also += [
        Put("checkpoints", f"{UNCLOSED}{one['bead']}", {"commit": one["commit"]})
        for one in about
        if not one["closed"]
    ]

    def counted(swarm: SwarmState) -> SwarmState:
        return replace(swarm, landed_beads=swarm.landed_beads + len(about))

    await parts.store.beads.apply_many(
        [(one["bead"], Landed(one["commit"])) for one in about],
        swarm=intent["swarm"],
        limits=parts.limits,
        agent="lander",
        data={one["bead"]: _proof_of(one) for one in about},
        also=also,
        on_swarm=counted,
    )


def _proof_of(one: Mapping[str, Any]) -> dict[str, Any]:
    """What the event says of the gates: their evidence, and of which commit, if of another; and
    of conflicts that git's own help resolved."""
    proven = {"proven": one["proven"]} if one["proven"] else {}
    helped = {"helped": one["helped"]} if one.get("helped") else {}
    return {"evidence": one["evidence"], **proven, **helped}


async def tidy(parts: Parts) -> None:
    """At the end of a swarm: what could not be put away while it ran. Else the next start does."""
    try:
        await harvest_workspaces(parts, every=True)
        await prune(parts.repo, ())
    except OyaError as error:
        log.warning("not tidied", error=str(error))


async def harvest_workspaces(parts: Parts, *, every: bool = False) -> None:
    """What dead attempts left in their folders goes under their refs, and the folders go."""
    left = await parts.workspaces.leftovers(every=every)
    for start in range(0, len(left), AT_ONCE):
        some = left[start : start + AT_ONCE]
        await asyncio.gather(*(_harvest(parts, *one) for one in some))


async def _harvest(parts: Parts, bead: str, epoch: int, path: Path) -> None:
    found = await parts.workspaces.harvest(path)
    point("resume.harvested")
    if found.kept is not None:
        log.error("workspace kept", bead=bead, epoch=epoch, path=str(found.kept))


async def end_leases(parts: Parts, started: Mapping[str, str]) -> None:
    """The children of the previous daemon died with it: their claims end now.

    `started`: base ref → the commit an attempt began from; a head that is still that one
    holds no work, and is no snapshot.
    """
    for state in _in_progress(parts):
        if state.phase is Phase.LANDING:
            continue  # pushed, and not known to have arrived
        head = await parts.repo.read_ref(parts.workspaces.attempt_ref(state.id, state.epoch))
        start = started.get(parts.workspaces.base_ref(state.id, state.epoch))
        snapshot = None if head == start else head
        await parts.apply(
            state.id, LeaseExpired(state.epoch, "the daemon ended", snapshot), agent=state.agent
        )
        point("resume.lease_ended")


def _in_progress(parts: Parts) -> list[BeadState]:
    return [s for s in parts.store.beads.all().values() if s.status is Status.IN_PROGRESS]
