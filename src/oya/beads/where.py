"""The `[tracker] where` expression: which beads of the backlog oya may claim.

    where = "type in task,bug and priority <= 2 and label not in human"

Terms joined by `and`; all of them must hold:

    type in A,B          the issue type is one of these; without such a term:
                         task, bug, feature, chore, docs
    label in A,B         at least one of these labels
    label not in A,B     none of these labels
    id in A,B            one of these beads
    priority <= N        0 (highest) to 4

A value is any run of characters but spaces and commas; case counts. The empty
expression is the default. An epic is never work to claim.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NoReturn

from oya.beads.model import LOWEST_PRIORITY, Bead
from oya.errors import ConfigError

CLAIMABLE: Final = frozenset({"task", "bug", "feature", "chore", "docs"})
CONTAINER: Final = "epic"

_Test = Callable[[Bead], bool]
_TOKEN = re.compile(r"<=|,|[^\s,<]+|<")


@dataclass(frozen=True, slots=True)
class Where:
    """A parsed expression: `types` may be claimed, and `tests` are its other terms."""

    types: frozenset[str] = CLAIMABLE
    tests: tuple[_Test, ...] = ()

    def selects(self, bead: Bead) -> bool:
        """Whether all terms but the type hold for this bead."""
        return all(test(bead) for test in self.tests)


def parse_where(text: str) -> Where:
    """The expression that `text` spells; raises ConfigError naming the column (from 1)."""
    return _Parser(text).parse()


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = [(match.start() + 1, match[0]) for match in _TOKEN.finditer(text)]
        self._at = 0

    def parse(self) -> Where:
        types: frozenset[str] | None = None
        tests: list[_Test] = []
        while self._tokens:
            if self._peek() == "type":
                named = self._types()
                types = named if types is None else types & named
            else:
                tests.append(self._test())
            if self._at == len(self._tokens):
                break
            self._expect("and")
        return Where(CLAIMABLE if types is None else types, tuple(tests))

    def _types(self) -> frozenset[str]:
        self._expect("type")
        self._expect("in")
        start = self._at
        types = self._values()
        if CONTAINER in types:
            self._at = start
            self._fail("an epic is a container, not work to claim")
        return types

    def _test(self) -> _Test:
        name = self._peek()
        if name not in {"priority", "id", "label"}:
            self._fail(f"expected type, label, id or priority, found {self._found()}")
        self._at += 1
        if name == "priority":
            return self._priority()
        unwanted = name == "label" and self._peek() == "not"
        self._at += unwanted
        self._expect("in")
        values = self._values()
        if name == "id":
            return lambda bead: bead.id in values
        return lambda bead: values.isdisjoint(bead.labels) is unwanted

    def _priority(self) -> _Test:
        self._expect("<=")
        if self._peek() not in map(str, range(LOWEST_PRIORITY + 1)):
            self._fail(f"expected a priority from 0 to {LOWEST_PRIORITY}, found {self._found()}")
        limit = int(self._next())
        return lambda bead: bead.priority <= limit

    def _values(self) -> frozenset[str]:
        values = {self._value()}
        while self._peek() == ",":
            self._at += 1
            values.add(self._value())
        return frozenset(values)

    def _value(self) -> str:
        if self._peek() in {"", ",", "<", "<="}:
            self._fail(f"expected a value, found {self._found()}")
        return self._next()

    def _peek(self) -> str:
        return self._tokens[self._at][1] if self._at < len(self._tokens) else ""

    def _next(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1][1]

    def _expect(self, word: str) -> None:
        if self._peek() != word:
            self._fail(f"expected `{word}`, found {self._found()}")
        self._at += 1

    def _found(self) -> str:
        return f"`{self._peek()}`" if self._peek() else "the end"

    def _fail(self, what: str) -> NoReturn:
        last = len(self._text.rstrip()) + 1
        column = self._tokens[self._at][0] if self._at < len(self._tokens) else last
        raise ConfigError(
            f"[tracker] where, column {column}: {what}.",
            hint='For example: where = "type in task,bug and priority <= 2"',
        )
