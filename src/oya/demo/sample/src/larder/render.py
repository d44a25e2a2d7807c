"""Recipes back into text."""

from fractions import Fraction

from larder.ingredient import Ingredient
from larder.recipe import Recipe


def format_amount(amount: Fraction) -> str:
    """An amount as people write it."""
    return f"{float(amount):.4g}"


def format_ingredient(item: Ingredient) -> str:
    """An ingredient as it stands in a list."""
    amount = "" if item.amount is None else format_amount(item.amount)
    line = " ".join(part for part in (amount, item.unit, item.name) if part)
    return f"{line}, {item.note}" if item.note else line


def format_recipe(recipe: Recipe) -> str:
    """A recipe in the text that `parse_recipe` reads."""
    lines = [recipe.title, f"serves: {recipe.serves}", ""]
    lines += [f"- {format_ingredient(item)}" for item in recipe.ingredients]
    lines += ["", *recipe.steps]
    return "\n".join(lines) + "\n"
