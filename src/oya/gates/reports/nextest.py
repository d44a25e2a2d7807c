"""cargo-nextest: its JUnit report, `target/nextest/PROFILE/junit.xml`, and cargo's messages.

nextest writes that file where its configuration says so (`[profile.default.junit]`,
`path = "junit.xml"` in `.config/nextest.toml`). A suite there is a binary: `package`,
`package::target` or `package::bin/name`. Ids are those of `cargo`. With
`--cargo-message-format json` in the command it is told what does not compile, and why.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from oya.folders import take_away, walk
from oya.gates.model import Report
from oya.gates.reports import junit
from oya.gates.reports.kind import (
    Draft,
    Kind,
    Unreadable,
    Written,
    named,
    objects,
    read_bytes,
    read_output,
)
from oya.gates.reports.rust import Crates, target_of

_NAME: Final = re.compile(r"\w+(?:::\w+)*")
_FOLDERS_LIMIT: Final = 20_000


def _read(written: Written) -> Report:
    crates, draft = Crates(written.root), Draft(written.root)
    for _, message in objects(read_output(written)):
        crates.hear(message)
    reports = [*_reports(written.root)]
    for path in reports:
        for case in junit.elements(read_bytes(path)):
            outcome, said = junit.result(case)
            draft.case(f"{_file(case.classname or '', crates)}::{case.name}", outcome, said)
    crates.tell(draft)
    if draft.empty and not reports:
        raise Unreadable(
            "nextest wrote no target/nextest/*/junit.xml: its configuration must say "
            '`[profile.default.junit]`, `path = "junit.xml"`'
        )
    return draft.report()


def _reports(root: Path) -> Iterator[Path]:
    for seen, (folder, folders, _) in enumerate(walk(root)):
        if seen > _FOLDERS_LIMIT:
            return
        if folder.name == "target":
            folders[:] = [name for name in folders if name == "nextest"]
        elif folder.parts[-2:] == ("target", "nextest"):
            yield from (folder / name / "junit.xml" for name in sorted(folders))
            folders.clear()
        folders[:] = sorted(name for name in folders if name not in (".git", "node_modules"))


def _clear(root: Path) -> None:
    for path in _reports(root):
        take_away(path)


def _file(binary: str, crates: Crates) -> str:
    """The file of a binary's target."""
    package, _, target = binary.partition("::")
    folder = crates.packages.get(package)
    if folder is None:
        return binary
    name = target.rpartition("/")[2]
    if not target:
        choices = ["src/lib.rs", "src/main.rs"]
    elif target.startswith("bin/"):
        choices = [f"src/bin/{name}.rs", f"src/bin/{name}/main.rs", "src/main.rs"]
    else:
        choices = [f"tests/{name}.rs", f"tests/{name}/main.rs"]
    paths = [f"{folder}/{choice}".removeprefix("/") for choice in choices]
    return next((path for path in paths if (crates.root / path).is_file()), paths[0])


def _select(ids: Sequence[str], _root: Path) -> Sequence[str]:
    """A filter expression: the tests of these names, and those below them, in their binaries."""
    terms = []
    for file, name in filter(None, map(named, ids)):
        if name and not _NAME.fullmatch(name):
            return ()
        target = target_of(file)
        parts = [f"binary(={target})"] if target and re.fullmatch(r"[\w-]+", target) else []
        parts += [f"test(/^{name}(::|$)/)"] if name else []
        terms.append(f"({' & '.join(parts) or 'all()'})")
    return ("-E", " | ".join(dict.fromkeys(terms))) if terms else ()


KIND: Final = Kind("nextest", _read, _select, output=True, clear=_clear)
