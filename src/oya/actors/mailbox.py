"""A bounded queue with two lanes: control messages, and work."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any, Final

from oya.actors.reply import unwrapped
from oya.errors import ActorDead, MailboxFull

NOTHING: Final = object()
"""What `take` returns from an empty mailbox; messages may be None."""

NOTICES_AT_MOST: Final = 1024


class _Lane:
    __slots__ = ("items", "size", "waiting")

    def __init__(self, size: int) -> None:
        self.size = size
        self.items: deque[Any] = deque()
        # Who waits has its message here; a free place is handed to the first, so that
        # nobody overtakes. While anybody waits the lane is full.
        self.waiting: dict[asyncio.Future[None], Any] = {}


class Mailbox:
    """Room for `size` messages, and `reserved` more for control messages, which overtake.

    Within a lane messages keep their order, those of waiting senders included.
    One consumer takes; any number of senders put.
    """

    __slots__ = ("_arrival", "_control", "_lanes", "_work", "closed", "owner")

    def __init__(self, owner: str, size: int, reserved: int) -> None:
        if size < 1 or reserved < 1:
            raise ValueError("a mailbox needs room for at least one message in each lane")
        self.owner = owner
        self.closed = False
        self._control = _Lane(reserved)
        self._work = _Lane(size)
        self._lanes = (self._control, self._work)
        self._arrival: asyncio.Future[None] | None = None

    def __len__(self) -> int:
        return sum(len(lane.items) + len(lane.waiting) for lane in self._lanes)

    def offer(self, item: Any, control: bool) -> bool:
        """Put without waiting; False if the lane is full. Raises `ActorDead` if closed."""
        if self.closed:
            raise self.dead(item)
        lane = self._control if control else self._work
        items = lane.items
        if len(items) >= lane.size:
            return False
        items.append(item)
        if self._arrival is not None:
            self._wake()
        return True

    async def put(self, item: Any, control: bool, timeout: float | None) -> None:
        """Put, waiting up to `timeout` seconds; raises `MailboxFull`, or `ActorDead` if closed."""
        if self.offer(item, control):
            return
        loop = asyncio.get_running_loop()
        lane = self._control if control else self._work
        placed: asyncio.Future[None] = loop.create_future()
        lane.waiting[placed] = item
        timer = None
        if timeout is not None:
            timer = loop.call_later(timeout, self._give_up, placed, self.full(item))
        try:
            await placed
        finally:
            lane.waiting.pop(placed, None)
            if timer is not None:
                timer.cancel()

    def post(self, notice: Any) -> bool:
        """Put in the control lane past its size; False if 1024 things are there already."""
        items = self._control.items
        if len(items) >= NOTICES_AT_MOST:
            return False
        items.append(notice)
        self._wake()
        return True

    def take(self) -> Any:
        """The next message, or `NOTHING`."""
        lane = self._control if self._control.items else self._work
        items = lane.items
        if not items:
            return NOTHING
        item = items.popleft()
        if lane.waiting and len(items) < lane.size:
            self._admit(lane)
        return item

    async def arrival(self) -> None:
        """Wait until something may have arrived, or the mailbox is closed."""
        self._arrival = asyncio.get_running_loop().create_future()
        try:
            await self._arrival
        finally:
            self._arrival = None

    def nudge(self) -> None:
        """End the consumer's wait."""
        self._wake()

    def close(self) -> list[Any]:
        """Take nothing more; waiting senders get `ActorDead`. Returns what was dropped."""
        self.closed = True
        dropped: list[Any] = []
        for lane in self._lanes:
            dropped += lane.items
            lane.items.clear()
            for placed, item in list(lane.waiting.items()):
                if not placed.done():
                    placed.set_exception(self.dead(item))
            lane.waiting.clear()
        self._wake()
        return dropped

    def dead(self, item: Any, what: str = "") -> ActorDead:
        text = what or f"{self.owner} has ended; the message was not delivered"
        return ActorDead(text, message=unwrapped(item))

    def full(self, item: Any) -> MailboxFull:
        text = f"the mailbox of {self.owner} is full; the message was not delivered"
        return MailboxFull(text, message=unwrapped(item))

    def _admit(self, lane: _Lane) -> None:
        while lane.waiting:
            placed = next(iter(lane.waiting))
            item = lane.waiting.pop(placed)
            if not placed.done():
                lane.items.append(item)
                placed.set_result(None)
                return

    @staticmethod
    def _give_up(placed: asyncio.Future[None], error: MailboxFull) -> None:
        if not placed.done():
            placed.set_exception(error)

    def _wake(self) -> None:
        if self._arrival is not None and not self._arrival.done():
            self._arrival.set_result(None)
            self._arrival = None
