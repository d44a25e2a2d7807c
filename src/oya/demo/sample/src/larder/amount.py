"""Amounts: the number that stands before the unit, kept exact."""

from fractions import Fraction

from larder.errors import ParseError


def parse_amount(text: str) -> Fraction:
    """Read `2`, `0.5`, `3/4` or `1 1/2`."""
    parts = text.split()
    if not parts:
        raise ParseError("an amount is missing")
    try:
        return sum((Fraction(part) for part in parts), Fraction(0))
    except (ValueError, ZeroDivisionError):
        raise ParseError(f"not an amount: {text!r}") from None
