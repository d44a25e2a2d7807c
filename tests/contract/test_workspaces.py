"""What every implementation of `Workspaces` promises, and of `AnswerFiles` in them.

What an agent may do to a real folder beyond writing files, and what git has to say to it,
is in tests/unit/repository/test_workspace*.py.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from oya.agents.answers import MAX_BYTES, AnswerFiles
from oya.errors import GitError
from oya.lifecycle.model import Role
from oya.repository.port import Repository, Workspace, Workspaces
from repository_kit import isolate
from user_kit import FIRST, PLACES, Agent, Place, User


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
def agent(place: Place) -> Agent:
    return place.agent


@pytest.fixture
def spaces(place: Place) -> Workspaces:
    return place.open()


async def main(repo: Repository) -> str:
    found = await repo.resolve("refs/heads/main")
    assert found
    return found


async def make(repo: Repository, spaces: Workspaces, epoch: int = 1) -> Workspace:
    return await spaces.create("b-1", epoch, start=await main(repo))


async def build(repo: Repository, on: str, files: dict[str, bytes | None]) -> str:
    """A commit with these changes."""
    return await repo.commit_tree(await repo.write_tree(on, files), [on], "work")


# How it begins


async def test_it_holds_the_files_of_its_start(
    repo: Repository, spaces: Workspaces, agent: Agent, user: User
) -> None:
    ws = await make(repo, spaces)
    assert (ws.bead, ws.epoch, ws.start, ws.conflicts) == ("b-1", 1, await main(repo), ())
    assert agent.files(ws.path) == FIRST
    assert await repo.read_ref(spaces.base_ref("b-1", 1)) == ws.start
    assert await repo.read_ref(spaces.attempt_ref("b-1", 1)) is None
    assert user.is_clean()


async def test_earlier_work_is_merged_in(
    repo: Repository, spaces: Workspaces, user: User, agent: Agent
) -> None:
    start = await main(repo)
    contract = await build(repo, start, {"test.txt": b"t"})
    work = await build(repo, contract, {"impl.txt": b"i"})
    base = user.commit({"base.txt": "b"})
    ws = await spaces.create("b-1", 2, start=base, merge=[contract, work, start])
    assert ws.conflicts == ()
    assert set(agent.files(ws.path)) == {*FIRST, "base.txt", "impl.txt", "test.txt"}
    for older in (base, contract, work):
        assert await repo.is_ancestor(older, ws.start)
    assert await repo.read_ref(spaces.base_ref("b-1", 2)) == ws.start
    assert (await spaces.commit(ws, "m")).commit == ws.start


async def test_what_is_only_newer_needs_no_merge(
    repo: Repository, spaces: Workspaces, user: User
) -> None:
    start = await main(repo)
    newer = user.commit({"base.txt": "b"})
    assert (await spaces.create("b-1", 1, start=start, merge=[newer])).start == newer
    assert (await spaces.create("b-2", 1, start=newer, merge=[start])).start == newer


async def test_conflicts_stay_as_markers_and_are_the_start(
    repo: Repository, spaces: Workspaces, user: User, agent: Agent
) -> None:
    start = await main(repo)
    work = await build(repo, start, {"a.txt": b"work\n", "w": b"w"})
    base = user.commit({"a.txt": "base\n"})
    ws = await spaces.create("b-1", 1, start=base, merge=[work])
    assert ws.conflicts == ("a.txt",)
    assert "base\n=======\nwork\n" in agent.files(ws.path)["a.txt"]
    assert await repo.parents(ws.start) == (base, work)
    assert (await spaces.commit(ws, "m")).commit == ws.start


async def test_a_failed_creation_leaves_nothing(repo: Repository, spaces: Workspaces) -> None:
    start = await main(repo)
    with pytest.raises(GitError):
        await spaces.create("b-1", 1, start="1" * 40)
    with pytest.raises(GitError):
        await spaces.create("b-1", 1, start=start, merge=[await repo.tree_of(start)])
    assert await repo.list_refs("refs/oya") == {}
    assert await spaces.leftovers(every=True) == []
    assert await make(repo, spaces)


async def test_one_attempt_has_one_workspace(
    repo: Repository, spaces: Workspaces, agent: Agent, place: Place
) -> None:
    ws = await make(repo, spaces)
    for again in (spaces, place.open()):
        with pytest.raises(GitError, match="already"):
            await make(repo, again)
    assert agent.files(ws.path) == FIRST
    assert await repo.read_ref(spaces.base_ref("b-1", 1)) == ws.start
    assert (await make(repo, spaces, 2)).path != ws.path


async def test_a_number_that_comes_again_takes_nothing_from_the_work_of_before(
    repo: Repository, spaces: Workspaces, agent: Agent
) -> None:
    """As after a damaged state was put away, and another begun."""
    heads = []
    for text in ("first", "second", "third"):
        ws = await make(repo, spaces)
        agent.write(ws.path, {"n.txt": text})
        heads.append((await spaces.commit(ws, text)).commit)
        await spaces.remove(ws)
    refs = await repo.list_refs("refs/oya")
    assert refs[spaces.attempt_ref("b-1", 1)] == heads[2]
    assert set(refs.values()) == set(heads)


# What becomes of the work


async def test_what_lies_there_becomes_the_head_of_the_attempt(
    repo: Repository, spaces: Workspaces, agent: Agent, user: User
) -> None:
    ws = await make(repo, spaces)
    agent.write(ws.path, {"a.txt": "new\n", "deep/er/n.txt": "n", "ü \n": "odd"})
    agent.delete(ws.path, "src/b.txt")
    head = await spaces.commit(ws, "Snapshot of b-1")
    changes = {c.path: (c.status, c.mode) for c in await repo.diff(ws.start, head.commit)}
    assert changes == {
        "a.txt": ("M", "100644"),
        "deep/er/n.txt": ("A", "100644"),
        "src/b.txt": ("D", "000000"),
        "ü \n": ("A", "100644"),
    }
    assert head.left_out == ()
    assert await repo.parents(head.commit) == (ws.start,)
    assert await repo.tree_of(head.commit) == head.tree
    assert await repo.read_ref(spaces.attempt_ref("b-1", 1)) == head.commit
    assert (user.author(head.commit), user.message(head.commit)) == ("oya", "Snapshot of b-1")
    assert user.is_clean()


async def test_nothing_done_is_the_start(repo: Repository, spaces: Workspaces) -> None:
    ws = await make(repo, spaces)
    head = await spaces.commit(ws, "m")
    assert (head.commit, head.tree) == (ws.start, await repo.tree_of(ws.start))
    assert await repo.read_ref(spaces.attempt_ref("b-1", 1)) == ws.start


async def test_heads_follow_each_other_and_without_a_change_there_is_no_new_one(
    repo: Repository, spaces: Workspaces, agent: Agent
) -> None:
    ws = await make(repo, spaces)
    agent.write(ws.path, {"a.txt": "2"})
    first = await spaces.commit(ws, "one")
    agent.write(ws.path, {"a.txt": "3"})
    second = await spaces.commit(ws, "two")
    assert await repo.parents(second.commit) == (first.commit,)
    assert await repo.read_file(second.commit, "a.txt") == b"3"
    assert await spaces.commit(ws, "three") == second


async def test_a_look_is_a_commit_that_no_head_follows(
    repo: Repository, spaces: Workspaces, agent: Agent
) -> None:
    ws = await make(repo, spaces)
    agent.write(ws.path, {"new": "1"})
    look = await spaces.snapshot(ws)
    assert [change.path for change in await repo.diff(ws.start, look.commit)] == ["new"]
    assert await repo.read_ref(spaces.attempt_ref("b-1", 1)) == look.commit
    agent.write(ws.path, {"newer": "2"})
    head = await spaces.commit(ws, "m")
    assert [c.path for c in await repo.diff(ws.start, head.commit)] == ["new", "newer"]
    assert not await repo.is_ancestor(look.commit, head.commit)
    assert await repo.is_ancestor(ws.start, head.commit)


async def test_there_is_nothing_to_look_at_in_a_folder_that_is_gone(
    repo: Repository, spaces: Workspaces
) -> None:
    ws = await make(repo, spaces)
    await spaces.remove(ws)
    with pytest.raises(GitError):
        await spaces.snapshot(ws)


async def test_what_is_undone_is_a_head_too(
    repo: Repository, spaces: Workspaces, agent: Agent
) -> None:
    ws = await make(repo, spaces)
    agent.write(ws.path, {"a.txt": "2"})
    first = await spaces.commit(ws, "one")
    agent.write(ws.path, FIRST)
    second = await spaces.commit(ws, "two")
    assert second.tree == await repo.tree_of(ws.start)
    assert await repo.parents(second.commit) == (first.commit,)


async def test_the_tracker_and_answers_are_as_at_the_start(
    repo: Repository, spaces: Workspaces, agent: Agent, user: User
) -> None:
    user.commit({".beads/issues.jsonl": "{}\n", ".oya/prompts/x.md": "x"})
    ws = await make(repo, spaces)
    agent.write(ws.path, {".beads/issues.jsonl": "mine", ".beads/new": "n"})
    agent.write(ws.path, {".oya/out/planner.json": "{}"})
    assert (await spaces.commit(ws, "m")).commit == ws.start
    agent.write(ws.path, {".oya/prompts/x.md": "mine", ".beadsx": "n", ".oya/outside": "n"})
    agent.delete(ws.path, ".beads")
    head = await spaces.commit(ws, "m")
    changed = {c.path: c.status for c in await repo.diff(ws.start, head.commit)}
    assert changed == {".oya/prompts/x.md": "M", ".beadsx": "A", ".oya/outside": "A"}


async def test_a_folder_that_the_agent_deleted_is_back_as_at_the_newest_head(
    repo: Repository, spaces: Workspaces, agent: Agent
) -> None:
    ws = await make(repo, spaces)
    agent.delete(ws.path)
    assert (await spaces.commit(ws, "m")).commit == ws.start
    agent.write(ws.path, {"n": "1"})
    head = await spaces.commit(ws, "m")
    agent.delete(ws.path)
    assert await spaces.commit(ws, "m") == head
    assert agent.files(ws.path) == {**FIRST, "n": "1"}


async def test_the_last_head_is_like_any_other_and_brings_nothing_back(
    repo: Repository, spaces: Workspaces, agent: Agent
) -> None:
    ws = await make(repo, spaces)
    agent.write(ws.path, {"n": "1"})
    head = await spaces.commit(ws, "m", last=True)
    assert await repo.read_file(head.commit, "n") == b"1"
    assert await repo.read_ref(spaces.attempt_ref("b-1", 1)) == head.commit
    assert await spaces.commit(ws, "again", last=True) == head
    agent.delete(ws.path)
    assert await spaces.commit(ws, "gone", last=True) == head
    assert agent.files(ws.path) == {}


async def test_of_a_folder_that_is_gone_before_the_last_head_the_start_is_kept(
    repo: Repository, spaces: Workspaces, agent: Agent
) -> None:
    ws = await make(repo, spaces)
    agent.delete(ws.path)
    assert (await spaces.commit(ws, "gone", last=True)).commit == ws.start
    assert await repo.read_ref(spaces.attempt_ref("b-1", 1)) == ws.start


async def test_a_file_that_became_a_folder_and_a_folder_that_became_a_file(
    repo: Repository, spaces: Workspaces, agent: Agent
) -> None:
    ws = await make(repo, spaces)
    agent.write(ws.path, {"a.txt/x": "1"})
    agent.delete(ws.path, "src")
    agent.write(ws.path, {"src": "2"})
    head = await spaces.commit(ws, "m")
    assert set(await repo.list_files(head.commit)) == {"a.txt/x", "src"}


async def test_files_are_put_back_as_they_were(
    repo: Repository, spaces: Workspaces, agent: Agent
) -> None:
    ws = await make(repo, spaces)
    agent.write(ws.path, {"a.txt": "edited", "new.txt": "n", "kept.txt": "k"})
    frozen = (await spaces.commit(ws, "m")).commit
    agent.delete(ws.path, "src")
    agent.write(ws.path, {"a.txt": "again", "late.txt": "x", "kept.txt": "mine"})
    agent.write(ws.path, {"new.txt/x": "a folder now", "over/x": "x"})
    paths = ["a.txt", "new.txt", "src/b.txt", "src/c.txt", "late.txt", "over", "never.txt"]
    await spaces.restore(ws, frozen, [*paths, "../../x"])
    assert agent.files(ws.path) == {
        "a.txt": "edited",
        "new.txt": "n",
        "src/b.txt": "two\n",
        "kept.txt": "mine",
    }
    head = await spaces.commit(ws, "m")
    assert [c.path for c in await repo.diff(frozen, head.commit)] == ["kept.txt"]


async def test_files_are_put_back_where_the_folder_is_gone(
    repo: Repository, spaces: Workspaces, agent: Agent
) -> None:
    ws = await make(repo, spaces)
    agent.delete(ws.path)
    await spaces.restore(ws, ws.start, ["a.txt", "never.txt"])
    assert agent.files(ws.path) == {"a.txt": "one\n"}


# How it ends


async def test_removed_is_removed_and_the_work_stays(
    repo: Repository, spaces: Workspaces, agent: Agent
) -> None:
    ws = await make(repo, spaces)
    agent.write(ws.path, {"n": "1"})
    head = await spaces.commit(ws, "m")
    await spaces.remove(ws)
    await spaces.remove(ws)
    assert agent.files(ws.path) == {}
    assert await spaces.leftovers(every=True) == []
    assert await repo.list_refs("refs/oya") == {spaces.attempt_ref("b-1", 1): head.commit}


async def test_leftovers_are_those_of_others_or_all(
    repo: Repository, spaces: Workspaces, place: Place
) -> None:
    await spaces.remove(await make(repo, spaces, 9))
    first, second = await make(repo, spaces, 1), await make(repo, spaces, 2)
    later = place.open()
    third = await make(repo, later, 3)
    everything = [("b-1", n, ws.path) for n, ws in enumerate((first, second, third), 1)]
    assert await spaces.leftovers() == everything[2:]
    assert await later.leftovers() == everything[:2]
    assert await later.leftovers(every=True) == everything


async def test_many_at_once_do_not_disturb_each_other(
    repo: Repository, spaces: Workspaces, agent: Agent
) -> None:
    async def one(epoch: int) -> bytes | None:
        ws = await make(repo, spaces, epoch)
        agent.write(ws.path, {"n": str(epoch)})
        head = await spaces.commit(ws, "m")
        await spaces.remove(ws)
        return await repo.read_file(head.commit, "n")

    found = await asyncio.gather(*(one(epoch) for epoch in range(1, 9)))
    assert found == [str(epoch).encode() for epoch in range(1, 9)]


# After a death


async def test_the_work_of_a_dead_daemon_is_harvested(
    repo: Repository, spaces: Workspaces, agent: Agent, place: Place, user: User
) -> None:
    ws = await make(repo, spaces)
    agent.write(ws.path, {"committed": "1"})
    before = await spaces.commit(ws, "m")
    agent.write(ws.path, {"loose": "2"})
    later = place.open()
    found = await later.harvest(ws.path)
    assert found.head
    assert found.kept is None
    assert set(await repo.list_files(found.head.commit)) == {*FIRST, "committed", "loose"}
    assert await repo.parents(found.head.commit) == (before.commit,)
    assert user.message(found.head.commit) == "What b-1 had when oya ended"
    assert await repo.list_refs("refs/oya") == {later.attempt_ref("b-1", 1): found.head.commit}
    assert await later.leftovers() == []
    assert agent.files(ws.path) == {}


async def test_a_half_made_workspace_is_no_work(
    repo: Repository, spaces: Workspaces, agent: Agent, place: Place
) -> None:
    ws = await make(repo, spaces)
    agent.delete(ws.path, "a.txt")
    place.undo(ws.path)
    later = place.open()
    assert await later.leftovers() == [("b-1", 1, ws.path)]
    found = await later.harvest(ws.path)
    assert (found.head, found.kept) == (None, None)
    assert await repo.list_refs("refs/oya") == {}
    assert await later.leftovers() == []


async def test_a_removal_that_was_cut_short_is_finished(
    repo: Repository, spaces: Workspaces, agent: Agent, place: Place
) -> None:
    ws = await make(repo, spaces)
    head = await spaces.commit(ws, "Done")
    agent.delete(ws.path)  # and no further
    later = place.open()
    assert await later.leftovers() == [("b-1", 1, ws.path)]
    found = await later.harvest(ws.path)
    assert (found.head, found.kept) == (None, None)
    assert await later.leftovers() == []
    assert await repo.list_refs("refs/oya") == {later.attempt_ref("b-1", 1): head.commit}


async def test_what_oya_knew_of_it_may_be_lost(
    repo: Repository, spaces: Workspaces, agent: Agent, place: Place
) -> None:
    ws = await spaces.create("../x y.lock", 3, start=await main(repo))
    agent.write(ws.path, {"n": "1"})
    place.forget(ws.path)
    later = place.open()
    assert await later.leftovers() == [("../x y.lock", 3, ws.path)]
    found = await later.harvest(ws.path)
    assert found.head
    assert set(await repo.list_files(found.head.commit)) == {*FIRST, "n"}
    assert await repo.parents(found.head.commit) == (ws.start,)


async def test_what_nobody_knows_the_start_of_is_moved_aside_as_it_was(
    repo: Repository, spaces: Workspaces, agent: Agent, place: Place
) -> None:
    kept = {}
    for text in ("first", "second"):
        ws = await make(repo, spaces)
        agent.write(ws.path, {"n": text, ".beads/x": "x"})
        place.forget(ws.path)
        await repo.delete_ref(spaces.base_ref("b-1", 1))
        found = await spaces.harvest(ws.path)
        assert found.head is None
        assert found.kept
        kept[found.kept] = text
        assert agent.files(ws.path) == {}
        assert await spaces.leftovers(every=True) == []
        assert await repo.list_refs("refs/oya") == {}
    assert len(kept) == 2
    for path, text in kept.items():
        assert agent.files(path) == {**FIRST, "n": text, ".beads/x": "x"}


# Answers


@pytest.fixture
def answers(place: Place) -> AnswerFiles:
    return place.answers


OUT = ".oya/out/planner.json"


async def test_an_answer_is_read_and_makes_room_for_the_next(
    repo: Repository, spaces: Workspaces, agent: Agent, answers: AnswerFiles
) -> None:
    ws = await make(repo, spaces)
    answers.make_room(ws.path, Role.PLANNER)
    assert answers.read(ws.path, Role.PLANNER) is None
    agent.write(ws.path, {OUT: '{"verdict": "accept"}', ".oya/out/reviewer.json": "{}"})
    assert answers.read(ws.path, Role.PLANNER) == b'{"verdict": "accept"}'
    answers.make_room(ws.path, Role.PLANNER)
    assert answers.read(ws.path, Role.PLANNER) is None
    assert answers.read(ws.path, Role.REVIEWER) == b"{}"


@pytest.mark.parametrize("way", [".oya", ".oya/out", f"{OUT}/x"])
async def test_what_stands_in_the_way_of_an_answer_is_removed(
    repo: Repository, spaces: Workspaces, agent: Agent, answers: AnswerFiles, way: str
) -> None:
    ws = await make(repo, spaces)
    agent.write(ws.path, {way: "in the way"})
    assert answers.read(ws.path, Role.PLANNER) is None
    answers.make_room(ws.path, Role.PLANNER)
    assert agent.files(ws.path) == FIRST
    agent.write(ws.path, {OUT: "{}"})
    assert answers.read(ws.path, Role.PLANNER) == b"{}"


async def test_an_answer_that_is_too_large_is_read_as_such(
    repo: Repository, spaces: Workspaces, agent: Agent, answers: AnswerFiles
) -> None:
    ws = await make(repo, spaces)
    agent.write(ws.path, {OUT: "x" * (MAX_BYTES * 2)})
    data = answers.read(ws.path, Role.PLANNER)
    assert data is not None
    assert MAX_BYTES < len(data) < 2 * MAX_BYTES


async def test_in_a_folder_that_is_gone_there_is_no_answer_and_no_room(
    repo: Repository, spaces: Workspaces, agent: Agent, answers: AnswerFiles
) -> None:
    ws = await make(repo, spaces)
    agent.delete(ws.path)
    assert answers.read(ws.path, Role.PLANNER) is None
    with pytest.raises(OSError, match=ws.path.name):
        answers.make_room(ws.path, Role.PLANNER)
