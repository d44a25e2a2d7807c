"""A slice of `make crash`: two runs, whose kills are written down."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from crash_checker import Evidence, what_was_heard_is_there
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
    assert tally.heard > 100
    assert tally.hits.total() == len(kills), tally.hits


@pytest.mark.parametrize(
    ("heard", "breaches"),
    [
        ([{"seq": 1, "event": "added"}, {"seq": 2, "event": "claimed"}], 0),
        ([{"seq": 2, "event": "landed"}], 1),
        ([{"seq": 1, "event": "added"}, {"seq": 3, "event": "landed"}], 1),
    ],
    ids=["as it was told", "another word", "gone"],
)
def test_what_was_told_and_is_not_in_the_log_is_a_breach(heard: list[Any], breaches: int) -> None:
    log = [{"seq": 1, "event": "added"}, {"seq": 2, "event": "claimed"}]
    ground: Any = SimpleNamespace(heard=heard)
    found = Evidence(ground, running=[], events=log, verified={}, commits=[], refs={})
    assert len(list(what_was_heard_is_there(found))) == breaches
