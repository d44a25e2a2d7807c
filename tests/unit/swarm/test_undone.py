"""What was reverted on upstream is seen, whoever says so in whatever way git says it."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from oya.lifecycle.events import Undone
from oya.lifecycle.model import BeadState, Phase, Status
from oya.repository.port import Said
from oya.swarm.undone import hold_reverted, reverted

ONE, TWO = "1" * 40, "2" * 40
BY, LATER, LAST = "a" * 40, "b" * 40, "c" * 40


def revert(commit: str, of: str, more: str = "") -> Said:
    return Said(commit, f'Revert "x"\n\nThis reverts commit {of}.\n{more}')


@pytest.mark.parametrize("name", [ONE, ONE[:7], ONE[:12].upper()])
def test_a_revert_names_the_commit_whole_or_by_its_first_digits(name: str) -> None:
    assert reverted([revert(BY, name)], {ONE, TWO}) == {ONE: BY}


def test_fewer_digits_than_seven_name_nothing() -> None:
    assert reverted([revert(BY, ONE[:6])], {ONE}) == {}


def test_a_squash_of_several_reverts_names_them_all() -> None:
    squash = revert(BY, ONE, f"\n* Revert y\n\n    This reverts commit {TWO[:9]}.\n")
    assert reverted([squash], {ONE, TWO}) == {ONE: BY, TWO: BY}


def test_a_revert_that_was_reverted_is_none_until_it_is_made_again() -> None:
    news = [revert(BY, ONE)]
    news.insert(0, revert(LATER, BY[:10]))
    assert reverted(news, {ONE}) == {}
    news.insert(0, revert(LAST, LATER))
    assert reverted(news, {ONE}) == {ONE: BY}


def test_reverts_of_other_commits_are_nothing() -> None:
    assert reverted([revert(BY, LATER)], {ONE}) == {}


@dataclass
class News:
    """What a line knows; `dealt` counts how often it was dealt with."""

    said: list[Said] | None
    dealt: int = 0
    applied: list[tuple[str, str]] = field(default_factory=list)

    async def news(self) -> list[Said] | None:
        return self.said

    async def news_dealt_with(self) -> None:
        self.dealt += 1

    async def apply(self, bead: str, event: Undone) -> None:
        self.applied.append((bead, event.reason))


def landed(bead: str, commit: str, status: Status = Status.COMPLETE) -> BeadState:
    return BeadState(bead, phase=Phase.LANDED, status=status, commit=commit)


async def test_the_bead_of_a_reverted_commit_is_undone_and_the_news_is_dealt_with() -> None:
    line = News([revert(BY, ONE), revert(LATER, TWO)])
    states = [landed("a", ONE), landed("b", TWO, Status.HELD)]
    await hold_reverted(line, states, line.apply)  # type: ignore[arg-type]
    assert line.applied == [("a", f"{ONE[:9]} was reverted by {BY[:9]}")]
    assert line.dealt == 1


@pytest.mark.parametrize("status", [Status.COMPLETE, Status.HELD])
async def test_what_oyas_own_commits_say_is_the_text_of_a_bead(status: Status) -> None:
    line = News([revert(TWO, ONE)])
    states = [landed("a", ONE), landed("b", TWO, status)]
    await hold_reverted(line, states, line.apply)  # type: ignore[arg-type]
    assert (line.applied, line.dealt) == ([], 1)


async def test_without_news_nothing_is_written() -> None:
    line = News(None)
    await hold_reverted(line, [landed("a", ONE)], line.apply)  # type: ignore[arg-type]
    assert line.dealt == 0
