"""The test suite of the simulated repository: a function of a tree, and of nothing else.

A file `tests/NAME.t` has one test a line: `CASE PATH WORD`, which passes where the file PATH
has the line WORD. With a fourth word `~P` it is flaky: it passes with a probability of P
even then. The rest of the tree has rules too, which only `ci` looks at: no conflict markers,
no file with the line `red`, and no line `clash-…` in two files.

A command is `has PATH WORD` or `lacks PATH WORD`, `ci`, `suite IDS` (the report is its tests'),
or `hang`, which never ends by itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from oya.gates.model import Case, Outcome, Report
from oya.testing.simulation.objects import Files

FOLDER = "tests/"
ENDING = ".t"
Luck = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Test:
    """One line of a test file; `steady` is how often it passes where it should."""

    __test__ = False

    id: str
    path: str
    word: str
    steady: float = 1.0


@lru_cache(maxsize=5000)
def words(data: bytes) -> frozenset[str]:
    """The lines of a file."""
    return frozenset(data.decode("utf-8", "replace").splitlines())


@lru_cache(maxsize=5000)
def tests_of(path: str, data: bytes) -> tuple[Test, ...]:
    """The tests in a file; a line that is none is left out."""
    found = []
    for line in data.decode("utf-8", "replace").splitlines():
        case, *rest = line.split() or [""]
        if len(rest) == 3 and rest[2].startswith("~"):
            found.append(Test(f"{path}::{case}", rest[0], rest[1], float(rest[2][1:])))
        elif len(rest) == 2:
            found.append(Test(f"{path}::{case}", rest[0], rest[1]))
    return tuple(found)


def report(files: Files, ids: Sequence[str], luck: Luck) -> Report:
    """What the runner says: all tests in the order of their files, or those asked for."""
    wanted = frozenset(ids)
    paths = [p for p in sorted(files) if p.startswith(FOLDER) and p.endswith(ENDING)]
    tests = (test for path in paths for test in tests_of(path, files[path].data))
    return Report(tuple(_case(t, files, luck) for t in tests if not wanted or t.id in wanted))


def _case(test: Test, files: Files, luck: Luck) -> Case:
    file = files.get(test.path)
    if file is None or test.word not in words(file.data):
        return Case(test.id, Outcome.FAILED, f"AssertionError: {test.path} lacks {test.word}")
    if test.steady < 1.0 and luck() >= test.steady:
        return Case(test.id, Outcome.FAILED, f"AssertionError: {test.path} was too slow")
    return Case(test.id, Outcome.PASSED)


def wrong(files: Files) -> list[str]:
    """What only `ci` finds; nothing where it is green beside its tests."""
    found = []
    owners: dict[str, str] = {}
    for path in sorted(files):
        if path.startswith(".beads/"):
            continue
        here = words(files[path].data)
        if "red" in here:
            found.append(f"{path} is red")
        if "=======" in here:
            found.append(f"{path} has conflict markers")
        clashes = (w for w in here if w.startswith("clash-") and owners.setdefault(w, path) != path)
        found += [f"{path} and {owners[word]} both have {word}" for word in clashes]
    return sorted(found)


def is_green(files: Files) -> bool:
    """The truth about a tree, luck apart: every test passes, and nothing else is wrong."""
    whole = report(files, (), lambda: 0.0)
    return not wrong(files) and all(case.outcome is Outcome.PASSED for case in whole.cases)


def outcome(files: Files, line: str, luck: Luck) -> tuple[int | None, str]:
    """The exit code of a command on these files, and what it says; None if it hangs."""
    verb, path, word = ([*line.split(), "", "", ""])[:3]
    match verb:
        case "hang":
            return None, ""
        case "ci":
            red = [case.id for case in report(files, (), luck).cases if case.red] + wrong(files)
            return int(bool(red)), "; ".join(red) or "all passed"
        case "suite":
            ids = [word for word in line.split()[1:] if "::" in word]
            red = [case.id for case in report(files, ids, luck).cases if case.red]
            return int(bool(red)), "; ".join(red) or "all passed"
        case "has" | "lacks":
            there = path in files and word in words(files[path].data)
            code = int(there is not (verb == "has"))
            return code, f"{line}: {code}"
        case _:
            return 127, f"{verb}: not found"
