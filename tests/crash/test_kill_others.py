"""Death and mischief below, beside and above the daemon."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

from crash_checker import Evidence, check
from crash_kit import Ground, pause, until

Make = Callable[..., Ground]
SLEEPER = "sleep 3217"
"""What the slow gate of the kit is."""


def test_a_killed_agent_guard_or_gate_costs_an_attempt_at_most(make_ground: Make) -> None:
    ground = make_ground(waits={"gamma": 60.0, "delta": 60.0}, crash=False)  # a third would melt
    (ground.home / "slow-gate").touch()
    ground.start()

    until(lambda: ground.pids(SLEEPER), "the slow gate")  # of the base, which is looked at again
    _kill_only(ground, _program(ground, SLEEPER))
    until(lambda: _agent(ground, "gamma"), "gamma's agent")
    _kill_only(ground, _program(ground, "scripted.py", "OYA_BEAD=gamma", "implementer"))
    until(lambda: _agent(ground, "delta"), "delta's agent")
    orphan = _program(ground, "scripted.py", "OYA_BEAD=delta", "implementer")
    _kill_only(ground, _guard(ground, "scripted.py", "OYA_BEAD=delta", "implementer"))
    until(lambda: orphan not in ground.pids(), "the agent to go with its guard", 5.0)

    ground.finish()
    found = check(ground)
    failed = {row["bead"]: row["class"] for row in _named(found, "attempt_failed")}
    assert failed["gamma"] == failed["delta"] == "agent_crash"
    assert _named(found, "gate_ran")[0]["data"]["ok"] is False


def test_a_daemon_stopped_for_longer_than_a_lease_loses_no_lease(make_ground: Make) -> None:
    ground = make_ground(more='lease = "1s"', waits={"gamma": 4.0})
    pid = ground.start()
    until(lambda: _agent(ground, "gamma"), "gamma's agent")

    os.kill(pid, signal.SIGSTOP)
    pause(2.5)
    os.kill(pid, signal.SIGCONT)

    ground.finish()
    assert _named(check(ground), "lease_expired") == []


def test_of_two_swarms_started_at_once_one_runs_and_the_other_attaches(make_ground: Make) -> None:
    ground = make_ground(waits={"gamma": 6.0})
    both = [ground.popen("swarm", "--format", "json") for _ in range(2)]
    said = [process.communicate(timeout=90.0) for process in both]

    assert [process.returncode for process in both] == [0, 0], said
    words = sorted(err.split(" ")[0] for _, err in said)
    assert words == ["Attached", "Starts"], said
    assert len(_named(check(ground), "swarm_starting")) == 1


def test_stop_now_and_sigterm_leave_nothing_running_and_lose_nothing(make_ground: Make) -> None:
    ground = make_ground(waits={"gamma": 60.0})
    attached = ground.popen("swarm")
    ground.new_daemon()
    until(lambda: _agent(ground, "gamma"), "gamma's agent")
    ground.note_stakes()
    ground.oya("swarm", "stop", "--now")
    out, err = attached.communicate(timeout=30.0)
    assert attached.returncode == 5, (out, err)
    assert ground.living() == []
    assert ground.json("swarm", "status")["status"] == "stopped"

    pid = ground.start()
    assert ground.wait_for("claimed")
    os.kill(pid, signal.SIGTERM)
    until(lambda: not ground.living(), "the end", 30.0, ground.living)
    assert ground.json("swarm", "status")["status"] == "stopped"

    assert ground.finish()["id"] == "swarm-1"
    assert "list.txt" in ground.at_stake["gamma/3"]
    assert _named(check(ground), "lease_expired") == []


def test_closing_the_terminal_hurts_nothing(ground: Ground) -> None:
    ours, theirs = pty.openpty()
    command = ground.popen(
        "swarm", stdin=theirs, stdout=theirs, stderr=theirs, preexec_fn=_own_terminal
    )
    os.close(theirs)
    pid = ground.new_daemon()
    assert ground.wait_for("claimed", 2)
    os.close(ours)  # the kernel sends SIGHUP to the session

    assert command.wait(timeout=20.0) != 0
    assert any(line.startswith(f"{pid} ") for line in ground.living()), "the daemon went with it"
    until(lambda: not ground.living(), "the end", told=ground.living)
    assert ground.json("swarm", "status")["status"] == "completed"
    check(ground)


def test_a_damaged_store_is_refused_and_kept_and_there_is_a_way_back(ground: Ground) -> None:
    ground.start()
    assert ground.wait_for("landed")
    ground.kill()
    log = max((ground.state / "data" / "clog").iterdir())
    os.truncate(log, log.stat().st_size - 1500)
    cut = log.read_bytes()

    refused = ground.oya("swarm", code=None)
    assert refused.returncode == 1, refused
    assert "was acknowledged" in refused.stderr, refused
    copy = ground.state / "copies" / "000001"
    assert str(copy) in refused.stderr
    assert (copy / "data" / "clog" / log.name).read_bytes() == cut, "the evidence has changed"
    for again in (("swarm",), ("swarm", "status"), ("beads",)):
        assert ground.oya(*again, code=1).stderr.count("was acknowledged") == 1
    assert [path.name for path in copy.parent.iterdir()] == ["000001"], "each try makes a copy"

    kept = ground.git("for-each-ref", "--format=%(objectname)", "refs/oya/attempts").split()
    assert kept
    hint = refused.stderr.partition("mv ")[2].splitlines()[0]
    subprocess.run(f"mv {hint}", shell=True, check=True, env=ground.env)
    final = ground.finish()
    assert final["status"] == "completed"
    main = ground.git("log", "--format=%(trailers:key=Bead,valueonly)", "main").split()
    assert sorted(main) == ["alpha", "beta", "delta", "gamma"]
    lost = [commit for commit in kept if not ground.git("for-each-ref", f"--contains={commit}")]
    assert lost == [], "work of before the damage is not held by any ref"


def _own_terminal() -> None:
    os.setsid()
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def _agent(ground: Ground, bead: str) -> list[int]:
    """The implementer at work on a bead, once it has written something."""
    found = ground.pids("scripted.py", f"OYA_BEAD={bead}", "OYA_ROLE=implementer")
    wrote = any("list.new" not in os.listdir(f) and _has_line(f, bead) for f in _folders(ground))
    return found if wrote or not found else []


def _folders(ground: Ground) -> list[Path]:
    return list((ground.cache / "work").glob("*"))


def _has_line(folder: Path, bead: str) -> bool:
    try:
        return f"{bead}\n" in (folder / "list.txt").read_text()
    except OSError:
        return False


def _program(ground: Ground, *words: str) -> int:
    """The process itself, and not the guard above it, whose command line has the same words."""
    return next(pid for pid in ground.pids(*words) if not _is_guard(pid))


def _guard(ground: Ground, *words: str) -> int:
    return next(pid for pid in ground.pids(*words) if _is_guard(pid))


def _is_guard(pid: int) -> bool:
    return b"guard.py" in Path(f"/proc/{pid}/cmdline").read_bytes()


def _kill_only(ground: Ground, pid: int) -> None:
    assert pid in ground.pids()
    os.kill(pid, signal.SIGKILL)


def _named(found: Evidence, event: str) -> list[dict[str, object]]:
    return [row for row in found.events if row["event"] == event]
