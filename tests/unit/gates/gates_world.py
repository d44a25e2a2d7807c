"""Gates on real folders, real processes and a book in memory."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oya.clock import SystemClock
from oya.gates import Evidence, Gates, GatesConfig, ProcessRunner
from oya.processes.port import Processes
from oya.processes.real import GuardedProcesses

ENV = {
    "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
}
PYTEST = "python -m pytest {tests} --junitxml={report}"


@dataclass
class Slot:
    path: Path
    index: int = 7


@dataclass
class World:
    """A commit is the name of a folder, and its tree is named alike."""

    root: Path
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    heard: list[Evidence] = field(default_factory=list)
    held: int = 0
    parents: dict[str, str] = field(default_factory=dict)

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    def commit(self, name: str, files: Mapping[str, str]) -> str:
        for path, text in files.items():
            file = self.root / name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return name

    @asynccontextmanager
    async def checkout(
        self, commit: str, *, urgent: bool = False, strange: bool = False
    ) -> AsyncIterator[Slot]:
        self.held += 1
        try:
            yield Slot(self.root / commit)
        finally:
            self.held -= 1

    async def judged_tree(self, commit: str) -> str:
        return f"tree-of-{commit}"

    async def parent(self, commit: str) -> str | None:
        return self.parents.get(commit)

    async def get(self, key: str) -> dict[str, Any] | None:
        return self.rows.get(key)

    async def record(self, evidence: Evidence, row: dict[str, Any] | None) -> None:
        self.heard.append(evidence)
        if row is not None:
            self.rows[evidence.key] = json.loads(json.dumps(row))

    def gates(self, processes: Processes | None = None, **config: Any) -> Gates:
        made = GatesConfig(**{"env": ENV, "timeout": 60.0, **config})
        runner = ProcessRunner(
            made,
            processes=processes or GuardedProcesses(f"gates-test-{os.getpid()}"),
            checkout=self,
            logs=self.logs,
            clock=SystemClock(seed=1),
        )
        return Gates(made, runner=runner, trees=self, book=self)
