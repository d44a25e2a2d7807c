from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from gates_world import PYTEST, World

from oya.gates import Evidence


@pytest.fixture
def world(tmp_path: Path) -> World:
    (tmp_path / "a").mkdir()
    return World(tmp_path)


@pytest.fixture(scope="module")
def run_suite(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Evidence]:
    """Run pytest on a project for real, without the test's own event loop."""

    def run(files: Mapping[str, str], tests_command: str = PYTEST) -> Evidence:
        there = World(tmp_path_factory.mktemp("suite"))
        commit = there.commit("project", files)
        return asyncio.run(there.gates(tests_command=tests_command).tests(commit))

    return run
