"""A real agent, codex through codex-acp, on a model that plays steps."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from oya.agents.acp import AcpBackend
from oya.agents.port import AgentSession, Task, TurnEnd
from oya.clock import SystemClock
from oya.lifecycle.failures import FailureClass
from oya.lifecycle.model import Role
from oya.processes.real import GuardedProcesses, survivors
from real.fake_model import FakeModel, serving
from real.installed import installed
from real.scenarios import SCENARIOS, TEST_FILE

CONFIG = Path(__file__).parents[1] / "real" / "codex.toml"


@pytest.fixture(scope="module")
def codex_acp() -> Path:
    return installed("codex-acp")


@pytest.fixture
def model() -> Iterator[FakeModel]:
    with serving(SCENARIOS) as model:
        yield model


@pytest.fixture
def codex_home(model: FakeModel) -> Iterator[Path]:
    """codex refuses a home below the temporary directory."""
    cache = Path.home() / ".cache"
    cache.mkdir(exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix="oya-test-codex-", dir=cache))
    (home / "config.toml").write_text(CONFIG.read_text().replace("@URL@", model.url))
    yield home
    shutil.rmtree(home, ignore_errors=True)


class Desk:
    """One session of codex, and what was left running."""

    def __init__(self, folder: Path, program: Path, codex_home: Path) -> None:
        self.work = folder / "work"
        self.work.mkdir()
        self.marker = f"test-{uuid.uuid4().hex}"
        self.folder = folder
        env = {
            "PATH": f"{program.parent}:{os.environ['PATH']}",
            "HOME": str(codex_home),
            "CODEX_HOME": str(codex_home),
            "FAKE_KEY": "none",
        }
        self.backend = AcpBackend(
            "codex",
            "acp",
            (str(program),),
            processes=GuardedProcesses(self.marker),
            clock=SystemClock(),
            env=env,
        )
        self.session: AgentSession

    async def open(self) -> None:
        task = Task("b-1", Role.IMPLEMENTER, 1, 1, self.work, self.folder / "logs")
        self.session = await self.backend.open(task)

    async def prompt(self, scenario: str, *, stall: float = 40) -> TurnEnd:
        return await self.session.prompt(f"SCENARIO:{scenario}", stall=stall, deadline=90)


@pytest.fixture
async def desk(tmp_path: Path, codex_acp: Path, codex_home: Path) -> AsyncIterator[Desk]:
    desk = Desk(tmp_path, codex_acp, codex_home)
    await desk.open()
    yield desk
    await desk.session.close()
    assert survivors(desk.marker) == []


async def test_it_writes_a_file_and_then_another_line(desk: Desk) -> None:
    end = await desk.prompt("hello")
    assert (end.stop_reason, end.failure) == ("end_turn", None)
    assert end.text.endswith("I wrote hello.txt.")
    assert end.usage.tokens == 2 * 1050
    assert (desk.work / "hello.txt").read_text() == "hello from a real agent\n"
    end = await desk.prompt("again")
    assert (end.stop_reason, end.failure) == ("end_turn", None)
    assert (desk.work / "hello.txt").read_text() == "hello from a real agent\nmore\n"
    ended = await desk.session.close()
    assert ended.cpu_seconds > 0


@pytest.mark.parametrize(
    ("scenario", "failure"),
    [
        ("limit", FailureClass.PROVIDER_LIMIT),
        ("locked", FailureClass.AUTH),
        ("down", FailureClass.PROVIDER_DOWN),
    ],
)
async def test_a_refusal_of_the_provider_has_its_class(
    desk: Desk, scenario: str, failure: FailureClass
) -> None:
    end = await desk.prompt(scenario)
    assert end.failure is failure
    assert end.reason


async def test_a_model_that_falls_silent_is_stuck_and_all_is_gone(
    desk: Desk, model: FakeModel
) -> None:
    end = await desk.prompt("silence", stall=5)
    assert end.failure is FailureClass.AGENT_STUCK
    assert [heard.step for heard in model.heard] == [0, 1]
    assert survivors(desk.marker) == []


# A whole swarm

BEAD = {
    "id": "shop-1",
    "title": "Amounts may have a comma",
    "description": "People type 1,5 and are refused. SCENARIO:comma",
    "acceptance_criteria": "1,5 is read as 1.5\n1,5,5 is refused with ValueError",
    "status": "open",
    "priority": 1,
    "issue_type": "feature",
    "created_at": "2026-01-01T00:00:00Z",
    "updated_at": "2026-01-01T00:00:00Z",
}
FILES = {
    "amount.py": "def parse(text: str) -> float:\n    return float(text)\n",
    "tests/test_amount.py": (
        "from amount import parse\n\n\ndef test_a_point():\n    assert parse('1.5') == 1.5\n"
    ),
    "conftest.py": "",
    ".gitignore": "__pycache__/\n.pytest_cache/\n",
    ".beads/issues.jsonl": json.dumps(BEAD) + "\n",
    ".oya/swarm.toml": """
[backends.codex]
kind = "acp"
command = ["codex-acp"]
env = ["CODEX_HOME", "FAKE_KEY"]

[defaults]
backend = "codex"
test_writers = 1
implementers = 1
reviewers = 1

[quality-gates]
quick = []
ci = ["python -m pytest -q"]
[quality-gates.tests]
command = "python -m pytest {tests} --junitxml={report}"
report = "junit"

[sandbox]
kind = "none"
""",
}


def git(repository: Path, *arguments: str) -> str:
    ran = subprocess.run(
        ["git", "-C", str(repository), *arguments], capture_output=True, text=True, check=True
    )
    return ran.stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "shop"
    for name, content in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    git(tmp_path, "init", "-q", "-b", "main", str(root))
    git(root, "config", "user.name", "A Person")
    git(root, "config", "user.email", "person@example.org")
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "Amounts")
    return root


def oya(repository: Path, env: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    program = Path(sys.prefix) / "bin" / "oya"
    return subprocess.run(
        [str(program), *arguments],
        cwd=repository,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


@pytest.mark.timeout(300)
def test_it_lands_a_bead_through_contract_implementation_and_review(
    repository: Path, tmp_path: Path, codex_acp: Path, codex_home: Path, model: FakeModel
) -> None:
    env = {
        "PATH": f"{codex_acp.parent}:{os.environ['PATH']}",
        "HOME": str(codex_home),
        "CODEX_HOME": str(codex_home),
        "FAKE_KEY": "none",
        "XDG_CACHE_HOME": str(codex_home / "cache"),
        "XDG_RUNTIME_DIR": tempfile.mkdtemp(prefix="oya-", dir=tmp_path),
    }
    try:
        ran = oya(repository, env, "swarm", "--target", "1", "--format", "json")
        story = oya(repository, env, "why", "shop-1").stdout
    finally:
        oya(repository, env, "swarm", "stop", "--now")
    assert ran.returncode == 0, f"{ran.stderr}\n{ran.stdout[-4000:]}\n{story}"
    final: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    assert (final["status"], final["landed_beads"], final["exit"]) == ("completed", 1, 0)

    assert "Bead: shop-1" in git(repository, "log", "-1", "--format=%B", "main")
    assert git(repository, "rev-list", "--count", "main").strip() == "2"
    landed = git(repository, "show", "--name-only", "--format=", "main").split()
    assert {"amount.py", TEST_FILE, ".beads/issues.jsonl"} == set(landed)
    assert git(repository, "status", "--porcelain") == ""
    closed = json.loads((repository / ".beads/issues.jsonl").read_text())
    assert closed["status"] == "closed"
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    subprocess.run(tests, cwd=repository, check=True, capture_output=True, timeout=60)

    # Every role was played by codex, each on a prompt of its own.
    scenarios = {heard.scenario for heard in model.heard}
    assert scenarios == {
        f"comma/{role}" for role in ("test_writer", "planner", "implementer", "reviewer")
    }
    assert final["failures"] in ({}, None)
