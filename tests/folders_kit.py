"""Folders as agents and tests may leave them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

DEEP = 3_000
"""Deeper than recursion reaches, and than a path is long."""


def nest(folder: Path, levels: int = DEEP, name: str = "d") -> None:
    """Put folders in one another there, as many as that. The last one is locked, and has a file
    and a link to the folder above `folder`."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(name, dir_fd=here)
        inner = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(os.open("x", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.symlink(folder.parent, "link", dir_fd=here)
    os.fchmod(here, 0)
    os.close(here)


def without_privilege(program: str, *args: str) -> str:
    """What it prints in a Python of its own, which lacks root's power to read everything."""
    command = [sys.executable, "-c", program, *args]
    if os.geteuid() == 0:
        drop = "-dac_override,-dac_read_search"
        setpriv = shutil.which("setpriv")
        if not setpriv:
            pytest.skip("root without setpriv reads everything")
        command = [setpriv, f"--bounding-set={drop}", f"--inh-caps={drop}", *command]
    env = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
