"""Programs from npm, where they are installed."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest


def installed(name: str) -> Path:
    """The program; OYA_REAL_AGENTS names another place than this environment's.

    Without it the test is skipped, and where everything has to be there (CI=true) it fails.
    """
    if shutil.which("node") is None or shutil.which("npm") is None:
        _absent(f"node and npm are not there: {name} cannot run")
    place = Path(os.environ.get("OYA_REAL_AGENTS") or Path(sys.prefix) / "real-agents")
    program = place / "node_modules" / ".bin" / name
    if not program.exists():
        _absent(f"{program} is not there: make real-agents")
    return program


def _absent(why: str) -> None:
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)
