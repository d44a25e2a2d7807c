"""jest and vitest: the same JSON, `--json --outputFile={report}` and `--reporter=json
--outputFile={report}`.

The id of a test is `src/file.test.ts::suite > test`. A file without a test in it that is
not passed is broken: its message says why.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from oya.gates.feedback import plain
from oya.gates.model import Outcome, Report
from oya.gates.reports.javascript import of_file
from oya.gates.reports.kind import (
    Draft,
    Kind,
    Unreadable,
    Written,
    named,
    parse_json,
    read_bytes,
    within,
)

_OUTCOMES: Final = {"passed": Outcome.PASSED, "failed": Outcome.FAILED}
_HEAD: Final = re.compile(r"\s*● .*Test suite failed to run\s*")


def _read(written: Written) -> Report:
    said = parse_json(read_bytes(written.report).decode("utf-8", "replace"))
    files = said.get("testResults") if isinstance(said, dict) else None
    if not isinstance(files, list):
        raise Unreadable("the report is not the JSON of jest or vitest")
    draft = Draft(written.root)
    for file in files:
        if isinstance(file, dict):
            _tell(file, written.root, draft)
    return draft.report()


def _tell(file: dict[str, Any], root: Path, draft: Draft) -> None:
    path = str(file.get("name"))
    here = within(path, root)
    tests = file.get("assertionResults")
    tests = [test for test in tests if isinstance(test, dict)] if isinstance(tests, list) else []
    for test in tests:
        outcome = _OUTCOMES.get(str(test.get("status")), Outcome.SKIPPED)
        titles = [*_texts(test.get("ancestorTitles")), str(test.get("title"))]
        message = "\n".join(_texts(test.get("failureMessages")))
        draft.case(f"{here}::{' > '.join(filter(None, titles))}", outcome, _clean(message))
    if file.get("status") == "failed" and all(test.get("status") != "failed" for test in tests):
        message = _HEAD.sub("", _clean(str(file.get("message") or "")))
        draft.broken(here, message, of_file(message, path, root))


def _texts(said: Any) -> Iterable[str]:
    return map(str, said) if isinstance(said, list) else ()


def _clean(message: str) -> str:
    return plain(message.encode("utf-8", "replace"))


def _pattern(ids: Sequence[tuple[str, str]], start: str) -> tuple[str, ...]:
    """`-t` over the full names of tests, in which titles are joined by blanks. A title may
    hold ` > ` itself."""
    names = [name for _, name in ids]
    if not all(names):
        return ()
    between = "(?: > | )"
    terms = [between.join(map(_escaped, name.split(" > "))) for name in names]
    return ("-t", f"^{start}(?:{'|'.join(dict.fromkeys(terms))})(?: .*)?$")


def _escaped(title: str) -> str:
    return re.sub(r"[\\^$.*+?()\[\]{}|/]", r"\\\g<0>", title)


def _files(ids: Sequence[tuple[str, str]], root: Path) -> list[str]:
    return [*dict.fromkeys(str(root / file) for file, _ in ids)]


def _jest(ids: Sequence[str], root: Path) -> Sequence[str]:
    chosen = [*filter(None, map(named, ids))]
    words = (*_pattern(chosen, ""), "--runTestsByPath", *_files(chosen, root))
    return words if chosen else ()


def _vitest(ids: Sequence[str], root: Path) -> Sequence[str]:
    chosen = [*filter(None, map(named, ids))]
    return (*_pattern(chosen, r"\s*"), *_files(chosen, root)) if chosen else ()


JEST: Final = Kind("jest", _read, _jest, file=True)
VITEST: Final = Kind("vitest", _read, _vitest, file=True)
