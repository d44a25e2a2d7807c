"""The checker's table and the one that decides, held against each other.

Neither is made from the other: where one errs, they differ here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import asdict, replace
from functools import partial
from operator import attrgetter

from hypothesis import given, settings
from hypothesis import strategies as st

from oya.clock import SystemClock
from oya.errors import RefusedError
from oya.lifecycle import events as e
from oya.lifecycle.failures import RULES, FailureClass
from oya.lifecycle.model import BeadState, Hold, Limits, state_to_json
from oya.lifecycle.swarm import SwarmState, SwarmStatus, move, swarm_to_json
from oya.lifecycle.table import transition
from oya.store import Store
from oya.swarm.attempt import counted
from oya.testing.beside import SimulatedBeside
from oya.testing.engine import Disk, SimulatedEngine
from oya.verify import History, check
from oya.verify.table import ALLOWED, COUNTS

HOLDS = (None, Hold.APPROVAL)
CLASSES = (FailureClass.GATE_RED, FailureClass.CANCELLED, FailureClass.AGENT_CRASH)


def possible(state: BeadState) -> list[e.Event]:
    """One event of each kind, and of each kind within a kind, under the current epoch."""
    now = state.epoch
    return [
        e.Claimed("agent", "codex", "base"),
        e.ContractAccepted(now, "contract", "base", "check"),
        e.CheckAccepted(now),
        e.CheckAccepted(now, unchecked="it took too long"),
        e.CheckRevised(now, ("again",)),
        *(e.ImplementationAccepted(now, "work", "base", hold) for hold in HOLDS),
        *(e.Defended(now, state.implementation or "", hold) for hold in HOLDS),
        *(e.Contested(now, ("survivor",), (), mechanical) for mechanical in (False, True)),
        e.Forfeited(now, "contradiction"),
        e.ReviewStalled(now, "is it fair?"),
        e.Withheld(Hold.APPROVAL),
        e.LandingStarted("base"),
        e.Landed("commit"),
        e.LandingLeft("stopped"),
        *(e.LandingConflicted("conflict", contract=own) for own in (True, False)),
        *(e.AttemptFailed(now, failure, "it ended") for failure in CLASSES),
        e.LeaseExpired(now, "gone"),
        *(e.CannotDo(now, cannot, "so it is") for cannot in ("already_done", "contract_wrong")),
        e.CannotDo(now, "unclear", "so it is"),
        e.Added("title", "text"),
        e.Edited("other text"),
        e.Blocked("waits"),
        e.Unblocked(),
        e.Removed("closed"),
        e.Reopened(),
        e.HeldByPerson(),
        e.Approved(),
        e.Rejected("no"),
        e.Released(),
        e.Retried(),
        e.Undone("reverted"),
    ]


ASKED_FOR = attrgetter(
    *("where", "hold", "awaits", "blocked", "leaving", "retry_count", "contests", "rebases"),
    *("revisions", "contract_wrong", "done_claims", "implementation", "spare", "approved"),
)
"""What rows of the table ask for."""


def plainest(state: BeadState) -> BeadState:
    """The state at its first epoch, so that their number is finite."""
    return replace(state, epoch=1, leaving=min(state.leaving, 1), claims={}, findings=(), notes=())


def ways(limits: Limits) -> Iterator[tuple[str, str | None, str]]:
    """Every (event, from, to) that the deciding table knows under these limits."""
    first, _ = transition(BeadState("a"), e.Added("title"), limits)
    yield "added", None, first.where
    ahead = [plainest(first)]
    known = {ASKED_FOR(ahead[0])}
    while ahead:
        state = ahead.pop()
        for event in possible(state):
            try:
                after, _ = transition(state, event, limits)
            except RefusedError:
                continue
            yield e.name_of(event), state.where, after.where
            plain = plainest(after)
            if ASKED_FOR(plain) not in known:
                known.add(ASKED_FOR(plain))
                ahead.append(plain)


def test_both_tables_know_the_same_ways() -> None:
    found = set()
    for both in (True, False):
        found |= set(ways(Limits(2, 1, 1, 2, planner=both, review=both)))
    assert found == ALLOWED


def test_both_count_the_same_failures() -> None:
    assert {str(failure) for failure, rule in RULES.items() if rule.counts} == COUNTS


lives = st.lists(st.integers(0, 1_000_000), min_size=1, max_size=60)
limits = st.builds(
    Limits,
    max_attempts=st.integers(1, 3),
    max_contests=st.integers(1, 2),
    max_rebases=st.integers(1, 2),
    max_revisions=st.integers(1, 3),
    planner=st.booleans(),
    review=st.booleans(),
)


NO_GIT = {
    # Nothing of what these look at is here: no gate, no line, no time.
    *("contracts_were_red", "landed_trees_were_green", "log_and_line_agree"),
    "crashed_agents_pause",
}


@settings(max_examples=150, deadline=None)
@given(life=lives, limits=limits)
def test_whatever_the_store_accepts_keeps_the_promises(life: list[int], limits: Limits) -> None:
    """Random lives of one bead, as the real store records them."""
    found = check(asyncio.run(_lived(life, limits)))
    assert [breach for breach in found if breach.promise not in NO_GIT] == []


async def _lived(life: list[int], limits: Limits) -> History:
    store = await Store.open(
        SimulatedBeside(Disk()), clock=SystemClock(), engine=lambda _: SimulatedEngine(Disk())
    )
    swarm = SwarmState("s-1")
    await store.swarms.put(swarm, event="swarm_starting", data={"limits": asdict(limits)})
    await store.swarms.put(move(swarm, SwarmStatus.RUNNING), event="swarm_running")
    await store.beads.apply("a", e.Added("title"), swarm="s-1", limits=limits)
    for number in life:
        state = store.beads.get("a")
        assert state is not None
        event = chosen(state, limits, number)
        failure = getattr(event, "failure", None)
        count = partial(counted, failure) if failure else landed if _lands(event) else None
        await store.beads.apply("a", event, swarm="s-1", limits=limits, on_swarm=count)
    history = History(
        events=[record.to_json() for record in await store.events.since(0)],
        beads={"a": state_to_json(store.beads.all()["a"])},
        swarms={"s-1": swarm_to_json(store.swarms.all()["s-1"])},
        attempts={("a", epoch): "head" for epoch in range(len(life) + 1)},
    )
    await store.close()
    return history


def chosen(state: BeadState, limits: Limits, number: int) -> e.Event:
    """One of the events that may happen now."""
    may = []
    for event in possible(state):
        try:
            transition(state, event, limits)
        except RefusedError:
            continue
        may.append(event)
    return may[number % len(may)]


def landed(swarm: SwarmState) -> SwarmState:
    return replace(swarm, landed_beads=swarm.landed_beads + 1)


def _lands(event: e.Event) -> bool:
    return isinstance(event, e.Landed)
