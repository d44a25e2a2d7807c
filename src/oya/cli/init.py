"""`oya init`: look at the repository, and write down what can be seen."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

from oya.cli.guesses import Guess, look
from oya.cli.output import lines, say
from oya.errors import ConfigError, UsageError
from oya.repository.places import Place

NAME = ".oya/swarm.toml"
COMMIT = 'git add .oya/swarm.toml && git commit -m "Configure oya"'

HEADER = """\
# How oya lands the backlog of this repository. Every line is a guess from what stands here;
# the comment above it names its source. Keys that are not here have their defaults:
# `oya swarm --dry-run` prints them all, with where each value comes from.
"""

ASKED = """
# Needed, and not guessed: who works, and in what sandbox. For example:
#
#   [defaults]
#   backend = "codex"
#
#   [backends.codex]
#   kind = "acp"
#   command = ["codex-acp"]
#
#   [sandbox]
#   kind = "auto"        # or "none": agents and gates may then do whatever you can do
"""


def write(place: Place) -> None:
    """Write `.oya/swarm.toml`, or where there is one, print what would be changed in it."""
    guesses = look(place.root)
    path = place.root / NAME
    text = render(guesses)
    try:
        path.parent.mkdir(exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        lines(_differences(path, guesses))
        return
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}.", safe="Nothing was changed."
        ) from None
    lines([f"Wrote {NAME}:", ""])
    lines(f"  {guess.key} = {json.dumps(guess.value)}  ({guess.source})" for guess in guesses)
    _ask_for_the_rest(guesses)


def _ask_for_the_rest(guesses: list[Guess]) -> None:
    keys = {guess.key for guess in guesses}
    say("")
    if not keys & {"quality-gates.ci", "quality-gates.tests.command"}:
        say("No test command was found. Needed: `ci` in [quality-gates].")
    say("Needed, and not guessed: a backend ([defaults] backend, [backends.NAME]) and [sandbox]")
    say('kind = "auto", or "none", which says that the backend may run with all your rights. The')
    say("file has an example. Then:")
    say("")
    lines([COMMIT])


def render(guesses: list[Guess]) -> str:
    """The file: each guess an active line below a comment with its source."""
    tables: dict[str, list[str]] = {}
    for guess in guesses:
        table, _, key = guess.key.rpartition(".")
        tables.setdefault(table, []).extend(
            (f"# {guess.source}", f"{key} = {json.dumps(guess.value, ensure_ascii=False)}")
        )
    body = "".join(f"\n[{table}]\n" + "".join(f"{x}\n" for x in t) for table, t in tables.items())
    return f"{HEADER}{body}{ASKED}"


def _differences(path: Path, guesses: list[Guess]) -> Iterator[str]:
    from oya.swarm.config import flat

    try:
        there = flat(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{NAME} cannot be read: {error}.", safe="It was left alone.") from None
    changes = [g for g in guesses if there.get(g.key) != g.value]
    if not changes:
        yield f"{NAME} is there already, and says what can be seen here. Nothing was changed."
        return
    yield f"{NAME} is there already and was left alone. What it would change:"
    yield ""
    for guess in changes:
        before = json.dumps(there[guess.key]) if guess.key in there else "not set"
        yield f"  {guess.key}: {before} → {json.dumps(guess.value)}  ({guess.source})"
