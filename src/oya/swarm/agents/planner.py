"""The planner: holds a new contract against the test philosophy before anybody builds on it."""

from __future__ import annotations

from typing import ClassVar

from oya.agents.answers import PlannerAnswer
from oya.lifecycle.events import CheckAccepted, CheckRevised
from oya.lifecycle.failures import RULES, FailureClass
from oya.lifecycle.model import Role
from oya.swarm.agents.base import AgentActor
from oya.swarm.attempt import Attempt, AttemptOver, Result, discovered


class PlannerActor(AgentActor):
    """Checks contracts."""

    role: ClassVar[Role] = Role.PLANNER

    async def work(self, attempt: Attempt) -> Result:
        """One verdict. A planner that takes too long does not hold the work up."""
        epoch = attempt.claim.epoch
        try:
            await attempt.prompt(attempt.parts.prompts.first(self.role, await attempt.briefing()))
            answer = await attempt.full_answer(PlannerAnswer)
        except AttemptOver as over:
            if over.failure is FailureClass.AGENT_STUCK or _last_try(attempt, over):
                return Result(CheckAccepted(epoch, unchecked=over.reason))
            raise
        findings = tuple(answer.findings) or (answer.why,)
        if answer.cannot or answer.verdict == "revise":
            return Result(CheckRevised(epoch, findings), data=discovered(answer))
        return Result(CheckAccepted(epoch, tuple(answer.findings)), data=discovered(answer))


def _last_try(attempt: Attempt, over: AttemptOver) -> bool:
    used = attempt.state.retry_count + RULES[over.failure].counts
    return RULES[over.failure].counts and used >= attempt.parts.limits.max_attempts
