"""Opening, closing, damage and versions, on real files of the real engine."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from oya.clock import SystemClock
from oya.errors import StoreDamaged, StoreLocked, StoreNewer, StoreUnavailable
from oya.lifecycle.events import Added, Claimed
from oya.lifecycle.model import Limits
from oya.store import Store
from oya.store.beside import Position
from oya.store.engine import Engine, Put, Write
from oya.store.migrations import SCHEMA, STEPS, migrate, schema_of
from oya.store.sequence import SequenceFile
from oya.testing.engine import Disk, Outcome, SimulatedEngine

LIMITS = Limits()
EVENTS = 40


@contextlib.asynccontextmanager
async def opened(directory: Path) -> AsyncIterator[Store]:
    store = await Store.open(directory, clock=SystemClock())
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "with a space" / "state"


async def filled(home: Path) -> None:
    async with opened(home) as store:
        for n in range(EVENTS):
            await store.beads.apply(f"b-{n}", Added(f"title {n}"), swarm=None, limits=LIMITS)


def log_of(home: Path) -> Path:
    (log,) = (home / "data" / "clog").iterdir()
    return log


def files(home: Path) -> dict[str, bytes]:
    found = sorted(p for p in home.rglob("*") if p.is_file() and p.name != "lock")
    return {str(p.relative_to(home)): p.read_bytes() for p in found}


async def test_everything_is_there_again_in_the_same_order(home: Path) -> None:
    async with opened(home) as store:
        for name in ("z", "a", "m"):
            await store.beads.apply(name, Added(name.upper()), swarm=None, limits=LIMITS)
        await store.beads.apply("a", Claimed("x", "b", "c"), swarm=None, limits=LIMITS)
        await store.evidence.put("tree:gate", {"exit": 0, "log": "a\0b", "none": None})
        beads, rows = dict(store.beads.all()), [store.beads.row(b) for b in "zam"]
        events = await store.events.since(0)

    async with opened(home) as store:
        assert list(store.beads.all().items()) == list(beads.items())
        assert [store.beads.row(b) for b in "zam"] == rows
        assert await store.events.since(0) == events
        assert store.events.last == 4
        row = await store.evidence.get("tree:gate")
        assert row is not None
        assert row.items() >= {"exit": 0, "log": "a\0b", "none": None}.items()
    assert not (home / "copies").exists(), "clean ends need no copies"


async def test_a_second_opener_is_told_who_holds_it(home: Path) -> None:
    async with opened(home) as store:
        with pytest.raises(StoreLocked, match=f"process {os.getpid()}"):
            await Store.open(home, clock=SystemClock())

        waiting = asyncio.create_task(Store.open(home, clock=SystemClock(), wait=30))
        await store.events.append("still mine")
        assert not waiting.done()
    second = await waiting
    assert second.events.last == 1
    await second.close()


async def test_closing_twice_is_closing_once(home: Path) -> None:
    first = await Store.open(home, clock=SystemClock())
    await first.close()
    async with opened(home):
        await first.close()
        with pytest.raises(StoreLocked):
            await Store.open(home, clock=SystemClock())
        assert not (home / "clean").exists()


async def unchanged_refusal(home: Path) -> StoreDamaged:
    """The refusal, which must come again and leave the copy alone."""
    with pytest.raises(StoreDamaged) as first:
        await Store.open(home, clock=SystemClock())
    copies = files(home / "copies")
    for _ in range(4):
        with pytest.raises(StoreDamaged):
            await Store.open(home, clock=SystemClock())
    assert files(home / "copies") == copies
    return first.value


@pytest.mark.parametrize("harm", ["tail cut", "middle zeroed", "log gone", "data gone"])
async def test_damage_is_noticed_and_refused_with_a_copy_kept(home: Path, harm: str) -> None:
    await filled(home)
    (home / "backups").mkdir()
    (home / "backups" / "backup-7").write_text("")
    (home / "backups" / "backup-8.partial").write_text("")
    log = log_of(home)
    whole = log.read_bytes()
    if harm == "tail cut":
        log.write_bytes(whole[:-2000])
    elif harm == "middle zeroed":
        middle = len(whole) // 2
        log.write_bytes(whole[:middle] + bytes(10) + whole[middle + 10 :])
    elif harm == "log gone":
        log.unlink()
    else:
        for path in sorted((home / "data").rglob("*"), reverse=True):
            path.unlink() if path.is_file() else path.rmdir()
        (home / "data").rmdir()
    damaged = files(home / "data")

    refusal = await unchanged_refusal(home)

    (copy,) = (home / "copies").iterdir()
    assert files(copy / "data") == damaged
    assert f"event {EVENTS}" in str(refusal)
    assert str(copy) in refusal.safe
    assert "backup-7" in refusal.safe
    assert f"mv {home} {home}.damaged" in refusal.hint
    assert f"oya state import {home}.damaged/backups/backup-7" in refusal.hint


MANIFEST: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda whole: b"",
    "cut": lambda whole: whole[: len(whole) // 2],
    "cut by a byte": lambda whole: whole[:-1],
    "head changed": lambda whole: b"?" * 8 + whole[8:],
    # Its entries come in any order, and many bytes are zero anyway.
    "middle zeroed": lambda whole: whole[:60] + bytes(120) + whole[180:],
    "nonsense": lambda whole: bytes(range(256)),
}


@pytest.mark.parametrize("harm", MANIFEST)
async def test_files_that_the_engine_cannot_read_are_damage_too(home: Path, harm: str) -> None:
    await filled(home)
    (manifest,) = (home / "data" / "manifest").iterdir()
    manifest.write_bytes(MANIFEST[harm](manifest.read_bytes()))
    damaged = files(home / "data")

    refusal = await unchanged_refusal(home)

    (copy,) = (home / "copies").iterdir()
    assert files(copy / "data") == damaged
    assert "cannot be read" in str(refusal)
    assert str(copy) in refusal.safe
    assert f"mv {home} {home}.damaged" in refusal.hint


async def test_files_that_the_system_keeps_from_the_engine_are_no_damage(home: Path) -> None:
    """A folder where a file is expected stands for no permission, no space: all have a number."""
    await filled(home)
    (manifest,) = (home / "data" / "manifest").iterdir()
    whole = manifest.read_bytes()
    manifest.unlink()
    manifest.mkdir()
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        await Store.open(home, clock=SystemClock())

    manifest.rmdir()
    manifest.write_bytes(whole)
    async with opened(home) as store:
        assert store.events.last == EVENTS


async def test_a_commit_that_is_torn_at_the_end_of_the_log_is_made_whole(home: Path) -> None:
    await filled(home)
    async with opened(home) as store:
        before = await store.events.since(0)
    log = log_of(home)
    log.write_bytes(log.read_bytes()[:-149])

    async with opened(home) as store:
        assert await store.events.since(0) == before
        assert store.events.last == EVENTS
        assert list(store.beads.all()) == [f"b-{n}" for n in range(EVENTS)]
    assert [p.name for p in (home / "copies").iterdir()] == ["000001"]


async def test_a_lost_or_unreadable_sequence_file_is_damage(home: Path) -> None:
    await filled(home)
    (home / "sequence").write_bytes(b"nonsense")
    assert "cannot be read" in str(await unchanged_refusal(home))

    other = home.with_name("other")
    await filled(other)
    (other / "sequence").unlink()
    assert "is missing" in str(await unchanged_refusal(other))


async def test_a_torn_write_of_the_sequence_file_costs_nothing(tmp_path: Path) -> None:
    path = tmp_path / "sequence"
    file = SequenceFile.create(path, sync=False)
    for n in range(1, 6):
        file.write(Position(n, n, 1))
    file.close()
    whole = path.read_bytes()

    for n in range(len(whole)):
        if whole[n : n + 1].strip(b" \n\0"):
            path.write_bytes(whole[:n] + b"x" + whole[n + 1 :])
            again = SequenceFile.load(path, sync=False)
            assert again.position in (Position(5, 5, 1), Position(4, 4, 1))
            again.close()


async def test_a_newer_state_is_refused_and_not_touched(home: Path) -> None:
    await filled(home)
    file = SequenceFile.load(home / "sequence", sync=False)
    file.write(Position(EVENTS, EVENTS, SCHEMA + 1))
    file.close()
    before = files(home)

    with pytest.raises(StoreNewer, match=f"schema {SCHEMA + 1}"):
        await Store.open(home, clock=SystemClock())

    assert files(home) == before


async def test_a_newer_schema_in_the_engine_is_refused_too(tmp_path: Path) -> None:
    disk = Disk()
    disk.volatile["meta"]["schema"] = f'{{"version": {SCHEMA + 1}}}'
    with pytest.raises(StoreNewer):
        await Store.open(tmp_path, clock=SystemClock(), engine=lambda _: SimulatedEngine(disk))
    assert disk.commits == 0


async def test_migrations_run_in_order_and_go_on_after_a_crash() -> None:
    async def rename(engine: Engine) -> AsyncIterator[list[Write]]:
        async for key, row in engine.scan("beads"):
            yield [Put("beads", key, {"new": row.get("new", row.get("old"))})]

    async def double(engine: Engine) -> AsyncIterator[list[Write]]:
        row = await engine.get("beads", "a")
        assert row is not None
        yield [Put("beads", "a", {"new": row["new"], "twice": row["new"] * 2})]

    disk = Disk()
    engine = SimulatedEngine(disk)
    await engine.open()
    assert await migrate(engine) == SCHEMA
    await engine.commit([Put("beads", "a", {"old": 21}), Put("beads", "b", {"old": 1})])
    before = disk.commits

    disk.outcomes.extend([Outcome.OK, Outcome.OK, Outcome.OK, Outcome.OK, Outcome.LOST])
    with pytest.raises(StoreUnavailable):
        await migrate(engine, (*STEPS, rename, double))
    engine = SimulatedEngine(disk)
    await engine.open()
    assert await schema_of(engine) == SCHEMA + 1
    assert await migrate(engine, (*STEPS, rename, double)) == SCHEMA + 2

    assert await engine.get("beads", "a") == {"new": 21, "twice": 42}
    assert await engine.get("beads", "b") == {"new": 1}
    assert disk.commits == before + 6
    assert await migrate(engine, (*STEPS, rename, double)) == SCHEMA + 2
    assert disk.commits == before + 6


async def test_where_nothing_can_be_written_the_store_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        await Store.open(tmp_path / "file" / "state", clock=SystemClock())


PROGRAM = """
import asyncio, itertools, sys
from pathlib import Path
from oya.clock import SystemClock
from oya.lifecycle.events import Added
from oya.lifecycle.model import Limits
from oya.store import Store

async def main():
    store = await Store.open(Path(sys.argv[1]), clock=SystemClock())
    async def caller(n):
        for m in itertools.count():
            name = f"{sys.argv[2]}-{n}-{m}"
            await store.beads.apply(name, Added(name), swarm=None, limits=Limits())
            print(name, flush=True)
    await asyncio.gather(*(caller(n) for n in range(5)))

asyncio.run(main())
"""


async def killed(home: Path, name: str, after: int) -> list[str]:
    """Let a process write, kill it after so many acknowledgements, and return all of them."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, str(home), name, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    heard = [(await process.stdout.readline()).decode() for _ in range(after)]
    process.kill()
    heard += (await process.stdout.read()).decode().splitlines(keepends=True)
    await process.wait()
    return [line.strip() for line in heard if line.endswith("\n")]


async def test_kill_9_loses_nothing_acknowledged_and_only_three_copies_stay(home: Path) -> None:
    acknowledged: list[str] = []
    for n, after in enumerate((1, 40, 7, 90)):
        acknowledged += await killed(home, f"round{n}", after)

    async with opened(home) as store:
        assert len(acknowledged) >= 138
        assert [name for name in acknowledged if name not in store.beads.all()] == []
        events = await store.events.since(0, limit=10_000)
        assert [e.seq for e in events] == list(range(1, store.events.last + 1))
        assert [e.bead for e in events] == list(store.beads.all())
    assert [p.name for p in sorted((home / "copies").iterdir())] == ["000002", "000003", "000004"]


FULL_DISK = """
import asyncio, resource, signal, sys
from pathlib import Path
from oya.clock import SystemClock
from oya.errors import StoreUnavailable
from oya.store import Store

async def main():
    home = Path(sys.argv[1])
    store = await Store.open(home, clock=SystemClock())
    await store.events.append("before")
    (log,) = (home / "data" / "clog").iterdir()
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (max(log.stat().st_size, 8192) + 4000, hard))
    taken = 0
    try:
        while True:
            await store.evidence.put(f"k{taken}", {"text": "x" * 900})
            taken += 1
    except StoreUnavailable as error:
        refused = error
    seen = store.events.last
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    after = await store.events.append("after")
    rows = await store.evidence.all()
    await store.close()
    store = await Store.open(home, clock=SystemClock())
    events = [e.event for e in await store.events.since(0)]
    assert await store.evidence.all() == rows
    await store.close()
    assert not (home / "copies").exists()
    kept = 0 if "Nothing was changed" in refused.safe else 1  # unknown, and then found whole
    said = "too large" in str(refused)
    print(taken > 0, len(rows) == taken + kept, seen, after.seq, events, said)

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
asyncio.run(main())
"""


async def test_a_full_disk_changes_nothing_and_the_store_goes_on_when_there_is_room(
    home: Path,
) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", FULL_DISK, str(home), stdout=-1, stderr=-1
    )
    out, err = await asyncio.wait_for(process.communicate(), 60)
    assert out.decode() == "True True 1 2 ['before', 'after'] True\n", err.decode()
