"""Why a test in JavaScript or TypeScript is red, read from its runner's words.

A module that an import names by a path, or by an alias for one (`@/`, `~/`, `#`), is the
project's, unless it would lie among the tests: a helper of the tests is theirs to write.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Final

from oya.gates.feedback import clip
from oya.gates.model import SCRIPTS, BrokenKind
from oya.gates.reason import Reason

_LIMIT: Final = 20_000
_TEST_FOLDERS: Final = frozenset({"test", "tests", "__tests__", "spec", "specs", "e2e"})
_EXPORT: Final = re.compile(
    r"[Tt]he requested module '([^']+)' (?:does not provide an export named"
    r"|is a CommonJS module, which may not support)"
)
_MODULE: Final = re.compile(
    r"Cannot find (?:module|package) '([^']+)'(?:[^\n]*? from '?([^'\n]+?)'?(?:\n|$))?"
    r"|Failed to load url (\S+) \(resolved id: [^)]*\)(?: in (\S+?))?\. Does the file exist"
    r"|Failed to resolve import \"([^\"]+)\" from \"([^\"]+)\""
    r"|Failed to resolve entry for package \"([^\"]+)\"()"
)
_REQUIRED_BY: Final = re.compile(r"Require stack:\n- (\S+)")
_NO_VALUE: Final = re.compile(
    r"TypeError: .*(?: is not a (?:function|constructor)| is not iterable)"
    r"|TypeError: Cannot read propert(?:y|ies) of undefined"
    r"|TypeError: Class extends value undefined"
)
_SYNTAX: Final = re.compile(
    r"SyntaxError\b|unexpected token|invalid JS syntax|Transform failed|Parse ?(?:failure|error)"
    r"|PARSE_ERROR|Expected .+ but found",
    re.I,
)
_CHECKED: Final = re.compile(r"^[ \t]*(\S+?)(?::\d+:\d+ - |\(\d+,\d+\): )error TS(\d+): (.*)", re.M)
_NOT_EXPORTED: Final = re.compile(r"1192|2305|2307|2459|2460|2613|2614|2724|2792")
_FORM: Final = re.compile(
    r"2322|2339|2345|2349|2351|2353|2367|2551|2554|2555|2558|2559|2561|2694|2739|2740|2741|2769"
)
"""Errors of TypeScript's checker that come from what an API is, and go when it becomes another."""
_FOLLOWS: Final = frozenset({"7006", "7019", "7031"})
"""What nothing is known of has callbacks without types: told only where nothing else is."""
_QUOTED: Final = re.compile(r"^(?:Module |Cannot find module )?['\"]+([^'\"]+)['\"]")
_NAMESPACE: Final = re.compile(r"on type 'typeof import\(\"([^\"]+)\"\)'")
_FOREIGN: Final = re.compile(r"on type '(?:Jest)?Matchers\b|^\s+\S*node_modules/\S+:\d+:\d+$", re.M)
_REFERENCE: Final = re.compile(r"ReferenceError: \S+ is not defined")
_FRAME: Final = re.compile(r"^\s+at .*?(?:file://)?([^\s()]+):\d+:\d+\)?$", re.M)


def is_script(file: str) -> bool:
    """Whether a file holds JavaScript or TypeScript."""
    return file.endswith(SCRIPTS)


def of_case(message: str, file: str) -> Reason:
    """Why a test that ran is red. `file` is the one in which it lies."""
    message = clip(message, _LIMIT)
    head = message.partition("\n")[0]
    if _REFERENCE.match(head):
        frame = _FRAME.search(message)
        elsewhere = frame is not None and not frame[1].endswith(file)
        return Reason.BEHAVIOUR if elsewhere else Reason.TEST_NAME
    if _MODULE.search(head):
        kind = of_file(message, file)
        return Reason.PROJECT_NAME if kind == "missing_project_name" else Reason.THIRD_PARTY
    return Reason.BEHAVIOUR


def of_file(message: str, file: str, root: Path | None = None) -> BrokenKind:
    """Why a file gave no tests. `root` is the checkout, where paths still begin with it."""
    message = clip(message, _LIMIT)
    if checked := _checked(message, file, root):
        return checked
    if found := _EXPORT.search(message):
        return _whose(found[1], file, root)
    if found := _MODULE.search(message):
        said = [part for part in found.groups() if part]
        required = _REQUIRED_BY.search(message)
        by = said[1] if len(said) > 1 else required[1] if required else file
        return _whose(said[0], by, root)
    if _NO_VALUE.search(message):
        return "missing_project_name"
    return "syntax" if _SYNTAX.search(message) else "other"


def _checked(message: str, file: str, root: Path | None) -> BrokenKind | None:
    """What TypeScript's checker says, where it says something: each of its errors counts."""
    found = list(_CHECKED.finditer(message))
    if not found:
        return None
    ends = [*(after.start() for after in found[1:]), len(message)]
    kinds = [
        _of_error(error, message[error.end() : end], file, root)
        for error, end in zip(found, ends, strict=True)
        if error[2] not in _FOLLOWS
    ]
    if "syntax" in kinds:
        return "syntax"
    worse = (kind for kind in kinds if kind != "missing_project_name")
    return next(worse, "missing_project_name" if kinds else "other")


def _of_error(error: re.Match[str], more: str, file: str, root: Path | None) -> BrokenKind:
    place, number, said = error.groups()
    if f"/{file}".endswith(f"/{place.removeprefix('./')}"):
        module = _QUOTED.match(said) if _NOT_EXPORTED.fullmatch(number) else _NAMESPACE.search(said)
        if module:
            return _whose(module[1], file, root)
        if _FORM.fullmatch(number):
            return "other" if _FOREIGN.search(f"{said}\n{more}") else "missing_project_name"
    return "syntax" if re.fullmatch(r"1\d{3}", number) else "other"


def _whose(module: str, by: str, root: Path | None) -> BrokenKind:
    if module.startswith(("@/", "~/", "#")):
        return "missing_project_name"
    module = module.removeprefix("file://")
    if not module.startswith((".", "/")) and not _is_path(module, root):
        return "missing_third_party"
    if module.startswith("."):
        module = posixpath.normpath(posixpath.join(posixpath.dirname(by), module))
    path = module.removeprefix(f"{root}/") if root else module
    ours = _TEST_FOLDERS.isdisjoint(path.split("/")[:-1]) and "node_modules" not in path
    return "missing_project_name" if ours else "missing_third_party"


def _is_path(module: str, root: Path | None) -> bool:
    """A message from which the checkout's path has been taken has paths that begin below it."""
    return root is None and is_script(module)
