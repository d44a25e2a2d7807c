from fractions import Fraction

import pytest
from larder.amount import parse_amount
from larder.errors import ParseError


@pytest.mark.parametrize(
    ("text", "amount"),
    [("2", "2"), ("0.5", "1/2"), ("3/4", "3/4"), ("1 1/2", "3/2")],
)
def test_amounts_are_exact(text, amount):
    assert parse_amount(text) == Fraction(amount)


@pytest.mark.parametrize("text", ["", "some", "1/0", "1 egg"])
def test_what_is_not_an_amount_is_refused(text):
    with pytest.raises(ParseError):
        parse_amount(text)
