"""Others go on committing to the branch while a swarm lands on it.

Twelve seconds of it; `OYA_FOREIGN=60` makes it a minute, every two seconds.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from kit.others import Bare, Other
from kit.user import User, carrying, ended, write
from kit.words import CHECK, Stage, words

SECONDS = float(os.environ.get("OYA_FOREIGN", "12"))
EVERY = 2.0 if SECONDS > 30 else 1.2
LINE = "refs/oya/line/main"
BEADS = [f"w-{number:02}" for number in range(1, int(SECONDS / 2) + 1)]
LAST = "w-99"
"""A bead whose agent waits until the others have gone home."""


def project(user: User, *, more: str) -> Path:
    root = words(user, *BEADS, LAST, more=more)
    write(root, {"check.sh": f"sleep 0.2\n{CHECK}"})
    user.git(root, "commit", "-qam", "Gates take a moment")
    return root


def on_a_remote(user: User) -> tuple[Path, Path]:
    root = project(user, more='[landing]\nremote = "origin"\n')
    return root, Bare(user, root).folder


def on_a_branch_that_is_not_checked_out(user: User) -> tuple[Path, Path]:
    root = project(user, more='[landing]\nbranch = "main"\n')
    user.git(root, "switch", "-q", "-c", "elsewhere")
    return root, root


def on_a_branch_that_is_checked_out(user: User) -> tuple[Path, Path]:
    root = project(user, more="")
    user.git(root, "config", "receive.denyCurrentBranch", "updateInstead")
    return root, root


Made = Callable[[User], tuple[Path, Path]]


def landed(user: User, root: Path) -> list[tuple[str, str]]:
    """(bead, commit) of all that oya has landed, oldest first."""
    form = "--format=%(trailers:key=Bead,valueonly,separator=%x20) %H"
    rows = user.git(root, "log", "--reverse", "--topo-order", form, LINE).split("\n")
    return [(row.split(" ")[0], row.split(" ")[1]) for row in rows if not row.startswith(" ")]


def until(what: Callable[[], bool], seconds: float) -> None:
    give_up = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < give_up, "not within the time that a busy machine needs"
        time.sleep(0.2)


def contained(user: User, root: Path, tip: str, commits: list[str]) -> Iterator[str]:
    """Those of the commits that the tip does not contain."""
    there = set(user.git(root, "rev-list", tip).split())
    return (commit for commit in commits if commit not in there)


@pytest.mark.parametrize(
    "made",
    [on_a_remote, on_a_branch_that_is_not_checked_out, on_a_branch_that_is_checked_out],
    ids=lambda made: made.__name__,
)
@pytest.mark.timeout(600)
def test_all_land_while_others_push_and_nothing_is_lost_or_forced(
    user: User, stage: Stage, made: Made
) -> None:
    root, where = made(user)
    stage.wait_in("implementer", LAST)
    other = Other(user, where, EVERY)
    with other:
        running = user.start(root, "swarm", "--format", "json")
        until(lambda: len(other.made) >= SECONDS / EVERY, 200)
        # From now on with the time that a busy machine needs for one landing.
        other.every = 5.0
        until(lambda: {bead for bead, _ in landed(user, root)} == set(BEADS), 200)
    stage.go()
    said = ended(running, 200)
    assert said.code == 0, said

    commits = landed(user, root)
    assert sorted(bead for bead, _ in commits) == [*BEADS, LAST]
    assert list(contained(user, root, LINE, other.made)) == []
    if where != root:
        history = user.git(where, "reflog", "--format=%H", "main").split()
        assert len(history) > len(other.made)
        for new, old in pairwise(history):
            user.git(where, "merge-base", "--is-ancestor", old, new)
        assert history[0] == user.git(root, "rev-parse", LINE)
    for _, commit in commits:
        note = json.loads(user.git(root, "notes", "--ref=oya", "show", commit))
        assert note["base"] == user.git(root, "rev-parse", f"{commit}^1")
        assert [row["ok"] for row in note["evidence"]] == [True] * len(note["evidence"])
        assert note["evidence"]
        assert "proven" not in note, "by its own tree"
    user.oya(root, "sync")
    assert user.git(root, "rev-parse", "main") == user.git(root, "rev-parse", LINE)
    checked = user.oya(root, "verify", "--rerun")
    assert checked.code == 0, checked
    rows = user.oya(root, "beads", "--format", "json").json["beads"]
    assert {row["retry_count"] for row in rows} == {0}
    assert carrying(user) == []
