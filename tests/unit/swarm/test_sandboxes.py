"""What the configuration makes of a sandbox, and when it makes none."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oya.daemon.preflight import check_sandbox
from oya.errors import ConfigError
from oya.processes import GuardedProcesses
from oya.processes.sandbox import Sandboxed
from oya.repository.places import Place, find_place
from oya.swarm.assembly import fingerprint
from oya.swarm.config import Sandbox, Settings
from oya.swarm.sandboxes import OYA, object_folders, policy_of, sandboxes
from sandbox_kit import bubblewrap


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    subprocess.run(["git", "init", "-q", tmp_path / "repository"], check=True)
    (tmp_path / "home").mkdir()
    return find_place(tmp_path / "repository")


def written(**sandbox: Any) -> Settings:
    return Settings(sandbox=Sandbox(**sandbox))


def env_of(place: Place) -> dict[str, str]:
    return {"HOME": str(place.root.parent / "home"), "PATH": "/usr/bin:/bin"}


@pytest.mark.parametrize("kind", [None, "none"])
def test_without_one_programs_run_as_they_did(place: Place, kind: str | None) -> None:
    processes, settings = GuardedProcesses("test"), written(kind=kind)
    boxes = sandboxes(settings, place, processes, env_of(place))
    assert (boxes.agents, boxes.prepare, boxes.gates) == (processes,) * 3
    assert check_sandbox(settings, place) is None


@pytest.mark.parametrize("kind", ["auto", "bwrap"])
@pytest.mark.parametrize("open_", [False, True])
def test_gates_alone_are_without_a_network(place: Place, kind: str, open_: bool) -> None:
    if isinstance(why := bubblewrap(), str):
        pytest.skip(why)
    settings = written(kind=kind, gates_network=open_)
    boxes = sandboxes(settings, place, GuardedProcesses("test"), env_of(place))
    policies = []
    for box in (boxes.agents, boxes.prepare, boxes.gates):
        assert isinstance(box, Sandboxed)
        policies.append(box.policy)
    assert [one.network for one in policies] == [True, True, open_]
    agents, prepare, gates = (one.caches for one in policies)
    assert prepare == gates != agents


def test_the_repository_is_covered_but_for_its_objects(place: Place) -> None:
    policy = policy_of(written(kind="auto"), place, env_of(place))
    for folder in (place.main_root, place.common_dir, place.cache, place.socket.parent):
        assert folder in policy.covered
    assert policy.readable == (place.common_dir / "objects", OYA)


def test_objects_are_followed_to_where_they_are_borrowed(tmp_path: Path) -> None:
    first, second, third = (tmp_path / name for name in ("a", "b", "c"))
    for folder in (first, second, third):
        (folder / "info").mkdir(parents=True)
    (first / "info/alternates").write_text(f"{second}\n# no\n/no/such/folder\n")
    (second / "info/alternates").write_text(f"../c\n{first}\n")
    found = object_folders(first)
    assert [one.resolve() for one in found] == [first, second, third]


def test_paths_start_at_the_repository_home_or_the_root(place: Place) -> None:
    home = place.root.parent / "home"
    (home / ".npmrc").touch()
    (place.root / "data").mkdir()
    settings = written(kind="auto", readable=("~/.npmrc", "data"), writable=(str(home),))
    policy = policy_of(settings, place, env_of(place))
    assert policy.readable[2:] == (home / ".npmrc", place.root / "data")
    assert policy.writable == (home,)


@pytest.mark.parametrize("key", ["readable", "writable"])
def test_a_path_that_is_not_there_is_refused(place: Place, key: str) -> None:
    settings = written(kind="auto", **{key: ("~/no-such-file",)})
    with pytest.raises(ConfigError, match=rf"sandbox\.{key}.*no-such-file"):
        check_sandbox(settings, place)


def test_evidence_made_outside_is_not_that_of_a_sandbox() -> None:
    prints = {
        fingerprint(written()),
        fingerprint(written(kind="auto")),
        fingerprint(written(kind="auto", gates_network=True)),
    }
    assert len(prints) == 3
    assert fingerprint(written()) == fingerprint(written(kind="none"))


def test_it_is_tried_anew_for_another_policy(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a refusal is not remembered: who installs it can go on."""
    if isinstance(why := bubblewrap(), str):
        pytest.skip(why)
    settings = written(kind="auto")
    with monkeypatch.context() as patched:
        patched.setenv("PATH", "/no/such/folder")
        with pytest.raises(ConfigError, match="not installed"):
            sandboxes(settings, place, GuardedProcesses("test"), env_of(place))
    there = sandboxes(settings, place, GuardedProcesses("test"), env_of(place)).gates
    assert isinstance(there, Sandboxed)
    assert replace(there.policy, caches=None) == policy_of(settings, place, env_of(place))
