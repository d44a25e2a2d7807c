"""Where the demo's time goes: wall time against the work, and the work by kind.

The baseline of the wall time is what two things that cannot be saved would take at best: the
CPU seconds of agents and gates, spread over all cores. Every other measure is CPU seconds (the
store: wall seconds within commits) beside the CPU seconds of everything. And the runs of gates:
those that are prescribed although their evidence is known (an implementation's tests three
times, a second look at what was red), and those that should have been saved.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

Measured = tuple[str, float, str, str, float]
DEADLINE = 900.0


def measures() -> Iterator[Measured]:
    """One demo, measured by what its swarm wrote into its last event."""
    final, end, gates = _demo()
    cpu: dict[str, float] = end["cpu"]
    cores = os.cpu_count() or 1
    work = (cpu["agents"] + cpu["gates"]) / cores
    everything = sum(cpu.values())
    yield ("demo_wall", final["seconds"], "s", "agents and gates, all cores", work)
    for kind in ("agents", "gates", "git", "oya"):
        yield (f"demo_{kind}", cpu[kind], "CPU s", "all CPU", everything)
    yield ("demo_store", end["wall"]["store"], "s in commits", "all CPU", everything)
    yield ("demo_peak_memory", end["peak_mb"], "MB", "limit", 150.0)
    again = [run for run in gates if "again" in run]
    made = Counter(run["key"] for run in gates if "again" not in run)
    yield ("demo_gate_runs_prescribed_again", len(again), "runs", "all runs", len(gates))
    known = sum(made.values()) - len(made)
    yield ("demo_gate_runs_on_known_evidence", known, "runs", "all runs", len(gates))


def _demo() -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]:
    """The last line, what the swarm wrote at its end, and each run of a gate."""
    ran = subprocess.run(
        (sys.executable, "-m", "oya.cli.main", "demo", "--format", "json"),
        check=True,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
    )
    lines = [json.loads(line) for line in ran.stdout.splitlines() if line.strip()]
    end = next(line["data"] for line in reversed(lines) if "cpu" in line.get("data", {}))
    return lines[-1], end, [line["data"] for line in lines if line.get("event") == "gate_ran"]
