"""What is frozen, and what counts as an edit."""

from __future__ import annotations

import pytest

from oya.gates import Case, Outcome, Report
from oya.gates.frozen import changed, digest, frozen_paths

TREE = [
    "README.md",
    "pyproject.toml",
    "setup.cfg",
    "src/larder/__init__.py",
    "src/larder/data/units.txt",
    "src/larder/test_inline.py",
    "src/larder/__snapshots__/test_inline.ambr",
    "src/larder/fixtures/deep/in.json",
    "src/larder/conftest.py",
    "src/other/fixtures/in.json",
    "tests/conftest.py",
    "tests/data/soup.txt",
    "tests/helpers.py",
    "tests/unit/test_amount.py",
    "docs/tests/notes.md",
]


def report(*files: str) -> Report:
    return Report(tuple(Case(f"{file}::test_a", Outcome.PASSED) for file in files))


def test_tests_what_serves_them_and_the_runners_files_are_frozen() -> None:
    frozen = frozen_paths(
        TREE, [], report("tests/unit/test_amount.py", "src/larder/test_inline.py")
    )
    assert set(TREE) - frozen == {
        "README.md",
        "src/larder/__init__.py",
        "src/larder/data/units.txt",
        "src/other/fixtures/in.json",
        "docs/tests/notes.md",
    }


def test_the_contracts_files_are_frozen_though_nothing_was_collected_from_them() -> None:
    frozen = frozen_paths(TREE, ["README.md"], Report())
    assert "README.md" in frozen
    assert "tests/helpers.py" not in frozen


def test_a_runner_in_a_subfolder_names_files_from_there() -> None:
    frozen = frozen_paths(
        ["back/tests/test_a.py", "front/test_a.py"], [], report("tests/test_a.py")
    )
    assert frozen == {"back/tests/test_a.py"}


def test_an_exit_code_names_no_file() -> None:
    assert frozen_paths(["ci", "a"], [], Report((Case("ci", Outcome.PASSED),))) == set()


PYPROJECT = b'[project]\nname = "a"\nversion = "1"\n[tool.pytest.ini_options]\naddopts = "-q"\n'


@pytest.mark.parametrize(
    ("now", "edited"),
    [
        (PYPROJECT.replace(b'"1"', b'"2"'), False),
        (PYPROJECT + b"testpaths = []\n", True),
        (PYPROJECT + b"[tool.pytest]\nx = 1\n", True),
        (PYPROJECT.split(b"[tool")[0], True),
        (b"not toml [", True),
        (None, True),
    ],
)
def test_of_pyproject_only_the_runners_tables_are_frozen(now: bytes | None, edited: bool) -> None:
    before = {"pyproject.toml": digest("pyproject.toml", PYPROJECT)}
    after = {} if now is None else {"pyproject.toml": digest("pyproject.toml", now)}
    assert bool(changed(before, after)) is edited


def test_a_pyproject_without_the_runners_tables_may_come_and_go() -> None:
    plain = {"sub/pyproject.toml": digest("sub/pyproject.toml", b"[project]\nname = 'a'\n")}
    assert changed(plain, {}) == changed({}, plain) == ()
    assert changed({}, {"pyproject.toml": digest("pyproject.toml", PYPROJECT)}) != ()


def test_edits_removals_and_new_runner_files_are_changes() -> None:
    frozen = {"tests/test_a.py": "1", "tests/test_b.py": "1", "tests/conftest.py": "1"}
    now = {
        "tests/test_a.py": "2",
        "tests/conftest.py": "1",
        "tests/unit/conftest.py": "1",
        "pytest.ini": "1",
        "tests/test_new.py": "1",
        "src/a.py": "1",
    }
    assert changed(frozen, now) == (
        "pytest.ini",
        "tests/test_a.py",
        "tests/test_b.py",
        "tests/unit/conftest.py",
    )
    assert changed(frozen, frozen) == ()
