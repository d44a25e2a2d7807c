"""SIGKILL while a state of an older schema is opened, at every point that it comes by."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tarfile
from collections import Counter
from pathlib import Path

FIXTURE = Path(__file__).parents[1] / "fixtures" / "state-v1" / "state.tar.xz"

OPEN = """
import asyncio, json, sys
from pathlib import Path
from oya import crashpoints
from oya.clock import SystemClock
from oya.store import Store, migrations

migrations.BATCH = 1  # three records of evidence, so that a step has batches to die between

async def main(state, at):
    if at:
        crashpoints.arm(at)
    else:
        crashpoints.action = lambda name: print(name, file=sys.stderr)
    store = await Store.open(Path(state), clock=SystemClock())
    found = {"events": [], "beads": {bead: store.beads.row(bead) for bead in store.beads.all()}}
    while page := await store.events.since(len(found["events"])):
        found["events"] += [record.to_json() for record in page]
    for table in ("contracts", "evidence", "intents", "checkpoints"):
        found[table] = await getattr(store, table).all()
    await store.close()
    print(json.dumps(found, sort_keys=True))

asyncio.run(main(*sys.argv[1:]))
"""


def test_a_migration_is_gone_on_with_wherever_it_died(tmp_path: Path) -> None:
    whole = opened(unpacked(tmp_path / "whole"))
    assert len(json.loads(whole.stdout)["events"]) > 50
    passages = Counter[str]()
    for name in whole.stderr.split():
        if name not in ("store.stopped", "store.closed", "store.clean_marked"):
            passages[name] += 1
            state = unpacked(tmp_path / f"{name}.{passages[name]}")
            died = opened(state, f"{name}:{passages[name]}")
            assert died.returncode == -signal.SIGKILL, died
            assert opened(state).stdout == whole.stdout, name
    assert passages["store.batch_migrated"] >= 3
    assert {"store.clean_mark_gone", "store.opened", "store.migrating", "store.migrated"} <= {
        *passages
    }


def unpacked(folder: Path) -> Path:
    with tarfile.open(FIXTURE) as archive:
        archive.extractall(folder, filter="data")
    return folder / "state"


def opened(state: Path, at: str = "") -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        (sys.executable, "-P", "-c", OPEN, str(state), at),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert at or done.returncode == 0, done
    return done
