"""show FILE: print a recipe."""

from larder.errors import LarderError
from larder.recipe import load_recipe
from larder.render import format_recipe


def run(arguments: list[str]) -> str:
    """The recipe as text."""
    if len(arguments) != 1:
        raise LarderError("usage: larder show FILE")
    return format_recipe(load_recipe(arguments[0]))
