"""The runs of gates in the store: evidence by key, an event and a count for each."""

from __future__ import annotations

from typing import Any

from oya.gates.model import Evidence
from oya.lifecycle.swarm import SwarmState, replace
from oya.store.store import Store
from oya.swarm.meter import Meter

RED_LISTED = 20
"""Red tests that the event of a gate's run names, at most."""


class StoreBook:
    """`gates.port.EvidenceBook` over the store, for the gates of `swarm`, if there is one."""

    def __init__(self, store: Store, meter: Meter, swarm: str | None) -> None:
        self._store = store
        self._meter = meter
        self._swarm = swarm

    async def get(self, key: str) -> dict[str, Any] | None:
        """See `EvidenceBook.get`."""
        return await self._store.evidence.get(key)

    async def record(self, evidence: Evidence, row: dict[str, Any] | None) -> None:
        """See `EvidenceBook.record`: event, count and evidence are one commit."""
        self._meter.add("gates", evidence.seconds, evidence.cpu_seconds)
        self._meter.ran(evidence.gate, evidence.seconds)
        ran, swarm, gate = run_to_json(evidence), self._swarm, evidence.gate
        if row is not None:
            await self._store.evidence.put(
                evidence.key,
                row,
                event="gate_ran",
                swarm=swarm,
                reason=gate,
                data=ran,
                on_swarm=_one_more_run if swarm else None,
            )
        elif swarm is None:
            await self._store.events.append("gate_ran", reason=gate, data=ran)
        else:
            await self._store.swarms.update(
                swarm, _one_more_run, event="gate_ran", reason=gate, data=ran
            )


def run_to_json(evidence: Evidence) -> dict[str, Any]:
    """A run of a gate as its event carries it; of red tests the first 20."""
    ran = {"key": evidence.key, "tree": evidence.tree, "ok": evidence.ok}
    red = evidence.report.red[:RED_LISTED] if evidence.report else ()
    more: dict[str, Any] = {"red": list(red)} if red else {}
    more |= {"empty": True} if evidence.empty else {}
    more |= {"again": True} if evidence.again else {}
    return {**ran, "seconds": round(evidence.seconds, 3), **more}


def _one_more_run(swarm: SwarmState) -> SwarmState:
    return replace(swarm, gate_runs=swarm.gate_runs + 1)
