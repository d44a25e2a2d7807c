"""Small deliberate defects of the real code, each planted at run time.

A safety net is only as good as what it catches: tests/sim/test_mutants.py runs a seed on each
of these and wants a broken promise. `seed` is one that finds it; what to do when none does any
more, because the code has changed, is in docs/testing.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

from oya.actors import Backoff
from oya.errors import StoreError, TrackerError
from oya.gates import gates as gates_module
from oya.gates.evidence import evidence_key
from oya.gates.red import ContractVerdict
from oya.lifecycle import failures, table
from oya.lifecycle import queue as queue_module
from oya.lifecycle.events import Defended, LandingLeft
from oya.lifecycle.failures import FailureClass, Rule
from oya.lifecycle.leases import Leases
from oya.lifecycle.model import BeadState, Phase, Status
from oya.lifecycle.queue import Decision
from oya.lifecycle.swarm import SwarmState
from oya.repository.port import PushEnd
from oya.store.beads import BeadStore
from oya.store.engine import Delete, Put
from oya.store.swarms import change_swarm
from oya.store.writer import Writer
from oya.swarm import assembly, resume
from oya.swarm import attempt as attempt_module
from oya.swarm import landing as landing_module
from oya.swarm import moving as moving_module
from oya.swarm import proof as proof_module
from oya.swarm import stack as stack_module
from oya.swarm import universe as universe_module
from oya.swarm.agents import base as agents_base
from oya.swarm.agents import implementer as implementer_module
from oya.swarm.agents import test_writer as writer_module
from oya.swarm.board import Board
from oya.swarm.candidate import Candidate
from oya.swarm.claims import Claims
from oya.swarm.landing import LandingQueue
from oya.swarm.line import Line, Whereabouts
from oya.swarm.moving import Moving
from oya.swarm.orchestrator import SwarmOrchestratorActor
from oya.swarm.proof import Proof
from oya.swarm.stack import Stack
from oya.swarm.tracking import Tracking
from oya.swarm.work import Work
from oya.testing.simulation.check import breaches
from oya.testing.simulation.plan import Plan, draw
from oya.testing.simulation.run import run

Patches = Callable[[], list[Any]]


@dataclass(frozen=True)
class Mutant:
    """One defect: what it is called, which seed finds it, and the patches that plant it.

    `promise`: the one that has to be broken; "" where any will do.
    """

    name: str
    seed: int
    patches: Patches
    promise: str = ""

    @contextmanager
    def planted(self) -> Iterator[None]:
        """The code has the defect, as long as the block lasts."""
        made = self.patches()
        for one in made:
            one.start()
        try:
            yield
        finally:
            for one in reversed(made):
                one.stop()

    def breaks(self, plan: Plan) -> bool:
        """Whether a run with the defect breaks a promise; one that raises has found nothing."""
        with self.planted():
            try:
                broken = {breach.promise for breach in breaches(run(plan))}
            except Exception:
                return False
        return self.promise in broken if self.promise else bool(broken)


def finds(mutant: Mutant, seed: int) -> bool:
    """Whether a seed breaks a promise with the bug, and none without it."""
    return mutant.breaks(draw(seed)) and not breaches(run(draw(seed)))


MUTANTS: list[Mutant] = []


def mutant(seed: int, promise: str = "") -> Callable[[Patches], Patches]:
    """Register the patches that a function makes, under its name."""

    def register(patches: Patches) -> Patches:
        MUTANTS.append(Mutant(patches.__name__, seed, patches, promise))
        return patches

    return register


def patch(owner: Any, name: str, new: Any) -> Any:
    return mock.patch.object(owner, name, new)


# Leases, epochs, attempts --------------------------------------------------------------------


@mutant(seed=17)
def epoch_is_ignored_on_finish() -> list[Any]:
    def check(state: BeadState, event: Any) -> None:
        if getattr(event, "epoch", None) is None:
            return
        if state.status is not Status.IN_PROGRESS or state.phase is Phase.LANDING:
            raise table._refuse(state, event)

    return [patch(table, "_check_epoch", check)]


@mutant(seed=1)
def epoch_does_not_rise_at_a_second_claim() -> list[Any]:
    real = table._claimed

    def claimed(s: BeadState, ev: Any, limits: Any) -> Any:
        after, effects = real(s, ev, limits)
        return (table.replace(after, epoch=max(s.epoch, 1)) if s.epoch else after), effects

    return [mock.patch.dict(table._ROWS, {table.e.Claimed: claimed})]


@mutant(seed=12)
def a_lease_is_not_renewed_by_its_owner() -> list[Any]:
    return [patch(Leases, "renew", lambda *_: False)]


@mutant(seed=4)
def a_lease_is_taken_over_by_whoever_was_there_before() -> list[Any]:
    """The end of an old attempt takes the lease of the new one with it."""

    def end(self: Leases, bead: str, epoch: int) -> None:
        self._held.pop(bead, None)

    return [patch(Leases, "end", end)]


@mutant(seed=48)
def orphans_are_not_looked_for() -> list[Any]:
    async def nothing(self: Claims) -> None:
        return

    return [patch(Claims, "expire_orphans", nothing), patch(Claims, "expire_overdue", nothing)]


@mutant(seed=5)
def a_provider_limit_uses_an_attempt() -> list[Any]:
    rule = replace(failures.RULES[FailureClass.PROVIDER_LIMIT], counts=True)
    return [mock.patch.dict(failures.RULES, {FailureClass.PROVIDER_LIMIT: rule})]


@mutant(seed=1)
def a_crash_uses_no_attempt() -> list[Any]:
    rule = Rule(counts=False, melts=True)
    return [mock.patch.dict(failures.RULES, {FailureClass.AGENT_CRASH: rule})]


@mutant(seed=1)
def attempts_are_not_counted_afresh_in_a_new_phase() -> list[Any]:
    real = table._enter

    def enter(state: BeadState, phase: Phase, **changes: Any) -> BeadState:
        return real(state, phase, **({"retry_count": state.retry_count} | changes))

    return [patch(table, "_enter", enter)]


@mutant(seed=1)
def contests_have_no_bound() -> list[Any]:
    def sent_back(s: BeadState, phase: Phase, findings: Any, limits: Any) -> BeadState:
        return table._enter(s, phase, findings=findings)

    return [patch(table, "_sent_back", sent_back)]


@mutant(seed=1)
def agents_go_on_without_a_pause_after_a_crash() -> list[Any]:
    return [patch(agents_base, "PAUSE", Backoff(first=0.0, jitter=0.0))]


@mutant(seed=1)
def failures_are_counted_beside_the_event_or_not_at_all() -> list[Any]:
    return [patch(attempt_module, "counted", lambda failure, swarm: swarm)]


# The store -----------------------------------------------------------------------------------


@mutant(seed=2, promise="what_was_acknowledged_is_there")
def acknowledged_before_it_is_committed() -> list[Any]:
    """Commits go on behind the back of whoever waits; a clean end still waits for them."""
    behind: dict[Writer, asyncio.Task[None]] = {}
    real_stop = Writer.stop

    async def commit(self: Writer, draft: Any) -> None:
        group = {"seq": draft.seq, "group": self.head.group + 1}
        writes = [*draft.writes, Put("meta", "group", group)]
        behind[self] = asyncio.ensure_future(_after(behind.get(self), self.engine, writes))
        await self._acknowledge(draft)

    async def stop(self: Writer) -> None:
        await real_stop(self)
        if self in behind:
            await asyncio.wait((behind[self],))

    return [patch(Writer, "_commit", commit), patch(Writer, "stop", stop)]


async def _after(before: asyncio.Task[None] | None, engine: Any, writes: Any) -> None:
    if before is not None:
        await asyncio.wait((before,))
    with suppress(StoreError, RuntimeError):  # the latter a defect that a plan has planted
        await engine.commit(writes)


@mutant(seed=213)
def an_unknown_outcome_is_taken_for_a_failure() -> list[Any]:
    async def resolve(self: Writer, draft: Any, error: Any) -> None:
        await self._read_back()
        self._unresolved = None
        if error is not None:
            raise error

    return [patch(Writer, "_resolve", resolve)]


@mutant(seed=6)
def state_and_event_are_two_commits() -> list[Any]:
    real = BeadStore.apply

    async def apply(self: BeadStore, bead: str, event: Any, **how: Any) -> Any:
        on_swarm = how.pop("on_swarm", None)
        applied = await real(self, bead, event, **how)
        if on_swarm is not None:
            await self._writer.submit(lambda draft: change_swarm(draft, how["swarm"], on_swarm))
        return applied

    return [patch(BeadStore, "apply", apply)]


# Landing -------------------------------------------------------------------------------------


@mutant(seed=1)
def the_line_moves_before_the_intent_is_durable() -> list[Any]:
    async def land(self: Moving, landing: Sequence[tuple[str, Candidate]]) -> bool:
        parts, top = self._parts, landing[-1][1].commit
        intent = moving_module.intent_of(landing, top, parts.swarm, self._line)
        if not await self._line.advance(top):
            return False
        await parts.store.intents.put(landing[0][0], intent)
        await resume.record_landed(parts, landing[0][0], intent)
        return True

    return [patch(Moving, "land", land)]


@mutant(seed=4)
def an_intent_is_forgotten_on_resume() -> list[Any]:
    async def where(parts: Any, intent: Any) -> Whereabouts:
        return Whereabouts.LOST

    return [patch(resume, "_where", where)]


@mutant(seed=39)
def an_intent_is_always_taken_for_done() -> list[Any]:
    async def where(parts: Any, intent: Any) -> Whereabouts:
        return Whereabouts.LANDED

    return [patch(resume, "_where", where)]


@mutant(seed=1)
def what_landed_goes_into_the_queue_again() -> list[Any]:
    async def recorded(parts: Any, key: str, intent: Any) -> None:
        also = [Delete("intents", key)]
        for one in resume.landings_of(intent):
            await parts.apply(one["bead"], LandingLeft("once more"), also=also)

    return [
        patch(resume, "record_landed", recorded),
        patch(moving_module, "record_landed", recorded),
    ]


@mutant(seed=21)
def the_base_is_not_looked_at_again_before_landing() -> list[Any]:
    return [patch(LandingQueue, "_stands_on_the_base", lambda self: True)]


@mutant(seed=1)
def a_candidate_lands_without_its_gates() -> list[Any]:
    async def unproven(*_: Any, **__: Any) -> Proof:
        return Proof(())

    return [patch(landing_module, "prove", unproven)]


@mutant(seed=10)
def a_red_batch_is_not_searched() -> list[Any]:
    """What stands beneath the top lands with nobody having judged it."""

    def search(green: int, red: int, *_: Any) -> Decision:
        return Decision(red - 1, guilty=red)

    def proven(self: Stack, most: int) -> int:
        if most and self.members[most - 1].proof is None:
            self.members[most - 1].proof = Proof(())
        return most

    return [patch(queue_module, "_search", search), patch(Stack, "proven", proven)]


@mutant(seed=28)
def a_batch_lands_though_only_some_of_it_is_green() -> list[Any]:
    real = queue_module.decide

    def decide(ends: Any, verdicts: Any, hints: Any = None) -> Decision:
        decision = real(ends, verdicts, hints)
        more = len(ends) and decision.land and ends[-1]
        return Decision(more or decision.land, decision.guilty, decision.probe)

    return [patch(stack_module, "decide", decide), patch(Stack, "proven", lambda self, most: most)]


@mutant(seed=10)
def a_flaky_test_is_taken_for_green() -> list[Any]:
    return [
        patch(proof_module, "_accused", lambda *_: None),
        patch(landing_module, "flickered", lambda *_: None),
    ]


@mutant(seed=1)
def evidence_of_another_tree_is_used_again() -> list[Any]:
    def key(gate: str, tree: str, *rest: Any) -> str:
        return evidence_key(gate, "any", *rest)

    return [patch(gates_module, "evidence_key", key)]


@mutant(seed=1)
def evidence_of_another_gate_is_used_again() -> list[Any]:
    def key(gate: str, tree: str, commands: Any, ids: Any, fingerprint: str, base: str) -> str:
        return evidence_key("any", tree, (), (), fingerprint)

    return [patch(gates_module, "evidence_key", key)]


@mutant(seed=17)
def one_more_than_the_target() -> list[Any]:
    more = property(lambda self: self.landed_beads > self.target_beads)
    real, real_left = Claims.room, LandingQueue._left.fget  # type: ignore[attr-defined]
    return [
        patch(SwarmState, "reached", more),
        patch(LandingQueue, "_left", property(lambda self: real_left(self) + 1)),
        patch(Claims, "room", lambda self, swarm: real(self, swarm) + 1),
    ]


# Agents' work --------------------------------------------------------------------------------


@mutant(seed=1)
def an_attempts_ref_goes_with_its_workspace() -> list[Any]:
    real = attempt_module._put_away

    async def put_away(attempt: Any) -> None:
        await real(attempt)
        parts, claim = attempt.parts, attempt.claim
        await parts.repo.delete_ref(parts.workspaces.attempt_ref(claim.bead, claim.epoch))

    return [patch(attempt_module, "_put_away", put_away)]


@mutant(seed=1)
def folders_of_the_dead_are_removed_unread() -> list[Any]:
    async def harvest(parts: Any, *, every: bool = False) -> None:
        for bead, epoch, path in await parts.workspaces.leftovers(every=every):
            await parts.workspaces._discard(path.name, bead, epoch)

    return [patch(resume, "harvest_workspaces", harvest)]


@mutant(seed=2)
def frozen_files_may_be_edited() -> list[Any]:
    async def thawed(*_: Any) -> tuple[str, ...]:
        return ()

    return [patch(implementer_module, "_thawed", thawed)]


@mutant(seed=3)
def a_contract_need_not_be_red() -> list[Any]:
    real = writer_module.judge_contract

    def judge(**how: Any) -> ContractVerdict:
        verdict = real(**how)
        return ContractVerdict(tuple(how["planned"]), (), verdict.pass_to_pass, ())

    return [patch(writer_module, "judge_contract", judge)]


# Who works on what ---------------------------------------------------------------------------


@mutant(seed=1)
def a_blocked_bead_is_begun() -> list[Any]:
    real_row, real_changed = table._claimed, Work._changed

    def claimed(s: BeadState, ev: Any, limits: Any) -> Any:
        return real_row(table.replace(s, blocked=""), ev, limits)

    def changed(self: Work, before: BeadState | None, after: BeadState) -> None:
        real_changed(self, before, table.replace(after, blocked=""))

    return [
        mock.patch.dict(table._ROWS, {table.e.Claimed: claimed}),
        patch(Work, "_changed", changed),
    ]


@mutant(seed=1)
def dependencies_are_not_looked_at() -> list[Any]:
    return [patch(Board, "waits_for", lambda self, *_: ())]


@mutant(seed=17, promise="new_beads_have_room")
def one_bead_more_is_begun_than_there_is_room_for() -> list[Any]:
    real = Claims.room
    return [patch(Claims, "room", lambda self, swarm: real(self, swarm) + 1)]


@mutant(seed=2)
def work_is_handed_out_in_a_pause() -> list[Any]:
    real = SwarmOrchestratorActor._look

    async def look(self: SwarmOrchestratorActor) -> None:
        await real(self)
        if self._shared.started and self._shared.ending is None:
            await self._claims.hand_out(self._swarm)

    return [patch(SwarmOrchestratorActor, "_look", look)]


@mutant(seed=5)
def a_held_bead_is_claimed() -> list[Any]:
    real = table._held_by_person

    def held(s: BeadState, ev: Any, limits: Any) -> Any:
        _, effects = real(s, ev, limits)
        return table._pend(s), effects

    return [mock.patch.dict(table._ROWS, {table.e.HeldByPerson: held})]


@mutant(seed=127, promise="it_comes_to_an_end")
def what_an_actor_had_in_hand_is_lost_when_it_restarts() -> list[Any]:
    """The end of an attempt, say: its agent is taken for busy for ever."""
    return [patch(universe_module, "_hand_back", lambda event: None)]


# What a person must see ----------------------------------------------------------------------


@mutant(seed=1)
def weak_work_lands_alone() -> list[Any]:
    async def nothing(*_: Any) -> tuple[None, str]:
        return None, ""

    return [patch(assembly, "hold_for", nothing)]


@mutant(seed=1)
def an_approval_is_not_waited_for() -> list[Any]:
    def defended(s: BeadState, ev: Defended, _: Any) -> table.Step:
        return table._ready(s, replace(ev, hold=None)), ()

    async def withheld(*_: Any) -> bool:
        return False

    asked = patch(LandingQueue, "_withheld", withheld)
    return [mock.patch.dict(table._ROWS, {Defended: defended}), asked]


@mutant(seed=1)
def a_refactoring_touches_anything() -> list[Any]:
    return [patch(implementer_module, "among", lambda *_: True)]


# The end, and the tracker --------------------------------------------------------------------


@mutant(seed=3)
def it_says_stopped_before_it_has() -> list[Any]:
    async def nothing(self: SwarmOrchestratorActor, grace: float) -> None:
        return

    return [patch(SwarmOrchestratorActor, "_empty", nothing)]


@mutant(seed=1)
def the_tracker_is_closed_first() -> list[Any]:
    real = LandingQueue._proven

    async def proven(self: LandingQueue, base: str, member: Any, promised: Any) -> Any:
        await self._tracking._close(member.bead, "0" * 40)
        return await real(self, base, member, promised)

    return [patch(LandingQueue, "_proven", proven)]


@mutant(seed=9)
def a_closing_that_failed_is_forgotten() -> list[Any]:
    async def close(self: Tracking, bead: str, commit: str) -> bool:
        with suppress(TrackerError):
            await self._tracker.close(bead, f"landed as {commit[:12]}", self._parts.clock.now())
        return True

    return [patch(Tracking, "_close", close)]


# Remotes -------------------------------------------------------------------------------------


@mutant(seed=77, promise="each_bead_lands_once")
def a_push_that_may_still_arrive_is_given_up() -> list[Any]:
    real = resume.whereabouts

    async def whereabouts(repo: Any, intent: Any) -> Whereabouts:
        found = await real(repo, intent)
        return Whereabouts.LOST if found is Whereabouts.OPEN else found

    return [patch(resume, "whereabouts", whereabouts)]


@mutant(seed=77)
def the_remote_is_not_read_back() -> list[Any]:
    async def push(self: Line, candidate: str) -> bool:
        pushed = await self._repo.push(self.remote, candidate, self.branch, self._upstream)
        if pushed.end is not PushEnd.OK:
            self._refused = pushed.reason
            return False
        await self._arrived(candidate, candidate)
        return True

    return [patch(Line, "_push", push)]
