"""A repository that costs nothing to judge: words in text files, and a shell script for an agent.

Each bead wants the file `words/BEAD.txt`; its contract is one `grep`, its gate `sh check.sh`.
The agent is written from docs/pipeline.md alone. Tests tell it what to do by files in a folder
of their own (`Stage`): it can be made to wait in the middle of a turn, or to misbehave.
"""

from __future__ import annotations

import json
import os
import select
from collections import deque
from pathlib import Path
from typing import Any

from kit.user import User, write

AGENT = r"""#!/bin/sh
# The backend: plays its role on the one bead that it is given.
set -eu
stage=@STAGE@
cat > "$stage/prompt-$OYA_ROLE-$OYA_BEAD-$OYA_ATTEMPT"
if [ -e "$stage/wait-$OYA_ROLE-$OYA_BEAD" ]; then
  echo "$OYA_ROLE $OYA_BEAD" > "$stage/arrived"
  read -r _ < "$stage/go"
fi
if [ -e "$stage/die-$OYA_ROLE" ]; then kill -9 $$; fi
file="words/$OYA_BEAD.txt"
case "$OYA_ROLE" in
test_writer)
  wanted="grep -q $OYA_BEAD $file"
  if [ -e "$stage/green-$OYA_BEAD" ]; then wanted=true; fi
  cat > "$OYA_OUTPUT" <<END
{"kind": "check", "why": "a word in a file",
 "checks": [{"command": "$wanted", "expect": 0, "why": "the word", "clause": "AC1"}]}
END
  ;;
implementer)
  mkdir -p words
  echo "$OYA_BEAD, attempt $OYA_ATTEMPT" > "$file"
  if [ -e "$stage/latin" ]; then echo "$OYA_BEAD" > "$(printf 'words/caf\351.txt')"; fi
  ;;
reviewer)
  cat > "$OYA_OUTPUT" <<END
{"challenges": [{"command": "test -s $file", "expect": 0, "why": "empty", "clause": "AC1"}]}
END
  ;;
planner)
  echo '{"verdict": "accept", "findings": []}' > "$OYA_OUTPUT"
  ;;
esac
"""

CONFIG = """\
[defaults]
target_beads = {target}
test_writers = 2
implementers = 2
reviewers = 2
planner = false
backend = "shell"

[backends.shell]
kind = "command"
command = ["sh", "{agent}"]
max_sessions = 4

[quality-gates]
ci = ["sh check.sh"]

[execution]
max_attempts = 1
fix_rounds = 0

[sandbox]
kind = "none"
"""

CHECK = """\
for file in words/*.txt; do
  test -s "$file" || { echo "$file is empty"; exit 1; }
done
"""


class Stage:
    """What the agent is told to do, and where it stands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        for name in ("arrived", "go"):
            os.mkfifo(folder / name)
        # Both ways, so that opening never waits and no end is seen between two writers.
        self._arrived = os.open(folder / "arrived", os.O_RDWR)
        self._go = os.open(folder / "go", os.O_RDWR)
        self._heard: deque[str] = deque()

    def wait_in(self, role: str, bead: str) -> None:
        """That turn is to stand still, until `go`."""
        (self.folder / f"wait-{role}-{bead}").touch()

    def arrived(self, timeout: float = 100.0) -> str:
        """ "ROLE BEAD" of a turn that stands still now; each is told once."""
        if not self._heard:
            ready, _, _ = select.select([self._arrived], [], [], timeout)
            assert ready, "no turn came to stand still"
            self._heard += os.read(self._arrived, 4096).decode().splitlines()
        return self._heard.popleft()

    def go(self, turns: int = 1) -> None:
        """That many turns that stand still go on; none will stand still any more."""
        for path in self.folder.glob("wait-*"):
            path.unlink()
        os.write(self._go, b"\n" * turns)

    def tell(self, name: str) -> Path:
        """Lay down a file that the agent looks for."""
        path = self.folder / name
        path.touch()
        return path

    def prompt(self, role: str, bead: str, attempt: int) -> str:
        """What the agent was told."""
        return (self.folder / f"prompt-{role}-{bead}-{attempt}").read_text()

    def close(self) -> None:
        os.close(self._arrived)
        os.close(self._go)


def bead(name: str, **other: Any) -> dict[str, Any]:
    """One line of the backlog."""
    return {
        "id": name,
        "title": f"Write {name}",
        "description": f"words/{name}.txt is to say {name}.",
        "acceptance_criteria": f"words/{name}.txt says {name}",
        "status": "open",
        "priority": 1,
        "issue_type": "task",
        "created_at": "2026-01-01T00:00:00Z",
        **other,
    }


def backlog(*beads: dict[str, Any]) -> str:
    """The tracker's file."""
    return "".join(f"{json.dumps(row)}\n" for row in beads)


def words(
    user: User, *names: str, target: int | None = None, more: str = "", name: str = "words"
) -> Path:
    """The repository with a bead for each name. `more` is added to its configuration."""
    agent = user.folder / "agent.sh"
    write(user.folder, {"agent.sh": AGENT.replace("@STAGE@", str(user.folder / "stage"))})
    return user.repository(
        name,
        {
            "words/begin.txt": "begin\n",
            "check.sh": CHECK,
            ".beads/issues.jsonl": backlog(*(bead(one) for one in names)),
            ".oya/swarm.toml": CONFIG.format(target=target or len(names), agent=agent) + more,
        },
    )
