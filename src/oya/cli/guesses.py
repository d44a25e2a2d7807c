"""What can be seen in a working tree: its test runners, its lock files, its tracker."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oya.gates import moon

MAX_BYTES = 2_000_000
_FILES_LIMIT = 200


@dataclass(frozen=True, slots=True)
class Guess:
    """One line of the configuration: a dotted key, its value, and what it was seen in."""

    key: str
    value: Any
    source: str


def look(root: Path) -> list[Guess]:
    """Everything that can be seen in a working tree; the first finding for a key counts, but
    for what makes a folder ready: that is everything that was found."""
    found: dict[str, Guess] = {}
    for looker in LOOKERS:
        for guess in looker(root):
            if guess.key == _PREPARE and guess.key in found:
                found[guess.key] = _both(found[guess.key], guess)
            else:
                found.setdefault(guess.key, guess)
    order = ("quality-gates.quick", "quality-gates.ci", "quality-gates.tests.command")
    rank = {key: number for number, key in enumerate(order)}
    return sorted(found.values(), key=lambda guess: rank.get(guess.key, len(rank)))


def _moon(root: Path) -> Iterator[Guess]:
    if (root / ".moon").is_dir():
        yield Guess("quality-gates.quick", [moon.QUICK], ".moon/ is here")
        yield Guess("quality-gates.ci", [moon.CI], ".moon/ is here")


def _both(one: Guess, other: Guess) -> Guess:
    return Guess(one.key, [*one.value, *other.value], f"{one.source}, and {other.source}")


_PREPARE = "workspace.prepare"
_TESTS = "quality-gates.tests.command"
_REPORT = "quality-gates.tests.report"


def _tests(command: str, report: str, source: str) -> Iterator[Guess]:
    yield Guess(_TESTS, command, source)
    yield Guess(_REPORT, report, source)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES).decode("utf-8", "replace")
    except OSError:
        return ""


def _first(root: Path, *names: str) -> str:
    return next((name for name in names if (root / name).is_file()), "")


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


# Python --------------------------------------------------------------------------------------

PYTHON_LOCKS = {
    "uv.lock": ("uv run", "uv sync"),
    "poetry.lock": ("poetry run", "poetry install --no-interaction"),
    "pdm.lock": ("pdm run", "pdm sync"),
}
REQUIREMENTS = (
    "requirements.txt",
    "requirements-dev.txt",
    "requirements-test.txt",
    "dev-requirements.txt",
    "test-requirements.txt",
    "requirements/dev.txt",
    "requirements/test.txt",
)


def _python(root: Path) -> Iterator[Guess]:
    source = _pytest_source(root)
    unittest = "" if source else _unittest_source(root)
    lock = _first(root, *PYTHON_LOCKS)
    python = "python"
    if lock:
        run, prepare = PYTHON_LOCKS[lock]
        python = f"{run} python"
        yield Guess(_PREPARE, [prepare], f"{lock} is here")
    elif files := [name for name in REQUIREMENTS if (root / name).is_file()]:
        asks = [name for name in files if re.search(r"(?mi)^pytest\b", _text(root / name))]
        if asks or unittest:
            python = ".venv/bin/python"
            install = shlex.join(["-m", "pip", "install", *(w for n in files for w in ("-r", n))])
            what = [] if asks else [f"{python} -m pip install pytest"]
            yield Guess(
                _PREPARE,
                ["python3 -m venv .venv", f"{python} {install}", *what],
                " and ".join(f"{name} is here" for name in files),
            )
        source = source or (f"{asks[0]} names pytest" if asks else "")
    if source:
        yield Guess("quality-gates.ci", [f"{python} -m pytest"], source)
    elif unittest:
        yield Guess("quality-gates.ci", [f"{python} -m unittest"], unittest)
    if source or unittest:
        run = "uv run --with pytest python" if unittest and lock == "uv.lock" else python
        why = source or f"{unittest}, and pytest runs it too, where it is installed"
        yield from _tests(f"{run} -m pytest {{tests}} --junitxml={{report}}", "junit", why)


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
    files = [*_test_files(root / "tests")]
    found = next((path for path in files if not _is_unittest(path)), None)
    return f"{found.relative_to(root)} is here" if found else ""


def _unittest_source(root: Path) -> str:
    for folder in ("tests", "test", "."):
        found = next(filter(_is_unittest, _test_files(root / folder)), None)
        if found:
            return f"{found.relative_to(root)} uses unittest"
    return ""


def _test_files(folder: Path) -> Iterator[Path]:
    for number, path in enumerate(folder.glob("test*.py")):
        if number >= _FILES_LIMIT:
            return
        yield path


def _is_unittest(path: Path) -> bool:
    text = _text(path)
    return bool(re.search(r"^\s*(import|from) unittest\b", text, re.M)) and "pytest" not in text


# Go, Rust, Java ------------------------------------------------------------------------------


def _go(root: Path) -> Iterator[Guess]:
    if (root / "go.mod").is_file():
        source = "go.mod is here"
        yield Guess("quality-gates.quick", ["go vet ./..."], source)
        yield Guess("quality-gates.ci", ["go test ./..."], source)
        if (root / "go.sum").is_file():
            yield Guess(_PREPARE, ["go mod download"], "go.sum is here")
        yield from _tests("go test -json {tests}", "go-json", source)


CARGO_BUILD = "cargo build --workspace --tests --keep-going --message-format json"


def _cargo(root: Path) -> Iterator[Guess]:
    text = _text(root / "Cargo.toml")
    if not (root / "Cargo.toml").is_file():
        return
    source = "Cargo.toml is here"
    yield Guess("quality-gates.quick", ["cargo check --all-targets"], source)
    nextest = _text(root / ".config/nextest.toml")
    if nextest:
        source = ".config/nextest.toml is here"
    yield Guess("quality-gates.ci", ["cargo nextest run" if nextest else "cargo test"], source)
    if (root / "Cargo.lock").is_file():
        yield Guess(_PREPARE, ["cargo fetch --locked"], "Cargo.lock is here")
    members = " --workspace" if "[workspace" in text else ""
    build = CARGO_BUILD.replace(" --workspace", members)
    if re.search(r"^\[profile\.default\.junit\]", nextest, re.M):
        line, report = f"cargo nextest run{members} --no-fail-fast {{tests}}", "nextest"
        source = ".config/nextest.toml has a JUnit report"
    else:
        line = f"cargo test{members} --no-fail-fast --message-format json {{tests}}"
        report, source = "cargo", "Cargo.toml is here"
    yield from _tests(f"{build}; {line}", report, source)


def _maven(root: Path) -> Iterator[Guess]:
    if (root / "pom.xml").is_file():
        source = "pom.xml is here"
        mvn = "./mvnw" if (root / "mvnw").is_file() else "mvn"
        yield Guess("quality-gates.quick", [f"{mvn} -B -ntp test-compile"], source)
        yield Guess("quality-gates.ci", [f"{mvn} -B -ntp verify"], source)
        yield from _tests(f"{mvn} -B -ntp -fae test {{tests}}", "surefire", source)


# Node ----------------------------------------------------------------------------------------

NODE_LOCKS = {
    "pnpm-lock.yaml": ("pnpm", ("pnpm install --frozen-lockfile",), "pnpm exec"),
    "yarn.lock": ("yarn", ("yarn install --frozen-lockfile",), "yarn run"),
    # `npm ci` begins by removing all that a slot has kept: as a dry run it only looks whether
    # package.json and the lock agree, and what differs from the lock is then installed.
    "package-lock.json": (
        "npm",
        (
            "npm ci --dry-run --ignore-scripts --no-audit --no-fund",
            "npm install --no-save --no-audit --no-fund",
        ),
        "npx --no --",
    ),
}
JAVASCRIPT = {
    "vitest": "vitest run{} --passWithNoTests --reporter=json --outputFile={{report}} {{tests}}",
    "jest": "jest{} --passWithNoTests --json --outputFile={{report}} {{tests}}",
}
_DROPPED = re.compile(r"--(?:watch|coverage|json|reporter|outputFile|ui|run)")
_VARIABLES = re.compile(r"(?:cross-env\s+)?((?:[A-Z_]+=\S+\s+)+)")
_OWN_FOLDER = frozenset({"test", "test/", "./test", "./test/"})
_WITH_VALUE = frozenset({"--import", "--loader", "--experimental-loader", "--require", "-r", "-C"})


def _node(root: Path) -> Iterator[Guess]:
    text = _text(root / "package.json")
    try:
        package = json.loads(text) if text else None
    except (ValueError, RecursionError):
        return
    if not isinstance(package, dict):
        return
    scripts = package.get("scripts")
    scripts = scripts if isinstance(scripts, dict) else {}
    lock = _first(root, *NODE_LOCKS)
    runner, prepare, execute = NODE_LOCKS[lock or "package-lock.json"]
    if lock:
        yield Guess(_PREPARE, [*prepare], f"{lock} is here")
    quick = next((name for name in ("check", "lint") if name in scripts), None)
    if quick:
        yield Guess(
            "quality-gates.quick", [f"{runner} run {quick}"], f"package.json has the script {quick}"
        )
    script = str(scripts.get("test", ""))
    if script and "no test specified" not in script:
        yield Guess("quality-gates.ci", [f"{runner} test"], "package.json has the script test")
    yield from _node_tests(package, script, execute)


def _node_tests(package: dict[str, Any], script: str, execute: str) -> Iterator[Guess]:
    for name, line in JAVASCRIPT.items():
        where = next(
            (key for key in ("devDependencies", "dependencies") if name in _table(package, key)), ""
        )
        named = re.search(rf"(?:^|[\s/]){name}\b", script) is not None
        if named or (where and not script):
            said = f"names {name} in the script test" if named else f"has {name} in {where}"
            variables, extra = _as_in(script, name)
            command = f"{variables}{execute} {line.format(extra)}"
            yield from _tests(command, name, f"package.json {said}")
            return
    if (options := _node_options(script)) is not None:
        yield from _tests(
            shlex.join(["node", *options]) + " {tests}", "node", "the script test is node --test"
        )


def _as_in(script: str, runner: str) -> tuple[str, str]:
    """The variables and options with which a script runs it, without what it must not do."""
    found = _VARIABLES.match(script)
    try:
        words = shlex.split(script[found.end() :] if found else script)
    except ValueError:
        return "", ""
    if not words or words[0] != runner or re.search(r"[&|;<>$`]", script):
        return "", ""
    kept: list[str] = []
    before = ""
    for word in words[1:]:
        belongs = before.startswith("-") and "=" not in before and not word.startswith("-")
        if (word.startswith("-") or belongs) and not _DROPPED.match(before if belongs else word):
            kept.append(word)
        before = word
    variables = found[1] if found else ""
    return variables, "".join(f" {shlex.quote(word)}" for word in kept)


def _table(package: dict[str, Any], key: str) -> dict[str, Any]:
    found = package.get(key)
    return found if isinstance(found, dict) else {}


def _node_options(script: str) -> list[str] | None:
    """The options of a script that is `node --test` and names no files (those are what
    `{tests}` stands for), None of any other."""
    try:
        words = shlex.split(script)
    except ValueError:
        return None
    if not words or words[0] != "node" or "--test" not in words:
        return None
    words = [word for word in words[1:] if word not in _OWN_FOLDER]  # where node looks itself
    value = False
    for word in words:
        if not value and (not word.startswith("-") or word.startswith("--test-reporter")):
            return None
        value = not value and word in _WITH_VALUE
    return words


LOOKERS: tuple[Callable[[Path], Iterator[Guess]], ...] = (
    _moon,
    _make,
    _python,
    _go,
    _cargo,
    _node,
    _maven,
    _tracker,
)
"""In order of who is believed first: moon runs the others, a Makefile says what people type."""
