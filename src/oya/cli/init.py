"""`oya init`: look at the repository, and write down what can be seen."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oya.cli.output import lines, say
from oya.errors import ConfigError, UsageError
from oya.gates import moon
from oya.repository.places import Place

NAME = ".oya/swarm.toml"
COMMIT = 'git add .oya/swarm.toml && git commit -m "Configure oya"'
MAX_BYTES = 2_000_000

HEADER = """\
# How oya lands the backlog of this repository. Every line is a guess from what stands here;
# the comment above it names its source. Keys that are not here have their defaults:
# `oya swarm --dry-run` prints them all, with where each value comes from.
"""

ASKED = """
# Needed, and not guessed: who works, and that it may work without a sandbox. For example:
#
#   [defaults]
#   backend = "codex"
#
#   [backends.codex]
#   kind = "acp"
#   command = ["codex-acp"]
#
#   [sandbox]
#   kind = "none"
"""


@dataclass(frozen=True, slots=True)
class Guess:
    """One line of the file: a dotted key, its value, and what it was seen in."""

    key: str
    value: Any
    source: str


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
    say('kind = "none", which says that the backend may run with all your rights. The file has')
    say("an example. Then:")
    say("")
    lines([COMMIT])


def look(root: Path) -> list[Guess]:
    """Everything that can be seen in a working tree; the first finding for a key counts."""
    found: dict[str, Guess] = {}
    for looker in LOOKERS:
        for guess in looker(root):
            found.setdefault(guess.key, guess)
    order = ("quality-gates.quick", "quality-gates.ci", "quality-gates.tests.command")
    rank = {key: number for number, key in enumerate(order)}
    return sorted(found.values(), key=lambda guess: rank.get(guess.key, len(rank)))


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


# Looking -------------------------------------------------------------------------------------


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def _moon(root: Path) -> Iterator[Guess]:
    if (root / ".moon").is_dir():
        yield Guess("quality-gates.quick", [moon.QUICK], ".moon/ is here")
        yield Guess("quality-gates.ci", [moon.CI], ".moon/ is here")


def _tracker(root: Path) -> Iterator[Guess]:
    if (root / ".beads/issues.jsonl").is_file():
        yield Guess("tracker.kind", "auto", ".beads/issues.jsonl is here")


def _make(root: Path) -> Iterator[Guess]:
    for name in ("GNUmakefile", "makefile", "Makefile"):
        targets = set(re.findall(r"^([A-Za-z][\w-]*)\s*:(?!=)", _text(root / name), re.MULTILINE))
        quick = next((t for t in ("check", "lint") if t in targets), None)
        if quick:
            yield Guess("quality-gates.quick", [f"make {quick}"], f"{name} has the target {quick}")
        if "test" in targets:
            yield Guess("quality-gates.ci", ["make test"], f"{name} has the target test")
        if targets:
            return


def _python(root: Path) -> Iterator[Guess]:
    source = _pytest_source(root)
    uv = (root / "uv.lock").is_file()
    if uv:
        yield Guess("workspace.prepare", ["uv sync"], "uv.lock is here")
    if not source:
        return
    run = "uv run python -m pytest" if uv else "python -m pytest"
    yield Guess("quality-gates.ci", [run], source)
    command = f"{run} {{tests}} --junitxml={{report}}"
    yield Guess("quality-gates.tests.command", command, source)
    yield Guess("quality-gates.tests.report", "junit", "pytest writes JUnit reports")


def _pytest_source(root: Path) -> str:
    project = _text(root / "pyproject.toml")
    if "[tool.pytest" in project:
        return "pyproject.toml configures pytest"
    for name in ("pytest.ini", "conftest.py", "tests/conftest.py"):
        if (root / name).is_file():
            return f"{name} is here"
    if re.search(r"""["']pytest\b""", project):
        return "pyproject.toml names pytest"
    for name in ("setup.cfg", "tox.ini"):
        if re.search(r"^\[(tool:)?pytest\]", _text(root / name), re.MULTILINE):
            return f"{name} configures pytest"
    found = next((root / "tests").glob("test_*.py"), None)
    return f"{found.relative_to(root)} is here" if found else ""


def _go(root: Path) -> Iterator[Guess]:
    if (root / "go.mod").is_file():
        yield Guess("quality-gates.quick", ["go vet ./..."], "go.mod is here")
        yield Guess("quality-gates.ci", ["go test ./..."], "go.mod is here")


def _cargo(root: Path) -> Iterator[Guess]:
    if (root / "Cargo.toml").is_file():
        yield Guess("quality-gates.quick", ["cargo check --all-targets"], "Cargo.toml is here")
        yield Guess("quality-gates.ci", ["cargo test"], "Cargo.toml is here")


LOCKS = {
    "pnpm-lock.yaml": ("pnpm", "pnpm install --frozen-lockfile"),
    "yarn.lock": ("yarn", "yarn install --frozen-lockfile"),
    "package-lock.json": ("npm", "npm ci"),
}


def _node(root: Path) -> Iterator[Guess]:
    text = _text(root / "package.json")
    if not text:
        return
    try:
        package = json.loads(text)
    except ValueError:
        return
    scripts = package.get("scripts") if isinstance(package, dict) else None
    scripts = scripts if isinstance(scripts, dict) else {}
    lock = next((name for name in LOCKS if (root / name).is_file()), None)
    runner = LOCKS[lock][0] if lock else "npm"
    if lock:
        yield Guess("workspace.prepare", [LOCKS[lock][1]], f"{lock} is here")
    quick = next((name for name in ("check", "lint") if name in scripts), None)
    if quick:
        yield Guess(
            "quality-gates.quick", [f"{runner} run {quick}"], f"package.json has the script {quick}"
        )
    if "test" in scripts and "no test specified" not in str(scripts["test"]):
        yield Guess("quality-gates.ci", [f"{runner} test"], "package.json has the script test")


LOOKERS: tuple[Callable[[Path], Iterator[Guess]], ...] = (
    _moon,
    _make,
    _python,
    _go,
    _cargo,
    _node,
    _tracker,
)
"""In order of who is believed first: moon runs the others, a Makefile says what people type."""
