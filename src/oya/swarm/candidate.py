"""A candidate: the exact commit that is proven, and then lands."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oya.gates.globs import among
from oya.gates.model import Evidence
from oya.gates.protected import NOT_LANDED
from oya.lifecycle.model import BeadState, Role
from oya.repository.encode import encode
from oya.repository.port import Merged
from oya.swarm.assembly import Parts
from oya.swarm.config import PLACEHOLDERS
from oya.swarm.contract import Contract
from oya.swarm.line import Line

CANDIDATES = "refs/oya/candidates"
DEFAULT_MESSAGE = "{title}\n\n{description}"
_WROTE = (Role.TEST_WRITER, Role.IMPLEMENTER)
_PLACEHOLDER = re.compile(rf"\{{({'|'.join(PLACEHOLDERS)})\}}")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A squashed commit on `base`, with the evidence that it is green.

    `closed`: git tracks the tracker's file, so that the commit itself closes the bead.
    `proven`: the commit that the evidence is of, where that is another one, further up.
    `helped`: how git's own help has resolved what conflicted with `base`, for a person.
    """

    commit: str
    base: str
    tree: str
    closed: bool
    evidence: tuple[Evidence, ...] = ()
    proven: str = ""
    helped: tuple[str, ...] = ()


def intent_of(
    landing: Sequence[tuple[str, Candidate]], candidate: str, swarm: str, line: Line
) -> dict[str, Any]:
    """What must be durable before anything moves: beads and their commits, each on the one before;
    none where the user's commits are merged. `candidate` is where the line is to move to.
    """
    return {
        "beads": [
            {
                "bead": bead,
                "commit": candidate.commit,
                "closed": candidate.closed,
                # Where no gate is configured, nothing was run.
                "evidence": [e.key for e in candidate.evidence if e.command],
                "proven": candidate.proven,
                "helped": list(candidate.helped),
            }
            for bead, candidate in landing
        ],
        "swarm": swarm,
        "parent": line.base,
        "candidate": candidate,
        "line": line.ref,
        "from": line.tip,
        "branch": line.branch,
        "remote": line.remote,
    }


def landings_of(intent: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The beads that an intent is about, as `intent_of` wrote them, or versions before it."""
    about = intent["beads"]
    if not about or isinstance(about[0], dict):
        return list(about)
    rest = {"closed": False, "evidence": [], "candidate": "", **intent}
    known = {"commit": rest["candidate"], "closed": rest["closed"], "evidence": rest["evidence"]}
    return [{"bead": bead, "proven": "", **known} for bead in about]


def beads_of(intents: Iterable[Mapping[str, Any]]) -> list[str]:
    """The beads that these intents are about."""
    return [one["bead"] for intent in intents for one in landings_of(intent)]


def candidate_ref(bead: str) -> str:
    """The ref that holds a candidate until it has landed."""
    return f"{CANDIDATES}/{encode(bead)}"


async def build_candidate(
    parts: Parts,
    state: BeadState,
    contract: Contract,
    base: str,
    merged: Merged,
    closing: dict[str, bytes] | None,
) -> Candidate:
    """One squashed commit of a bead on `base`: what both came to, and the tracker's file with the
    bead closed."""
    tree = merged.tree
    stray = [c.path for c in await parts.repo.diff(base, tree) if among(c.path, NOT_LANDED)]
    if stray:
        tree = await parts.repo.take_paths(tree, base, stray)
    if closing:
        tree = await parts.repo.write_tree(tree, closing)
    message = commit_message(parts, state, contract)
    commit = await parts.repo.commit_tree(tree, (base,), message)
    return Candidate(commit, base, tree, closed=closing is not None, helped=merged.helped)


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
    said: dict[str, Any] = {"base": candidate.base, "evidence": rows}
    said |= {"proven": candidate.proven} if candidate.proven else {}
    said |= {"helped": candidate.helped} if candidate.helped else {}
    return json.dumps(said, indent=1)
