"""Moments at which oya can be made to die, by name; how they are used is in docs/testing.md.

    OYA_CRASH_AT=landing.line_moved oya swarm     # its daemon kills itself there
    OYA_CRASH_AT=store.committed:40 oya swarm     # the 40th time that it comes by

`point(NAME)` stands before and after every step that lasts. Without an `action` it is one
comparison. A simulation sets an `action` of its own, which gets each name as it comes.
"""

from __future__ import annotations

import difflib
import os
import signal
from collections.abc import Callable, Mapping

from oya.errors import UsageError

VARIABLE = "OYA_CRASH_AT"

POINTS: Mapping[str, str] = {
    "daemon.pid_written": "the daemon has the state, and says so in daemon.pid",
    "daemon.recorded": "the swarm is in the store as starting, and nothing has begun",
    "daemon.answers": "the socket is there",
    "store.sequence_written": "the first sequence file is whole under another name",
    "store.sequence_created": "it has its own name",
    "store.copied": "the copy before an opening is whole under another name",
    "store.copy_named": "it has its own name, older copies are still there",
    "store.clean_mark_gone": "the mark of the last clean end is gone, the engine still closed",
    "store.batch_migrated": "a batch of one step of a migration is there, others may not be",
    "store.migrating": "all batches are there, before the commit that says so of the step",
    "store.migrated": "after it",
    "store.opened": "the engine is open and holds what it should, before the sequence file says so",
    "store.committing": "before the commit of a group",
    "store.committed": "after it, before the sequence file",
    "store.acknowledged": "after the sequence file, before anybody hears of it",
    "store.stopped": "the writer takes nothing more, the engine is still open",
    "store.closed": "the engine is closed, the mark of a clean end still missing",
    "store.clean_marked": "the mark is there, the lock still held",
    "store.import_built": "an import is whole under another name, and nothing of it is the state",
    "store.import_data_there": "its data have their place, its sequence file has not",
    "store.import_adopted": "the sequence file has its place too, the other name is still there",
    "line.begun": "the line has its first commit",
    "line.seen": "the tip of the branch is noted as seen",
    "line.pushed": "the remote has a landing, the line has not moved",
    "follow.moving": "before the branch and its checkout move",
    "follow.moved": "after they moved",
    "follow.kept": "a ref holds the tracker's file as the user changed it, nothing has moved",
    "follow.staged": "the index has the line's version of it, the branch has not moved",
    "follow.merged": "the file has both, the ref is still there",
    "follow.let_go": "the ref is gone",
    "process.started": "a guard was started, and nobody waits for it yet",
    "workspace.base_held": "a ref holds the start of a workspace, nothing else is there",
    "workspace.recorded": "its record is there, the folder is not",
    "workspace.filled": "the files are there, the record does not say so",
    "workspace.ready": "the record says that an agent may begin",
    "workspace.taken": "a snapshot's commit exists, and no ref holds it",
    "workspace.held": "the attempt's ref holds it, the record does not know",
    "workspace.head_recorded": "the record knows it, the folder's .git is that of before",
    "workspace.laid": "the folder's .git is new",
    "workspace.discarding": "before a workspace goes",
    "workspace.set_out": "its folder is under another name, still whole",
    "workspace.folder_gone": "its folder is gone",
    "workspace.record_gone": "its record is gone too",
    "workspace.base_gone": "nothing holds its start any more",
    "attempt.opened": "the backend of an attempt runs",
    "attempt.ending": "before the result of an attempt, or its failure, is in the store",
    "attempt.ended": "after that, its folder is still there",
    "gate.starting": "before a gate runs",
    "gate.ran": "the gate has ended, nothing is noted",
    "gate.recorded": "it is in the log and counted, and its evidence is in the store",
    "landing.held": "a ref holds the candidate of a bead that is not in landing yet",
    "landing.started": "a batch is in landing, not proven",
    "landing.proven": "the gates are behind, nothing is noted",
    "landing.noted": "the evidence is a note of each candidate",
    "landing.intended": "the intent is durable, the line has not moved",
    "landing.line_moved": "the line has moved, the store does not know",
    "landing.landed": "the store knows, the candidates' refs are still there",
    "landing.ref_gone": "the refs are gone, the checkout has not followed",
    "landing.followed": "the checkout was asked to follow, the tracker is not told",
    "landing.refused": "a bead that must leave has no candidate any more, and is still in landing",
    "tracker.added": "new beads are in the store",
    "tracker.written": "the tracker's new file is whole under another name",
    "tracker.renamed": "it has its own name",
    "tracker.closed": "a bead is closed in the file, and noted as still to be closed",
    "tracker.forgotten": "it is noted no more",
    "retention.events_gone": "a slice of old notes is gone, with its counts",
    "retention.evidence_gone": "a page of old evidence is gone",
    "retention.ref_gone": "the ref of one old attempt is gone, others are not",
    "resume.begun": "before anything is recovered",
    "resume.completed": "an intent was completed: its line had moved",
    "resume.dropped": "an intent was dropped: its line had not moved",
    "resume.left": "a bead has left its landing, its candidate's ref is still there",
    "resume.landings_over": "no landing is left",
    "resume.candidate_gone": "the ref of a candidate is gone",
    "resume.harvested": "the work in one folder is held by a ref, the folder is gone",
    "resume.pruned": "nothing holds the starts of workspaces any more",
    "resume.lease_ended": "one claim of the dead daemon has ended",
    "resume.recovered": "everything is recovered, and nothing new has begun",
}
"""Every point, and how things stand there."""

action: Callable[[str], None] | None = None
"""What is done at each point; None: nothing."""


def point(name: str) -> None:
    """Come by `name`, one of `POINTS`."""
    if action is not None:
        action(name)


def arm(wanted: str | None) -> None:
    """Die at `NAME` or at the n-th passage of `NAME:n`; of nothing, if nothing is wanted.

    `UsageError` for a name that there is not.
    """
    global action
    action = _Death(*_parsed(wanted)) if wanted else None


class _Death:
    def __init__(self, name: str, passages: int) -> None:
        self._name = name
        self._left = passages

    def __call__(self, name: str) -> None:
        assert name in POINTS, name
        self._left -= name == self._name
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)


def _parsed(wanted: str) -> tuple[str, int]:
    name, _, n = wanted.partition(":")
    if name not in POINTS:
        near = difflib.get_close_matches(name, POINTS, 1)
        raise UsageError(
            f"{VARIABLE}={wanted}: there is no point {name}.",
            safe="Nothing was started.",
            hint=f"Did you mean {near[0]}?" if near else "They are listed in docs/testing.md.",
        )
    if n and not (n.isdecimal() and int(n)):
        raise UsageError(
            f"{VARIABLE}={wanted}: {n} is not a number above 0.", safe="Nothing was started."
        )
    return name, int(n or 1)
