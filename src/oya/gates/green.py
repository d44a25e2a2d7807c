"""The implementation's gate: what was red is green, and what was green still is."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from oya.gates.feedback import bounded, clip, gist
from oya.gates.model import EXIT_ONLY, Case, Outcome, Report, belongs, file_of

_SHOWN = 10
_LINES = 12
_MESSAGE = 1_500


def judge_implementation(
    report: Report,
    fail_to_pass: Sequence[str],
    guards: Sequence[str],
    pass_to_pass: Sequence[str],
    changes: Collection[str] = (),
    stays_red: Collection[str] = (),
) -> tuple[str, ...]:
    """What is wrong, for the implementer; nothing: every id is present and passed.

    An id that is missing, skipped or red is named, the first ones with the first lines of
    their messages. Red tests that no list names count too. `changes` only says which tests
    of the base need not be there any more, `stays_red` which tests, and files that cannot be
    collected, are red there and may stay so if no list names them. Where the runner is judged by
    its exit code, that is all there is to pass.
    """
    freed = frozenset(changes)
    owed = dict.fromkeys((*fail_to_pass, *guards))
    owed |= dict.fromkeys(id for id in pass_to_pass if not belongs(id, freed))
    if report.exit_only:
        owed = {EXIT_ONLY: None}
    findings = _owed(report, list(owed))
    known, before = frozenset(owed), frozenset(stays_red)
    findings += [
        _red(case)
        for case in report.cases
        if case.red and not belongs(case.id, known) and not _was_red(case.id, before)
    ]
    findings += [
        f"{broken.file}: cannot be collected: {gist(broken.message)}"
        for broken in report.broken
        if broken.file not in before
    ]
    return bounded([*findings[:_SHOWN], *(f.partition("\n")[0] for f in findings[_SHOWN:])])


def unstable(reports: Sequence[Report | None], ids: Sequence[str]) -> tuple[str, ...]:
    """Of `ids`, those whose verdict is not the same in every report of the same tree.

    A report that could not be had counts as one in which nothing passed. A test that
    passes with probability p each time is missed with probability p to the number of runs.
    """
    return tuple(id for id in ids if len({passed(report, id) for report in reports}) > 1)


def absent(report: Report, planned: Sequence[str]) -> tuple[str, ...]:
    """Of the planned tests, those that did not run though their files could be collected: missing
    or skipped. None where the runner is judged by its exit code."""
    if report.exit_only:
        return ()
    return tuple(
        id
        for id in planned
        if (not report.of(id) and report.broken_file(id) is None)
        or any(case.outcome is Outcome.SKIPPED for case in report.of(id))
    )


def passed(report: Report | None, id: str) -> bool:
    """Whether the report has cases of that id, and all of them passed."""
    cases = report.of(id) if report is not None else ()
    return bool(cases) and all(case.outcome is Outcome.PASSED for case in cases)


def _was_red(id: str, before: frozenset[str]) -> bool:
    """Whether a test was red by itself, or with its whole file."""
    return belongs(id, before) or file_of(id) in before


def _owed(report: Report, ids: Sequence[str]) -> list[str]:
    findings: list[str] = []
    for id in ids:
        cases = report.of(id)
        if not cases and report.broken:  # asked for by id, pytest then runs none of them
            broken = report.broken_file(id) or report.broken[0]
            findings.append(f"{id}: did not run, {broken.file} cannot be collected")
        elif not cases:
            findings.append(f"{id}: missing from the runner's report")
        findings += [_red(case) for case in cases if case.red]
        findings += [
            f"{case.id}: skipped, it must run: {gist(case.message)}"
            for case in cases
            if case.outcome is Outcome.SKIPPED
        ]
    return findings


def _red(case: Case) -> str:
    lines = case.message.splitlines()
    cut = "\n  …" if len(lines) > _LINES else ""
    message = "\n".join(f"  {line}" for line in lines[:_LINES])
    return f"{case.id}: {case.outcome}\n{clip(message, _MESSAGE)}{cut}".rstrip()
