"""Write the newest figures into docs/performance.md: `python benchmarks/page.py`.

What is wanted of a figure stands here; what it means, in the page's own words.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

from run import HERE, figure, latest

PAGE = HERE.parent / "docs" / "performance.md"
BEGIN, END = "<!-- figures -->\n", "<!-- end of figures -->\n"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the measures that fit `names` should be: `value` or `ratio`, at most or at least."""

    names: str
    of: Literal["value", "ratio"]
    sign: Literal["≤", "≥"]
    number: float

    def met(self, measure: Mapping[str, Any]) -> bool:
        found: float = measure[self.of]
        return found <= self.number if self.sign == "≤" else found >= self.number

    def __str__(self) -> str:
        return f"{self.sign} {self.number:g}{' ×' if self.of == 'ratio' else ''}"


WANTED = (
    Wanted("landing_red_10_top_2_slots_runs", "value", "≤", 0.7),
    Wanted("landing_red_10_top_2_slots_speed", "ratio", "≥", 1.8),
    Wanted("landing_red_10_all_2_slots_runs", "value", "≤", 1.5),
    Wanted("landing_red_10_all_2_slots_speed", "ratio", "≥", 1.4),
    Wanted("landing_red_10_all_8_slots_runs", "value", "≤", 2.3),
    Wanted("landing_red_10_all_8_slots_speed", "ratio", "≥", 4.0),
    Wanted("git_seconds_per_bead*", "ratio", "≤", 1.3),
    Wanted("git_cpu_per_bead*", "ratio", "≤", 1.3),
    Wanted("git_ratio*", "ratio", "≤", 1.1),
    Wanted("demo_gate_runs_on_known_evidence", "value", "≤", 0),
    Wanted("feedback_prove_all", "value", "≤", 32),
    Wanted("feedback_prove_top", "value", "≤", 16),
    Wanted("swarm of 3 that do not think: transitions", "value", "≥", 1000),
    Wanted("swarm of * that do not think: transitions", "ratio", "≥", 0.5),
    Wanted("swarm of * that do not think: beads landed", "value", "≥", 100),
    Wanted("transitions, * caller*", "ratio", "≥", 0.5),
    Wanted("transitions, * agents", "ratio", "≥", 0.5),
    Wanted("claim p99, *", "ratio", "≤", 3.0),
    Wanted("opening 100,000 events", "value", "≤", 1.0),
    Wanted("sim_swarms_per_second", "value", "≥", 5.0),
)
"""The first that fits counts; a baseline named `limit` is one, too: at most that much."""


def wanted(measure: Mapping[str, Any]) -> Wanted | None:
    """What the issues ask of this measure; None where they ask for nothing."""
    name = measure["name"]
    for one in WANTED:
        if fnmatchcase(name, one.names):
            return one
    return Wanted(name, "ratio", "≤", 1.0) if measure["baseline"] == "limit" else None


def tables(results: Mapping[str, Any]) -> Iterator[str]:
    """A table in Markdown for each benchmark, line by line."""
    for name, run in sorted(results.items()):
        machine = run["machine"]
        yield f"### `make bench NAME={name}`"
        yield ""
        yield (
            f"{run['date'][:10]}, {machine['cores']} cores ({machine['architecture']}), "
            f"{machine['memory_gib']:g} GiB, Python {run['versions']['python']}, "
            f"load {run['load']:g} before it began"
        )
        yield ""
        yield "| measure | figure | beside | ratio | wanted | |"
        yield "|---|---|---|---|---|---|"
        yield from map(row, run["measures"])
        yield ""


def row(measure: Mapping[str, Any]) -> str:
    """One measure."""
    unit, asked = measure["unit"], wanted(measure)
    met = "" if asked is None else "met" if asked.met(measure) else "**missed**"
    beside = f"{measure['baseline']}: {figure(measure['baseline_value'])}"
    return (
        f"| {measure['name']} | {figure(measure['value'])} {unit} | {beside} "
        f"| {measure['ratio']:.3g} | {asked or ''} | {met} |"
    )


def written(page: str, results: Mapping[str, Any]) -> str:
    """The page with these figures in place of those it had."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    lines = "".join(f"{line}\n" for line in tables(results))
    return f"{before}{BEGIN}\n{lines}{END}{after}"


if __name__ == "__main__":
    if not (found := latest()):
        sys.exit("there are no figures yet: make bench")
    PAGE.write_text(written(PAGE.read_text(), found))
