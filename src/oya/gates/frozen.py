"""Which files an implementer may not edit, and whether one has been.

Frozen are the files from which the report collects tests, what lies beside them to serve
them, and what tells the runner how to run: whole, except the files that describe a package
(`parts.PARTS`), of which only what the runner reads is. Sources and documents that hold tests
too (Rust's, doctests, vitest's in-source tests, what a type checker reports of each file) are
not frozen: a contract's tests lie in files of their own.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final

from oya.gates.model import SCRIPTS, Report, file_of, names_of
from oya.gates.parts import PARTS
from oya.gates.reports.rust import is_source
from oya.gates.variant import named_as_test

FILE: Final = "100644"
LINK: Final = "120000"
"""Modes that git has for a plain file, and for a symbolic link."""
_RUNNER_FILES: Final = frozenset(
    {
        "conftest.py",
        "pytest.ini",
        ".pytest.ini",
        "pytest.toml",
        ".pytest.toml",
        "tox.ini",
        "setup.cfg",
        "nextest.toml",
        *PARTS,
    }
)
_RUNNER_PATHS: Final = re.compile(
    r"(?:^|/)(?:(?:jest|vitest|vite)\.(?:config|setup|preset|workspace)\.\w+|setupTests\.\w+"
    r"|\.mocharc(?:\.\w+)?|\.mvn/.+|\.cargo/config(?:\.toml)?)$"
)
_TEST_ENDINGS: Final = ("_test.go", ".snap")
"""What is a test's wherever it lies: Go's test files with their helpers, snapshots."""
_TESTS_ONLY: Final = frozenset({"tests", "__tests__"})
_PERHAPS_TESTS: Final = frozenset({"test", "spec", "specs"})
"""Folders of tests, or else of sources that have this name for what they are about."""
_PLAIN_NAME: Final = re.compile(r"^(?:test[-_.])?(.+?)(?:[-_.](?:tests?|specs?))?$")
_WORKED_ON: Final = (".py", ".pyi", ".pyx", *SCRIPTS, ".md", ".markdown", ".rst", ".txt", ".adoc")
"""Files of which runners report examples, or checks, that are there for the work's sake."""
_SERVING_FOLDERS: Final = frozenset(
    {
        "__snapshots__",
        "__mocks__",
        "__fixtures__",
        "snapshots",
        "fixtures",
        "testdata",
        "test_data",
        "golden",
        "goldens",
        "cassettes",
    }
)


def frozen_paths(files: Iterable[str], test_files: Collection[str], report: Report) -> set[str]:
    """The paths among `files` (a tree's) that are frozen.

    A report names files as its runner sees them, perhaps from a subfolder: `tests/test_x.py`
    stands for `backend/tests/test_x.py` too. One that looks like no test, by its name or its
    folder, and may be what is worked on is frozen only as one of `test_files`. In a folder of
    tests everything that is there is frozen with them (helpers and data are part of what a
    test says); beside tests that lie among the sources, only folders of snapshots and fixtures
    are. A folder `spec`, `specs` or `test` is one of sources for Go's tests, and where a source
    in it has its own test beside it.
    """
    paths, given = list(files), frozenset(test_files)
    names = {file_of(case.id) for case in report.cases} | {b.file for b in report.broken}
    wanted = frozenset(name for name in names if not report.exit_only) | given
    holding = {path for path in paths if not wanted.isdisjoint(names_of(path))}
    sources = _folders_of_sources(holding, frozenset(paths))
    tests = {path for path in holding if _is_for_tests(path, given, sources)}
    roots = {root for path in tests if (root := _test_root(path, sources)) is not None}
    beside = {path.rpartition("/")[0] for path in holding if path in tests or is_source(path)}
    return {
        path
        for path in paths
        if path in tests
        or _tells_the_runner(path)
        or path.endswith(_TEST_ENDINGS)
        or not roots.isdisjoint(_above(path))
        or _serves(path, beside)
    }


def may_be_worked_on(path: str, sources: Collection[str] = ()) -> bool:
    """Whether a file from which tests are reported looks like a source, or a document, that has
    them beside what it is there for: those tests hold, and the file is not frozen for them.

    `sources` are folders of sources, whatever their name.
    """
    if is_source(path):
        return True
    looks_like_a_test = named_as_test(path) or _test_root(path, sources) is not None
    return path.endswith(_WORKED_ON) and not looks_like_a_test


def frozen_text(path: str, data: bytes) -> bytes:
    """The part of a file that is frozen: what the runner reads in one of `PARTS` (one that
    cannot be read is frozen whole), of others all."""
    part = PARTS.get(_last(path))
    return part(data) if part is not None else data


def digest(path: str, data: bytes, mode: str = FILE) -> str:
    """What stands for a frozen file, as long as both sides of a comparison use the same.

    A symbolic link, of which `data` is the target, is never what a file is. Whether one of
    `PARTS` may be run is nothing to the runner; of others it counts.
    """
    if mode == LINK or (mode != FILE and _last(path) not in PARTS):
        return f"{mode} {hashlib.sha256(data).hexdigest()}"
    return hashlib.sha256(frozen_text(path, data)).hexdigest()


def changed(frozen: Mapping[str, str], now: Mapping[str, str]) -> tuple[str, ...]:
    """The frozen paths that were edited or removed, and runner files that were added.

    Both map paths to digests; `now` may hold more than what is frozen. New test files and
    new helpers are an implementer's right; a new conftest.py is not. One of `PARTS` with
    nothing in it for the runner may come and go.
    """
    edited = {path for path, was in frozen.items() if _now(path, now) != was}
    added = {
        path
        for path in now
        if path not in frozen and _tells_the_runner(path) and now[path] != _nothing(path)
    }
    return tuple(sorted(edited | added))


def _now(path: str, now: Mapping[str, str]) -> str | None:
    return now.get(path, _nothing(path))


def _nothing(path: str) -> str | None:
    return hashlib.sha256(b"").hexdigest() if _last(path) in PARTS else None


def _tells_the_runner(path: str) -> bool:
    return _last(path) in _RUNNER_FILES or _RUNNER_PATHS.search(path) is not None


def _last(path: str) -> str:
    return path.rpartition("/")[2]


def _above(path: str) -> Iterator[str]:
    """The folders around a path, the nearest first and the top, "", last."""
    while path:
        path = path.rpartition("/")[0]
        yield path


def _is_for_tests(path: str, given: Collection[str], sources: Collection[str]) -> bool:
    return not may_be_worked_on(path, sources) or (path in given and not is_source(path))


def _test_root(path: str, sources: Collection[str]) -> str | None:
    """The outermost folder of tests around a test."""
    return next((f for f in reversed([*_above(path)]) if _is_of_tests(f, path, sources)), None)


def _is_of_tests(folder: str, test: str, sources: Collection[str]) -> bool:
    name = _last(folder)
    perhaps = name in _PERHAPS_TESTS and not test.endswith(".go") and folder not in sources
    return name in _TESTS_ONLY or perhaps


def _folders_of_sources(tests: Iterable[str], paths: Collection[str]) -> set[str]:
    """The folders around sources that have a test of their own beside them."""
    tested = (path for test in tests for path in _tested(test) if path in paths)
    return {folder for path in tested for folder in _above(path)}


def _tested(test: str) -> Iterator[str]:
    """What a test is of, if that lies beside it, or beside the folder of tests that it is in."""
    folder, _, name = test.rpartition("/")
    stem, _, ending = name.rpartition(".")
    plain = _PLAIN_NAME.sub(r"\1", stem)
    places = [folder] if plain != stem else []
    places += [folder.rpartition("/")[0]] if _last(folder) in _TESTS_ONLY | _PERHAPS_TESTS else []
    endings = SCRIPTS if name.endswith(SCRIPTS) else (f".{ending}",)
    return (f"{place}/{plain}{end}".removeprefix("/") for place in places for end in endings)


def _serves(path: str, beside: Collection[str]) -> bool:
    return any(
        _last(folder) in _SERVING_FOLDERS and folder.rpartition("/")[0] in beside
        for folder in _above(path)
    )
