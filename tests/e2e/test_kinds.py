"""Kinds of contract and protected paths: what lands alone, and what a person lets land."""

from __future__ import annotations

import json
from pathlib import Path

from kit.user import User, carrying, write
from kit.words import backlog, bead

AGENT = r"""#!/bin/sh
# A backend from docs/pipeline.md: the bead's id says what kind of work it is.
set -eu
stage=@STAGE@
cat > "$stage/$OYA_ROLE-$OYA_BEAD-$OYA_ATTEMPT-$(ls "$stage" | wc -l)"
case "$OYA_ROLE-$OYA_BEAD" in
test_writer-check|test_writer-guarded)
  cat > "$OYA_OUTPUT" <<END
{"kind": "check", "why": "a word in a file",
 "checks": [{"command": "grep -q $OYA_BEAD docs/$OYA_BEAD.md", "expect": 0, "clause": "AC1"}]}
END
  ;;
test_writer-refactor)
  printf 'from double import double\n\ndef test_twice_three():\n    assert double(3) == 6\n' \
    > tests/test_guard.py
  cat > "$OYA_OUTPUT" <<END
{"kind": "preserve", "why": "the same, shorter", "touches": ["src/**"],
 "test_plan": [{"id": "tests/test_guard.py::test_twice_three", "kind": "edge", "covers": []}],
 "test_files": ["tests/test_guard.py"]}
END
  ;;
test_writer-prose)
  echo '{"kind": "none", "why": "it is prose"}' > "$OYA_OUTPUT"
  ;;
implementer-check) echo check > docs/check.md ;;
implementer-guarded) echo guarded > docs/guarded.md; echo '# faster' >> check.sh ;;
implementer-refactor)
  printf 'def double(n):\n    return 2 * n\n' > src/double.py
  if [ ! -e "$stage/strayed" ]; then
    touch "$stage/strayed"; echo strayed >> docs/words.md
  else
    git checkout -q "$(git rev-list --max-parents=0 HEAD | tail -1)" -- docs/words.md
  fi
  ;;
implementer-prose) echo 'Once upon a time.' > docs/story.md ;;
planner-*) echo '{"verdict": "accept"}' > "$OYA_OUTPUT" ;;
reviewer-*) echo '{"challenges": []}' > "$OYA_OUTPUT" ;;
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
ci = ["sh check.sh"]

[quality-gates.tests]
command = "PYTHONPATH=src python -m pytest -q -p no:cacheprovider {{tests}} --junitxml={{report}}"

[contract]
repeat = 1
{more}

[execution]
max_attempts = 1
fix_rounds = 1

[sandbox]
kind = "none"
"""


def project(user: User, *names: str, more: str = "") -> Path:
    """A repository with these beads."""
    agent = user.folder / "agent.sh"
    (user.folder / "stage").mkdir()
    write(user.folder, {"agent.sh": AGENT.replace("@STAGE@", str(user.folder / "stage"))})
    return user.repository(
        "kinds",
        {
            "src/double.py": "def double(n):\n    return n + n\n",
            "tests/test_double.py": (
                "from double import double\n\ndef test_twice_two():\n    assert double(2) == 4\n"
            ),
            "docs/words.md": "begin\n",
            "check.sh": "grep -q begin docs/words.md\n",
            ".gitignore": "__pycache__\n",
            ".beads/issues.jsonl": backlog(*(bead(name) for name in names)),
            ".oya/swarm.toml": CONFIG.format(agent=agent, more=more),
        },
    )


def landed(user: User, root: Path) -> set[str]:
    trailers = "--format=%(trailers:key=Bead,valueonly,separator=%x20)"
    return set(user.git(root, "log", trailers, "main").split())


def test_what_a_person_must_see_waits_for_approval_and_then_lands(user: User) -> None:
    root = project(user, "check", "refactor", "prose", "guarded")
    first = user.oya(root, "swarm")
    assert first.code == 3, first
    assert landed(user, root) == {"check"}
    for words in (
        "refactor  waits for oya approve (weak_contract): its contract is of kind preserve: the",
        "prose  waits for oya approve (weak_contract): its contract is of kind none: it is prose",
        "guarded  waits for oya approve (protected): changes check.sh",
        "oya approve guarded",
    ):
        assert words in first.out, first
    rows = user.oya(root, "beads", "--held", "--format", "json").json["beads"]
    holds = {row["id"]: row["hold"] for row in rows}
    weak = dict.fromkeys(("refactor", "prose"), "weak_contract")
    assert holds == weak | {"guarded": "protected"}
    assert "a person: protected (changes check.sh)" in user.oya(root, "why", "guarded").out
    shown = user.oya(root, "show", "guarded").out
    assert "changes check.sh" in shown, shown

    # The refactoring strayed once, and was told what to put back.
    told = [path.read_text() for path in (user.folder / "stage").glob("implementer-refactor-1-*")]
    assert any("to touch only src/**; put these back: docs/words.md" in one for one in told), told

    for name in ("refactor", "prose", "guarded"):
        said = user.oya(root, "approve", name)
        assert f"{name} is pending in landing" in said.out, said
    second = user.oya(root, "swarm")
    assert second.code == 0, second
    assert landed(user, root) == {"check", "refactor", "prose", "guarded"}
    assert "# faster" in user.git(root, "show", "main:check.sh")
    message = user.git(root, "log", "-1", "--grep=Bead: prose", "--format=%B", "main")
    assert "Contract-Kind: none" in message
    checked = user.oya(root, "verify")
    assert checked.code == 0, checked
    assert carrying(user) == []


def test_kinds_that_the_configuration_names_land_alone(user: User) -> None:
    more = f"unattended = {json.dumps(['behaviour', 'check', 'preserve', 'none'])}"
    root = project(user, "check", "refactor", "prose", more=more)
    said = user.oya(root, "swarm")
    assert said.code == 0, said
    assert landed(user, root) == {"check", "refactor", "prose"}
    checked = user.oya(root, "verify")
    assert checked.code == 0, checked
