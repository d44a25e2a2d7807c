"""A running swarm is reached and told of, wherever one asks, and whatever its files are called."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from kit.user import User, carrying, ended
from kit.words import Stage, words


def until(what: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 100
    while not what():
        assert time.monotonic() < give_up, "not within the time that a busy machine needs"
        time.sleep(0.2)


def logged_out(user: User) -> None:
    """The folder for sockets goes, and comes again empty at the next login."""
    shutil.rmtree(user.runtime)
    user.runtime.mkdir(mode=0o700)


def in_a_cron_job(user: User) -> None:
    user.extra["XDG_RUNTIME_DIR"] = ""


def in_a_shell_of_its_own(user: User) -> None:
    user.extra["XDG_RUNTIME_DIR"] = ""
    user.extra["TMPDIR"] = str(user.folder)


@pytest.mark.parametrize(
    "elsewhere",
    [logged_out, in_a_cron_job, in_a_shell_of_its_own],
    ids=lambda made: made.__name__,
)
def test_from_another_login_and_another_environment(
    user: User, stage: Stage, elsewhere: Callable[[User], None]
) -> None:
    root = words(user, "w-1")
    stage.wait_in("implementer", "w-1")
    assert user.oya(root, "swarm", "--detach").code == 0
    assert stage.arrived() == "implementer w-1"
    elsewhere(user)
    until(lambda: user.oya(root, "swarm", "status").code == 0)
    for command in ("pause", "continue"):
        assert user.oya(root, "swarm", command).code == 0
    assert user.oya(root, "swarm", "stop", "--now").code == 0
    until(lambda: carrying(user) == [])
    stage.go()
    said = user.oya(root, "swarm")
    assert said.code == 0, said
    checked = user.oya(root, "verify")
    assert checked.code == 0, checked


def test_a_name_that_is_no_utf8_in_a_conflict(user: User, stage: Stage) -> None:
    """The stream of events broke off there, and the swarm was said to be dead."""
    root = words(user, "w-1", "w-2")
    (root / os.fsdecode(b"words/caf\xe9.txt")).write_text("begin\n")
    user.git(root, "add", "-A")
    user.git(root, "commit", "-q", "-m", "A name of old")
    user.extra["PYTHONIOENCODING"] = "utf-8:strict"
    latin = stage.tell("latin")
    turns = {"implementer w-1", "implementer w-2"}
    for turn in turns:
        stage.wait_in(*turn.split())
    running = user.start(root, "swarm")
    assert {stage.arrived(), stage.arrived()} == turns
    stage.go(2)
    until(lambda: "conflict" in user.oya(root, "events", "--format", "json").out)
    latin.unlink()
    said = ended(running)
    assert said.code in (0, 3), said
    assert "defect" not in said.both
    for bead in ("w-1", "w-2"):
        why = user.oya(root, "why", bead)
        assert why.code == 0, why
    assert "caf" in "".join(user.oya(root, "why", bead).out for bead in ("w-1", "w-2"))


def test_a_repository_whose_path_is_no_utf8_is_refused_untouched(user: User) -> None:
    name = os.fsdecode(b"caf\xe9")
    root = user.repository(name, {"a.txt": "a\n"})
    user.extra["PYTHONIOENCODING"] = "utf-8:strict"
    said = user.oya(root, "swarm")
    assert said.code == 2, said
    assert "no UTF-8" in said.err
    assert not user.cache.exists()
    assert user.oya(user.repository("other", {"a.txt": "a\n"}), "swarm", "list").code == 0
    assert Path(root).exists()


def test_an_interrupt_while_it_starts_leaves_nothing_that_starts_for_ever(user: User) -> None:
    root = words(user, "w-1")
    for delay in (0.2, 0.6, 1.0, 1.5, 2.0):
        running = user.start(root, "swarm")
        time.sleep(delay)
        running.send_signal(signal.SIGINT)
        assert ended(running).code in (0, 3, 5, 130)
        until(lambda: carrying(user) == [])
        found = user.oya(root, "swarm", "status", "--format", "json").json
        assert found["status"] in (None, "stopped", "completed"), found
    checked = user.oya(root, "verify")
    assert checked.code in (0, 2), checked  # 2: there is nothing to verify yet
