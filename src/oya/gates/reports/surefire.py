"""Maven Surefire: the XML files in `target/surefire-reports` of each module, and javac's words.

The id of a test is `src/test/java/acme/ThingTest.java::method`, of a nested class
`…ThingTest.java::Inner::method`, of a case `…::method[2]`. Tests of a module are compiled
together: one file that does not compile takes them all with it. Reports of an earlier run
are removed before, since a stale report is no report.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from oya.folders import take_away, walk
from oya.gates.model import Report
from oya.gates.reports import junit
from oya.gates.reports.java import Sources, errors
from oya.gates.reports.kind import (
    SIZE_LIMIT,
    Draft,
    Kind,
    Unreadable,
    Written,
    named,
    read_bytes,
    read_output,
)

_FOLDER: Final = "surefire-reports"
_FILES_LIMIT: Final = 20_000
_FOLDERS_LIMIT: Final = 50_000
_NAME: Final = re.compile(r"[\w$]+")


def _read(written: Written) -> Report:
    sources, draft = Sources(written.root), Draft(written.root)
    output = read_output(written)
    for error in errors(output, written.root):
        module = error.file.partition("src/")[0]
        draft.broken(error.file, error.message, sources.whose(error), f"{module}**")
    size = 0
    for module, path in _reports(written.root):
        data = read_bytes(path, path.name)
        size += len(data)
        if size > SIZE_LIMIT:
            raise Unreadable(f"the reports are larger than {SIZE_LIMIT // 1_000_000} MB together")
        for case in junit.elements(data):
            outcome, message = junit.result(case)
            draft.case(sources.id(case.classname or "", case.name or "", module), outcome, message)
    if draft.empty and "BUILD FAILURE" in output:
        raise Unreadable("the build failed before a test ran")
    return draft.report()


def _folders(root: Path) -> Iterator[Path]:
    for seen, (folder, folders, _) in enumerate(walk(root)):
        if seen > _FOLDERS_LIMIT:
            return
        if folder.name == "target":
            if _FOLDER in folders:
                yield folder / _FOLDER
            folders.clear()
        folders[:] = sorted(name for name in folders if name not in (".git", "node_modules"))


def _reports(root: Path) -> Iterator[tuple[str, Path]]:
    """The reports, each with its module's folder ("" or ending in a slash)."""
    count = 0
    for folder in _folders(root):
        module = f"{folder.relative_to(root).parent.parent.as_posix()}/".removeprefix("./")
        for path in sorted(folder.glob("TEST-*.xml")):
            count += 1
            if count > _FILES_LIMIT:
                raise Unreadable(f"there are more than {_FILES_LIMIT} reports")
            yield module, path


def _clear(root: Path) -> None:
    for folder in _folders(root):
        take_away(folder)


def _select(ids: Sequence[str], _root: Path) -> Sequence[str]:
    """`-Dtest=` with classes and their methods; other modules may have none of them."""
    tests: dict[str, list[str]] = {}
    for file, name in filter(None, map(named, ids)):
        below = f"/{file}".rpartition("/src/")[2].split("/")[2:]
        *inner, method = re.sub(r"\[.*", "", name).split("::")
        parts = [*"/".join(below).rpartition(".")[0].split("/"), *inner]
        if not below or not all(map(_NAME.fullmatch, parts)):
            return ()
        outer = ".".join(parts[: len(parts) - len(inner)])
        methods = tests.setdefault("$".join((outer, *inner)), [])
        if not method or method[0].isupper() or not _NAME.fullmatch(method):
            return ()  # a class, or a name that Surefire has no word for
        methods.append(method)
    if not tests:
        return ()
    chosen = (f"{name}#{'+'.join(dict.fromkeys(methods))}" for name, methods in tests.items())
    none = ("-Dsurefire.failIfNoSpecifiedTests=false", "-DfailIfNoTests=false")  # its, and older
    return (f"-Dtest={','.join(chosen)}", *none)


KIND: Final = Kind("surefire", _read, _select, output=True, clear=_clear)
