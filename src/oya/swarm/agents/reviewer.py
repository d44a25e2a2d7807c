"""The reviewer: attacks an implementation with challenges that oya itself runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from oya.agents.answers import ReviewerAnswer
from oya.lifecycle.events import CannotDo, Contested, Defended, Forfeited, ReviewStalled
from oya.lifecycle.model import Role
from oya.swarm.agents.base import AgentActor
from oya.swarm.attempt import Attempt, Result, discovered
from oya.swarm.challenges import Doubts, Survivor, contradicts, try_all
from oya.swarm.contract import Contract
from oya.swarm.mechanical import look


class ReviewerActor(AgentActor):
    """The red queen."""

    role: ClassVar[Role] = Role.REVIEWER

    async def work(self, attempt: Attempt) -> Result:
        """What was in doubt, then what oya finds by itself, then a backend's challenges.

        It ends with the first that sends the work back, or when no challenge has survived for
        `review.rounds` generations.
        """
        contract = await attempt.parts.contract(attempt.claim.bead)
        doubts = await Doubts.of(attempt, contract)
        settled = await _settle(attempt, contract, doubts)
        if settled is not None:
            return settled
        seen = await look(attempt, contract)
        if seen.grave and _may_go_back(attempt):
            event = Contested(attempt.claim.epoch, tuple(seen.survivors), (), mechanical=True)
            return Result(event)
        return await self._attacked(attempt, contract, doubts, seen.survivors)

    async def _attacked(
        self, attempt: Attempt, contract: Contract, doubts: Doubts, hints: Sequence[str]
    ) -> Result:
        """The backend as an adversary."""
        parts = attempt.parts
        briefing = replace(await attempt.briefing(), hints=tuple(hints))
        await attempt.prompt(parts.prompts.first(self.role, briefing))
        said, answers = list[str](), list[ReviewerAnswer]()
        for generation in range(parts.settings.review.rounds):
            if generation:
                again = ["none of your challenges survived; attack again", *said]
                await attempt.prompt(parts.prompts.again(self.role, again))
            answer = await attempt.full_answer(ReviewerAnswer)
            answers.append(answer)
            if answer.cannot:
                asked = answer.question or answer.why
                cannot = CannotDo(attempt.claim.epoch, answer.cannot, answer.why, asked)
                return Result(cannot, data=discovered(*answers))
            tried = await try_all(attempt, contract, answer.challenges, doubts)
            said += [*answer.findings, *tried.findings]
            if tried.survivors:
                return _verdict(attempt, contract, doubts, tried.survivors, said, answers)
        commit = str(attempt.state.implementation)
        hold = await parts.hold_for(contract, attempt.base, commit)
        event = Defended(attempt.claim.epoch, commit, *hold)
        return Result(event, data={"findings": said} | discovered(*answers))


def _may_go_back(attempt: Attempt) -> bool:
    """Whether mechanical findings may be a round of their own: once a contract, and never the
    one by which the bead would have failed."""
    state = attempt.state
    return state.hinted != state.contract and state.contests < attempt.parts.limits.max_contests


async def _settle(attempt: Attempt, contract: Contract, doubts: Doubts) -> Result | None:
    """What could not be told from the base has had its round: ask, send back, or forget it."""
    if not doubts.open:
        return None
    tried = await try_all(attempt, contract, doubts.open, Doubts(contract.hash))
    unsettled = [s for s in tried.survivors if s.same]
    if not unsettled:
        return _verdict(attempt, contract, doubts, tried.survivors, ()) if tried.survivors else None
    asked = f"fails on the base and on two implementations alike, is it fair? {unsettled[0].words}"
    commands = {*doubts.asked, *(s.challenge.command for s in unsettled)}
    after = Doubts(contract.hash, asked=tuple(sorted(commands)))
    event = ReviewStalled(attempt.claim.epoch, asked)
    return Result(event, also=(after.put(attempt),), data={"findings": tried.findings})


def _verdict(
    attempt: Attempt,
    contract: Contract,
    doubts: Doubts,
    survivors: Sequence[Survivor],
    said: Sequence[str],
    answers: Sequence[ReviewerAnswer] = (),
) -> Result:
    epoch, data = attempt.claim.epoch, {"findings": list(said)} | discovered(*answers)
    for survivor in survivors:
        test = survivor.challenge.contradicts
        if contradicts(contract, test):
            return Result(Forfeited(epoch, f"contradicts {test}: {survivor.words}"), data=data)
    after = replace(doubts, open=tuple(s.challenge for s in survivors if s.same))
    return Result(
        Contested(
            epoch,
            tuple(s.words for s in survivors),
            tuple(s.check for s in survivors if not s.same),
        ),
        also=(after.put(attempt),),
        data=data,
    )
