"""What the process table says: who belongs to whom, who carries a mark, who has worked."""

from __future__ import annotations

import os
from pathlib import Path

_PROC = Path("/proc")
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


def cpu_seconds_of_tree(root: int) -> float:
    """CPU seconds used by a process, all below it, and all that these have reaped."""
    below: dict[int, list[int]] = {}
    ticks: dict[int, int] = {}
    for pid in _ids():
        try:
            stat = (_PROC / str(pid) / "stat").read_bytes()
        except OSError:
            continue
        fields = stat.rpartition(b")")[2].split()  # the name before it may hold anything
        below.setdefault(int(fields[1]), []).append(pid)
        ticks[pid] = sum(map(int, fields[11:15]))
    tree, total = [root], 0
    while tree:
        pid = tree.pop()
        total += ticks.get(pid, 0)
        tree += below.get(pid, [])
    return total / _TICKS


def _ids() -> list[int]:
    return [int(name) for name in os.listdir(_PROC) if name.isdigit()]  # noqa: PTH208
