"""What owners that have died left running, and its end.

A guard ends all below it when its owner dies. Only where the guard was killed as well, in the
same moment, something may be left; and git runs without a guard, so that one which hangs outlives
its owner, and could move a ref long after. They still carry the mark, and in it their owner's id
and start. Names take no part, and what another owner has started, who lives, goes on.
"""

from __future__ import annotations

import asyncio
import os
import signal

from oya.errors import ProcessError
from oya.processes import table

MARK, GUARD = "OYA_MARK", "OYA_GUARD"
_BY_THEMSELVES = 2.0  # s that guards get which are at it (they know more than the table does)
_ASKED = 1.0  # s after SIGTERM: a git takes its locks away
_GONE_WITHIN = 10.0
_AGAIN = 0.02


def marks(marker: str, what: int | str) -> dict[str, str]:
    """What a program carries: the marker, and in OYA_GUARD its owner and what it is of theirs."""
    return {MARK: marker, GUARD: f"{marker}.{os.getpid()}-{table.started(os.getpid())}.{what}"}


async def end_orphans(marker: str) -> list[int]:
    """Return when nothing runs that a dead owner has started with this marker.

    The ids of what had to be ended, what it had started in its turn among them. `ProcessError`
    where something is still there after 10 s.
    """
    loop = asyncio.get_running_loop()
    began, ended = loop.time(), dict[int, int]()
    while left := _orphans(marker):
        waited = loop.time() - began
        if waited > _GONE_WITHIN:
            raise ProcessError(
                f"what an earlier daemon has started could not be ended: processes {sorted(left)}",
                safe="Nothing of its work was touched.",
                hint=f"kill -9 {' '.join(map(str, sorted(left)))}",
            )
        if waited > _BY_THEMSELVES:
            asked = waited < _BY_THEMSELVES + _ASKED
            for pid, born in left.items():
                table.end(pid, born, signal.SIGTERM if asked else signal.SIGKILL)
            ended |= left
        await asyncio.sleep(_AGAIN)
    return sorted(ended)


def _orphans(marker: str) -> dict[int, int]:
    """Id → start of each such process, and of all below it."""
    marked = [pid for pid in table.carrying(MARK, marker) if _owner_is_dead(pid, marker)]
    below = table.children() if marked else {}
    found: dict[int, int] = {}
    while marked:
        pid = marked.pop()
        born = table.started(pid)
        if pid not in found and born is not None:
            found[pid] = born
            marked += below.get(pid, [])
    return found


def _owner_is_dead(pid: int, marker: str) -> bool:
    said = table.environment_of(pid).get(GUARD, "").removeprefix(f"{marker}.")
    owner, _, born = said.partition(".")[0].partition("-")
    if not (owner.isdecimal() and born.isdecimal()):
        return False
    return table.started(int(owner)) != int(born)
