"""Run the benchmarks: `python benchmarks/run.py [NAME]…`.

Every `*_bench.py` in this folder has `measures()`, which yields
`(name, value, unit, baseline, the baseline's value)`; both figures come from the same run.
One line a measure: `name value unit baseline ratio`, where ratio is value ÷ baseline.
`results/latest.json` has the newest figures of each benchmark, by its name, with the machine, how
busy that was, and the versions; `python benchmarks/page.py` makes the table of
docs/performance.md of it.
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
from typing import Any

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
        baseline = f"{self.baseline}={figure(self.baseline_value)}"
        return f"{self.name} {figure(self.value)} {self.unit} {baseline} {self.ratio:.3g}"


def main(names: list[str]) -> int:
    """Run the named benchmarks, or all; 2 when there is none of that name."""
    known = {path.stem.removesuffix(SUFFIX): path.stem for path in HERE.glob(f"*{SUFFIX}.py")}
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}; there are {', '.join(sorted(known))}")
        return 2
    for name in names or sorted(known):
        about, measures = _about(), []
        for measure in _measures(known[name]):
            print(measure.line(), flush=True)
            measures.append(measure)
        _write(name, about, measures)
    return 0


def _measures(module: str) -> Iterator[Measure]:
    for row in importlib.import_module(module).measures():
        yield Measure(*row)


def latest() -> dict[str, Any]:
    """The newest figures of each benchmark that was ever run here."""
    try:
        found: dict[str, Any] = json.loads(RESULTS.read_text())
    except FileNotFoundError:
        return {}
    return found


def _write(name: str, about: dict[str, Any], measures: list[Measure]) -> None:
    figures = [asdict(measure) | {"ratio": measure.ratio} for measure in measures]
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(latest() | {name: {**about, "measures": figures}}, indent=2))


def _about() -> dict[str, Any]:
    """When and where; `load` is what the machine had to do before, in runnable processes."""
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "load": round(os.getloadavg()[0], 1),
        "machine": _machine(),
        "versions": _versions(),
    }


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


def figure(value: float) -> str:
    """A number for people."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
