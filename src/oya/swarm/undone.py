"""What has landed and is no more: lost in a rewrite of upstream, or reverted there."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence

from oya.lifecycle.events import Undone
from oya.lifecycle.model import BeadState
from oya.repository.port import Repository, Said
from oya.swarm.line import Line

Apply = Callable[[str, Undone], Awaitable[object]]
_REVERTS = re.compile(r"\bthis reverts commit ([0-9a-f]{7,64})\b", re.IGNORECASE)


async def hold_lost(
    repo: Repository, line: Line, states: Iterable[BeadState], apply: Apply
) -> None:
    """Hold as undone every landed bead whose commit upstream does not contain."""
    if line.upstream is None:
        return
    for state in _landed(states):
        assert state.commit is not None
        if not await repo.is_ancestor(state.commit, line.upstream):
            await apply(state.id, Undone(f"{state.commit[:9]} is no longer on {line.place}"))


async def hold_reverted(line: Line, states: Iterable[BeadState], apply: Apply) -> None:
    """Hold as undone every landed bead whose commit was reverted on upstream.

    Only commits that came to upstream since this was asked last are looked at; it may be asked
    again after it has failed in the middle.
    """
    news = await line.news()
    if news is None:
        return
    states = tuple(states)
    landed = {state.commit: state.id for state in _landed(states) if state.commit}
    own = {state.commit for state in states if state.commit}
    for commit, by in reverted([s for s in news if s.commit not in own], landed).items():
        await apply(landed[commit], Undone(f"{commit[:9]} was reverted by {by[:9]}"))
    await line.news_dealt_with()


def reverted(news: Sequence[Said], landed: Collection[str]) -> dict[str, str]:
    """Landed commit → the commit that reverts it, and that nothing newer reverts.

    `news` newest first, without what oya landed: such a commit has a bead's text.
    """
    gone: dict[str, str] = {}
    for said in news:
        if _among(said.commit, gone):
            continue
        for name in _REVERTS.findall(said.message):
            gone.setdefault(name.lower(), said.commit)
    found = {commit: _among(commit, gone) for commit in landed}
    return {commit: by for commit, by in found.items() if by}


def _among(commit: str, gone: dict[str, str]) -> str:
    """What reverts the commit, if anything; it may be named by its first digits."""
    return next((by for name, by in gone.items() if commit.startswith(name)), "")


def _landed(states: Iterable[BeadState]) -> list[BeadState]:
    return [state for state in states if state.has_landed and state.commit]
