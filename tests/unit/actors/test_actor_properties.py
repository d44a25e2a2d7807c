"""Whatever is told, crashed and stopped in whatever order: nothing is lost but what was in hand."""

import asyncio
from dataclasses import dataclass
from typing import Any

from actor_kit import Boom, now, root, virtual
from hypothesis import given, settings
from hypothesis import strategies as st

from oya.actors import Actor, ActorFailed, ActorTerminated, Backoff, Restart
from oya.errors import ActorDead, MailboxFull


@dataclass(frozen=True)
class Work:
    number: int
    seconds: float = 0.0
    crash: bool = False


class Worker(Actor[Work]):
    mailbox_size = 3
    reserved = 2

    def __init__(self, handled: list[int]) -> None:
        self.handled = handled
        self.alone = True

    async def handle(self, message: Work) -> None:
        assert self.alone
        self.alone = False
        await self.clock.sleep(message.seconds)
        self.alone = True
        if message.crash:
            raise Boom(str(message.number))
        self.handled.append(message.number)


Step = tuple[str, float, bool]

steps = st.lists(
    st.tuples(
        st.sampled_from(["tell", "tell", "tell", "control", "crash", "pause"]),
        st.sampled_from([0.0, 0.0, 0.5, 2.0, 7.0]),
        st.booleans(),
    ),
    max_size=25,
)
ends = st.sampled_from(["wait", "stop", "kill", "leave"])


@dataclass
class Outcome:
    accepted: list[int]
    control: list[int]
    given_back: list[int]
    handled: list[int]
    events: list[Any]


async def play(script: list[Step], end: str) -> Outcome:
    restart = Restart(intensity=100, period=1.0, backoff=Backoff(first=0.25, limit=1.0))
    out = Outcome([], [], [], [], [])
    senders: list[asyncio.Task[None]] = []

    async with root(restart, out.events) as supervisor:
        ref = await supervisor.spawn(lambda: Worker(out.handled), name="worker")

        async def send(work: Work, control: bool) -> None:
            try:
                await ref.tell(work, timeout=4.0, control=control)
            except (MailboxFull, ActorDead) as error:
                assert error.message is work
                out.given_back.append(work.number)
            else:
                (out.control if control else out.accepted).append(work.number)

        for number, (what, seconds, patient) in enumerate(script):
            if what == "pause":
                await asyncio.sleep(seconds)
                continue
            work = Work(number, seconds, crash=what == "crash")
            senders.append(asyncio.create_task(send(work, what == "control")))
            await (senders[-1] if patient else asyncio.sleep(0))
        if end == "wait":
            await asyncio.sleep(1000)
        elif end == "stop":
            await ref.stop(timeout=100)
        elif end == "kill":
            await ref.kill()
    for sender in senders:
        await sender
    return out


@settings(max_examples=150, deadline=None)
@given(steps, ends, st.one_of(st.none(), st.integers(0, 1000)))
def test_no_message_is_lost_but_the_one_in_hand(
    script: list[Step], end: str, seed: int | None
) -> None:
    async def body() -> Outcome:
        return await play(script, end)

    out: Outcome = virtual(body, seed=seed)
    told = [n for n, (what, _, _) in enumerate(script) if what != "pause"]
    delivered = out.accepted + out.control
    lost_in_hand = [e.message.number for e in out.events if isinstance(e, ActorFailed)]
    last = out.events[-1]
    assert isinstance(last, ActorTerminated)

    assert sorted(delivered + out.given_back) == told, "delivered or given back, never both"
    assert len(set(out.handled)) == len(out.handled), "at most once"
    assert set(out.handled) <= set(delivered)
    assert lost_in_hand == [n for n in lost_in_hand if script[n][0] == "crash"]
    missing = len(delivered) - len(out.handled) - len(lost_in_hand)
    # A kill also costs the message in hand, which no failure names.
    in_hand = 1 if last.reason == "killed" else 0
    assert last.dropped <= missing <= last.dropped + in_hand
    if end == "wait":
        assert missing == 0


@settings(max_examples=60, deadline=None)
@given(steps, st.integers(0, 1000))
def test_each_lane_keeps_its_order_and_a_seed_repeats_itself(script: list[Step], seed: int) -> None:
    # Senders that wait for their turn one by one have an order to keep.
    patient = [(what, seconds, True) for what, seconds, _ in script]

    async def body() -> tuple[Outcome, float]:
        return await play(patient, "wait"), now()

    out, end = virtual(body, seed=seed)
    for lane in (out.accepted, out.control):
        assert [n for n in out.handled if n in lane] == [n for n in lane if n in out.handled]
    again, end_again = virtual(body, seed=seed)
    assert (again.handled, again.given_back, end_again) == (out.handled, out.given_back, end)


def test_the_runnable_example_of_the_docs_runs() -> None:
    import doctest

    import oya.actors

    outcome = doctest.testmod(oya.actors)
    assert outcome.attempted > 5
    assert outcome.failed == 0
