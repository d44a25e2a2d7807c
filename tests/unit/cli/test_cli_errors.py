"""Bad input: the exit code, the words, and nothing changed."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from pathlib import Path

import pytest
from cli_kit import Oya

from oya.cli import attached
from oya.daemon import state
from oya.repository.places import find_place
from repository_kit import commit, git, write

CONFIG = """\
[defaults]
backend = "recorded"
[backends.recorded]
kind = "scripted"
scenario = "scenario.json"
[quality-gates]
ci = ["true"]
"""
BEAD = '{"id": "a-1", "title": "One", "status": "open", "issue_type": "task", "priority": 1}\n'
FILES = {
    ".oya/swarm.toml": CONFIG,
    "scenario.json": '{"version": 1, "entries": []}',
    ".beads/issues.jsonl": BEAD,
}


@pytest.fixture
def files() -> dict[str, str]:
    return FILES


def everything(folder: Path) -> str:
    """All that a dry run must not change."""
    refs = git(folder, "for-each-ref")
    return f"{git(folder, 'status', '--porcelain')}\n{refs}\n{(folder / '.git/oya').exists()}"


def refused(folder: Path, oya: Oya, *said: str, args: tuple[str, ...] = ("--dry-run",)) -> None:
    """Exit 2 with these words, nothing on stdout, and nothing changed."""
    before = everything(folder)
    code, out, err = oya("swarm", *args)
    assert (code, out) == (2, ""), err
    for words in said:
        assert words in err
    assert "Traceback" not in err
    assert everything(folder) == before


def test_a_fit_repository_is_explained(folder: Path, oya: Oya) -> None:
    before = everything(folder)
    code, out, _ = oya("swarm", "--dry-run", "--target", "3", "--format", "json")
    plan = json.loads(out)
    assert code == 0
    assert plan["would"] == "Starts swarm-1: 3 beads."
    assert plan["first_beads"] == [{"id": "a-1", "title": "One"}]
    assert plan["gates"] == [{"gate": "ci", "command": "true", "seconds": None}]
    sources = {row["key"]: row["source"] for row in plan["configuration"]}
    assert sources["defaults.target_beads"] == "flag"
    assert sources["defaults.backend"] == "file"
    assert sources["defaults.reviewers"] == "default"
    assert any("capped" in warning for warning in plan["warnings"])
    assert everything(folder) == before


def test_not_a_repository(
    folder: Path, oya: Oya, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = oya("swarm")
    assert code == 2
    assert "is not in a git repository" in err
    assert "git init" in err


def test_no_commits(oya: Oya, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    empty = folder.parent / "empty"
    empty.mkdir()
    git(empty, "init", "-q")
    write(empty, FILES)
    monkeypatch.chdir(empty)
    refused(empty, oya, "no commits")


def test_a_detached_head(folder: Path, oya: Oya) -> None:
    git(folder, "checkout", "-q", "--detach")
    refused(folder, oya, "HEAD is detached")


def test_a_shallow_clone(folder: Path, oya: Oya, monkeypatch: pytest.MonkeyPatch) -> None:
    commit(folder, {"b": "b"})
    shallow = folder.parent / "shallow"
    subprocess.run(
        ["git", "clone", "-q", "--depth=1", f"file://{folder}", str(shallow)], check=True
    )
    monkeypatch.chdir(shallow)
    refused(shallow, oya, "shallow", "git fetch --unshallow")


def test_no_backlog_says_how_to_make_one(folder: Path, oya: Oya) -> None:
    (folder / ".beads/issues.jsonl").unlink()
    refused(folder, oya, ".beads/issues.jsonl")


def test_a_broken_backlog_names_line_and_column(folder: Path, oya: Oya) -> None:
    write(folder, {".beads/issues.jsonl": f"{BEAD}{{broken\n"})
    refused(folder, oya, "line 2, column 2")


def test_a_real_start_is_refused_in_the_same_words(folder: Path, oya: Oya) -> None:
    refused(folder, oya, "--target must be at least 1, not 0", args=("--target", "0"))
    refused(folder, oya, "No swarm has run here", args=("--resume", "last"))
    write(folder, {".beads/issues.jsonl": f"{BEAD}{{broken\n"})
    refused(folder, oya, "line 2, column 2", args=())


def test_a_mistake_in_the_configuration(folder: Path, oya: Oya) -> None:
    write(folder, {".oya/swarm.toml": CONFIG.replace("ci =", "cy =")})
    refused(folder, oya, "line 7: `quality-gates.cy` is not known; did you mean")


def test_no_configuration_asks_for_a_backend(folder: Path, oya: Oya) -> None:
    (folder / ".oya/swarm.toml").unlink()
    refused(folder, oya, "No backend is named", "[backends.codex]")


def test_a_command_that_is_not_there(folder: Path, oya: Oya) -> None:
    text = CONFIG.replace('"scripted"', '"acp"').replace(
        'scenario = "scenario.json"', 'command = ["no-such-agent"]'
    )
    write(folder, {".oya/swarm.toml": f'{text}[sandbox]\nkind = "none"\n'})
    refused(folder, oya, "the command `no-such-agent` is not found")


def test_a_scenario_that_is_not_there(folder: Path, oya: Oya) -> None:
    (folder / "scenario.json").unlink()
    refused(folder, oya, "there is no scenario scenario.json")


def test_a_skill_that_is_not_there(folder: Path, oya: Oya) -> None:
    write(folder, {".oya/swarm.toml": f'{CONFIG}[skills]\nplanner = ["x.md"]\n'})
    refused(folder, oya, "[skills] x.md cannot be read")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("swarm", "--dry-run", "--target", "0"), "--target must be at least 1, not 0"),
        (("swarm", "--target", "many"), "Invalid value for '--target'"),
        (("swarm", "--dry-run", "--agent", "recrded"), "did you mean `recorded`?"),
        (("swarm", "--dry-run", "--bead", "a-2"), "The backlog has no bead a-2"),
        (("swarm", "--dry-run", "--resume", "last"), "No swarm has run here"),
        (("swarm", "--new", "--resume", "last"), "do not go together"),
        (("swarm", "--dry-run", "--tarket", "3"), "No such option: --tarket"),
        (("swarm", "set", "target"), "'target' is not KEY=VALUE"),
        (("swarm", "stop"), "no swarm has run"),
        (("sworm",), "No such command 'sworm'"),
        (("why", "a-1"), "no swarm has run"),
        (("approve", "a-1"), "no swarm has run"),
        (("beads", "--phase", "landin"), "Did you mean landing?"),
        (("schema", "tester"), "There is no role 'tester'"),
        (("logs", "a-1"), "There is no log of a-1"),
    ],
)
def test_usage(folder: Path, oya: Oya, args: tuple[str, ...], said: str) -> None:
    before = everything(folder)
    code, out, err = oya(*args)
    assert (code, out) == (2, "")
    assert said in err
    assert everything(folder) == before


def test_a_state_that_is_held_by_something_silent_is_exit_6(
    folder: Path, oya: Oya, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "WAIT", 0.1)
    place = find_place(folder)
    place.make_folders()
    (place.state / "sequence").touch()
    with (place.state / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        code, _, err = oya("swarm", "status")
    assert code == 6
    assert "does not answer" in err


def test_a_read_only_state_is_told(folder: Path, oya: Oya) -> None:
    if os.getuid() == 0:
        (folder / ".git/oya").write_text("a file where the folder should be")
    else:
        (folder / ".git").chmod(0o555)
    code, _, err = oya("swarm")
    (folder / ".git").chmod(0o755)
    assert code == 2
    assert "oya cannot write to" in err
    assert "Nothing was changed." in err


def test_a_defect_is_no_traceback_unless_asked_for(
    folder: Path, oya: Oya, monkeypatch: pytest.MonkeyPatch
) -> None:
    def boom(*_: object) -> None:
        raise ValueError("boom")

    monkeypatch.setattr("oya.cli.asking.find_place", boom)
    code, _, err = oya("beads")
    assert code == 1
    assert "A defect of oya: ValueError: boom" in err
    assert "Traceback" not in err
    monkeypatch.setenv("OYA_DEBUG", "1")
    assert "Traceback" in oya("beads")[2]


def test_before_the_first_swarm_there_is_nothing_to_tell(folder: Path, oya: Oya) -> None:
    assert oya("swarm", "status")[:2] == (0, "No swarm has run here. Start one: oya swarm\n")
    assert json.loads(oya("swarm", "status", "--format", "json")[1])["id"] is None
    assert oya("beads")[0] == 0
    assert oya("events")[:2] == (0, "")
    assert not (folder / ".git/oya").exists()


def test_commands_work_from_a_subfolder(
    folder: Path, oya: Oya, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "deep/er").mkdir(parents=True)
    monkeypatch.chdir(folder / "deep/er")
    assert oya("swarm", "--dry-run")[0] == 0


def test_no_pid_file_is_no_daemon(folder: Path) -> None:
    assert attached.daemon_pid(find_place(folder)) is None


def test_a_folder_that_is_gone_is_no_defect(folder: Path, oya: Oya) -> None:
    gone = folder / "gone"
    gone.mkdir()
    os.chdir(gone)
    gone.rmdir()
    code, _, err = oya("beads")
    assert (code, "the folder that this was typed in is gone" in err) == (2, True)


def test_an_interrupted_command_says_so(
    folder: Path, oya: Oya, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The parser of commands turns a Ctrl+C into an exit code, and says nothing."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("oya.daemon.launch._hear", interrupt)
    code, _, err = oya("swarm")
    assert code == 130
    assert err.splitlines()[-2:] == [
        "Nothing was claimed. Start again: oya swarm",
        "oya: interrupted",
    ]


def test_an_unknown_placeholder_lands_in_no_message(folder: Path, oya: Oya) -> None:
    write(folder, {".oya/swarm.toml": f'{CONFIG}[landing]\nmessage = "{{idd}} {{title}}"\n'})
    refused(folder, oya, "{idd} is unknown; known: {id}, {title}, {description}")
