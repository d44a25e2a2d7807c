"""LanderActor: reviewed beads become commits on the line, one at a time, each proven first.

The order of steps is the promise: evidence noted, intent durable, line moved, landed recorded,
checkout follows, tracker told. Whatever ends it in between, `resume.finish_landings` picks it
up: at the next round, or in the next daemon.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import structlog

from oya.actors import Actor, ActorRef
from oya.crashpoints import point
from oya.errors import OyaError, StoreError
from oya.gates.feedback import feedback
from oya.gates.green import judge_implementation, unstable
from oya.gates.model import Evidence
from oya.lifecycle.events import LandingConflicted, LandingLeft, LandingStarted, Undone
from oya.lifecycle.model import BeadState, Phase, Status
from oya.swarm.assembly import Parts
from oya.swarm.candidate import Candidate, build_candidate, candidate_ref, evidence_note
from oya.swarm.contract import Contract
from oya.swarm.judgement import failing_checks, passing
from oya.swarm.line import Line
from oya.swarm.messages import (
    BaseIsRed,
    Continue,
    LanderMessage,
    LookForReviewed,
    Pause,
    Sync,
    Wake,
)
from oya.swarm.resume import finish_landings, record_landed
from oya.swarm.tracking import Tracking
from oya.swarm.work import Work

log = structlog.get_logger()

LOOK = 2.0
"""Seconds between two looks at the branch when nothing else happens."""
LATER_FIRST = 2.0
LATER_LIMIT = 300.0
"""Seconds for which a bead is passed over after something kept it from being proven."""
RED_AGAIN = 900.0
"""Seconds until something is tried again on a base that was red."""


class Out(Exception):
    """The bead leaves the queue by this event."""

    def __init__(self, event: LandingConflicted | LandingLeft) -> None:
        super().__init__(event.reason)
        self.event = event


class LanderActor(Actor[LanderMessage]):
    """One lander per repository and branch."""

    def __init__(
        self,
        parts: Parts,
        line: Line,
        tracking: Tracking,
        orchestrator: ActorRef[Any],
        work: Work,
    ) -> None:
        self._parts = parts
        self._line = line
        self._tracking = tracking
        self._orchestrator = orchestrator
        self._work = work
        self._refs = asyncio.Lock()  # whoever reads the line to move it, or something after it
        self._round: asyncio.Task[None] | None = None
        self._again = False
        self._looked = 0.0
        self._paused: bool | None = None
        self._red: tuple[str, float] | None = None
        self._later: dict[str, tuple[int, float]] = {}
        self._complaint = ""

    async def pre_start(self) -> None:
        self.send_every(LOOK, LookForReviewed())
        self.ref.try_tell(LookForReviewed())

    async def handle(self, message: LanderMessage) -> None:
        match message:
            case LookForReviewed():
                await self._wake()
            case Sync(reply=reply):
                try:
                    reply.send(await self.sync())
                except OyaError as error:
                    reply.fail(error)

    async def _wake(self) -> None:
        self._again = True
        if self._round is None or self._round.done():
            self._round = self.start(self._rounds(), name="landing")
        elif self.clock.monotonic() - self._looked >= LOOK:
            # Gates may take half an hour; the branch is watched meanwhile.
            try:
                await self._look()
            except OyaError as error:
                await self._complain(error)

    async def _rounds(self) -> None:
        while self._again:
            self._again = False
            try:
                await self._take_up()
                await self._look()
                while (bead := self._next()) is not None:
                    await self._land(bead)
                    await self._look()
            except OyaError as error:  # store, git: the next look will do
                await self._complain(error)
                return
            self._complaint = ""
        self._orchestrator.try_tell(Wake())

    async def _take_up(self) -> None:
        """What an outage left in the middle is finished before anything else."""
        if self._work.landing:
            await finish_landings(self._parts, "an outage came in the middle")
            await self._line.refresh()
            await self._tracking.landed()

    async def _complain(self, error: OyaError) -> None:
        """Once for each trouble, however often it is met."""
        if str(error) == self._complaint:
            return
        self._complaint = str(error)
        log.error("landing waits", error=str(error))
        with suppress(StoreError):
            await self._parts.store.events.append(
                "warning", swarm=self._parts.swarm, reason=f"landing waits: {error}"
            )

    async def _look(self) -> None:
        self._looked = self.clock.monotonic()
        async with self._refs:
            await self._line.refresh()
            await self._line.follow()
        self._tell_rewritten()

    def _tell_rewritten(self) -> None:
        words = self._line.rewritten
        if bool(words) != self._paused:
            self._paused = bool(words)
            message = Pause("rewritten", words) if words else Continue("rewritten")
            self._orchestrator.try_tell(message, control=True)

    def _next(self) -> str | None:
        if self._reached or self._line.rewritten or self._on_red_base():
            return None
        now = self.clock.monotonic()
        due = (bead for bead in self._work.reviewed() if self._put_off_until(bead) <= now)
        return next(due, None)

    @property
    def _reached(self) -> bool:
        swarm = self._parts.store.swarms.get(self._parts.swarm)
        return swarm is None or swarm.reached

    def _put_off_until(self, bead: str) -> float:
        return self._later.get(bead, (0, 0.0))[1]

    def _on_red_base(self) -> bool:
        if self._red is not None and self._red != (self._line.base, self._red[1]):
            self._red = None
        return self._red is not None and self.clock.monotonic() < self._red[1]

    async def _land(self, bead: str) -> None:
        """From the queue to the line; whatever keeps the bead from there is an event."""
        parts = self._parts
        try:
            state = (await parts.apply(bead, LandingStarted(self._line.base))).state
            point("landing.started")
            candidate = await self._prove(state)
            point("landing.proven")
            # Short, and never half done by a stop: the gates are behind, only refs move now.
            await _finish(self._move(state, candidate))
        except Out as out:
            await parts.repo.delete_ref(candidate_ref(bead))
            point("landing.refused")
            await parts.apply(bead, out.event)
        except asyncio.CancelledError:
            await _finish(self._give_up())
            raise
        except StoreError:
            raise
        except OyaError as error:
            self._put_off(bead)
            await finish_landings(parts, str(error))
        self._orchestrator.try_tell(Wake())

    async def _give_up(self) -> None:
        try:
            await finish_landings(self._parts, "the swarm was stopped")
        except OyaError as error:
            log.warning("landing is left as it is", error=str(error))

    def _put_off(self, bead: str) -> None:
        times = self._later.get(bead, (0, 0.0))[0]
        seconds = min(LATER_FIRST * 2**times, LATER_LIMIT)
        self._later[bead] = (times + 1, self.clock.monotonic() + seconds)

    # Proving ------------------------------------------------------------------------------

    async def _prove(self, state: BeadState) -> Candidate:
        parts = self._parts
        contract = await parts.contract(state.id)
        candidate = await self._build(state, contract)
        await parts.repo.set_ref(candidate_ref(state.id), candidate.commit)
        point("landing.held")
        evidence, findings = await self._judge(state, contract, candidate, fresh=False)
        if findings:
            await self._blame_base(candidate.base)
            evidence = await self._judge_again(state, contract, candidate, evidence, findings)
        return replace(candidate, evidence=tuple(evidence))

    async def _build(self, state: BeadState, contract: Contract) -> Candidate:
        assert state.reviewed is not None and state.base is not None
        base = state.base
        merged = await self._parts.repo.merge_tree(base, state.reviewed)
        if merged.conflicts:
            own = not set(contract.test_files).isdisjoint(merged.conflicts)
            why = f"conflicts with {base[:9]} in {', '.join(merged.conflicts)}"
            raise Out(LandingConflicted(why, contract=own))
        closing = await self._tracking.closing(state.id, base)
        return await build_candidate(self._parts, state, contract, base, merged.tree, closing)

    async def _judge(
        self, state: BeadState, contract: Contract, candidate: Candidate, *, fresh: bool
    ) -> tuple[list[Evidence], list[str]]:
        gates, commit = self._parts.gates, candidate.commit
        quick, tests, ci = await _side_by_side(
            gates.quick(commit, fresh=fresh, urgent=True),
            gates.tests(commit, fresh=fresh, urgent=True),
            gates.ci(commit, fresh=fresh, urgent=True),
        )
        ran = [quick, tests, ci]
        findings = [] if quick.ok else [feedback(quick)]
        findings = findings or await self._judge_report(contract, candidate, tests)
        for evidence in (tests, ci):
            if not findings and not evidence.ok and not evidence.empty:
                findings = [feedback(evidence)]
        if findings:
            return ran, findings
        checks = (*contract.checks, *state.checks)
        return ran, list(await failing_checks(self._parts, commit, checks))

    async def _judge_report(
        self, contract: Contract, candidate: Candidate, evidence: Evidence
    ) -> list[str]:
        if evidence.report is None:
            return []
        expected = await passing(self._parts, candidate.base, contract)
        return list(
            judge_implementation(
                evidence.report, contract.fail_to_pass, contract.guards, expected, contract.changes
            )
        )

    async def _blame_base(self, base: str) -> None:
        red = await self._parts.base_red(base)
        if not red:
            return
        self._red = (base, self.clock.monotonic() + RED_AGAIN)
        words = f"the base is red: {', '.join(red[:5])}"
        self._orchestrator.try_tell(BaseIsRed(base, words), control=True)
        raise Out(LandingLeft(words))

    async def _judge_again(
        self,
        state: BeadState,
        contract: Contract,
        candidate: Candidate,
        before: list[Evidence],
        findings: list[str],
    ) -> list[Evidence]:
        """Red, then green on the same tree is flaky: it lands only if no planned test flickered."""
        evidence, again = await self._judge(state, contract, candidate, fresh=True)
        if again:
            why = f"red on {candidate.base[:9]}: {again[0].splitlines()[0]}"
            raise Out(LandingConflicted(why, tuple(again)))
        await self._parts.store.events.append(
            "flaky",
            swarm=self._parts.swarm,
            bead=state.id,
            reason=findings[0].splitlines()[0],
        )
        # By the reports: findings of another gate come first, and hide a red test.
        if _flickered(before, evidence, contract):
            raise Out(
                LandingConflicted("its own tests are flaky on the candidate", tuple(findings))
            )
        return evidence

    # Moving -------------------------------------------------------------------------------

    async def _move(self, state: BeadState, candidate: Candidate) -> None:
        parts, bead = self._parts, state.id
        async with self._refs:
            await self._require_same_world(bead, candidate)
            await parts.repo.add_note(candidate.commit, evidence_note(candidate))
            point("landing.noted")
            intent = candidate.intent(bead, parts.swarm, self._line)
            await parts.store.intents.put(bead, intent)
            point("landing.intended")
            if not await self._line.advance(candidate.commit):
                await finish_landings(parts, "the line moved")
                return
            point("landing.line_moved")
            await record_landed(parts, bead, intent)
            point("landing.landed")
            await parts.repo.delete_ref(candidate_ref(bead))
            point("landing.ref_gone")
            await self._line.follow()
            point("landing.followed")
        await self._tracking.landed()

    async def _require_same_world(self, bead: str, candidate: Candidate) -> None:
        """While the gates ran, the user may have committed, or changed their mind."""
        await self._line.refresh()
        if self._line.rewritten or self._line.base != candidate.base:
            raise Out(LandingLeft("the base moved"))
        if self._reached:
            raise Out(LandingLeft("the target was lowered, and is reached"))
        if self._tracking.differs(bead):
            self._put_off(bead)
            raise Out(LandingLeft("it was changed in the tracker"))

    async def sync(self) -> dict[str, Any]:
        """`oya sync`: follow now, or say what is in the way; after a rewrite, take the branch."""
        async with self._refs:
            await self._line.refresh()
            if self._line.rewritten and self._line.upstream is not None:
                await self._hold_undone(self._line.upstream)
                await self._line.accept_rewrite()
                await self._tracking.refresh()  # before claims go on: who needs what was undone?
            followed = await self._line.follow(asked=True)
        self._tell_rewritten()
        return {"branch": self._line.branch, "behind": followed.behind, "why": followed.why}

    async def _hold_undone(self, tip: str) -> None:
        for state in tuple(self._parts.store.beads.all().values()):
            if state.phase is not Phase.LANDED or state.commit is None:
                continue
            if state.status is Status.COMPLETE and not await self._parts.repo.is_ancestor(
                state.commit, tip
            ):
                why = f"{state.commit[:9]} is no longer on {self._line.branch}"
                await self._parts.apply(state.id, Undone(why))


def _flickered(
    before: Sequence[Evidence], after: Sequence[Evidence], contract: Contract
) -> tuple[str, ...]:
    """The contract's own tests whose verdict was not the same in two runs of all gates."""
    pairs = zip(before, after, strict=True)
    reports = [(one.report, two.report) for one, two in pairs if one.report and two.report]
    return tuple(test for pair in reports for test in unstable(pair, contract.fail_to_pass))


async def _side_by_side(*gates: Awaitable[Evidence]) -> list[Evidence]:
    """All of them; if one fails, not before the others have ended as well."""
    ended = await asyncio.gather(*gates, return_exceptions=True)
    for one in ended:
        if isinstance(one, BaseException):
            raise one
    return [one for one in ended if isinstance(one, Evidence)]


async def _finish(work: Coroutine[Any, Any, Any]) -> None:
    """Run `work` to its end even if the caller is cancelled meanwhile, then be cancelled."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait((task,))
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("landing ended while it was stopped", error=str(error))
        raise
