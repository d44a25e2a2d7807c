"""The stack of the landing queue: reviewed beads, each a commit on the one before it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from oya.lifecycle.queue import Decision, decide
from oya.swarm.candidate import Candidate
from oya.swarm.proof import Promised, Proof


@dataclass(eq=False)
class Member:
    """A bead in the stack, or one that left it as a suspect: its commit, and what is known of
    it. `since` is the commit below its batch: what lies between may have no proof of its own.
    `run` is the proof that is being made."""

    promised: Promised
    candidate: Candidate
    since: str | None = None
    proof: Proof | None = None
    run: asyncio.Task[Proof] | None = None

    @property
    def bead(self) -> str:
        return self.promised.bead


@dataclass
class Stack:
    """Members from the base upwards, in batches that end at `ends` (counted from 1)."""

    members: list[Member] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.members)

    def tip(self, base: str) -> str:
        """The commit that the next member stands on."""
        return self.members[-1].candidate.commit if self.members else base

    def put(self, batch: Sequence[Member]) -> None:
        """One more batch on top."""
        for member in batch:
            member.since = batch[0].candidate.base
        if batch:
            self.members.extend(batch)
            self.ends.append(len(self.members))

    def decide(self) -> Decision:
        """What the proofs say."""
        verdicts = {n: m.proof.ok for n, m in enumerate(self.members, 1) if m.proof}
        return decide(self.ends, verdicts, self._hints())

    def upto(self, place: int) -> tuple[Promised, ...]:
        """What the beads up to that place have promised."""
        return tuple(member.promised for member in self.members[:place])

    def proven(self, most: int) -> int:
        """The highest place, at most that one, whose commit is green."""
        places = (n for n, m in enumerate(self.members[:most], 1) if m.proof and m.proof.ok)
        return max(places, default=0)

    def landing(self, place: int) -> list[tuple[str, Candidate]]:
        """The beads up to that place, which is green, each with the evidence that it lands by:
        its own, or where it has none, that of the place."""
        top = self.members[place - 1]
        return [(member.bead, _proven(member, top)) for member in self.members[:place]]

    def shift(self, count: int) -> list[Member]:
        """Take out the lowest ones, which the rest stands on from now on."""
        gone, self.members = self.members[:count], self.members[count:]
        self.ends = [end - count for end in self.ends if end > count]
        return gone

    def clear(self) -> list[Member]:
        """Take out all."""
        return self.shift(len(self.members))

    def _hints(self) -> dict[int, int]:
        places = {member.bead: n for n, member in enumerate(self.members, 1)}
        return {
            n: places[member.proof.accused]
            for n, member in enumerate(self.members, 1)
            if member.proof and member.proof.accused in places
        }


def _proven(member: Member, top: Member) -> Candidate:
    if member.proof and member.proof.ok:
        return replace(member.candidate, evidence=member.proof.evidence)
    assert top.proof is not None
    evidence, commit = top.proof.evidence, top.candidate.commit
    return replace(member.candidate, evidence=evidence, proven=commit)


async def end(members: Iterable[Member]) -> None:
    """Let nothing be proven any more; returns when nothing is. What came of it is not asked."""
    running = [member.run for member in members if member.run]
    for run in running:
        run.cancel()
    for run in running:
        await ended(run)


async def ended(run: asyncio.Task[Proof]) -> None:
    """Wait for what was told to end; what came of it is not asked."""
    await asyncio.wait((run,))
    if not run.cancelled():
        run.exception()
