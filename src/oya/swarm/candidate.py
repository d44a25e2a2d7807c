"""A candidate: the exact commit that is proven, and then lands."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from oya.gates.model import Evidence
from oya.lifecycle.model import BeadState, Role
from oya.repository.encode import encode
from oya.swarm.assembly import Parts
from oya.swarm.contract import Contract
from oya.swarm.line import Line

OWN = (".oya", ".beads")
"""Folders in which no agent's edit gets into an accepted tree."""

CANDIDATES = "refs/oya/candidates"
DEFAULT_MESSAGE = "{title}\n\n{description}"
_WROTE = (Role.TEST_WRITER, Role.IMPLEMENTER)
_PLACEHOLDER = re.compile(r"\{(id|title|description)\}")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A squashed commit on `base`, with the evidence that it is green.

    `closed`: git tracks the tracker's file, so that the commit itself closes the bead.
    """

    commit: str
    base: str
    tree: str
    closed: bool
    evidence: tuple[Evidence, ...] = ()

    def intent(self, bead: str, swarm: str, line: Line) -> dict[str, Any]:
        """What must be durable before anything moves."""
        return {
            "beads": [bead],
            "swarm": swarm,
            "parent": self.base,
            "candidate": self.commit,
            "closed": self.closed,
            "line": line.ref,
            "from": line.tip,
            "branch": line.branch,
            "evidence": [e.key for e in self.evidence if e.command],  # else no gate is configured
        }


def candidate_ref(bead: str) -> str:
    """The ref that holds a candidate until it has landed."""
    return f"{CANDIDATES}/{encode(bead)}"


async def build_candidate(
    parts: Parts,
    state: BeadState,
    contract: Contract,
    base: str,
    tree: str,
    closing: dict[str, bytes] | None,
) -> Candidate:
    """One squashed commit of a bead on `base`; `closing` is the tracker's file without it."""
    stray = [c.path for c in await parts.repo.diff(base, tree) if c.path.split("/")[0] in OWN]
    if stray:
        tree = await parts.repo.take_paths(tree, base, stray)
    if closing:
        tree = await parts.repo.write_tree(tree, closing)
    message = commit_message(parts, state, contract)
    commit = await parts.repo.commit_tree(tree, (base,), message)
    return Candidate(commit, base, tree, closed=closing is not None)


def commit_message(parts: Parts, state: BeadState, contract: Contract) -> str:
    """Title, what for, and the trailers that lead back to the bead."""
    bead = parts.board.bead(state.id)
    values = {
        "id": bead.id,
        "title": " ".join(bead.title.split()) or bead.id,
        "description": bead.description.strip(),
    }
    template = parts.settings.landing.message or DEFAULT_MESSAGE
    text = _PLACEHOLDER.sub(lambda found: values[found[1]], template)
    trailers = [
        ("Bead", encode(bead.id)),
        ("Swarm", parts.swarm),
        ("Contract", contract.hash),
        ("Contract-Kind", contract.kind),
    ]
    if contract.changes:
        trailers.append(("Changes", ", ".join(contract.changes)))
    backends = sorted({parts.backend_of(role) for role in _WROTE})
    trailers += [("Co-authored-by", f"{name} <{name}@agents.invalid>") for name in backends]
    lines = "\n".join(f"{key}: {' '.join(value.split())}" for key, value in trailers)
    return f"{text.strip()}\n\n{lines}\n".replace("\0", "")  # which no commit can hold


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
