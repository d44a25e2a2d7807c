"""What the promises are held against: plain values, read once, when nothing runs any more."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = Mapping[str, Any]
"""One JSON object."""


@dataclass(frozen=True, slots=True)
class Commit:
    """One landed commit. `parent`: its first parent. `judged`: the digest of the tree that gates
    judge, as evidence and the events `gate_ran` carry it under `tree`. `swarm`: of its trailer."""

    id: str
    bead: str
    parent: str
    judged: str
    swarm: str = ""


@dataclass(frozen=True, slots=True)
class Dependency:
    """A bead that must be done first, between two ISO times; "" for no bound."""

    on: str
    since: str = ""
    until: str = ""


@dataclass(frozen=True)
class History:
    """Everything known of one repository's swarms.

    `events`: records as `oya events --format json` prints them, ascending.
    `beads`, `swarms`: the final states as JSON, by id.
    `commits`: those of the line that oya made since the log began, oldest first.
    `judged`: the same digest as a `Commit` has, of every base and contract that a
    `contract_accepted` names; those that git does not have are not in it.
    `attempts`: (bead, epoch) -> head under refs/oya/attempts, or the folder that could not be
    read and was moved aside.
    `held`: whether a commit is reachable from any ref.
    `intents`: beads with an intent to land left in the store.
    `pushed`: those of them that were pushed to a remote, which nobody knows to have arrived.
    `unclosed`: landed beads whose closing in the tracker's working file is still to come.
    `leftovers`: words for what must not be there any more (base refs, workspaces, locks …).
    `tracker`: records of the tracker's file by id; None: not known.
    `depends`: what blocks a bead, by its id.
    `pruned`: what retention took out of the log: `until` (nothing is missing after that number),
    `counts` ([swarm, event, class, how many], …); None: nothing.
    """

    events: Sequence[Row]
    beads: Mapping[str, Row]
    swarms: Mapping[str, Row]
    commits: Sequence[Commit] = ()
    judged: Mapping[str, str] = field(default_factory=dict)
    attempts: Mapping[tuple[str, int], str] = field(default_factory=dict)
    held: Callable[[str], bool] = lambda commit: True
    intents: Collection[str] = ()
    pushed: Collection[str] = ()
    unclosed: Collection[str] = ()
    leftovers: Sequence[str] = ()
    tracker: Mapping[str, Row] | None = None
    depends: Mapping[str, Sequence[Dependency]] = field(default_factory=dict)
    pruned: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Breach:
    """A promise that was not kept: which one, in words, and where to look."""

    promise: str
    what: str
    bead: str | None = None
    seq: int | None = None

    def __str__(self) -> str:
        return f"{self.promise}: {self.what}"
