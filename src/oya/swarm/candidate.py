"""A candidate: the exact commit that is proven, and then lands."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from oya.gates.model import Evidence
from oya.lifecycle.model import BeadState
from oya.repository.encode import encode
from oya.swarm.assembly import Parts
from oya.swarm.contract import Contract
from oya.swarm.line import Line

OWN = (".oya/", ".beads/")
"""Folders in which no agent's edit gets into an accepted tree."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A squashed commit on `base`, with the evidence that it is green."""

    commit: str
    base: str
    tree: str
    evidence: tuple[Evidence, ...] = ()

    def intent(self, bead: str, line: Line) -> dict[str, Any]:
        """What must be durable before anything moves."""
        return {
            "beads": [bead],
            "parent": self.base,
            "candidate": self.commit,
            "line": line.ref,
            "from": line.tip,
            "branch": line.branch,
            "evidence": [e.key for e in self.evidence],
        }


def candidate_ref(bead: str) -> str:
    """The ref that holds a candidate until it has landed."""
    return f"refs/oya/candidates/{encode(bead)}"


async def build_candidate(
    parts: Parts,
    state: BeadState,
    contract: Contract,
    base: str,
    tree: str,
    closing: dict[str, bytes],
) -> Candidate:
    """One squashed commit of a bead on `base`; `closing` is the tracker's file without it."""
    stray = [c.path for c in await parts.repo.diff(base, tree) if c.path.startswith(OWN)]
    if stray:
        tree = await parts.repo.take_paths(tree, base, stray)
    if closing:
        tree = await parts.repo.write_tree(tree, closing)
    message = commit_message(parts, state, contract)
    commit = await parts.repo.commit_tree(tree, (base,), message)
    return Candidate(commit, base, tree)


def commit_message(parts: Parts, state: BeadState, contract: Contract) -> str:
    """Title, what for, and the trailers that lead back to the bead."""
    bead = parts.board.bead(state.id)
    values = {"id": bead.id, "title": bead.title, "description": bead.description.strip()}
    template = parts.settings.landing.message or "{title}\n\n{description}"
    text = template
    for key, value in values.items():
        text = text.replace("{" + key + "}", value)
    trailers = [
        ("Bead", bead.id),
        ("Swarm", parts.swarm),
        ("Contract", contract.hash),
        ("Contract-Kind", contract.kind),
    ]
    if contract.changes:
        trailers.append(("Changes", ", ".join(contract.changes)))
    backends = sorted({parts.backend_of(role) for role in _wrote(parts)})
    trailers += [("Co-authored-by", f"{name} <{name}@agents.invalid>") for name in backends]
    lines = "\n".join(f"{key}: {' '.join(value.split())}" for key, value in trailers)
    return f"{text.strip()}\n\n{lines}\n"


def _wrote(parts: Parts) -> tuple[Any, ...]:
    from oya.lifecycle.model import Role

    return (Role.TEST_WRITER, Role.IMPLEMENTER)


def evidence_note(candidate: Candidate) -> str:
    """What `refs/notes/oya` says of a landed commit."""
    rows = [
        {
            "gate": e.gate,
            "ok": e.ok,
            "tree": e.tree,
            "key": e.key,
            "seconds": round(e.seconds, 3),
            "cases": len(e.report.cases) if e.report else None,
        }
        for e in candidate.evidence
    ]
    return json.dumps({"base": candidate.base, "evidence": rows}, indent=1)
