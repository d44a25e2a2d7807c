"""Actors: state that only one message at a time can touch, and supervisors that restart it.

    >>> import asyncio
    >>> from dataclasses import dataclass
    >>> from oya.actors import Actor, Backoff, Reply, Restart, Supervisor
    >>> from oya.clock import SystemClock

    >>> @dataclass(frozen=True)
    ... class Add:
    ...     number: int
    >>> @dataclass(frozen=True)
    ... class Total:
    ...     reply: Reply[int]

    >>> class Sum(Actor[Add | Total]):
    ...     async def pre_start(self) -> None:
    ...         self.total = 0
    ...     async def handle(self, message: Add | Total) -> None:
    ...         match message:
    ...             case Add(number):
    ...                 self.total += number
    ...             case Total(reply):
    ...                 reply.send(self.total)

    >>> async def main() -> int:
    ...     restart = Restart(intensity=3, period=60.0, backoff=Backoff(first=0.1))
    ...     async with Supervisor(clock=SystemClock(), restart=restart, name="root") as root:
    ...         total = await root.spawn(Sum, name="sum")
    ...         await total.tell(Add(20))
    ...         await total.tell(Add(22))
    ...         return await total.ask(Total, timeout=1.0)
    >>> asyncio.run(main())
    42

What holds:

- A mailbox is bounded. `tell` to a full one waits up to a deadline; a message
  that was not delivered comes back with the error (`MailboxFull`, `ActorDead`).
- Control messages have room of their own and overtake work, so that reports
  upwards and orders downwards never queue behind it.
- An actor handles one message at a time. Long work is a child task
  (`Actor.start`), cancelled in spawn order when the actor ends.
- A crash costs the message in hand, which `ActorFailed` names, and the state.
  The ref and the queue stay; a fresh actor built by the factory goes on.
- `ask` always ends: the answer, an error, or a timeout.
- To be cancelled from outside is an end, not a crash.
- Leaving a supervisor leaves nothing running.

All waits that a program asks for (timers, backoff) are on the injected clock;
deadlines are on the event loop's, which is the same time (see `oya.clock`).
Nothing here iterates over a set of tasks: the same loop order gives the same
order of events.
"""

from oya.actors.actor import Actor
from oya.actors.events import (
    ActorFailed,
    ActorStarted,
    ActorTerminated,
    IntensityExceeded,
    SupervisionEvent,
)
from oya.actors.ref import DEFAULT_DEADLINE, ActorRef
from oya.actors.reply import Reply
from oya.actors.restart import Backoff, Policy, Restart
from oya.actors.scope import Scope
from oya.actors.supervisor import Supervisor
from oya.actors.timers import TimerHandle

__all__ = [
    "DEFAULT_DEADLINE",
    "Actor",
    "ActorFailed",
    "ActorRef",
    "ActorStarted",
    "ActorTerminated",
    "Backoff",
    "IntensityExceeded",
    "Policy",
    "Reply",
    "Restart",
    "Scope",
    "SupervisionEvent",
    "Supervisor",
    "TimerHandle",
]
