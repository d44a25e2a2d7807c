"""`cargo test --message-format json`: cargo's messages, with the tests' own words between.

The id of a test is `tests/file.rs::module::name`; of one among the sources it begins with
its target's file (`src/lib.rs::module::tests::name`), and an example in the documentation
is `src/lib.rs::doc name` (its line is left out, since an implementation moves it).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from oya.gates.model import Outcome, Report
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
from oya.gates.reports.rust import Crates, target_of

_RUNNING: Final = re.compile(r"\s+Running (?:unittests )?(\S+) \((\S+)\)$")
_DOC_TESTS: Final = re.compile(r"\s+Doc-tests \S+$")
_BEGINS: Final = re.compile(r"running \d+ tests?$")
_FAILED: Final = re.compile(r"error: (?:doc)?test failed, to rerun pass ")
_TEST: Final = re.compile(r"test (.+?)(?: - should panic)? \.\.\. (.*)$")
_DOC: Final = re.compile(r"(\S+) - (.*?)\s?\(line \d+\)(?: - .+)?$")
_SECTION: Final = re.compile(r"---- (.+) stdout ----$")
_ENDS: Final = {"ok": Outcome.PASSED, "FAILED": Outcome.FAILED, "ignored": Outcome.SKIPPED}
_NAME: Final = re.compile(r"\w+(?:::\w+)*")


def _read(written: Written) -> Report:
    crates, draft = Crates(written.root), Draft(written.root)
    words: list[str] = []
    messages = 0
    for line, message in objects(read_output(written)):
        messages += "reason" in message
        if message:
            crates.hear(message)
        else:
            words.append(line)
    if not messages:
        raise Unreadable(
            "the output holds no messages of cargo: the command must be "
            "`cargo test --message-format json …`"
        )
    _Words(crates, draft).read(words)
    crates.tell(draft)
    return draft.report()


class _Words:
    """The text between cargo's messages: which program runs, and how its tests end.

    One that does not say that it begins (`harness = false`) has no tests that are known, and is
    judged by what cargo says of its end.
    """

    def __init__(self, crates: Crates, draft: Draft) -> None:
        self._crates = crates
        self._draft = draft
        self._start("")

    def _start(self, file: str) -> None:
        self._file = file
        self._ends: dict[str, Outcome] = {}
        self._said: dict[str, list[str]] = {}
        self._open = self._section = ""
        self._through: bool | None = None

    def read(self, lines: Sequence[str]) -> None:
        for line in lines:
            if found := _RUNNING.match(line):
                self._finish()
                program = found[2].rpartition("/")[2]
                self._start(self._crates.targets.get(program, found[1]))
            elif _DOC_TESTS.match(line):
                self._finish()
                self._start("doc")
            else:
                self._hear(line)
        self._finish()

    def _hear(self, line: str) -> None:
        if line.startswith("test result: "):
            self._section, self._through = "", True
        elif _BEGINS.match(line) or (self._through is None and _FAILED.match(line)):
            self._through = False
        elif found := _SECTION.match(line):
            self._section = found[1]
        elif line == "failures:":
            self._section = ""
        elif self._section:
            said = self._said.setdefault(self._section, [])
            if len(said) < MESSAGE_LIMIT:
                said.append(line)
        elif found := _TEST.match(line):
            self._open = "" if self._ended(found[1], found[2]) else found[1]
        elif self._open and self._ended(self._open, line):
            self._open = ""

    def _ended(self, name: str, how: str) -> bool:
        outcome = _ENDS.get(how.partition(",")[0])
        if outcome is not None and self._ends.get(name) is not Outcome.FAILED:
            self._ends[name] = outcome
        return outcome is not None

    def _finish(self) -> None:
        for name, outcome in self._ends.items():
            message = "\n".join(self._said.get(name, ())) if outcome is Outcome.FAILED else ""
            self._draft.case(self._id(name), outcome, message)
        if self._file and self._through is False:
            said = f"the tests of {self._file} ended before they were through"
            self._draft.broken(self._file, said, "other")

    def _id(self, name: str) -> str:
        if found := _DOC.match(name):
            return f"{found[1]}::doc {found[2]}".strip()
        return f"{self._file}::{name}"


def _select(ids: Sequence[str], _root: Path) -> Sequence[str]:
    """Targets, and after `--` names, which libtest takes as parts of names."""
    targets: dict[str, None] = {}
    names: dict[str, None] = {}
    for file, name in filter(None, map(named, ids)):
        if name.startswith("doc ") or (name and not _NAME.fullmatch(name)):
            return ()
        target = target_of(file)
        targets["--lib" if file.endswith("src/lib.rs") else f"--test={target or ''}"] = None
        names[name] = None
    if not names:
        return ()
    chosen = () if "--test=" in targets else tuple(targets)
    return (*chosen, "--", *(() if "" in names else names))


KIND: Final = Kind("cargo", _read, _select, output=True)
