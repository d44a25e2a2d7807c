"""What every implementation of the repository port promises, and of `Follow` beside it.

Merges by line, and what a repository does with a user's settings, are git's alone:
tests/unit/repository/test_git.py and test_follow.py.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from oya.beads import PATH
from oya.errors import GitError, RemoteError
from oya.repository.port import Follow, Identity, PushEnd, Repository, upstream_ref
from oya.testing.simulation.objects import File
from repository_kit import isolate
from user_kit import EXECUTABLE, LINK, PLACES, Place, User

LINE = "refs/oya/line/main"


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    isolate(monkeypatch, tmp_path / "home")
    return PLACES[request.param](tmp_path)


@pytest.fixture
def repo(place: Place) -> Repository:
    return place.repo


@pytest.fixture
def user(place: Place) -> User:
    return place.user


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


async def test_a_ref_moves_only_from_where_it_is(repo: Repository, user: User) -> None:
    first = await head(repo)
    second = user.commit({"a.txt": "2"})
    third = user.commit({"a.txt": "3"})
    assert not await repo.cas_ref(LINE, second, first)
    await repo.cas_ref(LINE, first, None)
    assert await repo.cas_ref(LINE, second, first)
    assert not await repo.cas_ref(LINE, third, first)
    assert await repo.read_ref(LINE) == second


async def test_of_many_at_once_one_wins(repo: Repository, user: User) -> None:
    first = await head(repo)
    await repo.cas_ref(LINE, first, None)
    others = [user.commit({"a.txt": str(n)}) for n in range(6)]
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


async def test_history(repo: Repository, user: User) -> None:
    first = await head(repo)
    user.switch("side", new=True)
    side = user.commit({"s.txt": "s"}, "on the side\n\nbody")
    user.switch("main")
    second = user.commit({"a.txt": "2"}, "on main")
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
    assert await repo.tree_of(second) == await repo.tree_of("main")


async def test_the_branch_of_the_worktree(repo: Repository, user: User) -> None:
    assert await repo.head_branch() == "main"
    user.switch("feature/x", new=True)
    assert await repo.head_branch() == "feature/x"
    user.detach()
    assert await repo.head_branch() is None


async def test_a_merge_without_conflict(repo: Repository, user: User) -> None:
    user.switch("side", new=True)
    side = user.commit({"s.txt": "s"})
    user.switch("main")
    main = user.commit({"a.txt": "2"})
    merged = await repo.merge_tree(main, side)
    assert merged.clean
    assert set(await repo.list_files(merged.tree)) == {"a.txt", "s.txt", "src/b.txt"}
    assert user.is_clean()


async def test_a_merge_with_conflicts_names_them_and_leaves_markers(
    repo: Repository, user: User
) -> None:
    user.switch("side", new=True)
    side = user.commit({"a.txt": "side\n", "ü \n.txt": "1\n"})
    user.switch("main")
    main = user.commit({"a.txt": "main\n", "ü \n.txt": "2\n"})
    merged = await repo.merge_tree(main, side)
    assert set(merged.conflicts) == {"a.txt", "ü \n.txt"}
    text = await repo.read_file(merged.tree, "a.txt")
    assert text
    assert b"<<<<<<<" in text
    assert b"main\n=======\nside" in text


async def test_a_merge_over_a_given_base(repo: Repository, user: User) -> None:
    base = await head(repo)
    ours = await repo.write_tree(base, {"a.txt": b"ours\n"})
    theirs = await repo.write_tree(base, {"src/b.txt": None, "c": b"c"})
    merged = await repo.merge_tree(ours, theirs, base=base)
    assert merged.clean
    assert set(await repo.list_files(merged.tree)) == {"a.txt", "c"}
    clash = await repo.write_tree(base, {"a.txt": b"theirs\n"})
    assert (await repo.merge_tree(ours, clash, base=base)).conflicts == ("a.txt",)
    assert (await repo.merge_tree(ours, clash, base=clash)).clean


async def test_unrelated_histories_do_not_merge(repo: Repository, user: User) -> None:
    at = await head(repo)
    alone = await repo.commit_tree(await repo.tree_of(at), [], "alone")
    with pytest.raises(GitError):
        await repo.merge_tree(at, alone)
    assert await repo.merge_base(at, alone) is None


async def test_a_file_takes_the_place_of_a_folder(repo: Repository) -> None:
    at = await head(repo)
    tree = await repo.write_tree(at, {"src/b.txt": None, "src": b"file"})
    assert set(await repo.list_files(tree)) == {"a.txt", "src"}
    back = await repo.take_paths(tree, at, ["src"])
    assert back == await repo.tree_of(at)


async def test_paths_are_taken_from_another_tree(repo: Repository, user: User) -> None:
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


async def test_a_note_is_written_and_replaced(repo: Repository, user: User) -> None:
    at = await head(repo)
    await repo.add_note(at, "first")
    await repo.add_note(at, "second\nline")
    assert user.note(at) == "second\nline"


async def test_executable_bits_and_types_show_in_a_diff(repo: Repository, user: User) -> None:
    at = await head(repo)
    now = user.commit({"a.txt": File(b"one\n", EXECUTABLE), "src/b.txt": File(b"x", LINK)})
    found = {c.path: (c.status, c.old_mode, c.mode) for c in await repo.diff(at, now)}
    assert found == {
        "a.txt": ("M", "100644", "100755"),
        "src/b.txt": ("T", "100644", "120000"),
    }


async def test_files_are_replaced_removed_and_added_modes_kept(
    repo: Repository, user: User
) -> None:
    scripts = {"run.sh": File(b"#!/bin/sh\n", EXECUTABLE), "link": File(b"a.txt", LINK)}
    at = user.commit({**scripts, "crlf.txt": "x"})
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
    assert user.is_clean()


async def test_what_stands_in_the_way_of_a_path_gives_way(repo: Repository) -> None:
    at = await head(repo)
    file = await repo.write_tree(at, {"src": b"file"})
    assert set(await repo.list_files(file)) == {"a.txt", "src"}
    folder = await repo.write_tree(at, {"a.txt/x": b"x"})
    assert set(await repo.list_files(folder)) == {"a.txt/x", "src/b.txt"}
    assert await repo.take_paths(file, at, ["src/b.txt"]) == await repo.tree_of(at)


@pytest.mark.parametrize("path", ["../x", ".git/x", "/x", "a//b", "x/", "./x", "src/../x"])
async def test_a_path_that_no_tree_can_have_is_in_none(repo: Repository, path: str) -> None:
    at = await head(repo)
    with suppress(GitError):  # refused, or passed over
        assert await repo.write_tree(at, {path: b"x"}) == await repo.tree_of(at)


async def test_the_same_files_are_the_same_tree(repo: Repository) -> None:
    at = await head(repo)
    one = await repo.write_tree(at, {"x": b"x", "src/y": b"y"})
    other = await repo.write_tree(await repo.write_tree(at, {"src/y": b"y"}), {"x": b"x"})
    assert one == other != await repo.tree_of(at)
    assert await repo.diff(one, other) == ()


async def test_the_top_of_a_tree_tells_which_of_its_folders_differ(repo: Repository) -> None:
    at = await head(repo)
    root = await repo.list_root(at)
    assert root["a.txt"].split() == ["100644", "blob", (await repo.list_files(at))["a.txt"]]
    assert root["src"].split()[:2] == ["040000", "tree"]
    below = await repo.list_root(await repo.write_tree(at, {"src/b.txt": b"2"}))
    assert (below["a.txt"], set(below)) == (root["a.txt"], {"a.txt", "src"})
    assert below["src"] != root["src"]
    back = await repo.write_tree(at, {"more.txt": b"m"})
    assert (await repo.list_root(back))["src"] == root["src"]


async def test_commits_are_by_the_user_or_by_who_is_named(repo: Repository, user: User) -> None:
    at = await head(repo)
    tree = await repo.tree_of(at)
    mine = await repo.commit_tree(tree, [at], "title\n\nBead: x\n")
    theirs = await repo.commit_tree(tree, [at, mine], "t", author=Identity("oya", "o@x"))
    assert (user.author(mine), user.author(theirs)) == ("Ada", "oya")
    assert user.message(mine) == "title\n\nBead: x"
    assert await repo.parents(theirs) == (at, mine)
    assert (await repo.first_parents(theirs, 9))[:2] == (theirs, at)
    assert await repo.first_parents(theirs, 1) == (theirs,)
    assert await repo.tree_of(theirs) == tree


async def test_a_subject_is_one_line(repo: Repository) -> None:
    at = await head(repo)
    made = await repo.commit_tree(await repo.tree_of(at), [at], "\n\none\ntwo\n\nbody\n")
    assert await repo.subject(made) == "one two"


async def test_a_parent_that_is_named_twice_is_one(repo: Repository) -> None:
    at = await head(repo)
    made = await repo.commit_tree(await repo.tree_of(at), [at, at], "m")
    assert await repo.parents(made) == (at,)


async def test_what_is_not_there_is_an_error(repo: Repository) -> None:
    at, none = await head(repo), "1" * 40
    tree = await repo.tree_of(at)
    for asked in (
        repo.tree_of(none),
        repo.parents(none),
        repo.subject(none),
        repo.is_ancestor(none, at),
        repo.is_ancestor(at, none),
        repo.merge_base(at, none),
        repo.count(none, at),
        repo.contains("refs/heads/main", none),
        repo.merge_tree(at, none),
        repo.commit_tree(none, [at], "m"),
        repo.commit_tree(at, [at], "a commit is no tree"),
        repo.commit_tree(tree, [none], "m"),
        repo.write_tree(none, {"x": b"x"}),
        repo.take_paths(at, none, ["a.txt"]),
        repo.diff(at, none),
        repo.diff_text(none, at),
        repo.list_files(none),
        repo.list_root(none),
        repo.set_ref(LINE, none),
    ):
        with pytest.raises(GitError):
            await asked
    assert await repo.read_file(none, "a.txt") is None
    assert await repo.read_ref(LINE) is None


async def test_many_refs_are_read_at_once(repo: Repository) -> None:
    at = await head(repo)
    await repo.set_ref(LINE, at)
    await repo.set_ref("refs/oya/x/below", at)
    names = ("refs/heads/main", "refs/oya/x", LINE, "refs/absent")
    assert await repo.read_refs(*names) == {"refs/heads/main": at, LINE: at}
    assert await repo.read_refs() == {}


async def test_a_ref_of_oyas_own_is_set_wherever_it_was(repo: Repository, user: User) -> None:
    first = await head(repo)
    second = user.commit({"a.txt": "2"})
    for commit in (second, first, first):
        await repo.set_ref(LINE, commit)
        assert await repo.read_ref(LINE) == commit


async def test_no_ref_is_below_another(repo: Repository) -> None:
    at = await head(repo)
    await repo.set_ref("refs/oya/x/a", at)
    for name in ("refs/oya/x", "refs/oya/x/a/b"):
        with pytest.raises(GitError):
            await repo.set_ref(name, at)
        with pytest.raises(GitError):
            await repo.cas_ref(name, at, None)
    assert await repo.list_refs("refs/oya/") == {"refs/oya/x/a": at}
    await repo.delete_ref("refs/oya/x/a")
    await repo.set_ref("refs/oya/x", at)
    assert await repo.list_refs("refs/oya/x") == {"refs/oya/x": at}


async def test_where_no_git_was_killed_there_are_no_locks(repo: Repository) -> None:
    await repo.set_ref(LINE, await head(repo))
    assert await repo.clear_locks() == ()


async def test_head_is_the_commit_of_the_worktree(repo: Repository, user: User) -> None:
    first = await head(repo)
    user.switch("side", new=True)
    second = user.commit({"s.txt": "s"})
    assert await repo.resolve("HEAD") == second
    user.switch("main")
    assert await repo.resolve("HEAD") == first
    user.switch("side")
    user.detach()
    assert await repo.resolve("HEAD") == second
    assert await repo.resolve(second) == second
    assert await repo.resolve(await repo.tree_of(second)) is None


async def test_equal_changes_of_both_sides_are_no_conflict(repo: Repository) -> None:
    base = await head(repo)
    both: dict[str, bytes | None] = {"a.txt": b"both\n", "src/b.txt": None, "new": b"n"}
    ours = await repo.write_tree(base, both)
    theirs = await repo.write_tree(base, {**both, "more": b"m"})
    merged = await repo.merge_tree(ours, theirs, base=base)
    assert (merged.tree, merged.clean) == (theirs, True)


async def test_a_file_that_one_side_removed_and_the_other_changed_is_a_conflict(
    repo: Repository,
) -> None:
    base = await head(repo)
    removed = await repo.write_tree(base, {"a.txt": None})
    changed = await repo.write_tree(base, {"a.txt": b"changed\n"})
    for ours, theirs in ((removed, changed), (changed, removed)):
        merged = await repo.merge_tree(ours, theirs, base=base)
        assert merged.conflicts == ("a.txt",)
        assert await repo.read_file(merged.tree, "a.txt") == b"changed\n"


async def test_an_older_commit_merges_to_the_newer(repo: Repository, user: User) -> None:
    older = await head(repo)
    newer = user.commit({"a.txt": "2"})
    for ours, theirs in ((older, newer), (newer, older)):
        assert (await repo.merge_tree(ours, theirs)).tree == await repo.tree_of(newer)


async def test_messages_come_newest_first_and_are_bounded(repo: Repository, user: User) -> None:
    first = await head(repo)
    user.switch("side", new=True)
    side = user.commit({"s.txt": "s"}, "on the side\n\nwith a body")
    user.switch("main")
    second = user.commit({"a.txt": "2"}, "on main")
    tree = await repo.tree_of(second)
    merge = await repo.commit_tree(tree, [second, side], "both")
    said = await repo.messages(first, merge, 10)
    assert said[0].commit == merge
    assert {s.commit: s.message.strip() for s in said} == {
        merge: "both",
        second: "on main",
        side: "on the side\n\nwith a body",
    }
    assert [s.commit for s in await repo.messages(first, merge, 1)] == [merge]
    assert await repo.messages(merge, first, 10) == []


# Remotes

UPSTREAM = upstream_ref("origin", "main")


async def child(repo: Repository, at: str, name: str = "new.txt") -> str:
    tree = await repo.write_tree(at, {name: b"n"})
    return await repo.commit_tree(tree, [at], f"adds {name}")


async def test_a_branch_of_a_remote_is_fetched_to_a_ref_of_oyas(place: Place) -> None:
    repo, there = place.repo, place.elsewhere
    theirs = there.commit({"theirs.txt": "1"})
    before = await repo.list_refs("refs")
    assert await repo.fetch("origin", "main") == theirs
    assert await repo.list_refs("refs") == {**before, UPSTREAM: theirs}
    assert await repo.read_file(theirs, "theirs.txt") == b"1"
    forced = there.commit({"forced.txt": "1"}, amend=True)
    assert await repo.fetch("origin", "main") == forced
    assert await repo.read_ref(UPSTREAM) == forced


async def test_a_branch_that_the_remote_lacks_is_none(place: Place) -> None:
    repo = place.repo
    await repo.fetch("origin", "main")
    place.elsewhere.delete("main")
    for _ in range(2):
        assert await repo.fetch("origin", "main") is None
        assert await repo.read_ref(UPSTREAM) is None
    assert await repo.remote_tip("origin", "main") is None


async def test_the_tip_of_a_remote_is_read_without_a_trace(place: Place) -> None:
    theirs = place.elsewhere.commit({"theirs.txt": "1"})
    before = await place.repo.list_refs("refs")
    assert await place.repo.remote_tip("origin", "main") == theirs
    assert await place.repo.list_refs("refs") == before


async def test_a_push_moves_the_remotes_branch_and_nothing_here(place: Place) -> None:
    repo, at = place.repo, await head(place.repo)
    new = await child(repo, at)
    before = await repo.list_refs("refs")
    for _ in range(2):
        assert (await repo.push("origin", new, "main", at)).end is PushEnd.OK
        assert place.elsewhere.tip() == new
    assert await repo.list_refs("refs") == before


async def test_a_push_makes_a_branch_that_is_not_there(place: Place) -> None:
    at = await head(place.repo)
    assert (await place.repo.push("origin", at, "fresh/one", None)).end is PushEnd.OK
    assert place.elsewhere.tip("fresh/one") == at


async def test_whoever_is_faster_is_not_overwritten(place: Place) -> None:
    repo, at = place.repo, await head(place.repo)
    new, theirs = await child(repo, at), place.elsewhere.commit({"theirs.txt": "1"})
    for _ in range(2):  # the second time git knows the remote's commit
        assert (await repo.push("origin", new, "main", at)).end is PushEnd.MOVED
        assert place.elsewhere.tip() == theirs
        await repo.fetch("origin", "main")
    again = await child(repo, theirs)
    assert (await repo.push("origin", again, "main", theirs)).end is PushEnd.OK


async def test_a_commit_that_does_not_stand_on_what_it_should_is_not_pushed(place: Place) -> None:
    repo, at = place.repo, await head(place.repo)
    new, theirs = await child(repo, at), place.elsewhere.commit({"theirs.txt": "1"})
    await repo.fetch("origin", "main")
    with pytest.raises(GitError, match="does not contain"):
        await repo.push("origin", new, "main", theirs)
    assert place.elsewhere.tip() == theirs


async def test_a_remote_that_refuses_says_why(place: Place) -> None:
    repo, at = place.repo, await head(place.repo)
    new = await child(repo, at)
    place.elsewhere.refuse("main is protected")
    pushed = await repo.push("origin", new, "main", at)
    assert pushed.end is PushEnd.REFUSED
    assert "main is protected" in pushed.reason
    assert place.elsewhere.tip() == at
    place.elsewhere.refuse("")
    assert (await repo.push("origin", new, "main", at)).end is PushEnd.OK


async def test_a_remote_that_is_gone_cannot_be_reached_until_it_is_back(place: Place) -> None:
    repo, at = place.repo, await head(place.repo)
    await repo.fetch("origin", "main")
    new = await child(repo, at)
    place.elsewhere.vanish()
    pushed = await repo.push("origin", new, "main", at)
    assert pushed.end is PushEnd.UNREACHABLE
    assert pushed.reason
    for asked in (repo.fetch("origin", "main"), repo.remote_tip("origin", "main")):
        with pytest.raises(RemoteError, match="origin cannot be reached"):
            await asked
    assert await repo.read_ref(UPSTREAM) == at
    place.elsewhere.come_back()
    assert (await repo.push("origin", new, "main", at)).end is PushEnd.OK
    assert await repo.fetch("origin", "main") == new


async def test_a_remote_that_is_not_configured_is_an_error(place: Place) -> None:
    repo, at = place.repo, await head(place.repo)
    for asked in (repo.fetch("nobody", "main"), repo.remote_tip("nobody", "main")):
        with pytest.raises(RemoteError, match="no remote nobody"):
            await asked
    pushed = await repo.push("nobody", at, "main", at)
    assert (pushed.end, pushed.reason) == (PushEnd.UNREACHABLE, "there is no remote nobody")


# Follow


@pytest.fixture
def follow(place: Place) -> Follow:
    return place.follow


async def land(repo: Repository, files: dict[str, bytes | None] | None = None) -> str:
    """Two commits on the line, ahead of main."""
    tip = await head(repo)
    first = await repo.write_tree(tip, {"landed.txt": b"1\n"})
    middle = await repo.commit_tree(first, [tip], "one")
    tree = await repo.write_tree(first, files or {"a.txt": b"landed\n", "src/b.txt": None})
    line = await repo.commit_tree(tree, [middle], "two")
    await repo.set_ref(LINE, line)
    return line


async def test_a_clean_checkout_follows(repo: Repository, user: User, follow: Follow) -> None:
    line = await land(repo)
    user.write({"untracked": "mine"})
    found = await follow("main", line)
    assert (found.behind, found.why, found.moved) == (0, "", True)
    assert (user.read("a.txt"), user.read("landed.txt")) == ("landed\n", "1\n")
    assert (user.read("src/b.txt"), user.read("untracked")) == (None, "mine")
    assert user.is_clean()
    assert (await head(repo), await repo.head_branch()) == (line, "main")
    again = await follow("main", line)
    assert (again.behind, again.why, again.moved) == (0, "", False)


@pytest.mark.parametrize("away", ["other", "detached"])
async def test_a_branch_that_no_worktree_has_just_moves(
    repo: Repository, user: User, follow: Follow, away: str
) -> None:
    line = await land(repo)
    if away == "other":
        user.switch("other", new=True)
    else:
        user.detach()
    user.write({"a.txt": "dirty"})
    assert (await follow("main", line)).moved
    assert await head(repo) == line
    assert user.read("a.txt") == "dirty"


async def stays(place: Place, line: str, *words: str) -> None:
    before = await head(place.repo), place.user.read("a.txt")
    found = await place.follow("main", line)
    assert (found.behind, found.moved) == (2, False)
    for word in words:
        assert word in found.why
    assert (await head(place.repo), place.user.read("a.txt")) == before


async def test_a_modified_file_keeps_it_in_place(place: Place) -> None:
    line = await land(place.repo, {"n": b"1"})
    place.user.write({"a.txt": "mine"})
    await stays(place, line, "has changes in a.txt")
    place.user.write({"a.txt": "one\n"})
    assert (await place.follow("main", line)).moved


async def test_a_file_that_the_user_deleted_keeps_it_in_place(place: Place) -> None:
    line = await land(place.repo)
    place.user.delete("src/b.txt")
    await stays(place, line, "has changes in src/b.txt")


async def test_many_modified_files_are_counted(place: Place) -> None:
    place.user.commit({f"f{n}": "1" for n in range(5)})
    line = await land(place.repo)
    place.user.write({f"f{n}": "2" for n in range(5)})
    await stays(place, line, "f0, f1, f2 and 2 more")


@pytest.mark.parametrize("text", ["mine\n", "1\n"], ids=["another", "the same"])
async def test_an_untracked_file_is_never_overwritten(place: Place, text: str) -> None:
    line = await land(place.repo)
    place.user.write({"landed.txt": text})
    await stays(place, line, "untracked", "landed.txt")
    assert place.user.read("landed.txt") == text


async def test_an_operation_in_progress_keeps_it_in_place(place: Place) -> None:
    line = await land(place.repo)
    place.user.begin_merge()
    await stays(place, line, "in the middle of a merge")


async def test_a_branch_with_commits_of_its_own_stays(place: Place) -> None:
    line = await land(place.repo)
    place.user.commit({"own": "1"})
    await stays(place, line, "did not go through oya")


async def test_a_branch_ahead_of_the_line_is_behind_nothing(
    repo: Repository, user: User, follow: Follow
) -> None:
    line = await head(repo)
    user.commit({"own": "1"})
    found = await follow("main", line)
    assert (found.behind, found.why, found.moved) == (0, "", False)


async def land_backlog(place: Place, then: str, first: str = '{"id":"a"}\n{"id":"b"}\n') -> str:
    """Commit the tracker's file, and land a change of it."""
    at = place.user.commit({PATH: first})
    tree = await place.repo.write_tree(at, {PATH: then.encode(), "landed.txt": b"1\n"})
    return await place.repo.commit_tree(tree, [at], "lands")


async def test_changes_in_the_trackers_file_stay_merged_with_what_landed(place: Place) -> None:
    line = await land_backlog(place, '{"id":"a","status":"closed"}\n{"id":"b"}\n')
    place.user.write({PATH: '{"id":"a","priority":0}\n{"id":"b","priority":1}\n{"id":"c"}\n'})
    found = await place.follow("main", line)
    assert (found.behind, found.why, found.moved) == (0, "", True)
    assert PATH in found.note
    assert await head(place.repo) == line
    assert place.user.read("landed.txt") == "1\n"
    assert place.user.read(PATH) == (
        '{"id":"a","status":"closed","priority":0}\n{"id":"b","priority":1}\n{"id":"c"}\n'
    )
    assert await place.repo.list_refs("refs/oya/tracker") == {}
    assert (await place.follow("main", line)).note == ""


async def test_changes_in_the_trackers_file_stay_where_nothing_landed_there(place: Place) -> None:
    line = await land_backlog(place, '{"id":"a"}\n{"id":"b"}\n')
    place.user.write({PATH: '{"id":"a","priority":0}\n'})
    found = await place.follow("main", line)
    assert (found.moved, found.note) == (True, "")
    assert place.user.read(PATH) == '{"id":"a","priority":0}\n'


async def test_the_users_own_closing_is_what_landed_too(place: Place) -> None:
    closed = '{"id":"a","status":"closed"}\n{"id":"b"}\n'
    line = await land_backlog(place, closed)
    place.user.write({PATH: closed})
    assert (await place.follow("main", line)).moved
    assert place.user.is_clean()


@pytest.mark.parametrize("text", ["{", '{"id":"a"}\n{"id":"a"}\n'])
async def test_a_trackers_file_that_cannot_be_read_keeps_it_in_place(
    place: Place, text: str
) -> None:
    line = await land_backlog(place, '{"id":"a","status":"closed"}\n')
    place.user.write({PATH: text})
    found = await place.follow("main", line)
    assert (found.behind, found.moved) == (1, False)
    assert PATH in found.why
    assert place.user.read(PATH) == text
    assert await place.repo.list_refs("refs/oya/tracker") == {}


async def test_other_changes_keep_it_in_place_beside_the_trackers_file(place: Place) -> None:
    line = await land_backlog(place, '{"id":"a","status":"closed"}\n')
    mine = '{"id":"a","priority":0}\n'
    place.user.write({PATH: mine, "a.txt": "mine"})
    found = await place.follow("main", line)
    assert (found.moved, "a.txt" in found.why) == (False, True)
    assert place.user.read(PATH) == mine


async def test_a_trackers_file_that_the_user_removed_keeps_it_in_place(place: Place) -> None:
    line = await land_backlog(place, '{"id":"a","status":"closed"}\n')
    place.user.delete(PATH)
    found = await place.follow("main", line)
    assert (found.moved, PATH in found.why) == (False, True)


async def test_a_branch_that_is_not_there_is_not_made(repo: Repository, follow: Follow) -> None:
    found = await follow("gone", await head(repo))
    assert not found.moved
    assert "no branch gone" in found.why
    assert await repo.read_ref("refs/heads/gone") is None


async def conflict(repo: Repository, user: User) -> tuple[str, str, str]:
    """Two commits that conflict in a.txt alone, and one on the first that has both sides of it."""
    user.switch("side", new=True)
    theirs = user.commit({"a.txt": "theirs\n", "s.txt": "s"})
    user.switch("main")
    ours = user.commit({"a.txt": "ours\n"})
    merged = await repo.merge_tree(ours, theirs)
    tree = await repo.write_tree(merged.tree, {"a.txt": b"both\n"})
    return ours, theirs, await repo.commit_tree(tree, [ours], "resolved")


async def test_where_nothing_helps_a_conflict_stays(repo: Repository, user: User) -> None:
    ours, theirs, _ = await conflict(repo, user)
    merged = await repo.merge_tree(ours, theirs)
    assert await repo.help_merge(ours, theirs, merged, landed=ours) == merged
    clean = await repo.merge_tree(ours, ours)
    assert await repo.help_merge(ours, ours, clean, landed=ours) == clean


async def test_a_resolution_that_was_remembered_is_the_same_again_or_none(
    repo: Repository, user: User
) -> None:
    ours, theirs, resolved = await conflict(repo, user)
    await repo.remember(ours, theirs, resolved, "a-1")
    merged = await repo.merge_tree(ours, theirs)
    helped = await repo.help_merge(ours, theirs, merged, landed=ours)
    if helped == merged:
        return  # it may be forgotten at any time
    assert (helped.tree, helped.clean) == (await repo.tree_of(resolved), True)
    assert ["a.txt" in how and "a-1" in how for how in helped.helped] == [True]
