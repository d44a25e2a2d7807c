"""Remembered resolutions: git's rerere, with a memory that is oya's own."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from oya.repository import rerere
from oya.repository.git import GitRepository
from oya.repository.port import Merged
from repository_kit import commit, git

NAMES = ("a.txt", "src/b.txt")


@dataclass
class Conflict:
    """Two commits that conflict, and how that can be resolved."""

    repo: GitRepository
    ours: str
    theirs: str

    async def resolved(self, files: dict[str, str], on: str = "") -> str:
        tree = (await self.repo.merge_tree(self.ours, self.theirs)).tree
        tree = await self.repo.write_tree(tree, {p: text.encode() for p, text in files.items()})
        return await self.repo.commit_tree(tree, [on or self.ours], "resolved")

    async def learnt(self, files: dict[str, str], by: str = "a-1") -> None:
        await self.repo.remember(self.ours, self.theirs, await self.resolved(files), by)

    async def helped(self, ours: str = "", theirs: str = "") -> Merged:
        ours, theirs = ours or self.ours, theirs or self.theirs
        merged = await self.repo.merge_tree(ours, theirs)
        return await self.repo.help_merge(ours, theirs, merged, landed=ours)


def lines(middle: str, top: str = "") -> str:
    return f"{top}1\n2\n3\n{middle}\n4\n5\n6\n"


BOTH = {"a.txt": lines("both a"), "src/b.txt": lines("both b")}


def diverge(folder: Path, ours: dict[str, str], theirs: dict[str, str], name: str) -> list[str]:
    git(folder, "switch", "-q", "-c", f"{name}-theirs", "main")
    side = commit(folder, theirs)
    git(folder, "switch", "-q", "-c", f"{name}-ours", "main")
    return [commit(folder, ours), side]


@pytest.fixture
def conflict(repo: GitRepository, folder: Path) -> Conflict:
    commit(folder, dict.fromkeys(NAMES, lines("base")))
    ours = {name: lines(f"ours of {name}") for name in NAMES}
    theirs = {name: lines(f"theirs of {name}") for name in NAMES}
    return Conflict(repo, *diverge(folder, ours, theirs, "one"))


def memory(repo: GitRepository) -> list[str]:
    return sorted(path.name for path in (repo.place.cache / "rerere").iterdir())


async def test_the_same_conflict_is_resolved_as_before(conflict: Conflict) -> None:
    await conflict.learnt(BOTH)
    found = await conflict.helped()
    assert found.clean
    assert found.helped == tuple(f"{name} as it was resolved for a-1" for name in NAMES)
    for path, text in BOTH.items():
        assert await conflict.repo.read_file(found.tree, path) == text.encode()


async def test_what_else_there_is_in_the_file_stays(conflict: Conflict, folder: Path) -> None:
    await conflict.learnt(BOTH)
    ours = {"a.txt": lines("ours of a.txt", top="new\n")}
    other = diverge(folder, ours, {"a.txt": lines("theirs of a.txt")}, "two")
    found = await conflict.helped(*other)
    assert found.clean
    assert await conflict.repo.read_file(found.tree, "a.txt") == lines("both a", "new\n").encode()


async def test_another_conflict_is_not(conflict: Conflict, folder: Path) -> None:
    await conflict.learnt(BOTH)
    other = diverge(folder, {"a.txt": lines("this")}, {"a.txt": lines("that")}, "two")
    found = await conflict.helped(*other)
    assert (found.conflicts, found.helped) == (("a.txt",), ())


async def test_the_user_is_left_alone(conflict: Conflict, folder: Path) -> None:
    before = git(folder, "status", "--porcelain", "--branch")
    await conflict.learnt(BOTH)
    await conflict.helped()
    assert git(folder, "status", "--porcelain", "--branch") == before
    assert not (folder / ".git" / "rr-cache").exists()
    assert not list((folder / ".git").glob("MERGE_RR*"))


async def test_what_others_did_to_a_file_is_no_part_of_it(conflict: Conflict) -> None:
    changed = await conflict.repo.write_tree(conflict.ours, {"a.txt": lines("moved on").encode()})
    base = await conflict.repo.commit_tree(changed, [conflict.ours], "others")
    resolved = await conflict.resolved(BOTH, on=base)
    await conflict.repo.remember(conflict.ours, conflict.theirs, resolved, "a-1")
    found = await conflict.helped()
    assert found.conflicts == ("a.txt",)
    assert found.helped == ("src/b.txt as it was resolved for a-1",)


async def test_a_conflict_that_landed_with_its_markers_is_not_resolved(conflict: Conflict) -> None:
    await conflict.learnt({"src/b.txt": BOTH["src/b.txt"]})
    assert (await conflict.helped()).conflicts == ("a.txt",)


async def test_the_newest_resolution_counts(conflict: Conflict) -> None:
    await conflict.learnt(BOTH)
    await conflict.learnt({**BOTH, "a.txt": lines("better")}, by="a-2")
    found = await conflict.helped()
    assert await conflict.repo.read_file(found.tree, "a.txt") == lines("better").encode()
    assert "a.txt as it was resolved for a-2" in found.helped


async def test_to_look_changes_nothing(conflict: Conflict) -> None:
    await conflict.learnt({"a.txt": BOTH["a.txt"]})
    before = memory(conflict.repo)
    first = await conflict.helped()
    assert await conflict.helped() == first
    assert memory(conflict.repo) == before


async def test_the_memory_is_bounded(conflict: Conflict, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rerere, "KEPT", 1)
    await conflict.learnt(BOTH)
    assert len(memory(conflict.repo)) == 1


async def test_half_an_entry_is_none_and_goes(conflict: Conflict) -> None:
    await conflict.learnt(BOTH)
    folder = conflict.repo.place.cache / "rerere"
    for name in memory(conflict.repo):
        (folder / name / "postimage").unlink()
    (folder / ".half").mkdir()
    assert len((await conflict.helped()).conflicts) == 2
    await conflict.learnt(BOTH)
    assert (await conflict.helped()).clean
    assert ".half" not in memory(conflict.repo)


async def test_attributes_and_large_files_are_left_to_whoever_resolves_them(
    repo: GitRepository, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rerere, "LARGEST", 1000)
    names = ("x/.gitattributes", "large", "removed", "small")
    commit(folder, dict.fromkeys(names, "base\n"))
    ours = {**dict.fromkeys(names, "ours\n"), "large": f"ours\n{'x' * 2000}\n"}
    made = Conflict(repo, *diverge(folder, ours, dict.fromkeys(names, "theirs\n"), "one"))
    git(folder, "switch", "-q", "one-theirs")
    (folder / "removed").unlink()
    made.theirs = commit(folder, {})
    await made.learnt(dict.fromkeys(names, "both\n"))
    assert set((await made.helped()).conflicts) == {"x/.gitattributes", "large", "removed"}


async def test_a_link_in_conflict_is_followed_nowhere(
    repo: GitRepository, folder: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "outside"
    outside.write_text("untouched\n")
    commit(folder, {"a": "1\n"})
    made = Conflict(repo, *diverge(folder, {"a": "ours\n"}, {"a": "theirs\n"}, "one"))
    git(folder, "switch", "-q", "one-theirs")
    (folder / "a").unlink()
    (folder / "a").symlink_to(outside)
    made.theirs = commit(folder, {})
    await made.learnt({"a": "both\n"})
    assert not (await made.helped()).clean
    assert outside.read_text() == "untouched\n"
