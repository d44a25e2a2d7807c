"""From a table of the configuration to a backend. Others register theirs by entry point.

The entry point group `oya.backends` maps a kind to a callable with the signature of the
makers below: `(name, config, processes, clock, env, root) -> Backend`.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

from oya.agents.acp import AcpBackend
from oya.agents.command import CommandBackend
from oya.agents.port import Backend
from oya.clock import Clock
from oya.errors import ConfigError
from oya.processes.port import Processes


class BackendConfig(Protocol):
    """What a `[backends.NAME]` table says."""

    @property
    def kind(self) -> str: ...
    @property
    def command(self) -> Sequence[str]: ...
    @property
    def scenario(self) -> str | None: ...
    @property
    def env(self) -> Sequence[str]: ...


Maker = Callable[[str, BackendConfig, Processes, Clock, dict[str, str], Path], Backend]


def make_backend(
    name: str,
    config: BackendConfig,
    *,
    processes: Processes,
    clock: Clock,
    env: Mapping[str, str],
    root: Path,
) -> Backend:
    """The backend of a configuration table. `ConfigError` when its command is not to be found.

    `env` is what every program gets; the names in `config.env` are passed on beside it.
    """
    maker = _MAKERS.get(config.kind) or _registered(config.kind)
    if maker is None:
        raise ConfigError(f"[backends.{name}] kind = {config.kind!r} is not known")
    passed = {key: os.environ[key] for key in config.env if key in os.environ}
    return maker(name, config, processes, clock, {**env, **passed}, root)


def _registered(kind: str) -> Maker | None:
    for point in entry_points(group="oya.backends", name=kind):
        maker: Maker = point.load()
        return maker
    return None


def _acp(
    name: str,
    config: BackendConfig,
    processes: Processes,
    clock: Clock,
    env: dict[str, str],
    root: Path,
) -> Backend:
    command = _found(name, config.command, env, root)
    return AcpBackend(name, "acp", command, processes=processes, clock=clock, env=env)


def _command(
    name: str,
    config: BackendConfig,
    processes: Processes,
    clock: Clock,
    env: dict[str, str],
    root: Path,
) -> Backend:
    command = _found(name, config.command, env, root)
    return CommandBackend(name, command, processes=processes, clock=clock, env=env)


def _scripted(
    name: str,
    config: BackendConfig,
    processes: Processes,
    clock: Clock,
    env: dict[str, str],
    root: Path,
) -> Backend:
    scenario = root / (config.scenario or "")
    if not scenario.is_file():
        raise ConfigError(
            f"[backends.{name}] scenario = {config.scenario!r} is not a file",
            safe="Nothing was started.",
            hint="Give the path from the root of the repository, or an absolute one.",
        )
    agent = Path(__file__).parents[1] / "testing" / "scripted.py"
    command = (sys.executable, "-I", "-S", "-E", str(agent), str(scenario))
    return AcpBackend(name, "scripted", command, processes=processes, clock=clock, env=env)


_MAKERS: dict[str, Maker] = {"acp": _acp, "command": _command, "scripted": _scripted}


def _found(
    name: str, command: Sequence[str], env: Mapping[str, str], root: Path
) -> tuple[str, ...]:
    """The command with its program as an absolute path; relative ones start at the repository."""
    program = command[0] if command else ""
    local = root / program
    if "/" in program and local.is_file() and os.access(local, os.X_OK):
        return (str(local), *command[1:])
    found = shutil.which(program, path=env.get("PATH")) if program else None
    if found is None:
        raise ConfigError(
            f"[backends.{name}] {program or 'command'} was not found",
            safe="Nothing was started.",
            hint="Install it, or write its path into .oya/swarm.toml as the first of `command`.",
        )
    return (found, *command[1:])
