"""`oya verify`, typed: what it prints, and its exit code."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from cli_kit import Oya

from oya.clock import SystemClock
from oya.lifecycle.events import Added, Claimed, LeaseExpired
from oya.lifecycle.model import Limits
from oya.lifecycle.swarm import SwarmState, SwarmStatus, move
from oya.repository.places import find_place
from oya.store import Store
from oya.verify import PROMISES
from repository_kit import git

BACKLOG = '{"id": "a-1", "title": "One", "status": "open", "issue_type": "task", "priority": 1}\n'
LIMITS = Limits()


@pytest.fixture
def files() -> dict[str, str]:
    return {".beads/issues.jsonl": BACKLOG}


def a_stopped_swarm(folder: Path) -> None:
    async def made() -> None:
        place = find_place(folder)
        place.make_folders()
        store = await Store.open(place.state, clock=SystemClock())
        swarm, base = SwarmState("swarm-1", branch="main"), git(folder, "rev-parse", "main")
        await store.swarms.put(swarm, event="swarm_starting")
        await store.swarms.put(move(swarm, SwarmStatus.RUNNING), event="swarm_running")
        events = (Added("One"), Claimed("agent-1", "x", base), LeaseExpired(1, "gone"))
        for event in events:
            await store.beads.apply("a-1", event, swarm="swarm-1", limits=LIMITS)
        for to in (SwarmStatus.STOPPING, SwarmStatus.STOPPED):
            await store.swarms.update("swarm-1", lambda s, to=to: move(s, to), event=f"swarm_{to}")
        await store.close()

    asyncio.run(made())


def test_a_line_a_promise_and_a_last_word(folder: Path, oya: Oya) -> None:
    a_stopped_swarm(folder)
    code, out, err = oya("verify")
    first, *lines, last = out.splitlines()
    assert (code, err) == (0, "")
    assert first == "Looked at 7 events, 1 bead, 0 commits."
    assert last == "Every promise is kept."
    assert [line[:10] for line in lines] == ["  kept    "] * len(PROMISES)


def test_a_breach_is_told_and_the_exit_code_is_1(folder: Path, oya: Oya) -> None:
    a_stopped_swarm(folder)
    git(folder, "update-ref", "refs/oya/base/a-1/1", "main")
    code, out, _ = oya("verify")
    assert code == 1
    assert "left: refs/oya/base/a-1/1" in out
    assert out.splitlines()[-1] == "1 promise broken."


def test_json_has_every_promise_with_its_breaches(folder: Path, oya: Oya) -> None:
    a_stopped_swarm(folder)
    git(folder, "update-ref", "refs/oya/base/a-1/1", "main")
    code, out, _ = oya("verify", "--format", "json")
    answer = json.loads(out)
    assert (code, answer["ok"], answer["running"], answer["rerun"]) == (1, False, False, [])
    assert [row["name"] for row in answer["promises"]] == [one.__name__ for one in PROMISES]
    assert answer["promises"][-1]["breaches"] == [
        {"what": "left: refs/oya/base/a-1/1", "bead": None, "seq": None}
    ]


def test_where_nothing_has_run_it_says_so(folder: Path, oya: Oya) -> None:
    code, out, err = oya("verify")
    assert (code, out) == (2, "")
    assert "no swarm has run" in err
