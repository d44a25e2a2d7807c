"""Judgements that more than one step of the pipeline makes, from evidence alone."""

from __future__ import annotations

from collections.abc import Iterable

from oya.gates import checks
from oya.gates.model import Outcome, Report, belongs
from oya.lifecycle.model import Check
from oya.swarm.assembly import Parts
from oya.swarm.contract import Contract


async def passing(parts: Parts, base: str, contract: Contract) -> tuple[str, ...]:
    """pass_to_pass: what passes on `base`, minus what the contract means to change."""
    return still_passing((await parts.gates.tests(base)).report, (contract,))


def still_passing(report: Report | None, contracts: Iterable[Contract]) -> tuple[str, ...]:
    """What passes by the base's report, minus what any of the contracts means to change."""
    if report is None:
        return ()
    meant = frozenset(id for c in contracts for id in (*c.changes, *c.fail_to_pass))
    return tuple(
        case.id
        for case in report.cases
        if case.outcome is Outcome.PASSED and not belongs(case.id, meant)
    )


async def failing_checks(parts: Parts, commit: str, wanted: Iterable[Check]) -> tuple[str, ...]:
    """Which checks of contract and reviewers do not hold on `commit`, in words."""
    ran = [
        (checks.Check(check.command, check.expect), await parts.check(commit, check.command))
        for check in dict.fromkeys(wanted)
    ]
    return checks.failing_checks(ran)
