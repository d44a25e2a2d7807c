"""Units: what kitchens measure in, and what people call it."""

from dataclasses import dataclass
from fractions import Fraction

from larder.errors import UnknownUnit


@dataclass(frozen=True)
class Unit:
    """A unit; `size` is in grams for a mass, in millilitres for a volume."""

    name: str
    kind: str
    size: Fraction


UNITS = {
    unit.name: unit
    for unit in (
        Unit("g", "mass", Fraction(1)),
        Unit("kg", "mass", Fraction(1000)),
        Unit("oz", "mass", Fraction("28.35")),
        Unit("lb", "mass", Fraction("453.6")),
        Unit("ml", "volume", Fraction(1)),
        Unit("l", "volume", Fraction(1000)),
        Unit("pinch", "volume", Fraction("0.3")),
        Unit("tsp", "volume", Fraction(5)),
        Unit("tbsp", "volume", Fraction(15)),
        Unit("cup", "volume", Fraction(240)),
    )
}

ALIASES = {
    "gram": "g",
    "grams": "g",
    "ounce": "oz",
    "ounces": "oz",
    "pound": "lb",
    "pounds": "lb",
    "litre": "l",
    "litres": "l",
    "teaspoon": "tsp",
    "teaspoons": "tsp",
    "tablespoon": "tbsp",
    "tablespoons": "tbsp",
    "cups": "cup",
    "pinches": "pinch",
}


def find_unit(word: str) -> Unit | None:
    """The unit that a word names, whatever its case and full stop; None if it names none."""
    word = word.lower().rstrip(".")
    return UNITS.get(ALIASES.get(word, word))


def get_unit(word: str) -> Unit:
    """The unit that a word names; UnknownUnit if it names none."""
    unit = find_unit(word)
    if unit is None:
        raise UnknownUnit(f"unknown unit: {word!r}")
    return unit
