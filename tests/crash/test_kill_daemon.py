"""SIGKILL of the daemon while it picks up what the last one left, or leaves something behind."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable

from crash_checker import check
from crash_kit import Ground, pause, until


def test_killed_while_it_recovers_it_goes_on(make_ground: Callable[..., Ground]) -> None:
    """Once with work on disk that nobody has committed, then again and again while that is
    being picked up."""
    chance = random.Random(7)
    ground = make_ground(waits={"gamma": 60.0})
    ground.start()
    assert ground.wait_for("attempt_failed", bead="alpha")
    ground.kill()
    assert "list.txt" in ground.at_stake["gamma/3"], "gamma's implementer was not at work"
    for _ in range(2):
        ground.popen("swarm", "--detach")
        ground.new_daemon()
        pause(chance.uniform(0.0, 0.5))
        ground.kill()
    ground.start()
    assert ground.wait_for("lease_expired"), "nothing was picked up"
    ground.kill()

    _ends_well(ground)
    assert ground.kills == 4


def test_what_outlives_the_daemon_is_ended_before_its_work_is_looked_at(ground: Ground) -> None:
    """A git that hangs just before it moves the line; then agents without guards."""
    (ground.home / "bin").mkdir()
    shim = ground.home / "bin" / "git"
    shim.write_text(SLOW_GIT)
    shim.chmod(0o755)
    daemon = ground.live()
    until(lambda: ground.pids("git-that-hangs"), "a git that is about to move the line")
    daemon.kill()
    daemon.wait()
    until(lambda: not ground.pids("guard.py"), "the guards to go")
    assert ground.pids("git-that-hangs"), "it did not outlive the daemon"
    shim.unlink()

    daemon = ground.live()
    until(lambda: ground.pids("scripted.py"), "an agent")
    assert not ground.pids("git-that-hangs")
    ground.kill_with_guards()
    daemon.wait()

    _ends_well(ground)


SLOW_GIT = f"""\
#!/bin/sh
case "$1 $2 $3 $5" in
"update-ref --no-deref refs/oya/line/main "?*) THIS=git-that-hangs sleep 600 ;;
esac
exec {shutil.which("git")} "$@"
"""


def _ends_well(ground: Ground) -> None:
    """The same swarm goes on to its target, and every promise holds."""
    final = ground.finish()
    assert (final["id"], final["landed_beads"]) == ("swarm-1", 4), final
    until(lambda: not ground.living(), "nothing left", 5.0, ground.living)
    found = check(ground)
    assert {row["swarm"] for row in found.events} == {"swarm-1"}
