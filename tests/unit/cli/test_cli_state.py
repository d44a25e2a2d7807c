"""`oya state`: a state out as a file, and in again, as it is typed."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
from cli_kit import Oya

from oya.clock import SystemClock
from oya.lifecycle.events import Added
from oya.lifecycle.model import Limits
from oya.store import Store


def fill(folder: Path) -> None:
    async def story() -> None:
        store = await Store.open(folder / ".git/oya", clock=SystemClock())
        many = [(name, Added(f"title of {name}")) for name in ("a", "b")]
        await store.beads.apply_many(many, swarm=None, limits=Limits())
        await store.close()

    asyncio.run(story())


def test_out_to_a_file_and_in_again(folder: Path, oya: Oya) -> None:
    fill(folder)
    assert oya("state", "export", "s.jsonl") == (0, "", "Exported 6 records to s.jsonl.\n")
    text = (folder / "s.jsonl").read_text()
    assert json.loads(text.splitlines()[0]) == {"oya state": 1, "schema": 2, "seq": 2, "group": 1}
    assert oya("state", "export", "-") == (0, text, "Exported 6 records.\n")

    code, out, err = oya("state", "import", "s.jsonl")
    assert (code, out) == (2, "")
    assert f"mv {folder}/.git/oya {folder}/.git/oya.old" in err
    (folder / ".git/oya").rename(folder / ".git/oya.old")
    code, out, err = oya("state", "import", "s.jsonl")
    assert (code, out) == (0, "")
    assert err == "Imported the state up to event 2. Look at it: oya beads\n"
    assert [row["id"] for row in json.loads(oya("beads", "--format", "json")[1])["beads"]] == [
        "a",
        "b",
    ]
    assert oya("state", "export", "-")[1] == text


def test_from_a_pipe(folder: Path, oya: Oya, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(folder)
    text = oya("state", "export", "-")[1]
    (folder / ".git/oya").rename(folder / ".git/oya.old")
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(text.encode())))
    assert oya("state", "import", "-")[0] == 0
    assert oya("state", "export", "-")[1] == text


def test_without_a_name_it_is_a_backup(folder: Path, oya: Oya) -> None:
    fill(folder)
    code, _, err = oya("state", "export")
    (backup,) = (folder / ".git/oya/backups").iterdir()
    assert (code, err) == (0, f"Exported 6 records to {backup}.\n")
    assert backup.read_text() == oya("state", "export", "-")[1]


def test_what_cannot_be_done_is_said_and_leaves_nothing(folder: Path, oya: Oya) -> None:
    code, _, err = oya("state", "export", "s.jsonl")
    assert (code, "no state here yet" in err) == (2, True)
    assert oya("state", "import", "none.jsonl")[0] == 2
    fill(folder)
    code, _, err = oya("state", "export", "no/such/folder.jsonl")
    assert (code, "No such file or directory" in err) == (2, True)
    (folder / ".git/oya").rename(folder / ".git/oya.old")
    (folder / "cut.jsonl").write_text('{"oya state": 1, "schema": 2, "seq": 0, "group": 0}\n')
    code, _, err = oya("state", "import", "cut.jsonl")
    assert (code, "it was cut" in err, "Nothing was imported" in err) == (2, True, True)
    assert not (folder / ".git/oya/sequence").exists()
