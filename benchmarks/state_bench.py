"""A large state: opening 100,000 events, memory for 100,000 beads; each in a process of its own.

The baseline is the engine alone on the same files: opened, and for beads scanned as well. The
states are written by the engine in the form that the store gives its records.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from oya.clock import SystemClock, stamp
from oya.lifecycle.model import BeadState, Phase
from oya.lifecycle.record import EventRecord
from oya.store import Store
from oya.store.beside import Position
from oya.store.engine import Put, Write
from oya.store.files import BesideFiles
from oya.store.head import BeadDetails, bead_row, event_key, to_text
from oya.store.migrations import SCHEMA
from oya.store.surreal import SurrealEngine

MANY = 100_000
FEW = 2_000
BATCH = 500
SHA = "0123456789abcdef" * 2 + "01234567"
NOW = stamp(SystemClock().now())

Measure = tuple[str, float, str, str, float]


def measures() -> Iterator[Measure]:
    """(name, value, unit, baseline, the baseline's value)"""
    with tempfile.TemporaryDirectory() as place:
        home = Path(place)
        asyncio.run(_made(home / "events", beads=FEW))
        store, raw = (_measured(home / "events", what) for what in ("store", "engine"))
        name = f"opening {MANY:,} events"
        yield name, store["seconds"], "s", "engine alone", raw["seconds"]
        yield f"{name}: memory", store["mb"], "MB", "engine alone", raw["mb"]
        asyncio.run(_made(home / "beads", beads=MANY))
        store, raw = (_measured(home / "beads", what) for what in ("store", "scan"))
        name = f"opening {MANY:,} beads"
        yield name, store["seconds"], "s", "scan of the engine", raw["seconds"]
        yield f"{name}: memory", store["mb"], "MB", "scan of the engine", raw["mb"]


async def _made(home: Path, *, beads: int) -> None:
    """A state with so many beads that has ended cleanly, all events among them."""
    beside = BesideFiles(home)
    beside.make()
    file = beside.sequence(sync=False)
    engine = SurrealEngine(beside.data, sync=False)
    await engine.open()
    for begin in range(0, MANY, BATCH):
        writes: list[Write] = []
        for seq in range(begin + 1, begin + BATCH + 1):
            name = f"bench-{seq % beads:06d}"
            record = EventRecord(
                seq,
                NOW,
                "swarm-1",
                name,
                "claimed",
                "contract/pending",
                "contract/in_progress",
                3,
                "implementer-1",
                data={"backend": "codex", "base": SHA},
            )
            writes.append(Put("events", event_key(seq), record.to_json()))
            state = BeadState(
                name, text=SHA * 2, epoch=3, base=SHA, phase=Phase.REVIEW, contract=SHA
            )
            row = bead_row(state, BeadDetails(seq, NOW, NOW, f"The title of {name}"))
            writes.append(Put("beads", name, row, to_text(row)))
        await engine.commit(writes)
    group = MANY // BATCH
    await engine.commit(
        [
            Put("meta", "schema", {"version": SCHEMA}),
            Put("meta", "group", {"seq": MANY, "group": group}),
        ]
    )
    await engine.close()
    file.write(Position(MANY, group, SCHEMA))
    file.close()
    beside.mark_clean()


def _measured(home: Path, what: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, __file__, what, str(home)], check=True, stdout=subprocess.PIPE
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


async def _open(what: str, home: Path) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    if what == "store":
        store = await Store.open(home, clock=SystemClock())
        seconds = loop.time() - began
        await store.close()
        return seconds
    engine = SurrealEngine(home / "data")
    await engine.open()
    if what == "scan":
        async for _ in engine.scan("beads"):
            pass
    seconds = loop.time() - began
    await engine.close()
    return seconds


def _peak() -> float:
    (line,) = [ln for ln in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in ln]
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    import surrealdb  # noqa: F401 (whose import is not what is measured)

    print(
        json.dumps({"seconds": asyncio.run(_open(sys.argv[1], Path(sys.argv[2]))), "mb": _peak()})
    )
