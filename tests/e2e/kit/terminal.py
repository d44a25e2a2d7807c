"""A terminal of one's own, since Ctrl+C is typed in one."""

from __future__ import annotations

import os
import pty
import select
import time
from pathlib import Path

from kit.user import PROGRAM, User

CTRL_C = b"\x03"


class Terminal:
    """Runs one `oya` as the leader of a session with a terminal, and reads what it shows."""

    def __init__(self, user: User, cwd: Path, *arguments: str) -> None:
        self.shown = ""
        self._pid, self._fd = pty.fork()
        if not self._pid:
            os.chdir(cwd)
            os.execve(PROGRAM, [str(PROGRAM), *arguments], user.env)

    def type(self, keys: bytes) -> None:
        """As if on the keyboard."""
        os.write(self._fd, keys)

    def until(self, words: str, timeout: float = 40.0) -> None:
        """Read until that stands on the screen."""
        deadline = time.monotonic() + timeout
        while words not in self.shown:
            assert self._read(deadline - time.monotonic()), f"{words!r} not in {self.shown[-3000:]}"

    def end(self, timeout: float = 40.0) -> int:
        """Read to the end; the exit code."""
        deadline = time.monotonic() + timeout
        while self._read(deadline - time.monotonic()):
            pass
        assert time.monotonic() < deadline, f"still there: {self.shown[-3000:]}"
        os.close(self._fd)
        _, status = os.waitpid(self._pid, 0)
        return os.waitstatus_to_exitcode(status)

    def _read(self, timeout: float) -> bool:
        """Whether there was something."""
        if not select.select([self._fd], [], [], max(timeout, 0.0))[0]:
            return False
        try:
            part = os.read(self._fd, 65536)
        except OSError:  # the other end has closed
            return False
        self.shown += part.decode(errors="replace")
        return bool(part)
