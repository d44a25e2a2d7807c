"""`oya init`: what is seen, what is written, and that it loads."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from oya.cli.guesses import look
from oya.cli.init import COMMIT, render
from oya.cli.main import run
from oya.errors import ConfigError
from oya.swarm.config import flat, load
from report_kit import PROJECTS, Project
from repository_kit import isolate, make_repository, write

ADDED = """
[defaults]
backend = "mine"
[backends.mine]
kind = "command"
command = ["./agent"]
[sandbox]
kind = "none"
"""
PYTEST = "[tool.pytest.ini_options]\n"
UNITTEST = "import unittest\n"
VITEST = json.dumps({"devDependencies": {"vitest": "4"}})
NODE = json.dumps({"scripts": {"test": "node --test", "lint": "eslint ."}})


def guessed(root: Path, files: dict[str, str]) -> dict[str, object]:
    write(root, files)
    return {guess.key: guess.value for guess in look(root)}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, {}),
        (
            {"pyproject.toml": PYTEST},
            {
                "quality-gates.ci": ["python -m pytest"],
                "quality-gates.tests.command": "python -m pytest {tests} --junitxml={report}",
                "quality-gates.tests.report": "junit",
            },
        ),
        (
            {"pyproject.toml": PYTEST, "uv.lock": "", "Makefile": "test: x\n\ncheck:\n\ttrue\n"},
            {
                "quality-gates.quick": ["make check"],
                "quality-gates.ci": ["make test"],
                "quality-gates.tests.command": "uv run python -m pytest {tests} "
                "--junitxml={report}",
                "quality-gates.tests.report": "junit",
                "workspace.prepare": ["uv sync"],
            },
        ),
        ({"Makefile": "TEST := 1\nbuild:\n"}, {}),
        (
            {"go.mod": "module x\n"},
            {
                "quality-gates.quick": ["go vet ./..."],
                "quality-gates.ci": ["go test ./..."],
                "quality-gates.tests.command": "go test -json {tests}",
                "quality-gates.tests.report": "go-json",
            },
        ),
        (
            {"Cargo.toml": ""},
            {
                "quality-gates.quick": ["cargo check --all-targets"],
                "quality-gates.ci": ["cargo test"],
                "quality-gates.tests.command": "cargo build --tests --keep-going "
                "--message-format json; cargo test --no-fail-fast --message-format json {tests}",
                "quality-gates.tests.report": "cargo",
            },
        ),
        (
            {
                "Cargo.toml": "[workspace]\n",
                "Cargo.lock": "",
                ".config/nextest.toml": "[profile.default.junit]\n",
            },
            {
                "quality-gates.quick": ["cargo check --all-targets"],
                "quality-gates.ci": ["cargo nextest run"],
                "quality-gates.tests.command": "cargo build --workspace --tests --keep-going "
                "--message-format json; cargo nextest run --workspace --no-fail-fast {tests}",
                "quality-gates.tests.report": "nextest",
                "workspace.prepare": ["cargo fetch --locked"],
            },
        ),
        (
            {"pom.xml": "<project/>", "mvnw": ""},
            {
                "quality-gates.quick": ["./mvnw -B -ntp test-compile"],
                "quality-gates.ci": ["./mvnw -B -ntp verify"],
                "quality-gates.tests.command": "./mvnw -B -ntp -fae test {tests}",
                "quality-gates.tests.report": "surefire",
            },
        ),
        (
            {"package.json": NODE, "package-lock.json": "{}"},
            {
                "quality-gates.quick": ["npm run lint"],
                "quality-gates.ci": ["npm test"],
                "quality-gates.tests.command": "node --test {tests}",
                "quality-gates.tests.report": "node",
                "workspace.prepare": [
                    "npm ci --dry-run --ignore-scripts --no-audit --no-fund",
                    "npm install --no-save --no-audit --no-fund",
                ],
            },
        ),
        (
            {"package.json": VITEST, "pnpm-lock.yaml": ""},
            {
                "quality-gates.tests.command": "pnpm exec vitest run --passWithNoTests "
                "--reporter=json --outputFile={report} {tests}",
                "quality-gates.tests.report": "vitest",
                "workspace.prepare": ["pnpm install --frozen-lockfile"],
            },
        ),
        (
            {"tests/test_a.py": UNITTEST, "uv.lock": "", "go.mod": "", "go.sum": ""},
            {
                "quality-gates.quick": ["go vet ./..."],
                "quality-gates.ci": ["uv run python -m unittest"],
                "quality-gates.tests.command": "uv run --with pytest python -m pytest {tests} "
                "--junitxml={report}",
                "quality-gates.tests.report": "junit",
                "workspace.prepare": ["uv sync", "go mod download"],
            },
        ),
        (
            {"poetry.lock": "", "conftest.py": ""},
            {
                "quality-gates.ci": ["poetry run python -m pytest"],
                "quality-gates.tests.command": "poetry run python -m pytest {tests} "
                "--junitxml={report}",
                "quality-gates.tests.report": "junit",
                "workspace.prepare": ["poetry install --no-interaction"],
            },
        ),
        (
            {"requirements.txt": "click\n", "requirements-dev.txt": "pytest==8\n"},
            {
                "quality-gates.ci": [".venv/bin/python -m pytest"],
                "quality-gates.tests.command": ".venv/bin/python -m pytest {tests} "
                "--junitxml={report}",
                "quality-gates.tests.report": "junit",
                "workspace.prepare": [
                    "python3 -m venv .venv",
                    ".venv/bin/python -m pip install -r requirements.txt -r requirements-dev.txt",
                ],
            },
        ),
        (
            {"requirements.txt": "click\n", "test_a.py": UNITTEST},
            {
                "quality-gates.ci": [".venv/bin/python -m unittest"],
                "quality-gates.tests.command": ".venv/bin/python -m pytest {tests} "
                "--junitxml={report}",
                "quality-gates.tests.report": "junit",
                "workspace.prepare": [
                    "python3 -m venv .venv",
                    ".venv/bin/python -m pip install -r requirements.txt",
                    ".venv/bin/python -m pip install pytest",
                ],
            },
        ),
        (
            {"package.json": '{"scripts": {"test": "echo \\"Error: no test specified\\""}}'},
            {},
        ),
        ({"package.json": "{broken"}, {}),
        ({".beads/issues.jsonl": ""}, {"tracker.kind": "auto"}),
    ],
)
def test_what_is_seen(tmp_path: Path, files: dict[str, str], expected: dict[str, object]) -> None:
    assert guessed(tmp_path, files) == expected


@pytest.mark.parametrize(
    ("script", "command"),
    [
        ("node --test", "node --test {tests}"),
        ("node --test test/", "node --test {tests}"),
        ("node --import tsx --test", "node --import tsx --test {tests}"),
        ("node --test 'src/**/*.spec.js'", None),
        ("node --test --test-reporter=spec", None),
        ("node build.js", None),
        ("node --test 'unclosed", None),
        ("jest", "npx --no -- jest JEST"),
        ("jest --watch --coverage src", "npx --no -- jest JEST"),
        ("jest -c unit.json --bail", "npx --no -- jest -c unit.json --bail JEST"),
        (
            "cross-env NODE_OPTIONS=--experimental-vm-modules jest --ci",
            "NODE_OPTIONS=--experimental-vm-modules npx --no -- jest --ci JEST",
        ),
        ("tsc && jest --ci", "npx --no -- jest JEST"),
        ("vitest --config 'my v.ts'", "npx --no -- vitest run --config 'my v.ts' VITEST"),
        ("vitest run --reporter=dot", "npx --no -- vitest run VITEST"),
        ("mocha", None),
    ],
)
def test_the_runner_of_a_script_in_javascript(
    tmp_path: Path, script: str, command: str | None
) -> None:
    found = guessed(tmp_path, {"package.json": json.dumps({"scripts": {"test": script}})})
    if command is not None:
        command = command.replace(
            "VITEST", "--passWithNoTests --reporter=json --outputFile={report} {tests}"
        ).replace("JEST", "--passWithNoTests --json --outputFile={report} {tests}")
    assert found.get("quality-gates.tests.command") == command


@pytest.mark.parametrize("project", PROJECTS.values(), ids=PROJECTS)
def test_what_is_written_for_a_project_reads_its_reports(tmp_path: Path, project: Project) -> None:
    """The commands that the contract suite of reports runs are those written here."""
    found = guessed(tmp_path, project.tree("tests"))
    if project.kind in ("node", "jest", "vitest"):
        script = {"node": "node --test", "jest": "NODE_OPTIONS=--experimental-vm-modules jest"}
        text = json.dumps({"scripts": {"test": script.get(project.kind, "vitest")}})
        found = guessed(tmp_path, {"package.json": text})
    assert found["quality-gates.tests.command"] == project.command
    assert found["quality-gates.tests.report"] == project.kind


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    isolate(monkeypatch, tmp_path / "home")
    files = {"pyproject.toml": PYTEST, "uv.lock": "", ".beads/issues.jsonl": ""}
    made = make_repository(tmp_path / "repo", files)
    monkeypatch.chdir(made)
    return made


def test_what_is_written_loads_once_backend_and_sandbox_are_added(folder: Path) -> None:
    assert run(["init"]) == 0
    path = folder / ".oya/swarm.toml"
    with pytest.raises(ConfigError, match="No backend is named"):
        load(path, {})
    with path.open("a") as file:
        file.write(ADDED)
    settings = load(path, {})
    assert settings.quality_gates.tests.command.startswith("uv run python -m pytest {tests}")
    assert settings.workspace.prepare == ("uv sync",)


def test_every_guess_is_an_active_line_below_its_source(tmp_path: Path) -> None:
    write(tmp_path, {"pyproject.toml": PYTEST, "uv.lock": "", "Makefile": "check:\n"})
    guesses = look(tmp_path)
    text = render(guesses)
    assert flat(tomllib.loads(text)) == {guess.key: guess.value for guess in guesses}
    rows = text.splitlines()
    for guess in guesses:
        key = guess.key.rpartition(".")[2]
        at = next(n for n, row in enumerate(rows) if row.startswith(f"{key} = "))
        assert rows[at - 1] == f"# {guess.source}"


def test_it_asks_for_what_it_cannot_guess_and_ends_with_the_commit(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["init"])
    said = capsys.readouterr()
    assert "a backend" in said.err
    assert "[sandbox]" in said.err
    assert said.out.rstrip().splitlines()[-1] == COMMIT


def test_it_never_overwrites_and_says_what_it_would_change(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = '[quality-gates]\nci = ["tox"]\n[workspace]\nprepare = ["uv sync"]\n'
    write(folder, {".oya/swarm.toml": text})
    assert run(["init"]) == 0
    out = capsys.readouterr().out
    assert (folder / ".oya/swarm.toml").read_text() == text
    assert "was left alone" in out
    assert 'quality-gates.ci: ["tox"] → ["uv run python -m pytest"]' in out
    assert "workspace.prepare" not in out


def test_a_second_time_there_is_nothing_to_say(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["init"])
    before = (folder / ".oya/swarm.toml").read_text()
    capsys.readouterr()
    assert run(["init"]) == 0
    assert "Nothing was changed." in capsys.readouterr().out
    assert (folder / ".oya/swarm.toml").read_text() == before
