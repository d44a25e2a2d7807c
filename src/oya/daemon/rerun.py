"""The gates of every landed commit once more, for `oya verify --rerun`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import Any

from oya.clock import SystemClock
from oya.gates.green import judge_implementation
from oya.gates.model import Evidence
from oya.repository.places import Place
from oya.store.store import Store
from oya.swarm.assembly import build_gates
from oya.swarm.config import load
from oya.verify import Commit


async def prove(
    place: Place, store: Store, commits: Iterable[Commit]
) -> AsyncIterator[dict[str, Any]]:
    """For each commit {"commit", "bead", "ok", "red", "seconds"}, by the gates as configured now.

    Neither reads nor leaves evidence, and makes no event. `ConfigError` where the configuration
    cannot be read.
    """
    settings = load(place.root / ".oya/swarm.toml", {}, complete=False)
    place.make_folders()
    gates = build_gates(settings, place, store, SystemClock(), book=_Nothing())
    for commit in commits:
        runs = (gates.tests, gates.quick, gates.ci)
        ran = await asyncio.gather(*(run(commit.id, fresh=True) for run in runs))
        contract = await store.contracts.get(commit.bead) or {}
        # Where tests may be red that were so before, only the bead's own can be told by this tree.
        judged = () if settings.no_worse else ran
        red = [_red(evidence) for evidence in judged if not evidence.ok and not evidence.empty]
        red = list(dict.fromkeys((*red, *_own(ran[0], contract))))
        yield {
            "commit": commit.id,
            "bead": commit.bead,
            "ok": not red,
            "red": red,
            "seconds": round(sum(evidence.seconds for evidence in ran), 1),
        }


class _Nothing:
    """A book that knows nothing and keeps nothing."""

    async def get(self, key: str) -> dict[str, Any] | None:
        return None

    async def record(self, evidence: Evidence, row: dict[str, Any] | None) -> None:
        return None


def _red(evidence: Evidence) -> str:
    named = evidence.report.red if evidence.report and not evidence.report.exit_only else ()
    return f"{evidence.gate} ({', '.join(named[:5])})" if named else evidence.gate


def _own(tests: Evidence, contract: dict[str, Any]) -> list[str]:
    """Planned tests of the bead that are not there, or did not pass."""
    if tests.report is None or tests.report.exit_only:
        return []
    owed = (*contract.get("fail_to_pass", ()), *contract.get("guards", ()))
    return [f.partition("\n")[0] for f in judge_implementation(tests.report, owed, (), ())]
