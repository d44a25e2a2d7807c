"""From a `[backends.NAME]` table to a backend."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from oya.agents.backends import make_backend
from oya.agents.port import Backend, Task
from oya.clock import SystemClock
from oya.errors import ConfigError
from oya.lifecycle.model import Role
from oya.processes.real import GuardedProcesses


@dataclass
class Table:
    kind: str
    command: tuple[str, ...] = ()
    scenario: str | None = None
    env: tuple[str, ...] = ()


def make(table: Table, root: Path) -> Backend:
    return make_backend(
        "mine",
        table,
        processes=GuardedProcesses("test-make-backend"),
        clock=SystemClock(),
        env={"PATH": "/usr/bin:/bin"},
        root=root,
    )


@pytest.mark.parametrize("kind", ["acp", "command"])
def test_a_command_is_looked_up_in_the_path_it_is_given(tmp_path: Path, kind: str) -> None:
    backend = make(Table(kind, ("sh", "-c", "true")), tmp_path)
    assert (backend.name, backend.kind) == ("mine", kind)


@pytest.mark.parametrize("kind", ["acp", "command"])
@pytest.mark.parametrize("command", [(), ("",), ("no-such-program",), ("./none",), ("./readme",)])
def test_a_command_that_is_not_there_is_refused(
    tmp_path: Path, kind: str, command: tuple[str, ...]
) -> None:
    (tmp_path / "readme").write_text("not executable")
    with pytest.raises(ConfigError, match=r"\[backends\.mine\]") as caught:
        make(Table(kind, command), tmp_path)
    assert caught.value.hint


async def test_a_relative_command_starts_at_the_repository(tmp_path: Path) -> None:
    program = tmp_path / "tools" / "agent.sh"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "in $(pwd)"\n')
    program.chmod(0o755)
    assert await said(make(Table("command", ("tools/agent.sh",)), tmp_path), tmp_path) == (
        f"in {tmp_path / 'work'}"
    )


async def test_named_variables_are_passed_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "secret")
    monkeypatch.setenv("MY_OTHER", "other")
    table = Table("command", ("sh", "-c", "echo $MY_KEY-$MY_OTHER"), env=("MY_KEY", "MY_ABSENT"))
    assert await said(make(table, tmp_path), tmp_path) == "secret-"


async def said(backend: Backend, folder: Path) -> str:
    (folder / "work").mkdir(exist_ok=True)
    session = await backend.open(
        Task("b", Role.IMPLEMENTER, 1, 1, folder / "work", folder / "logs")
    )
    end = await session.prompt("", stall=20, deadline=20)
    await session.close()
    assert end.failure is None
    return end.text


async def test_a_recorded_agent_needs_its_scenario(tmp_path: Path) -> None:
    for scenario in (None, "", "none.json", "."):
        with pytest.raises(ConfigError, match="scenario"):
            make(Table("scripted", scenario=scenario), tmp_path)
    entry = {"bead": "*", "role": "implementer", "steps": [{"say": "hi"}]}
    (tmp_path / "mine.json").write_text(json.dumps({"version": 1, "entries": [entry]}))
    backend = make(Table("scripted", scenario="mine.json"), tmp_path)
    assert backend.kind == "scripted"
    assert await said(backend, tmp_path) == "hi"


def test_a_kind_that_nobody_has_registered_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="kind = 'magic' is not known"):
        make(Table("magic", ("sh",)), tmp_path)
