"""Folders that nobody wants to have made: entered, walked through and taken away all the same."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from folders_kit import DEEP, nest, without_privilege
from oya.errors import OyaError
from oya.folders import let_in, take_away, walk


@pytest.mark.parametrize(("levels", "name"), [(DEEP, "d"), (30, "d" * 200)])
def test_however_deep_they_are_they_go_and_what_links_lead_to_stays(
    tmp_path: Path, levels: int, name: str
) -> None:
    (tmp_path / "strange").mkdir()
    (tmp_path / "mine").touch()
    nest(tmp_path / "strange", levels, name)
    take_away(tmp_path / "strange")
    assert os.listdir(tmp_path) == ["mine"]


_LOCKED = """
import resource, sys
from pathlib import Path
from folders_kit import nest
from oya.folders import take_away

resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
top = Path(sys.argv[1], "top")
for levels, name in ((100, "d"), (30, "d" * 200), (3000, "d")):
    top.mkdir()
    nest(top, levels, name)
    (top / name / name).chmod(0o500)
    (top / name).chmod(0)
    take_away(top)
    print(top.exists())
"""


def test_locked_ones_go_too_and_so_where_few_files_may_be_open(tmp_path: Path) -> None:
    assert without_privilege(_LOCKED, str(tmp_path)).split() == ["False"] * 3


def test_what_cannot_be_removed_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(path: Path) -> None:
        raise OSError("device or resource busy")

    monkeypatch.setattr("shutil.rmtree", busy)
    with pytest.raises(OyaError, match="cannot be removed"):
        take_away(tmp_path)
    assert tmp_path.is_dir()


def test_files_links_and_nothing_at_all_go_as_well(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("file", "link", "none"):
        take_away(tmp_path / name)
    assert os.listdir(tmp_path) == []


def test_only_a_folder_is_opened(tmp_path: Path) -> None:
    for name in ("folder", "elsewhere"):
        (tmp_path / name).mkdir(mode=0o010)
    (tmp_path / "file").touch(mode=0)
    (tmp_path / "link").symlink_to("elsewhere")
    for name in ("folder", "link", "file"):
        let_in(tmp_path / name)
    modes = {name: (tmp_path / name).stat().st_mode & 0o777 for name in os.listdir(tmp_path)}
    assert modes == {"folder": 0o710, "elsewhere": 0o010, "link": 0o010, "file": 0}


def test_a_walk_has_no_end_and_goes_only_where_it_may(tmp_path: Path) -> None:
    for name in ("b/in", "a", "skip/in", "deep"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "a" / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path)
    nest(tmp_path / "deep")
    seen = []
    for folder, folders, others in walk(tmp_path):
        folders[:] = sorted({*folders} - {"skip"})
        seen.append((folder.relative_to(tmp_path).as_posix(), sorted(others)))
    assert seen[:3] == [(".", ["link"]), ("a", ["file"]), ("b", [])]
    assert len(seen) > 1_100
    take_away(tmp_path / "deep")  # pytest itself cannot
