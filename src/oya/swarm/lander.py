"""LanderActor: reviewed beads become commits on the line, one at a time, each proven first.

The order of steps is the promise: intent durable, line moved, landed recorded, checkout
follows, tracker told. After a crash `resume.finish_landings` picks it up at any of them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

import structlog

from oya.actors import Actor, ActorRef
from oya.errors import OyaError, RefusedError, StoreError
from oya.gates.feedback import feedback
from oya.gates.green import judge_implementation
from oya.gates.model import Evidence
from oya.lifecycle.events import Landed, LandingConflicted, LandingLeft, LandingStarted, Undone
from oya.lifecycle.model import BeadState, Phase, Status
from oya.lifecycle.swarm import SwarmState
from oya.store.engine import Delete
from oya.swarm.assembly import Parts
from oya.swarm.candidate import Candidate, build_candidate, candidate_ref, evidence_note
from oya.swarm.contract import Contract
from oya.swarm.judgement import failing_checks, passing
from oya.swarm.line import Line
from oya.swarm.messages import Continue, LanderMessage, LookForReviewed, Pause, Sync, Wake
from oya.swarm.tracking import Tracking

log = structlog.get_logger()

LOOK = 2.0
"""Seconds between two looks at the branch when nothing else happens."""


class Conflict(Exception):
    """The bead does not fit on this base."""

    def __init__(
        self, reason: str, findings: tuple[str, ...] = (), *, contract: bool = False
    ) -> None:
        super().__init__(reason)
        self.event = LandingConflicted(reason, findings, contract)


class LanderActor(Actor[LanderMessage]):
    """One lander per repository and branch."""

    def __init__(
        self, parts: Parts, line: Line, tracking: Tracking, orchestrator: ActorRef[Any]
    ) -> None:
        self._parts = parts
        self._line = line
        self._tracking = tracking
        self._orchestrator = orchestrator
        self._round: asyncio.Task[None] | None = None
        self._again = False

    async def pre_start(self) -> None:
        self.send_every(LOOK, LookForReviewed())
        self.ref.try_tell(LookForReviewed())

    async def handle(self, message: LanderMessage) -> None:
        match message:
            case LookForReviewed():
                self._again = True
                if self._round is None or self._round.done():
                    self._round = self.start(self._rounds(), name="landing")
            case Sync(reply=reply):
                reply.send(await self.sync())

    async def _rounds(self) -> None:
        while self._again:
            self._again = False
            try:
                await self._look()
                while (bead := self._next()) is not None:
                    await self._land(bead)
                    await self._look()
            except StoreError as error:
                log.error("store", error=str(error))
                return
        self._orchestrator.try_tell(Wake())

    async def _look(self) -> None:
        was = self._line.rewritten
        await self._line.refresh()
        if self._line.rewritten and not was:
            words = (
                f"{self._line.branch} was rewritten: it no longer contains what oya last saw "
                "there; oya sync takes it as it is now"
            )
            self._orchestrator.try_tell(Pause("rewritten", words), control=True)
        await self._line.follow()

    def _next(self) -> str | None:
        swarm = self._parts.store.swarms.get(self._parts.swarm)
        if swarm is None or swarm.reached or self._line.rewritten:
            return None
        ready = [
            state.id
            for state in self._parts.store.beads.all().values()
            if state.phase is Phase.LANDING and state.status is Status.PENDING and not state.blocked
        ]
        return next(iter(self._parts.board.order(ready)), None)

    async def _land(self, bead: str) -> None:
        parts = self._parts
        try:
            state = (await parts.apply(bead, LandingStarted(self._line.base))).state
        except RefusedError:
            return
        try:
            candidate = await self._prove(state)
        except Conflict as conflict:
            await parts.apply(bead, conflict.event)
        except asyncio.CancelledError:
            await _finish(parts.apply(bead, LandingLeft("the swarm was stopped")))
            raise
        except OyaError as error:
            await parts.apply(bead, LandingLeft(str(error)))
            await self.clock.sleep(LOOK)
        else:
            # Short, and never half done by a stop: the gates are behind, only refs move now.
            await _finish(self._move(state, candidate))
        self._orchestrator.try_tell(Wake())

    # Proving ------------------------------------------------------------------------------

    async def _prove(self, state: BeadState) -> Candidate:
        parts = self._parts
        contract = await parts.contract(state.id)
        candidate = await self._build(state, contract)
        await parts.repo.cas_ref(
            candidate_ref(state.id),
            candidate.commit,
            await parts.repo.read_ref(candidate_ref(state.id)),
        )
        evidence, findings = await self._judge(state, contract, candidate, fresh=False)
        if findings and await parts.base_red(candidate.base):
            raise OyaError("the base is red")
        if findings:
            await self._judge_again(state, contract, candidate, findings)
        return replace(candidate, evidence=tuple(evidence))

    async def _build(self, state: BeadState, contract: Contract) -> Candidate:
        assert state.reviewed is not None
        merged = await self._parts.repo.merge_tree(self._line.base, state.reviewed)
        if merged.conflicts:
            frozen = set(contract.test_files) & set(merged.conflicts)
            names = ", ".join(merged.conflicts)
            raise Conflict(
                f"conflicts with {self._line.base[:9]} in {names}", contract=bool(frozen)
            )
        closing = await self._tracking.closing(state.id, self._line.base)
        return await build_candidate(
            self._parts, state, contract, self._line.base, merged.tree, closing
        )

    async def _judge(
        self, state: BeadState, contract: Contract, candidate: Candidate, *, fresh: bool
    ) -> tuple[list[Evidence], list[str]]:
        gates = self._parts.gates
        ran: list[Evidence] = []
        for gate in (gates.quick, gates.tests, gates.ci):
            evidence = await gate(candidate.commit, fresh=fresh)
            ran.append(evidence)
            if gate != gates.tests:
                findings = [] if evidence.ok else [feedback(evidence)]
            else:
                findings = await self._judge_report(contract, candidate, evidence)
            if findings:
                return ran, findings
        checks = (*contract.checks, *state.checks)
        return ran, list(await failing_checks(self._parts, candidate.commit, checks))

    async def _judge_report(
        self, contract: Contract, candidate: Candidate, evidence: Evidence
    ) -> list[str]:
        if evidence.report is None:
            return [] if evidence.ok else [feedback(evidence)]
        expected = await passing(self._parts, candidate.base, contract)
        return list(
            judge_implementation(
                evidence.report, contract.fail_to_pass, contract.guards, expected, contract.changes
            )
        )

    async def _judge_again(
        self, state: BeadState, contract: Contract, candidate: Candidate, findings: list[str]
    ) -> None:
        """Red, then green on the same tree is flaky: it lands only if no planned test flickered."""
        _, again = await self._judge(state, contract, candidate, fresh=True)
        if again:
            raise Conflict(f"red on {candidate.base[:9]}: {again[0].splitlines()[0]}", tuple(again))
        await self._parts.store.events.append(
            "flaky",
            swarm=self._parts.swarm,
            bead=state.id,
            reason=findings[0].splitlines()[0],
        )
        if any(test in finding for test in contract.fail_to_pass for finding in findings):
            raise Conflict("its own tests are flaky on the candidate", tuple(findings))

    # Moving -------------------------------------------------------------------------------

    async def _move(self, state: BeadState, candidate: Candidate) -> None:
        parts, bead = self._parts, state.id
        await parts.store.intents.put(bead, candidate.intent(bead, self._line))
        if not await self._line.advance(candidate.commit):
            await parts.store.intents.delete(bead)
            await parts.apply(bead, LandingLeft("the line moved"))
            return
        await record_landed(parts, bead, candidate.commit)
        await self._line.follow()
        await self._tracking.landed(bead, candidate.commit)
        await parts.repo.add_note(candidate.commit, evidence_note(candidate))
        await parts.repo.delete_ref(candidate_ref(bead), candidate.commit)

    async def sync(self) -> dict[str, Any]:
        """`oya sync`: follow now, or say what is in the way; after a rewrite, take the branch."""
        await self._line.refresh()
        if self._line.rewritten:
            await self._line.accept_rewrite()
            await self._hold_undone()
            self._orchestrator.try_tell(Continue("rewritten"), control=True)
        followed = await self._line.follow()
        return {"branch": self._line.branch, "behind": followed.behind, "why": followed.why}

    async def _hold_undone(self) -> None:
        for state in tuple(self._parts.store.beads.all().values()):
            if state.phase is not Phase.LANDED or state.commit is None:
                continue
            if state.status is Status.COMPLETE and not await self._parts.repo.is_ancestor(
                state.commit, self._line.base
            ):
                why = f"{state.commit[:9]} is no longer on {self._line.branch}"
                await self._parts.apply(state.id, Undone(why))


async def record_landed(parts: Parts, bead: str, commit: str) -> None:
    """`landed`, the swarm's counter and the end of the intent, in one commit of the store."""

    def counted(swarm: SwarmState) -> SwarmState:
        return replace(swarm, landed_beads=swarm.landed_beads + 1)

    await parts.apply(
        bead, Landed(commit), agent="lander", also=(Delete("intents", bead),), on_swarm=counted
    )


async def _finish(work: Coroutine[Any, Any, Any]) -> None:
    """Run `work` to its end even if the caller is cancelled meanwhile, then be cancelled."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait((task,))
        raise
