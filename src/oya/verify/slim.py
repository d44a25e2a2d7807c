"""As much of an event and of a state as the promises read: a long history must fit in memory."""

from __future__ import annotations

from sys import intern

from oya.verify.history import Row

STATE_FIELDS = (
    *("phase", "checking", "status", "blocked", "reason", "epoch", "version", "claims"),
    *("retry_count", "contests", "rebases", "revisions", "done_claims"),
    *("base", "contract", "implementation", "reviewed", "commit"),
)
"""What is read of a bead's final state."""
SWARM_FIELDS = ("status", "branch", "landed_beads", "gate_runs", "failures")
"""What is read of a swarm's final state; the branch is for whoever looks for its line."""

_DATA = frozenset(
    {
        *(
            "base",
            "commit",
            "snapshot",
            "head",
            "evidence",
            "proven",
            "red",
            "fail_to_pass",
            "cannot",
        ),
        *(
            "key",
            "tree",
            "ok",
            "empty",
            "failure",
            "used",
            "target",
            "limits",
            "gates",
            "prove",
            *("retention", "beads", "hold", "kind", "unattended", "baseline"),
        ),
    }
)
_NOTHING: tuple[object, ...] = (None, "", [], {})
_NAMES = ("swarm", "bead", "event", "from", "to", "class", "agent")
_TIMED = frozenset(
    {
        *("swarm_starting", "swarm_continued", "swarm_stopping", "swarm_stopped"),
        *("swarm_completed", "swarm_failed", "claimed", "attempt_failed", "lease_expired"),
        *("landed", "undone", "removed", "reopened", "unblocked"),
    }
)
_NO_DATA: Row = {}


def slim(row: Row) -> Row:
    """The event without what no promise reads; names that come again and again are one string."""
    event = row["event"]
    kept: dict[str, object] = {"seq": row["seq"], "epoch": row["epoch"]}
    kept["at"] = row["at"] if event in _TIMED else ""
    # The gate's name, and whether a bead was closed or deleted; a sentence elsewhere.
    kept["reason"] = row["reason"] if event in ("gate_ran", "removed") else None
    for name in _NAMES:
        kept[name] = _once(row[name])
    data = row["data"].items()
    read = {key: _once(value) for key, value in data if _is_read(key, value)}
    kept["data"] = read or _NO_DATA
    return kept


def _is_read(key: str, value: object) -> bool:
    """No beads are all of them, which is not the same as nothing said; nor are no kinds."""
    return key in _DATA and (value not in _NOTHING or key in ("beads", "unattended"))


def _once(value: object) -> object:
    return intern(value) if type(value) is str else value
