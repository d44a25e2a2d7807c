"""What every implementation of the repository port promises."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from oya.errors import GitError, RepositoryUnfit
from oya.repository.port import Identity, Repository
from repository_kit import commit, git, isolate, make_repository, opened

IMPLEMENTATIONS: list[Callable[[Path], Repository]] = [opened]
LINE = "refs/oya/line/main"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    isolate(monkeypatch, tmp_path / "home")
    return make_repository(tmp_path / "repo")


@pytest.fixture(params=IMPLEMENTATIONS, ids=["git"])
def repo(request: pytest.FixtureRequest, folder: Path) -> Repository:
    repository: Repository = request.param(folder)
    return repository


async def head(repo: Repository) -> str:
    found = await repo.resolve("refs/heads/main")
    assert found
    return found


async def test_a_ref_is_created_once(repo: Repository) -> None:
    at = await head(repo)
    assert await repo.read_ref(LINE) is None
    assert await repo.cas_ref(LINE, at, None)
    assert not await repo.cas_ref(LINE, at, None)
    assert await repo.read_ref(LINE) == at


async def test_a_ref_moves_only_from_where_it_is(repo: Repository, folder: Path) -> None:
    first = await head(repo)
    second = commit(folder, {"a.txt": "2"})
    third = commit(folder, {"a.txt": "3"})
    assert not await repo.cas_ref(LINE, second, first)
    await repo.cas_ref(LINE, first, None)
    assert await repo.cas_ref(LINE, second, first)
    assert not await repo.cas_ref(LINE, third, first)
    assert await repo.read_ref(LINE) == second


async def test_of_many_at_once_one_wins(repo: Repository, folder: Path) -> None:
    first = await head(repo)
    await repo.cas_ref(LINE, first, None)
    others = [commit(folder, {"a.txt": str(n)}) for n in range(6)]
    won = await asyncio.gather(*(repo.cas_ref(LINE, other, first) for other in others))
    assert sum(won) == 1
    assert await repo.read_ref(LINE) == others[won.index(True)]


async def test_a_ref_to_nothing_is_an_error_not_a_lost_race(repo: Repository) -> None:
    with pytest.raises(GitError):
        await repo.cas_ref(LINE, "1" * 40, None)


async def test_refs_are_listed_and_deleted(repo: Repository) -> None:
    at = await head(repo)
    for name in ("refs/oya/x/b", "refs/oya/x/a", "refs/oya/xy"):
        await repo.cas_ref(name, at, None)
    assert await repo.list_refs("refs/oya/x") == {"refs/oya/x/a": at, "refs/oya/x/b": at}
    await repo.delete_ref("refs/oya/x/a")
    await repo.delete_ref("refs/oya/x/a")
    await repo.delete_ref("refs/oya/x/b", at)
    assert await repo.list_refs("refs/oya") == {"refs/oya/xy": at}
    with pytest.raises(GitError):
        await repo.delete_ref("refs/oya/xy", "1" * 40)
    assert await repo.read_ref("refs/oya/xy") == at


async def test_history(repo: Repository, folder: Path) -> None:
    first = await head(repo)
    git(folder, "switch", "-q", "-c", "side")
    side = commit(folder, {"s.txt": "s"}, "on the side\n\nbody")
    git(folder, "switch", "-q", "main")
    second = commit(folder, {"a.txt": "2"}, "on main")
    assert await repo.parents(first) == ()
    assert await repo.parents(second) == (first,)
    assert await repo.subject(side) == "on the side"
    assert await repo.is_ancestor(first, second)
    assert await repo.is_ancestor(first, first)
    assert not await repo.is_ancestor(second, side)
    assert await repo.merge_base(side, second) == first
    assert await repo.count(first, second) == 1
    assert await repo.count(second, first) == 0
    assert await repo.contains("refs/heads/main", first)
    assert not await repo.contains("refs/heads/main", side)
    assert not await repo.contains("refs/heads/absent", first)
    assert await repo.resolve("side") == side
    assert await repo.resolve("absent") is None
    assert await repo.resolve("--all") is None
    assert await repo.tree_of(second) == git(folder, "rev-parse", "main^{tree}")


async def test_the_branch_of_the_worktree(repo: Repository, folder: Path) -> None:
    assert await repo.head_branch() == "main"
    git(folder, "switch", "-q", "-c", "feature/x")
    assert await repo.head_branch() == "feature/x"
    git(folder, "switch", "-q", "--detach")
    assert await repo.head_branch() is None


async def test_a_merge_without_conflict(repo: Repository, folder: Path) -> None:
    git(folder, "switch", "-q", "-c", "side")
    side = commit(folder, {"s.txt": "s"})
    git(folder, "switch", "-q", "main")
    main = commit(folder, {"a.txt": "2"})
    merged = await repo.merge_tree(main, side)
    assert merged.clean
    assert set(await repo.list_files(merged.tree)) == {"a.txt", "s.txt", "src/b.txt"}
    assert git(folder, "status", "--porcelain") == ""


async def test_a_merge_with_conflicts_names_them_and_leaves_markers(
    repo: Repository, folder: Path
) -> None:
    git(folder, "switch", "-q", "-c", "side")
    side = commit(folder, {"a.txt": "side\n", "ü \n.txt": "1\n"})
    git(folder, "switch", "-q", "main")
    main = commit(folder, {"a.txt": "main\n", "ü \n.txt": "2\n"})
    merged = await repo.merge_tree(main, side)
    assert set(merged.conflicts) == {"a.txt", "ü \n.txt"}
    text = await repo.read_file(merged.tree, "a.txt")
    assert text
    assert b"<<<<<<<" in text
    assert b"main\n=======\nside" in text


async def test_a_merge_over_a_given_base(repo: Repository, folder: Path) -> None:
    base = await head(repo)
    ours = await repo.write_tree(base, {"a.txt": b"ours\n"})
    theirs = await repo.write_tree(base, {"src/b.txt": None, "c": b"c"})
    merged = await repo.merge_tree(ours, theirs, base=base)
    assert merged.clean
    assert set(await repo.list_files(merged.tree)) == {"a.txt", "c"}
    clash = await repo.write_tree(base, {"a.txt": b"theirs\n"})
    assert (await repo.merge_tree(ours, clash, base=base)).conflicts == ("a.txt",)
    assert (await repo.merge_tree(ours, clash, base=clash)).clean


async def test_unrelated_histories_do_not_merge(repo: Repository, folder: Path) -> None:
    at = await head(repo)
    alone = await repo.commit_tree(await repo.tree_of(at), [], "alone")
    with pytest.raises(GitError):
        await repo.merge_tree(at, alone)
    assert await repo.merge_base(at, alone) is None


async def test_commits_are_by_the_user_or_by_who_is_named(repo: Repository, folder: Path) -> None:
    at = await head(repo)
    tree = await repo.tree_of(at)
    mine = await repo.commit_tree(tree, [at], "title\n\nBead: x\n")
    theirs = await repo.commit_tree(tree, [at, mine], "t", author=Identity("oya", "o@x"))
    who = "--format=%an <%ae> %cn <%ce>"
    assert git(folder, "show", "-s", who, mine) == "Ada <ada@example.com> Ada <ada@example.com>"
    assert git(folder, "show", "-s", who, theirs) == "oya <o@x> oya <o@x>"
    assert git(folder, "show", "-s", "--format=%B", mine).rstrip() == "title\n\nBead: x"
    assert await repo.parents(theirs) == (at, mine)


async def test_without_an_identity_a_commit_is_refused_in_clear_words(
    repo: Repository, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "home" / "gitconfig").write_text("")
    at = await head(repo)
    with pytest.raises(RepositoryUnfit, match="who you are") as caught:
        await repo.commit_tree(await repo.tree_of(at), [at], "m")
    assert "git config" in caught.value.hint


async def test_signing_and_hooks_of_the_user_do_not_run(
    repo: Repository, folder: Path, tmp_path: Path
) -> None:
    git(folder, "config", "commit.gpgSign", "true")
    git(folder, "config", "gpg.program", "/bin/false")
    hook = folder / ".git" / "hooks" / "reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    at = await head(repo)
    made = await repo.commit_tree(await repo.tree_of(at), [at], "m")
    assert await repo.cas_ref(LINE, made, None)
    assert not (tmp_path / "ran").exists()


async def test_files_are_replaced_removed_and_added_modes_kept(
    repo: Repository, folder: Path
) -> None:
    (folder / "run.sh").write_text("#!/bin/sh\n")
    (folder / "run.sh").chmod(0o755)
    (folder / "link").symlink_to("a.txt")
    at = commit(folder, {"crlf.txt": "x"})
    changes = {
        "run.sh": b"new",
        "src/b.txt": None,
        "crlf.txt": b"1\r\n",
        "n/e/w": b"\0",
        "no": None,
    }
    tree = await repo.write_tree(at, changes)
    assert {c.path: (c.status, c.mode) for c in await repo.diff(at, tree)} == {
        "run.sh": ("M", "100755"),
        "src/b.txt": ("D", "000000"),
        "crlf.txt": ("M", "100644"),
        "n/e/w": ("A", "100644"),
    }
    assert await repo.read_file(tree, "crlf.txt") == b"1\r\n"
    assert await repo.read_file(tree, "link") == b"a.txt"
    assert await repo.write_tree(at, {}) == await repo.tree_of(at)
    one = await repo.write_tree(at, {"a.txt": b"only"})
    assert await repo.read_file(one, "a.txt") == b"only"
    assert git(folder, "status", "--porcelain") == ""


async def test_a_file_takes_the_place_of_a_folder(repo: Repository) -> None:
    at = await head(repo)
    tree = await repo.write_tree(at, {"src/b.txt": None, "src": b"file"})
    assert set(await repo.list_files(tree)) == {"a.txt", "src"}
    back = await repo.take_paths(tree, at, ["src"])
    assert back == await repo.tree_of(at)


async def test_paths_are_taken_from_another_tree(repo: Repository, folder: Path) -> None:
    at = await head(repo)
    other = await repo.write_tree(
        at, {"a.txt": b"x", "src/b.txt": None, "src/c.txt": b"c", "srcs": b"s"}
    )
    taken = await repo.take_paths(at, other, ["src", "absent"])
    assert set(await repo.list_files(taken)) == {"a.txt", "src/c.txt"}
    assert await repo.read_file(taken, "a.txt") == b"one\n"
    only = await repo.take_paths(other, at, ["src/c.txt"])
    assert set(await repo.list_files(only)) == {"a.txt", "srcs"}
    assert await repo.take_paths(at, other, []) == await repo.tree_of(at)


async def test_names_that_are_no_text_go_through(repo: Repository) -> None:
    name = b"\xff\n\t\"'*.txt".decode("utf-8", "surrogateescape")
    at = await head(repo)
    tree = await repo.write_tree(at, {name: b"odd", ":(top)a": b"magic"})
    assert {c.path for c in await repo.diff(at, tree)} == {name, ":(top)a"}
    assert await repo.read_file(tree, name) == b"odd"
    assert name in await repo.list_files(tree)
    assert await repo.write_tree(tree, {name: None, ":(top)a": None}) == await repo.tree_of(at)


async def test_what_is_no_file_reads_as_none(repo: Repository) -> None:
    at = await head(repo)
    assert await repo.read_file(at, "absent") is None
    assert await repo.read_file(at, "src") is None
    assert await repo.read_file(at, "a.txt/x") is None
    assert await repo.read_file(at, "a.txt") == b"one\n"


async def test_a_patch_is_cut_at_its_limit(repo: Repository) -> None:
    at = await head(repo)
    tree = await repo.write_tree(at, {"a.txt": b"line\n" * 100_000})
    text = await repo.diff_text(at, tree, 1000)
    assert len(text) < 1100
    assert "cut after 1000 bytes" in text
    assert text.startswith("diff --git")
    small = await repo.diff_text(at, await repo.write_tree(at, {"a.txt": b"two\n"}))
    assert "-one\n+two\n" in small
    assert "cut" not in small


async def test_a_note_is_written_and_replaced(repo: Repository, folder: Path) -> None:
    at = await head(repo)
    await repo.add_note(at, "first")
    await repo.add_note(at, "second\nline")
    assert git(folder, "notes", "--ref=oya", "show", at) == "second\nline"


async def test_executable_bits_and_types_show_in_a_diff(repo: Repository, folder: Path) -> None:
    at = await head(repo)
    (folder / "a.txt").chmod((folder / "a.txt").stat().st_mode | stat.S_IXUSR)
    (folder / "src" / "b.txt").unlink()
    (folder / "src" / "b.txt").symlink_to("x")
    now = commit(folder, {})
    found = {c.path: (c.status, c.old_mode, c.mode) for c in await repo.diff(at, now)}
    assert found == {
        "a.txt": ("M", "100644", "100755"),
        "src/b.txt": ("T", "100644", "120000"),
    }
