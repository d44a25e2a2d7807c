"""Conflicts that sent beads back: how they were resolved is remembered once that has landed."""

from __future__ import annotations

from collections.abc import Sequence

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
    """Remember the resolutions of all beads that have landed, and forget those conflicts.

    It may be called again whatever it died of. What cannot be learnt is no harm: an agent
    resolves it once more.
    """
    await learn_of(parts, [bead for bead, _ in await parts.store.checkpoints.below(CONFLICT)])


async def learn_of(parts: Parts, beads: Sequence[str]) -> None:
    """The same of these beads alone, for right after they have landed: what else is kept of a
    repository's beads is not read for it."""
    for bead in beads:
        key, state = f"{CONFLICT}{bead}", parts.store.beads.get(bead)
        row = await parts.store.checkpoints.get(key)
        if row is None or state is None or state.commit is None or not state.has_landed:
            continue
        try:
            # A contract that began anew has not resolved anything.
            if state.reviewed and await parts.repo.is_ancestor(row["theirs"], state.reviewed):
                await parts.repo.remember(row["ours"], row["theirs"], state.commit, bead)
        except GitError as error:
            log.info("a resolution is not remembered", bead=bead, error=str(error))
        await parts.store.checkpoints.delete(key)
