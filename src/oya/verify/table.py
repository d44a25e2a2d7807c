"""What may happen to a bead: the table of docs/semantics.md "Bead life", written down once more.

Nothing here is made from the table that decides (lifecycle/table.py): a test holds the two
against each other, so that an error in one of them shows.
"""

from __future__ import annotations

from collections.abc import Iterator

WORK = ("contract", "contract:check", "implementation", "review")
"""The phases that agents work in."""
RESULTS = {
    "contract_accepted": "contract",
    "check_accepted": "contract:check",
    "check_revised": "contract:check",
    "implementation_accepted": "implementation",
    "defended": "review",
    "contested": "review",
    "forfeited": "review",
    "landed": "landing",
}
"""Results that are accepted, and the phase each of them ends."""
ENDS = frozenset(RESULTS) - {"landed"} | {
    "review_stalled",
    "attempt_failed",
    "lease_expired",
    "cannot_do",
}
"""Events that end an attempt."""
COUNTS = frozenset({"agent_crash", "agent_stuck", "agent_empty", "gate_red", "contract_broken"})
"""Failure classes that use up an attempt."""

_ROWS: tuple[tuple[str, str | None, str], ...] = (
    ("added", None, "contract/pending"),
    # A result that is accepted
    ("contract_accepted", "contract/in_progress", "contract:check/pending"),
    ("contract_accepted", "contract/in_progress", "implementation/pending"),
    ("check_accepted", "contract:check/in_progress", "implementation/pending"),
    ("check_revised", "contract:check/in_progress", "contract/pending"),
    ("check_revised", "contract:check/in_progress", "implementation/pending"),
    ("implementation_accepted", "implementation/in_progress", "review/pending"),
    ("implementation_accepted", "implementation/in_progress", "landing/pending"),
    ("implementation_accepted", "implementation/in_progress", "landing/held"),
    ("defended", "review/in_progress", "landing/pending"),
    ("defended", "review/in_progress", "landing/held"),
    ("contested", "review/in_progress", "implementation/pending"),
    ("contested", "review/in_progress", "review/failed"),
    ("forfeited", "review/in_progress", "contract/pending"),
    ("forfeited", "review/in_progress", "review/failed"),
    ("review_stalled", "review/in_progress", "review/held"),
    # An attempt that ends without one
    ("attempt_failed", "contract/in_progress", "contract/failed"),
    ("attempt_failed", "contract:check/in_progress", "implementation/pending"),
    ("attempt_failed", "implementation/in_progress", "implementation/failed"),
    ("attempt_failed", "implementation/in_progress", "review/pending"),
    ("attempt_failed", "review/in_progress", "review/failed"),
    ("cannot_do", "contract/in_progress", "contract/held"),
    ("cannot_do", "implementation/in_progress", "contract/pending"),
    ("cannot_do", "implementation/in_progress", "implementation/held"),
    ("cannot_do", "implementation/in_progress", "implementation/pending"),
    ("cannot_do", "implementation/in_progress", "implementation/failed"),
    ("cannot_do", "implementation/in_progress", "review/pending"),
    ("cannot_do", "review/in_progress", "contract/pending"),
    ("cannot_do", "review/in_progress", "review/held"),
    # Landing, and what comes after it
    ("withheld", "landing/pending", "landing/held"),
    ("landing_started", "landing/pending", "landing/in_progress"),
    ("landed", "landing/in_progress", "landed/complete"),
    ("landing_left", "landing/in_progress", "landing/pending"),
    ("landing_conflicted", "landing/in_progress", "implementation/pending"),
    ("landing_conflicted", "landing/in_progress", "contract/pending"),
    ("landing_conflicted", "landing/in_progress", "landing/failed"),
    ("undone", "landed/complete", "landed/held"),
    # A person
    ("approved", "landing/held", "landing/pending"),
    ("rejected", "landing/held", "implementation/pending"),
    ("released", "landing/held", "landing/held"),
    ("retried", "landed/held", "contract/pending"),
    ("retried", "contract/held", "contract/pending"),
    ("retried", "implementation/held", "implementation/pending"),
    ("retried", "review/held", "review/pending"),
    ("retried", "contract/failed", "contract/pending"),
    ("retried", "implementation/failed", "implementation/pending"),
    ("retried", "review/failed", "review/pending"),
    ("retried", "landing/failed", "landing/pending"),
)


def _work(phase: str) -> Iterator[tuple[str, str | None, str]]:
    """What all four phases of work have in common."""
    yield "claimed", f"{phase}/pending", f"{phase}/in_progress"
    for end in ("attempt_failed", "lease_expired"):
        yield end, f"{phase}/in_progress", f"{phase}/pending"
        for gone in ("pending", "held", "removed"):  # told to go, and now it is gone
            yield end, f"{phase}/{gone}", f"{phase}/{gone}"


def _before_landed(phase: str) -> Iterator[tuple[str, str | None, str]]:
    """The rows "any before landed". A landing under way is finished before any of them."""
    there = ["pending", "held"]
    there += ["in_progress"] if phase != "landing" else []
    there += ["failed"] if phase != "contract:check" else []
    for status in there:
        yield "held_by_person", f"{phase}/{status}", f"{phase}/held"
        yield "removed", f"{phase}/{status}", f"{phase}/removed"
        if (phase, status) != ("contract:check", "held"):  # only a person holds it there
            yield "edited", f"{phase}/{status}", "contract/pending"
        rest = "pending" if status == "in_progress" else status
        yield "blocked", f"{phase}/{status}", f"{phase}/{rest}"
    for status in {*there, "removed"} - {"in_progress"}:
        yield "unblocked", f"{phase}/{status}", f"{phase}/{status}"
    yield "edited", f"{phase}/held", "contract/held"
    yield "released", f"{phase}/held", f"{phase}/pending"
    yield "reopened", f"{phase}/removed", "contract/pending"


ALLOWED = frozenset(
    (
        *_ROWS,
        *(row for phase in WORK for row in _work(phase)),
        *(row for phase in (*WORK, "landing") for row in _before_landed(phase)),
    )
)
"""Every (event, from, to) that docs/semantics.md allows."""

SWARM = frozenset(
    {
        ("swarm_running", "starting", "running"),
        ("swarm_running", "paused", "running"),
        ("swarm_paused", "running", "paused"),
        ("swarm_stopping", "running", "stopping"),
        ("swarm_stopping", "paused", "stopping"),
        ("swarm_stopping", "starting", "stopping"),
        ("swarm_stopped", "stopping", "stopped"),
        ("swarm_completed", "stopping", "completed"),
        ("swarm_failed", "stopping", "failed"),
        # cut short
        *(
            (f"swarm_{end}", before, end)
            for end in ("stopped", "failed")
            for before in ("starting", "running", "paused")
        ),
    }
)
"""Every (event, from, to) of a swarm's life, its starts apart."""
