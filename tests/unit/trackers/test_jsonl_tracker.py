"""The backlog that is a file: how it is replaced, and what is refused."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from oya.errors import TrackerError
from oya.trackers import jsonl
from oya.trackers.jsonl import JsonlTracker

NOW = datetime(2026, 3, 1, tzinfo=UTC)
LINE = '{"id":"a","status":"open"}\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / ".beads" / "issues.jsonl"
    file.parent.mkdir()
    file.write_text(LINE)
    return file


async def close(file: Path) -> None:
    await JsonlTracker(file.parent.parent).close("a", "done", NOW)


async def refused(file: Path, what: str) -> TrackerError:
    """Both ways of using the file are refused, with words and a next step."""
    with pytest.raises(TrackerError, match=what):
        await close(file)
    with pytest.raises(TrackerError, match=what) as caught:
        await JsonlTracker(file.parent.parent).read()
    assert caught.value.safe
    assert caught.value.hint
    return caught.value


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
async def test_the_mode_is_kept(file: Path, mode: int) -> None:
    file.chmod(mode)
    await close(file)
    assert file.stat().st_mode & 0o777 == mode
    assert '"closed"' in file.read_text()


async def test_nothing_else_is_left_in_the_folder(file: Path) -> None:
    await close(file)
    assert [entry.name for entry in file.parent.iterdir()] == ["issues.jsonl"]


async def test_what_a_crash_left_behind_is_in_nobodys_way(file: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "precious"
    elsewhere.write_text("precious")
    (file.parent / ".issues.jsonl.oya").symlink_to(elsewhere)
    await close(file)
    assert '"closed"' in file.read_text()
    assert elsewhere.read_text() == "precious"
    assert [entry.name for entry in file.parent.iterdir()] == ["issues.jsonl"]


async def test_a_reader_holds_the_old_file_or_the_new_one(file: Path) -> None:
    with file.open() as reader:
        await close(file)
        assert reader.read() == LINE
    assert file.read_text() != LINE


async def test_the_text_is_on_disk_before_it_is_in_place_and_the_folder_after(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[str] = []

    def note(name: str, real: Callable[..., object]) -> None:
        def step(*args: object, **kwargs: object) -> object:
            steps.append(name)
            return real(*args, **kwargs)

        monkeypatch.setattr(jsonl.os, name, step)

    note("fsync", os.fsync)
    note("rename", os.rename)
    await close(file)
    assert steps == ["fsync", "rename", "fsync"]


def change_at_fsync(file: Path, monkeypatch: pytest.MonkeyPatch, times: int) -> list[int]:
    """Another program appends a bead while the closing is being written."""
    real, calls = os.fsync, [0]

    def fsync(descriptor: int) -> None:
        calls[0] += 1
        if calls[0] <= times:
            with file.open("a") as other:
                other.write(f'{{"id":"other-{calls[0]}"}}\n')
        real(descriptor)

    monkeypatch.setattr(jsonl.os, "fsync", fsync)
    return calls


async def test_what_another_program_writes_meanwhile_is_kept(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change_at_fsync(file, monkeypatch, times=2)
    await close(file)
    beads = (await JsonlTracker(file.parent.parent).read()).backlog.beads
    assert [(bead.id, bead.closed) for bead in beads] == [
        ("a", True),
        ("other-1", False),
        ("other-2", False),
    ]


async def test_a_file_that_never_rests_is_given_up_unclosed(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = change_at_fsync(file, monkeypatch, times=1000)
    with pytest.raises(TrackerError, match="keeps changing"):
        await close(file)
    assert calls[0] == 5
    assert file.read_text().startswith(LINE)
    assert [entry.name for entry in file.parent.iterdir()] == ["issues.jsonl"]


async def test_a_failing_disk_changes_nothing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(jsonl.os, "fsync", fsync)
    with pytest.raises(TrackerError, match="No space left on device"):
        await close(file)
    assert file.read_text() == LINE
    assert [entry.name for entry in file.parent.iterdir()] == ["issues.jsonl"]


async def test_a_linked_file_is_refused_and_its_target_left_alone(
    file: Path, tmp_path: Path
) -> None:
    target = file.rename(tmp_path / "elsewhere.jsonl")
    file.symlink_to(target)
    await refused(file, "symbolic link")
    assert file.is_symlink()
    assert target.read_text() == LINE


async def test_a_linked_folder_is_refused(file: Path, tmp_path: Path) -> None:
    file.parent.rename(tmp_path / "elsewhere")
    file.parent.symlink_to(tmp_path / "elsewhere")
    await refused(file, "symbolic link")
    assert (tmp_path / "elsewhere" / "issues.jsonl").read_text() == LINE


async def test_a_pipe_is_refused_and_not_waited_for(file: Path) -> None:
    file.unlink()
    os.mkfifo(file)
    await refused(file, "no plain file")


async def test_a_missing_backlog_says_how_to_make_one(file: Path) -> None:
    file.unlink()
    error = await refused(file, "does not exist")
    assert "mkdir -p .beads && echo '" in error.hint
    file.parent.rmdir()
    await refused(file, "does not exist")


async def test_a_file_over_the_limit_is_refused(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonl, "LARGEST", len(LINE))
    await JsonlTracker(file.parent.parent).read()
    file.write_text(LINE + "\n")
    await refused(file, "larger than")


async def test_bytes_that_are_no_text_are_named_by_line_and_column(file: Path) -> None:
    file.write_bytes('{"id":"a"}\n{"id":"é'.encode() + b"\xff\n")
    await refused(file, "line 2, column 9: this is no UTF-8")


async def test_unicode_line_separators_inside_a_text_end_no_line(file: Path) -> None:
    file.write_text('{"id":"a","title":"one\u2028two\u0085three"}\n')
    await close(file)
    (bead,) = (await JsonlTracker(file.parent.parent).read()).backlog.beads
    assert bead.title == "one\u2028two\u0085three"


class TestAFileThatDidNotChange:
    @pytest.fixture
    def read(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """How often the file was read."""
        load, times = jsonl._load, []

        def counted(folder: int) -> object:
            times.append(folder)
            return load(folder)

        monkeypatch.setattr(jsonl, "_load", counted)
        return times

    @pytest.fixture
    def later(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """An hour has gone by since the file was written."""
        now = jsonl.time.time_ns
        monkeypatch.setattr(jsonl.time, "time_ns", lambda: now() + 3600 * 10**9)

    async def test_it_is_not_even_read(self, file: Path, read: list[int], later: None) -> None:
        tracker = JsonlTracker(file.parent.parent)
        known = await tracker.read()
        assert await tracker.read(known) is known
        assert len(read) == 1

    async def test_a_young_one_is_read_since_a_write_in_the_same_tick_cannot_be_seen(
        self, file: Path, read: list[int]
    ) -> None:
        tracker, was = JsonlTracker(file.parent.parent), file.stat()
        known = await tracker.read()
        file.write_text(LINE.replace('"a"', '"b"'))
        os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))
        assert (await tracker.read(known)).backlog.get("b") is not None

    async def test_one_that_changed_is_read(self, file: Path, read: list[int], later: None) -> None:
        tracker, was = JsonlTracker(file.parent.parent), file.stat()
        known = await tracker.read()
        file.write_text(LINE.replace('"a"', '"b"'))
        os.utime(file, ns=(was.st_atime_ns, was.st_mtime_ns))  # of the same size and age
        assert (await tracker.read(known)).backlog.get("b") is not None
        assert len(read) == 2

    async def test_one_that_is_gone_is_an_error(self, file: Path, later: None) -> None:
        known = await JsonlTracker(file.parent.parent).read()
        file.unlink()
        with pytest.raises(TrackerError):
            await JsonlTracker(file.parent.parent).read(known)
