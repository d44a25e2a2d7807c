"""A repository in another language: its own test command, and a shell script for an agent."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from kit.terminal import CTRL_C, Terminal
from kit.user import User, carrying, picture, write
from kit.words import Stage, backlog

AGENT = r"""#!/bin/sh
# A backend for oya, from docs/pipeline.md: who I am stands in the environment, what I have to
# say goes into $OYA_OUTPUT, what I do I do to the files around me.
set -eu
case "$OYA_BEAD" in
js-1) name=area;      in='3, 4'; out=12; code='(a, b) => a * b' ;;
js-2) name=perimeter; in='3, 4'; out=14; code='(a, b) => 2 * (a + b)' ;;
js-3) name=diagonal;  in='3, 4'; out=5;  code='(a, b) => Math.hypot(a, b)' ;;
esac
if [ -e "@STAGE@/wait-$OYA_ROLE-$OYA_BEAD" ]; then
  echo "$OYA_ROLE $OYA_BEAD" > "@STAGE@/arrived"
  read -r _ < "@STAGE@/go"
fi
test="test/$name.test.js"
case "$OYA_ROLE" in
test_writer)
  cat > "$test" <<END
const test = require("node:test");
const assert = require("node:assert");
const { $name } = require("../lib/$name.js");

test("$name of three by four", () => assert.strictEqual($name($in), $out));
END
  cat > "$OYA_OUTPUT" <<END
{"kind": "behaviour", "why": "one example",
 "test_plan": [{"id": "$test::$name of three by four", "kind": "happy", "given": "3 by 4",
                "when": "$name", "then": "$out", "covers": ["AC1"]}],
 "test_files": ["$test"], "touches": ["lib/$name.js"]}
END
  ;;
planner)
  echo '{"verdict": "accept", "findings": []}' > "$OYA_OUTPUT"
  ;;
implementer)
  echo "exports.$name = $code;" > "lib/$name.js"
  ;;
reviewer)
  cat > "$OYA_OUTPUT" <<END
{"challenges": [{"command": "node -e 'process.exit(require(\"./lib/$name.js\").$name($in))'",
                 "expect": $out, "why": "the same from outside", "clause": "AC1"}]}
END
  ;;
esac
"""

BY_HAND = """
[defaults]
backend = "shell"

[backends.shell]
kind = "command"
command = ["sh", "{agent}"]

[contract]
repeat = 1

[sandbox]
kind = "none"
"""


def row(number: int, name: str) -> dict[str, object]:
    return {
        "id": f"js-{number}",
        "title": f"The {name} of a rectangle",
        "acceptance_criteria": f"{name}(a, b) is the {name} of a by b",
        "status": "open",
        "priority": number,
        "issue_type": "feature",
        "created_at": "2026-01-01T00:00:00Z",
    }


@pytest.fixture
def root(user: User) -> Path:
    if shutil.which("npm") is None:
        pytest.skip("npm is not there, so no repository in JavaScript can be judged")
    write(user.folder, {"agent.sh": AGENT.replace("@STAGE@", str(user.folder / "stage"))})
    return user.repository(
        "rectangle",
        {
            "package.json": json.dumps({"name": "rectangle", "scripts": {"test": "node --test"}}),
            "lib/side.js": "exports.side = (a) => a;\n",
            "test/side.test.js": (
                'require("node:test")("a side", () => '
                'require("node:assert").strictEqual(require("../lib/side.js").side(3), 3));\n'
            ),
            ".gitignore": "node_modules/\n",
            ".beads/issues.jsonl": backlog(row(1, "area"), row(2, "perimeter"), row(3, "diagonal")),
        },
    )


def configured(user: User, root: Path) -> None:
    """`oya init`, then what it asks for, by hand, and the commit that it names."""
    said = user.oya(root, "init")
    assert said.code == 0, said
    assert 'quality-gates.ci = ["npm test"]' in said.out
    assert 'quality-gates.tests.command = "node --test {tests}"' in said.out
    assert "backend" in said.err
    refused = user.oya(root, "doctor", "--quick")
    assert (refused.code, "No backend is named" in refused.out) == (2, True), refused
    with (root / ".oya/swarm.toml").open("a") as file:
        file.write(BY_HAND.format(agent=user.folder / "agent.sh"))
    assert said.out.splitlines()[-1].startswith("git add .oya/swarm.toml && git commit")
    user.git(root, "add", ".oya/swarm.toml")
    user.git(root, "commit", "-q", "-m", "Configure oya")


def test_three_beads_land_though_it_was_interrupted(user: User, stage: Stage, root: Path) -> None:
    configured(user, root)
    before = picture(user.folder, user.runtime)
    dry = user.oya(root, "swarm", "--dry-run", "--target", "3", "--format", "json")
    assert dry.code == 0, dry
    assert [one["id"] for one in dry.json["first_beads"]] == ["js-1", "js-2", "js-3"]
    assert picture(user.folder, user.runtime) == before, "a dry run changes nothing"

    doctor = user.oya(root, "doctor")
    assert doctor.code == 0, doctor
    assert user.git(root, "status", "--porcelain") == ""

    # Ctrl+C in the middle: the turn under way is waited for, then all is put away.
    stage.wait_in("implementer", "js-2")
    terminal = Terminal(user, root, "swarm", "--target", "3")
    assert stage.arrived() == "implementer js-2"
    terminal.until("implementer-")
    terminal.type(CTRL_C)
    terminal.until("Stopping: waits for")
    stage.go()
    assert terminal.end() == 5, terminal.shown
    assert "Stopped: landed" in terminal.shown
    assert "Nothing is left running." in terminal.shown
    assert "Traceback" not in terminal.shown
    assert carrying(user) == []
    assert user.git(root, "status", "--porcelain") == ""

    said = user.oya(root, "swarm")
    assert said.code == 0, said
    assert "Landed 3/3 beads" in said.out
    assert user.git(root, "status", "--porcelain") == ""
    subjects = user.git(root, "log", "--format=%s", "-3", "main").splitlines()
    assert sorted(subjects) == [
        "The area of a rectangle",
        "The diagonal of a rectangle",
        "The perimeter of a rectangle",
    ]
    closed = [json.loads(line)["status"] for line in (root / ".beads/issues.jsonl").open()]
    assert closed == ["closed"] * 3
    assert sorted(os.listdir(root / "lib")) == ["area.js", "diagonal.js", "perimeter.js", "side.js"]
    assert carrying(user) == []
