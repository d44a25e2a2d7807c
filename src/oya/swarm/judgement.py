"""Judgements that more than one step of the pipeline makes, from evidence alone."""

from __future__ import annotations

from collections.abc import Iterable

from oya.gates import baseline, checks
from oya.gates.model import Evidence, Outcome, belongs
from oya.lifecycle.model import Check
from oya.swarm.assembly import Parts
from oya.swarm.contract import Contract


async def passing(parts: Parts, base: str, contract: Contract) -> tuple[str, ...]:
    """pass_to_pass: what passes on `base`, minus what the contract means to change."""
    report = (await parts.gates.tests(base)).report
    if report is None:
        return ()
    meant = frozenset((*contract.changes, *contract.fail_to_pass))
    return tuple(
        case.id
        for case in report.cases
        if case.outcome is Outcome.PASSED and not belongs(case.id, meant)
    )


async def failing_tests(
    parts: Parts, base: str, contract: Contract, tests: Evidence
) -> tuple[str, ...]:
    """What is wrong with a tree on `base` by its tests gate, in words."""
    return baseline.judge_tests(
        tests,
        await parts.gates.tests(base),
        contract.fail_to_pass,
        contract.guards,
        await passing(parts, base, contract),
        contract.changes,
        no_worse=parts.settings.no_worse,
    )


async def failing_gate(parts: Parts, base: str, gate: Evidence) -> tuple[str, ...]:
    """The same by `quick` or `ci`; with no-worse the base's own evidence may excuse it."""
    if gate.ok or not parts.settings.no_worse:
        return baseline.judge_gate(gate, None)
    on_base = {"quick": parts.gates.quick, "ci": parts.gates.ci}[gate.gate]
    return baseline.judge_gate(gate, await on_base(base))


async def failing_checks(parts: Parts, commit: str, wanted: Iterable[Check]) -> tuple[str, ...]:
    """Which checks of contract and reviewers do not hold on `commit`, in words."""
    ran = [
        (checks.Check(check.command, check.expect), await parts.check(commit, check.command))
        for check in dict.fromkeys(wanted)
    ]
    return checks.failing_checks(ran)
