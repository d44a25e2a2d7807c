"""With CI=true a skipped test is a failed one; everywhere else it is only named."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).parents[2] / "conftest.py"

SKIPS = """
import pytest

def test_passes():
    assert True

@pytest.mark.skipif(True, reason="no such tool here")
def test_skips():
    assert False
"""

MODULE_SKIPS = "import pytest\n\npytest.importorskip('nowhere_to_be_found')\n"

EXPECTED_TO_FAIL = """
import pytest

@pytest.mark.xfail(strict=True)
def test_known():
    assert False
"""


def suite(folder: Path, source: str, ci: str | None) -> subprocess.CompletedProcess[str]:
    (folder / "conftest.py").write_text(CONFTEST.read_text())
    (folder / "test_it.py").write_text(source)
    (folder / "pytest.ini").write_text("[pytest]\n")
    environment = {key: value for key, value in os.environ.items() if key != "CI"}
    environment |= {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"} | ({} if ci is None else {"CI": ci})
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider"],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_skip_fails_the_run_in_ci_and_is_named(tmp_path: Path) -> None:
    ran = suite(tmp_path, SKIPS, ci="true")
    assert ran.returncode == pytest.ExitCode.TESTS_FAILED
    assert "test_it.py::test_skips: no such tool here" in ran.stdout


def test_a_module_that_skips_itself_fails_the_run_in_ci(tmp_path: Path) -> None:
    ran = suite(tmp_path, MODULE_SKIPS + SKIPS, ci="true")
    assert ran.returncode != pytest.ExitCode.OK
    assert "nowhere_to_be_found" in ran.stdout


def test_elsewhere_a_skip_passes(tmp_path: Path) -> None:
    assert suite(tmp_path, SKIPS, ci=None).returncode == pytest.ExitCode.OK


def test_a_run_without_skips_passes_in_ci(tmp_path: Path) -> None:
    ran = suite(tmp_path, EXPECTED_TO_FAIL, ci="true")
    assert ran.returncode == pytest.ExitCode.OK
