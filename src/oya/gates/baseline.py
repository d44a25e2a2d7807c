"""What a base that is red means: with `baseline = "green"` nothing may be red, with `"no-worse"`
nothing may become red.

With no-worse a test that is red on the parent may stay so, by the report of the tests gate;
nothing that passes there may fail. A gate that tells no tests apart (`quick`, `ci`) counts
only where it is green on the parent: where it is red there, it says nothing about a
candidate, and nothing here finds what it alone would have found.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from oya.gates.feedback import feedback
from oya.gates.green import judge_implementation
from oya.gates.model import Evidence, Report

TESTS = "tests"
_SAID = 200


def reds(
    evidence: Iterable[Evidence], *, no_worse: bool = False, may_be_empty: bool = True
) -> list[str]:
    """What is wrong with a base: names of red tests, of files that cannot be collected, or what
    a gate said at its end; empty where work can start on it.

    `may_be_empty`: as long as no behaviour has landed there may be no test to collect.
    """
    found: list[str] = []
    for one in evidence:
        if one.ok or (one.empty and may_be_empty):
            continue
        if not one.prepared:
            said = one.tail.strip()[-_SAID:]
            found.append(f"`{one.command}` ([workspace] prepare) fails: {said}")
        elif one.empty:
            found.append(f"{one.gate}: no test is collected any more")
        elif not (no_worse and _may_be_red(one)):
            found += _names(one) or [f"{one.gate}: {one.tail.strip()[-_SAID:]}"]
    return list(dict.fromkeys(found))


def judge_tests(
    tests: Evidence,
    parent: Evidence,
    fail_to_pass: Sequence[str],
    guards: Sequence[str],
    pass_to_pass: Sequence[str],
    changes: Collection[str] = (),
    *,
    no_worse: bool = False,
) -> tuple[str, ...]:
    """What is wrong with a tree by its tests gate; nothing: it holds.

    `parent` is the same gate's evidence on what the tree stands on, the lists are as for
    `green.judge_implementation`. The exit code counts too, unless nothing is collected where
    nothing was, or with `no_worse` the report explains it.
    """
    if tests.report is None:
        return (feedback(tests),)
    if not parent.prepared:  # what passes there is not known
        return (f"on the base: {feedback(parent)}",)
    stays = stays_red(parent.report) if no_worse else frozenset()
    findings = judge_implementation(
        tests.report, fail_to_pass, guards, pass_to_pass, changes, stays
    )
    if findings or tests.ok or (tests.empty and parent.empty):
        return findings
    if no_worse and _explained(tests.report, tests, parent):
        return ()
    return (feedback(tests),)


def judge_gate(gate: Evidence, parent: Evidence | None) -> tuple[str, ...]:
    """What is wrong by a gate that tells no tests apart. `parent`: its evidence on what the tree
    stands on, where that may excuse it (no-worse); None: only green will do."""
    excused = parent is not None and not parent.ok and _may_be_red(parent) and gate.complete
    return () if gate.ok or excused else (feedback(gate),)


def stays_red(report: Report | None) -> frozenset[str]:
    """Tests, and files that cannot be collected, that are red by this report of a parent."""
    return frozenset(report.red) if report is not None else frozenset()


def _may_be_red(evidence: Evidence) -> bool:
    """Whether it can be told what is red: by a report for tests, by a run to its end else."""
    if evidence.gate != TESTS:
        return evidence.complete
    return evidence.complete and evidence.report is not None and not evidence.report.exit_only


def _explained(report: Report, tests: Evidence, parent: Evidence) -> bool:
    """Whether the exit code is for what may be red, or for nothing, on the parent too."""
    if not tests.complete:
        return False
    nothing = parent.report is not None and not parent.report.red
    return bool(report.red) or (nothing and not parent.ok and _may_be_red(parent))


def _names(evidence: Evidence) -> list[str]:
    report = evidence.report
    return list(report.red) if report is not None and not report.exit_only else []
