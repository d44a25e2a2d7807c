"""What the process table says: who belongs to whom, who carries a mark, who has worked."""

from __future__ import annotations

import os
import signal
from pathlib import Path

_PROC = Path("/proc")
_EXITING = 4  # PF_EXITING
_TICKS = os.sysconf("SC_CLK_TCK")


def carrying(name: str, value: str) -> list[int]:
    """Ids of the live processes that were started with this variable in their environment.

    Processes of other users, and those that were given another environment, are not seen.
    """
    entry = f"{name}={value}".encode()
    found = []
    for pid in _ids():
        try:
            if entry in (_PROC / str(pid) / "environ").read_bytes().split(b"\0"):
                found.append(pid)
        except OSError:
            continue
    return found


def environment_of(pid: int) -> dict[str, str]:
    """What a process was started with; empty where it has ended or may not be looked at."""
    try:
        data = (_PROC / str(pid) / "environ").read_bytes().decode("utf-8", "replace")
    except OSError:
        return {}
    return dict(entry.split("=", 1) for entry in data.split("\0") if "=" in entry)


def started(pid: int) -> int | None:
    """When a process was started, in ticks since the machine was; None where it has ended, or
    is at it (its files, and the locks on them, go before it does).

    With the id it names one process for as long as the machine runs.
    """
    fields = _stat(pid)
    ended = fields is None or fields[0] == b"Z" or int(fields[6]) & _EXITING
    return None if fields is None or ended else int(fields[19])


def children() -> dict[int, list[int]]:
    """Parent → its children, of all processes."""
    found: dict[int, list[int]] = {}
    for pid in _ids():
        if (fields := _stat(pid)) is not None:
            found.setdefault(int(fields[1]), []).append(pid)
    return found


def end(pid: int, born: int, how: signal.Signals = signal.SIGKILL) -> None:
    """A signal for the process that was started then, and for none that has its id by now."""
    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if started(pid) == born:
            signal.pidfd_send_signal(fd, how)
    except (ProcessLookupError, PermissionError):
        return
    finally:
        os.close(fd)


def cpu_seconds_of_tree(root: int) -> float:
    """CPU seconds used by a process, all below it, and all that these have reaped."""
    below: dict[int, list[int]] = {}
    ticks: dict[int, int] = {}
    for pid in _ids():
        if (fields := _stat(pid)) is None:
            continue
        below.setdefault(int(fields[1]), []).append(pid)
        ticks[pid] = sum(map(int, fields[11:15]))
    tree, total = [root], 0
    while tree:
        pid = tree.pop()
        total += ticks.get(pid, 0)
        tree += below.get(pid, [])
    return total / _TICKS


def _stat(pid: int) -> list[bytes] | None:
    """The fields of its `stat` from the state on."""
    try:
        stat = (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return None
    return stat.rpartition(b")")[2].split()  # the name before it may hold anything


def _ids() -> list[int]:
    return [int(name) for name in os.listdir(_PROC) if name.isdigit()]  # noqa: PTH208
