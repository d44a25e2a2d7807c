"""What fails is made small, and what is printed plays it again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from mutants import MUTANTS

from oya.testing.simulation import check
from oya.testing.simulation.__main__ import parser, planned
from oya.testing.simulation.check import play
from oya.testing.simulation.many import Found, one
from oya.testing.simulation.plan import Plan, draw
from oya.testing.simulation.shrink import Shrinker, command

BUG = next(m for m in MUTANTS if m.name == "the_line_moves_before_the_intent_is_durable")


def typed(words: str) -> Plan:
    return planned(parser().parse_args(words.split()[3:]))


def promises(plan: Plan) -> set[str]:
    return {breach.promise for breach in play(plan)[1]}


def test_a_planted_bug_is_made_small_and_the_command_breaks_the_same_promise() -> None:
    drawn = draw(1)
    plan = drawn.only([bead.id for bead in drawn.beads[:6]], range(3))
    assert promises(plan) == set()
    with BUG.planted():
        broken = promises(plan)
        shrinker = Shrinker(plan, most=60)
        small = shrinker.shrink()
        again = typed(command(small))

        assert again == small
        assert promises(again) & broken
    assert (len(small.beads), small.faults) == (1, ())
    assert shrinker.runs <= 60


@pytest.mark.parametrize("seed", range(1, 9))
def test_the_command_says_all_of_a_plan(seed: int) -> None:
    plan = draw(seed)
    assert typed(command(plan)) == plan
    changed = replace(plan, harsh=0.0, planner=False, review=False, deploy=True, target=1)
    assert typed(command(changed)) == changed
    bare = plan.only([], [])
    assert typed(command(bare)) == bare
    assert "--beads none --faults none" in command(bare)


def test_without_a_bead_there_is_nothing_to_break() -> None:
    assert promises(draw(1).only([], [])) == set()


def test_a_run_that_raises_is_a_breach_with_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(plan: Plan) -> None:
        raise ValueError("not of the swarm")

    monkeypatch.setattr(check, "run", run)
    found = Found()
    one(7, found)

    assert found.broken == {7: ["it_raises: ValueError('not of the swarm')"]}
    assert found.seeds == 1
    assert promises(Shrinker(draw(7, beads=2)).shrink()) == {"it_raises"}
