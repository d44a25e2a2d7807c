"""Requests for a gate: an agent may write what it likes, and be told nothing but a verdict."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from oya.agents import oya_gate
from oya.agents.gate_requests import MAX_ENTRIES, FolderRequests, GateRequest

ID = "0123456789abcdef"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    FolderRequests().listen(tmp_path)
    return tmp_path / ".oya" / "gate"


def ask(folder: Path, said: str | bytes, name: str = f"request-{ID}.json") -> Path:
    path = folder / name
    path.write_bytes(said if isinstance(said, bytes) else said.encode())
    return path


def take(folder: Path) -> GateRequest | None:
    return FolderRequests().take(folder.parent.parent)


def test_a_request_is_taken_once(folder: Path) -> None:
    ask(folder, '{"gate": "tests", "more": "ignored"}')
    assert take(folder) == GateRequest(ID, "tests")
    assert take(folder) is None


@pytest.mark.parametrize(
    "said",
    [
        '{"gate": "ci"}',
        '{"gate": "tests; rm -rf /"}',
        '{"gate": ["tests"]}',
        '{"gate": {"a": 1}}',
        "[]",
        "tests",
        "",
        b"\xff\xfe",
        "[" * 900,
        '{"gate": "tests"' + " " * 5000 + "}",
    ],
)
def test_nothing_else_can_be_asked_for(folder: Path, said: str | bytes) -> None:
    path = ask(folder, said)
    assert take(folder) is None
    assert not path.exists()


@pytest.mark.parametrize(
    "name", ["request-../x.json", "request-.json", "request-0123456789ABCDEF.json", "x.json"]
)
def test_only_ids_are_names(folder: Path, name: str) -> None:
    if "/" not in name:
        ask(folder, '{"gate": "tests"}', name)
    assert take(folder) is None


def a_link(folder: Path) -> None:
    (folder.parent.parent / "real").write_text('{"gate": "tests"}')
    (folder / f"request-{ID}.json").symlink_to(folder.parent.parent / "real")


def a_pipe(folder: Path) -> None:
    os.mkfifo(folder / f"request-{ID}.json")


def a_folder(folder: Path) -> None:
    (folder / f"request-{ID}.json").mkdir()


def a_crowd(folder: Path) -> None:
    for number in range(2 * MAX_ENTRIES):
        (folder / f"x{number}").touch()


@pytest.mark.parametrize("trick", [a_link, a_pipe, a_folder, a_crowd])
def test_what_is_no_file_is_no_request(folder: Path, trick: Callable[[Path], None]) -> None:
    trick(folder)
    assert take(folder) is None


def test_answers_lead_nowhere_else(folder: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.write_text("mine")
    (folder / f"answer-{ID}.json").symlink_to(mine)
    FolderRequests().answer(tmp_path, ID, ok=True, text="green")
    assert mine.read_text() == "mine"
    assert json.loads((folder / f"answer-{ID}.json").read_text()) == {"ok": True, "text": "green"}


def test_a_link_in_place_of_the_folder_is_not_entered(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (outside / "gate").mkdir(parents=True)
    ask(outside / "gate", '{"gate": "tests"}')
    work = tmp_path / "work"
    work.mkdir()
    (work / ".oya").symlink_to(outside)
    requests = FolderRequests()
    requests.listen(work)
    assert requests.take(work) is None
    requests.alive(work)
    requests.answer(work, ID, ok=True, text="")
    requests.close(work)
    assert [path.name for path in (outside / "gate").iterdir()] == [f"request-{ID}.json"]


def test_in_a_folder_that_is_gone_nothing_happens(tmp_path: Path) -> None:
    requests, gone = FolderRequests(), tmp_path / "gone"
    requests.listen(gone)
    requests.alive(gone)
    requests.answer(gone, ID, ok=None, text="")
    assert requests.take(gone) is None
    assert not gone.exists()


def test_what_was_asked_of_an_earlier_listener_is_forgotten(folder: Path) -> None:
    ask(folder, '{"gate": "tests"}')
    FolderRequests().listen(folder.parent.parent)
    assert take(folder) is None


# The program ---------------------------------------------------------------------------------


def call(folder: Path, *args: str) -> subprocess.Popen[str]:
    env = {"PATH": os.environ["PATH"], "OYA_WORKSPACE": str(folder)}
    return subprocess.Popen(
        (sys.executable, "-I", "-S", "-E", oya_gate.__file__, *args),
        env=env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def serve(workspace: Path, ok: bool | None, text: str) -> str:
    """Answer the next request; the gate it was for."""
    requests = FolderRequests()
    while (request := requests.take(workspace)) is None:
        os.sched_yield()
    requests.answer(workspace, request.id, ok=ok, text=text)
    return request.gate


@pytest.mark.parametrize(("ok", "code"), [(True, 0), (False, 1), (None, 2)])
def test_the_program_prints_the_verdict(folder: Path, ok: bool | None, code: int) -> None:
    workspace = folder.parent.parent
    with call(workspace, "quick") as program:
        assert serve(workspace, ok, "as it is") == "quick"
        out, _ = program.communicate(timeout=30)
    assert (program.returncode, out) == (code, "as it is\n")
    assert [path.name for path in folder.iterdir()] == ["alive"]


@pytest.mark.parametrize("args", [(), ("ci",), ("tests", "more")])
def test_what_it_cannot_ask_for_it_says(folder: Path, args: tuple[str, ...]) -> None:
    with call(folder.parent.parent, *args) as program:
        _, said = program.communicate(timeout=30)
    assert (program.returncode, said) == (2, "oya-gate: usage: oya-gate tests|quick\n")


def test_where_nobody_listens_it_says_so(tmp_path: Path) -> None:
    with call(tmp_path, "tests") as program:
        _, said = program.communicate(timeout=30)
    assert program.returncode == 2
    assert "does not listen" in said


def test_where_nobody_answers_it_gives_up(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("OYA_WORKSPACE", str(folder.parent.parent))
    monkeypatch.setattr(sys, "argv", ["oya-gate", "tests"])
    monkeypatch.setattr(oya_gate, "SILENCE", 0.2)
    assert oya_gate.main() == 2
    assert "does not answer" in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == ["alive"]
