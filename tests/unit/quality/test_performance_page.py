"""docs/performance.md and the benchmarks are the same ones."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[3]
BENCHMARKS = ROOT / "benchmarks"
TEXT = (ROOT / "docs/performance.md").read_text()


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """benchmarks/page.py, which is no package's."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    for name in ("run", "page"):
        spec = importlib.util.spec_from_file_location(name, BENCHMARKS / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, name, module)
        spec.loader.exec_module(module)
    return sys.modules["page"]


def there() -> set[str]:
    return {path.stem.removesuffix("_bench") for path in BENCHMARKS.glob("*_bench.py")}


def test_every_benchmark_is_on_the_page_and_every_one_on_the_page_exists() -> None:
    linked = re.findall(r"\[(\w+)\]\(\.\./benchmarks/(\w+)_bench\.py\)", TEXT)
    assert all(name == file for name, file in linked)
    assert {name for name, _ in linked} == there()


def test_every_command_on_the_page_names_a_benchmark() -> None:
    named = re.findall(r"make bench NAME=(\w+)", TEXT)
    assert named
    assert set(named) <= there()


def test_a_figure_that_misses_is_said_to_miss(page: ModuleType) -> None:
    def said(name: str, value: float, baseline: str, beside: float) -> str:
        return str(page.row(measure(name, value, baseline, beside))).removesuffix(" |")

    assert said("landing_red_10_top_2_slots_runs", 0.7, "serial", 1.3).endswith("| ≤ 0.7 | met")
    assert said("landing_red_10_top_2_slots_runs", 0.71, "serial", 1.3).endswith("**missed**")
    assert said("git_seconds_per_bead_in_memory", 1.4, "bare", 1.0).endswith("≤ 1.3 × | **missed**")
    assert said("memory", 2.0, "limit", 1.0).endswith("≤ 1 × | **missed**")


def test_figures_replace_those_of_before_and_nothing_else(page: ModuleType) -> None:
    before = f"words\n{page.BEGIN}\nold\n{page.END}more words\n"
    after = page.written(before, {"git": run(measure("some", 2.0, "bare", 1.0))})
    assert "old" not in after
    assert "### `make bench NAME=git`" in after
    assert "| some | 2 s | bare: 1 | 2 |" in after
    assert after.startswith("words\n")
    assert after.endswith("more words\n")
    assert page.written(after, {"git": run(measure("some", 2.0, "bare", 1.0))}) == after


def measure(name: str, value: float, baseline: str, beside: float) -> dict[str, Any]:
    made = {"name": name, "value": value, "unit": "s", "baseline": baseline}
    return {**made, "baseline_value": beside, "ratio": value / beside}


def run(*measures: dict[str, Any]) -> dict[str, Any]:
    machine = {"cores": 2, "architecture": "x86_64", "memory_gib": 8.0}
    about = {"date": "2026-01-01T00:00:00+00:00", "load": 0.5, "machine": machine}
    return {**about, "versions": {"python": "3.12.0"}, "measures": list(measures)}
