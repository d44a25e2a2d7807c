"""What a person has committed beside the line enters it as a merge that went through the gates."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from oya.swarm.assembly import Parts
from oya.swarm.candidate import CANDIDATES, intent_of
from oya.swarm.line import Line, Merge
from oya.swarm.proof import Proof, prove
from oya.swarm.stack import ended

MERGING = f"{CANDIDATES}/merge%"
"""Holds such a merge until it has landed; no bead has that name."""


@dataclass
class TakingIn:
    """At most one merge of the branch into the line at a time; `run` is its proof.

    `refs` is held by whoever reads the line to move it.
    """

    parts: Parts
    line: Line
    refs: asyncio.Lock
    run: asyncio.Task[Proof] | None = None
    _merge: Merge | None = None

    @property
    def wanted(self) -> bool:
        """Whether there is something to take in, or it is being proven."""
        return self.run is not None or self.line.wants_merge

    @property
    def stands(self) -> bool:
        """Whether what is being proven still stands on the line. That the branch goes on does not
        make it void: the next merge has the rest, and gates may take longer than a person."""
        return self._merge is None or self._merge.parents[0] == self.line.tip

    async def begin(self) -> None:
        """Merge, and have it proven; where it conflicts, the line goes on without."""
        merge = await self.line.merge()
        if merge.commit is None:
            self.line.leave_out(merge, f"conflicts in {', '.join(merge.conflicts)}")
            return
        await self.parts.repo.set_ref(MERGING, merge.commit)
        self._merge = merge
        self.run = asyncio.ensure_future(prove(self.parts, merge.parents[0], merge.commit, ()))

    async def end(self) -> None:
        """The proof is there: the line moves to the merge, or goes on without it."""
        assert self.run is not None and self._merge is not None
        run, merge = self.run, self._merge
        self.run = self._merge = None
        try:
            await self._judge(merge, run.result())
        finally:
            await self.parts.repo.delete_ref(MERGING)

    async def _judge(self, merge: Merge, proof: Proof) -> None:
        if proof.ok:
            await self._move(merge, str(merge.commit), proof)
            return
        red = next((e.report.red for e in proof.evidence if e.report and e.report.red), ())
        first = proof.findings[0].splitlines()[0]
        self.line.leave_out(merge, f"red: {', '.join(red[:5]) or first}")

    async def drop(self) -> None:
        """Nothing is being taken in any more."""
        if self.run is None:
            return
        run, self.run, self._merge = self.run, None, None
        run.cancel()
        await ended(run)
        await self.parts.repo.delete_ref(MERGING)

    async def _move(self, merge: Merge, commit: str, proof: Proof) -> None:
        store, swarm = self.parts.store, self.parts.swarm
        async with self.refs:
            await self.line.refresh()
            on, of = merge.parents
            upstream = self.line.upstream
            if self.line.rewritten or on != self.line.tip or upstream is None:
                return
            if not await self.parts.repo.is_ancestor(of, upstream):
                return
            await store.intents.put(commit, intent_of((), commit, swarm, self.line))
            if await self.line.advance(commit):
                ran = [one.key for one in proof.evidence if one.command]
                data = {"commit": commit, "evidence": ran}
                await store.events.append("merged", swarm=swarm, data=data)
            await store.intents.delete(commit)
            await self.line.follow()
