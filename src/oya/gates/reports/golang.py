"""What the Go compiler says about tests that do not compile, and whose fault it is.

A name that the test asks of the project's own packages is one that an implementation can
bring; so is a call that fits no function there yet.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from oya.gates.model import BrokenKind
from oya.gates.project import files_below
from oya.gates.reports.kind import read_source

_SYNTAX: Final = re.compile(
    r"syntax error:|expected |unexpected |illegal |missing '|(?:string|rune|raw string) literal "
    r"not terminated|comment not terminated"
)
_PACKAGE: Final = re.compile(
    r"(?:no required module provides package|cannot find (?:package|module providing package)"
    r"|package) \"?([\w./~-]+)\"?(?:[;:]| is not in|$)"
)
_UNDEFINED: Final = re.compile(r"undefined: (?:(\w+)\.)?(\w+)")
_MEMBER: Final = re.compile(r"\(type ([^\s)]+) has no (?:field or method|method|field) ")
_FIELD: Final = re.compile(
    r"(?:unknown field \w+|too (?:few|many) values) in struct literal(?: of type ([^\s]+))?"
)
_CALL: Final = re.compile(r"(?:not enough|too many) arguments in call to (?:(\w+)\.)?\w+")
_FORM: Final = re.compile(r"cannot (?:use|convert) |invalid operation: .*\(mismatched types ")
_QUALIFIED: Final = re.compile(r"(?<![\w.\"])(\w+)\.[A-Z]")
_ARGUMENT: Final = re.compile(r"in argument to (?:(\w+)\.)?(\w+)")
_NO_VALUE: Final = re.compile(r"(?:(\w+)\.)?(\w+)\(.*\) \(no value\) used as value")
_IMPLEMENTS: Final = re.compile(r"(\S+) does not implement (\S+) \(")
_VALUES: Final = re.compile(r"assignment mismatch: .* but (?:(\w+)\.)?\w+.* returns ")
_IMPORT: Final = re.compile(r'^\s*(?:import\s+)?(?:([\w.]+)\s+)?"([^"\n]+)"\s*(?://.*)?$', re.M)
_MODULE: Final = re.compile(r'^module\s+"?([^\s"]+)', re.M)
_TEST: Final = re.compile(r"^func\s+((?:Test|Example|Fuzz|Benchmark)\w*)\s*\(", re.M)
_RUNS: Final = re.compile(r"(?:Test(?!Main$)|Fuzz)(?![a-z])")
_CONDITION: Final = re.compile(r"^//\s?(?:go:build|\+build) ", re.M)
_VERSION: Final = re.compile(r"v\d+$")
_BUILT_IN: Final = re.compile(
    r"any|bool|byte|complex64|complex128|error|float32|float64|int|int8|int16|int32|int64|"
    r"rune|string|uint|uint8|uint16|uint32|uint64|uintptr"
)
_BUILT_IN_CALLS: Final = frozenset({"append", "copy", "delete"})
_STANDARD: Final = re.compile(
    r"bufio|bytes|cmp|context|errors|filepath|fmt|fs|http|httptest|io|iter|json|log|maps|math|"
    r"os|path|rand|reflect|regexp|runtime|slices|sort|strconv|strings|sync|testing|time|"
    r"unicode|assert|require"
)
"""Packages that a test forgets to import; `undefined: strings` is none of the project's names."""


@dataclass(frozen=True)
class Modules:
    """The modules of a checkout: their paths, and the folders in which they lie ("": its top)."""

    root: Path
    folders: dict[str, str]
    _tests: dict[str, dict[str, str]] = field(default_factory=dict)
    _sources: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, root: Path) -> Modules:
        folders: dict[str, str] = {}
        for file in files_below(root, ("go.mod",)):
            if file.rpartition("/")[2] == "go.mod" and (
                found := _MODULE.search(read_source(root / file))
            ):
                folders.setdefault(found[1], file.rpartition("/")[0])
        return cls(root, folders)

    def folder(self, package: str) -> str | None:
        """The folder of a package, None where it is not one of these modules'."""
        for module, folder in sorted(self.folders.items(), key=lambda item: -len(item[0])):
            if package == module or package.startswith(f"{module}/"):
                return "/".join(filter(None, (folder, package[len(module) + 1 :])))
        return None

    def package(self, folder: str) -> str | None:
        """The import path of a folder, None where it lies in none of these modules."""
        for module, top in sorted(self.folders.items(), key=lambda item: -len(item[1])):
            if not top or folder == top or folder.startswith(f"{top}/"):
                return "/".join(filter(None, (module, folder[len(top) :].strip("/"))))
        return None

    def source(self, file: str) -> str:
        """What a file of the checkout says."""
        if file not in self._sources:
            self._sources[file] = read_source(self.root / file)
        return self._sources[file]

    def running(self, folder: str) -> frozenset[str]:
        """The tests of a folder that run, whatever the machine, where all do."""
        return frozenset(
            test
            for test, file in self._declared(folder).items()
            if _RUNS.match(test) and not _CONDITION.search(self.source(file))
        )

    def file_of(self, folder: str, test: str) -> str:
        """The file that declares a test. Where none does: all test files of the folder."""
        return self._declared(folder).get(test, f"{folder}/*_test.go".removeprefix("/"))

    def _declared(self, folder: str) -> dict[str, str]:
        if folder not in self._tests:
            self._tests[folder] = _declared(self.root, folder)
        return self._tests[folder]


def _declared(root: Path, folder: str) -> dict[str, str]:
    tests: dict[str, str] = {}
    for path in sorted((root / folder).glob("*_test.go")):
        for name in _TEST.findall(read_source(path)):
            tests.setdefault(name, path.relative_to(root).as_posix())
    return tests


def whose(error: str, file: str, modules: Modules) -> BrokenKind:
    """What one error of the compiler, about a file of the checkout, says of its reason."""
    if _SYNTAX.match(error):
        return "syntax"
    if found := _PACKAGE.search(error):
        own = modules.folder(found[1]) is not None
        return "missing_project_name" if own else "missing_third_party"
    return "missing_project_name" if _own(error, file, modules) else "other"


def _own(error: str, file: str, modules: Modules) -> bool:
    source = modules.source(file)
    if found := _UNDEFINED.search(error):
        owner, name = found.groups()
        if owner:
            return _imported(owner, source, modules) is True
        return not _STANDARD.fullmatch(name) and not _from_outside(source, modules)
    if found := _MEMBER.search(error) or _FIELD.search(error):
        return _own_type(found[1] or "", source, modules)
    if found := _CALL.search(error) or _VALUES.search(error):
        return not found[1] or _is_owner(found[1], source, modules)
    if found := _NO_VALUE.match(error):
        return _own_call(found, source, modules)
    return _FORM.match(error) is not None and _own_form(error, source, modules)


def _own_form(error: str, source: str, modules: Modules) -> bool:
    """Whether what a value is used as, or an argument given for, has to do with the project."""
    if any(_imported(name, source, modules) for name in _QUALIFIED.findall(error)):
        return True
    if found := _IMPLEMENTS.search(error):
        return any(_own_type(name, source, modules) for name in found.groups())
    found = _ARGUMENT.search(error)
    return found is not None and _own_call(found, source, modules)


def _own_call(found: re.Match[str], source: str, modules: Modules) -> bool:
    owner, name = found.groups()
    if owner:
        return _is_owner(owner, source, modules)
    here = re.search(rf"^func {name}\b", source, re.M) or _from_outside(source, modules)
    return not here and name not in _BUILT_IN_CALLS


def _is_owner(name: str, source: str, modules: Modules) -> bool:
    """Whether something is called on a package of the project, or on a value, which may be of
    it; not on what runs the tests."""
    runs = re.search(rf"\b{name}\s+(?:\*testing\.[TBFM]|testing\.TB)\b", source)
    return not runs and _imported(name, source, modules) is not False


def _own_type(name: str, source: str, modules: Modules) -> bool:
    qualifier, _, bare = name.lstrip("*[]").rpartition("/")[2].rpartition(".")
    if qualifier:
        return _imported(qualifier, source, modules) is True
    here = re.search(rf"^type {re.escape(bare)}\b", source, re.M)
    return not here and not _BUILT_IN.fullmatch(bare)


def _imported(name: str, source: str, modules: Modules) -> bool | None:
    """Whether an imported package is the project's; None: nothing is imported by that name."""
    for alias, path in _IMPORT.findall(source):
        parts = path.split("/")
        last = parts[-2] if len(parts) > 1 and _VERSION.match(parts[-1]) else parts[-1]
        if name == (alias or last.replace("-", "_")):
            return modules.folder(path) is not None
    return None


def _from_outside(source: str, modules: Modules) -> bool:
    """Whether a file sees nothing of the package beside it that it does not import by name."""
    found = re.search(r"^package\s+(\w+)", source, re.M)
    dotted = any(
        alias == "." and modules.folder(path) is not None for alias, path in _IMPORT.findall(source)
    )
    return found is not None and found[1].endswith("_test") and not dotted
