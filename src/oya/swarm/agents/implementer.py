"""The implementer: a contract becomes code that passes it, on a tree whose tests are untouched."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import ClassVar

from oya.agents.answers import AnswerWrong, ImplementerAnswer
from oya.gates.frozen import LINK, changed, digest, frozen_paths
from oya.gates.globs import among
from oya.gates.green import absent, unstable
from oya.gates.model import Report
from oya.gates.shadow import shadows
from oya.lifecycle.events import CannotDo, ImplementationAccepted
from oya.lifecycle.failures import FailureClass
from oya.lifecycle.model import Role
from oya.repository.port import Head
from oya.swarm.agents.base import AgentActor
from oya.swarm.assembly import Parts
from oya.swarm.attempt import Attempt, AttemptOver, Result, discovered
from oya.swarm.contract import PROVES, Contract
from oya.swarm.judgement import failing_checks, failing_gate, failing_tests
from oya.swarm.red_base import require_green_base, require_lasting_base

REPORTED = ("behaviour", "preserve")
"""The kinds that are judged by the report of the tests."""
SHORT_CI = 300.0
"""Seconds: a `ci` that takes longer, by its median, runs at landing alone."""
NAMED = 10
"""Paths that a finding names, at most."""


class ImplementerActor(AgentActor):
    """Makes contracts green."""

    role: ClassVar[Role] = Role.IMPLEMENTER

    async def work(self, attempt: Attempt) -> Result:
        """Prompt, check the frozen files, run the gates, send findings back until green."""
        contract = await attempt.parts.contract(attempt.claim.bead)
        reference = await _reference(attempt, contract)
        if isinstance(reference, Result):
            return reference
        frozen = await _frozen(attempt, contract, reference)
        await attempt.prompt(attempt.parts.prompts.first(self.role, await attempt.briefing()))
        warned = False
        while True:
            refused = _cannot(attempt, contract)
            if refused is not None:
                return refused
            head = await attempt.head()
            lacks = await _lacks(attempt, contract, head)
            if lacks and not head.left_out:
                raise AttemptOver(FailureClass.AGENT_EMPTY, f"{lacks}{attempt.last_words}")
            if lacks:
                await attempt.fix([lacks], FailureClass.AGENT_EMPTY)
                continue
            touched = await _thawed(attempt, frozen, reference, head)
            if touched:
                if warned:
                    why = f"edited the frozen files again: {', '.join(touched)}"
                    raise AttemptOver(FailureClass.CONTRACT_BROKEN, why, [why])
                warned = True
                await attempt.parts.workspaces.restore(attempt.workspace, reference, touched)
                await attempt.fix([_warning(touched)], FailureClass.CONTRACT_BROKEN)
                continue
            begun = attempt.parts.gates.begun
            findings, failure = await _gates(attempt, contract, head)
            if not findings:
                return await _accept(attempt, contract, head)
            if attempt.state.rework:  # on a base that nobody has judged yet
                await require_green_base(attempt, ci=await _ci_is_short(attempt.parts))
            if attempt.fixes >= attempt.parts.settings.execution.fix_rounds:
                short = await _ci_is_short(attempt.parts)
                await require_lasting_base(attempt, begun, ci=short)
            await attempt.fix(findings, failure)


async def _reference(attempt: Attempt, contract: Contract) -> str | Result:
    """The commit whose frozen files count: the contract, merged into its present base, which stays
    another than its own in every attempt after a rework."""
    if attempt.base == contract.base:
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


def _cannot(attempt: Attempt, contract: Contract) -> Result | None:
    answer = _answer(attempt)
    if answer is None or answer.cannot is None:
        return None
    said, cannot = answer.question or answer.why, answer.cannot
    if cannot == "already_done" and contract.kind not in PROVES:
        # Nothing was red, so that no code can tell.
        said, cannot = f"the implementer says that it is done already: {said}", "needs_person"
    elif cannot == "already_done" and _begins_with_work(attempt, contract):
        return None
    event = CannotDo(attempt.claim.epoch, cannot, answer.why, said)
    return Result(event, data=discovered(answer))


async def _lacks(attempt: Attempt, contract: Contract, head: Head) -> str | None:
    """Why that is no work, where nothing was done. What no red test stands for needs a change,
    always; the gates alone decide on work that another contract had."""
    if contract.kind not in PROVES and not await _own_changes(attempt, contract, head):
        return f"changed nothing, and kind {contract.kind} needs a change"
    if attempt.state.rework or _begins_with_work(attempt, contract):
        return None  # the merge itself may be all that the new base, or contract, needs
    start = attempt.state.snapshot or attempt.workspace.start
    if head.tree == await attempt.parts.repo.tree_of(start) and not attempt.state.snapshot:
        return "said that it was done, and nothing had changed"
    return None


def _begins_with_work(attempt: Attempt, contract: Contract) -> bool:
    """Whether work for an earlier contract of the bead was merged into the start: nobody has
    judged it by this one. (Where this contract has an implementation, that is the start.)"""
    earlier = attempt.state.implementation
    fresh = earlier is not None and attempt.state.snapshot is None
    return fresh and attempt.workspace.start not in (contract.commit, earlier)


async def _own_changes(attempt: Attempt, contract: Contract, head: Head) -> list[str]:
    """The paths that differ from the base and are not the contract's."""
    there = await attempt.parts.repo.diff(attempt.base, head.commit)
    return [change.path for change in there if change.path not in contract.test_files]


async def _frozen(attempt: Attempt, contract: Contract, reference: str) -> Collection[str]:
    """The paths that are frozen in this attempt: on a new base its own tests are among them."""
    if attempt.base == contract.base:
        return contract.frozen
    files = await attempt.parts.repo.list_files(reference)
    if contract.kind == "check":
        return frozen_paths(files, contract.test_files, Report())
    tests = await attempt.parts.gates.tests(attempt.base)
    if tests.report is None:  # nobody can tell then which files are tests
        await require_green_base(attempt, ci=False)
        tests = await attempt.parts.gates.tests(attempt.base)
    return frozen_paths(files, contract.test_files, tests.report or Report())


async def _thawed(
    attempt: Attempt, frozen: Collection[str], reference: str, head: Head
) -> tuple[str, ...]:
    """Frozen files that were edited, and new ones that would change how the tests run."""
    there = await attempt.parts.repo.diff(reference, head.commit)
    was = {
        c.path: await _digest(attempt, reference, c.path, c.old_mode)
        for c in there
        if c.path in frozen
    }
    now = {c.path: await _digest(attempt, head.commit, c.path, c.mode) for c in there}
    edited = changed(
        {path: d for path, d in was.items() if d is not None},
        {path: d for path, d in now.items() if d is not None},
    )
    added = [change.path for change in there if change.status == "A"]
    links = [change.path for change in there if change.mode == LINK]
    return tuple(sorted({*edited, *shadows(added, frozen, links)}))


async def _digest(attempt: Attempt, commit: str, path: str, mode: str) -> str | None:
    data = await attempt.parts.repo.read_file(commit, path)
    return None if data is None else digest(path, data, mode)


def _warning(touched: Sequence[str]) -> str:
    names = ", ".join(touched)
    return (
        f"these files are frozen by the contract and were put back: {names}. "
        "Make the tests pass without touching them; changing them again ends the attempt."
    )


async def _gates(
    attempt: Attempt, contract: Contract, head: Head
) -> tuple[list[str], FailureClass]:
    """What is wrong, and the class of an attempt that ends with it: a planned test that does not
    run, after all rounds, breaks the contract."""
    gates, failure = attempt.parts.gates, FailureClass.GATE_RED
    findings = await _outside(attempt, contract, head)
    if findings:
        return findings, failure
    parts, base = attempt.parts, attempt.base
    if contract.kind in REPORTED:
        evidence = await gates.tests(head.commit)
        findings += await failing_tests(parts, base, (contract,), evidence)
        if evidence.report is not None and absent(evidence.report, contract.planned):
            failure = FailureClass.CONTRACT_BROKEN
    checks = (*contract.checks, *attempt.state.checks)
    findings += await failing_checks(attempt.parts, head.commit, checks)
    if findings:
        return findings, failure
    red = await failing_gate(parts, base, await gates.quick(head.commit))
    if not red and await _ci_is_short(parts):
        red = await failing_gate(parts, base, await gates.ci(head.commit, base=base))
    return list(red), failure


async def _ci_is_short(parts: Parts) -> bool:
    """Whether `ci` is run before landing too; where nothing is known of it, to learn it."""
    seconds = await parts.gate_median("ci")
    return seconds is None or seconds < SHORT_CI


async def _outside(attempt: Attempt, contract: Contract, head: Head) -> list[str]:
    """What a refactoring changes beside what it may touch."""
    if not contract.touches:
        return []
    changed = await _own_changes(attempt, contract, head)
    stray = sorted(path for path in changed if not among(path, contract.touches))
    if not stray:
        return []
    more = f" and {len(stray) - NAMED} more" if len(stray) > NAMED else ""
    return [
        f"this work is to touch only {', '.join(contract.touches[:NAMED])}; "
        f"put these back: {', '.join(stray[:NAMED])}{more}"
    ]


async def _accept(attempt: Attempt, contract: Contract, head: Head) -> Result:
    if contract.fail_to_pass and not await _stays(attempt, head):
        await _repeat(attempt, contract, head)
    parts = attempt.parts
    event = ImplementationAccepted(attempt.claim.epoch, head.commit, attempt.base)
    if not parts.limits.review:
        hold, why = await parts.hold_for(contract, attempt.base, head.commit)
        event = replace(event, hold=hold, why=why)
    found = {"tree": head.tree, "left_out": list(head.left_out)}
    return Result(event, data=found | discovered(_answer(attempt)))


async def _stays(attempt: Attempt, head: Head) -> bool:
    """Whether what was accepted for this contract is left as it is: it was repeated then."""
    state = attempt.state
    return state.spare and head.tree == await attempt.parts.repo.tree_of(str(state.implementation))


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
