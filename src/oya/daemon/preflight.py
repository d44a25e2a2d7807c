"""What must be so before anything is started: said now, with nothing changed."""

from __future__ import annotations

import difflib
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from oya.agents.prompts import Prompts
from oya.beads import Backlog
from oya.errors import ConfigError, RemoteError, UsageError
from oya.gates import moon
from oya.processes.bubblewrap import Bubblewrap, Layout
from oya.repository.checks import fitness
from oya.repository.copies import read_copies, require_untracked
from oya.repository.git import GitRepository
from oya.repository.places import Place
from oya.swarm.config import BackendSettings, Settings
from oya.swarm.machine import environment
from oya.swarm.sandboxes import proved, wanted
from oya.trackers import Snapshot, detect

NOTHING = "Nothing was started."


@dataclass(frozen=True, slots=True)
class Preflight:
    """`branch` is the one to land on, `read` the backlog; `warnings` are what work goes on with."""

    branch: str
    read: Snapshot
    warnings: tuple[str, ...] = ()

    @property
    def backlog(self) -> Backlog:
        """All beads."""
        return self.read.backlog


async def preflight(place: Place, settings: Settings, only: Sequence[str] = ()) -> Preflight:
    """Look at repository, backends, sandbox, skills and tracker; writes nothing.

    `UsageError` in one of its forms for the first thing that cannot be worked with.
    """
    repo = GitRepository(place)
    fit = await fitness(repo)
    branch = settings.landing.branch or fit.branch
    if await repo.read_ref(f"refs/heads/{branch}") is None:
        raise ConfigError(
            f"`landing.branch`: there is no branch {branch}.",
            safe=NOTHING,
            hint=f"git branch {branch}",
        )
    there = await check_remote(repo, settings.landing.remote, branch)
    check_backends(settings, place.root)
    check_sandbox(settings, place)
    _check_moon(settings)
    Prompts.load(settings.skills, place.root)
    read_copies(place.main_root, settings.workspace.copy_)
    await require_untracked(repo, settings.workspace.copy_)
    read = await detect(place.main_root, settings.tracker.kind).read()
    _check_beads(read.backlog, only)
    return Preflight(branch, read, (*fit.warnings, *there, *_unsandboxed(settings)))


async def check_remote(repo: GitRepository, remote: str, branch: str) -> tuple[str, ...]:
    """A warning where `[landing] remote` does not answer now; nothing is written.

    `ConfigError` where there is no such remote, or it has no such branch.
    """
    if not remote:
        return ()
    known = await repo.remotes()
    if remote not in known:
        near = difflib.get_close_matches(remote, known, 1, 0.5)
        raise ConfigError(
            f"`landing.remote`: there is no remote {remote}.",
            safe=NOTHING,
            hint=f"Did you mean {near[0]}?" if near else f"git remote add {remote} URL",
        )
    try:
        tip = await repo.remote_tip(remote, branch)
    except RemoteError as error:
        return (f"{error}; nothing lands until it answers",)
    if tip is None:
        raise ConfigError(
            f"`landing.remote`: {remote} has no branch {branch}.",
            safe=NOTHING,
            hint=f"git push {remote} {branch}",
        )
    return ()


def check_backends(settings: Settings, root: Path) -> None:
    """`ConfigError` for a backend in use whose program or scenario is not there."""
    used = dict.fromkeys(settings.backend_of(role) for role in settings.roles_in_use)
    for name in used:
        if name is not None:
            _check_backend(name, settings.backends[name], root)


def check_sandbox(settings: Settings, place: Place) -> tuple[Bubblewrap, Layout] | None:
    """`ConfigError` where the configuration asks for a sandbox, and nothing can run in it."""
    return proved(settings, place, environment()) if wanted(settings) else None


def _check_backend(name: str, backend: BackendSettings, root: Path) -> None:
    if backend.scenario is not None:
        if not (root / backend.scenario).is_file():
            raise ConfigError(
                f"Backend `{name}`: there is no scenario {backend.scenario}.",
                safe=NOTHING,
                hint="Paths start at the root of the repository.",
            )
        return
    program = backend.command[0]
    if not find_program(program, root):
        raise ConfigError(
            f"Backend `{name}`: the command `{program}` is not found.",
            safe=NOTHING,
            hint="Install it, or name it with its path in .oya/swarm.toml "
            f"([backends.{name}] command).",
        )


def _check_moon(settings: Settings) -> None:
    gates = settings.quality_gates
    calls = [line for line in (*gates.quick, *gates.ci) if moon.command_of(line)]
    if gates.moon == "on" and calls and shutil.which("moon") is None:
        raise ConfigError(
            f"The gates of this repository are `{calls[0]}`, and moon is not on PATH.",
            safe=NOTHING,
            hint='Install it, or write moon = "off" and gates of your own into [quality-gates].',
        )


def find_program(program: str, root: Path) -> str | None:
    """Where a command is: on PATH, or with a slash from the root of the repository."""
    if "/" in program:
        path = root / program
        return str(path) if path.is_file() and os.access(path, os.X_OK) else None
    return shutil.which(program)


def _check_beads(backlog: Backlog, only: Sequence[str]) -> None:
    for bead in only:
        if bead not in backlog:
            near = difflib.get_close_matches(bead, [one.id for one in backlog.beads], 1, 0.5)
            raise UsageError(
                f"The backlog has no bead {bead}.",
                safe=NOTHING,
                hint=f"Did you mean {near[0]}?" if near else "oya beads lists them.",
            )


def _unsandboxed(settings: Settings) -> list[str]:
    if wanted(settings):
        return []
    used = dict.fromkeys(settings.backend_of(role) for role in settings.roles_in_use)
    names = [n for n in used if n is not None and settings.backends[n].kind != "scripted"]
    if not names:
        return []
    return [f"{', '.join(names)} run without a sandbox, with all your rights (sandbox.kind = none)"]
