"""Installs the agents of package.json beside this file into this environment's `node` folder.

    .venv/bin/python tests/real/install.py

The versions are exact; there is no lock file, since npm's holds addresses. Does nothing when
it has been done already.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PLACE = Path(sys.prefix) / "node"


def main() -> int:
    wanted, done = (HERE / "package.json").read_text(), PLACE / "installed.json"
    if done.is_file() and done.read_text() == wanted:
        return 0
    npm = shutil.which("npm")
    if npm is None:
        print("npm is not there: install Node 20 or newer", file=sys.stderr)
        return 1
    PLACE.mkdir(exist_ok=True)
    for name in ("package.json", ".npmrc"):
        shutil.copy(HERE / name, PLACE / name)
    ran = subprocess.run([npm, "install", "--no-progress"], cwd=PLACE, check=False, timeout=600)
    if ran.returncode == 0:
        done.write_text(wanted)
    return ran.returncode


if __name__ == "__main__":
    sys.exit(main())
