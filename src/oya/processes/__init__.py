"""Programs under a guard: every backend and every gate runs here.

`port.py` is what the rest of oya sees, `real.py` runs programs for real, and
`guard.py` is the small process that stands between oya and each of them, so that
nothing is left running when a program ends, is cancelled, or oya itself dies.
`sandbox.py` lets them see and reach little, by `bubblewrap.py`; `programs.py` finds
what they need all the same.

    processes = GuardedProcesses("swarm-1")
    ended = await processes.run(Command(shell("make check"), cwd=slot, env=env, output=log))
    assert ended.ok
"""

from oya.processes.port import Command, Ended, Processes, Session, shell
from oya.processes.real import GuardedProcesses, survivors

__all__ = ["Command", "Ended", "GuardedProcesses", "Processes", "Session", "shell", "survivors"]
