"""What gates get of this machine: a named environment, and their share of its cores."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import psutil

from oya import room
from oya.repository.places import Place
from oya.swarm.config import Settings

LEAST_MEMORY: Final = 128 << 20
"""Bytes that must be available before another agent is started."""
PASSED_ON: Final = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "USER", "SHELL", "TERM")
_IN_MAKE: Final = "MAKELEVEL"
_TOOLCHAINS: Final = (
    *("bun", "cargo", "deno", "g++", "gcc", "go", "java", "javac", "make", "mvn", "node", "npm"),
    *("php", "python", "python3", "ruby", "rustc", "uv"),
)
"""What scripts and makefiles of gates use without a word of it in the command."""
_WORD: Final = re.compile(r"[\w./+-]+")


def environment() -> dict[str, str]:
    """What gates and backends get of the daemon's environment: a named few, and oya's Python."""
    env = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    path = env.get("PATH", os.defpath)
    here = str(Path(sys.executable).parent)
    if here not in path.split(os.pathsep):
        env["PATH"] = f"{path}{os.pathsep}{here}"
    return env


def gate_environment(settings: Settings) -> dict[str, str]:
    """What gates get beside that: the names of `[quality-gates] env`, and how wide to run."""
    shares = core_shares(os.environ, os.cpu_count() or 1, slots_of(settings))
    return {**environment(), **shares, **named(settings)}


def tools(lines: Iterable[str]) -> tuple[str, ...]:
    """The programs that these lines of a shell may use, each with the size and the time of its
    file, so that an upgrade is seen. One that only starts the real one (rustup, a shim) hides
    that, and so does what `prepare` fetches by a range of versions."""
    path = environment().get("PATH", os.defpath)
    names = {*_TOOLCHAINS, *(word for line in lines for word in _WORD.findall(line))}
    elsewhere = (name for name in names if "/" not in name or name.startswith("/"))
    found = {shutil.which(name, path=path) for name in elsewhere}
    return tuple(sorted(_identity(Path(program)) for program in found if program))


def _identity(program: Path) -> str:
    real = program.resolve()
    try:
        about = real.stat()
    except OSError:  # it goes
        return str(real)
    return f"{real} {about.st_size} {about.st_mtime_ns}"


def named(settings: Settings) -> dict[str, str]:
    """The variables of `[quality-gates] env` that are set, with their values."""
    return {name: os.environ[name] for name in settings.quality_gates.env if name in os.environ}


def shortage(place: Place) -> str | None:
    """What this machine has too little of for another attempt, in words; None: nothing."""
    available = psutil.virtual_memory().available
    if available < LEAST_MEMORY:
        return f"{available >> 20} MiB of memory are left"
    return room.shortage(place.cache) or room.shortage(place.common_dir)


def slots_of(settings: Settings) -> int:
    """How many gates may run at once: max(2, cores/2) by default, at most the cores."""
    cores = os.cpu_count() or 1
    return min(settings.quality_gates.slots or max(2, cores // 2), max(cores, 1))


def core_shares(given: Mapping[str, str], cores: int, slots: int) -> dict[str, str]:
    """How tools are told to leave the other slots their cores; what is given stays as it is.

    Each tool takes all cores for itself otherwise, and so many gates at once would fight.
    """
    share = max(1, cores // slots)
    shares = {
        "CARGO_BUILD_JOBS": f"{share}",
        "GOMAXPROCS": f"{share}",
        "PYTEST_XDIST_AUTO_NUM_WORKERS": f"{share}",
        "MAKEFLAGS": f"-j{share}",
    }
    # make sets it for all below it, with a job server that gates cannot reach.
    said = {n: v for n, v in given.items() if n != "MAKEFLAGS" or _IN_MAKE not in given}
    return {name: said.get(name, value) for name, value in shares.items()}
