"""The story looked up the way a swarm does: who plays what at which bead, and in which order."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from functools import cached_property

from oya.demo.story.load import Table, backlog, scenario, troubles


class Untrue(AssertionError):
    """The story says something that does not happen."""


@dataclass
class Story:
    """The scenario and the backlog, looked up the way a swarm does."""

    scenario: Table = field(default_factory=scenario)

    @cached_property
    def criteria(self) -> dict[str, int]:
        """How many acceptance criteria each bead has, in the order of the backlog."""
        texts = {bead["id"]: bead["acceptance_criteria"] for bead in backlog()}
        return {bead: len(text.splitlines()) for bead, text in texts.items()}

    @cached_property
    def needs(self) -> dict[str, list[str]]:
        """Which beads each one waits for."""
        return {
            bead["id"]: [edge["depends_on_id"] for edge in bead.get("dependencies", [])]
            for bead in backlog()
        }

    @cached_property
    def landing(self) -> list[str]:
        """The beads that land: all but those that turn out to be done already."""
        done = {trouble.bead for trouble in troubles() if trouble.kind == "done"}
        return [bead for bead in self.needs if bead not in done]

    def entry(self, bead: str, role: str, attempt: int = 99) -> Table:
        """The entry that is played: of the bead or else of all, the highest up to `attempt`."""
        for name in (bead, "*"):
            found = [e for e in self.scenario["entries"] if e["bead"] == name and e["role"] == role]
            found = [e for e in found if e["attempt"] <= attempt]
            if found:
                return max(found, key=lambda entry: int(entry["attempt"]))
        raise Untrue(f"{bead} has no session of a {role} at attempt {attempt}")

    def contract(self, bead: str) -> Table:
        """The answer of the test writer who gets it right."""
        answer: Table = self.entry(bead, "test_writer")["steps"][-1]["answer"]
        return answer

    def order(self, seed: int) -> list[str]:
        """The beads that land, in a random order that the dependencies allow."""
        chance = random.Random(seed)  # noqa: S311
        order: list[str] = []
        while len(order) < len(self.landing):
            ready = [b for b in self.landing if b not in order and {*self.needs[b]} <= {*order}]
            order.append(chance.choice(ready))
        return order

    def below(self, bead: str) -> list[str]:
        """All that a bead waits for, directly or not, in an order in which it can land."""
        found: dict[str, None] = {}
        for need in self.needs[bead]:
            found.update(dict.fromkeys([*self.below(need), need]))
        return list(found)

    def levels(self, seed: int = 0) -> list[list[str]]:
        """The beads that land, by the length of the longest chain before them.

        The seed chooses the order within a level.
        """
        depth: dict[str, int] = {}
        for bead in self.order(seed):
            depth[bead] = max((depth[need] + 1 for need in self.needs[bead]), default=0)
        return [[b for b in depth if depth[b] == level] for level in range(max(depth.values()) + 1)]
