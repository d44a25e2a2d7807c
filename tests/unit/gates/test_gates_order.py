"""Orders in which tests are run once more."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from oya.gates.order import orders

names = st.lists(st.text("abcdef", min_size=1, max_size=3), unique=True, max_size=8)


@given(ids=names, seed=st.text(max_size=3), limit=st.integers(0, 10))
def test_each_is_the_same_tests_in_another_order(ids: list[str], seed: str, limit: int) -> None:
    made = orders(ids, seed, limit)
    assert len(made) <= limit
    assert made == orders(ids, seed, limit)
    for order in made:
        assert sorted(order) == sorted(ids)
        assert list(order) != ids


@given(ids=names, seed=st.text(max_size=3))
def test_given_the_room_each_test_has_come_first_once(ids: list[str], seed: str) -> None:
    firsts = [order[0] for order in (ids, *orders(ids, seed, 100)) if order]
    assert sorted(firsts) == sorted(ids)


def test_the_first_is_the_reverse_and_one_test_alone_has_none() -> None:
    assert orders(["a", "b", "c"], "s", 1) == [("c", "b", "a")]
    assert orders(["a", "a"], "s", 5) == []
