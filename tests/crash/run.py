"""`make crash ROUNDS=N`: runs until N kills were made, and a report.

python tests/crash/run.py 500                            # to a report; exit 1 on a breach, or
                                                         # where a point was hit too seldom
python tests/crash/run.py --kills "landing.noted outside@0.83"     # one run again
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import crash_checker
import crash_retention
from crash_rounds import ALL, ELSEWHERE, GUARDS, HERE, OLD, OUTSIDE, Kill, Run, Tally

from oya.verify import PROMISES

KINDS: dict[str, tuple[str, ...]] = {
    "lost": (
        *("attempts_are_kept", "named_work_is_held"),
        *("what_lay_there_is_kept", "snapshots_are_what_refs_hold"),
        crash_checker.what_was_heard_is_there.__name__,
        crash_retention.nothing_else_goes.__name__,
    ),
    "doubled": ("each_bead_lands_once", "accepted_at_most_once", "leases_never_overlap"),
    "orphan processes": (crash_checker.nothing_runs.__name__,),
    "red commits": ("every_commit_is_green", "landed_trees_were_green"),
}
"""What the promises of the checkers come to, for the report; everything else is `other`."""
MANY, ENOUGH = 500, 5
"""From how many rounds on each point must have been hit how often."""
OURS = (*PROMISES, *crash_checker.PROMISES, *crash_retention.PROMISES)
assert {name for names in KINDS.values() for name in names} <= {one.__name__ for one in OURS}


def main(argv: list[str]) -> int:
    """The exit code."""
    asked = argparse.ArgumentParser(prog="make crash")
    asked.add_argument("rounds", type=int, nargs="?", default=100, help="how many kills")
    asked.add_argument("--seed", type=int, default=1, help="of the first run")
    asked.add_argument("--workers", type=int, default=2, help="runs at the same time")
    asked.add_argument("--kills", default="", help="one run with exactly these")
    asked.add_argument("--untracked", action="store_true", help="that run: git has no tracker")
    asked.add_argument("--report", type=Path, default=Path("build/crash.txt"))
    given = asked.parse_args(argv)
    folder = Path(tempfile.mkdtemp(prefix="oya-crash-runs-"))
    began = time.monotonic()
    tally = Tally()
    kills = tuple(Kill.parse(text) for text in given.kills.split())
    if kills and {kill.how for kill in kills} <= {*OLD}:
        _old(tally, folder / "old", [kills])
    elif kills:
        Run(0, tally, folder / "0", given=kills, tracked=not given.untracked).go()
    else:
        _many(given, tally, folder)
        every = [crash_retention.kills(n) for n in range(1, crash_retention.ROUNDS + 1)]
        _old(tally, folder / "old", every)
    seldom = [] if kills or given.rounds < MANY else too_seldom(tally, (*HERE, *OLD))
    lines = list(report(tally, time.monotonic() - began))
    lines += [f"too seldom       {name}" for name in seldom]
    print("\n".join(lines))
    if not given.kills:
        given.report.parent.mkdir(parents=True, exist_ok=True)
        given.report.write_text("\n".join(lines) + "\n")
    if not tally.breaches:
        shutil.rmtree(folder, ignore_errors=True)
        return 1 if seldom else 0
    print(f"what is left of the runs: {folder}", file=sys.stderr)
    return 1


def _many(given: argparse.Namespace, tally: Tally, folder: Path) -> None:
    seeds = count(given.seed)

    def work(_: int) -> None:
        while not _is_enough(tally, given.rounds):
            with tally.lock:
                seed = next(seeds)
            run = Run(seed, tally, folder / str(seed), tracked=seed % 3 != 0)
            before = tally.kills
            run.go()
            print(f"run {seed}: {before} … {tally.kills} kills", file=sys.stderr)
            for name, words in run.wrong:
                print(f"{name}: {words}\n  again: {run.command}", file=sys.stderr)
            if not run.wrong:
                shutil.rmtree(run.folder, ignore_errors=True)

    with ThreadPoolExecutor(given.workers) as pool:
        list(pool.map(work, range(given.workers)))


def _is_enough(tally: Tally, rounds: int) -> bool:
    """So many kills; where they are many, up to a quarter more for the points that had bad luck."""
    if rounds < MANY or tally.kills >= rounds * 5 // 4:
        return tally.kills >= rounds
    return tally.kills >= rounds and not too_seldom(tally, HERE)


def _old(tally: Tally, folder: Path, every: Iterable[Sequence[Kill]]) -> None:
    """A death at each point of retention, for each round of kills."""
    old = crash_retention.Old.make(folder, tally)
    try:
        for kills in every:
            old.wrong.clear()
            old.go(kills)
            command = f'make crash KILLS="{" ".join(kill.text for kill in kills)}"'
            tally.breaches += [(*wrong, command) for wrong in old.wrong]
    finally:
        old.ground.close()


def too_seldom(tally: Tally, names: Iterable[str]) -> list[str]:
    """Those of the points that were not hit as often as many rounds must hit each."""
    return [name for name in names if tally.hits[name] < ENOUGH]


def report(tally: Tally, seconds: float) -> Iterable[str]:
    """The lines of it."""
    guards, everything = tally.hits[GUARDS], tally.hits[ALL]
    outside = tally.hits[OUTSIDE] + guards + everything
    yield f"kills            {tally.kills} in {tally.runs} runs, {seconds:.0f} s"
    yield f"at named points  {tally.kills - outside}"
    for name in (*HERE, *OLD):
        if tally.hits[name] or tally.runs > 1:
            yield f"  {name:<28} {tally.hits[name]:>4}"
    if tally.runs > 1:
        yield from (f"  {name:<28}    - in {test}" for name, test in ELSEWHERE.items())
        yield f"the least hit    {min(tally.hits[name] for name in (*HERE, *OLD))} times"
    yield f"from outside     {outside}, of these {guards} with all guards, {everything} with all"
    yield f"heard outside    {tally.heard} events, before and after kills"
    known = {name for names in KINDS.values() for name in names}
    for kind, names in KINDS.items():
        yield f"{kind:<16} {sum(name in names for name, _, _ in tally.breaches)}"
    yield f"{'other breaches':<16} {sum(name not in known for name, _, _ in tally.breaches)}"
    for name, words, command in tally.breaches:
        yield f"\n{name}: {words}\n  again: {command}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
