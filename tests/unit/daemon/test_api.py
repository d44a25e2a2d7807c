"""The API over its real socket: a real store and server, a swarm that does as it is told."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from oya.cli import lines, state
from oya.cli.verify import _running
from oya.clock import SystemClock
from oya.daemon.api import MAX_FOLLOWERS, Followers, create_app
from oya.daemon.client import Client, NoDaemon
from oya.daemon.live_desk import LiveDesk
from oya.daemon.server import reachable
from oya.errors import BaseRed, OyaError, RefusedError, UsageError
from oya.lifecycle import events as e
from oya.lifecycle.events import Added, Event
from oya.lifecycle.model import BeadState, Check, Limits
from oya.lifecycle.swarm import SwarmState, SwarmStatus, move
from oya.repository.places import SOCKET, Place, find_place
from oya.store import Store
from oya.swarm.report import AgentLine, LandingLine, Live
from oya.testing.engine import Disk, SimulatedEngine
from repository_kit import isolate, make_repository

LIMITS = Limits()


@dataclass
class ToldSwarm:
    """A swarm without agents: runs until it is stopped, and changes beads in the store."""

    store: Store
    calls: list[Any] = field(default_factory=list)
    error: BaseException | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> SwarmState:
        if self.error:
            raise self.error
        try:
            await self.ended.wait()
        except asyncio.CancelledError:
            self.calls.append("begun")
            raise
        return await self.move(SwarmStatus.STOPPING, SwarmStatus.STOPPED)

    async def move(self, *to: SwarmStatus) -> SwarmState:
        for status in to:
            state = await self.store.swarms.update(
                "swarm-1", lambda s, status=status: move(s, status), event=f"swarm_{status}"
            )
        return state

    async def stop(self, *, now: bool) -> None:
        self.calls.append(("stop", now))
        self.ended.set()

    async def pause(self) -> None:
        self.calls.append("pause")

    async def resume(self) -> None:
        self.calls.append("resume")

    async def set(self, changes: Mapping[str, str]) -> None:
        if "target" not in changes:
            raise UsageError("color cannot be set", hint="Known: target")
        self.calls.append(dict(changes))

    async def person(self, bead: str, event: Event) -> BeadState:
        applied = await self.store.beads.apply(bead, event, swarm="swarm-1", limits=LIMITS)
        return applied.state

    async def sync(self) -> dict[str, Any]:
        return {"branch": "main", "behind": 0, "why": ""}

    async def live(self) -> Live:
        agent = AgentLine("planner-1", "planner", "idle", None, "x", None, "s", None, 0)
        return Live((agent,), (), LandingLine(3, 0, None, {"main": 0}))


@dataclass
class World:
    store: Store
    swarm: ToldSwarm
    desk: LiveDesk
    followers: Followers
    client: Client
    task: asyncio.Task[Any]

    async def ask(self, call: Callable[[Client], Any]) -> Any:
        """The client blocks, so it gets a thread."""
        return await asyncio.wait_for(asyncio.to_thread(call, self.client), 20)


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Place:
    isolate(monkeypatch, tmp_path / "home")
    found = find_place(make_repository(tmp_path / "repo"))
    found = replace(found, socket=tmp_path / "s")
    found.make_folders()
    return found


@asynccontextmanager
async def world(place: Place, error: BaseException | None = None) -> AsyncIterator[World]:
    clock = SystemClock()
    disk = Disk()
    store = await Store.open(place.state, clock=clock, engine=lambda _: SimulatedEngine(disk))
    for bead in ("a", "b/ö ?"):
        await store.beads.apply(bead, Added(f"title of {bead}"), swarm=None, limits=LIMITS)
    await store.swarms.put(SwarmState("swarm-1", branch="main"), event="swarm_starting")
    # A newer one that is not the one that runs: an older swarm was resumed.
    newer = SwarmState("swarm-2", SwarmStatus.STOPPED, branch="main")
    await store.swarms.put(newer, event="swarm_stopped")
    swarm = ToldSwarm(store, error=error)
    desk = LiveDesk(store, place, LIMITS, swarm, "swarm-1", clock)
    followers = Followers()
    async with reachable(create_app(desk, followers), place):
        if error is None:
            await swarm.move(SwarmStatus.RUNNING)
        task = asyncio.create_task(desk.run())
        await asyncio.sleep(0)
        try:
            yield World(store, swarm, desk, followers, Client(place.socket), task)
        finally:
            swarm.ended.set()
            await asyncio.wait((task,), timeout=10)
    await store.close()


async def test_while_it_runs_the_state_goes_neither_out_nor_in(place: Place) -> None:
    async with world(place) as w:
        for ask in (lambda: state.write(place, "-"), lambda: state.read(place, "-")):
            with pytest.raises(UsageError, match="A swarm runs here") as refusal:
                await asyncio.to_thread(ask)
            assert refusal.value.hint.startswith("oya swarm stop")
        assert w.store.events.last > 0


async def test_the_status_joins_store_and_live_swarm(place: Place) -> None:
    async with world(place) as w:
        found = await w.ask(lambda c: c.get("status"))
        assert (found["id"], found["status"]) == ("swarm-1", "running")
        assert found["beads"]["pending"] == 2
        assert found["agents"][0]["id"] == "planner-1"
        assert found["landing"]["gate_runs"] == 3
        assert "exit" not in found


async def test_the_socket_is_for_this_user_alone(place: Place) -> None:
    async with world(place):
        assert place.socket.stat().st_mode & 0o077 == 0
    assert not place.socket.exists()


async def test_a_socket_that_is_taken_away_is_made_anew_and_found_from_anywhere(
    place: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A user's runtime folder goes when they log out, and a healthy swarm was called silent."""
    monkeypatch.setattr("oya.daemon.server.LOOK", 0.01)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    async with world(place) as w:
        place.socket.unlink()
        async with asyncio.timeout(20):
            while find_place(place.root).socket == place.socket or not _said_by(place):
                await asyncio.sleep(0.01)
        monkeypatch.setenv("XDG_RUNTIME_DIR", "")
        w.client = Client(find_place(place.root).socket)
        assert (await w.ask(lambda c: c.get("status")))["id"] == "swarm-1"
    assert not (place.state / SOCKET).exists()
    assert find_place(place.root).socket.parent == Path(f"/tmp/oya-{os.getuid()}")


def _said_by(place: Place) -> bool:
    path = Path((place.state / SOCKET).read_text())
    return path != place.socket and path.is_socket()


async def test_who_is_told_to_stop_before_the_swarm_has_begun_stops_it_then(place: Place) -> None:
    """A Ctrl+C at the start left a swarm that was starting for ever."""
    store = await Store.open(
        place.state, clock=SystemClock(), engine=lambda _: SimulatedEngine(Disk())
    )
    await store.swarms.put(SwarmState("swarm-1", branch="main"), event="swarm_starting")
    swarm = ToldSwarm(store)
    desk = LiveDesk(store, place, LIMITS, swarm, "swarm-1", SystemClock())
    assert await desk.stop(False) == {"stopping": True}
    final = await asyncio.wait_for(desk.run(), 20)
    assert (final["exit"], swarm.calls) == (5, ["begun"])
    await store.close()


async def test_what_is_no_text_is_told_all_the_same(place: Place) -> None:
    """The stream of events broke off at a file's name in Latin-1."""
    async with world(place) as w:
        await w.store.events.append("noticed", bead="a", reason="caf\udce9.txt")
        assert (await w.ask(lambda c: c.get("beads", "a", "why")))["id"] == "a"
        w.swarm.ended.set()
        rows = await w.ask(lambda c: list(c.follow(0)))
        assert "caf?.txt" in [row.get("reason") for row in rows]


async def test_beads_by_any_id_and_their_story(place: Place) -> None:
    async with world(place) as w:
        rows = (await w.ask(lambda c: c.get("beads")))["beads"]
        assert [row["id"] for row in rows] == ["a", "b/ö ?"]
        assert rows[0]["title"] == "title of a"
        found = await w.ask(lambda c: c.get("beads", "a"))
        assert (found["id"], found["phase"], found["next"]) == ("a", "contract", "")
        assert (await w.ask(lambda c: c.get("beads", "b/ö ?")))["id"] == "b/ö ?"
        assert (await w.ask(lambda c: c.get("beads", "b/ö ?", "why")))["id"] == "b/ö ?"
        told = await w.ask(lambda c: c.get("beads", "a", "why"))
        assert [event["event"] for event in told["events"]] == ["added"]
        assert told["story"][0].endswith("It came from the tracker: title of a.")
        assert not any("waits" in line for line in lines.why(told))


async def test_a_story_ends_with_what_the_whole_swarm_waits_for(place: Place) -> None:
    async with world(place) as w:
        await w.store.swarms.update(
            "swarm-2", lambda s: replace(s, status=SwarmStatus.PAUSED, reason="base_red"), event="x"
        )
        told = await w.ask(lambda c: c.get("beads", "a", "why"))
        assert [*lines.why(told)][-1] == "It waits: swarm-2 is paused: base_red."


async def test_a_bead_that_waits_says_how_a_wrong_permanent_check_goes(place: Place) -> None:
    check = Check("oya-run --strict\n| grep 3", 1, "AC1")
    life = (
        e.Claimed("w", "x", "b"),
        e.ContractAccepted(1, "c", "b", "behaviour"),
        e.Claimed("i", "x", "b"),
        e.ImplementationAccepted(2, "d", "b"),
        e.Claimed("r", "x", "b"),
        e.Contested(3, ("AC1: no",), (check,)),
        e.Claimed("i", "x", "b"),
    )
    async with world(place) as w:
        for event in (*life, e.CannotDo(4, "needs_person", "AC1 says otherwise", "who is right?")):
            assert not await _told_of_checks(w)
            await w.store.beads.apply("a", event, swarm=None, limits=replace(LIMITS, planner=False))
        assert (await w.ask(lambda c: c.get("beads", "a", "why")))["checks"] == [
            {"command": check.command, "expect": 1, "clause": "AC1"}
        ]
        assert await _told_of_checks(w) == [
            "Checks that its reviews have left stay until its text changes:",
            "  oya-run --strict | grep 3 (exit 1)",
            "If one is wrong, edit its title, description or acceptance criteria in the tracker: "
            "all of them go, and it begins anew.",
        ]
        await w.ask(lambda c: c.post("beads", "a", "retry", note="try"))
        assert not await _told_of_checks(w)


async def _told_of_checks(w: World) -> list[str]:
    told = [*lines.why(await w.ask(lambda c: c.get("beads", "a", "why")))]
    start = next((n for n, line in enumerate(told) if line.startswith("Checks")), len(told))
    return told[start:]


async def test_verify_looks_at_a_running_swarm_through_the_daemon(place: Place) -> None:
    """Its history is whole, a breach of it is told, and its slots are left alone."""
    async with world(place) as w:
        found = await w.ask(lambda c: _running(place, c, rerun=False))
        broken = [row["name"] for row in found["promises"] if row["breaches"]]
        assert (found["running"], found["events"], found["beads"]) == (True, 5, 2)
        # swarm-2 was put there as stopped, without a life.
        assert (broken, found["ok"]) == (["swarms_live_as_they_should"], False)
        with pytest.raises(UsageError, match="its gates need the slots"):
            await w.ask(lambda c: _running(place, c, rerun=True))


async def test_errors_travel_whole(place: Place) -> None:
    async with world(place) as w:
        with pytest.raises(UsageError, match="There is no bead aa here") as caught:
            await w.ask(lambda c: c.get("beads", "aa"))
        assert caught.value.hint == "Did you mean a?"
        assert caught.value.safe == "Nothing was changed."
        with pytest.raises(UsageError, match="approved does not apply"):
            await w.ask(lambda c: c.post("beads", "a", "approve"))
        with pytest.raises(UsageError, match="color cannot be set"):
            await w.ask(lambda c: c.post("set", color="red"))
        with pytest.raises(UsageError, match="limit"):
            await w.ask(lambda c: c.get("events", limit=10**9))
        with pytest.raises(UsageError, match="/v1/nothing: Not Found"):
            await w.ask(lambda c: c.get("nothing"))
        with pytest.raises(UsageError, match="dance is not known"):
            await w.ask(lambda c: c.post("beads", "a", "dance"))


async def test_a_person_holds_and_releases(place: Place) -> None:
    async with world(place) as w:
        held = await w.ask(lambda c: c.post("beads", "a", "hold", note="mine"))
        assert (held["status"], held["hold"], held["reason"]) == ("held", "person", "mine")
        free = await w.ask(lambda c: c.post("beads", "a", "release"))
        assert free["status"] == "pending"
        with pytest.raises(UsageError, match="needs words"):
            await w.ask(lambda c: c.post("beads", "a", "reject"))


async def test_pause_continue_set_and_sync_reach_the_swarm(place: Place) -> None:
    async with world(place) as w:
        await w.ask(lambda c: c.post("pause"))
        await w.ask(lambda c: c.post("continue"))
        assert await w.ask(lambda c: c.post("set", target="9")) == {"set": {"target": "9"}}
        assert (await w.ask(lambda c: c.post("sync")))["branch"] == "main"
        assert w.swarm.calls == ["pause", "resume", {"target": "9"}]


async def test_followers_get_old_and_new_events_and_then_the_final_status(place: Place) -> None:
    async with world(place) as w:
        rows: list[dict[str, Any]] = []
        follower = asyncio.create_task(w.ask(lambda c: rows.extend(c.follow(0))))
        while not w.followers.count:
            await asyncio.sleep(0)
        await w.ask(lambda c: c.post("beads", "a", "hold"))
        await w.ask(lambda c: c.post("stop", now=True))
        await follower
        *events, final = rows
        assert [row["seq"] for row in events] == list(range(1, len(events) + 1))
        names = [row["event"] for row in events]
        assert names[-3:] == ["held_by_person", "swarm_stopping", "swarm_stopped"]
        assert (final["status"], final["exit"]) == ("stopped", 5)
        assert isinstance(final["seconds"], float)
        assert w.swarm.calls == [("stop", True)]
        assert w.followers.count == 0


async def test_what_happens_while_a_page_is_read_comes_before_the_final_status(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world(place) as w:
        read = w.desk.events

        async def slow(*args: Any) -> dict[str, Any]:
            page = await read(*args)
            if not w.task.done():  # the swarm ends after this page was read, and before it is sent
                await w.desk.stop(True)
                await w.task
            return page

        monkeypatch.setattr(w.desk, "events", slow)
        rows = await w.ask(lambda c: list(c.follow(0)))
        assert [row.get("event") for row in rows[-2:]] == ["swarm_stopped", None]


async def test_a_follower_of_one_bead_sees_only_that(place: Place) -> None:
    async with world(place) as w:
        rows: list[dict[str, Any]] = []
        follower = asyncio.create_task(w.ask(lambda c: rows.extend(c.follow(0, "a"))))
        while not w.followers.count:
            await asyncio.sleep(0)
        await w.ask(lambda c: c.post("beads", "b/ö ?", "hold"))
        await w.ask(lambda c: c.post("beads", "a", "hold"))
        await w.ask(lambda c: c.post("stop"))
        await follower
        assert [row.get("event") for row in rows] == ["added", "held_by_person", None]


async def test_events_come_as_server_sent_events_too(place: Place) -> None:
    async with world(place) as w:
        w.swarm.ended.set()
        await w.task
        reader, writer = await asyncio.open_unix_connection(str(place.socket))
        writer.write(
            b"GET /v1/events?follow=true HTTP/1.1\r\nHost: oya\r\n"
            b"Accept: text/event-stream\r\nConnection: close\r\n\r\n"
        )
        text = (await asyncio.wait_for(reader.read(), 10)).decode()
        writer.close()
        assert "content-type: text/event-stream" in text.lower()
        assert "id: 1\nevent: event\ndata: {" in text
        assert "event: final\ndata: {" in text


async def test_followers_are_bounded(place: Place) -> None:
    async with world(place) as w:
        for _ in range(MAX_FOLLOWERS):
            w.followers.enter()
        with pytest.raises(OyaError, match="follow the events already"):
            await w.ask(lambda c: list(c.follow(0)))


async def test_a_page_of_events_goes_on_where_it_ended(place: Place) -> None:
    async with world(place) as w:
        first = await w.ask(lambda c: c.get("events", limit=2))
        rest = await w.ask(lambda c: c.get("events", since=first["events"][-1]["seq"]))
        seqs = [row["seq"] for row in first["events"] + rest["events"]]
        assert seqs == list(range(1, first["last"] + 1))


async def test_a_red_base_ends_with_exit_1_and_its_words(place: Place) -> None:
    red = BaseRed("the base is red: test_a", safe="Nothing was claimed.", hint="Make it green.")
    async with world(place, error=red) as w:
        final = await asyncio.wait_for(w.task, 10)
        assert final["exit"] == 1
        assert final["error"] == {
            "what": "the base is red: test_a",
            "safe": "Nothing was claimed.",
            "hint": "Make it green.",
        }
        assert (await w.ask(lambda c: c.get("status")))["exit"] == 1


async def test_a_defect_of_the_swarm_is_told_and_not_swallowed(place: Place) -> None:
    async with world(place, error=ValueError("boom")) as w:
        final = await asyncio.wait_for(w.task, 10)
        assert final["exit"] == 1
        assert "ValueError: boom" in final["error"]["what"]


async def test_after_the_end_what_a_person_says_of_a_bead_counts(place: Place) -> None:
    """As it does where no daemon is left; for a moment that was refused."""
    async with world(place) as w:
        await w.ask(lambda c: c.post("stop"))
        await w.task
        held = await w.ask(lambda c: c.post("beads", "a", "hold"))
        assert held["status"] == "held"
        assert (await w.ask(lambda c: c.get("beads", "a")))["status"] == "held"


async def test_after_the_end_the_swarm_cannot_be_changed(place: Place) -> None:
    async with world(place) as w:
        await w.ask(lambda c: c.post("stop"))
        await w.task
        with pytest.raises(UsageError, match="No swarm is running here"):
            await w.ask(lambda c: c.post("pause"))


async def test_without_a_daemon_the_client_says_so(tmp_path: Path) -> None:
    with pytest.raises(NoDaemon):
        Client(tmp_path / "none").get("status")
    (tmp_path / "dead").write_text("")
    with pytest.raises(NoDaemon):
        Client(tmp_path / "dead").get("status")


async def test_a_refusal_is_a_conflict_on_the_wire(place: Place) -> None:
    assert issubclass(RefusedError, UsageError)
    async with world(place):
        reader, writer = await asyncio.open_unix_connection(str(place.socket))
        writer.write(b"POST /v1/beads/a/approve HTTP/1.1\r\nHost: oya\r\nConnection: close\r\n\r\n")
        head, _, body = (await asyncio.wait_for(reader.read(), 10)).partition(b"\r\n\r\n")
        writer.close()
        assert head.startswith(b"HTTP/1.1 409")
        assert set(json.loads(body)) == {"what", "safe", "hint", "exit"}
