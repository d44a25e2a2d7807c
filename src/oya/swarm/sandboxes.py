"""The sandboxes of a swarm: what backends, `prepare` and gates see of the machine.

boxes = sandboxes(settings, place, GuardedProcesses(place.repo_id), env)
boxes.gates        Processes: without a network, unless `[sandbox] gates_network`
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from oya.errors import ConfigError
from oya.processes.bubblewrap import Bubblewrap, Layout, Policy, find
from oya.processes.port import Processes
from oya.processes.sandbox import Sandboxed
from oya.repository.places import Place
from oya.swarm.config import Settings

OYA = Path(__file__).resolve().parents[1]
"""What `oya-gate` is made of, wherever that is installed."""
_MAX_ALTERNATES = 100


@dataclass(frozen=True, slots=True)
class Sandboxes:
    """Where each kind of program runs. Caches of agents and of gates are apart: what an agent
    leaves there, no gate finds."""

    agents: Processes
    prepare: Processes
    gates: Processes


def sandboxes(
    settings: Settings, place: Place, processes: Processes, env: Mapping[str, str]
) -> Sandboxes:
    """As `[sandbox]` has it. `ConfigError` where it asks for one and there can be none."""
    if not wanted(settings):
        return Sandboxes(processes, processes, processes)
    policy = policy_of(settings, place, env)
    bubblewrap = _find(policy)
    agents = replace(policy, network=True, caches=place.cache / "caches" / "agents")
    prepare = replace(agents, caches=place.cache / "caches" / "gates")
    gates = replace(prepare, network=settings.sandbox.gates_network)
    return Sandboxes(*(Sandboxed(processes, one, bubblewrap) for one in (agents, prepare, gates)))


def wanted(settings: Settings) -> bool:
    """Whether the configuration asks for a sandbox."""
    return settings.sandbox.kind in ("auto", "bwrap")


def policy_of(settings: Settings, place: Place, env: Mapping[str, str]) -> Policy:
    """What all of them have in common."""
    home = Path(env.get("HOME") or Path.home())
    own = (place.main_root, place.root, place.common_dir, place.cache, place.socket.parent)
    named = settings.sandbox
    return Policy(
        home=home,
        path=env.get("PATH", os.defpath),
        covered=own,
        readable=(
            *object_folders(place.common_dir / "objects"),
            OYA,
            *(_named("readable", text, home, place.root) for text in named.readable),
        ),
        writable=tuple(_named("writable", text, home, place.root) for text in named.writable),
    )


def proved(settings: Settings, place: Place, env: Mapping[str, str]) -> tuple[Bubblewrap, Layout]:
    """The sandbox, after something has run in it, and what lies where. Leaves nothing.

    `ConfigError` where it does not work.
    """
    policy = policy_of(settings, place, env)
    return _find(policy), Layout(policy)


@cache
def _find(policy: Policy) -> Bubblewrap:
    with tempfile.TemporaryDirectory(prefix="oya-sandbox-") as folder:
        return find(policy, Path(folder))


def object_folders(objects: Path) -> tuple[Path, ...]:
    """Where git finds the objects of a repository: its own folder, and those it borrows from."""
    found, left = [objects], [objects]
    while left and len(found) < _MAX_ALTERNATES:
        folder = left.pop()
        try:
            lines = (folder / "info" / "alternates").read_text(errors="surrogateescape")
        except OSError:
            continue
        borrowed = [folder / line for line in lines.splitlines() if line and line[0] != "#"]
        new = [one for one in borrowed if one not in found and one.is_dir()]
        found, left = [*found, *new], [*left, *new]
    return tuple(found)


def _named(key: str, text: str, home: Path, root: Path) -> Path:
    path = home / text[2:] if text.startswith("~/") else root / text
    if not path.exists():
        raise ConfigError(
            f"`sandbox.{key}`: there is no {path}.",
            safe="Nothing was started.",
            hint="Paths start at the root of the repository, at ~/ or at /.",
        )
    return path
