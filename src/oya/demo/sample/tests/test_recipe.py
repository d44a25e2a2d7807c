from fractions import Fraction

import pytest
from larder.errors import LarderError, ParseError
from larder.ingredient import Ingredient
from larder.recipe import load_recipe, parse_recipe
from larder.render import format_recipe

TOAST = """\
# Breakfast.
Toast
serves: 2

- 4 slices bread
# - 1 jar jam
- butter

Toast the bread.
Butter it.
"""


def test_a_recipe_is_read():
    toast = parse_recipe(TOAST)

    assert (toast.title, toast.serves) == ("Toast", 2)
    assert toast.ingredients == (Ingredient("slices bread", Fraction(4)), Ingredient("butter"))
    assert toast.steps == ("Toast the bread.", "Butter it.")


def test_what_is_written_can_be_read_again():
    toast = parse_recipe(TOAST)

    assert parse_recipe(format_recipe(toast)) == toast


@pytest.mark.parametrize("serves", ["", "0", "many"])
def test_servings_are_a_number(serves):
    with pytest.raises(ParseError, match="line 2"):
        parse_recipe(f"Toast\nserves: {serves}\n")


def test_a_recipe_has_a_title():
    with pytest.raises(ParseError, match="title"):
        parse_recipe("\n\n")


def test_a_missing_file_is_named():
    with pytest.raises(LarderError, match=r"nowhere\.txt"):
        load_recipe("nowhere.txt")
