"""Death and mischief below, beside and above the daemon."""

from __future__ import annotations

import os
import pty
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from crash_checker import Evidence, check
from crash_kit import CHILD, Ground, pause, until

Make = Callable[..., Ground]
SLEEPER = "sleep 3217"
"""What the slow gate of the kit is."""


def test_killed_agents_guards_and_gates_cost_an_attempt_at_most(make_ground: Make) -> None:
    """A daemon that is stopped for longer than a lease loses none; a closed terminal is nothing."""
    waits = {"gamma": 60.0, "delta": 60.0}
    ground = make_ground(
        more='lease = "1s"',
        waits=waits,
        crash=False,  # a third would melt
        child="alpha",
    )
    (ground.home / "slow-gate").touch()
    ours, theirs = pty.openpty()
    command = ground.popen(
        "swarm", stdin=theirs, stdout=theirs, stderr=theirs, preexec_fn=_own_terminal
    )
    os.close(theirs)
    pid = ground.new_daemon()

    until(lambda: ground.pids(SLEEPER), "the slow gate")  # of the base, which is looked at again
    os.kill(_program(ground, SLEEPER), signal.SIGKILL)
    assert ground.wait_for("claimed", 2)
    os.close(ours)  # the kernel sends SIGHUP to the terminal's session
    assert command.wait(timeout=20.0) != 0
    until(lambda: _at_work(ground, "gamma"), "gamma's agent")
    until(lambda: _at_work(ground, "delta"), "delta's agent")
    os.kill(pid, signal.SIGSTOP)
    pause(2.5)
    os.kill(pid, signal.SIGCONT)
    os.kill(_program(ground, *_agent("gamma")), signal.SIGKILL)
    orphan = _program(ground, *_agent("delta"))
    os.kill(_guard(ground, *_agent("delta")), signal.SIGKILL)
    until(lambda: orphan not in ground.pids(), "the agent to go with its guard", 5.0)
    until(lambda: ground.pids(CHILD), "the program that alpha's agent has started")
    for child in ground.pids(CHILD):
        os.kill(child, signal.SIGKILL)

    ground.finish()
    found = check(ground)
    failed = {row["bead"]: row["class"] for row in _named(found, "attempt_failed")}
    assert failed == {"gamma": "agent_crash", "delta": "agent_crash"}
    assert _named(found, "gate_ran")[0]["data"]["ok"] is False
    assert _named(found, "contested")
    assert _named(found, "landing_conflicted")
    assert _named(found, "lease_expired") == []


def test_two_started_at_once_are_one_and_a_stop_ends_it_whole(make_ground: Make) -> None:
    """By `stop --now` in the middle, and by SIGTERM; then it goes on."""
    ground = make_ground(waits={"gamma": 90.0})
    both = [ground.popen("swarm", "--format", "json") for _ in range(2)]
    ground.new_daemon()
    until(lambda: _at_work(ground, "gamma"), "gamma's agent")
    until(lambda: len(ground.pids("oya.daemon")) == 1, "the second daemon to give up", 20.0)
    ground.note_stakes()
    ground.oya("swarm", "stop", "--now")
    said = [process.communicate(timeout=30.0) for process in both]
    assert [process.returncode for process in both] == [5, 5], said
    assert sorted(err.split(" ")[0] for _, err in said) == ["Attached", "Starts"], said
    assert ground.living() == []
    assert ground.json("swarm", "status")["status"] == "stopped"

    pid = ground.start()
    assert ground.wait_for("claimed")
    os.kill(pid, signal.SIGTERM)
    until(lambda: not ground.living(), "the end", 30.0, ground.living)
    assert ground.json("swarm", "status")["status"] == "stopped"

    ground.finish()
    assert "list.txt" in ground.at_stake["gamma/3"]
    found = check(ground)
    assert _named(found, "lease_expired") == []
    assert {row["swarm"] for row in found.events} == {"swarm-1"}


def _own_terminal() -> None:
    os.setsid()
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _agent(bead: str) -> tuple[str, ...]:
    """What marks the implementer of a bead."""
    return ("scripted.py", f"OYA_BEAD={bead}", "OYA_ROLE=implementer")


def _at_work(ground: Ground, bead: str) -> bool:
    """Whether it runs, and has written its line."""
    lists = (ground.cache / "work").glob(f"{bead}.*/list.txt")
    wrote = any(f"{bead}\n" in path.read_text() for path in lists)
    return wrote and bool(ground.pids(*_agent(bead)))


def _program(ground: Ground, *words: str) -> int:
    """The process itself, and not the guard above it, whose command line has the same words."""
    return next(pid for pid in ground.pids(*words) if not _is_guard(pid))


def _guard(ground: Ground, *words: str) -> int:
    return next(pid for pid in ground.pids(*words) if _is_guard(pid))


def _is_guard(pid: int) -> bool:
    return b"guard.py" in Path(f"/proc/{pid}/cmdline").read_bytes()


def _named(found: Evidence, event: str) -> list[dict[str, Any]]:
    return [row for row in found.events if row["event"] == event]
