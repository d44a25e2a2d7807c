"""What a bead changes, from git."""

from __future__ import annotations

import subprocess
from typing import Any

from oya.errors import UsageError
from oya.repository.environment import git_environment
from oya.repository.places import Place

DEADLINE = 30.0


def diff_of(place: Place, bead: dict[str, Any]) -> str:
    """The landed commit's change, or that of the newest accepted or kept work."""
    landed, base = bead["commit"], bead["base"]
    head = bead["implementation"] or bead["snapshot"] or bead["contract"]
    if landed:
        span = f"{landed}^..{landed}"
    elif head and base and isinstance(head, str):
        span = f"{base}...{head}"
    else:
        raise UsageError(
            f"{bead['id']} has changed nothing yet.", hint=f"oya why {bead['id']} tells more."
        )
    done = subprocess.run(
        ("git", "diff", "--no-ext-diff", span),
        cwd=place.root,
        env=git_environment(),
        capture_output=True,
        timeout=DEADLINE,
        check=False,
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise UsageError(f"git cannot show it: {said[:300]}")
    return done.stdout.decode(errors="replace")
