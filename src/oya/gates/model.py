"""What a gate says: cases, reports, evidence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Final, Literal

EXIT_ONLY: Final = "ci"
"""The id of the only test where a runner is judged by its exit code."""

TAIL_LIMIT: Final = 8_000
"""Characters of output that evidence carries."""


class Outcome(StrEnum):
    """How one test ended. An expected failure (xfail) counts as skipped: it proves nothing."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"


SCRIPTS: Final = tuple(f".{a}{b}{c}" for a in ("", "c", "m") for b in "jt" for c in ("s", "sx"))
"""How files of JavaScript and TypeScript end."""

RED: Final = frozenset({Outcome.FAILED, Outcome.ERROR})

BrokenKind = Literal["missing_project_name", "missing_third_party", "syntax", "other"]


@dataclass(frozen=True, slots=True)
class Case:
    """One test as it ran. `id` is the runner's own; `message` is bounded, empty if it passed."""

    id: str
    outcome: Outcome
    message: str = ""

    @property
    def red(self) -> bool:
        return self.outcome in RED


@dataclass(frozen=True, slots=True)
class Broken:
    """A file from which no tests could be collected, and why.

    `unit` says which files' tests it takes with it, where tests are compiled together:
    `folder/*` those directly in a folder, `folder/**` those below it, `**` all.
    """

    file: str
    message: str
    kind: BrokenKind
    unit: str = ""

    def takes(self, file: str) -> bool:
        """Whether the tests of this file cannot run because of it."""
        if file == self.file:
            return True
        folder, _, stars = self.unit.rpartition("/")
        if stars == "**":
            return not folder or file.startswith(f"{folder}/")
        return stars == "*" and file.rpartition("/")[0] == folder


@dataclass(frozen=True)
class Report:
    """What a runner reported; each id once, in its order."""

    cases: tuple[Case, ...] = ()
    broken: tuple[Broken, ...] = ()

    def of(self, planned_id: str) -> tuple[Case, ...]:
        """The cases that belong to an id: itself, its parametrised cases, a class's tests."""
        return self._index.get(planned_id, ())

    def of_file(self, file: str) -> tuple[Case, ...]:
        """The cases of a file, as the runner names it."""
        return tuple(case for case in self.cases if file_of(case.id) == file)

    def broken_file(self, planned_id: str) -> Broken | None:
        """The broken file that keeps this id from running, if there is one: the file in
        which it would be, or one that is compiled with that (of several, one that the
        project cannot mend)."""
        file = file_of(planned_id)
        if file in self._broken:
            return self._broken[file]
        taking = [broken for broken in self.broken if broken.takes(file)]
        worse = (broken for broken in taking if broken.kind != "missing_project_name")
        return next(worse, taking[0] if taking else None)

    @property
    def exit_only(self) -> bool:
        """Whether this is no report of tests but the exit code of a command."""
        return len(self.cases) == 1 and self.cases[0].id == EXIT_ONLY

    @property
    def ran(self) -> bool:
        """Whether anything ran: a report of nothing but skipped tests has judged nothing."""
        return any(case.outcome is not Outcome.SKIPPED for case in self.cases)

    @property
    def empty(self) -> bool:
        """Whether there was nothing to collect."""
        return not self.cases and not self.broken

    @property
    def red(self) -> tuple[str, ...]:
        """Every red case, then every file that could not be collected."""
        cases = (case.id for case in self.cases if case.red)
        return (*cases, *(broken.file for broken in self.broken))

    def counts(self) -> dict[str, int]:
        """How many cases ended in which way, and how many files are broken."""
        counts = {str(outcome): 0 for outcome in Outcome}
        for case in self.cases:
            counts[case.outcome] += 1
        return {**counts, "broken": len(self.broken)}

    @cached_property
    def _index(self) -> dict[str, tuple[Case, ...]]:
        index: dict[str, list[Case]] = {}
        for case in self.cases:
            for name in ancestors(case.id):
                index.setdefault(name, []).append(case)
        return {name: tuple(cases) for name, cases in index.items()}

    @cached_property
    def _broken(self) -> dict[str, Broken]:
        return {broken.file: broken for broken in self.broken}


@dataclass(frozen=True)
class Evidence:
    """The recorded result of one gate on one tree.

    `command` is the line that decided (the first red one, else the last), `exit` its exit
    code (None: ended by a signal, or nothing was run), `log` the file with its output.
    `seconds` and `cpu_seconds` are those of all the gate's commands. `tail` is the relevant
    part of the output, at most `TAIL_LIMIT` characters. `report` is None where the gate
    gives none, or where it could not be read (then `ok` is False and `tail` says why).
    `reused`: it was found, not made; `again`: it was to be made, whatever could be found.
    `prepared`: False where nothing of the gate ran, since `[workspace] prepare` failed there:
    `command`, `exit` and `tail` are those of that.
    """

    key: str
    gate: str
    tree: str
    command: str
    exit: int | None
    seconds: float
    cpu_seconds: float
    ok: bool
    report: Report | None
    log: Path
    tail: str
    timed_out: bool = False
    reused: bool = False
    again: bool = False
    prepared: bool = True

    @property
    def empty(self) -> bool:
        """Whether the gate has tests to report and collected none (not `ok`; the caller may
        forgive it where the base has none either)."""
        return self.report is not None and self.report.empty

    @property
    def complete(self) -> bool:
        """Whether it ran to its end by itself; only then it says something about the tree."""
        return self.exit is not None and not self.timed_out and self.prepared


def file_of(test_id: str) -> str:
    """The file in which a test lies, as its runner names it."""
    return test_id.partition("::")[0]


def names_of(path: str) -> Iterator[str]:
    """What a runner may call a file of the tree: its path, and what that is seen from each folder
    above it, since a runner may have been started there."""
    while path:
        yield path
        path = path.partition("/")[2]


def ancestors(test_id: str) -> Iterator[str]:
    """The ids a case answers to: its own, its function's, its classes'; not its file's.

    What parts a test from its parent is the language's: `Test/sub` in Go, `suite > test` in
    JavaScript, `class::test` and `test[case]` elsewhere.
    """
    yield test_id
    file, _, name = test_id.partition("::")
    between = _between(file)
    if between == "::":
        base, bracket, _ = name.partition("[")
        if bracket:
            yield f"{file}::{base}"
        name = base
    while between in name:
        name = name.rpartition(between)[0]
        yield f"{file}::{name}"


def _between(file: str) -> str:
    if file.endswith(".go"):
        return "/"
    return " > " if file.endswith(SCRIPTS) else "::"


def belongs(case_id: str, ids: frozenset[str]) -> bool:
    """Whether a case is one of `ids` or belongs to one of them."""
    return any(name in ids for name in ancestors(case_id))
