"""Which tracker a repository has, and what `auto` refuses."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from oya.errors import ConfigError, TrackerError
from oya.trackers import detect


@pytest.fixture
def beads(tmp_path: Path) -> Path:
    folder = tmp_path / ".beads"
    folder.mkdir()
    (folder / "issues.jsonl").write_text('{"id":"a"}\n')
    return folder


@pytest.mark.parametrize("kind", ["auto", "beads-jsonl"])
async def test_a_plain_file_is_the_backlog(beads: Path, kind: str) -> None:
    tracker = detect(beads.parent, kind)
    assert (tracker.kind, tracker.path) == ("beads-jsonl", ".beads/issues.jsonl")
    assert "a" in (await tracker.read()).backlog


def refuses_as_export(beads: Path, name: str) -> None:
    with pytest.raises(TrackerError, match=re.escape(f".beads/{name} says")) as caught:
        detect(beads.parent)
    assert '[tracker] kind = "beads-jsonl"' in caught.value.hint
    assert detect(beads.parent, "beads-jsonl").kind == "beads-jsonl"


@pytest.mark.parametrize("name", ["beads.db", "demo.db", "beads.sqlite3"])
def test_auto_refuses_a_file_with_a_database_beside_it(beads: Path, name: str) -> None:
    (beads / name).write_bytes(b"SQLite format 3\0")
    refuses_as_export(beads, name)


@pytest.mark.parametrize("name", ["dolt", "embeddeddolt"])
def test_auto_refuses_a_file_with_a_dolt_folder_beside_it(beads: Path, name: str) -> None:
    (beads / name).mkdir()
    refuses_as_export(beads, name)


@pytest.mark.parametrize(
    "metadata",
    [
        {"database": "beads.db", "jsonl_export": "issues.jsonl"},
        {"backend": "dolt", "dolt_mode": "server", "jsonl_export": "issues.jsonl"},
        {"dolt_database": "demo"},
    ],
)
def test_auto_refuses_a_file_whose_metadata_names_a_database(
    beads: Path, metadata: dict[str, str]
) -> None:
    (beads / "metadata.json").write_text(json.dumps(metadata))
    refuses_as_export(beads, "metadata.json")


@pytest.mark.parametrize("metadata", ["{broken", "[" * 100_000])
def test_metadata_that_cannot_be_read_counts_as_a_sign(beads: Path, metadata: str) -> None:
    (beads / "metadata.json").write_text(metadata)
    refuses_as_export(beads, "metadata.json")


@pytest.mark.parametrize("metadata", ['{"jsonl_export":"issues.jsonl"}', '{"database":""}', "[]"])
def test_metadata_that_names_no_database_is_no_sign(beads: Path, metadata: str) -> None:
    (beads / "metadata.json").write_text(metadata)
    (beads / "config.yaml").write_text("issue-prefix: demo\n")
    assert detect(beads.parent).kind == "beads-jsonl"


@pytest.mark.parametrize("kind", ["auto", "beads-jsonl"])
async def test_no_backlog_says_how_to_make_one_and_the_example_works(
    tmp_path: Path, kind: str
) -> None:
    with pytest.raises(TrackerError, match=r"\.beads/issues\.jsonl does not exist") as caught:
        detect(tmp_path, kind)
    example = re.search(r"echo '(.*)' >", caught.value.hint)
    assert example
    (tmp_path / ".beads").mkdir()
    (tmp_path / ".beads" / "issues.jsonl").write_text(example[1] + "\n")
    (bead,) = (await detect(tmp_path, kind).read()).backlog.beads
    assert bead.title
    assert bead.description
    assert bead.criteria
    assert bead.created_at


@pytest.mark.parametrize("kind", ["bd", "br", "github", "jsonl", ""])
def test_an_unknown_kind_is_refused_with_the_known_ones(beads: Path, kind: str) -> None:
    with pytest.raises(ConfigError) as caught:
        detect(beads.parent, kind)
    assert "auto, beads-jsonl" in caught.value.hint
