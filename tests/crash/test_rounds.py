"""A slice of `make crash`: two runs, whose kills are written down."""

from __future__ import annotations

from pathlib import Path

import pytest
from crash_rounds import Kill, Run, Tally

RUNS = {
    "tracked": (
        "store.sequence_written store.migrated tracker.added store.committed:14 "
        "workspace.set_out resume.harvested gate.recorded landing.intended resume.dropped "
        "landing.line_moved resume.completed"
    ),
    "untracked": "line.begun guards@1.50 attempt.ending landing.landed tracker.renamed "
    "tracker.closed store.closed@0.20 outside@0.90",
}


@pytest.mark.parametrize("kind", RUNS)
def test_after_any_death_nothing_is_lost_and_nothing_doubled(kind: str, tmp_path: Path) -> None:
    tally, kills = Tally(), tuple(map(Kill.parse, RUNS[kind].split()))
    run = Run(0, tally, tmp_path / "run", given=kills, tracked=kind == "tracked")
    run.go()
    assert run.wrong == []
    assert tally.hits.total() == len(kills), tally.hits
