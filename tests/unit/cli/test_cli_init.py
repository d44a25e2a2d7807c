"""`oya init`: what is seen, what is written, and that it loads."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from oya.cli.init import COMMIT, look, render
from oya.cli.main import run
from oya.errors import ConfigError
from oya.swarm.config import flat, load
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
            {"quality-gates.quick": ["go vet ./..."], "quality-gates.ci": ["go test ./..."]},
        ),
        (
            {"Cargo.toml": ""},
            {
                "quality-gates.quick": ["cargo check --all-targets"],
                "quality-gates.ci": ["cargo test"],
            },
        ),
        (
            {"package.json": NODE, "package-lock.json": "{}"},
            {
                "quality-gates.quick": ["npm run lint"],
                "quality-gates.ci": ["npm test"],
                "workspace.prepare": ["npm ci"],
            },
        ),
        (
            {"package.json": NODE, "pnpm-lock.yaml": ""},
            {
                "quality-gates.quick": ["pnpm run lint"],
                "quality-gates.ci": ["pnpm test"],
                "workspace.prepare": ["pnpm install --frozen-lockfile"],
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
