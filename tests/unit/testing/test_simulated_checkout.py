"""What the simulated machine says of the user's branch and working files, and what it lets pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from oya.beads import PATH
from oya.testing.simulation.check import breaches
from oya.testing.simulation.checkout import lost, moves
from oya.testing.simulation.git import SimulatedGit
from oya.testing.simulation.plan import Fault, draw
from oya.testing.simulation.run import run
from oya.testing.simulation.world import World

MAIN = "refs/heads/main"


def world(*, tracked: bool = True) -> World:
    return World(replace(draw(3), faults=(), tracked=tracked))


def ahead(made: World) -> str:
    """A commit that the branch could be moved to."""
    objects, tip = made.git.objects, made.git.refs[MAIN]
    return objects.add_commit(objects.commits[tip].tree, (tip,), "next", "Ada", "1")


def said(made: World, new: str | None) -> list[str]:
    return list(moves(made, MAIN, made.git.refs[MAIN], new))


def test_a_branch_goes_forward_and_nowhere_else() -> None:
    made = world()
    tip = made.git.objects.commits[made.git.refs[MAIN]]
    beside = made.git.objects.add_commit(tip.tree, (), "beside", "Ada", "1")
    assert said(made, ahead(made)) == []
    for new in (beside, None):
        assert [words.endswith("no fast-forward") for words in said(made, new)] == [True]
    assert list(moves(made, "refs/oya/line/main", made.git.refs[MAIN], beside)) == []


def test_and_not_under_what_the_user_has_changed() -> None:
    made = world()
    new = ahead(made)
    clean = made.git.working["src/base.x"]
    made.leave("src/base.x", b"mine\n")
    assert said(made, new) == [f"{MAIN} was moved under changes in src/base.x"]
    made.leave("src/base.x", clean)
    assert said(made, new) == []
    made.leave("mine.txt", b"mine\n")  # git knows nothing of it
    assert said(made, new) == []
    made.leave("src/base.x", b"mine\n")
    made.commit_as_user({"src/base.x": b"mine\n"}, "mine")
    assert said(made, ahead(made)) == []


def write(path: str, data: bytes | None) -> Callable[[World], None]:
    def tamper(made: World) -> None:
        if data is None:
            del made.git.working[path]
        else:
            made.git.working[path] = data

    return tamper


@pytest.mark.parametrize(
    ("path", "data"),
    [("mine.txt", b"yours\n"), ("mine.txt", None), ("src/base.x", b"x\n"), ("new.x", b"x\n")],
)
def test_what_the_user_left_stays_and_the_rest_is_as_committed(
    path: str, data: bytes | None
) -> None:
    made = world()
    made.leave("mine.txt", b"mine\n")
    assert list(lost(made)) == []
    write(path, data)(made)
    assert list(lost(made)) == [f"{path} of the worktree is not as the user left it"]


def test_in_an_untracked_backlog_only_closings_are_written() -> None:
    made = world(tracked=False)
    data = made.git.working[PATH]
    made.git.working[PATH] = data.replace(b'"status": "open"', b'"status": "closed"', 1)
    assert list(lost(made)) == []
    made.git.working[PATH] = data.replace(b"Do what", b"Do not what", 1)
    assert list(lost(made)) == [f"{PATH} of the worktree is not as the user left it"]


def test_a_swarm_that_follows_over_a_dirty_checkout_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    dirty = (Fault(0, 5.0, "dirty", {"seconds": 30.0}),)
    plan = replace(draw(3), faults=dirty, harsh=0.0, ci=1.0)
    assert breaches(run(plan)) == []
    monkeypatch.setattr(SimulatedGit, "_in_the_way", lambda self, line: "")
    found = breaches(run(plan))
    assert {breach.promise for breach in found} == {"ports_were_used_as_they_should"}
    assert "under changes in src/base.x" in found[0].what


def test_an_edit_of_the_backlog_may_only_be_merged() -> None:
    made = world()
    lines = made.git.working[PATH].decode().splitlines(keepends=True)
    edited = [lines[0].replace('"priority": ', '"priority": 1'), *lines[2:]]
    made.leave(PATH, "".join(edited).encode())
    assert list(lost(made)) == []
    closed = edited[0].replace('"open"', '"closed"')
    made.git.working[PATH] = "".join([closed, *edited[1:], '{"id": "other"}\n']).encode()
    assert list(lost(made)) == [], "a closing, and what somebody added"
    made.git.working[PATH] = "".join([lines[0], *edited[1:]]).encode()
    assert [words.split(" of ")[0] for words in lost(made)] == ["priority"]
    made.git.working[PATH] = "".join([edited[0], *lines[1:]]).encode()
    assert [words.endswith("from which the user took it") for words in lost(made)] == [True]


async def test_somebody_else_pushes_to_a_remote() -> None:
    made = world()
    made.add_remote()
    tip = made.git.refs[MAIN]
    there = made.push_as_other({"src/theirs.x": b"theirs\n", "src/done.x": None})
    assert made.git.refs[MAIN] == tip
    assert made.git.remotes["origin"].refs[MAIN] == there
    assert made.git.objects.commits[there].parents == (tip,)
    files = made.git.objects.files(there)
    assert files["src/theirs.x"].data == b"theirs\n"
    assert ("src/done.x" in files, "src/base.x" in files) == (False, True)
