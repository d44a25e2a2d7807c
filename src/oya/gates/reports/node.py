"""`node --test`, through a reporter of oya's that names files.

The id of a test is `test/file.test.js::suite > test`. A suite, and a test that failed only
through its subtests, is not reported beside what it holds. What a file says that ends
before its tests did is why it is broken.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from oya.gates.model import Outcome, Report
from oya.gates.reports.javascript import of_file
from oya.gates.reports.kind import (
    MESSAGE_LIMIT,
    Draft,
    Kind,
    Written,
    named,
    objects,
    read_bytes,
    within,
)

REPORTER: Final = Path(__file__).with_name("node_reporter.mjs")
_DEPTH_LIMIT: Final = 100
_PARTS_LIMIT: Final = 6
_INNER: Final = "subtestsFailed"


@dataclass(slots=True)
class _Test:
    """A test that has ended, or what may yet become the children of one."""

    name: str
    event: dict[str, Any]
    inner: list[_Test] = field(default_factory=list)


def _read(written: Written) -> Report:
    text = read_bytes(written.report).decode("utf-8", "replace")
    reading = _Reading(written.root)
    for _, event in objects(text):
        reading.hear(event)
    return reading.report()


class _Reading:
    """One pass over the events: a test's subtests have ended before it has."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._draft = Draft(root)
        self._open: dict[str, dict[int, list[_Test]]] = {}
        self._said: dict[str, str] = {}

    def hear(self, event: dict[str, Any]) -> None:
        kind, file, nesting = event.get("type"), str(event.get("file")), event.get("nesting")
        if kind == "test:stderr":
            said = self._said.get(file, "")
            if len(said) < MESSAGE_LIMIT:
                self._said[file] = said + str(event.get("message", ""))
        elif kind in ("test:pass", "test:fail") and isinstance(nesting, int):
            if not 0 <= nesting < _DEPTH_LIMIT:
                return
            levels = self._open.setdefault(file, {})
            test = _Test(str(event.get("name")), event, levels.pop(nesting + 1, []))
            levels.setdefault(nesting, []).append(test)

    def report(self) -> Report:
        for file, levels in self._open.items():
            for tests in levels.values():
                for test in tests:
                    self._tell(file, test, ())
        return self._draft.report()

    def _tell(self, file: str, test: _Test, above: tuple[str, ...]) -> None:
        event, path = test.event, (*above, test.name)
        error = event.get("error")
        said = error if isinstance(error, dict) else {}
        here = within(file, self._root)
        if not above and within(test.name, self._root) == here:
            self._whole_file(file, here, event, said)
            return
        for inner in test.inner:
            self._tell(file, inner, path)
        explained = event.get("type") == "test:pass" or said.get("failure") == _INNER
        if (test.inner or event.get("kind") == "suite") and explained:
            return
        outcome = _outcome(event)
        message = "" if outcome is Outcome.PASSED else _message(said)
        self._draft.case(f"{here}::{' > '.join(path)}", outcome, message)

    def _whole_file(
        self, file: str, here: str, event: dict[str, Any], said: dict[str, Any]
    ) -> None:
        """Node reports a file as a test of its own where it holds none, or broke."""
        if event.get("type") == "test:pass":
            self._draft.case(here, Outcome.PASSED)
        elif said.get("failure") != _INNER:
            message = self._said.get(file, "") or _message(said)
            self._draft.broken(here, _error_first(message), of_file(message, file, self._root))


def _outcome(event: dict[str, Any]) -> Outcome:
    if event.get("skip") or event.get("todo"):
        return Outcome.SKIPPED
    return Outcome.PASSED if event.get("type") == "test:pass" else Outcome.FAILED


def _message(said: dict[str, Any]) -> str:
    return str(said.get("stack") or said.get("message") or "")


def _error_first(message: str) -> str:
    """What Node wrote as it died: the error, before the lines of source that lead to it."""
    found = re.search(r"^\w*Error\b.*", message, re.M)
    return f"{found[0]}\n{message}" if found else message


def _environment(given: Mapping[str, str], report: Path) -> Mapping[str, str]:
    """The reporter goes beside the report: where oya itself lies may be out of sight."""
    reporter = report.with_name(f"{report.name}.mjs")
    reporter.write_bytes(REPORTER.read_bytes())
    options = f'--test-reporter="{reporter}" --test-reporter-destination="{report}"'
    return {"NODE_OPTIONS": f"{given.get('NODE_OPTIONS', '')} {options}".strip()}


def _select(ids: Sequence[str], root: Path) -> Sequence[str]:
    """Files, and patterns for every name on the way to a test.

    A title may hold ` > ` itself, so each run of parts is a pattern too; where that would
    be too many, or a file is meant whole, the files run whole.
    """
    chosen = [*filter(None, map(named, ids))]
    files = dict.fromkeys(str(root / file) for file, _ in chosen)
    patterns: dict[str, None] = {}
    for _, name in chosen:
        parts = name.split(" > ")
        if not name or len(parts) > _PARTS_LIMIT:
            return (*files,)
        runs = (parts[a:b] for a in range(len(parts)) for b in range(a + 1, len(parts) + 1))
        patterns |= dict.fromkeys(f"^{_escaped(' > '.join(run))}$" for run in runs)
    return (*(f"--test-name-pattern={pattern}" for pattern in patterns), *files)


def _escaped(title: str) -> str:
    return re.sub(r"[\\^$.*+?()\[\]{}|/]", r"\\\g<0>", title)


KIND: Final = Kind("node", _read, _select, environment=_environment)
