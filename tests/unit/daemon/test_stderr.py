"""What the daemon's process says beside its log."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PROGRAM = """
import os, sys
from pathlib import Path
from oya.daemon import logs
logs.MAX_BYTES = 100_000
logs.stderr_to(Path(sys.argv[1]))
for _ in range(int(sys.argv[2])):
    assert os.write(2, b"words\\n" * 1000) == 6000
os.write(2, b"last")
os.abort()
"""


def said(path: Path, times: int) -> None:
    done = subprocess.run(
        (sys.executable, "-c", PROGRAM, str(path), str(times)),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == -signal.SIGABRT, done


def kept(path: Path) -> bytes:
    """What whoever keeps it, a process of its own, has written so far."""
    return path.read_bytes() if path.exists() else b""


def test_last_words_are_kept(tmp_path: Path) -> None:
    said(tmp_path / "err", 1)
    deadline = time.monotonic() + 20
    while not kept(tmp_path / "err").endswith(b"last"):
        assert time.monotonic() < deadline
        os.sched_yield()
    assert (tmp_path / "err").stat().st_size == 6004


def test_more_than_can_be_kept_is_no_error(tmp_path: Path) -> None:
    said(tmp_path / "err", 200)
    assert len(kept(tmp_path / "err")) <= 100_000


def test_where_nothing_can_be_kept_it_is_none_either(tmp_path: Path) -> None:
    said(tmp_path / "missing" / "err", 200)
