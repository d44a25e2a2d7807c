import pytest
from larder.errors import UnknownUnit
from larder.units import find_unit, get_unit


@pytest.mark.parametrize(
    ("word", "name"),
    [("g", "g"), ("Grams", "g"), ("tbsp.", "tbsp"), ("teaspoons", "tsp"), ("L", "l")],
)
def test_a_unit_goes_by_many_names(word, name):
    assert get_unit(word).name == name


def test_other_words_are_no_units():
    assert find_unit("flour") is None


def test_an_unknown_unit_is_named():
    with pytest.raises(UnknownUnit, match="furlong"):
        get_unit("furlong")
