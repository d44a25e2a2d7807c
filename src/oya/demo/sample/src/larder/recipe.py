"""A recipe, and the plain text it is written in.

The first line is the title, `serves: 4` says for how many, lines that start
with `- ` are ingredients, all other lines are steps. `#` starts a comment.
"""

from dataclasses import dataclass
from pathlib import Path

from larder.errors import LarderError, ParseError
from larder.ingredient import Ingredient, parse_ingredient


@dataclass(frozen=True)
class Recipe:
    """What to cook, for how many, from what, and how."""

    title: str
    serves: int = 1
    ingredients: tuple[Ingredient, ...] = ()
    steps: tuple[str, ...] = ()


def parse_recipe(text: str) -> Recipe:
    """Read a recipe; ParseError names the line that is wrong."""
    title = ""
    serves = 1
    ingredients: list[Ingredient] = []
    steps: list[str] = []

    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue

        if not title:
            title = line
        elif line.startswith("serves:"):
            serves = _servings(line.removeprefix("serves:").strip(), number)
        elif line.startswith("- "):
            ingredients.append(parse_ingredient(line.removeprefix("- ")))
        else:
            steps.append(line)

    if not title:
        raise ParseError("line 1: a recipe starts with its title")

    return Recipe(
        title,
        serves,
        tuple(ingredients),
        tuple(steps),
    )


def load_recipe(path: str | Path) -> Recipe:
    """Read a recipe from a file."""
    try:
        return parse_recipe(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise LarderError(f"cannot read {path}: {error.strerror}") from None


def _servings(text: str, number: int) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise ParseError(f"line {number}: serves how many? {text!r}")
    return int(text)
