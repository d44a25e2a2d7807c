"""The contract's gate: red on the base, for a right reason, and nothing else broken."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from oya.gates import reason
from oya.gates.feedback import bounded, gist
from oya.gates.frozen import may_be_worked_on
from oya.gates.model import EXIT_ONLY, Broken, Case, Outcome, Report, belongs, file_of, names_of
from oya.gates.reason import RIGHT, ProjectNames, Reason
from oya.gates.reports import javascript
from oya.gates.reports.rust import is_source

_WRONG: Final = {
    Reason.SYNTAX: "stops at a syntax error",
    Reason.FIXTURE: "asks for a fixture that does not exist",
    Reason.THIRD_PARTY: "needs a module that is neither installed nor the project's",
    Reason.TEST_NAME: "uses a name that its own file does not define or import",
}
_BROKEN: Final = {
    "syntax": "stops at a syntax error",
    "missing_third_party": "imports a module that is neither installed nor the project's",
    "other": "cannot be collected",
}

_ENDS_ALL: Final = re.compile(r"\Adid not end$|^(?:panic|fatal error): ", re.M)
"""How the message of a test of Go tells that no test after it has run."""


@dataclass(frozen=True, slots=True)
class ContractVerdict:
    """`fail_to_pass`: planned and red for a right reason; `guards`: planned and green already;
    `pass_to_pass`: every other case that passes on the base and is to pass ever after.
    `findings` are for the test writer; with one of them the contract is not accepted."""

    fail_to_pass: tuple[str, ...]
    guards: tuple[str, ...]
    pass_to_pass: tuple[str, ...]
    findings: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.findings


def judge_contract(
    planned: Sequence[str],
    base: Report,
    contract: Report,
    test_files: Sequence[str],
    project_names: ProjectNames,
    changes: Collection[str] = (),
) -> ContractVerdict:
    """Judge the report of base + contract beside the report of the base alone.

    Both must be of the whole suite: pytest runs nothing at all when one of the ids that it
    is given lies in a file that cannot be imported. `changes` are ids of tests that this
    bead means to change or remove. Where the runner is judged by its exit code, the only
    planned test is `EXIT_ONLY`, whatever the plan names, and why it is red is not known.
    """
    if contract.exit_only:
        planned, changes = (EXIT_ONLY,), (EXIT_ONLY,)
    judge = _Judge(base, contract, frozenset(test_files), project_names, frozenset(changes))
    judge.places(planned)
    red, guards = judge.planned(planned)
    judge.stays(red)
    kept = judge.others(frozenset(planned))
    judge.files()
    if not red and not judge.findings:
        judge.findings.append(
            "nothing is red: every planned test passes before the work is done"
            if guards
            else "no test is planned"
        )
    return ContractVerdict(red, guards, kept, bounded(judge.findings))


def judge_preserved(
    planned: Sequence[str],
    base: Report,
    contract: Report,
    test_files: Sequence[str],
    project_names: ProjectNames,
    changes: Collection[str] = (),
) -> ContractVerdict:
    """The gate of a contract of kind preserve, which is to be green before and after.

    Tests may be planned, as guards that hold on to what is there; a red one is a finding, as is
    whatever the contract's files break. Reports and `changes` are as for `judge_contract`.
    """
    if contract.exit_only:
        planned, changes = (EXIT_ONLY,), (EXIT_ONLY,)
    judge = _Judge(base, contract, frozenset(test_files), project_names, frozenset(changes))
    red, guards = judge.planned(planned)
    judge.findings += [f"{id}: is red, and nothing is to change: a guard is green" for id in red]
    kept = judge.others(frozenset(planned))
    judge.files()
    return ContractVerdict((), guards, kept, bounded(judge.findings))


class _Judge:
    def __init__(
        self,
        base: Report,
        contract: Report,
        test_files: frozenset[str],
        project: ProjectNames,
        changes: frozenset[str],
    ) -> None:
        self.findings: list[str] = []
        self._base = base
        self._contract = contract
        self._test_files = test_files
        self._named = frozenset(name for file in test_files for name in names_of(file))
        self._ends = {
            _folder(case.id): f"{case.id} ended its whole package: {gist(case.message)}; let it "
            "fail without that"
            for case in contract.cases
            if _ends(case)
        }
        self._project = project
        self._changes = changes

    def places(self, planned: Sequence[str]) -> None:
        """What is frozen cannot be what is to be worked on."""
        sources = filter(is_source, dict.fromkeys((*map(file_of, planned), *self._test_files)))
        self.findings += [
            f"{file}: is a source, and what a contract plans is frozen; put the tests into a file "
            "of their own below tests/"
            for file in sorted(sources)
        ]

    def stays(self, red: Sequence[str]) -> None:
        """Nobody but the test writer may have a hand in what the work is held to."""
        free = dict.fromkeys(file for file in map(file_of, red) if may_be_worked_on(file))
        self.findings += [
            f"{file}: the work may change it, with the tests planned in it; put them into a file "
            "of their own below tests/, or name it in test_files, which freezes it whole"
            for file in free
            if file not in self._named and not is_source(file)
        ]

    def planned(self, ids: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        red, guards = [], []
        for id in dict.fromkeys(ids):
            cases = self._contract.of(id)
            if finding := self._unfit(id, cases):
                self.findings.append(finding)
            elif cases and not any(case.red for case in cases):
                guards.append(id)
            else:
                red.append(id)
        return tuple(red), tuple(guards)

    def others(self, planned: frozenset[str]) -> tuple[str, ...]:
        """What passes on the base, and what the contract has done to it."""
        kept = []
        for case in self._base.cases:
            if case.outcome is not Outcome.PASSED or belongs(case.id, self._changes):
                continue
            mine = belongs(case.id, planned)
            if not mine:
                kept.append(case.id)
            if finding := self._lost(case.id):
                self.findings.append(finding)
        self.findings += self._not_there()
        told = {case.id for case in self._base.cases if case.outcome is not Outcome.SKIPPED}
        told = {id for id in told if not belongs(id, self._changes)}
        self.findings += [
            f"{case.id}: red, but not in the test plan: {gist(case.message)}"
            for case in self._contract.cases
            if case.red and case.id not in told and not belongs(case.id, planned)
        ]
        return tuple(kept)

    def files(self) -> None:
        """Broken files that hold no planned id, or break something that was whole."""
        before = {broken.file for broken in self._base.broken}
        for broken in self._contract.broken:
            if broken.file in before:
                continue
            if broken.kind != "missing_project_name":
                self.findings.append(_broken(broken))
            elif broken.file not in self._named:
                self.findings.append(
                    f"{broken.file}: cannot be imported since the contract's files are there, "
                    f"and is none of test_files: {gist(broken.message)}"
                )

    def _not_there(self) -> list[str]:
        """Tests that are to change, and are none of the base: an id that is misspelt frees
        nothing, and names a test in the commit that nobody knows."""
        return [
            f"{id}: named in `changes`, and is no test of the base"
            for id in sorted(self._changes)
            if not self._base.of(id) and self._base.broken_file(id) is None
        ]

    def _unfit(self, id: str, cases: Sequence[Case]) -> str | None:
        if not cases:
            return self._absent(id)
        for case in cases:
            if case.outcome is Outcome.SKIPPED:
                return f"{case.id}: is skipped; a planned test must run ({gist(case.message)})"
        for case in cases:
            if not case.red or id == EXIT_ONLY:
                continue
            why = self._why(case)
            if why not in RIGHT:
                return f"{case.id}: {_WRONG[why]}: {gist(case.message)}"
        return None

    def _why(self, case: Case) -> Reason:
        file = file_of(case.id)
        if javascript.is_script(file):
            return javascript.of_case(case.message, file)
        return reason.of_case(case.message, file, self._project)

    def _absent(self, id: str) -> str | None:
        broken = self._contract.broken_file(id)
        if broken is not None:
            return None if broken.kind == "missing_project_name" else _broken(broken)
        for case in self._contract.of_file(file_of(id)):
            if case.id == file_of(id) and case.outcome is Outcome.SKIPPED:
                return f"{id}: its whole file is skipped ({gist(case.message)})"
        if ended := self._ended(id):
            return f"{id}: planned, but did not run, since {ended}"
        there = [case.id for case in self._contract.of_file(file_of(id))][:5]
        beside = f"; its file has {', '.join(there)}" if there else "; nor is any test of its file"
        return f"{id}: planned, but not in the runner's report{beside}"

    def _lost(self, id: str) -> str | None:
        """What to say about a base test that the contract's files broke or removed."""
        cases = self._contract.of(id)
        if not cases:
            return self._gone(id)
        fails = next((case for case in cases if case.outcome is not Outcome.PASSED), None)
        if fails is None:
            return None
        why = f" ({gist(fails.message)})" if fails.message else ""
        return (
            f"{id}: passes on the base and is {fails.outcome} now{why}; "
            "name it in `changes`, or leave it as it was"
        )

    def _gone(self, id: str) -> str | None:
        """A test that is not reported was removed only if others of its file have run."""
        if self._contract.broken_file(id) is not None:
            return None  # comes back with the name; told by file otherwise
        if ended := self._ended(id):
            return f"{id}: passes on the base, but did not run, since {ended}"
        if self._contract.of_file(file_of(id)):
            return f"{id}: passes on the base and is gone; name it in `changes`, or put it back"
        broken = next((b for b in self._contract.broken if b.kind in _BROKEN), None)
        because = f" ({_broken(broken)})" if broken is not None else ""
        return (
            f"{id}: passes on the base, and no test of its file ran now{because}; "
            "name it in `changes` only if it is to go"
        )

    def _ended(self, id: str) -> str | None:
        """Which test has ended all of its package, if that is one of Go and this test's too."""
        return self._ends.get(_folder(id)) if file_of(id).endswith(".go") else None


def _ends(case: Case) -> bool:
    return case.red and file_of(case.id).endswith(".go") and bool(_ENDS_ALL.search(case.message))


def _folder(id: str) -> str:
    return file_of(id).rpartition("/")[0]


def _broken(broken: Broken) -> str:
    return f"{broken.file}: {_BROKEN[broken.kind]}: {gist(broken.message)}"
