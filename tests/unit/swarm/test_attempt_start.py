"""Where an attempt begins, and against which base its work is judged."""

from __future__ import annotations

import pytest
from swarm_kit import World

from oya.errors import GitError
from oya.lifecycle.model import BeadState, Phase, replace
from oya.swarm.attempt import Attempt, on_new_base, starting_point
from oya.swarm.messages import Claim


def test_a_contract_goes_on_from_its_snapshot_with_the_base_of_the_claim_merged_in() -> None:
    """It is judged against that base: what landed meanwhile is nobody's edit."""
    state = BeadState("a", phase=Phase.CONTRACT, base="old", snapshot="half")
    assert on_new_base(state)
    assert starting_point(state, "new") == ("half", ("new",))


def test_an_implementation_goes_on_from_its_snapshot_on_the_base_of_its_contract() -> None:
    state = BeadState("a", phase=Phase.IMPLEMENTATION, base="old", contract="red", snapshot="half")
    assert not on_new_base(state)
    assert starting_point(state, "new") == ("half", ())


def test_rework_goes_on_from_its_snapshot_on_the_new_base() -> None:
    state = BeadState("a", phase=Phase.IMPLEMENTATION, contract="red", snapshot="half", rework=True)
    assert starting_point(state, "new") == ("half", ("new",))


async def test_a_bead_begins_from_the_base_where_what_it_came_to_before_is_gone(
    world: World,
) -> None:
    """Opened again when retention has let its attempts go: each attempt failed as internal."""
    gone = "1234567890" * 4
    state = BeadState("a", phase=Phase.CONTRACT, contract=gone, agent="x-1", epoch=7)
    claim = Claim("a", 7, 1, "x-1", "agent", world.line.base, state)
    async with Attempt(world.parts, claim) as attempt:
        assert attempt.workspace.start == world.line.base

    missing = Claim("a", 8, 1, "x-1", "agent", gone, replace(state, contract=None, epoch=8))
    with pytest.raises(GitError):
        async with Attempt(world.parts, missing):
            raise AssertionError("there is nothing to begin from")
