"""What the demo tells at its end: read from git, the event log and the process table."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from oya.clock import SystemClock
from oya.demo.story import troubles
from oya.lifecycle.model import BeadState, Status
from oya.lifecycle.record import EventRecord
from oya.lifecycle.swarm import SwarmState
from oya.processes.real import survivors
from oya.repository.places import find_place
from oya.store.store import Store

MANY = 1_000_000

SEEN = {
    "wrong": "a first implementation that was wrong",
    "empty": 'an agent that said "done" and had changed nothing',
    "crash": "an agent that crashed in the middle of a file",
    "hang": "an agent that hung",
    "frozen": "an agent that edited the frozen tests",
    "limit": "a provider's limit (429)",
    "survivor": "a reviewer's challenge that survived",
    "conflict": "a conflict at landing",
    "green": "tests that were green before the work",
    "done": "a bead that was done already",
}


@dataclass(frozen=True)
class Ending:
    """Everything that the last screen says, measured."""

    seconds: float
    swarm: SwarmState
    beads: dict[str, BeadState]
    events: Sequence[EventRecord]
    landed: Counter[str] = field(default_factory=Counter)
    running: int = 0

    @classmethod
    def read(cls, repository: Path, seconds: float) -> Ending:
        """Look at the repository after the swarm has ended."""
        return asyncio.run(_read(repository, seconds))

    @property
    def lost(self) -> int:
        """Beads that the store calls landed and main does not have."""
        done = [s.id for s in self.beads.values() if s.status is Status.COMPLETE]
        return sum(1 for bead in done if not self.landed[bead])

    @property
    def doubled(self) -> int:
        """Landings of a bead beyond its first."""
        return sum(count - 1 for count in self.landed.values())

    def last_line(self) -> str:
        """One line: what landed, how fast, what was lost."""
        runs = sum(1 for event in self.events if event.event == "gate_ran")
        left = "nothing left running" if not self.running else f"{self.running} left running"
        return (
            f"landed {len(self.landed)}/{self.swarm.target_beads} beads in {self.seconds:.1f} s, "
            f"{runs} gate runs, {self.lost} lost, {self.doubled} doubled, {left}"
        )

    def story(self, *, kept: bool) -> list[str]:
        """What went wrong on the way and how it ended, what it cost, where to look."""
        lines = ["", "What went wrong, and what became of it:"]
        lines += [self._trouble(t.bead, t.kind) for t in troubles()]
        lines += ["", *self._cost(), ""]
        if kept:
            lines += ["Look: oya why larder-16 · oya show larder-03 --diff · git log --oneline", ""]
        else:
            lines += ["Keep it to look around: oya demo --keep DIR", ""]
        return lines

    def _trouble(self, bead: str, kind: str) -> str:
        state = self.beads.get(bead)
        if state is None:
            return f"  {bead}  {SEEN[kind]}: unknown"
        if state.status is Status.COMPLETE and state.commit:
            tries = sum(state.claims.values())
            end = f"landed as {state.commit[:9]} after {tries} attempts"
        else:
            end = f"{state.status} ({state.hold or state.reason})"
        return f"  {bead}  {SEEN[kind]:<52} {end}"

    def _cost(self) -> list[str]:
        end = next((e for e in reversed(self.events) if "cpu" in e.data), None)
        if end is None:
            return []
        cpu: dict[str, float] = end.data["cpu"]
        cores = os.cpu_count() or 1
        work = (cpu.get("agents", 0.0) + cpu.get("gates", 0.0)) / cores
        ratio = self.seconds / work if work else 0.0
        return [
            f"CPU: agents {cpu.get('agents', 0.0):.1f} s, gates {cpu.get('gates', 0.0):.1f} s, "
            f"oya itself {cpu.get('oya', 0.0):.1f} s, git {cpu.get('git', 0.0):.1f} s; "
            f"wall {self.seconds:.1f} s on {cores} cores = {ratio:.2f} × the work; "
            f"peak memory of oya {end.data.get('peak_mb', 0):.0f} MB; tokens 0"
        ]


async def _read(repository: Path, seconds: float) -> Ending:
    place = find_place(repository)
    store = await Store.open(place.state, clock=SystemClock())
    try:
        swarm = store.swarms.current()
        assert swarm is not None
        events = await store.events.since(0, MANY)
        return Ending(
            seconds,
            swarm,
            dict(store.beads.all()),
            events,
            _trailers(repository),
            len(survivors(place.repo_id)),
        )
    finally:
        await store.close()


def _trailers(repository: Path) -> Counter[str]:
    log = subprocess.run(
        ("git", "-C", str(repository), "log", "--format=%(trailers:key=Bead,valueonly)", "main"),
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return Counter(line.strip() for line in log.splitlines() if line.strip())
