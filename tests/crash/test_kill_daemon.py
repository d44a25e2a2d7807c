"""SIGKILL of the daemon while it picks up what the last one left."""

from __future__ import annotations

import random
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

    final = ground.finish()
    assert ground.kills == 4
    assert (final["id"], final["landed_beads"]) == ("swarm-1", 4), final
    until(lambda: not ground.living(), "nothing left", 5.0, ground.living)
    found = check(ground)
    assert {row["swarm"] for row in found.events} == {"swarm-1"}
