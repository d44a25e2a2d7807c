"""A swarm whose agents and gates see and reach little, and land their work all the same."""

from __future__ import annotations

import json
import os
import shutil
import socket
from pathlib import Path

import pytest
from kit.user import User, write
from kit.words import backlog

from oya.repository.places import find_place
from sandbox_kit import bubblewrap

TEST = """\
import socket, subprocess
from pathlib import Path
import pytest
from calc import double


def test_double():
    assert double(4) == 8


def test_a_gate_sees_no_secret_and_no_network_and_may_use_git():
    assert not (Path.home() / ".ssh/key").exists()
    with pytest.raises(OSError):
        socket.create_connection(("127.0.0.1", {port}), 5)
    subprocess.run(["git", "log", "-1", "--format=%s"], check=True)
    (Path.home() / ".cache/of-a-gate").write_text("x")
"""

# What is seen is written down in the work, and so on main: that the sandbox kept from us.
LOOK = (
    "{ cat ~/.ssh/key; ls @ROOT@; ls @FOLDER@/other; "
    "ls ~/.cache/of-a-gate; echo evil > @FOLDER@/other/evil; "
    "touch ~/.profile; git commit -q --allow-empty -m mine && echo committed; "
    "cat @FOLDER@/handed/over; } 2>/dev/null > seen-$OYA_ROLE.txt; true"
)

AGENT = f"""#!/bin/sh
set -u
case "$OYA_ROLE" in
implementer)
  {LOOK}
  test -s "$OYA_PROMPT_FILE" && echo prompt >> seen-implementer.txt
  echo 'def double(x): return 2 * x' > calc.py
  oya-gate tests > .oya/out/gate.txt 2>&1 && echo green >> seen-implementer.txt
  ;;
reviewer)
  echo '{{"challenges": [{{"command": "! ls ~/.ssh && ! cat @ROOT@/calc.py", "expect": 0,
   "why": "a challenge looks around", "clause": "AC1"}}]}}' > "$OYA_OUTPUT"
  ;;
esac
"""

CONFIG = """\
[defaults]
target_beads = 1
test_writers = 1
implementers = 1
reviewers = 1
planner = false
backend = "shell"

[roles.test_writer]
backend = "recorded"

[backends.shell]
kind = "command"
command = ["@FOLDER@/bin/agent"]

[backends.recorded]
kind = "scripted"
scenario = "@FOLDER@/scenario.json"

[workspace]
prepare = ["test -w ~/.cache && echo prepared > .prepared"]

[quality-gates]
quick = ["test -s .prepared"]
ci = ["python -m pytest -q -p no:cacheprovider"]

[quality-gates.tests]
command = "python -m pytest -q -p no:cacheprovider {tests} --junitxml={report}"

[contract]
repeat = 1

[execution]
max_attempts = 1
fix_rounds = 0

[sandbox]
kind = "auto"
readable = ["@FOLDER@/handed"]
"""


@pytest.fixture
def root(user: User) -> Path:
    if isinstance(why := bubblewrap(), str):
        pytest.skip(why)
    root = user.folder / "calc"
    words = {"@ROOT@": str(root), "@FOLDER@": str(user.folder)}

    def filled(text: str) -> str:
        for word, value in words.items():
            text = text.replace(word, value)
        return text

    write(
        user.folder,
        {
            "home/.ssh/key": "secret\n",
            "handed/over": "handed over\n",
            "other/file": "x\n",
            "bin/agent": filled(AGENT),
        },
    )
    (user.folder / "bin/agent").chmod(0o755)
    return user.repository(
        "calc",
        {
            "calc.py": "",
            ".env": "SECRET=1\n",
            ".gitignore": ".prepared\n__pycache__/\n",
            "test_begin.py": "def test_begin():\n    assert True\n",
            "conftest.py": "import sys\nsys.path.insert(0, '.')\n",
            ".oya/swarm.toml": filled(CONFIG),
            ".beads/issues.jsonl": backlog(
                {
                    "id": "calc-1",
                    "title": "Double a number",
                    "acceptance_criteria": "double(4) is 8",
                    "status": "open",
                    "priority": 1,
                    "issue_type": "feature",
                    "created_at": "2026-01-01T00:00:00Z",
                }
            ),
        },
    )


def scenario(port: int) -> str:
    plan = [
        {
            "id": f"test_double.py::{name}",
            "kind": "happy",
            "given": "4",
            "when": "doubled",
            "then": "8",
            "covers": ["AC1"],
        }
        for name in (
            "test_double",
            "test_a_gate_sees_no_secret_and_no_network_and_may_use_git",
        )
    ]
    steps = [
        {"write": {"test_double.py": TEST.replace("{port}", str(port))}},
        {
            "answer": {
                "kind": "behaviour",
                "why": "an example",
                "test_plan": plan,
                "test_files": ["test_double.py"],
                "touches": ["calc.py"],
            }
        },
    ]
    entries = [{"bead": "*", "role": "test_writer", "steps": steps}]
    return json.dumps({"version": 1, "entries": entries})


def test_a_bead_lands_and_nothing_was_seen_or_left(user: User, root: Path) -> None:
    doctor = user.oya(root, "doctor", "--quick")
    assert doctor.code == 2, "its scenario is not there yet"
    with socket.create_server(("127.0.0.1", 0)) as server:
        write(user.folder, {"scenario.json": scenario(server.getsockname()[1])})
        said = user.oya(root, "swarm")
    assert said.code == 0, f"{said}\n{user.oya(root, 'why', 'calc-1')}"
    assert "without a sandbox" not in said.both
    assert user.git(root, "show", "main:seen-implementer.txt") == (
        "committed\nhanded over\nprompt\ngreen"
    )
    assert os.listdir(user.folder / "other") == ["file"]
    assert not (user.folder / "home/.profile").exists()
    assert not (user.folder / "home/.cache").exists()
    kept = user.cache / "oya" / os.listdir(user.cache / "oya")[0] / "caches"
    assert (kept / "gates/.cache/of-a-gate").exists()
    assert not (kept / "agents/.cache/of-a-gate").exists()


def test_doctor_says_what_is_covered_and_what_is_bound_back(user: User, root: Path) -> None:
    write(user.folder, {"scenario.json": scenario(1)})
    said = user.oya(root, "doctor", "--quick")
    assert said.code == 0, said
    rows = [line for line in said.out.splitlines() if line.split()[1:2] == ["sandbox"]]
    assert "auto: bubblewrap" in rows[0]
    assert "gates without a network" in rows[0]
    assert str(user.folder / "home") in rows[1]
    assert str(root) in rows[1]
    for shown in (root / ".git/objects", user.folder / "handed"):
        assert str(shown) in rows[2]


def test_where_it_cannot_work_nothing_is_started(user: User, root: Path) -> None:
    """Not even silently without it."""
    write(user.folder, {"scenario.json": scenario(1)})
    bin_ = user.folder / "no-bwrap"
    bin_.mkdir()
    for name in ("git", "sh", "python"):
        (bin_ / name).symlink_to(shutil.which(name) or "")
    user.extra["PATH"] = str(bin_)
    for words in (("swarm",), ("swarm", "--dry-run"), ("doctor", "--quick")):
        said = user.oya(root, *words)
        assert said.code == 2, said
        assert "bwrap) is not installed" in said.both
        assert 'kind = "none"' in said.both
    assert not (find_place(root).state / "daemon.pid").exists()
