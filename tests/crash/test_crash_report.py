"""What `make crash` says in the end, and its exit code."""

from __future__ import annotations

from pathlib import Path

import pytest
import run
from crash_rounds import ELSEWHERE, HERE, OLD, Tally

from oya.crashpoints import POINTS


def test_every_point_is_in_it() -> None:
    lines = list(run.report(Tally(runs=2), seconds=1.0))
    names = [line.split()[0] for line in lines if line.startswith("  ")]
    assert sorted(names) == sorted(POINTS)
    named = [line.split() for line in lines if line.split()[:1] and line.split()[0] in ELSEWHERE]
    assert {words[0]: words[-1] for words in named} == ELSEWHERE


@pytest.mark.parametrize("name", ["landing.noted", "retention.ref_gone"])
@pytest.mark.parametrize(("rounds", "hits", "code"), [(500, 5, 0), (500, 4, 1), (499, 4, 0)])
def test_of_many_rounds_a_point_that_was_hit_too_seldom_is_a_failure(
    *,
    name: str,
    rounds: int,
    hits: int,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def many(_: object, tally: Tally, *__: object) -> None:
        tally.hits.update(dict.fromkeys((*HERE, *OLD), 9) | {name: hits})

    monkeypatch.setattr(run, "_many", many)
    monkeypatch.setattr(run, "_old", lambda *_: None)
    given = [str(rounds), "--report", str(tmp_path / "report.txt")]
    assert run.main(given) == code
    said = capsys.readouterr().out.splitlines()
    assert said == (tmp_path / "report.txt").read_text().splitlines()
    assert said[-1].startswith(f"too seldom       {name}") == (code == 1)


def test_many_rounds_go_on_a_little_for_what_had_bad_luck() -> None:
    tally = Tally()
    tally.hits.update(dict.fromkeys(HERE, 9) | {"landing.noted": 4})
    assert not run._is_enough(tally, 500)
    tally.hits["landing.noted"] = 5
    assert run._is_enough(tally, 500)
    tally.hits.update({"landing.noted": -1, "gate.ran": 100})
    assert run._is_enough(tally, 500)
    assert not run._is_enough(tally, 800)
    assert run._is_enough(tally, 499)
