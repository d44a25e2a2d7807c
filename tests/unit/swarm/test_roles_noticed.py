"""Other work that planners and reviewers notice is kept with the bead, whatever their verdict."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from review_kit import PLANNED, Review
from roles_kit import at, contracted, plan

from oya.lifecycle.events import (
    CannotDo,
    CheckAccepted,
    CheckRevised,
    Contested,
    Defended,
    Forfeited,
)

NOTICED = [{"title": "the readme is old", "description": "it names two"}]
MORE = [{"title": "a typo", "description": ""}]
HELD: dict[str, str | None] = {"new.py": "def double(n):\n    return n * 2\n", "here.txt": "x\n"}
SURVIVES = {"command": "test ! -e here.txt", "why": "it has to", "clause": "P1"}


@pytest.mark.parametrize(
    ("verdict", "event"),
    [
        ({"verdict": "accept"}, CheckAccepted),
        ({"verdict": "revise", "findings": ["no"]}, CheckRevised),
        ({"cannot": "unclear", "why": "no"}, CheckRevised),
    ],
    ids=["accept", "revise", "cannot"],
)
async def test_a_planners(
    own_git: None, tmp_path: Path, verdict: dict[str, Any], event: type[Any]
) -> None:
    async with at(tmp_path) as world:
        contract = await contracted(world, {}, kind="check")
        result, _ = await plan(world, contract, lambda *_: {**verdict, "discovered": NOTICED})
    assert isinstance(result.event, event)
    assert result.data["discovered"] == NOTICED


@pytest.fixture
async def review(tmp_path: Path) -> AsyncIterator[Review]:
    answer = {"postconditions": ["it doubles"]}
    about: dict[str, Any] = {"review": "variants = 0\nrounds = 2", "answer": answer}
    async with Review.of(tmp_path, HELD, **about) as review:
        yield review


@pytest.mark.parametrize(
    ("verdict", "event"),
    [
        ({"challenges": [SURVIVES]}, Contested),
        ({"challenges": [{**SURVIVES, "contradicts": PLANNED[0]}]}, Forfeited),
        ({"cannot": "needs_person", "why": "no"}, CannotDo),
        ({"challenges": []}, Defended),
    ],
    ids=["contested", "forfeit", "cannot", "defended"],
)
async def test_a_reviewers_in_all_its_answers(
    review: Review, verdict: dict[str, Any], event: type[Any]
) -> None:
    first = {"challenges": [], "discovered": NOTICED}
    second = {**verdict, "discovered": [*MORE, *NOTICED]}
    result = await review.work(review.attempt(first, second))
    assert isinstance(result.event, event)
    assert result.data["discovered"] == [*NOTICED, *MORE]


async def test_nobody_is_said_to_have_noticed_anything_who_has_not(review: Review) -> None:
    result = await review.work(review.attempt({"challenges": [SURVIVES]}))
    assert "discovered" not in result.data
