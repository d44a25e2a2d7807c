"""Which of oya's refs may go.

Attempt refs stay: no work of an agent is lost. What held the start of a workspace may
go when the workspace has, since an attempt's head has its start in its history.
"""

from __future__ import annotations

from collections.abc import Collection

from oya.repository.port import Repository

_BASES = "refs/oya/base/"


async def prunable(repo: Repository, live: Collection[str]) -> dict[str, str]:
    """Base refs that are in `live` (`Workspaces.base_ref`) no more, with what they are at."""
    refs = await repo.list_refs(_BASES)
    return {name: value for name, value in refs.items() if name not in live}


async def prune(repo: Repository, live: Collection[str]) -> tuple[str, ...]:
    """Delete them; the names of those deleted."""
    gone = await prunable(repo, live)
    for name, value in gone.items():
        await repo.delete_ref(name, value)
    return tuple(gone)
