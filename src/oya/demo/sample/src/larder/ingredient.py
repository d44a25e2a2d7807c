"""One line of an ingredient list."""

from dataclasses import dataclass
from fractions import Fraction

from larder.amount import parse_amount
from larder.errors import ParseError
from larder.units import find_unit


@dataclass(frozen=True)
class Ingredient:
    """What to take, and how much; no amount means to taste, no unit means pieces."""

    name: str
    amount: Fraction | None = None
    unit: str = ""
    note: str = ""


def parse_ingredient(line: str) -> Ingredient:
    """Read `2 1/2 cups flour, sifted`, `3 eggs` or `salt`."""
    head, _, note = line.partition(",")
    amount, words = _leading_amount(head.split())
    unit = ""
    if amount is not None and words and (found := find_unit(words[0])):
        unit, words = found.name, words[1:]
    if words and words[0] == "of":
        words = words[1:]
    if not words:
        raise ParseError(f"an ingredient without a name: {line!r}")
    return Ingredient(" ".join(words), amount, unit, note.strip())


def _leading_amount(words: list[str]) -> tuple[Fraction | None, list[str]]:
    """The longest run of words that is an amount, and the words after it."""
    for count in range(len(words), 0, -1):
        try:
            return parse_amount(" ".join(words[:count])), words[count:]
        except ParseError:
            continue
    return None, words
