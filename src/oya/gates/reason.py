"""Why a test is red, read from the runner's words: for a right reason, or for a wrong one.

A right reason is one that an implementation can take away: an assertion, an exception
out of the code under test, a name that the project does not have yet. A syntax error in
the test, a missing fixture, a package that is not installed or a name that the test file
itself forgot will still be there afterwards, since the test's files are frozen.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable
from enum import StrEnum
from typing import Final

ProjectNames = Callable[[str], bool]
"""Whether a dotted module name belongs to the project."""


class Reason(StrEnum):
    """Why something is red."""

    BEHAVIOUR = "behaviour"
    PROJECT_NAME = "project_name"
    THIRD_PARTY = "third_party"
    SYNTAX = "syntax"
    FIXTURE = "fixture"
    TEST_NAME = "test_name"
    OTHER = "other"


RIGHT: Final = frozenset({Reason.BEHAVIOUR, Reason.PROJECT_NAME})

_SYNTAX = re.compile(r"^\s*(?:SyntaxError|IndentationError|TabError)\b", re.M)
_FIXTURE = re.compile(r"^(?:E\s+)?fixture '[^']+' not found", re.M)
_MODULE = re.compile(
    r"^\s*(?:ModuleNotFoundError: No module named '(?P<missing>[^']+)'"
    r"|ImportError: cannot import name '[^']+' from "
    r"(?:partially initialized module )?'(?P<owner>[^']+)'"
    r"|AttributeError: (?:partially initialized )?module '(?P<module>[^']+)' has no attribute"
    r"|AttributeError: <module '(?P<patched>[^']+)')",
    re.M,
)
_TYPE = re.compile(r"^\s*AttributeError: (?:type object )?'([^']+)'(?: object)? has no", re.M)
_NAME = re.compile(r"^\s*NameError: name '", re.M)
_PHASE = re.compile(r'^failed on (?:setup|teardown) with "')


def of_case(message: str, file: str, project: ProjectNames) -> Reason:
    """Why a test that ran is red. `file` is the one in which it lies."""
    said = _PHASE.sub("", message)
    head = said.partition("\n")[0]
    if _FIXTURE.search(said) and _PHASE.match(message):
        return Reason.FIXTURE
    if head.lstrip().startswith('File "') or _SYNTAX.match(head):
        return Reason.SYNTAX if _SYNTAX.search(said) else Reason.BEHAVIOUR
    if found := _MODULE.match(head):
        return _owner(found, project)
    if _NAME.match(head):
        return _whose_name(message, file)
    return Reason.BEHAVIOUR


def of_collection(message: str, project: ProjectNames) -> Reason:
    """Why a file could not be collected. The last exception of a chain counts."""
    raised = [line[1:].lstrip() for line in message.splitlines() if re.match(r"E\s", line)]
    said = "\n".join(raised) or message
    if _SYNTAX.search(said):
        return Reason.SYNTAX
    modules = list(_MODULE.finditer(said))
    if modules:
        return _owner(modules[-1], project)
    if (found := _TYPE.search(said)) and not hasattr(builtins, found[1]):
        return Reason.PROJECT_NAME
    return Reason.OTHER


def missing_name(message: str) -> str:
    """The module that was not there or lacked a name, "" if the message names none."""
    modules = list(_MODULE.finditer(re.sub(r"^E\s+", "", message, flags=re.M)))
    return next(filter(None, modules[-1].groups())) if modules else ""


def _owner(found: re.Match[str], project: ProjectNames) -> Reason:
    name = next(filter(None, found.groups()))
    return Reason.PROJECT_NAME if project(name) else Reason.THIRD_PARTY


def _whose_name(message: str, file: str) -> Reason:
    places = re.findall(r"^(\S[^\n]*?):\d+: NameError$", message, re.M)
    return Reason.BEHAVIOUR if places and places[-1] != file else Reason.TEST_NAME
