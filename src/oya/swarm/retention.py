"""What goes when the time of `[store] retention` is over: notes, evidence, checkpoints of beads,
refs of attempts.

Some of it before the first claim, most of it after the last: never while it could delay one.
"""

from __future__ import annotations

from datetime import timedelta

import structlog

from oya.clock import stamp
from oya.crashpoints import point
from oya.errors import OyaError
from oya.lifecycle.model import BeadState, Phase, Status
from oya.swarm.assembly import Parts
from oya.swarm.challenges import SURVIVED
from oya.swarm.conflicts import CONFLICT
from oya.swarm.mechanical import LOOKED

log = structlog.get_logger()

ATTEMPTS = "refs/oya/attempts"
OF_BEADS = (LOOKED, SURVIVED, CONFLICT)
"""Kinds of checkpoints that only help with a bead while it is open."""
AT_START = (10, 20)
AT_END = (1000, 500)
"""How much at most: pages of records, and refs (each is a run of git)."""


async def prune_old(parts: Parts, much: tuple[int, int]) -> None:
    """Take out what is older than `[store] retention`; what cannot go now goes the next time."""
    pages, refs = much
    age = timedelta(seconds=parts.settings.store.retention)
    before = stamp(parts.clock.now() - age)
    try:
        if not await parts.store.retention.anything(before):
            return
        gone = {
            "events": await parts.store.retention.events(before, pages=pages),
            "evidence": await parts.store.retention.evidence(before, pages=pages),
            "checkpoints": await parts.store.retention.checkpoints(OF_BEADS, before, pages=pages),
            "refs": await _attempt_refs(parts, before, refs),
        }
    except OyaError as error:
        log.warning("retention", error=str(error))
        return
    if any(gone.values()):
        log.info("retention", **gone)


async def _attempt_refs(parts: Parts, before: str, most: int) -> int:
    """Delete refs of attempts at beads that were over before that time; how many."""
    if await parts.store.retention.pruned() is None:
        return 0  # it is what tells whoever verifies that some may be missing
    refs = await parts.repo.list_refs(ATTEMPTS)
    over = [s.id for s in parts.store.beads.all().values() if _is_over(s)]
    old = [bead for bead in over if parts.store.beads.changed_at(bead) < before]
    folders = {parts.workspaces.attempt_ref(bead, 0).rpartition("/")[0] for bead in old}
    gone = [name for name in refs if name.rpartition("/")[0] in folders][:most]
    for name in gone:
        await parts.repo.delete_ref(name, refs[name])
        point("retention.ref_gone")
    return len(gone)


def _is_over(state: BeadState) -> bool:
    """Landed, or closed by a person; what was only deleted in the tracker may be a mistake."""
    if state.phase is Phase.LANDED:
        return state.status is Status.COMPLETE
    return state.status is Status.REMOVED and state.reason.startswith("closed")
