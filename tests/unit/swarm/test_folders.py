"""What `[workspace]` does to a folder, with real commands."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from oya.errors import NoRoom, OyaError, PrepareFailed
from oya.processes.real import GuardedProcesses
from oya.repository.copies import read_copies
from oya.swarm.assembly import build_slots, fingerprint
from oya.swarm.config import Settings, load
from oya.swarm.meter import Meter
from oya.swarm.sandboxes import Sandboxes
from repository_kit import isolate, make_repository, opened


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    isolate(monkeypatch, tmp_path / "home")
    return make_repository(tmp_path / "repo")


def settings(**workspace: list[str]) -> Settings:
    return load(None, {f"workspace.{k}": v for k, v in workspace.items()}, complete=False)


async def use(folder: Path, written: Settings) -> Meter:
    repo = opened(folder)
    start = await repo.resolve("main")
    assert start
    processes = GuardedProcesses(f"folders-{folder.parent.name}")
    meter, boxes = Meter(), Sandboxes(processes, processes, processes)
    async with build_slots(written, repo.place, boxes, meter).checkout(start):
        pass
    return meter


async def test_prepare_and_cleanup_are_commands_with_their_slot(folder: Path) -> None:
    told = folder.parent / "told"
    say = f'echo "{{}} $OYA_SLOT $(cat a.txt)" >> {told}'
    await use(folder, settings(prepare=[say.format("prepare")], cleanup=[say.format("cleanup")]))
    assert told.read_text() == "prepare 0 one\ncleanup 0 one\n"


async def test_a_cleanup_that_fails_keeps_nothing_from_going_on(folder: Path) -> None:
    told = folder.parent / "told"
    await use(folder, settings(cleanup=["exit 3", f"echo second >> {told}"]))
    assert told.read_text() == "second\n"


async def test_what_both_cost_is_told_apart_from_git(folder: Path) -> None:
    meter = await use(folder, settings(prepare=["true", "true"], cleanup=["true"]))
    said = meter.totals(0.0)
    assert {"prepare", "cleanup", "git"} <= said["cpu"].keys()
    assert meter.seconds["prepare"] > 0
    assert meter.seconds["cleanup"] > 0


async def test_a_prepare_that_fails_names_its_log(folder: Path) -> None:
    with pytest.raises(OyaError, match="`exit 4` failed") as error:
        await use(folder, settings(prepare=["exit 4"]))
    assert "oya/logs/gates/prepare-0.log" in error.value.hint


async def test_a_prepare_that_fails_once_is_run_once_more(folder: Path) -> None:
    tries = folder.parent / "tries"
    fails = "echo x >> {0}; test $(wc -l < {0}) -eq {1} || {{ echo no; exit 4; }}"
    await use(folder, settings(prepare=[fails.format(tries, 2)]))
    with pytest.raises(PrepareFailed) as error:
        await use(folder, settings(prepare=["true", fails.format(tries, 5)]))
    assert tries.read_text() == "x\n" * 4
    assert (error.value.exit, error.value.output) == (4, "no")
    assert error.value.seconds > 0


def test_evidence_counts_for_the_contents_of_copied_files(folder: Path) -> None:
    written = settings(copy=[".env"])
    before = fingerprint(written)
    (folder / ".env").write_text("x")
    assert fingerprint(written, read_copies(folder, [".env"])) != before


async def test_a_prepare_that_fails_on_a_full_disk_is_nobodys(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = SimpleNamespace(total=1 << 40, used=1 << 40, free=0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    with pytest.raises(NoRoom, match="`exit 4` failed: 0 MB are left on the disk of"):
        await use(folder, settings(prepare=["exit 4"]))
