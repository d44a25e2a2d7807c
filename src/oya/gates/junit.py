"""JUnit XML to a `Report`, in the runner's own ids.

Reports are written by the tests of an agent, so nothing in them is trusted: size, depth
and the number of elements are bounded, document types (entities) are refused.

pytest names a case by classname (file and classes, dotted) and name; with
`junit_family=xunit1` also by the file in which it is defined, which for an inherited test
is not the file that collected it. A file that could not be collected is a case without
a classname (as measured with pytest 8 and 9).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from xml.etree.ElementTree import ParseError
from xml.parsers import expat

from junitparser import Attr, Error, Failure, JUnitXml, JUnitXmlError, Skipped, TestCase, TestSuite

from oya.gates import reason
from oya.gates.feedback import clip
from oya.gates.files import NotAFile, read_regular
from oya.gates.model import Broken, BrokenKind, Case, Outcome, Report
from oya.gates.reason import ProjectNames, Reason

SIZE_LIMIT: Final = 64_000_000
MESSAGE_LIMIT: Final = 4_000
MESSAGES_LIMIT: Final = 200_000
_SHORT: Final = 200
_DEPTH_LIMIT: Final = 30
_ELEMENT_LIMIT: Final = 1_000_000

_KINDS: Final[Mapping[Reason, BrokenKind]] = {
    Reason.PROJECT_NAME: "missing_project_name",
    Reason.THIRD_PARTY: "missing_third_party",
    Reason.SYNTAX: "syntax",
}
_OUTCOMES: Final = {
    Skipped: Outcome.SKIPPED,
    Failure: Outcome.FAILED,
    Error: Outcome.ERROR,
}
_RANK: Final = (Outcome.PASSED, Outcome.SKIPPED, Outcome.FAILED, Outcome.ERROR)


class Unreadable(Exception):
    """There is no report, or none that can be believed; the text says why."""


class _Case(TestCase):
    file = Attr()


def read_report(path: Path, root: Path, project: ProjectNames) -> Report:
    """The report in a file that a runner wrote about the checkout `root`.

    Raises Unreadable; never for what else the XML says.
    """
    return parse_report(_read(path), root, project)


def parse_report(data: bytes, root: Path, project: ProjectNames) -> Report:
    """The same from bytes. Paths of the checkout in messages become relative ones."""
    _admit(data)
    try:
        suites = JUnitXml.fromstring(data)
    except (ParseError, JUnitXmlError, ValueError, LookupError) as error:
        raise Unreadable(f"the report is not JUnit XML: {error}") from error
    found = [case for suite in suites for case in _cases(suite)]
    return _Reading(root, project, found).report()


def _read(path: Path) -> bytes:
    try:
        data = read_regular(path, SIZE_LIMIT + 1)
    except NotAFile as problem:
        raise Unreadable(f"the runner's report is {problem}") from problem
    if len(data) > SIZE_LIMIT:
        raise Unreadable(f"the report is larger than {SIZE_LIMIT // 1_000_000} MB")
    return data


def _admit(data: bytes) -> None:
    """Refuse what would cost more to parse than to write."""
    depth = elements = 0

    def refuse_doctype(*_: Any) -> None:
        raise Unreadable("the report declares a document type")

    def start(_name: str, _attributes: Any) -> None:
        nonlocal depth, elements
        depth += 1
        elements += 1
        if depth > _DEPTH_LIMIT or elements > _ELEMENT_LIMIT:
            raise Unreadable("the report has too many elements, or too deep ones")

    def end(_name: str) -> None:
        nonlocal depth
        depth -= 1

    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = refuse_doctype
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, ValueError, LookupError) as error:
        raise Unreadable(f"the report is not XML: {error}") from error


def _cases(suite: TestSuite) -> Iterator[_Case]:
    yield from suite.iterchildren(_Case)  # type: ignore[no-untyped-call]
    for inner in suite.iterchildren(TestSuite):  # type: ignore[no-untyped-call]
        yield from _cases(inner)


class _Reading:
    """One pass over the cases of a report."""

    def __init__(self, root: Path, project: ProjectNames, found: list[_Case]) -> None:
        self._root = root
        self._project = project
        self._found = found
        self._budget = MESSAGES_LIMIT
        self._files = {_dotted(file): file for case in found if (file := self._file(case))}

    def report(self) -> Report:
        cases: dict[str, Case] = {}
        broken: dict[str, Broken] = {}
        for element in self._found:
            outcome, message = self._result(element)
            if not element.classname and outcome is Outcome.ERROR:
                file = self._file(element) or element.name or ""
                kind = _KINDS.get(reason.of_collection(message, self._project), "other")
                broken[file] = Broken(file, self._bounded(message), kind)
            else:
                case = Case(self._id(element), outcome, self._bounded(message))
                cases[case.id] = _worse(cases.get(case.id), case)
        return Report(tuple(cases.values()), tuple(broken.values()))

    def _file(self, case: _Case) -> str:
        file = str(case.file or "")
        if Path(file).is_absolute() and Path(file).is_relative_to(self._root):
            return Path(file).relative_to(self._root).as_posix()
        return file

    def _id(self, case: _Case) -> str:
        name, classname = case.name or "", case.classname or ""
        if not classname:  # a module that skipped itself
            return self._file(case) or name
        parts = classname.split(".")
        for end in range(len(parts), 0, -1):
            module = ".".join(parts[:end])
            if file := self._files.get(module) or self._on_disk(module):
                self._files[module] = file
                return "::".join((file, *parts[end:], name))
        return f"{self._file(case) or classname}::{name}"

    def _on_disk(self, module: str) -> str | None:
        file = module.replace(".", "/") + ".py"
        return file if (self._root / file).is_file() else None

    def _result(self, case: _Case) -> tuple[Outcome, str]:
        worst, messages = Outcome.PASSED, []
        for result in case.result:
            worst = max(worst, _OUTCOMES[type(result)], key=_RANK.index)
            messages.append(_said(result.message or "", result.text or ""))
        return worst, "\n".join(messages).replace(f"{self._root}/", "")

    def _bounded(self, message: str) -> str:
        """Bounded each and all together: the first failures are told in full."""
        kept = clip(message, MESSAGE_LIMIT if self._budget > 0 else _SHORT)
        self._budget -= len(kept)
        return kept


def _said(message: str, text: str) -> str:
    if not message or message in ("collection failure", "collection skipped"):
        return text.strip()
    return f"{message}\n\n{text}".strip()


def _dotted(file: str) -> str:
    return file.replace("/", ".").removesuffix(".py")


def _worse(earlier: Case | None, case: Case) -> Case:
    """A test whose teardown fails too is reported twice."""
    if earlier is None or _RANK.index(case.outcome) > _RANK.index(earlier.outcome):
        return case
    return earlier
