"""What a swarm counts is what its events say."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator

from oya.verify.log import Found, Log, promise


@promise
def counters_equal_events(log: Log) -> Iterator[Found]:
    """Landed beads, runs of gates, and failures by class, for each swarm."""
    landed = Counter(row["swarm"] for row in log.named["landed"])
    ran = Counter(row["swarm"] for row in log.named["gate_ran"])
    ran.update(log.gone("gate_ran"))
    for swarm, state in log.history.swarms.items():
        counted = {"landed_beads": landed[swarm], "gate_runs": ran[swarm]}
        for name, value in counted.items():
            if state[name] != value:
                yield f"{swarm}: {name} is {state[name]}, the log has {value}", None, None
    yield from _failures(log)


def _failures(log: Log) -> Iterator[Found]:
    failed: dict[str, Counter[str]] = defaultdict(Counter)
    for row in (*log.named["attempt_failed"], *log.named["lease_expired"]):
        if failure := row["class"] or row["data"].get("failure"):  # an actor that crashed
            failed[row["swarm"]][failure] += 1
    for swarm, state in log.history.swarms.items():
        if dict(state["failures"]) != dict(failed[swarm]):
            what = f"{swarm}: failures are {dict(state['failures'])}, the log has "
            yield f"{what}{dict(failed[swarm])}", None, None
