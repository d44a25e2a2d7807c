"""Judgements that more than one step of the pipeline makes, from evidence alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from oya.errors import PrepareFailed
from oya.gates import baseline, checks
from oya.gates.model import Evidence, Outcome, Report, belongs
from oya.lifecycle.model import Check
from oya.swarm.assembly import Parts
from oya.swarm.contract import Contract


def passing(report: Report | None, contracts: Iterable[Contract]) -> tuple[str, ...]:
    """pass_to_pass: what passes by the base's report, minus what the contracts mean to change."""
    if report is None:
        return ()
    meant = frozenset(id for c in contracts for id in (*c.changes, *c.fail_to_pass))
    return tuple(
        case.id
        for case in report.cases
        if case.outcome is Outcome.PASSED and not belongs(case.id, meant)
    )


async def failing_tests(
    parts: Parts, base: str, contracts: Sequence[Contract], tests: Evidence
) -> tuple[str, ...]:
    """What is wrong with a tree on `base` by its tests gate, in words; it is to keep all of
    `contracts`. Without any, nothing may be red; what is gone is for whoever changed it."""
    before = await parts.gates.tests(base, urgent=True)
    return baseline.judge_tests(
        tests,
        before,
        [id for contract in contracts for id in contract.fail_to_pass],
        [id for contract in contracts for id in contract.guards],
        passing(before.report, contracts) if contracts else (),
        [id for contract in contracts for id in contract.changes],
        no_worse=parts.settings.no_worse,
    )


async def failing_gate(parts: Parts, base: str, gate: Evidence) -> tuple[str, ...]:
    """The same by `quick` or `ci`; with no-worse the base's own evidence may excuse it."""
    if gate.ok or not parts.settings.no_worse:
        return baseline.judge_gate(gate, None)
    on_base = {"quick": parts.gates.quick, "ci": parts.gates.ci}[gate.gate]
    return baseline.judge_gate(gate, await on_base(base))


async def failing_checks(parts: Parts, commit: str, wanted: Iterable[Check]) -> tuple[str, ...]:
    """Which checks of contract and reviewers do not hold on `commit`, in words; where it cannot
    be prepared, that is all there is to say."""
    try:
        ran = [
            (checks.Check(check.command, check.expect), await parts.check(commit, check.command))
            for check in dict.fromkeys(wanted)
        ]
    except PrepareFailed as failed:
        return (f"no check could run: {failed.told}",)
    return checks.failing_checks(ran)
