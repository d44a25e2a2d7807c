"""What a kind of report is, and what every kind needs.

Reports are written by the tests of an agent, so nothing in them is trusted: size, number
and length are bounded, links are not followed, and a test that is reported twice counts at
its worst.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from oya.gates.feedback import clip
from oya.gates.files import NotAFile, read_regular
from oya.gates.model import Broken, BrokenKind, Case, Outcome, Report
from oya.gates.reason import ProjectNames

SIZE_LIMIT: Final = 64_000_000
SOURCE_LIMIT: Final = 2_000_000
MESSAGE_LIMIT: Final = 4_000
MESSAGES_LIMIT: Final = 200_000
CASES_LIMIT: Final = 500_000
_ID_LIMIT: Final = 2_000
_SHORT: Final = 200
_RANK: Final = (Outcome.PASSED, Outcome.SKIPPED, Outcome.FAILED, Outcome.ERROR)


class Unreadable(Exception):
    """There is no report, or none that can be believed; the text says why."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a run has left: the checkout it ran in, the file at `{report}`, its output."""

    root: Path
    report: Path
    output: Path
    project: ProjectNames


def _as_they_are(ids: Sequence[str], _root: Path) -> Sequence[str]:
    return ids


def _nothing(_given: Mapping[str, str], _report: Path) -> Mapping[str, str]:
    return {}


def _leave(_root: Path) -> None:
    """Nothing of an earlier run can be taken for a report."""


@dataclass(frozen=True, slots=True)
class Kind:
    """How tests are asked for, and what is read from what the runner wrote.

    `read` raises Unreadable. `select` makes the words for `{tests}`: at least these tests
    run, and no ids are all of them; an id that the runner could take for something else is
    left out. `file` says that the command must name `{report}`, `output` that the report is
    the command's own output. `environment` gives what is added to a gate's environment,
    `clear` removes from a checkout what could be taken for this run's report.
    """

    name: str
    read: Callable[[Written], Report]
    select: Callable[[Sequence[str], Path], Sequence[str]] = _as_they_are
    file: bool = False
    output: bool = False
    environment: Callable[[Mapping[str, str], Path], Mapping[str, str]] = _nothing
    clear: Callable[[Path], None] = _leave

    @property
    def in_order(self) -> bool:
        """Whether tests run in the order in which they are named: words are the ids then."""
        return self.select is _as_they_are


class Draft:
    """A report in the making. Messages are bounded each and all together (the first failures
    are told in full), and paths of the checkout in them become relative ones."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._budget = MESSAGES_LIMIT
        self._cases: dict[str, Case] = {}
        self._broken: dict[str, Broken] = {}

    def case(self, id: str, outcome: Outcome, message: str = "") -> None:
        """A test; reported twice (a teardown that fails too), it counts at its worst."""
        id = clip(id, _ID_LIMIT)
        earlier = self._cases.get(id)
        if earlier is not None and _RANK.index(earlier.outcome) >= _RANK.index(outcome):
            return
        if len(self._cases) >= CASES_LIMIT:
            raise Unreadable(f"the report has more than {CASES_LIMIT} tests")
        self._cases[id] = Case(id, outcome, self._bounded(message))

    def broken(self, file: str, message: str, kind: BrokenKind, unit: str = "") -> None:
        """A file with something that keeps its tests from running. What is not the project's
        to give outweighs what is."""
        file, message = clip(file, _ID_LIMIT), self._bounded(message)
        earlier = self._broken.get(file)
        if earlier is not None:
            if message not in earlier.message:
                message = clip(f"{earlier.message}\n{message}", MESSAGE_LIMIT)
            else:
                message = earlier.message
            kind = kind if earlier.kind == "missing_project_name" else earlier.kind
            unit = unit or earlier.unit
        self._broken[file] = Broken(file, message, kind, unit)

    def holds(self, file: str) -> bool:
        """Whether a broken file of this name has been told."""
        return file in self._broken

    @property
    def empty(self) -> bool:
        return not self._cases and not self._broken

    def report(self) -> Report:
        return Report(tuple(self._cases.values()), tuple(self._broken.values()))

    def _bounded(self, message: str) -> str:
        message = message.replace(f"{self._root}/", "").strip()
        kept = clip(message, MESSAGE_LIMIT if self._budget > 0 else _SHORT)
        self._budget -= len(kept)
        return kept


def read_bytes(path: Path, what: str = "the runner's report") -> bytes:
    """A file of a run, whole. Raises Unreadable."""
    try:
        data = read_regular(path, SIZE_LIMIT + 1)
    except NotAFile as problem:
        raise Unreadable(f"{what} is {problem}") from problem
    if len(data) > SIZE_LIMIT:
        raise Unreadable(f"{what} is larger than {SIZE_LIMIT // 1_000_000} MB")
    return data


def read_output(written: Written) -> str:
    """The command's output as text. Raises Unreadable."""
    return read_bytes(written.output, "the command's output").decode("utf-8", "replace")


def read_source(path: Path) -> str:
    """The beginning of a file of the checkout, "" where there is none."""
    try:
        return read_regular(path, SOURCE_LIMIT).decode("utf-8", "replace")
    except NotAFile:
        return ""


def parse_json(text: str) -> Any:
    """What a text says in JSON, None where it says nothing in it."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def objects(text: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each line, and the JSON object that it is (empty: it is none). What else parts lines
    (U+2028) may stand in JSON as it is."""
    for line in text.replace("\r\n", "\n").removesuffix("\n").split("\n"):
        found = parse_json(line) if line.startswith("{") else None
        yield line, found if isinstance(found, dict) else {}


def within(path: str, root: Path) -> str:
    """A path as seen from the checkout; as it is where it does not lie there."""
    path = path.removeprefix("file://")
    return path.removeprefix(f"{root}/") if path.startswith(f"{root}/") else path


def named(id: str) -> tuple[str, str] | None:
    """The file and the name of an id, None where its file is not one of the checkout's."""
    file, _, name = id.partition("::")
    if not file or file.startswith(("/", "-")) or ".." in file.split("/"):
        return None
    return file, name
