"""Earlier work on a bead: merged into what a new attempt starts at, and held."""

from __future__ import annotations

from collections.abc import Sequence

from oya.repository.port import OYA, Repository


async def merged(repo: Repository, start: str, merge: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """`start` with the commits of `merge` merged in one by one, and the paths in conflict.

    A path in conflict has git's markers in the commit. Raises `GitError`.
    """
    commit, conflicts = start, dict[str, None]()
    for theirs in merge:
        base = await repo.merge_base(commit, theirs)
        if base == theirs:
            continue
        if base == commit:
            commit = theirs
            continue
        result = await repo.merge_tree(commit, theirs)
        conflicts |= dict.fromkeys(result.conflicts)
        commit = await repo.commit_tree(
            result.tree, (commit, theirs), "Merge earlier work on this bead", author=OYA
        )
    return commit, tuple(conflicts)


async def set_aside(repo: Repository, attempt_ref: str, name: str) -> None:
    """Hold what an attempt ref holds under `refs/oya/earlier/` too; `name` is the bead's.

    A state that was begun anew counts epochs from 1 again; the work of before stays held.
    """
    earlier = await repo.read_ref(attempt_ref)
    if earlier is not None:
        await repo.set_ref(f"refs/oya/earlier/{name}/{earlier}", earlier)
