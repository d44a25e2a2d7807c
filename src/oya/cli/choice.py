"""Names that people type, checked against those that exist."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

from oya.errors import UsageError

CHECK = "check"
"""How the table calls the planner's part of the contract."""
BLOCKED = "blocked"
"""How the table calls what waits for other beads."""


def one_of(what: str, name: str, known: Sequence[str]) -> str:
    """`name`, if it is known; otherwise `UsageError` with the nearest that is."""
    if name in known:
        return name
    near = difflib.get_close_matches(name, known, 1, 0.5)
    hint = f"Did you mean {near[0]}?" if near else f"Known: {', '.join(known)}."
    raise UsageError(f"There is no {what} {name!r}.", hint=hint)


def chosen(rows: Iterable[dict[str, Any]], *, phase: str, status: str) -> list[dict[str, Any]]:
    """The rows of `oya beads` that were asked for, by the words of JSON or of the table."""
    from oya.lifecycle.model import Phase, Status

    if phase:
        one_of("phase", phase, [*map(str, Phase), CHECK])
    status = status.replace(" ", "_")
    if status:
        one_of("status", status, [*map(str, Status), BLOCKED])
    return [
        row
        for row in rows
        if (not phase or phase in (row["phase"], row["checking"] and CHECK))
        and (not status or status in (row["status"], row["blocked"] and BLOCKED))
    ]


def schema_of(role: str) -> dict[str, Any]:
    """The JSON schema of a role's answer."""
    from oya.agents.answers import MODELS
    from oya.lifecycle.model import Role

    name = one_of("role", role.replace("-", "_"), [str(r) for r in Role])
    return MODELS[Role(name)].model_json_schema()
