"""Merges of two commits in which the tracker's file is merged by bead, not by line."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from oya.beads.merge import merge_files
from oya.repository.port import Merged, Repository

LARGE = 500_000
"""Bytes of a tracker's file from which on its merge would hold up everything else."""


async def merge_commits(
    repo: Repository, ours: str, theirs: str, tracker: str, *, landed: str
) -> Merged:
    """`theirs` merged into `ours`; `tracker` is the path of the tracker's file.

    That file is never in conflict where both have it: see `oya.beads.merge`. Other conflicts get
    git's own help, for which `landed` counts: see `Repository.help_merge`. Raises what
    `Repository.merge_tree` does.
    """
    merged = await _by_bead(repo, ours, theirs, await repo.merge_tree(ours, theirs), tracker)
    return await _helped(repo, ours, theirs, merged, landed)


async def merge_candidate(
    repo: Repository, base: str, head: str, tracker: str, *, landed: str
) -> Merged:
    """The same for a candidate: the `head` of a bead merged into its `base`.

    Apart from the content of the tracker's file: a candidate has the version of its base there,
    whatever the merge says, and so it is read only where git finds it in conflict.
    """
    merged = await repo.merge_tree(base, head)
    if tracker in merged.conflicts:
        merged = await _by_bead(repo, base, head, merged, tracker)
    return await _helped(repo, base, head, merged, landed)


async def _by_bead(
    repo: Repository, ours: str, theirs: str, merged: Merged, tracker: str
) -> Merged:
    base = await repo.merge_base(ours, theirs)
    was, mine, other = [
        await repo.read_file(at, tracker) if at else None for at in (base, ours, theirs)
    ]
    if mine is None or other is None or was in (mine, other):
        return merged
    if max(len(mine), len(other)) < LARGE:  # done before a thread has begun
        data = merge_files(was, mine, other)
    else:
        data = await asyncio.to_thread(merge_files, was, mine, other)
    conflicts = tuple(path for path in merged.conflicts if path != tracker)
    return replace(merged, tree=await repo.write_tree(merged.tree, {tracker: data}),
                   conflicts=conflicts)  # fmt: skip


async def _helped(repo: Repository, ours: str, theirs: str, merged: Merged, landed: str) -> Merged:
    if merged.clean:
        return merged
    return await repo.help_merge(ours, theirs, merged, landed=landed)
