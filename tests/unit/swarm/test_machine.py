"""What gates get of the machine."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from oya.swarm.assembly import fingerprint, gates_config
from oya.swarm.config import load
from oya.swarm.machine import core_shares, environment, gate_environment, slots_of, tools


def test_the_cores_are_divided_among_the_slots() -> None:
    assert core_shares({}, 16, 8) == {
        "CARGO_BUILD_JOBS": "2",
        "GOMAXPROCS": "2",
        "PYTEST_XDIST_AUTO_NUM_WORKERS": "2",
        "MAKEFLAGS": "-j2",
    }
    assert core_shares({}, 2, 8)["GOMAXPROCS"] == "1"


def test_what_the_user_has_set_stays() -> None:
    shares = core_shares({"GOMAXPROCS": "7", "MAKEFLAGS": ""}, 16, 8)
    assert (shares["GOMAXPROCS"], shares["MAKEFLAGS"]) == ("7", "")


def test_the_flags_of_a_make_around_oya_are_not_the_users() -> None:
    given = {"MAKEFLAGS": "-j8 --jobserver-auth=3,4", "MAKELEVEL": "1"}
    assert core_shares(given, 16, 8)["MAKEFLAGS"] == "-j2"


@pytest.mark.parametrize(
    ("cores", "written", "slots"), [(1, 0, 1), (2, 0, 2), (16, 0, 8), (16, 99, 16), (16, 3, 3)]
)
def test_slots_follow_the_cores(
    monkeypatch: pytest.MonkeyPatch, cores: int, written: int, slots: int
) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    settings = load(None, {"quality-gates.slots": written}, complete=False)
    assert slots_of(settings) == slots


def test_gates_get_named_variables_and_backends_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE", "here")
    monkeypatch.setenv("SECRET", "no")
    settings = load(None, {"quality-gates.env": ["DATABASE", "NOT_SET"]}, complete=False)
    env = gates_config(settings).env
    assert env["DATABASE"] == "here"
    assert not {"SECRET", "NOT_SET"} & {*env}
    assert "DATABASE" not in environment()


def test_evidence_counts_for_the_values_it_was_made_with(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load(None, {"quality-gates.env": ["DATABASE"]}, complete=False)
    monkeypatch.setenv("DATABASE", "here")
    before = fingerprint(settings)
    monkeypatch.setenv("DATABASE", "there")
    assert fingerprint(settings) != before


@pytest.mark.parametrize("used", ["quick", "prepare", "unsaid"])
def test_evidence_counts_for_the_tools_it_was_made_with(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, used: str
) -> None:
    name = "node" if used == "unsaid" else "linter"
    tool = tmp_path / "tools" / name
    tool.parent.mkdir()
    monkeypatch.setenv("PATH", f"{tool.parent}:{os.environ['PATH']}")
    keys = {"quick": "quality-gates.quick", "prepare": "workspace.prepare"}
    line = "cd a && FAST=1 linter --all"
    settings = load(None, {keys[used]: [line]} if used in keys else {}, complete=False)
    seen = [fingerprint(settings)]
    for text in ("#!/bin/sh\n", "#!/bin/sh\nexit 0\n"):
        tool.write_text(text)
        tool.chmod(0o755)
        seen.append(fingerprint(settings))
    assert len({*seen}) == 3
    assert fingerprint(settings) == seen[-1]


def test_scripts_of_the_repository_are_in_its_tree_already(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "check.sh").write_text("#!/bin/sh\n")
    (tmp_path / "check.sh").chmod(0o755)
    assert tools(["./check.sh"]) == tools([])


def test_a_named_variable_may_be_one_of_the_shares(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAKELEVEL", "1")
    monkeypatch.setenv("MAKEFLAGS", "-k")
    settings = load(None, {"quality-gates.env": ["MAKEFLAGS"]}, complete=False)
    assert gate_environment(settings)["MAKEFLAGS"] == "-k"
