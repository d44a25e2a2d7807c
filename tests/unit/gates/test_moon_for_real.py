"""The real moon, on real commits in real slots."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from gates_world import World

from oya.clock import SystemClock
from oya.gates import Gates, GatesConfig, ProcessRunner, moon
from oya.processes.real import GuardedProcesses
from oya.repository.slot import Slots
from oya.swarm.assembly import JudgedTrees
from real.installed import installed
from repository_kit import commit, isolate, make_repository, opened

TASKS = """\
language: unknown
tasks:
  quick:
    command: 'sh -c "! grep -r slow src"'
    inputs: ['src/**/*']
  test:
    command: 'sh -c "! grep -r red src"'
    inputs: ['src/**/*']
"""
FILES = {
    ".moon/workspace.yml": "projects:\n  root: '.'\nvcs:\n  client: git\n",
    "moon.yml": TASKS,
    ".gitignore": ".moon/cache\n",
    "src/a": "one\n",
    "README": "read me\n",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    isolate(monkeypatch, tmp_path / "home")
    return make_repository(tmp_path / "repo", FILES)


@pytest.fixture
def gates(folder: Path, tmp_path: Path) -> Gates:
    program, repo = installed("moon"), opened(folder)
    env = {
        "PATH": f"{program.parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path / "home"),
        "MOON_TELEMETRY": "false",
    }
    config = GatesConfig(quick=(moon.QUICK,), ci=(moon.CI,), env=env, moon=True, history=True)
    runner = ProcessRunner(
        config,
        processes=GuardedProcesses(f"moon-{tmp_path.name}"),
        checkout=Slots(repo, repo.place, 1),
        logs=tmp_path / "logs",
        clock=SystemClock(),
    )
    return Gates(config, runner=runner, trees=JudgedTrees(repo), book=World(tmp_path))


async def test_green_and_red_and_nothing_affected(gates: Gates, folder: Path) -> None:
    green = commit(folder, {"src/a": "two\n"})
    quick, ci = await gates.quick(green), await gates.ci(green)
    assert (quick.ok, ci.ok) == (True, True), (quick.tail, ci.tail)
    assert "--force" not in ci.log.read_text()

    red = commit(folder, {"src/a": "red\n"})
    quick, ci = await gates.quick(red), await gates.ci(red)
    assert (quick.ok, ci.ok) == (True, False)
    assert ci.tail.startswith("root:test failed (exit 1)")

    slow = commit(folder, {"src/a": "slow\n"})
    assert not (await gates.quick(slow)).ok

    prose = commit(folder, {"src/a": "two\n", "README": "more\n"})
    prose = commit(folder, {"README": "still more\n"})  # affects no task
    assert (await gates.ci(prose)).ok
    worse = commit(folder, {"src/a": "red\n"})
    prose = commit(folder, {"README": "the red is of its parent\n"})
    assert not (await gates.ci(prose)).ok
    assert not (await gates.ci(worse)).ok


async def test_a_task_that_is_not_there_is_red(gates: Gates, folder: Path) -> None:
    without = commit(folder, {"moon.yml": TASKS.replace("quick:", "other:")})
    evidence = await gates.quick(without)
    assert not evidence.ok
    assert "No tasks found" in evidence.tail
