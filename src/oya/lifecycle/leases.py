"""Who may work on what, for how long, on the clock of this process.

A lease is not durable: on resume the leases of the previous daemon end at once, since
its children died with it. What is durable is the epoch, in the bead.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lease:
    """`agent` holds `bead` under `epoch` until `deadline` (monotonic seconds)."""

    bead: str
    epoch: int
    agent: str
    deadline: float


class Leases:
    """All leases of one daemon.

    `term` is how long a lease lasts unrenewed, in seconds. After a gap between two
    looks that is longer than half a term (suspend, SIGSTOP) live leases are renewed
    before any is expired: it was oya that slept, not the agent.
    """

    def __init__(self, term: float) -> None:
        self.term = term
        self._held: dict[str, Lease] = {}
        self._looked: float | None = None

    def grant(self, bead: str, epoch: int, agent: str, now: float) -> Lease:
        """A new lease; it replaces an older one of the same bead."""
        lease = Lease(bead, epoch, agent, now + self.term)
        self._held.pop(bead, None)
        self._held[bead] = lease
        # A gap before the first look is a gap too.
        self._looked = now if self._looked is None else self._looked
        return lease

    def renew(self, bead: str, epoch: int, now: float) -> bool:
        """Extend; False where that epoch holds no lease (any more)."""
        lease = self._held.get(bead)
        if lease is None or lease.epoch != epoch:
            return False
        self._held[bead] = Lease(bead, epoch, lease.agent, now + self.term)
        return True

    def end(self, bead: str, epoch: int) -> None:
        """Give it back; another epoch's lease stays."""
        lease = self._held.get(bead)
        if lease is not None and lease.epoch == epoch:
            del self._held[bead]

    def expired(self, now: float) -> tuple[Lease, ...]:
        """Take out and return the leases that nobody renewed, in the order they were granted."""
        gap = now - self._looked if self._looked is not None else 0.0
        self._looked = now
        if gap > self.term / 2:
            for lease in tuple(self._held.values()):
                self.renew(lease.bead, lease.epoch, now)
            return ()
        over = tuple(lease for lease in self._held.values() if lease.deadline <= now)
        for lease in over:
            del self._held[lease.bead]
        return over

    def holds(self, bead: str) -> Lease | None:
        """The lease of a bead, if there is one."""
        return self._held.get(bead)
