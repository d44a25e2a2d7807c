"""What a person says to a swarm, while it runs or while none does, and what comes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kit.terminal import CTRL_C, Terminal
from kit.user import Said, User, attached, carrying, ended
from kit.words import Stage, words

STATUS: dict[str, Any] = {
    "id": str,
    "status": str,
    "target_beads": int,
    "landed_beads": int,
    "active_agents": dict,
    "started_at": str,
    "estimated_completion": (str, type(None)),
    "beads": dict,
    "phases": dict,
    "agents": list,
    "backends": list,
    "landing": dict,
    "failures": dict,
    "reason": (str, type(None)),
}
AGENT = ["id", "role", "state", "bead", "backend", "epoch", "since", "last_activity", "restarts"]
BACKEND = ["name", "state", "until", "reason", "tokens", "cost_usd"]


def status(user: User, root: Path) -> dict[str, Any]:
    found: dict[str, Any] = user.oya(root, "swarm", "status", "--format", "json").json
    return found


def states(user: User, root: Path) -> dict[str, str]:
    """Phase and status of each bead, as `oya beads` prints them; holds by their reason."""
    rows = user.oya(root, "beads", "--format", "json").json["beads"]
    return {row["id"]: f"{row['phase']} {row['hold'] or row['status']}" for row in rows}


def landed(user: User, root: Path) -> list[str]:
    """Beads on main, oldest first."""
    trailers = "--format=%(trailers:key=Bead,valueonly,separator=%x20)"
    return user.git(root, "log", "--reverse", trailers, "main").split()


@contextmanager
def detached(user: User, stage: Stage, root: Path, *waits: str) -> Iterator[None]:
    """A swarm in the background, in which the turns `waits` stand still."""
    for turn in waits:
        stage.wait_in(*turn.split())
    assert user.oya(root, "swarm", "--detach").code == 0
    yield
    assert user.oya(root, "swarm", "stop", "--now").code in (0, 2)


def refused(said: Said, *told: str) -> None:
    assert said.code == 2, said
    assert all(part in said.err for part in told), said
    assert said.err.startswith("oya: "), said


def test_reviewed_beads_wait_for_a_person(user: User, stage: Stage) -> None:
    root = words(user, "w-1", "w-2", more="[continuous-deployment]\nenabled = false\n")
    main = user.git(root, "rev-parse", "main")
    first = user.oya(root, "swarm")
    assert first.code == 3, first
    assert "2 beads are waiting for you" in first.out
    assert "oya approve w-1" in first.out
    assert user.git(root, "rev-parse", "main") == main

    assert "w-1 is pending in landing" in user.oya(root, "approve", "w-1", "--note", "go").out
    refused(user.oya(root, "reject", "w-2"), "A rejection needs words", "--note")
    assert user.oya(root, "reject", "w-2", "--note", "shout it louder").code == 0
    assert states(user, root) == {"w-1": "landing pending", "w-2": "implementation pending"}

    second = user.oya(root, "swarm")
    assert second.code == 3, second
    assert "Goes on with swarm-1" in second.err
    assert landed(user, root) == ["w-1"]
    assert states(user, root)["w-2"] == "landing approval"
    assert "shout it louder" in stage.prompt("implementer", "w-2", 2)

    story = user.oya(root, "why", "w-2").out
    assert "shout it louder" in story
    assert "oya approve w-2" in story
    assert user.git(root, "status", "--porcelain") == ""


def test_a_bead_is_held_and_released_while_nothing_runs_and_while_a_swarm_does(
    user: User, stage: Stage
) -> None:
    root = words(user, "w-1", "w-2")
    with detached(user, stage, root, "test_writer w-1", "test_writer w-2"):
        assert {stage.arrived(), stage.arrived()} == {"test_writer w-1", "test_writer w-2"}
        held = user.oya(root, "hold", "w-1", "--note", "ask Bob", "--format", "json")
        assert (held.json["status"], held.json["hold"]) == ("held", "person"), held
        refused(user.oya(root, "approve", "w-1"), "w-1 is contract/held", "oya release w-1")
        refused(user.oya(root, "release", "w-2"), "w-2")
        refused(user.oya(root, "hold", "w-3"), "There is no bead w-3", "Did you mean w-2?")
        found = status(user, root)
        assert {agent["bead"] for agent in found["agents"]} >= {"w-2"}
        assert found["beads"] == {
            "pending": 0,
            "in_progress": 1,
            "landed": 0,
            "failed": 0,
            "held": 1,
        }
        there_too = attached(user, root)
        user.oya(root, "swarm", "stop", "--now")
    assert ended(there_too).code == 5
    assert user.oya(root, "release", "w-1").code == 0
    assert user.oya(root, "hold", "w-2").code == 0
    stage.go()
    said = user.oya(root, "swarm")
    assert said.code == 0, said
    assert "Target 2 capped at 1" in said.out
    assert "oya release w-2" in said.out
    assert landed(user, root) == ["w-1"]
    assert carrying(user) == []


def test_a_running_swarm_is_told_from_elsewhere(user: User, stage: Stage) -> None:
    root = words(user, "w-1", "w-2", "w-3")
    stage.wait_in("implementer", "w-1")
    stage.wait_in("implementer", "w-2")
    starter = user.start(root, "swarm")
    assert {stage.arrived(), stage.arrived()} == {"implementer w-1", "implementer w-2"}

    found = status(user, root)
    assert list(found) == list(STATUS)
    assert all(isinstance(found[name], kind) for name, kind in STATUS.items())
    assert (found["id"], found["status"], found["target_beads"]) == ("swarm-1", "running", 3)
    assert found["active_agents"] == {
        "test_writers": 2,
        "implementers": 2,
        "reviewers": 2,
        "planner": 0,
    }
    assert all(list(agent) == AGENT for agent in found["agents"])
    (busy,) = [agent for agent in found["agents"] if agent["bead"] == "w-1"]
    assert (busy["role"], busy["state"], busy["backend"]) == ("implementer", "working", "shell")
    assert [list(backend) for backend in found["backends"]] == [BACKEND]
    assert found["backends"][0]["tokens"] is None, "unknown, not 0"
    landing = ["queued", "gate_runs", "landed_commits", "red_base", "behind", "remote", "left_out"]
    assert list(found["landing"]) == landing

    follower = user.start(root, "swarm", "--format", "json")
    refused(user.oya(root, "swarm", "--target", "5"), "swarm-1 is running here", "oya swarm set")
    assert user.oya(root, "swarm", "pause").code == 0
    found = status(user, root)
    assert (found["status"], found["reason"]) == ("paused", "paused by a person")
    assert user.oya(root, "swarm", "continue").code == 0
    changed = user.oya(root, "swarm", "set", "target=2", "implementers=1")
    assert changed.out == "Set target to 2.\nSet implementers to 1.\n", changed
    found = status(user, root)
    assert (found["status"], found["target_beads"]) == ("running", 2)
    refused(user.oya(root, "swarm", "set", "target=0"), "target=0")
    refused(user.oya(root, "swarm", "set", "colour=2"), "colour", "target")
    listed = user.oya(root, "swarm", "list").out
    assert str(root) in listed
    assert "running" in listed

    stage.go(turns=2)
    ends = [ended(starter), ended(follower)]
    assert [said.code for said in ends] == [0, 0], ends
    assert "Landed 2/2 beads" in ends[0].out
    assert "Attached to swarm-1, which is running" in ends[1].err
    final = ends[1].json
    assert list(final) == [*STATUS, "seconds", "exit"]
    assert (final["status"], final["exit"], final["landed_beads"]) == ("completed", 0, 2)
    assert all("seq" in json.loads(line) for line in ends[1].out.splitlines()[:-1])
    assert len(landed(user, root)) == 2
    assert carrying(user) == []


def test_a_swarm_is_stopped_and_goes_on(user: User, stage: Stage) -> None:
    root = words(user, "w-1", "w-2")
    stage.wait_in("implementer", "w-1")
    starter = user.start(root, "swarm")
    assert stage.arrived() == "implementer w-1"
    stopped = user.oya(root, "swarm", "stop", "--now")
    assert (stopped.code, "now" in stopped.out) == (0, True)
    said = ended(starter)
    assert said.code == 5, said
    assert "Stopped: landed" in said.out
    assert "Nothing is left running." in said.out
    assert "Go on: oya swarm" in said.out
    assert carrying(user) == []
    kept = user.git(root, "for-each-ref", "--format=%(refname)", "refs/oya/attempts/w-1")
    assert kept, "the work of the cancelled turn"
    assert user.git(root, "status", "--porcelain") == ""

    # Gracefully: the running turn is waited for, and its work is accepted.
    stage.wait_in("implementer", "w-1")
    starter = user.start(root, "swarm", "--resume", "last")
    assert stage.arrived() == "implementer w-1"
    assert user.oya(root, "swarm", "stop").code == 0
    assert status(user, root)["status"] == "stopping"
    stage.go()
    said = ended(starter)
    assert said.code == 5, said
    assert states(user, root)["w-1"] == "review pending"

    said = user.oya(root, "swarm", "--resume", "swarm-1")
    assert (said.code, "Goes on with swarm-1 (stopped)" in said.err) == (0, True), said
    assert sorted(landed(user, root)) == ["w-1", "w-2"]
    again = user.oya(root, "swarm", "--new")
    assert (again.code, "Starts swarm-2" in again.err) == (0, True), again
    assert "capped at 0" in again.out


def test_a_failed_bead_is_exit_3_and_is_tried_again_with_words(user: User, stage: Stage) -> None:
    root = words(user, "w-1", "w-2")
    green = stage.tell("green-w-1")  # a contract that proves nothing
    said = user.oya(root, "swarm", "--format", "json")
    assert (said.code, said.json["status"], said.json["exit"]) == (3, "completed", 3)
    assert (said.json["landed_beads"], said.json["beads"]["failed"]) == (1, 1)
    assert said.json["failures"] == {"gate_red": 1}
    assert "nothing is red" in user.oya(root, "why", "w-1").out

    refused(user.oya(root, "retry", "w-2"), "w-2 is landed", "oya why w-2")
    assert user.oya(root, "beads", "--held").out == "None of 2 beads.\n"
    green.unlink()
    assert user.oya(root, "retry", "w-1", "--note", "grep for it").code == 0
    assert user.oya(root, "swarm").code == 0
    assert "grep for it" in stage.prompt("test_writer", "w-1", 2)
    assert landed(user, root) == ["w-2", "w-1"]


def test_a_meltdown_is_exit_4_with_its_causes(user: User, stage: Stage) -> None:
    root = words(user, *(f"w-{number}" for number in range(6)))
    stage.tell("die-test_writer")
    said = user.oya(root, "swarm")
    assert said.code == 4, said
    assert "agent_crash" in said.err
    assert "test_writer" in said.err
    assert landed(user, root) == []
    assert carrying(user) == []


def test_the_second_ctrl_c_stops_now(user: User, stage: Stage) -> None:
    root = words(user, "w-1")
    stage.wait_in("test_writer", "w-1")
    terminal = Terminal(user, root, "swarm")
    assert stage.arrived() == "test_writer w-1"
    terminal.until("test-writer-")
    terminal.type(CTRL_C)
    terminal.until("Stopping: waits for 1 running turn")
    terminal.type(CTRL_C)
    terminal.until("Stopping now")
    assert terminal.end() == 5, terminal.shown
    assert carrying(user) == []
    assert user.git(root, "status", "--porcelain") == ""
