"""The help of every command, and what starting a command costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

from oya.cli.main import run

COMMANDS = [
    "init", "doctor", "demo", "beads", "show", "why", "approve", "reject", "retry", "hold",
    "release", "events", "logs", "verify", "schema", "sync", "swarm", "state",
]  # fmt: skip
BELOW_SWARM = ["status", "stop", "pause", "continue", "set", "list"]
BELOW_STATE = ["export", "import"]
LATER = ["triage", "plan", "add", "import", "report", "undo", "take", "give"]

HELP = """\
Usage: oya [OPTIONS] COMMAND [ARGS]...

  Land the backlog of this repository with a supervised swarm of coding
  agents.

Options:
  -h, --help  Show this message and exit.

Commands:
  init     Look around and write .oya/swarm.toml.
  doctor   Prove that a swarm could run here.
  demo     Land 25 beads of a bundled sample.
  beads    List the beads of this repository.
  show     Show everything that is known of a bead.
  why      Tell the story of a bead, from its events.
  approve  Let reviewed work land.
  reject   Send reviewed work back, with words.
  retry    Have a failed or questioned bead tried again.
  hold     Keep agents away from a bead.
  release  Give a held bead back.
  events   Print what happened, one line an event.
  logs     Print what daemon and backends have said.
  verify   Hold what happened here against what is promised.
  schema   Print the JSON schema of a role's answer.
  sync     Let your checkout follow what landed.
  swarm    Start a swarm, go on with one, or attach.
  state    Write the state to a file, or read it back.

  Begin with: oya init, then oya doctor, then oya swarm --target 1
"""


def test_the_help_as_it_stands(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    assert capsys.readouterr().out == HELP


@pytest.mark.parametrize(
    "args",
    [[c] for c in COMMANDS]
    + [["swarm", c] for c in BELOW_SWARM]
    + [["state", c] for c in BELOW_STATE],
    ids=" ".join,
)
def test_every_command_has_help_with_an_example(
    args: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*args, "--help"]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"Usage: oya {' '.join(args)} ")
    assert "Example: oya " in out


@pytest.mark.parametrize("command", LATER)
def test_what_is_not_built_is_absent(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command]) == 2
    assert "No such command" in capsys.readouterr().err


HEAVY = ["pydantic", "asyncio", "fastapi", "uvicorn", "surrealdb", "rich", "structlog", "psutil"]


@pytest.mark.parametrize(
    ("args", "heavy"),
    [
        ("['--help']", HEAVY),
        ("['swarm', 'status']", [*HEAVY, "typer"]),
    ],
)
def test_short_commands_load_nothing_heavy(args: str, heavy: list[str], tmp_path: object) -> None:
    code = (
        "import sys; from oya.cli.main import run; "
        "import oya.cli.asking, oya.cli.lines; "
        f"run({args}); print(*(m for m in {heavy!r} if m in sys.modules), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=str(tmp_path), capture_output=True, text=True, timeout=60
    )
    assert done.stderr.splitlines()[-1] == ""
