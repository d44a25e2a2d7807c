from fractions import Fraction

import pytest
from larder.errors import ParseError
from larder.ingredient import Ingredient, parse_ingredient


@pytest.mark.parametrize(
    ("line", "item"),
    [
        ("200 g flour", Ingredient("flour", Fraction(200), "g")),
        ("2 1/2 cups flour, sifted", Ingredient("flour", Fraction(5, 2), "cup", "sifted")),
        ("1 pinch of salt", Ingredient("salt", Fraction(1), "pinch")),
        ("3 large eggs", Ingredient("large eggs", Fraction(3))),
        ("salt", Ingredient("salt")),
    ],
)
def test_a_line_is_read(line, item):
    assert parse_ingredient(line) == item


@pytest.mark.parametrize("line", ["", "200 g", ", chopped"])
def test_an_ingredient_needs_a_name(line):
    with pytest.raises(ParseError, match="without a name"):
        parse_ingredient(line)
