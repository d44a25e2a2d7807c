"""What programs under home need around them, and what they are not a reason to show."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from oya.processes.programs import Needs

HOMES: dict[str, tuple[str, dict[str, str], list[str]]] = {
    # PATH below home; what lies there ("→ x": a link); what must be shown
    "cargo and rustup": (
        ".cargo/bin",
        {
            ".cargo/bin/rustup": "",
            ".cargo/bin/cargo": "→ rustup",
            ".cargo/credentials.toml": "token",
            ".rustup/toolchains/stable/bin/cargo": "",
        },
        [".cargo/bin", ".rustup"],
    ),
    "a shim asks pyenv": (
        ".pyenv/shims",
        {".pyenv/shims/python": "#!/bin/sh\n", ".pyenv/versions/3/bin/python": ""},
        [".pyenv"],
    ),
    "node of nvm": (
        ".nvm/versions/node/v20/bin",
        {
            ".nvm/versions/node/v20/bin/npm": "→ ../lib/node_modules/npm/bin/npm-cli.js",
            ".nvm/versions/node/v20/lib/node_modules/npm/bin/npm-cli.js": "",
            ".nvm/token": "",
        },
        [".nvm/versions/node/v20"],
    ),
    "a virtual environment": (
        "work/.venv/bin",
        {
            "work/.env": "SECRET=1",
            "work/.venv/pyvenv.cfg": "",
            "work/.venv/bin/python": "→ python3",
            "work/.venv/bin/python3": "→ ../../../opt/py-3/bin/python3",
            "opt/py-3": "→ py-3.11.7",
            "opt/py-3.11.7/bin/python3": "→ python3.11",
            "opt/py-3.11.7/bin/python3.11": "",
            "opt/py-3.11.7/lib/os.py": "",
        },
        ["work/.venv", "opt/py-3", "opt/py-3.11.7"],
    ),
    "scripts of pip --user": (
        ".local/bin",
        {
            ".local/bin/black": "#!/usr/bin/python3\n",
            ".local/lib/python3.11/site-packages/black.py": "",
            ".local/share/keyrings/login": "secret",
        },
        [".local/bin", ".local/lib"],
    ),
    "a tool of one file": (
        ".local/bin",
        {
            ".local/bin/agent": "→ ../share/agent/versions/1.0",
            ".local/share/agent/versions/1.0": "",
            ".local/share/agent/login": "secret",
        },
        [".local/bin", ".local/share/agent/versions/1.0"],
    ),
    "an agent of bun's": (
        ".bun/bin",
        {
            ".bun/bin/agent": "→ ../install/global/node_modules/agent/cli.js",
            ".bun/install/global/node_modules/agent/cli.js": "#!/usr/bin/env node\n",
            ".bun/history": "",
        },
        [".bun/bin", ".bun/install/global/node_modules"],
    ),
    "a script of another interpreter": (
        "bin",
        {
            "bin/tool": "#!{home}/opt/perl/bin/perl -w\n",
            "opt/perl/bin/perl": "",
            "opt/perl/lib/strict.pm": "",
            "notes": "secret",
        },
        ["bin", "opt/perl"],
    ),
    "a version behind a link": (
        "java/current/bin",
        {"java/current": "→ 21", "java/21/bin/java": "", "java/21/lib/modules": ""},
        ["java/current", "java/21"],
    ),
    "home itself": (".", {"tool": "", "secret": ""}, []),
    "a bin and a lib in home": ("bin", {"bin/x": "", "lib/y": "", "secret": ""}, ["bin"]),
    "a circle": ("bin", {"bin/a": "→ b", "bin/b": "→ a"}, ["bin"]),
}


def lay(home: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        file = home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if text.startswith("→ "):
            file.symlink_to(text.removeprefix("→ "))
        else:
            file.write_text(text.replace("{home}", str(home)))
            file.chmod(0o644 if name.endswith(".md") else 0o755)


def needs_in(home: Path) -> Needs:
    wide = (home, home / ".local", home / ".local/share", *home.parents)
    return Needs(lambda path: path.is_relative_to(home), wide)


@pytest.mark.parametrize(("path", "files", "shown"), HOMES.values(), ids=HOMES.keys())
def test_what_stands_around_a_program_is_shown(
    tmp_path: Path, path: str, files: dict[str, str], shown: list[str]
) -> None:
    home = tmp_path / "home"
    lay(home, files)
    needs = needs_in(home)
    needs.search(f"/usr/bin:relative:{home / path}:{home}/no/such/folder")
    assert sorted(str(name.relative_to(home)) for name in least(needs.paths)) == sorted(shown)
    for name, real in needs.paths.items():
        assert real == name.resolve()


def test_a_link_in_a_system_folder_leads_into_home_too(tmp_path: Path) -> None:
    home = tmp_path / "home"
    lay(home, {"opt/node/bin/node": "", "opt/node/lib/x": ""})
    lay(tmp_path, {"usr/bin/node": "→ ../../home/opt/node/bin/node"})
    needs = needs_in(home)
    needs.search(f"{tmp_path}/usr/bin")
    assert least(needs.paths) == [home / "opt/node"]


def test_one_file_is_one_file(tmp_path: Path) -> None:
    home = tmp_path / "home"
    lay(home, {"agent.sh": "#!/bin/sh\n", "secret": "", ".config/lib/x": ""})
    needs = needs_in(home)
    needs.file(home / "agent.sh")
    assert needs.paths == {home / "agent.sh": home / "agent.sh"}


def test_what_is_only_read_shows_nothing_by_its_first_line(tmp_path: Path) -> None:
    home = tmp_path / "home"
    lay(home, {"prompt.md": "#!{home}/.ssh/secret\n", ".ssh/secret": ""})
    needs = needs_in(home)
    needs.file(home / "prompt.md")
    assert list(needs.paths) == [home / "prompt.md"]


def test_a_pipe_among_programs_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    os.mkfifo(tmp_path / "bin/pipe")
    needs = needs_in(tmp_path)
    needs.search(f"{tmp_path}/bin")
    assert list(needs.paths) == [tmp_path / "bin"]


def least(paths: dict[Path, Path]) -> list[Path]:
    """Without what lies in another one."""
    return [one for one in paths if not any(up in paths for up in one.parents)]
