"""New files that Python would find before the frozen ones."""

from __future__ import annotations

import pytest

from oya.gates.shadow import shadows

FROZEN = ("tests/test_a.py", "tests/helpers.py", "tests/data/in.json", "conftest.py")


@pytest.mark.parametrize(
    "path",
    [
        "sitecustomize.py",
        "src/usercustomize.py",
        "src/sitecustomize/__init__.py",
        "pytest.py",
        "src/pytest/__init__.py",
        "_pytest/__init__.py",
        "tests/pluggy.py",
        "tests/random.py",
        "tests/json/__init__.py",
        "tests/helpers/__init__.py",
        "tests/helpers.cpython-311-x86_64-linux-gnu.so",
        "conftest/__init__.py",
        "tests/__pycache__/helpers.cpython-311.pyc",
        "__pycache__/conftest.cpython-311-pytest-8.3.pyc",
        "tests/__pycache__/random.cpython-311.pyc",
        "tests/random.pyc",
    ],
)
def test_what_would_run_instead_is_refused(path: str) -> None:
    assert shadows([path, "src/app.py"], FROZEN) == (path,)


@pytest.mark.parametrize(
    "path",
    [
        "tests/test_random.py",
        "tests/more_helpers.py",
        "tests/test_a/__init__.py.txt",
        "tests/data/random.py",
        "src/app/random.py",
        "src/app/pytest.py",
        "random.py",
        "tests/deep/json.py",
        "docs/pytest.md",
        "tests/sitecustomize.md",
        "src/__pycache__/app.cpython-311.pyc",
        "tests/__pycache__/test_b.cpython-311.pyc",
    ],
)
def test_what_an_implementer_may_add(path: str) -> None:
    assert shadows([path], FROZEN) == ()


@pytest.mark.parametrize(
    "path",
    [
        "pytest",
        "src/pluggy",
        "sitecustomize",
        "tests/json",
        "tests/helpers",
        "conftest",
        "tests/__pycache__",
        "__pycache__",
    ],
)
def test_a_link_may_be_a_package_or_a_cache(path: str) -> None:
    assert shadows([path, "src/app"], FROZEN, links=[path, "src/app"]) == (path,)
    assert shadows([path], FROZEN) == ()


@pytest.mark.parametrize("path", ["json", "tests/data/in", "tests/deep/json", "docs/pytest"])
def test_a_link_that_an_implementer_may_add(path: str) -> None:
    assert shadows([path], FROZEN, links=[path]) == ()
