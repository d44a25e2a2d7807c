"""The line on a real repository: what it takes as base, and what it refuses to follow."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from oya.beads import PATH
from oya.errors import RepositoryUnfit
from oya.repository.follow import follow
from oya.repository.git import GitRepository
from oya.swarm.line import Line
from repository_kit import commit, git, make_repository, opened, write

pytestmark = pytest.mark.usefixtures("own_git")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "repo")


@pytest.fixture
def repo(folder: Path) -> GitRepository:
    return opened(folder)


@pytest.fixture
async def line(repo: GitRepository) -> Line:
    made = Line(repo, "main", partial(follow, repo))
    await made.refresh()
    return made


async def landed(repo: GitRepository, line: Line, name: str = "landed.txt") -> str:
    """Move the line one commit on, as the lander does."""
    tree = await repo.write_tree(line.base, {name: b"x\n"})
    candidate = await repo.commit_tree(tree, (line.base,), "landed")
    assert await line.advance(candidate)
    return candidate


def head(folder: Path, ref: str = "main") -> str:
    return git(folder, "rev-parse", ref)


async def test_the_line_begins_where_the_branch_is(folder: Path, line: Line) -> None:
    assert line.base == head(folder) == head(folder, "refs/oya/line/main")


async def test_what_has_landed_is_the_base_though_the_branch_lags(
    repo: GitRepository, line: Line
) -> None:
    candidate = await landed(repo, line)
    await line.refresh()
    assert (line.base, line.diverged) == (candidate, False)


async def test_a_commit_of_the_users_on_top_is_the_base(folder: Path, line: Line) -> None:
    mine = commit(folder, {"mine.txt": "x\n"})
    await line.refresh()
    assert (line.base, line.diverged) == (mine, False)


async def test_where_both_went_on_the_line_goes_on_without_the_branch(
    folder: Path, repo: GitRepository, line: Line
) -> None:
    candidate = await landed(repo, line)
    commit(folder, {"mine.txt": "x\n"})
    await line.refresh()
    assert (line.base, line.diverged, bool(line.rewritten)) == (candidate, True, False)
    followed = await line.follow()
    assert followed.behind == 1
    assert "did not go through oya" in followed.why


async def test_nobody_elses_move_of_the_line_is_overwritten(
    folder: Path, repo: GitRepository, line: Line
) -> None:
    tree = await repo.write_tree(line.base, {"x": b"x\n"})
    candidate = await repo.commit_tree(tree, (line.base,), "landed")
    other = commit(folder, {"other.txt": "x\n"})
    git(folder, "update-ref", line.ref, other)
    assert not await line.advance(candidate)
    assert head(folder, line.ref) == other


@pytest.mark.parametrize("how", ["amend", "reset"])
async def test_a_branch_that_lost_what_was_seen_there_is_rewritten(
    folder: Path, line: Line, how: str
) -> None:
    seen = commit(folder, {"mine.txt": "x\n"})
    await line.refresh()
    if how == "amend":
        git(folder, "commit", "-q", "--amend", "-m", "other words")
    else:
        git(folder, "reset", "-q", "--hard", "HEAD~1")
    await line.refresh()
    assert seen[:9] in line.rewritten
    assert "oya sync" in line.rewritten


async def test_a_rewrite_that_is_taken_back_is_none(folder: Path, line: Line) -> None:
    seen = commit(folder, {"mine.txt": "x\n"})
    await line.refresh()
    git(folder, "reset", "-q", "--hard", "HEAD~1")
    await line.refresh()
    git(folder, "reset", "-q", "--hard", seen)
    await line.refresh()
    assert not line.rewritten


async def test_nothing_is_followed_while_rewritten(
    folder: Path, repo: GitRepository, line: Line
) -> None:
    commit(folder, {"mine.txt": "x\n"})
    await line.refresh()
    await landed(repo, line)
    git(folder, "reset", "-q", "--hard", "HEAD~1")
    await line.refresh()
    before = head(folder)
    assert not (await line.follow()).moved
    assert head(folder) == before


async def test_accepting_takes_the_branch_as_the_line(folder: Path, line: Line) -> None:
    commit(folder, {"mine.txt": "x\n"})
    await line.refresh()
    git(folder, "commit", "-q", "--amend", "-m", "other words")
    await line.refresh()
    await line.accept_rewrite()
    assert not line.rewritten
    assert line.base == head(folder) == head(folder, line.ref)


async def test_a_branch_that_is_gone_counts_as_rewritten_until_it_is_back(
    folder: Path, repo: GitRepository, line: Line
) -> None:
    candidate = await landed(repo, line)
    git(folder, "switch", "-q", "-c", "elsewhere")
    git(folder, "branch", "-D", "main")
    await line.refresh()
    assert f"git branch main {line.ref}" in line.rewritten
    assert line.base == candidate
    assert await line.accept_rewrite() is None

    git(folder, "branch", "main", line.ref)
    await line.refresh()
    assert (bool(line.rewritten), line.base) == (False, candidate)


async def test_without_branch_and_line_there_is_nothing_to_land_on(repo: GitRepository) -> None:
    with pytest.raises(RepositoryUnfit, match="no branch nowhere"):
        await Line(repo, "nowhere", partial(follow, repo)).refresh()


async def test_a_clean_checkout_follows(folder: Path, repo: GitRepository, line: Line) -> None:
    candidate = await landed(repo, line)
    assert (await line.follow()).moved
    assert head(folder) == candidate
    assert (folder / "landed.txt").exists()
    await line.refresh()
    assert not line.rewritten


async def test_a_branch_that_was_moved_since_it_was_read_is_not_followed(
    folder: Path, repo: GitRepository, line: Line
) -> None:
    back = head(folder)
    commit(folder, {"mine.txt": "x\n"})
    await line.refresh()
    await landed(repo, line)
    git(folder, "reset", "-q", "--hard", back)
    assert not (await line.follow()).moved
    assert head(folder) == back


async def test_a_dirty_checkout_stays_and_the_line_says_why(
    folder: Path, repo: GitRepository, line: Line
) -> None:
    await landed(repo, line)
    write(folder, {"a.txt": "edited\n"})
    followed = await line.follow()
    assert followed.behind == 1
    assert "a.txt" in followed.why
    assert (folder / "a.txt").read_text() == "edited\n"


async def test_with_follow_off_only_a_person_moves_the_checkout(
    folder: Path, repo: GitRepository
) -> None:
    line = Line(repo, "main", partial(follow, repo), follows=False)
    await line.refresh()
    before = head(folder)
    candidate = await landed(repo, line)
    followed = await line.follow()
    assert (followed.behind, followed.moved, head(folder)) == (1, False, before)
    assert "oya sync" in followed.why
    assert (await line.follow(asked=True)).moved
    assert head(folder) == candidate
    assert (await line.follow()).behind == 0


# The user's own commits


async def test_what_both_sides_did_becomes_one_merge_that_then_lands(
    folder: Path, repo: GitRepository, line: Line
) -> None:
    candidate = await landed(repo, line)
    mine = commit(folder, {"mine.txt": "x\n"})
    await line.refresh()
    assert line.wants_merge
    merge = await line.merge()
    assert merge.commit is not None
    assert await repo.parents(merge.commit) == merge.parents == (candidate, mine)
    assert {"mine.txt", "landed.txt"} <= set(await repo.list_files(merge.commit))
    assert head(folder, line.ref) == candidate
    assert await line.advance(merge.commit)
    assert (await line.follow()).moved
    await line.refresh()
    assert (head(folder), line.wants_merge, line.diverged) == (merge.commit, False, False)


async def test_a_merge_that_conflicts_is_left_out_until_a_side_moves(
    folder: Path, repo: GitRepository, line: Line
) -> None:
    await landed(repo, line, "a.txt")
    commit(folder, {"a.txt": "mine\n"})
    await line.refresh()
    merge = await line.merge()
    assert (merge.commit, merge.conflicts) == (None, ("a.txt",))
    line.leave_out(merge, "conflicts in a.txt")
    await line.refresh()
    assert (line.wants_merge, line.left_out) == (False, "conflicts in a.txt")
    await landed(repo, line)
    await line.refresh()
    assert line.wants_merge
    line.leave_out(await line.merge(), "conflicts in a.txt")
    commit(folder, {"a.txt": "x\n"})
    await line.refresh()
    assert line.wants_merge
    again = await line.merge()
    assert again.commit is not None
    assert await line.advance(again.commit)
    await line.refresh()
    assert (line.wants_merge, line.left_out) == (False, "")


async def test_gits_own_help_is_named_in_the_merge(
    folder: Path, repo: GitRepository, line: Line
) -> None:
    first = commit(folder, {".gitattributes": "a.txt merge=union\n"})
    await line.refresh()
    assert await line.advance(first)
    await landed(repo, line, "a.txt")
    commit(folder, {"a.txt": "mine\n", ".gitattributes": ""})
    await line.refresh()
    merge = await line.merge()
    assert merge.commit is not None
    assert "a.txt by the merge driver union" in git(folder, "show", "-s", merge.commit)


async def test_the_trackers_file_is_merged_by_bead(
    folder: Path, repo: GitRepository, line: Line
) -> None:
    first = commit(folder, {PATH: '{"id":"a","status":"open"}\n'})
    await line.refresh()
    assert await line.advance(first)
    tree = await repo.write_tree(first, {PATH: b'{"id":"a","status":"closed"}\n'})
    assert await line.advance(await repo.commit_tree(tree, (first,), "closes a"))
    commit(folder, {PATH: '{"id":"a","status":"open","priority":0}\n{"id":"b"}\n'})
    await line.refresh()
    merge = await line.merge()
    assert merge.commit is not None
    data = await repo.read_file(merge.commit, PATH)
    assert data == b'{"id":"a","status":"closed","priority":0}\n{"id":"b"}\n'


# Reverts


async def test_what_came_to_the_branch_is_news_until_it_is_dealt_with(
    folder: Path, repo: GitRepository, line: Line
) -> None:
    assert await line.news() is None
    candidate = await landed(repo, line)
    await line.follow()
    mine = commit(folder, {"mine.txt": "x\n"})
    for _ in range(2):
        await line.refresh()
        news = await line.news()
        assert news is not None
        assert [said.commit for said in news] == [mine, candidate]
    await line.news_dealt_with()
    assert await line.news() is None


async def test_a_rewritten_branch_has_no_news(folder: Path, line: Line) -> None:
    commit(folder, {"mine.txt": "x\n"})
    await line.refresh()
    git(folder, "commit", "-q", "--amend", "-m", "other words")
    await line.refresh()
    assert await line.news() is None
