"""A remote that refuses, is slow, or is gone: what it has is landed, nothing else, and once."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from kit.others import Bare
from kit.user import User, attached, carrying, ended
from kit.words import Stage, words

LINE = "refs/oya/line/main"
REMOTE = '[landing]\nremote = "origin"\n'
PATIENCE = 100.0


def project(user: User, *names: str) -> tuple[Path, Bare]:
    root = words(user, *names, more=REMOTE)
    return root, Bare(user, root)


def status(user: User, root: Path) -> dict[str, Any]:
    found: dict[str, Any] = user.oya(root, "swarm", "status", "--format", "json").json
    return found


def state(user: User, root: Path, bead: str = "w-1") -> dict[str, Any]:
    rows = user.oya(root, "beads", "--format", "json").json["beads"]
    found: dict[str, Any] = next(row for row in rows if row["id"] == bead)
    return found


def until(what: Callable[[], Any]) -> Any:
    """Wait for something true, and return it."""
    give_up = time.monotonic() + PATIENCE
    while not (found := what()):
        assert time.monotonic() < give_up, "not within the time that a busy machine needs"
        time.sleep(0.1)
    return found


def began(user: User, stage: Stage, root: Path) -> None:
    """A swarm in the background in which both beads stand before their review."""
    turns = {"reviewer w-1", "reviewer w-2"}
    for turn in turns:
        stage.wait_in(*turn.split())
    assert user.oya(root, "swarm", "--detach").code == 0
    assert {stage.arrived(), stage.arrived()} == turns


def landed_once(user: User, root: Path, there: Bare, *names: str) -> None:
    """All is over, and each of these beads has one commit, here and there."""
    form = "--format=%(trailers:key=Bead,valueonly,separator=%x20)"
    assert there.tip == user.git(root, "rev-parse", LINE)
    assert sorted(user.git(there.folder, "log", form, "main").split()) == sorted(names)
    checked = user.oya(root, "verify")
    assert checked.code == 0, checked
    for name in names:
        row = state(user, root, name)
        assert (row["phase"], row["status"], row["retry_count"]) == ("landed", "complete", 0)
    assert user.git(root, "for-each-ref", "refs/oya/candidates") == ""
    assert carrying(user) == []


Trouble = tuple[str, Callable[[], object], Callable[[], object]]
"""What status says of it, how it begins, and how it ends."""


@contextmanager
def refusing(user: User, root: Path, there: Bare) -> Iterator[Trouble]:
    refuse = "echo 'main is protected' >&2; exit 1"
    yield (
        "origin refuses: pre-receive hook declined: main is protected",
        lambda: there.hook("pre-receive", refuse),
        lambda: there.unhook("pre-receive"),
    )


@contextmanager
def away(user: User, root: Path, there: Bare) -> Iterator[Trouble]:
    yield "origin cannot be reached", there.vanish, there.come_back


@contextmanager
def off_the_network(user: User, root: Path, there: Bare) -> Iterator[Trouble]:
    """A server on the loopback that is killed, and started again."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    user.git(root, "remote", "set-url", "origin", f"git://127.0.0.1:{port}/{there.folder.name}")
    command = [
        *("git", "daemon", "--reuseaddr", "--listen=127.0.0.1", f"--port={port}"),
        *("--export-all", "--enable=receive-pack", f"--base-path={there.folder.parent}"),
    ]
    running: list[subprocess.Popen[bytes]] = []

    def serve() -> None:
        env = {name: value for name, value in user.env.items() if name != "HOME"}
        running.append(subprocess.Popen(command, env=env, start_new_session=True))
        until(lambda: _answers(port))

    def end() -> None:
        for server in running:
            os.killpg(server.pid, signal.SIGKILL)
            server.wait()
        running.clear()

    serve()
    try:
        yield "origin cannot be reached", end, serve
    finally:
        end()


def _answers(port: int) -> bool:
    with socket.socket() as there:
        return there.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize(
    "troubled", [refusing, away, off_the_network], ids=lambda made: made.__name__
)
def test_the_queue_stands_with_the_reason_and_goes_on_by_itself(
    user: User, stage: Stage, troubled: Any
) -> None:
    root, there = project(user, "w-1", "w-2")
    before = there.tip
    with troubled(user, root, there) as (words_of_it, begin, end):
        began(user, stage, root)
        begin()
        stage.go(2)
        found = until(lambda: (s := status(user, root))["landing"]["remote"] and s)
        assert words_of_it in found["landing"]["remote"]
        until(lambda: state(user, root)["phase"] == "landing")
        assert f"nothing lands for now: {words_of_it}" in user.oya(root, "swarm", "status").out
        assert (found["status"], found["landed_beads"], found["failures"]) == ("running", 0, {})
        assert user.git(root, "rev-parse", LINE) == before
        there_too = attached(user, root)
        end()
        said = ended(there_too, PATIENCE)
    assert said.code == 0, said
    assert "Landed 2/2 beads" in said.out
    user.git(there.folder, "merge-base", "--is-ancestor", before, "main")
    landed_once(user, root, there, "w-1", "w-2")


def test_while_a_hook_of_the_remote_takes_its_time_nothing_has_landed(
    user: User, stage: Stage
) -> None:
    root, there = project(user, "w-1")
    before = there.tip
    begun, go_on = user.folder / "begun", user.folder / "go-on"
    there.hook("pre-receive", f"touch '{begun}'; while ! test -e '{go_on}'; do sleep 0.1; done")
    assert user.oya(root, "swarm", "--detach").code == 0
    until(begun.exists)
    row = state(user, root)
    assert (row["phase"], row["status"]) == ("landing", "in_progress")
    assert user.git(root, "rev-parse", LINE) == before
    assert user.oya(root, "hold", "w-1").code == 2, "a landing under way is finished first"
    there_too = attached(user, root)
    go_on.touch()
    assert ended(there_too, PATIENCE).code == 0
    landed_once(user, root, there, "w-1")


def test_a_push_that_arrives_though_it_ends_in_an_error_has_landed(
    user: User, stage: Stage
) -> None:
    root, there = project(user, "w-1")
    there.hook("post-receive", f"touch '{user.folder}/hung-up'; kill -9 $PPID")
    said = user.oya(root, "swarm")
    assert said.code == 0, said
    assert (user.folder / "hung-up").exists()
    landed_once(user, root, there, "w-1")


def test_a_daemon_that_dies_between_the_push_and_its_record_lands_it_once(
    user: User, stage: Stage
) -> None:
    root, there = project(user, "w-1", "w-2")
    before = there.tip
    user.extra["OYA_CRASH_AT"] = "line.pushed"
    assert user.oya(root, "swarm").code == 1
    assert there.tip != before, "the remote has it"
    assert user.git(root, "rev-parse", LINE) == before, "and nobody here knows"
    del user.extra["OYA_CRASH_AT"]
    said = user.oya(root, "swarm")
    assert said.code == 0, said
    landed_once(user, root, there, "w-1", "w-2")


@pytest.mark.parametrize("arrives", [True, False], ids=["arrives", "is lost"])
def test_a_stop_leaves_what_was_pushed_open_and_the_next_swarm_finishes_it(
    user: User, stage: Stage, arrives: bool
) -> None:
    root, there = project(user, "w-1")
    gone = there.folder.with_name("gone.git")
    hook = "post-receive" if arrives else "pre-receive"
    there.hook(hook, f"mv '{there.folder}' '{gone}'; kill -9 $PPID")
    running = user.start(root, "swarm")
    until(lambda: gone.exists() and status(user, root)["landing"]["remote"])
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=PATIENCE)
    assert running.returncode == 5, (out, err)
    assert "Landing, and not known to have arrived: w-1; the next oya swarm finds out." in out
    assert state(user, root)["status"] == "in_progress"
    checked = user.oya(root, "verify")
    assert checked.code == 0, checked

    still = user.oya(root, "swarm", "--detach")
    assert still.code == 0, "it starts, and waits"
    there_too = attached(user, root)
    (gone / "hooks" / hook).unlink()
    there.come_back()
    said = ended(there_too, PATIENCE)
    assert said.code == 0, said
    landed_once(user, root, there, "w-1")
