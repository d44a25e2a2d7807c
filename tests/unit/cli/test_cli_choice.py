"""`oya beads` takes the words that it prints."""

from __future__ import annotations

from dataclasses import replace

import pytest

from oya.cli import lines
from oya.cli.choice import chosen
from oya.errors import UsageError
from oya.lifecycle.model import BeadState, Phase, Status
from oya.swarm.report import bead_row

STATES = (
    BeadState("a"),
    BeadState("b", blocked=True),
    BeadState("c", checking=True),
    replace(BeadState("d"), status=Status.IN_PROGRESS, phase=Phase.REVIEW),
)
ROWS = [bead_row(state, {"title": state.id}) for state in STATES]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["id"])
def test_by_what_the_table_says(row: dict[str, object]) -> None:
    assert row in chosen(ROWS, phase=lines.phase(row), status=lines.state(row))


def test_only_those() -> None:
    assert [row["id"] for row in chosen(ROWS, phase="check", status="")] == ["c"]
    assert [row["id"] for row in chosen(ROWS, phase="", status="blocked")] == ["b"]
    assert [row["id"] for row in chosen(ROWS, phase="contract", status="pending")] == [
        "a",
        "b",
        "c",
    ]
    with pytest.raises(UsageError, match="There is no phase 'chek'"):
        chosen(ROWS, phase="chek", status="")
