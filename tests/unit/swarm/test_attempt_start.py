"""Where an attempt begins, and against which base its work is judged."""

from __future__ import annotations

from oya.lifecycle.model import BeadState, Phase
from oya.swarm.attempt import on_new_base, starting_point


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
