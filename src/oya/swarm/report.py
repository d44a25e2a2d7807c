"""What people are told: the status object, rows of beads, and how a swarm ended.

Pure functions over the store's head and what is alive. `Live` is what only the running
swarm knows; without it (no daemon) the same figures are null, never guessed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from oya.clock import stamp
from oya.lifecycle.model import BeadState, Phase, Status
from oya.lifecycle.swarm import SwarmState, SwarmStatus

if TYPE_CHECKING:
    from oya.clock import Clock
    from oya.swarm.admission import Access, Admission
    from oya.swarm.assembly import Parts
    from oya.swarm.line import Line
    from oya.swarm.pool import AgentPool
    from oya.swarm.tally import Tally

ROLES = ("test_writers", "implementers", "reviewers", "planner")
PHASES = (Phase.CONTRACT, Phase.IMPLEMENTATION, Phase.REVIEW, Phase.LANDING)
RECENT = 10
"""Landings that an estimate looks back at."""


@dataclass(frozen=True, slots=True)
class AgentLine:
    """One agent. Times are stamps; None where it has none."""

    id: str
    role: str
    state: str
    bead: str | None
    backend: str
    epoch: int | None
    since: str | None
    last_activity: str | None
    restarts: int


@dataclass(frozen=True, slots=True)
class BackendLine:
    """One backend; `until` is when it is tried again."""

    name: str
    state: str
    until: str | None
    reason: str | None
    tokens: int | None
    cost_usd: float | None


@dataclass(frozen=True, slots=True)
class LandingLine:
    """The way to the branch; `behind` counts landed commits that a checkout lacks.

    `remote` is why the remote takes nothing now, `left_out` why the branch's own commits are not
    on the line.
    """

    gate_runs: int | None
    landed_commits: int
    red_base: str | None
    behind: dict[str, int] = field(default_factory=dict)
    remote: str | None = None
    left_out: str | None = None


@dataclass(frozen=True, slots=True)
class Live:
    """What is alive right now."""

    agents: tuple[AgentLine, ...]
    backends: tuple[BackendLine, ...]
    landing: LandingLine

    @property
    def counts(self) -> dict[str, int]:
        """Agents alive by role."""
        alive = Counter(a.role for a in self.agents if a.state in ("idle", "working"))
        return {name: alive[name.removesuffix("s")] for name in ROLES}


def live(parts: Parts, pool: AgentPool, admission: Admission, line: Line) -> Live:
    """The running swarm, as its own parts know it."""
    clock = parts.clock
    swarm = parts.store.swarms.get(parts.swarm)
    agents = tuple(
        AgentLine(
            id=h.id,
            role=str(h.role),
            state=str(h.state),
            bead=h.bead,
            backend=h.backend,
            epoch=h.epoch,
            since=wall_time(clock, h.since),
            last_activity=wall_time(clock, h.last_activity),
            restarts=h.restarts,
        )
        for h in pool.all()
    )
    backends = []
    for access in admission.backends.values():
        used = parts.meter.used.get(access.name)
        backends.append(
            BackendLine(
                name=access.name,
                state=access.state,
                until=opens_at(clock, access),
                reason=access.reason,
                tokens=used.tokens if used else None,
                cost_usd=used.cost_usd if used else None,
            )
        )
    red = swarm is not None and swarm.status is SwarmStatus.PAUSED and _is_red_base(swarm)
    landing = LandingLine(
        gate_runs=swarm.gate_runs if swarm else None,
        landed_commits=swarm.landed_beads if swarm else 0,
        red_base=line.base if red else None,
        behind={line.branch: line.followed.behind},
        remote=line.trouble or None,
        left_out=line.left_out or None,
    )
    return Live(agents, tuple(backends), landing)


def opens_at(clock: Clock, access: Access) -> str | None:
    """The wall time at which a backend is tried again, by whichever clock is there first."""
    until = wall_time(clock, access.until)
    return min(until, stamp(access.named)) if until and access.named else until


def wall_time(clock: Clock, moment: float | None) -> str | None:
    """The wall time of a monotonic moment."""
    if moment is None:
        return None
    return stamp(clock.now() + timedelta(seconds=moment - clock.monotonic()))


def status(
    swarm: SwarmState | None,
    tally: Tally,
    live: Live | None = None,
    estimated: str | None = None,
) -> dict[str, Any]:
    """The status object of docs/reference/status.md; every field, unknown ones null."""
    return {
        "id": swarm.id if swarm else None,
        "status": str(swarm.status) if swarm else None,
        "target_beads": swarm.target_beads if swarm else None,
        "landed_beads": swarm.landed_beads if swarm else None,
        "active_agents": live.counts if live else dict.fromkeys(ROLES, 0),
        "started_at": (swarm.started_at or None) if swarm else None,
        "estimated_completion": estimated if swarm and not swarm.ended else None,
        "beads": bead_counts(tally),
        "phases": phase_counts(tally),
        "agents": [asdict(agent) for agent in live.agents] if live else [],
        "backends": [asdict(backend) for backend in live.backends] if live else [],
        "landing": {
            "queued": tally.count(lambda s: s.phase is Phase.LANDING and s.workable),
            **(asdict(live.landing) if live else _landing_at_rest(swarm)),
        },
        "failures": dict(swarm.failures) if swarm else {},
        "reason": swarm.reason if swarm else None,
    }


def _landing_at_rest(swarm: SwarmState | None) -> dict[str, Any]:
    return {
        "gate_runs": swarm.gate_runs if swarm else None,
        "landed_commits": swarm.landed_beads if swarm else None,
        "red_base": None,
        "behind": {},
        "remote": None,
        "left_out": None,
    }


def under_way(state: BeadState) -> bool:
    """Claimed once, and not landed, held, failed or removed."""
    return state.epoch > 0 and state.workable


def bead_counts(tally: Tally) -> dict[str, int]:
    """How many beads wait, are under way, landed, failed, are held; removed ones in none."""
    return {
        "pending": tally.count(lambda s: s.workable and not under_way(s)),
        "in_progress": tally.count(under_way),
        "landed": tally.count(lambda s: s.status is Status.COMPLETE),
        "failed": tally.count(lambda s: s.status is Status.FAILED),
        "held": tally.count(lambda s: s.status is Status.HELD),
    }


def phase_counts(tally: Tally) -> dict[str, int]:
    """Where the beads under way are."""

    def here(phase: Phase) -> int:
        return tally.count(lambda s: under_way(s) and s.phase is phase)

    return {str(phase): here(phase) for phase in PHASES}


def estimate(
    landings: Sequence[datetime], began: datetime, remaining: int, now: datetime
) -> datetime | None:
    """When the target will be reached at the rate of the newest landings; None before the first.

    `landings` in order, since `began`, the start of this run of the daemon: time in which
    nothing ran says nothing about the rate.
    """
    if not landings or remaining <= 0:
        return None
    recent = landings[-RECENT:]
    since = landings[-RECENT - 1] if len(landings) > RECENT else began
    pace = (now - since) / len(recent)
    return now + pace * remaining


def bead_row(state: BeadState, about: Mapping[str, Any]) -> dict[str, Any]:
    """One line of `oya beads`; `about` is what the store knows beside the state."""
    return {
        "id": state.id,
        "title": about.get("title") or "",
        "phase": str(state.phase),
        "checking": state.checking,
        "status": str(state.status),
        "hold": str(state.hold) if state.hold else None,
        "reason": state.reason or None,
        "blocked": state.blocked or None,
        "agent": state.agent,
        "epoch": state.epoch,
        "retry_count": state.retry_count,
        "commit": state.commit,
    }


DAEMON_GONE = "its daemon is gone, and its agents with it; all work is kept, go on: oya swarm"
"""Why nothing happens in a swarm that has not ended, where none runs."""
NEXT = {
    "approval": "oya approve {id}",
    "protected": "oya approve {id}",
    "weak_contract": "oya approve {id}",
    "person": "oya release {id}",
    "question": 'oya retry {id} --note "…"',
    "already_done": 'oya retry {id} --note "…", or close it in the tracker',
    "undone": "oya retry {id}",
    "failed": 'oya retry {id} --note "…"',
}
"""What a person types about a bead that waits for one."""


def next_step(row: Mapping[str, Any]) -> str:
    """The command that a held or failed bead waits for; empty for others."""
    if row["status"] == "held":
        return NEXT.get(row["hold"] or "", "").format(id=row["id"])
    return NEXT["failed"].format(id=row["id"]) if row["status"] == "failed" else ""


def _is_red_base(swarm: SwarmState) -> bool:
    """Whether its reason is that, by the words of `red_base.told`, or of an attempt on it."""
    return (swarm.reason or "").startswith(("the base ", "base_red"))


def exit_code(swarm: SwarmState) -> int:
    """The exit code of a swarm that has ended (docs/reference/exit-codes.md)."""
    match swarm.status:
        case SwarmStatus.COMPLETED:
            return 0 if swarm.reached else 3
        case SwarmStatus.FAILED:
            return 1 if _is_red_base(swarm) else 4
        case SwarmStatus.STOPPED:
            return 5
    return 1


def end_lines(
    final: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], running: int
) -> list[str]:
    """How it ended, for people: what landed, what is kept where, what waits for whom, what is
    left running, how to go on. `final` is the last status object, `running` counts processes."""
    landed, target, ended = final["landed_beads"], final["target_beads"], final["status"]
    said = [_headline(final, landed, target)]
    if final["reason"] and ended != "completed":
        said.append(f"Because: {final['reason']}")
    for branch, behind in final["landing"]["behind"].items():
        if landed:
            on = f"refs/oya/line/{branch}" if behind else branch
            said.append(f"It is on {on}: git log {on}")
        if behind:
            said.append(f"{branch} is {behind} behind: oya sync")
    waiting = [row for row in rows if row["status"] in ("held", "failed")]
    said += _waiting(waiting)
    blocked = [row for row in rows if row["status"] == "pending" and row.get("blocked")]
    stuck = blocked if ended == "completed" and landed < target else []
    said += _blocked(stuck)
    said += _open(rows)
    kept = final["beads"]["in_progress"]
    if kept:
        said.append(f"{kept} {_beads(kept)} under way, with all work kept under refs/oya/attempts.")
    left = f"{running} processes are left running!" if running else "Nothing is left running."
    said.append(left)
    free = final["beads"]["pending"] - len(stuck)
    said.append(_how_to_go_on(ended, kept + free, bool(waiting or stuck)))
    return [line for line in said if line]


def _headline(final: Mapping[str, Any], landed: int, target: int) -> str:
    if not target and final["status"] == "completed":
        return "Nothing to do: no bead can be worked on."
    seconds = f" in {final['seconds']:.1f} s" if final.get("seconds") is not None else ""
    words = {"completed": "Landed", "stopped": "Stopped: landed", "failed": "Failed: landed"}
    return f"{words.get(final['status'], 'Landed')} {landed}/{target} beads{seconds}."


def _waiting(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    if not rows:
        return []
    said = [f"{len(rows)} {_beads(len(rows))} waiting for you:"]
    for row in rows[:10]:
        why = " ".join((row["reason"] or row["hold"] or row["status"]).split())
        said.append(f"  {row['id']}  {why[:100]}{'…' if len(why) > 100 else ''}")
        said.append(f"      {next_step(row)}")
    if len(rows) > 10:
        said.append(f"  and {len(rows) - 10} more: oya beads --held")
    return said


def _open(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What was pushed, and nobody knows yet whether it has arrived."""
    open_ = [r["id"] for r in rows if (r["phase"], r["status"]) == ("landing", "in_progress")]
    if not open_:
        return []
    names = ", ".join(open_[:10]) + (f" and {len(open_) - 10} more" if len(open_) > 10 else "")
    return [f"Landing, and not known to have arrived: {names}; the next oya swarm finds out."]


def _blocked(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What nothing but a change in the tracker, or a landing elsewhere, sets free."""
    if not rows:
        return []
    said = [f"{len(rows)} {_beads(len(rows))} blocked:"]
    said += [f"  {row['id']}  {row['blocked']}" for row in rows[:10]]
    if len(rows) > 10:
        said.append(f"  and {len(rows) - 10} more: oya beads")
    return said


def _beads(count: int) -> str:
    return "bead is" if count == 1 else "beads are"


def _how_to_go_on(ended: str, left: int, waiting: bool) -> str:
    if ended == "failed":
        return "When the cause is gone: oya swarm (oya events and oya logs tell more)"
    if left:
        return "Go on: oya swarm"
    return "Look closer: oya why BEAD" if waiting else ""
