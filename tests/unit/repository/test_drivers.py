"""Merge drivers: the user's help at a conflict, chosen by what has landed and by nothing else."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from oya.repository import drivers
from oya.repository.git import GitRepository
from oya.repository.port import Merged
from repository_kit import commit, git

UNION = "*.txt merge=union\n"
BASE = {"a.txt": "one\n", "c.md": "one\n", "sub/b.txt": "one\n"}


def configured(folder: Path, script: str) -> Path:
    """The driver `mine`, a script that notes where it ran."""
    ran = folder.parent / "ran"
    program = folder.parent / "driver.sh"
    program.write_text(f"#!/bin/sh\npwd >> {ran}\n{script}\n")
    program.chmod(0o755)
    git(folder, "config", "merge.mine.driver", f"{program} %O %A %B")
    return ran


def both(folder: Path, base: dict[str, str], theirs: dict[str, str] | None = None) -> list[str]:
    """Two commits that conflict in every file of `BASE`; the second has `theirs` besides."""
    commit(folder, {**BASE, **base})
    git(folder, "switch", "-q", "-c", "side")
    side = commit(folder, {**dict.fromkeys(BASE, "theirs\n"), **(theirs or {})})
    git(folder, "switch", "-q", "main")
    return [commit(folder, dict.fromkeys(BASE, "ours\n")), side]


async def helped(repo: GitRepository, ours: str, theirs: str) -> Merged:
    merged = await repo.merge_tree(ours, theirs)
    assert merged.conflicts == tuple(BASE)
    return await repo.help_merge(ours, theirs, merged, landed=ours)


async def text(repo: GitRepository, merged: Merged, path: str) -> str:
    return (await repo.read_file(merged.tree, path) or b"").decode()


async def test_a_built_in_driver_that_what_landed_names(repo: GitRepository, folder: Path) -> None:
    found = await helped(repo, *both(folder, {".gitattributes": UNION}))
    assert found.conflicts == ("c.md",)
    assert await text(repo, found, "a.txt") == "ours\ntheirs\n"
    assert await text(repo, found, "sub/b.txt") == "ours\ntheirs\n"
    assert "<<<<<<<" in await text(repo, found, "c.md")
    assert found.helped == tuple(f"{p} by the merge driver union" for p in ("a.txt", "sub/b.txt"))


async def test_attributes_of_a_folder_are_about_that_folder(
    repo: GitRepository, folder: Path
) -> None:
    found = await helped(repo, *both(folder, {"sub/.gitattributes": UNION}))
    assert found.conflicts == ("a.txt", "c.md")


async def test_a_driver_of_the_users_runs_in_a_folder_of_oyas(
    repo: GitRepository, folder: Path
) -> None:
    ran = configured(folder, "cat $1 $3 > $2.new && mv $2.new $2")
    found = await helped(repo, *both(folder, {".gitattributes": "a.txt merge=mine\n"}))
    assert await text(repo, found, "a.txt") == "one\ntheirs\n"
    assert found.conflicts == ("c.md", "sub/b.txt")
    where = Path(ran.read_text().strip())
    assert folder not in (where, *where.parents)
    assert git(folder, "status", "--porcelain") == ""


@pytest.mark.parametrize("renormalize", ["false", "true"])
async def test_what_is_merged_chooses_no_driver(
    repo: GitRepository, folder: Path, renormalize: str
) -> None:
    git(folder, "config", "merge.renormalize", renormalize)
    ran = configured(folder, "exit 0")
    found = await helped(repo, *both(folder, {}, {".gitattributes": "* merge=mine\n"}))
    assert len(found.conflicts) == len(BASE)
    assert not ran.exists()


async def test_nor_does_what_the_user_has_staged(repo: GitRepository, folder: Path) -> None:
    ran = configured(folder, "exit 0")
    ours, theirs = both(folder, {".gitattributes": "c.md merge=text\n"})
    (folder / "sub/.gitattributes").write_text("* merge=mine\n")
    git(folder, "add", ".")
    assert len((await helped(repo, ours, theirs)).conflicts) == len(BASE)
    assert not ran.exists()


@pytest.mark.parametrize("script", ["exit 1", "exit 200", "kill -9 $$", "sleep 60"])
async def test_a_driver_that_fails_is_no_help(
    repo: GitRepository, folder: Path, script: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drivers, "DEADLINE", 1.0)
    ran = configured(folder, script)
    ours, theirs = both(folder, {".gitattributes": "a.txt merge=mine\n"})
    merged = await repo.merge_tree(ours, theirs)
    assert await repo.help_merge(ours, theirs, merged, landed=ours) == merged
    assert ran.exists()


async def test_a_driver_that_is_not_configured_is_no_help(
    repo: GitRepository, folder: Path
) -> None:
    found = await helped(repo, *both(folder, {".gitattributes": "* merge=absent\n"}))
    assert (len(found.conflicts), found.helped) == (len(BASE), ())


async def test_a_link_is_no_file_of_attributes(repo: GitRepository, folder: Path) -> None:
    (folder / ".gitattributes").symlink_to(UNION.strip())
    found = await helped(repo, *both(folder, {}))
    assert len(found.conflicts) == len(BASE)


async def test_only_what_conflicts_is_taken(repo: GitRepository, folder: Path) -> None:
    """What has been merged in another way already, as the tracker's file, stays as it is."""
    ours, theirs = both(folder, {".gitattributes": UNION})
    merged = await repo.merge_tree(ours, theirs)
    kept = await repo.write_tree(merged.tree, {"a.txt": b"by bead\n"})
    rest = dataclasses.replace(merged, tree=kept, conflicts=("sub/b.txt",))
    found = await repo.help_merge(ours, theirs, rest, landed=ours)
    assert found.clean
    assert await text(repo, found, "a.txt") == "by bead\n"
