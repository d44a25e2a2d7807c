"""What a supervisor tells: to its `on_event`, to the actor that owns it, to monitors.

Of one actor they come in this order: started, (failed, started)…, then failed
and, over the intensity, exceeded, and terminated as the last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from oya.actors.ref import ActorRef

Reason = Literal["stopped", "killed", "failed"]


@dataclass(frozen=True, slots=True)
class ActorStarted:
    """`pre_start` has returned, the first time or after a restart."""

    ref: ActorRef[Any]


@dataclass(frozen=True, slots=True)
class ActorFailed:
    """The actor crashed. `message` is what it had in hand and is lost; None if it was idle.

    With `restarting` a fresh one takes over after `delay` seconds.
    """

    ref: ActorRef[Any]
    error: BaseException
    restarting: bool
    message: Any = None
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class IntensityExceeded:
    """The actor crashed more often than its `Restart` allows and stays out."""

    ref: ActorRef[Any]
    error: BaseException


@dataclass(frozen=True, slots=True)
class ActorTerminated:
    """The actor has ended for good; its ref is dead. `dropped` counts messages not handled."""

    ref: ActorRef[Any]
    reason: Reason
    dropped: int = 0


SupervisionEvent: TypeAlias = ActorStarted | ActorFailed | IntensityExceeded | ActorTerminated
