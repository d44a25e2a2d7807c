"""The implementer: a contract becomes code that passes it, on a tree whose tests are untouched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from oya.agents.answers import AnswerWrong, ImplementerAnswer
from oya.gates.feedback import feedback
from oya.gates.frozen import changed, digest
from oya.gates.green import judge_implementation, unstable
from oya.lifecycle.events import CannotDo, ImplementationAccepted
from oya.lifecycle.failures import FailureClass
from oya.lifecycle.model import Role
from oya.repository.port import Head
from oya.swarm.agents.base import AgentActor
from oya.swarm.attempt import Attempt, AttemptOver, Result, discovered
from oya.swarm.contract import Contract
from oya.swarm.judgement import failing_checks, passing


class ImplementerActor(AgentActor):
    """Makes contracts green."""

    role: ClassVar[Role] = Role.IMPLEMENTER

    async def work(self, attempt: Attempt) -> Result:
        """Prompt, check the frozen files, run the gates, send findings back until green."""
        contract = await attempt.parts.contract(attempt.claim.bead)
        reference = await _reference(attempt, contract)
        if isinstance(reference, Result):
            return reference
        await attempt.prompt(attempt.parts.prompts.first(self.role, await attempt.briefing()))
        warned = False
        while True:
            refused = _cannot(attempt)
            if refused is not None:
                return refused
            head = await attempt.head()
            await _require_work(attempt, head)
            touched = await _thawed(attempt, contract, reference, head)
            if touched:
                if warned:
                    why = f"edited the frozen files again: {', '.join(touched)}"
                    raise AttemptOver(FailureClass.CONTRACT_BROKEN, why, [why])
                warned = True
                await attempt.parts.workspaces.restore(attempt.workspace, reference, touched)
                await attempt.fix([_warning(touched)], FailureClass.CONTRACT_BROKEN)
                continue
            findings = await _gates(attempt, contract, head)
            if not findings:
                return await _accept(attempt, contract, head)
            await attempt.fix(findings, FailureClass.GATE_RED)


async def _reference(attempt: Attempt, contract: Contract) -> str | Result:
    """The commit whose frozen files count: the contract, merged into its present base."""
    if not attempt.state.rework:
        return contract.commit
    repo = attempt.parts.repo
    merged = await repo.merge_tree(attempt.base, contract.commit)
    if merged.conflicts:
        why = f"the contract's files conflict with the new base: {', '.join(merged.conflicts)}"
        return Result(CannotDo(attempt.claim.epoch, "contract_wrong", why))
    return await repo.commit_tree(merged.tree, (attempt.base, contract.commit), "reference")


def _answer(attempt: Attempt) -> ImplementerAnswer | None:
    try:
        return attempt.answer(ImplementerAnswer)
    except AnswerWrong:
        return None  # none is needed, so a wrong one is none


def _cannot(attempt: Attempt) -> Result | None:
    answer = _answer(attempt)
    if answer is None or answer.cannot is None:
        return None
    said = answer.question or answer.why
    return Result(CannotDo(attempt.claim.epoch, answer.cannot, answer.why, said))


async def _require_work(attempt: Attempt, head: Head) -> None:
    if attempt.state.rework:
        return  # the merge itself may be all that the new base needs
    start = attempt.state.snapshot or attempt.workspace.start
    if head.tree == await attempt.parts.repo.tree_of(start) and not attempt.state.snapshot:
        raise AttemptOver(
            FailureClass.AGENT_EMPTY, "said that it was done, and nothing had changed"
        )


async def _thawed(
    attempt: Attempt, contract: Contract, reference: str, head: Head
) -> tuple[str, ...]:
    repo = attempt.parts.repo
    before = await repo.list_files(reference)
    after = await repo.list_files(head.commit)
    differ = [path for path in {**before, **after} if before.get(path) != after.get(path)]
    frozen = {p: await _digest(attempt, reference, p) for p in differ if p in contract.frozen}
    now = {path: await _digest(attempt, head.commit, path) for path in differ}
    return changed(
        {p: d for p, d in frozen.items() if d is not None},
        {p: d for p, d in now.items() if d is not None},
    )


async def _digest(attempt: Attempt, commit: str, path: str) -> str | None:
    data = await attempt.parts.repo.read_file(commit, path)
    return None if data is None else digest(path, data)


def _warning(touched: Sequence[str]) -> str:
    names = ", ".join(touched)
    return (
        f"these files are frozen by the contract and were put back: {names}. "
        "Make the tests pass without touching them; changing them again ends the attempt."
    )


async def _gates(attempt: Attempt, contract: Contract, head: Head) -> list[str]:
    gates = attempt.parts.gates
    findings: list[str] = []
    if contract.kind == "behaviour":
        evidence = await gates.tests(head.commit)
        expected = await passing(attempt.parts, attempt.base, contract)
        if evidence.report is None:
            return [feedback(evidence)]
        findings += judge_implementation(
            evidence.report, contract.fail_to_pass, contract.guards, expected, contract.changes
        )
    checks = (*contract.checks, *attempt.state.checks)
    findings += await failing_checks(attempt.parts, head.commit, checks)
    if findings:
        return findings
    evidence = await gates.quick(head.commit)
    if evidence.ok:
        evidence = await gates.ci(head.commit, base=attempt.base)
    return [] if evidence.ok else [feedback(evidence)]


async def _accept(attempt: Attempt, contract: Contract, head: Head) -> Result:
    if contract.kind == "behaviour":
        await _repeat(attempt, contract, head)
    parts = attempt.parts
    hold = None if parts.limits.review else parts.approval()
    event = ImplementationAccepted(attempt.claim.epoch, head.commit, attempt.base, hold)
    found = {"tree": head.tree, "left_out": list(head.left_out)}
    return Result(event, data=found | discovered(_answer(attempt)))


async def _repeat(attempt: Attempt, contract: Contract, head: Head) -> None:
    """The same tests on the same tree again: a verdict that differs breaks the contract."""
    gates = attempt.parts.gates
    times = attempt.parts.settings.contract.repeat - 1  # the first run was the gate's own
    first = (await gates.tests(head.commit)).report
    again = await gates.repeats(head.commit, contract.fail_to_pass, times)
    flaky = unstable([first, *(evidence.report for evidence in again)], contract.fail_to_pass)
    if flaky:
        why = f"flaky, green once and then not on the same tree: {', '.join(flaky[:5])}"
        raise AttemptOver(FailureClass.CONTRACT_BROKEN, why, [why])
