"""A repository whose tests are partly red: nothing may become red."""

from __future__ import annotations

from pathlib import Path

from kit.user import User, carrying, write
from kit.words import backlog, bead

AGENT = r"""#!/bin/sh
# A backend from docs/pipeline.md. The bead "worse" breaks what passes, until it is told.
set -eu
case "$OYA_ROLE" in
test_writer)
  printf 'from nums.%s import seven\n\ndef test_it():\n    assert seven() == 7\n' $OYA_BEAD \
    > "tests/test_$OYA_BEAD.py"
  cat > "$OYA_OUTPUT" <<END
{"kind": "behaviour", "why": "one example",
 "test_plan": [{"id": "tests/test_$OYA_BEAD.py::test_it", "kind": "happy", "covers": ["AC1"]}],
 "test_files": ["tests/test_$OYA_BEAD.py"]}
END
  ;;
implementer)
  printf 'def seven():\n    return 7\n' > "src/nums/$OYA_BEAD.py"
  if [ "$OYA_BEAD" = worse ]; then
    if [ -e .oya/out/told ]; then sed -i 's/return 9/return 2/' src/nums/two.py
    else mkdir -p .oya/out; touch .oya/out/told; sed -i 's/return 2/return 9/' src/nums/two.py; fi
  fi
  ;;
reviewer) echo '{"challenges": []}' > "$OYA_OUTPUT" ;;
esac
"""

CONFIG = """\
[defaults]
test_writers = 1
implementers = 1
reviewers = 1
planner = false
backend = "shell"

[backends.shell]
kind = "command"
command = ["sh", "{agent}"]

[quality-gates]
ci = ["PYTHONPATH=src python -m pytest -q -p no:cacheprovider"]
{baseline}

[quality-gates.tests]
command = "PYTHONPATH=src python -m pytest -q -p no:cacheprovider {{tests}} --junitxml={{report}}"

[contract]
repeat = 1

[execution]
max_attempts = 1
fix_rounds = 1

[sandbox]
kind = "none"
"""
TWO = "def two():\n    return 2\n"
TESTS = """\
from nums.two import two


def test_good():
    assert two() == 2


def test_bad():
    assert two() == 3
"""


def project(user: User, *names: str, baseline: str = "") -> Path:
    agent = user.folder / "agent.sh"
    write(user.folder, {"agent.sh": AGENT})
    return user.repository(
        "sick",
        {
            "src/nums/__init__.py": "",
            "src/nums/two.py": TWO,
            "tests/test_numbers.py": TESTS,
            "tests/test_broken.py": "import nowhere_at_all\n",
            ".gitignore": "__pycache__\n",
            ".beads/issues.jsonl": backlog(*(bead(name) for name in names)),
            ".oya/swarm.toml": CONFIG.format(agent=agent, baseline=baseline),
        },
    )


def test_a_base_that_is_partly_red_is_worked_on_where_that_is_allowed(user: User) -> None:
    root = project(user, "seven", "worse", baseline='baseline = "no-worse"')
    doctor = user.oya(root, "doctor")
    assert doctor.code == 0, doctor
    assert "may stay so, baseline = no-worse" in doctor.out
    assert "tests/test_numbers.py::test_bad, tests/test_broken.py" in doctor.out
    said = user.oya(root, "swarm")
    assert said.code == 0, said
    assert "Landed 2/2 beads" in said.out
    assert user.git(root, "show", "main:src/nums/two.py") == TWO.strip()
    story = user.oya(root, "why", "worse").out
    assert "tests/test_numbers.py::test_good" in story, story
    checked = user.oya(root, "verify")
    assert checked.code == 0, checked
    assert carrying(user) == []


def test_else_it_is_red_and_nothing_is_claimed(user: User) -> None:
    root = project(user, "seven")
    said = user.oya(root, "swarm")
    assert said.code == 1, said
    assert "tests/test_numbers.py::test_bad" in said.err
    assert user.oya(root, "doctor").code == 1
