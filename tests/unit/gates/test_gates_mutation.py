"""Small changes of Python that a test should notice."""

from __future__ import annotations

import ast
import random

from hypothesis import given
from hypothesis import strategies as st

from oya.gates import ablation, mutation, variant
from oya.gates.mutation import mutants
from oya.gates.variant import Variant

SOURCE = '''\
def price(count: int = 1, free: bool = False) -> int:
    """At most 10."""
    if free or not count:
        return 0
    if count < 0:
        raise ValueError("below 0")
    audit(count)
    log.debug(count)
    total = count * 3
    total += 1
    return total if "é" in NAMES and (count
        >= 10) else f"{count + 1}"
'''


def made(text: str, lines: set[int] | None = None, seed: str = "s") -> list[Variant]:
    known = lines or set(range(1, text.count("\n") + 2))
    return list(mutants("x.py", text.encode(), known, seed))


def test_each_kind_of_change() -> None:
    assert {(v.first, v.how) for v in made(SOURCE)} == {
        (1, "`1` made `2`"),
        (1, "`False` made `True`"),
        (3, "`free or not count` made `False`"),
        (3, "`free or not count` made `free and (not count)`"),
        (3, "`not count` made `count`"),
        (4, "`return 0` made `return None`"),
        (4, "`0` made `1`"),
        (5, "`count < 0` made `False`"),
        (5, "`count < 0` made `count <= 0`"),
        (5, "`0` made `1`"),
        (7, "`audit(count)` made `pass`"),
        (9, "`count * 3` made `count / 3`"),
        (9, "`3` made `4`"),
        (10, "`total += 1` made `total -= 1`"),
        (10, "`1` made `2`"),
        *((11, how) for how in how_line_11()),
        (12, "`10` made `11`"),
    }


def how_line_11() -> list[str]:
    whole = "total if 'é' in NAMES and count >= 10 else f'{count + 1}'"
    test = "'é' in NAMES and count >= 10"
    return [
        f"`return {whole}` made `return None`",
        f"`{whole}` made `total if False else f'{{count + 1}}'`",
        f"`{test}` made `'é' in NAMES or count >= 10`",
        "`'é' in NAMES` made `'é' not in NAMES`",
        "`count >= 10` made `count > 10`",
    ]


def test_all_but_the_place_stays_as_it_is_byte_for_byte() -> None:
    (found,) = [v for v in made(SOURCE) if v.how == "`count >= 10` made `count > 10`"]
    old = "(count\n        >= 10)"
    assert found.data == SOURCE.replace(old, "((count > 10))").encode()
    assert found.where == "x.py:11-12"


def test_every_mutant_is_a_program_and_another_one() -> None:
    for found in made(SOURCE):
        assert found.data is not None
        assert ast.dump(ast.parse(found.data)) != ast.dump(ast.parse(SOURCE))


def test_only_changed_lines_are_changed() -> None:
    assert {v.first for v in made(SOURCE, {5, 9})} == {5, 9}


def test_branches_come_first_each_line_has_its_turn_and_numbers_come_last() -> None:
    found = made(SOURCE)
    assert {v.first for v in found[:3]} == {3, 5, 11}
    assert len({v.first for v in found[:7]}) == 7
    slight = [v.slight for v in found]
    assert slight == sorted(slight)
    assert {v.how for v in found if v.slight} >= {"`3` made `4`", "`False` made `True`"}


def test_the_same_seed_gives_the_same_and_another_one_another_order() -> None:
    orders = {tuple(v.how for v in made(SOURCE, seed=str(n))) for n in range(20)}
    assert made(SOURCE) == made(SOURCE)
    assert len(orders) > 1
    assert len({frozenset(order) for order in orders}) == 1


def test_what_nobody_should_have_to_test_stays() -> None:
    text = (
        "if TYPE_CHECKING:\n    import x\n"
        "if __name__ == '__main__':\n    main()\n"
        "print(1 if x else 2, 'a')\nlogger.info('x', 1)\n"
        "'%s' % x\nraise\n"
    )
    assert {v.how for v in made(text) if not v.slight} == {
        "`1 if x else 2` made `1 if False else 2`",
    }


def test_what_is_no_python_or_a_test_has_none() -> None:
    assert made("def f(:\n") == []
    assert made("x = " + "(" * 500 + "1" + ")" * 500) == []
    assert list(mutants("x.go", b"a < b\n", {1}, "s")) == []
    assert list(mutants("tests/test_x.py", b"a < b\n", {1}, "s")) == []
    assert list(mutants("x.py", None, {1}, "s")) == []


@given(st.integers(0, 10_000))
def test_on_our_own_source_every_mutant_parses_and_differs(seed: int) -> None:
    module = random.Random(seed).choice([ablation, mutation, variant])
    assert module.__file__
    with open(module.__file__, "rb") as file:
        data = file.read()
    line = random.Random(seed).randrange(1, data.count(b"\n"))
    for found in mutants("src/x.py", data, {line}, "s"):
        assert found.data not in (None, data)
        ast.parse(found.data or b"")
