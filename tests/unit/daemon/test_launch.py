"""Starting a daemon that takes its time."""

from __future__ import annotations

import os
import re
import signal
import sys
from pathlib import Path

import pytest

from oya.daemon.launch import launch
from oya.daemon.request import Request
from oya.errors import DaemonSilent, OyaError


def program(folder: Path, line: str) -> str:
    """A shell script in place of Python."""
    path = folder / "python"
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)
    return str(path)


def test_one_that_is_not_ready_in_time_is_not_said_to_be_dead(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was, and nothing claimed; and then it claimed."""
    monkeypatch.setattr(sys, "executable", program(tmp_path, "exec sleep 60"))
    monkeypatch.setattr("oya.daemon.launch.START_WITHIN", 0.2)
    with pytest.raises(DaemonSilent, match="it goes on starting") as late:
        launch(Request(str(tmp_path), {}, (), "", False))
    number = re.search(r"process (\d+)", str(late.value))
    assert number is not None
    assert f"kill {number[1]}" in late.value.hint
    os.kill(int(number[1]), signal.SIGKILL)
    os.waitpid(int(number[1]), 0)


def test_one_that_dies_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", program(tmp_path, "echo no luck >&2"))
    with pytest.raises(OyaError, match="did not start: no luck"):
        launch(Request(str(tmp_path), {}, (), "", False))
