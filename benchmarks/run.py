"""Run the benchmarks: `python benchmarks/run.py [NAME]…`.

Every `*_bench.py` in this folder has `measures()`, which yields
`(name, value, unit, baseline, the baseline's value)`; both figures come from the same run.
One line a measure: `name value unit baseline ratio`, where ratio is value ÷ baseline.
All of them go to `results/latest.json`, with the machine and the versions.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import distributions
from pathlib import Path

import psutil

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "latest.json"
SUFFIX = "_bench"


@dataclass(frozen=True, slots=True)
class Measure:
    """One figure and what it is compared with, both in `unit`."""

    name: str
    value: float
    unit: str
    baseline: str
    baseline_value: float

    @property
    def ratio(self) -> float:
        return self.value / self.baseline_value

    def line(self) -> str:
        baseline = f"{self.baseline}={_figure(self.baseline_value)}"
        return f"{self.name} {_figure(self.value)} {self.unit} {baseline} {self.ratio:.3g}"


def main(names: list[str]) -> int:
    """Run the named benchmarks, or all; 2 when there is none of that name."""
    known = {path.stem.removesuffix(SUFFIX): path.stem for path in HERE.glob(f"*{SUFFIX}.py")}
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are {', '.join(sorted(known))}")
        return 2
    measures = []
    for name in names or sorted(known):
        for measure in _measures(known[name]):
            print(measure.line(), flush=True)
            measures.append(measure)
    _write(measures)
    return 0


def _measures(module: str) -> Iterator[Measure]:
    for row in importlib.import_module(module).measures():
        yield Measure(*row)


def _write(measures: list[Measure]) -> None:
    RESULTS.parent.mkdir(exist_ok=True)
    result = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": _machine(),
        "versions": _versions(),
        "measures": [asdict(measure) | {"ratio": measure.ratio} for measure in measures],
    }
    RESULTS.write_text(json.dumps(result, indent=2) + "\n")


def _machine() -> dict[str, object]:
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "architecture": platform.machine(),
        "kernel": platform.release(),
    }


def _versions() -> dict[str, str]:
    installed = {dist.name.lower(): dist.version for dist in distributions()}
    return {"python": platform.python_version()} | dict(sorted(installed.items()))


def _figure(value: float) -> str:
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
