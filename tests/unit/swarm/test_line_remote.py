"""The line of a remote's branch: to land is to push, and what is not known is not guessed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from swarm_kit import HandClock

from oya.errors import GitError, PushUnsure, RemoteError, RepositoryUnfit
from oya.repository.port import Repository
from oya.swarm.line import LOOK_THERE, Line, Whereabouts, whereabouts
from oya.testing.simulation.git import GitDisk, SimulatedGit
from oya.testing.simulation.remote import Remote
from repository_kit import git, isolate
from user_kit import PLACES, Elsewhere, Place, Prompt, SimulatedUser, User, on_git, ticking


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


@pytest.fixture
def there(place: Place) -> Elsewhere:
    return place.elsewhere


@pytest.fixture
async def line(place: Place) -> Line:
    made = Line(place.repo, "main", place.follow, remote="origin")
    await made.refresh()
    return made


async def candidate(repo: Repository, line: Line, name: str = "landed.txt") -> str:
    tree = await repo.write_tree(line.base, {name: b"x\n"})
    return await repo.commit_tree(tree, (line.base,), f"lands {name}")


def intent(line: Line, commit: str) -> dict[str, Any]:
    about = {"candidate": commit, "parent": line.base, "line": line.ref}
    return {**about, "remote": line.remote, "branch": line.branch}


async def test_to_land_is_to_push_and_the_checkout_follows(
    repo: Repository, user: User, there: Elsewhere, line: Line
) -> None:
    new = await candidate(repo, line)
    assert await line.advance(new)
    assert there.tip() == line.base == line.tip == await repo.read_ref(line.ref) == new
    assert (await line.follow()).moved
    assert user.read("landed.txt") == "x\n"
    await line.refresh()
    assert (line.base, line.rewritten, line.trouble) == (new, "", "")


async def test_what_others_have_pushed_is_the_base_and_not_yet_the_line(
    repo: Repository, there: Elsewhere, line: Line
) -> None:
    before, theirs = line.tip, there.commit({"theirs.txt": "1"})
    await line.refresh()
    assert (line.base, line.tip) == (theirs, before)
    new = await candidate(repo, line)
    assert await line.advance(new)
    assert await repo.is_ancestor(theirs, new)


async def test_whoever_is_faster_wins_and_what_they_pushed_is_the_next_base(
    repo: Repository, there: Elsewhere, line: Line
) -> None:
    new, theirs = await candidate(repo, line), there.commit({"theirs.txt": "1"})
    asked = intent(line, new)
    assert not await line.advance(new)
    assert (there.tip(), line.trouble) == (theirs, "")
    assert await whereabouts(repo, asked) is Whereabouts.LOST
    await line.refresh()
    assert line.base == theirs


async def test_a_remote_that_refuses_is_named_until_it_takes_the_push(
    repo: Repository, there: Elsewhere, line: Line
) -> None:
    before, new = line.tip, await candidate(repo, line)
    there.refuse("main is protected")
    for _ in range(2):
        assert not await line.advance(new)
        assert "origin refuses" in line.trouble
        assert "main is protected" in line.trouble
        await line.refresh()
        assert (line.tip, there.tip()) == (before, before)
    there.refuse("")
    assert await line.advance(new)
    assert (line.trouble, there.tip()) == ("", new)


async def test_a_remote_out_of_reach_leaves_the_base_and_lands_nothing(
    repo: Repository, there: Elsewhere, line: Line
) -> None:
    base, new = line.base, await candidate(repo, line)
    there.vanish()
    await line.refresh()
    assert (line.base, line.rewritten) == (base, "")
    assert "origin cannot be reached" in line.trouble
    with pytest.raises(PushUnsure):
        await line.advance(new)
    with pytest.raises(RemoteError):
        await whereabouts(repo, intent(line, new))
    there.come_back()
    assert await whereabouts(repo, intent(line, new)) is Whereabouts.OPEN
    assert await line.advance(new)
    await line.refresh()
    assert (line.trouble, line.tip) == ("", new)


async def test_commits_that_the_user_has_not_pushed_are_theirs(
    repo: Repository, user: User, there: Elsewhere, line: Line
) -> None:
    base, mine = line.base, user.commit({"mine.txt": "1"})
    await line.refresh()
    assert (line.base, line.rewritten, line.wants_merge) == (base, "", False)
    new = await candidate(repo, line)
    assert await line.advance(new)
    followed = await line.follow()
    assert (followed.behind, followed.moved) == (1, False)
    assert "not on origin/main" in followed.why
    assert not await repo.is_ancestor(mine, there.tip() or "")


async def test_a_branch_that_lost_what_was_seen_there_is_rewritten_until_that_is_taken(
    repo: Repository, there: Elsewhere, line: Line
) -> None:
    there.commit({"theirs.txt": "1"})
    await line.refresh()
    forced = there.commit({"other.txt": "1"}, amend=True)
    await line.refresh()
    assert "origin/main was rewritten" in line.rewritten
    await line.accept_rewrite()
    assert (line.rewritten, line.base, line.tip) == ("", forced, forced)


async def test_a_branch_that_is_gone_over_there_is_rewritten(there: Elsewhere, line: Line) -> None:
    there.delete("main")
    await line.refresh()
    assert "git push origin refs/oya/line/main:refs/heads/main" in line.rewritten


async def test_what_landed_without_the_remote_must_be_there_first(place: Place) -> None:
    repo = place.repo
    alone = Line(repo, "main", place.follow)
    await alone.refresh()
    new = await candidate(repo, alone)
    assert await alone.advance(new)
    line = Line(repo, "main", place.follow, remote="origin")
    await line.refresh()
    assert "lacks what has landed here" in line.rewritten
    await repo.push("origin", new, "main", None)
    await line.refresh()
    assert (line.rewritten, line.base) == ("", new)


async def test_nothing_begins_on_a_remote_that_was_never_reached(place: Place) -> None:
    place.elsewhere.vanish()
    with pytest.raises(RemoteError, match="origin cannot be reached"):
        await Line(place.repo, "main", place.follow, remote="origin").refresh()
    place.elsewhere.come_back()
    with pytest.raises(RepositoryUnfit, match="no branch origin/nowhere"):
        await Line(place.repo, "nowhere", place.follow, remote="origin").refresh()


async def test_with_a_clock_the_remote_is_asked_now_and_then(place: Place) -> None:
    clock = HandClock()
    line = Line(place.repo, "main", place.follow, remote="origin", clock=clock)
    await line.refresh()
    before, theirs = line.base, place.elsewhere.commit({"theirs.txt": "1"})
    await line.refresh()
    assert line.base == before
    await line.refresh(now=True)
    assert line.base == theirs
    more = place.elsewhere.commit({"more.txt": "1"})
    clock.ahead += LOOK_THERE
    await line.refresh()
    assert line.base == more


# What only a simulated network can do


@pytest.fixture
def lossy() -> tuple[Remote, SimulatedGit]:
    user = SimulatedUser(GitDisk())
    user.commit({"a.txt": "1"}, "first")
    remote = user.disk.remotes["origin"] = Remote(dict(user.disk.refs))
    return remote, SimulatedGit(user.disk, Prompt(), ticking())


async def begun(repo: SimulatedGit) -> Line:
    line = Line(repo, "main", repo.follow, remote="origin")
    await line.refresh()
    return line


async def test_a_push_whose_answer_is_lost_has_landed(lossy: tuple[Remote, SimulatedGit]) -> None:
    remote, repo = lossy
    line = await begun(repo)
    remote.loses = "answer"
    new = await candidate(repo, line)
    assert await line.advance(new)
    assert line.tip == new


@pytest.mark.parametrize("how", ["request", "late"])
async def test_a_push_that_may_still_arrive_is_open_and_lands_once(
    lossy: tuple[Remote, SimulatedGit], how: Any
) -> None:
    remote, repo = lossy
    line = await begun(repo)
    new = await candidate(repo, line)
    asked = intent(line, new)
    remote.loses = how
    with pytest.raises(PushUnsure):
        await line.advance(new)
    assert await whereabouts(repo, asked) is Whereabouts.OPEN
    remote.loses = ""
    assert await line.advance(new)
    remote.arrive()
    assert remote.refs["refs/heads/main"] == new
    assert await whereabouts(repo, asked) is Whereabouts.LANDED


async def test_a_push_that_arrived_late_is_known_to_the_line(
    lossy: tuple[Remote, SimulatedGit],
) -> None:
    remote, repo = lossy
    line = await begun(repo)
    new = await candidate(repo, line)
    asked = intent(line, new)
    remote.loses = "late"
    with pytest.raises(PushUnsure):
        await line.advance(new)
    remote.arrive()
    assert await whereabouts(repo, asked) is Whereabouts.LANDED
    assert await repo.read_ref(line.ref) == new
    await line.refresh()
    assert line.tip == line.base == new


async def test_a_commit_that_stands_elsewhere_is_not_pushed(place: Place, line: Line) -> None:
    place.elsewhere.commit({"theirs.txt": "1"})
    old = await candidate(place.repo, line)
    await line.refresh()
    with pytest.raises(GitError):
        await line.advance(old)


_DIES = """
import asyncio, sys
from functools import partial
from pathlib import Path
from oya.crashpoints import arm
from oya.repository.follow import follow
from oya.repository.git import GitRepository
from oya.repository.places import find_place
from oya.swarm.line import Line

async def main():
    repo = GitRepository(find_place(Path(sys.argv[1])))
    line = Line(repo, "main", partial(follow, repo), remote="origin")
    await line.refresh()
    arm("line.pushed")
    await line.advance(sys.argv[2])

asyncio.run(main())
"""


async def test_who_dies_between_the_push_and_the_line_finds_that_it_has_landed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    isolate(monkeypatch, tmp_path / "home")
    place = on_git(tmp_path)
    line = Line(place.repo, "main", place.follow, remote="origin")
    await line.refresh()
    before, new = line.tip, await candidate(place.repo, line)
    asked = intent(line, new)
    argv = [sys.executable, "-c", _DIES, str(tmp_path / "repo"), new]
    died = subprocess.run(argv, env={**os.environ}, timeout=60, check=False)
    assert died.returncode == -signal.SIGKILL
    assert git(tmp_path / "up stream.git", "rev-parse", "main") == new
    assert await place.repo.read_ref(line.ref) == before
    assert await whereabouts(place.repo, asked) is Whereabouts.LANDED
    assert await place.repo.read_ref(line.ref) == new
