"""What an agent is told about its bead: everything the tracker, the store and git know."""

from __future__ import annotations

from oya.agents.prompts import Briefing, Dependency
from oya.lifecycle.model import Phase
from oya.repository.port import Workspace
from oya.swarm.assembly import Parts
from oya.swarm.messages import Claim

MAP_LINES = 300
DIFF_BYTES = 60_000


async def brief(parts: Parts, claim: Claim, workspace: Workspace, base: str) -> Briefing:
    """The briefing of one attempt."""
    state = claim.state
    bead = parts.board.bead(claim.bead)
    contract = await parts.contract(claim.bead) if state.contract else None
    files = sorted(await parts.repo.list_files(workspace.start))
    diff = ""
    if state.phase is Phase.REVIEW or state.checking:
        diff = await parts.repo.diff_text(base, workspace.start, DIFF_BYTES)
    return Briefing(
        bead=bead.id,
        title=bead.title,
        description=bead.description,
        design=bead.design,
        tracker_notes=bead.notes,
        criteria=bead.criteria,
        comments=tuple(f"{c.author}: {c.text}" for c in bead.comments),
        depends=_dependencies(parts, claim.bead),
        findings=(*state.findings, *_unprepared(workspace)),
        notes=state.notes,
        attempt=claim.attempt,
        contract=contract.answer if contract else None,
        conflicts=workspace.conflicts,
        continued=state.snapshot is not None and state.snapshot != state.implementation,
        rework=state.rework,
        diff=diff,
        gates=_gates(parts),
        files=tuple(files[:MAP_LINES]),
        files_total=len(files),
    )


def _unprepared(workspace: Workspace) -> tuple[str, ...]:
    if not workspace.unprepared:
        return ()
    return (
        "the workspace could not be prepared, and no gate can run there so: "
        f"{workspace.unprepared}",
    )


def _gates(parts: Parts) -> tuple[str, ...]:
    """The commands that will judge the work, as they are configured."""
    gates = parts.settings.quality_gates
    tests = (gates.tests.command,) if gates.tests.command else ()
    return tuple(dict.fromkeys((*tests, *gates.quick, *gates.ci)))


def _dependencies(parts: Parts, bead: str) -> tuple[Dependency, ...]:
    found = []
    for other in parts.board.graph.blockers(bead):
        state = parts.store.beads.get(other)
        commit = state.commit if state else None
        found.append(Dependency(other, parts.board.bead(other).title, commit))
    return tuple(found)
