from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace

import pytest

from oya.errors import GitError, NoRoom, NoSlot
from oya.repository.copies import Copied, Copies
from oya.repository.git import GitRepository
from oya.repository.slot import Slots
from repository_kit import commit, git, make_repository, write


@pytest.fixture
def slots(repo: GitRepository) -> Slots:
    return Slots(repo, repo.place, 1)


def files(path: Path) -> set[str]:
    found = (p.relative_to(path) for p in path.rglob("*") if not p.is_dir())
    return {str(name) for name in found if name.parts[0] != ".git"}


async def test_a_slot_holds_exactly_the_commit(
    repo: GitRepository, slots: Slots, folder: Path
) -> None:
    first = await repo.resolve("main")
    assert first
    git(folder, "tag", "-m", "r", "v1")
    (folder / "run").write_text("x")
    (folder / "run").chmod(0o755)
    (folder / "src" / "b.txt").unlink()
    second = commit(folder, {"a.txt": "new\n", "src/c": "c"})
    async with slots.checkout(first) as slot:
        assert files(slot.path) == {"a.txt", "src/b.txt"}
        assert git(slot.path, "status", "--porcelain=v1", "--branch") == "## HEAD (no branch)"
        assert git(slot.path, "rev-parse", "HEAD") == first
        path = slot.path
    async with slots.checkout(second) as slot:
        assert (slot.path, slot.index) == (path, 0)
        assert files(slot.path) == {"a.txt", "run", "src/c"}
        assert (slot.path / "run").stat().st_mode & 0o100
        assert git(slot.path, "status", "--porcelain") == ""
        assert git(slot.path, "describe") == f"v1-1-g{git(folder, 'rev-parse', '--short', second)}"
    assert git(folder, "status", "--porcelain=v1", "--branch") == "## main"


async def test_only_what_differs_is_written(
    repo: GitRepository, slots: Slots, folder: Path
) -> None:
    first = await repo.resolve("main")
    assert first
    second = commit(folder, {"a.txt": "new\n"})
    async with slots.checkout(first) as slot:
        before = {name: (slot.path / name).stat() for name in ("a.txt", "src/b.txt")}
    async with slots.checkout(second) as slot:
        now = {name: (slot.path / name).stat() for name in ("a.txt", "src/b.txt")}
    assert now["src/b.txt"].st_ino == before["src/b.txt"].st_ino
    assert now["src/b.txt"].st_mtime_ns == before["src/b.txt"].st_mtime_ns
    assert now["a.txt"].st_mtime_ns != before["a.txt"].st_mtime_ns


async def test_on_a_full_disk_a_slot_keeps_nothing_of_a_run(
    repo: GitRepository, slots: Slots, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = commit(folder, {".gitignore": "build/\n"})
    full = SimpleNamespace(total=1 << 40, used=1 << 40, free=0)
    with monkeypatch.context() as patched, pytest.raises(NoRoom):
        patched.setattr(shutil, "disk_usage", lambda _: full)
        async with slots.checkout(start) as slot:
            write(slot.path, {"build/x": "1"})
            raise NoRoom
    assert not slot.path.exists()
    async with slots.checkout(start) as slot:
        assert files(slot.path) == {".gitignore", "a.txt", "src/b.txt"}
        assert git(slot.path, "status", "--porcelain") == ""


async def test_nothing_of_the_gate_before_is_left(
    repo: GitRepository, slots: Slots, folder: Path
) -> None:
    start = commit(folder, {".gitignore": "build/\n*.pyc\n"})
    async with slots.checkout(start) as slot:
        write(slot.path, {"build/x": "1", "src/y.pyc": "1", "left": "1", "a.txt": "changed"})
        make_repository(slot.path / "nested")
        commit(slot.path, {"own": "1"}, "by a gate")
        (slot.path / "src" / "b.txt").unlink()
        (slot.path / "src" / "b.txt").mkdir()
        write(slot.path, {"src/b.txt/x": "1"})
        (slot.path / "src" / "empty").mkdir()
        git(slot.path, "config", "core.worktree", "/")
    async with slots.checkout(start) as slot:
        assert files(slot.path) == {".gitignore", "a.txt", "src/b.txt"}
        assert not (slot.path / "src" / "empty").exists()
        assert (slot.path / "a.txt").read_text() == "one\n"
        assert git(slot.path, "status", "--porcelain") == ""
        assert git(slot.path, "rev-parse", "HEAD") == start


async def test_a_gate_that_wrecks_its_slot_wrecks_only_that_run(
    repo: GitRepository, slots: Slots, folder: Path, tmp_path: Path
) -> None:
    start = await repo.resolve("main")
    assert start
    outside = tmp_path / "outside"
    write(outside, {"b.txt": "mine"})
    async with slots.checkout(start) as slot:
        shutil.rmtree(slot.path)
        slot.path.symlink_to(outside)
    async with slots.checkout(start) as slot:
        assert files(slot.path) == {"a.txt", "src/b.txt"}
        shutil.rmtree(slot.path / "src")
        (slot.path / "src").symlink_to(outside)
        (repo.place.admin / "slots" / "0" / "index").write_bytes(b"spoilt")
        (repo.place.admin / "slots" / "0" / "index.lock").touch()
    async with slots.checkout(start) as slot:
        assert files(slot.path) == {"a.txt", "src/b.txt"}
    assert (outside / "b.txt").read_text() == "mine"


async def test_sparse_and_split_configurations_of_the_user_do_not_matter(
    repo: GitRepository, folder: Path
) -> None:
    git(folder, "sparse-checkout", "set", "--no-cone", "/a.txt")
    git(folder, "config", "core.splitIndex", "true")
    start = await repo.resolve("main")
    assert start
    async with Slots(repo, repo.place, 1).checkout(start) as slot:
        assert files(slot.path) == {"a.txt", "src/b.txt"}
    assert list((folder / ".git").glob("sharedindex.*")) == []


async def test_who_asks_first_is_served_first(repo: GitRepository) -> None:
    slots = Slots(repo, repo.place, 2)
    start = await repo.resolve("main")
    assert start
    order, two = list[int](), asyncio.Barrier(2)

    async def one(number: int) -> None:
        async with slots.checkout(start) as slot:
            assert slot.index in (0, 1)
            order.append(number)
            await two.wait()

    async with asyncio.timeout(60):
        await asyncio.gather(*(one(number) for number in range(6)))
    assert [number // 2 for number in order] == [0, 0, 1, 1, 2, 2]


async def test_waiting_for_a_slot_has_an_end(repo: GitRepository, slots: Slots) -> None:
    start = await repo.resolve("main")
    assert start
    async with slots.checkout(start):
        with pytest.raises(NoSlot, match="no slot became free"):
            async with slots.checkout(start, wait=0.01):
                raise AssertionError
    async with slots.checkout(start, wait=10):
        pass


async def test_a_slot_comes_back_from_errors(repo: GitRepository, slots: Slots) -> None:
    start = await repo.resolve("main")
    assert start
    with pytest.raises(GitError):
        async with slots.checkout("1" * 40):
            raise AssertionError
    with pytest.raises(ZeroDivisionError):
        async with slots.checkout(start):
            raise ZeroDivisionError
    waiting = asyncio.create_task(slots.checkout(start).__aenter__())
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with slots.checkout(start, wait=10) as slot:
        assert files(slot.path) == {"a.txt", "src/b.txt"}


async def test_prepare_and_cleanup_are_told_their_slot(repo: GitRepository) -> None:
    seen = list[tuple[str, str]]()

    async def prepare(path: Path, more: Mapping[str, str]) -> None:
        seen.append(("prepare", more["OYA_SLOT"]))

    async def cleanup(path: Path, more: Mapping[str, str]) -> None:
        assert (path / "a.txt").exists()
        seen.append(("cleanup", more["OYA_SLOT"]))

    slots = Slots(repo, repo.place, 2, prepare=prepare, cleanup=cleanup)
    start = await repo.resolve("main")
    assert start
    async with slots.checkout(start):
        with pytest.raises(ZeroDivisionError):
            async with slots.checkout(start):
                assert seen == [("prepare", "0"), ("prepare", "1")]
                raise ZeroDivisionError
        assert seen[2:] == [("cleanup", "1")]
    assert seen[3:] == [("cleanup", "0")]


async def test_a_slot_that_was_in_use_when_oya_died_is_cleaned_up(repo: GitRepository) -> None:
    seen = list[str]()

    async def prepare(path: Path, more: Mapping[str, str]) -> None:
        seen.append("prepare")

    async def cleanup(path: Path, more: Mapping[str, str]) -> None:
        seen.append(more["OYA_SLOT"])

    def slots() -> Slots:
        return Slots(repo, repo.place, 2, prepare=prepare, cleanup=cleanup)

    start = await repo.resolve("main")
    assert start
    dying = slots().checkout(start)
    await dying.__aenter__()
    await slots().clean_up()
    assert seen == ["prepare", "0"]
    await slots().clean_up()
    assert seen == ["prepare", "0"]
    again = slots().checkout(start)
    await again.__aenter__()
    async with slots().checkout(start):  # by one who has not asked for it
        assert seen[2:] == ["prepare", "0", "prepare"]
    for one in (dying, again):
        await one.__aexit__(None, None, None)


async def test_a_slot_has_the_users_ignored_files_where_the_tree_has_none(
    repo: GitRepository, folder: Path, tmp_path: Path
) -> None:
    copies = Copies(
        (Copied(".env", b"secret", 0o600), Copied("a.txt", b"x", 0o600), Copied("l/x", b"y", 0o600))
    )
    (folder / "l").symlink_to(tmp_path)
    start = commit(folder, {".gitignore": ".env\n"})
    async with Slots(repo, repo.place, 1, copies=copies).checkout(start) as slot:
        assert (slot.path / ".env").read_text() == "secret"
        assert (slot.path / ".env").stat().st_mode & 0o777 == 0o600
        assert (slot.path / "a.txt").read_text() == "one\n"
        assert git(slot.path, "status", "--porcelain") == ""
    assert not (tmp_path / "x").exists()


async def test_every_checkout_is_prepared(repo: GitRepository) -> None:
    seen = list[set[str]]()

    async def prepare(path: Path, more: Mapping[str, str]) -> None:
        seen.append(files(path))
        write(path, {"env/x": "1"})

    slots = Slots(repo, repo.place, 1, prepare=prepare)
    start = await repo.resolve("main")
    assert start
    for _ in range(2):
        async with slots.checkout(start) as slot:
            assert (slot.path / "env" / "x").exists()
    assert seen == [{"a.txt", "src/b.txt"}] * 2
