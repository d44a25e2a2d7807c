"""Whether a candidate is green: every gate on exactly its tree, and what its beads promised."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass

from oya.gates.checks import timeless
from oya.gates.green import passed, unstable
from oya.gates.model import Evidence, Report
from oya.lifecycle.model import Check
from oya.swarm.assembly import Parts
from oya.swarm.contract import Contract
from oya.swarm.judgement import failing_checks, failing_gate, failing_tests


@dataclass(frozen=True, slots=True)
class Promised:
    """What a bead in the stack has promised: its contract, and the checks of its reviewers."""

    bead: str
    contract: Contract
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True, slots=True)
class Proof:
    """What the gates said of a candidate; without findings it is green. `accused`: the first
    bead of its stack of which the reports say that something of its own is not kept.
    `begun`: how many runs of gates had begun when these had ended."""

    evidence: tuple[Evidence, ...]
    findings: tuple[str, ...] = ()
    accused: str | None = None
    begun: int = 0

    @property
    def ok(self) -> bool:
        return not self.findings

    @property
    def red(self) -> list[str]:
        """The gates that were red, each once."""
        reds = (one.gate for one in self.evidence if not one.ok and not one.empty)
        return list(dict.fromkeys(reds))

    def says_the_same(self, other: Proof) -> bool:
        """Whether both are red, and for the same reason, durations apart."""
        mine, theirs = self.findings[:1], other.findings[:1]
        return bool(mine and theirs) and timeless(mine[0]) == timeless(theirs[0])


async def prove(
    parts: Parts,
    base: str,
    commit: str,
    promised: Sequence[Promised],
    *,
    since: str | None = None,
    fresh: bool = False,
) -> Proof:
    """Judge `commit`, which has all of `promised` on `base`.

    Green is: quick, tests and ci; every planned test of these beads reported as passed; what
    passes on the base, minus what they mean to change; their checks. The base's own evidence
    is made beside. `since`: a `ci` that looks at changes alone looks at all since that commit,
    the first parent if nothing is said. `fresh`: by real runs, whatever is known of that tree.
    """
    gates = parts.gates
    quick, ci, *others, _ = await side_by_side(
        gates.quick(commit, fresh=fresh, urgent=True),
        gates.ci(commit, base=since, fresh=fresh, urgent=True),
        *([] if gates.tests_are_ci else [gates.tests(commit, fresh=fresh, urgent=True)]),
        gates.tests(base, urgent=True),
    )
    tests = others[0] if others else ci
    ran, begun = (quick, tests, ci), gates.begun
    contracts = [one.contract for one in promised]
    findings = (
        await failing_gate(parts, base, quick)
        or await failing_tests(parts, base, contracts, tests)
        or await failing_gate(parts, base, ci)
    )
    if findings:
        return Proof(ran, findings, _accused(tests.report, promised), begun)
    for one in promised:
        broken = await failing_checks(parts, commit, (*one.contract.checks, *one.checks))
        if broken:
            return Proof(ran, broken, one.bead)
    return Proof(ran)


def flickered(before: Proof, after: Proof, promised: Sequence[Promised]) -> str | None:
    """The first bead of which a planned test was not the same in two runs of all gates.

    By the reports: findings of another gate come first, and hide a red test.
    """
    pairs = zip(before.evidence, after.evidence, strict=True)
    reports = [(one.report, two.report) for one, two in pairs if one.report and two.report]
    for one in promised:
        if any(unstable(pair, one.contract.fail_to_pass) for pair in reports):
            return one.bead
    return None


async def side_by_side(*gates: Awaitable[Evidence]) -> list[Evidence]:
    """All of them; if one fails, not before the others have ended as well."""
    ended = await asyncio.gather(*gates, return_exceptions=True)
    for one in ended:
        if isinstance(one, BaseException):
            raise one
    return [one for one in ended if isinstance(one, Evidence)]


def _accused(report: Report | None, promised: Sequence[Promised]) -> str | None:
    if report is None or report.exit_only:
        return None
    for one in promised:
        if any(not passed(report, id) for id in one.contract.planned):
            return one.bead
    return None
