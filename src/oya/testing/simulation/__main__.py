"""`python -m oya.testing.simulation`: many seeds, or one of them again (docs/testing.md)."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace

from oya.testing.simulation.check import breaches, play
from oya.testing.simulation.many import Found, many
from oya.testing.simulation.plan import Plan, draw
from oya.testing.simulation.run import run
from oya.testing.simulation.shrink import Shrinker, command, command_of

SHRUNK = 3
"""Failing seeds that are made small; the rest is named, with what to type."""


def main(args: list[str]) -> int:
    """Exit code 0 where every promise was kept, else 1."""
    given = parser().parse_args(args)
    return _again(given) if given.seed is not None else _many(given.first, given.seeds, given.jobs)


def parser() -> argparse.ArgumentParser:
    """What can be typed; `shrink.command` says it."""
    parser = argparse.ArgumentParser(prog="python -m oya.testing.simulation", description=__doc__)
    parser.add_argument("seeds", nargs="?", type=int, default=300, help="how many seeds")
    parser.add_argument("--first", type=int, default=1, help="the first of them")
    parser.add_argument("--jobs", type=int, default=0, help="processes; 0: one for each core")
    again = parser.add_argument_group("one seed again")
    again.add_argument("--seed", type=int)
    again.add_argument("--beads", help="only these, with commas between them, or `none`")
    again.add_argument("--faults", help="only these numbers, or `none`")
    again.add_argument("--target", type=int)
    again.add_argument("--harsh", type=float, help="how often agents do badly, 0 to 1")
    again.add_argument("--no-planner", action="store_true")
    again.add_argument("--no-review", action="store_true")
    again.add_argument("--no-remote", action="store_true")
    again.add_argument("--deploy", action="store_true", help="nothing waits for approval")
    again.add_argument("--shrink", action="store_true", help="and make it small, if it fails")
    again.add_argument("--quiet", action="store_true", help="do not print the event log")
    return parser


def planned(given: argparse.Namespace) -> Plan:
    """The plan that was typed."""
    plan = draw(given.seed)
    beads = [bead.id for bead in plan.beads]
    if given.beads is not None:
        beads = [bead for bead in given.beads.split(",") if bead != "none"]
    numbers = [fault.number for fault in plan.faults]
    if given.faults is not None:
        numbers = [int(n) for n in given.faults.split(",") if n.isdecimal()]
    plan = plan.only(beads, numbers)
    return replace(
        plan,
        target=given.target or plan.target,
        harsh=plan.harsh if given.harsh is None else given.harsh,
        planner=plan.planner and not given.no_planner,
        review=plan.review and not given.no_review,
        deploy=plan.deploy or given.deploy,
        remote=plan.remote and not given.no_remote,
    )


def _again(given: argparse.Namespace) -> int:
    plan = planned(given)
    if given.shrink and play(plan)[1]:
        return _small(plan)
    ran = run(plan)
    broken = breaches(ran)
    if not given.quiet:
        sys.stdout.write(ran.events.decode())
    for fate in ran.world.fates:
        _say(f"fault: {fate}")
    for breach in broken:
        _say(f"BROKEN {breach}")
    _say(f"log {ran.digest[:16]}, {ran.world.lives} lives, {ran.world.elapsed:.0f} virtual s")
    return int(bool(broken))


def _small(plan: Plan) -> int:
    shrinker = Shrinker(plan)
    small = shrinker.shrink()
    _say(
        f"{len(small.beads)} beads and {len(small.faults)} faults are enough ({shrinker.runs} runs)"
    )
    for breach in play(small)[1][:5]:
        _say(f"  BROKEN {breach}")
    _say(f"  {command(small)}")
    return 1


def _many(first: int, count: int, jobs: int) -> int:
    began, whole = time.monotonic(), Found()
    for part in many(first, count, jobs):
        whole.add(part)
        for seed, broken in part.broken.items():
            _say(f"seed {seed}: {broken[0]}")
            _say(f"  {command_of(seed)}")
        if whole.seeds % 1000 < 25:
            _say(f"{whole.seeds} seeds, {len(whole.broken)} broken")
    for line in summary(whole, time.monotonic() - began):
        sys.stdout.write(f"{line}\n")
    for seed in sorted(whole.broken)[:SHRUNK]:
        _small(draw(seed))
    return int(bool(whole.broken))


def summary(found: Found, wall: float) -> list[str]:
    """What many seeds came to, for people."""
    counts = found.counts
    stuck = [s for s, broken in found.broken.items() if broken[0].startswith("it_comes_to_an_end")]
    faults = ", ".join(f"{kind} {n}" for kind, n in found.faults.most_common())
    return [
        f"{found.seeds} swarms: {counts['lives']} lives, {counts['crashes']} crashes, "
        f"{counts['landed']} beads landed, {counts['events']} events",
        f"faults: {faults}",
        f"places of crashes: {len(found.crashed_at)}",
        f"{found.seeds / max(found.seconds, 1e-9):.2f} swarms a second and core; {wall:.0f} s",
        f"{len(found.broken) - len(stuck)} violations, {len(stuck)} stuck",
    ]


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
