"""The test writer: a bead becomes a contract that is red for the right reason."""

from __future__ import annotations

from typing import Any, ClassVar

from oya.agents.answers import Challenge, TestWriterAnswer
from oya.gates.checks import Check, Ran, failing_checks, judge_red_checks
from oya.gates.feedback import feedback
from oya.gates.frozen import frozen_paths
from oya.gates.globs import names_all
from oya.gates.model import Report
from oya.gates.project import project_names
from oya.gates.red import ContractVerdict, judge_contract, judge_preserved
from oya.lifecycle.events import CannotDo, ContractAccepted
from oya.lifecycle.failures import FailureClass
from oya.lifecycle.model import Role
from oya.repository.port import Head
from oya.store.engine import Put
from oya.swarm.agents.base import AgentActor
from oya.swarm.attempt import Attempt, AttemptOver, Result, discovered
from oya.swarm.contract import Contract, coverage
from oya.swarm.red_base import require_green_base

NOTHING = ContractVerdict((), (), (), ())
"""Of a contract that plans no test."""


class TestWriterActor(AgentActor):
    """Writes contracts."""

    __test__ = False
    role: ClassVar[Role] = Role.TEST_WRITER

    async def work(self, attempt: Attempt) -> Result:
        """Prompt, judge, send findings back, until the contract passes its gate."""
        await require_green_base(attempt)
        await attempt.prompt(attempt.parts.prompts.first(self.role, await attempt.briefing()))
        while True:
            answer = await attempt.full_answer(TestWriterAnswer)
            judged = await _judge(attempt, answer)
            if isinstance(judged, Result):
                return judged
            await attempt.fix(judged, FailureClass.GATE_RED)


async def _judge(attempt: Attempt, answer: TestWriterAnswer) -> Result | list[str]:
    """The accepted contract, a question for a person, or findings for the backend."""
    if answer.cannot:
        return await _cannot(attempt, answer)
    head = await attempt.head()
    findings = await _shape(attempt, answer, head)
    if findings:
        return findings
    match answer.kind:
        case "none":
            return await _accept(attempt, answer, head, NOTHING, {"keys": []})
        case "check":
            return await _judge_checks(attempt, answer, head)
        case _:
            return await _judge_tests(attempt, answer, head)


async def _cannot(attempt: Attempt, answer: TestWriterAnswer) -> Result | list[str]:
    assert answer.cannot is not None
    if answer.cannot == "already_done":
        if not answer.checks:
            return ["`already_done` needs `checks`: commands that are green on the base"]
        ran = await _run_checks(attempt, answer.checks)
        red = failing_checks(ran)
        if red:
            return [f"`already_done`, but on the base: {line}" for line in red]
    said = answer.question or answer.why
    event = CannotDo(attempt.claim.epoch, answer.cannot, answer.why, said)
    return Result(event, data=discovered(answer))


async def _shape(attempt: Attempt, answer: TestWriterAnswer, head: Head) -> list[str]:
    """Nothing changed but what the contract names, the kind has what belongs to it, and every
    criterion is covered by name."""
    allowed = {*answer.test_files, *answer.stubs}
    changed = await attempt.parts.repo.diff(attempt.base, head.commit)
    stray = [c.path for c in changed if c.path not in allowed]
    findings = []
    if stray:
        names = ", ".join(sorted(stray)[:10])
        findings.append(
            f"a contract changes only its test_files and stubs; put these back: {names}"
        )
    bead = attempt.parts.board.bead(attempt.claim.bead)
    return [*findings, *_of_kind(answer), *coverage(bead.criteria, answer)]


def _of_kind(answer: TestWriterAnswer) -> list[str]:
    """What does not fit the kind of contract."""
    findings = []
    proof = (answer.test_plan, answer.test_files, answer.checks, answer.stubs)
    if answer.kind == "none" and any(proof):
        findings.append(
            "kind none has no tests, checks or stubs: with them it is behaviour, check or preserve"
        )
    if answer.kind == "preserve" and any(names_all(path) for path in answer.touches):
        findings.append("`touches` names everything; name the files and folders that may change")
    return findings


async def _judge_checks(
    attempt: Attempt, answer: TestWriterAnswer, head: Head
) -> Result | list[str]:
    ran = await _run_checks(attempt, answer.checks)
    findings = judge_red_checks(ran)
    if findings:
        return list(findings)
    red = [{"command": c.command, "expect": c.expect, "exit": r.exit} for c, r in ran]
    return await _accept(attempt, answer, head, NOTHING, {"checks": red})


async def _run_checks(attempt: Attempt, checks: list[Challenge]) -> list[tuple[Check, Ran]]:
    """The checks on the base, one after the other."""
    run = attempt.parts.check
    return [(Check(c.command, c.expect), await run(attempt.base, c.command)) for c in checks]


async def _judge_tests(
    attempt: Attempt, answer: TestWriterAnswer, head: Head
) -> Result | list[str]:
    """Red by its own tests for behaviour, green as it was to preserve that."""
    tests = await attempt.parts.gates.tests(head.commit)
    if not tests.prepared:
        return [feedback(tests)]
    base = await _report(attempt, attempt.base)
    contract = await _report(attempt, head.commit)
    files = await attempt.parts.repo.list_files(attempt.base)
    judge = judge_preserved if answer.kind == "preserve" else judge_contract
    verdict = judge(
        planned=[item.id for item in answer.test_plan],
        base=base,
        contract=contract,
        test_files=answer.test_files,
        project_names=project_names(files),
        changes=[change.id for change in answer.changes],
    )
    if not verdict.ok:
        return list(verdict.findings)
    if answer.kind == "preserve":
        red = failing_checks(await _run_checks(attempt, answer.checks))
        if red:
            return [f"to preserve is what holds, but on the base: {line}" for line in red]
    gates = attempt.parts.gates
    keys = [(await gates.tests(commit)).key for commit in (attempt.base, head.commit)]
    return await _accept(attempt, answer, head, verdict, {"keys": keys})


async def _accept(
    attempt: Attempt,
    answer: TestWriterAnswer,
    head: Head,
    verdict: ContractVerdict,
    red: dict[str, Any],
) -> Result:
    """`red`: what the contract was held against: keys of evidence of base and contract, or the
    checks as they ran on the base."""
    claim = attempt.claim
    files = await attempt.parts.repo.list_files(head.commit)
    # A check may be about the tests themselves; in all other work they stay as they are.
    report = Report() if answer.kind == "check" else await _report(attempt, head.commit)
    contract = Contract.of(
        claim,
        answer,
        head,
        verdict,
        base=attempt.base,
        frozen=sorted(frozen_paths(files, answer.test_files, report)),
    )
    event = ContractAccepted(claim.epoch, head.commit, attempt.base, answer.kind or "")
    return Result(
        event,
        also=(Put("contracts", claim.bead, contract.to_json()),),
        data={
            "fail_to_pass": list(verdict.fail_to_pass),
            "contract": contract.hash,
            "red": red,
            **({"left_out": list(head.left_out)} if head.left_out else {}),
            **discovered(answer),
        },
    )


async def _report(attempt: Attempt, commit: str) -> Report:
    evidence = await attempt.parts.gates.tests(commit)
    if evidence.report is None or not evidence.complete:
        # What a run that was cut short has written down before says nothing of the tree.
        how = "gave no report" if evidence.complete else "did not come to its end"
        why = f"the tests gate {how}: {evidence.tail[-300:]}"
        raise AttemptOver(FailureClass.GATE_RED, why)
    return evidence.report
