"""`go test -json`: events of tests, and what the compiler said where a package has none.

The id of a test is `folder/file_test.go::Test/sub`, from the checkout's top. A test that
has subtests and fails through them only is not reported beside them. A package that does
not compile has no tests at all: its test files are broken, each with its own errors, and
take the rest of their folder with them. So is the file of a test that ends its package
(by a panic, or by leaving) before other tests there have run.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from oya.gates.model import Outcome, Report
from oya.gates.reports.golang import Modules, whose
from oya.gates.reports.kind import (
    MESSAGE_LIMIT,
    Draft,
    Kind,
    Unreadable,
    Written,
    named,
    objects,
    read_output,
)

_OUTCOMES: Final = {"pass": Outcome.PASSED, "fail": Outcome.FAILED, "skip": Outcome.SKIPPED}
_NOISE: Final = re.compile(r"\s*(?:=== (?:RUN|PAUSE|CONT|NAME)|--- (?:PASS|FAIL|SKIP):)")
_ERROR: Final = re.compile(r"(?:vet: )?(\S+\.go):\d+(?::\d+)?: (?!too many errors$)(.*)")
"""After ten errors the compiler stops, and says so as if that were an eleventh."""
_HEAD: Final = re.compile(r"# (\S+)")
_PANIC: Final = re.compile(r"^(?:panic|fatal error): .*", re.M)
_NAME: Final = re.compile(r"\w+")


@dataclass(slots=True)
class _Test:
    outcome: Outcome | None = None
    said: list[str] = field(default_factory=list)
    size: int = 0

    def hear(self, text: str) -> None:
        if self.size < 2 * MESSAGE_LIMIT and not _NOISE.match(text):
            self.said.append(text)
            self.size += len(text)

    @property
    def panic(self) -> str:
        """The words with which it ended its whole package, "" where it did not."""
        if self.outcome is Outcome.PASSED:
            return ""
        before_stack = "".join(self.said).rpartition("\ngoroutine ")[0]
        found = _PANIC.search(before_stack)
        return found[0] if found else ""


@dataclass(slots=True)
class _Package:
    tests: dict[str, _Test] = field(default_factory=dict)
    own: _Test = field(default_factory=_Test)
    failed_build: str = ""

    def ended_by(self) -> dict[str, str]:
        """Tests that have ended it early, and their words: who panicked, or else did not end."""
        said = {name: test.panic for name, test in self.tests.items() if test.panic}
        left = (name for name, test in self.tests.items() if test.outcome is None)
        return said or dict.fromkeys(left, "did not end")


def _read(written: Written) -> Report:
    reading = _Reading(written.root)
    events = 0
    for line, event in objects(read_output(written)):
        events += bool(event)
        reading.hear(line, event)
    if not events:
        raise Unreadable("the output holds no events: the command must be `go test -json …`")
    return reading.report()


class _Reading:
    """One pass over the events of a run."""

    def __init__(self, root: Path) -> None:
        self._modules = Modules.of(root)
        self._draft = Draft(root)
        self._packages: dict[str, _Package] = {}
        self._builds: dict[str, list[str]] = {}
        self._building = ""

    def hear(self, line: str, event: dict[str, Any]) -> None:
        action, said = event.get("Action"), str(event.get("Output", ""))
        if not event or action == "build-output":
            self._build(said.rstrip("\n") if event else line, str(event.get("ImportPath", "")))
        elif name := str(event.get("Package", "")):
            package = self._packages.setdefault(name, _Package())
            package.failed_build = str(event.get("FailedBuild", "")) or package.failed_build
            test = package.own
            if "Test" in event:
                test = package.tests.setdefault(str(event["Test"]), _Test())
            if action == "output":
                test.hear(said)
            elif test.outcome is not Outcome.FAILED:  # what a test prints can look like an end
                test.outcome = _OUTCOMES.get(str(action), test.outcome)

    def report(self) -> Report:
        for name, package in self._packages.items():
            folder = self._modules.folder(name)
            where = name if folder is None else folder
            lost = self._ended(where, package)
            self._tests(where, package, lost)
            if package.own.outcome is Outcome.FAILED:
                self._failed(name, where, package)
        return self._draft.report()

    def _build(self, text: str, build: str) -> None:
        """Older versions of Go write what the compiler says between the events."""
        for line in text.splitlines():
            if found := _HEAD.match(line):
                self._building = found[1]
            self._builds.setdefault(build or self._building, []).append(line)

    def _ended(self, folder: str, package: _Package) -> Collection[str]:
        """What has not run, since a test beside it ended the package; told as its broken file."""
        ended = package.ended_by() if package.own.outcome is Outcome.FAILED else {}
        ran = {_function(name) for name, test in package.tests.items() if test.outcome}
        ran |= set(map(_function, ended))
        lost = self._modules.running(folder) - ran if ended else frozenset()
        for name, said in ended.items() if lost else ():
            test = _function(name)
            message = (
                f"{test} ended the other tests of its package too (let it fail with t.Fatal, and "
                f"no stub panic): {said}"
            )
            unit = f"{folder}/*".removeprefix("/")
            self._draft.broken(self._modules.file_of(folder, test), message, "other", unit)
        return lost

    def _tests(self, folder: str, package: _Package, lost: Collection[str]) -> None:
        parents = {name.rpartition("/")[0] for name in package.tests}
        red = {
            above
            for name, test in package.tests.items()
            if test.outcome in (Outcome.FAILED, None)
            for above in _above(name)
        }
        for name, test in package.tests.items():
            if name in parents and (name in red or test.outcome is not Outcome.FAILED):
                continue
            if test.outcome is None and _function(name) in lost:
                continue
            message = "".join(test.said)
            if test.outcome is None:  # something ended the whole package
                message = f"did not end\n{message}\n{''.join(package.own.said)}"
            outcome = test.outcome or Outcome.ERROR
            message = "" if outcome is Outcome.PASSED else message
            file = self._modules.file_of(folder, _function(name))
            self._draft.case(f"{file}::{name}", outcome, message)

    def _failed(self, name: str, folder: str, package: _Package) -> None:
        said = "".join(package.own.said)
        if "[build failed]" in said or "[setup failed]" in said:
            unit = f"{folder}/*" if folder else "*"
            for file, message in self._errors(name, folder, package.failed_build):
                kind = whose(message.partition(": ")[2], file, self._modules)
                self._draft.broken(file, message, kind, unit)
            if not any(self._draft.holds(file) for file in self._files(folder)):
                self._draft.broken(folder or ".", said, "other", unit)
        elif not package.tests:  # it ended before its first test, in TestMain or init
            self._draft.broken(folder or ".", said, "other", f"{folder}/*".removeprefix("/"))

    def _errors(self, name: str, folder: str, build: str) -> Iterable[tuple[str, str]]:
        """The errors in a package's build, each with its file and the lines that go on."""
        own = (key for key in self._builds if key.split(" ")[0].removesuffix("_test") == name)
        lines = self._builds.get(build) or [line for key in own for line in self._builds[key]]
        file, said = "", ""
        for line in [*lines, ""]:
            found = _ERROR.match(line)
            if said and (found or not line.startswith("\t")):
                yield file, said
                said = ""
            if found:
                file = self._place(found[1], folder)
                said = f"{file}:{line.partition('.go:')[2]}"
            elif said and len(said) < MESSAGE_LIMIT:
                said = f"{said} {line.strip()}"

    def _place(self, path: str, folder: str) -> str:
        path = path.removeprefix("./")
        if (self._modules.root / path).is_file():
            return path
        return f"{folder}/{path.rpartition('/')[2]}".removeprefix("/")

    def _files(self, folder: str) -> list[str]:
        there = (self._modules.root / folder).glob("*.go")
        return [path.relative_to(self._modules.root).as_posix() for path in there]


def _function(name: str) -> str:
    return name.partition("/")[0]


def _above(name: str) -> Iterable[str]:
    while "/" in name:
        name = name.rpartition("/")[0]
        yield name


def _select(ids: Sequence[str], root: Path) -> Sequence[str]:
    """`-run` with the tests' functions, in their packages: a function's subtests with it."""
    modules = Modules.of(root)
    tests: dict[str, None] = {}
    packages: dict[str, None] = {}
    for file, name in filter(None, map(named, ids)):
        package = modules.package(file.rpartition("/")[0])
        test = _function(name)
        if package and file.endswith(".go") and _NAME.fullmatch(test):
            tests[test] = packages[package] = None
    if not tests:
        return ("./...",)
    # Go hands out the verdict of an earlier run again, which would make every test steady.
    return ("-count=1", "-run", f"^({'|'.join(tests)})$", *packages)


KIND: Final = Kind("go-json", _read, _select, output=True)
