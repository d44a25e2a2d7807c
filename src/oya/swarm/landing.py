"""The landing queue at work: a stack of reviewed beads is proven, and what is green lands.

What to prove next and who is guilty is decided by `lifecycle.queue`, what green means is
`swarm.proof`; here is what is done about it, up to where the line moves: that is `swarm.moving`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

import structlog

from oya.beads import PATH
from oya.crashpoints import point
from oya.errors import OyaError, PushUnsure, StoreError
from oya.lifecycle import queue
from oya.lifecycle.events import Event, LandingConflicted, LandingLeft, LandingStarted, Withheld
from oya.lifecycle.model import BeadState
from oya.store.engine import Write
from oya.swarm.assembly import Parts
from oya.swarm.candidate import build_candidate, candidate_ref
from oya.swarm.conflicts import noted
from oya.swarm.contract import Contract
from oya.swarm.line import Line
from oya.swarm.merging import merge_candidate
from oya.swarm.messages import BaseIsRed, OrchestratorMessage, Wake
from oya.swarm.moving import Moving, finish
from oya.swarm.proof import Promised, Proof, flickered, prove
from oya.swarm.red_base import told
from oya.swarm.stack import Member, Stack, end
from oya.swarm.taking_in import TakingIn
from oya.swarm.tracking import Tracking
from oya.swarm.work import Work

log = structlog.get_logger()

LATER_FIRST = 2.0
LATER_LIMIT = 300.0
"""Seconds for which a bead is passed over after something kept it from being proven."""
SLOW = 300.0
"""Seconds that `ci` takes by its median, from which on only the top of a batch is proven, and a
slot is left to the gates of the agents: else all of them wait for as long."""
RED_AGAIN = 900.0
"""Seconds until something is tried again on a base that was red."""


class RedBase(Exception):
    """What is red on a candidate is red on the base alone, too."""

    def __init__(self, base: str, words: str) -> None:
        super().__init__(words)
        self.base = base


class LandingQueue:
    """The queue of one branch. `refs` is held by whoever reads the line to move it, or something
    after it; `tell` reaches the orchestrator.

    Suspects have left the stack as guilty, and are judged once more beside the rest. While a
    landing is open, nothing else is stacked.
    """

    def __init__(
        self,
        parts: Parts,
        line: Line,
        tracking: Tracking,
        work: Work,
        moving: Moving,
        *,
        refs: asyncio.Lock,
        tell: Callable[[OrchestratorMessage], None],
    ) -> None:
        self._parts = parts
        self._line = line
        self._tracking = tracking
        self._work = work
        self._moving = moving
        self._refs = refs
        self._tell = tell
        self._stack = Stack()
        self._suspects: list[Member] = []
        self._misfits: set[str] = set()  # which do not fit on those below, as the stack stands now
        self._flaky: set[str] = set()  # once red and then green: not passed by again
        self._free: set[str] = set()  # heads that need nobody, by the settings of now
        self._odds = queue.Odds()
        self._taking_in = TakingIn(parts, line, refs)
        self._at_once = parts.gates.slots
        self._red: tuple[str, float] | None = None
        self._later: dict[str, tuple[int, float]] = {}

    async def step(self) -> list[asyncio.Task[Proof]]:
        """Stack, prove and land as far as that goes now; the proofs that are being made."""
        while True:
            await self._push_again()
            await self._judge_suspects()
            await self._take_in()
            await self._stack_more()
            if not await self._settle():
                running = [m.run for m in (*self._stack.members, *self._suspects) if m.run]
                return running + ([self._taking_in.run] if self._taking_in.run else [])

    async def meet_base(self) -> None:
        """The line was looked at: what does not stand on its base any more leaves."""
        if not self._stands_on_the_base():
            await self._take_down("the base moved")
            await self._taking_in.drop()
        if self._line.rewritten:
            suspects, self._suspects = self._suspects, []
            await self._leave(suspects, "the base moved")

    async def give_up(self, why: str) -> None:
        """Nothing is being landed any more, as far as that can be written down."""
        await end((*self._stack.members, *self._suspects))
        self._stack.clear()
        self._suspects.clear()
        self._misfits.clear()
        await self._taking_in.drop()
        try:
            await self._moving.take_up(why)
        except OyaError as error:
            log.warning("landing is left as it is", error=str(error))

    def _stands_on_the_base(self) -> bool:
        lowest = self._stack.members[:1]
        on = lowest[0].candidate.base if lowest else self._line.base
        stands = on == self._line.base and self._taking_in.stands
        return stands and not self._line.rewritten

    # Stacking -----------------------------------------------------------------------------

    async def _stack_more(self) -> None:
        """As many batches as are worth proving, of the beads that are ready."""
        prove_ = await self._way()
        while room := self._room(prove_):
            batch: list[Member] = []
            ready = tuple(islice(self._ready(), room))
            if not ready:
                return
            for bead in ready:
                base = batch[-1].candidate.commit if batch else self._stack.tip(self._line.base)
                try:
                    member = await self._fit(bead, base)
                except StoreError:
                    raise
                except OyaError as error:
                    await self._pass_by(bead, str(error))
                    continue
                batch += [member] if member else []
            if batch:
                await self._apply([(m.bead, LandingStarted(m.candidate.base)) for m in batch])
                point("landing.started")
                self._stack.put(batch)

    async def _way(self) -> queue.Prove:
        """Every commit is proven, unless that takes too long; and how many may be at once."""
        seconds = await self._parts.gate_median("ci")
        slow = seconds is not None and seconds > SLOW
        prove_ = self._parts.settings.landing.prove or ("top" if slow else "all")
        left = int(slow and prove_ == "top")
        self._at_once = max(self._parts.gates.slots - left, 1)
        return prove_

    def _room(self, prove_: queue.Prove) -> int:
        if self._line.rewritten or self._on_red_base():
            return 0
        if self._moving.is_open or self._moving.waits:
            return 0
        if self._taking_in.wanted:
            return 0  # what the user has committed comes first, on what has landed by then
        if any(suspect.bead in self._flaky for suspect in self._suspects):
            return 0  # it was passed by once, and has its turn now
        settings = self._parts.settings.landing
        stack, most = self._stack, settings.batch
        room = queue.room(len(stack), len(stack.ends), self._at_once, most, prove_, self._odds)
        return max(min(room, self._left - len(stack)), 0)

    def _ready(self) -> Iterator[str]:
        """Reviewed beads in the order of landing, apart from those that must wait a little."""
        now = self._parts.clock.monotonic()
        for bead in self._work.reviewed():
            if bead not in self._misfits and self._later.get(bead, (0, 0.0))[1] <= now:
                yield bead

    async def _fit(self, bead: str, base: str) -> Member | None:
        """The bead as a commit on `base`; None if it does not fit there, which counts as a
        conflict only where `base` has landed, or if it needs a person first."""
        parts, state = self._parts, self._parts.store.beads.get(bead)
        assert state is not None and state.reviewed is not None
        contract = await parts.contract(bead)
        if await self._withheld(state, contract):
            return None
        head, landed = state.reviewed, self._line.base
        merged = await merge_candidate(parts.repo, base, head, PATH, landed=landed)
        if merged.conflicts:
            if base != self._line.base:
                self._misfits.add(bead)
            else:
                own = not set(contract.test_files).isdisjoint(merged.conflicts)
                why = f"conflicts with {base[:9]} in {', '.join(merged.conflicts)}"
                conflict = LandingConflicted(why, contract=own)
                await self._apply(
                    [(bead, LandingStarted(base)), (bead, conflict)],
                    [noted(bead, base, head)],
                )
                point("landing.refused")
            return None
        closing = await self._tracking.closing(bead, base)
        made = await build_candidate(parts, state, contract, base, merged, closing)
        await parts.repo.set_ref(candidate_ref(bead), made.commit)
        point("landing.held")
        return Member(Promised(bead, contract, state.checks), made)

    async def _withheld(self, state: BeadState, contract: Contract) -> bool:
        """Whether it needs a person by the settings of now: it may have been reviewed under others.
        What a person has approved needs nobody."""
        parts, head = self._parts, str(state.reviewed)
        if head == state.approved or head in self._free:
            return False
        base = await parts.repo.merge_base(self._line.base, head)
        hold, why = await parts.hold_for(contract, base or contract.base, head)
        if hold is None:
            self._free.add(head)
            return False
        await self._apply([(state.id, Withheld(hold, why))])
        return True

    @property
    def _left(self) -> int:
        """How many more may land in this swarm."""
        swarm = self._parts.store.swarms.get(self._parts.swarm)
        return 0 if swarm is None else max(swarm.target_beads - swarm.landed_beads, 0)

    def _on_red_base(self) -> bool:
        if self._red is not None and self._red != (self._line.base, self._red[1]):
            self._red = None
        return self._red is not None and self._parts.clock.monotonic() < self._red[1]

    async def _pass_by(self, bead: str, why: str) -> None:
        """Something keeps the bead from its place in the stack: others first, it a little later."""
        self._put_off(bead)
        await self._parts.store.events.append(
            "warning", swarm=self._parts.swarm, bead=bead, reason=f"landing waits: {why}"
        )

    def _put_off(self, bead: str) -> None:
        times = self._later.get(bead, (0, 0.0))[0]
        seconds = min(LATER_FIRST * 2**times, LATER_LIMIT)
        self._later[bead] = (times + 1, self._parts.clock.monotonic() + seconds)

    async def _take_in(self) -> None:
        """What the user has committed beside the line, once nothing else is in the way."""
        if self._taking_in.run is None:
            if self._line.wants_merge and not self._stack.members and not self._moving.is_open:
                await self._taking_in.begin()
        elif self._taking_in.run.done():
            await finish(self._taking_in.end())
            self._misfits.clear()

    async def _take_down(self, why: str, *, apart: Member | None = None) -> None:
        """All leave the stack, through no fault of their own; why `apart` does was said before."""
        gone = self._stack.clear()
        self._misfits.clear()
        await self._leave([member for member in gone if member is not apart], why)

    async def _leave(self, members: Sequence[Member], why: str) -> None:
        if not members:
            return
        await end(members)
        for member in members:
            await self._parts.repo.delete_ref(candidate_ref(member.bead))
        point("landing.refused")
        await self._apply([(member.bead, LandingLeft(why)) for member in members])
        self._tell(Wake())

    async def _apply(self, items: Sequence[tuple[str, Event]], also: Sequence[Write] = ()) -> None:
        """In one commit of the store."""
        parts = self._parts
        await parts.store.beads.apply_many(items, swarm=parts.swarm, limits=parts.limits, also=also)

    # Proving ------------------------------------------------------------------------------

    async def _settle(self) -> bool:
        """Do what the proofs say; True if the stack is another one by that."""
        for member in self._stack.members:
            if member.run is not None and member.run.done() and await self._is_broken(member):
                return True
        decision = self._stack.decide()
        if decision.land:
            await self._moving.surely(self._land(decision.land))
            return True
        if decision.guilty:
            await self._suspect()
            return True
        await self._probe(decision.probe)
        return False

    async def _is_broken(self, member: Member) -> bool:
        """Take the proof that was made; True if there is none, and the stack is taken down."""
        run, member.run = member.run, None
        assert run is not None
        try:
            member.proof = run.result()
        except StoreError:
            raise
        except RedBase as red:
            await self._blame_base(red)
        except OyaError as error:
            self._put_off(member.bead)
            await self._leave([member], str(error))
            await self._take_down(f"stacked anew without {member.bead}", apart=member)
        return member.proof is None

    async def _probe(self, places: Sequence[int]) -> None:
        """Have these commits judged, as far as there are slots, and no others."""
        stack, members = self._stack, self._stack.members
        useless = [m for n, m in enumerate(members, 1) if m.run and n not in places]
        await end(useless)
        for member in useless:
            member.run = None
        again = sum(m.run is not None for m in self._suspects)
        busy = sum(m.run is not None for m in members)
        most = min(self._at_once, self._parts.gates.slots - again)
        for place in places:
            member = members[place - 1]
            if member.run is None and busy < most:
                proving = self._proven(members[0].candidate.base, member, stack.upto(place))
                member.run = asyncio.ensure_future(proving)
                busy += 1

    async def _proven(self, base: str, member: Member, promised: Sequence[Promised]) -> Proof:
        parts = self._parts
        if parts.was_red(base):
            await self._end_if(base, await parts.base_red(base, fresh=True))
        commit, since = member.candidate.commit, member.since
        proof = await prove(parts, base, commit, promised, since=since)
        if not proof.ok:
            await self._end_if(base, await parts.base_red(base))
        point("landing.proven")
        return proof

    async def _end_if(self, base: str, red: Sequence[str]) -> None:
        if red:
            raise RedBase(base, await told(self._parts, base, red))

    async def _blame_base(self, red: RedBase) -> None:
        self._red = (red.base, self._parts.clock.monotonic() + RED_AGAIN)
        self._tell(BaseIsRed(red.base, str(red)))
        await self._take_down(str(red))

    async def _suspect(self) -> None:
        """The lowest is guilty, as it seems: it is judged once more, beside the rest without it."""
        (member,) = self._stack.shift(1)
        proof, others = member.proof, [m.proof for m in self._stack.members if m.proof]
        assert proof is not None
        await self._take_down(f"stacked anew without {member.bead}")
        # Its own test is red, or flaky: back either way. And what two runs of the search have
        # said of two trees that have it in common is no chance.
        same = [other.begun for other in others if proof.says_the_same(other)]
        sure, begun = proof.accused == member.bead or bool(same), min([proof.begun, *same])
        if sure and not self._parts.not_green_since(proof.red, begun):
            await self._refuse(member, proof)
            return
        self._suspects.append(member)
        member.run = asyncio.ensure_future(self._once_more(member, proof if sure else None, begun))

    async def _once_more(self, member: Member, sure: Proof | None, begun: int) -> Proof:
        """What a suspect is judged by: a proof of it that is sure, or one by real runs of now.
        `RedBase` where the base was green before its first red run, and is not any more."""
        parts, made = self._parts, member.candidate
        proof = sure or await prove(
            parts, made.base, made.commit, (member.promised,), since=member.since, fresh=True
        )
        asked = parts.not_green_since(proof.red, begun)
        await self._end_if(made.base, await parts.turned_red(made.base, asked))
        return proof

    async def _judge_suspects(self) -> None:
        for member in [one for one in self._suspects if one.run and one.run.done()]:
            assert member.run is not None
            self._suspects.remove(member)
            try:
                await self._judge_suspect(member, member.run.result())
            except StoreError:
                raise
            except RedBase as red:
                await self._leave([member], str(red))
                await self._blame_base(red)
            except OyaError as error:
                self._put_off(member.bead)
                await self._leave([member], str(error))

    async def _judge_suspect(self, member: Member, again: Proof) -> None:
        """Red, then green on the same tree is flaky: it lands only if no planned test flickered."""
        before, member.run = member.proof, None
        assert before is not None
        first = before.findings[0].splitlines()[0]
        if not again.ok:
            await self._refuse(member, again)
            return
        await self._parts.store.events.append(
            "flaky", swarm=self._parts.swarm, bead=member.bead, reason=first
        )
        if flickered(before, again, (member.promised,)):
            await self._send_back(member, "its own tests are flaky on the candidate", before)
        elif self._may_land_next(member):
            member.proof = again
            self._stack.put([member])
        else:
            self._flaky.add(member.bead)
            await self._leave([member], f"flaky, and green at the second run: {first}")

    def _may_land_next(self, member: Member) -> bool:
        free = not self._stack.members and not self._moving.is_open
        return free and member.candidate.base == self._line.base

    async def _refuse(self, member: Member, proof: Proof) -> None:
        self._odds = self._odds.seen(red=1)
        why = proof.findings[0].splitlines()[0]
        await self._send_back(member, f"red on {member.candidate.base[:9]}: {why}", proof)

    async def _send_back(self, member: Member, why: str, proof: Proof) -> None:
        await self._parts.repo.delete_ref(candidate_ref(member.bead))
        point("landing.refused")
        await self._apply([(member.bead, LandingConflicted(why, proof.findings))])
        self._tell(Wake())

    # Landing ------------------------------------------------------------------------------

    async def _land(self, count: int) -> None:
        """The lowest `count` land, as far as the world is still the one that they were proven
        for: while the gates ran, the user may have committed, or changed their mind."""
        stack = self._stack
        async with self._refs:
            await self._line.refresh(now=True)
            if not self._stands_on_the_base():
                await self._take_down("the base moved")
                return
            if self._line.unreachable:
                self._moving.put_off()
                await self._take_down(self._line.unreachable)
                return
            changed = [m for m in stack.members[:count] if self._tracking.differs(m.bead)]
            most = stack.members.index(changed[0]) if changed else count
            place = stack.proven(min(most, self._left))
            if place and not await self._land_upto(place):
                return
            if self._left == 0:
                await self._take_down("the target was lowered, and is reached")
            elif changed:
                self._put_off(changed[0].bead)
                await self._take_down("it was changed in the tracker")
        if place:
            await self._tracking.landed()
        self._tell(Wake())

    async def _land_upto(self, place: int) -> bool:
        landing = self._stack.landing(place)
        try:
            landed = await self._moving.land(landing)
        except PushUnsure as unsure:
            self._stack.shift(place)
            await self._take_down(str(unsure))
            return False
        if not landed:
            await self._did_not_move()
            return False
        self._landed(place)
        await self._moving.follow([bead for bead, _ in landing])
        return True

    async def _push_again(self) -> None:
        """What is open comes before all else; but suspects, which are in landing too, have their
        verdict first."""
        if not self._suspects and not await self._moving.push_again():
            await self._did_not_move()

    async def _did_not_move(self) -> None:
        """Somebody was faster, or the remote refuses: for sure, so that nothing stays open. What
        is proven waits, free for whatever a person wants of it, and finds its evidence again."""
        await self.give_up(self._line.trouble or "the line moved")

    def _landed(self, place: int) -> None:
        gone = self._stack.shift(place)
        self._flaky.difference_update(member.bead for member in gone)
        self._odds = self._odds.seen(green=place)
        self._misfits.clear()
