"""Conflicts that sent beads back: how they were resolved is remembered once that has landed."""

from __future__ import annotations

import structlog

from oya.errors import GitError
from oya.store.engine import Put, Write
from oya.swarm.assembly import Parts

log = structlog.get_logger()

CONFLICT = "conflict:"
"""Checkpoints of beads that are reworked, or were and have landed: which commits conflict."""


def noted(bead: str, ours: str, theirs: str) -> Write:
    """What keeps the conflict of a bead, whose head is `theirs`, with the landed `ours`."""
    return Put("checkpoints", f"{CONFLICT}{bead}", {"ours": ours, "theirs": theirs})


async def learn(parts: Parts) -> None:
    """Remember the resolutions that have landed, and forget those conflicts.

    It may be called again whatever it died of. What cannot be learnt is no harm: an agent
    resolves it once more.
    """
    for key, row in await parts.store.checkpoints.all():
        state = parts.store.beads.get(key.removeprefix(CONFLICT))
        if not key.startswith(CONFLICT) or state is None or state.commit is None:
            continue
        if state.where != "landed/complete":
            continue
        try:
            # A contract that began anew has not resolved anything.
            if state.reviewed and await parts.repo.is_ancestor(row["theirs"], state.reviewed):
                await parts.repo.remember(row["ours"], row["theirs"], state.commit, state.id)
        except GitError as error:
            log.info("a resolution is not remembered", bead=state.id, error=str(error))
        await parts.store.checkpoints.delete(key)
