"""JUnit XML to a `Report`, in the runner's own ids.

Depth and the number of elements are bounded, document types (entities) are refused.

pytest names a case by classname (file and classes, dotted) and name; with
`junit_family=xunit1` also by the file in which it is defined, which for an inherited test
is not the file that collected it. A file that could not be collected is a case without
a classname (as measured with pytest 8 and 9). Other runners' reporters are taken at their
word: `file::name` where they name a file (vitest's classname is one), else a package of Go
(gotestsum) or a class of Java is looked up, else it is `classname::name`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Final
from xml.etree.ElementTree import ParseError
from xml.parsers import expat

from junitparser import Attr, Error, Failure, JUnitXml, JUnitXmlError, Skipped, TestCase, TestSuite

from oya.gates import reason
from oya.gates.model import BrokenKind, Outcome, Report
from oya.gates.reason import ProjectNames, Reason
from oya.gates.reports.golang import Modules
from oya.gates.reports.java import Sources
from oya.gates.reports.kind import Draft, Kind, Unreadable, Written, read_bytes, within

_PYTEST_OPTIONS: Final = "-o junit_family=xunit1 --continue-on-collection-errors --maxfail=0"
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


class XmlCase(TestCase):
    file = Attr()


def parse_report(data: bytes, root: Path, project: ProjectNames) -> Report:
    """The report in bytes that a runner wrote about the checkout `root`.

    Raises Unreadable; never for what else the XML says. Paths of the checkout in messages
    become relative ones.
    """
    return _Reading(root, project, elements(data)).report()


def elements(data: bytes) -> list[XmlCase]:
    """The cases in JUnit XML, of all its suites. Raises Unreadable."""
    admit(data)
    try:
        suites = JUnitXml.fromstring(data)
    except (ParseError, JUnitXmlError, ValueError, LookupError) as error:
        raise Unreadable(f"the report is not JUnit XML: {error}") from error
    return [case for suite in suites for case in _cases(suite)]


def result(case: XmlCase) -> tuple[Outcome, str]:
    """How a case ended, and everything that it says about that."""
    worst, messages = Outcome.PASSED, []
    for one in case.result:
        worst = max(worst, _OUTCOMES[type(one)], key=_RANK.index)
        messages.append(_said(one.message or "", one.text or ""))
    return worst, "\n".join(messages)


def admit(data: bytes) -> None:
    """Refuse XML that would cost more to parse than to write. Raises Unreadable."""
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


def _cases(suite: TestSuite) -> Iterator[XmlCase]:
    yield from suite.iterchildren(XmlCase)  # type: ignore[no-untyped-call]
    for inner in suite.iterchildren(TestSuite):  # type: ignore[no-untyped-call]
        yield from _cases(inner)


class _Reading:
    """One pass over the cases of a report."""

    def __init__(self, root: Path, project: ProjectNames, found: list[XmlCase]) -> None:
        self._root = root
        self._project = project
        self._found = found
        self._files = {_dotted(file): file for case in found if (file := self._file(case))}

    def report(self) -> Report:
        draft = Draft(self._root)
        for element in self._found:
            outcome, message = result(element)
            if not element.classname and outcome is Outcome.ERROR:
                file = self._file(element) or element.name or ""
                kind = _KINDS.get(reason.of_collection(message, self._project), "other")
                draft.broken(file, message, kind)
            else:
                draft.case(self._id(element), outcome, message)
        return draft.report()

    def _file(self, case: XmlCase) -> str:
        return within(str(case.file or ""), self._root)

    def _id(self, case: XmlCase) -> str:
        name, classname = case.name or "", case.classname or ""
        if not classname:  # a module that skipped itself
            return self._file(case) or name
        parts = classname.split(".")
        for end in range(len(parts), 0, -1):
            module = ".".join(parts[:end])
            if file := self._files.get(module) or self._on_disk(module):
                self._files[module] = file
                return "::".join((file, *parts[end:], name))
        if file := self._file(case):
            return f"{file}::{name}"
        return self._compiled(classname, name) or f"{classname}::{name}"

    def _compiled(self, classname: str, name: str) -> str | None:
        """What reporters of Go name by a package, and those of Java by a class."""
        folder = self._modules.folder(classname)
        if folder is not None:
            return f"{self._modules.file_of(folder, name.partition('/')[0])}::{name}"
        known = classname.partition("$")[0] in self._sources.files
        return self._sources.id(classname, name) if known else None

    @cached_property
    def _modules(self) -> Modules:
        return Modules.of(self._root)

    @cached_property
    def _sources(self) -> Sources:
        return Sources(self._root)

    def _on_disk(self, module: str) -> str | None:
        file = module.replace(".", "/") + ".py"
        return file if (self._root / file).is_file() else None


def _said(message: str, text: str) -> str:
    if not message or message in ("collection failure", "collection skipped"):
        return text.strip()
    return f"{message}\n\n{text}".strip()


def _dotted(file: str) -> str:
    return file.replace("/", ".").removesuffix(".py")


def _pytest(given: Mapping[str, str], _report: Path) -> Mapping[str, str]:
    """The command is the user's, so what the report needs goes in beside it."""
    return {"PYTEST_ADDOPTS": f"{given.get('PYTEST_ADDOPTS', '')} {_PYTEST_OPTIONS}".strip()}


def _read(written: Written) -> Report:
    return parse_report(read_bytes(written.report), written.root, written.project)


KIND: Final = Kind("junit", _read, file=True, environment=_pytest)
