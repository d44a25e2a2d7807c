"""Kept folders: whatever a tree that has not landed did to them is undone."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from oya.repository import kept as module
from oya.repository.git import GitRepository
from oya.repository.kept import Kept
from oya.repository.slot import Slots
from repository_kit import commit, git, write

Seen = dict[str, tuple[int, str]]


def seen(folder: Path) -> Seen:
    """Mode and content of everything below a folder."""
    found: Seen = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        text = str(path.readlink()) if path.is_symlink() else ""
        text = text or (path.read_text() if path.is_file() else "folder")
        found[name] = (path.lstat().st_mode, text)
    return found


@pytest.fixture
def slot(tmp_path: Path) -> Path:
    """A slot with an environment that a landed tree has left."""
    folder = tmp_path / "slot"
    write(folder, {".venv/lib/a.py": "aaaa", ".venv/lib/b.py": "bbbb", ".venv/cfg": "x"})
    (folder / ".venv" / "link").symlink_to("lib/a.py")
    (folder / ".venv" / "cfg").chmod(0o640)
    return folder


@pytest.fixture
def kept(slot: Path, tmp_path: Path) -> Kept:
    kept = Kept(slot, tmp_path / "store", (".venv",))
    assert kept.settle(landed=True) == [".venv"]
    return kept


def poison(slot: Path) -> None:
    """Other code in a file that looks as before."""
    file = slot / ".venv" / "lib" / "a.py"
    before = file.stat()
    file.write_text("evil")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


def through_a_link(slot: Path) -> None:
    (slot / "alias").unlink(missing_ok=True)
    os.link(slot / ".venv" / "lib" / "a.py", slot / "alias")
    poison(slot)


def special(slot: Path) -> None:
    os.mkfifo(slot / ".venv" / "pipe")


def locked(slot: Path) -> None:
    (slot / ".venv" / "lib").chmod(0)


def elsewhere(slot: Path) -> None:
    shutil.move(slot / ".venv", slot.parent / "moved")
    (slot / ".venv").symlink_to(slot.parent / "moved")
    poison(slot)


DEEDS: dict[str, Callable[[Path], object]] = {
    "poison": poison,
    "through a link": through_a_link,
    "special": special,
    "locked": locked,
    "elsewhere": elsewhere,
    "new": lambda slot: write(slot, {".venv/lib/c.py": "c", ".venv/deep/er/d": "d"}),
    "gone": lambda slot: (slot / ".venv" / "lib" / "b.py").unlink(),
    "mode": lambda slot: (slot / ".venv" / "cfg").chmod(0o755),
    "retarget": lambda slot: (
        (slot / ".venv" / "link").unlink(),
        (slot / ".venv" / "link").symlink_to("/etc/passwd"),
    ),
    "file for folder": lambda slot: (
        shutil.rmtree(slot / ".venv" / "lib"),
        (slot / ".venv" / "lib").write_text("x"),
    ),
    "folder for file": lambda slot: (
        (slot / ".venv" / "cfg").unlink(),
        write(slot, {".venv/cfg/x": "x"}),
    ),
    "link for folder": lambda slot: (
        shutil.rmtree(slot / ".venv" / "lib"),
        (slot / ".venv" / "lib").symlink_to("/etc"),
    ),
    "all gone": lambda slot: shutil.rmtree(slot / ".venv"),
    "a file": lambda slot: (shutil.rmtree(slot / ".venv"), (slot / ".venv").write_text("x")),
}


@pytest.mark.parametrize("deed", DEEDS)
def test_what_a_candidate_did_is_undone(slot: Path, kept: Kept, deed: str) -> None:
    before = seen(slot / ".venv")
    DEEDS[deed](slot)
    assert kept.settle(landed=False) == [".venv"]
    assert seen(slot / ".venv") == before
    DEEDS[deed](slot)  # the note is as good as the first time
    kept.settle(landed=False)
    assert seen(slot / ".venv") == before


@pytest.mark.parametrize("deed", ["poison", "new", "gone", "mode", "file for folder", "special"])
def test_what_a_landed_tree_did_stays(slot: Path, kept: Kept, deed: str) -> None:
    DEEDS[deed](slot)
    after = seen(slot / ".venv")
    kept.settle(landed=True)
    assert seen(slot / ".venv") == after
    shutil.rmtree(slot / ".venv")
    kept.settle(landed=False)
    assert seen(slot / ".venv") == {n: how for n, how in after.items() if n != "pipe"}


@pytest.mark.parametrize("seed", range(30))
def test_any_row_of_deeds_is_undone(slot: Path, kept: Kept, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(6):
        try:
            DEEDS[chance.choice([*DEEDS])](slot)
        except OSError:
            continue  # what it would do it to is not there any more
        if chance.random() < 0.3:
            kept.settle(landed=False)
    before = seen(slot.parent / "store" / next((slot.parent / "store").glob("*.json")).stem)
    kept.settle(landed=False)
    assert seen(slot / ".venv") == before


def test_only_what_was_touched_is_written(slot: Path, kept: Kept) -> None:
    a, b = (slot / ".venv" / "lib" / name for name in ("a.py", "b.py"))
    handle = b.open()
    os.link(b, slot / "another")  # as tools do that share files: its ctime is new, its text is not
    poison(slot)
    kept.settle(landed=False)
    assert a.read_text() == "aaaa"
    assert b.stat().st_ino == os.fstat(handle.fileno()).st_ino  # the very file
    handle.close()


def test_a_change_in_the_same_tick_of_a_coarse_clock_is_found(
    slot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign = module._sign
    tick = time.time_ns()  # the clock stands still, until all of this is over
    monkeypatch.setattr(module, "_sign", lambda found: (*sign(found)[:4], tick))
    monkeypatch.setattr(module, "_TICK", 3600 * 10**9)
    kept = Kept(slot, tmp_path / "store", (".venv",))
    kept.settle(landed=True)
    before = seen(slot / ".venv")
    poison(slot)
    kept.settle(landed=False)
    assert seen(slot / ".venv") == before


def test_times_are_put_back_too(slot: Path, kept: Kept) -> None:
    file = slot / ".venv" / "lib" / "a.py"
    before = file.stat().st_mtime_ns
    file.write_text("other")
    kept.settle(landed=False)
    assert file.stat().st_mtime_ns == before


def test_what_no_landed_tree_made_is_not_kept(tmp_path: Path) -> None:
    write(tmp_path / "slot", {".venv/x": "1"})
    kept = Kept(tmp_path / "slot", tmp_path / "store", (".venv",))
    assert kept.there
    assert kept.settle(landed=False) == []
    assert not kept.there


def test_without_its_note_a_copy_is_worth_nothing(slot: Path, kept: Kept, tmp_path: Path) -> None:
    for note in (tmp_path / "store").glob("*.json"):
        note.write_text("{}}")
    assert kept.settle(landed=False) == []
    assert not (slot / ".venv").exists()


def test_a_copy_that_has_lost_something_is_worth_nothing(
    slot: Path, kept: Kept, tmp_path: Path
) -> None:
    for copy in (tmp_path / "store").rglob("a.py"):
        copy.unlink()
    poison(slot)
    assert kept.settle(landed=False) == []
    assert not (slot / ".venv").exists()


def test_too_much_is_not_kept(slot: Path, kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ENTRIES", 5)
    write(slot, {".venv/more": "1"})
    assert kept.settle(landed=True) == []
    assert not (slot / ".venv").exists()


def test_a_link_on_the_way_leads_nowhere(tmp_path: Path) -> None:
    slot, outside = tmp_path / "slot", tmp_path / "outside"
    write(slot, {"web/node_modules/x": "1"})
    write(outside, {"node_modules/mine": "1"})
    kept = Kept(slot, tmp_path / "store", ("web/node_modules",))
    kept.settle(landed=True)
    shutil.rmtree(slot / "web")
    (slot / "web").symlink_to(outside)
    kept.settle(landed=False)
    assert seen(outside / "node_modules").keys() == {"mine"}


def test_what_is_no_longer_configured_goes(slot: Path, kept: Kept, tmp_path: Path) -> None:
    Kept(slot, tmp_path / "store", ("target",)).settle(landed=False)
    assert list((tmp_path / "store").iterdir()) == []


# In slots ------------------------------------------------------------------------------------


@pytest.fixture
def base(repo: GitRepository, folder: Path) -> str:
    """A landed commit that ignores `.venv`."""
    start = commit(folder, {".gitignore": ".venv/\n"})
    git(folder, "update-ref", "refs/oya/line/main", start)
    return start


def slots_of(repo: GitRepository) -> Slots:
    return Slots(repo, repo.place, 1, keep=(".venv",))


async def leave(slots: Slots, rev: str, text: str, *, strange: bool = False) -> str:
    """Use a slot; what the environment said before, and says from then on."""
    async with slots.checkout(rev, strange=strange) as slot:
        file = slot.path / ".venv" / "x"
        before = file.read_text() if file.exists() else ""
        write(slot.path, {".venv/x": text})
        return before


async def test_only_what_landed_trees_wrote_is_seen_by_later_ones(
    repo: GitRepository, folder: Path, base: str
) -> None:
    candidate = commit(folder, {"a.txt": "two"})
    slots = slots_of(repo)
    assert await leave(slots, base, "base") == ""
    assert await leave(slots, candidate, "candidate") == "base"
    assert await leave(slots, candidate, "candidate") == "base"
    git(folder, "update-ref", "refs/oya/line/main", candidate)
    assert await leave(slots, candidate, "newer") == "candidate"
    assert await leave(slots_of(repo), base, "x") == "candidate"  # who ran there, nobody knows


async def test_what_an_agents_command_wrote_on_a_landed_tree_is_not_kept(
    repo: GitRepository, base: str
) -> None:
    slots = slots_of(repo)
    await leave(slots, base, "base")
    assert await leave(slots, base, "challenge", strange=True) == "base"
    assert await leave(slots, base, "x") == "base"


async def test_what_a_cancelled_run_wrote_is_not_kept(repo: GitRepository, base: str) -> None:
    slots = slots_of(repo)
    await leave(slots, base, "base")
    with pytest.raises(ZeroDivisionError):
        async with slots.checkout(base) as slot:
            write(slot.path, {".venv/x": "half"})
            raise ZeroDivisionError
    assert await leave(slots, base, "x") == "base"


async def test_a_folder_that_the_tree_does_not_ignore_is_not_there(
    repo: GitRepository, folder: Path, base: str
) -> None:
    tracked = commit(folder, {".gitignore": "", ".venv/y": "tracked"})
    slots = slots_of(repo)
    await leave(slots, base, "base")
    async with slots.checkout(tracked) as slot:
        assert [path.name for path in (slot.path / ".venv").iterdir()] == ["y"]
        assert git(slot.path, "status", "--porcelain") == ""
    async with slots.checkout(base) as slot:
        assert seen(slot.path / ".venv").keys() == {"x"}


async def test_beside_what_is_kept_nothing_is(repo: GitRepository, folder: Path, base: str) -> None:
    slots = slots_of(repo)
    async with slots.checkout(base) as slot:
        write(slot.path, {".venv/x": "1", "src/.venv/x": "1", "other": "1"})
    async with slots.checkout(base) as slot:
        assert (slot.path / ".venv" / "x").exists()
        assert not (slot.path / "src" / ".venv").exists()
        assert not (slot.path / "other").exists()
