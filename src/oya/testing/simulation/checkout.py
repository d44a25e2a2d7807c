"""The user's branch and working files, and what a swarm may do to them: promise 5, which only
the simulated machine can judge, since nobody else knows what the user had left there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from oya.beads import PATH
from oya.beads.noticed import OYA
from oya.testing.simulation.world import World

_CLOSING = frozenset({"status", "closed_at", "close_reason", "updated_at"})
"""What of a record oya may write."""


def moves(world: World, name: str, old: str | None, new: str | None) -> Iterator[str]:
    """What is wrong with a move of a ref by oya, at that very moment: branches go forward, and
    not where the worktree on them has changes."""
    if not name.startswith("refs/heads/"):
        return
    objects = world.git.objects
    if old is None or new is None or not objects.is_ancestor(old, new):
        yield f"{name} was moved from {old} to {new}, which is no fast-forward"
    elif name == f"refs/heads/{world.git.head}":
        there = objects.files(old)
        if dirt := [path for path in sorted(world.left) if path in there and path != PATH]:
            yield f"{name} was moved under changes in {', '.join(dirt)}"


def lost(world: World) -> Iterator[str]:
    """Files of the worktree that are neither as in its commit nor as the user left them."""
    tracked = {path: file.data for path, file in world.git.tracked().items()}
    expected, working = tracked | world.left, world.git.working
    for path in sorted({*expected, *working}):
        was, is_ = expected.get(path), working.get(path)
        if path == PATH and path in tracked and path in world.left:
            yield from _lost_edits(world.left_on[path], world.left[path], is_)
            continue
        if path == PATH and path not in tracked:
            was, is_ = _words(was), _words(is_)
        if was != is_:
            yield f"{path} of the worktree is not as the user left it"


def _lost_edits(base: bytes, left: bytes, now: bytes | None) -> Iterator[str]:
    """What the user changed in the backlog, and is no more in the file: it may only have been
    merged with what landed since."""
    before, mine, there = (_by_id(data) for data in (base, left, now))
    for bead, record in mine.items():
        was = before.get(bead, {})
        for name, value in record.items():
            changed = name not in _CLOSING and value != was.get(name)
            if changed and there.get(bead, {}).get(name) != value:
                yield f"{name} of {bead} in {PATH} of the worktree is not as the user left it"
    for bead in before:
        if bead not in mine and bead in there and there[bead] == before[bead]:
            yield f"{bead} is in {PATH} of the worktree again, from which the user took it"


def _by_id(data: bytes | None) -> dict[str, Any]:
    records = [json.loads(line) for line in (data or b"").splitlines() if line.strip()]
    return {record["id"]: record for record in records}


def _words(data: bytes | None) -> Any:
    """The tracker's file without what a closing changes, for where git does not have it."""
    records = [json.loads(line) for line in (data or b"").splitlines()]
    records = [record for record in records if record.get("created_by") != OYA]
    return [{k: v for k, v in record.items() if k not in _CLOSING} for record in records]
