"""Sandboxes for tests; without bubblewrap a test that needs one skips, and says so."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import pytest

from oya.errors import ConfigError
from oya.processes import Processes
from oya.processes.bubblewrap import Bubblewrap, Policy, find
from oya.processes.sandbox import Sandboxed


@cache
def bubblewrap() -> Bubblewrap | str:
    """The one of this machine, or why there is none."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            return find(Policy(home=Path(folder)), Path(folder))
        except ConfigError as error:
            return str(error)


def sandboxed(processes: Processes, policy: Policy) -> Sandboxed:
    """The same programs under a policy."""
    there = bubblewrap()
    if isinstance(there, str):
        pytest.skip(there)
    return Sandboxed(processes, policy, there)
