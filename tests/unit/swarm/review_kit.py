"""A review of a small Python project, with what the backend says played by the test."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from swarm_kit import World, contract

from oya.agents.answers import ReviewerAnswer
from oya.lifecycle.model import BeadState, Phase, replace
from oya.store.engine import Put
from oya.swarm.agents.reviewer import ReviewerActor
from oya.swarm.attempt import Attempt, Result
from oya.swarm.contract import Contract
from oya.swarm.messages import Claim

BASE: dict[str, str | None] = {
    "conftest.py": "",
    "old.py": "def one():\n    return 1\n",
    "tests/test_old.py": "from old import one\n\ndef test_one():\n    assert one() == 1\n",
    ".gitignore": "__pycache__/\n",
}
TEST: dict[str, str | None] = {
    "tests/test_new.py": "from new import double\n\ndef test_double():\n    assert double(2) == 4\n"
}
PLANNED = ("tests/test_new.py::test_double",)
CONFIG = """
[quality-gates.tests]
command = "{pytest} -q -p no:cacheprovider {{tests}} --junitxml={{report}}"
[review]
{review}
"""


class Played(Attempt):
    """An attempt whose backend says what the test gave it."""

    def __init__(self, *about: Any, answers: tuple[dict[str, Any], ...]) -> None:
        super().__init__(*about)
        self.prompts: list[str] = []
        self._left = [*answers]

    async def prompt(self, text: str) -> None:
        self.prompts.append(text)

    async def full_answer(self, model: type[Any]) -> Any:
        return ReviewerAnswer.model_validate(self._left.pop(0))


@dataclass
class Review:
    """One implementation under review, as its bead `a` comes to it."""

    world: World
    contract: Contract
    state: BeadState
    commands: list[str] = field(default_factory=list)
    epoch: int = 2

    @classmethod
    @asynccontextmanager
    async def of(
        cls,
        tmp_path: Path,
        work: dict[str, str | None],
        test: dict[str, str | None] = TEST,
        planned: tuple[str, ...] = PLANNED,
        *,
        review: str = "variants = 6",
        place: str = ".",
        **about: Any,
    ) -> AsyncIterator[Review]:
        pytest = f"cd {place} && {sys.executable} -B -m pytest"
        more = CONFIG.format(pytest=pytest, review=review)
        async with World.at(tmp_path, more=more, ci="true") as world:
            base = await world.made(world.line.base, BASE)
            red = await world.made(base, test)
            made: dict[str, Any] = {
                "test_files": tuple(test),
                "frozen": tuple(test),
                "fail_to_pass": planned,
            }
            made |= {"base": base, "kind": "behaviour", **about}
            accepted = contract("a", red, **made)
            head = await world.made(red, work)
            state = BeadState(
                "a",
                phase=Phase.REVIEW,
                base=base,
                contract=red,
                implementation=head,
            )
            yield cls(world, accepted, state)._listening()

    def _listening(self) -> Review:
        gates, run = self.world.parts.gates, self.world.parts.gates.command

        async def command(
            commit: str, line: str, *, timeout: float, ids: Sequence[str] | None = None
        ) -> Any:
            self.commands.append(line if ids is None else line.replace("{tests}", " ".join(ids)))
            return await run(commit, line, timeout=timeout, ids=ids)

        gates.command = command  # type: ignore[method-assign]
        return self

    def attempt(self, *answers: dict[str, Any], **state: Any) -> Played:
        """An attempt at the review; `state` says how the bead came to it otherwise."""
        self.epoch += 1
        known = replace(self.state, epoch=self.epoch, **state)
        claim = Claim("a", self.epoch, 1, "reviewer-1", "agent", self.world.line.base, known)
        return Played(self.world.parts, claim, answers=answers)

    async def work(self, attempt: Played) -> Result:
        """What the reviewer comes to; what belongs in the same commit is written."""
        store = self.world.store
        await store.contracts.put("a", self.contract.to_json())
        actor = ReviewerActor(self.world.parts, "reviewer-1", "agent", None, None)  # type: ignore[arg-type]
        async with attempt:
            result = await actor.work(attempt)
        for write in result.also:
            assert isinstance(write, Put)
            await store.checkpoints.put(write.key, write.row)
        return result
