"""The reviewer: attacks an implementation with challenges that oya itself runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from oya.agents.answers import Challenge, ReviewerAnswer
from oya.gates.checks import Ran, judge_check, same_result
from oya.lifecycle.events import CannotDo, Contested, Defended, Forfeited, ReviewStalled
from oya.lifecycle.model import Check, Role
from oya.store.engine import Put
from oya.swarm.agents.base import AgentActor
from oya.swarm.attempt import Attempt, Result, discovered
from oya.swarm.contract import Contract


@dataclass(frozen=True, slots=True)
class Survivor:
    """A challenge whose result was not as expected, twice. `same`: just so on the base."""

    challenge: Challenge
    ran: Ran
    same: bool

    @property
    def words(self) -> str:
        """For the implementer."""
        challenge = self.challenge
        return (
            f"{challenge.clause}: {challenge.why}\n`{challenge.command}` exits {self.ran.exit}, "
            f"expected {challenge.expect}:\n{self.ran.tail[-1500:]}"
        )


class ReviewerActor(AgentActor):
    """The red queen."""

    role: ClassVar[Role] = Role.REVIEWER

    async def work(self, attempt: Attempt) -> Result:
        """Challenges until one survives, or none did for `review.rounds` generations."""
        parts = attempt.parts
        contract = await parts.contract(attempt.claim.bead)
        await attempt.prompt(parts.prompts.first(self.role, await attempt.briefing()))
        said: list[str] = []
        for generation in range(parts.settings.review.rounds):
            if generation:
                await attempt.prompt(
                    parts.prompts.again(self.role, ["none survived; attack again"])
                )
            answer = await attempt.full_answer(ReviewerAnswer)
            if answer.cannot:
                asked = answer.question or answer.why
                return Result(CannotDo(attempt.claim.epoch, answer.cannot, answer.why, asked))
            survivors = await _survivors(attempt, answer)
            if survivors:
                return await _verdict(attempt, contract, survivors)
            said += [*answer.findings, *(c.why for c in answer.challenges if not c.clause)]
        head = _implementation(attempt)
        hold = await parts.hold_for(contract, attempt.base, head)
        event = Defended(attempt.claim.epoch, head, *hold)
        return Result(event, data={"findings": said} | discovered(answer))


def _implementation(attempt: Attempt) -> str:
    commit = attempt.state.implementation
    assert commit is not None
    return commit


async def _survivors(attempt: Attempt, answer: ReviewerAnswer) -> list[Survivor]:
    run = attempt.parts.check
    commit = _implementation(attempt)
    found = []
    for challenge in answer.challenges:
        if not challenge.clause:
            continue
        for _ in range(2):
            ran = await run(commit, challenge.command)
            if judge_check(ran, challenge.expect):
                break
        else:
            base = await run(attempt.base, challenge.command)
            found.append(Survivor(challenge, ran, same_result(base, ran)))
    return found


async def _verdict(attempt: Attempt, contract: Contract, survivors: list[Survivor]) -> Result:
    epoch = attempt.claim.epoch
    for survivor in survivors:
        contradicts = survivor.challenge.contradicts
        if contradicts in contract.planned:
            return Result(Forfeited(epoch, f"contradicts {contradicts}: {survivor.words}"))
    once = await attempt.parts.survived_once(attempt.claim.bead)
    again = [s for s in survivors if s.same and s.challenge.command in once]
    if again:
        asked = f"fails on the base and on two implementations alike, is it fair? {again[0].words}"
        return Result(ReviewStalled(epoch, asked))
    checks = tuple(
        Check(s.challenge.command, s.challenge.expect, s.challenge.clause)
        for s in survivors
        if not s.same
    )
    soft = sorted({*once, *(s.challenge.command for s in survivors if s.same)})
    key = f"survived:{attempt.claim.bead}"
    return Result(
        Contested(epoch, tuple(s.words for s in survivors), checks),
        also=(Put("checkpoints", key, {"commands": soft}),),
    )
