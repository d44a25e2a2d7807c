"""What a scenario of the recorded agent must look like; docs/reference/scenario.md."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROLES = ("test_writer", "implementer", "reviewer", "planner")


def check(path: str) -> int:
    """Print what is wrong with a file, or that nothing is; 2 or 0."""
    scenario, wrong = load(Path(path))
    if wrong:
        print(*(f"{path}: {line}" for line in wrong), sep="\n", file=sys.stderr)
        return 2
    print(f"{path}: {len(scenario['entries'])} entries, well formed")
    return 0


def load(path: Path) -> tuple[Any, list[str]]:
    """The scenario, and what is wrong with it, each line with its place; raises nothing."""
    try:
        scenario = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        return None, [str(error.strerror)]
    except ValueError as error:
        return None, [f"not JSON: {error}"]
    return scenario, list(problems(scenario))


def problems(scenario: Any) -> Iterator[str]:
    """What is wrong with a decoded scenario, each line beginning with its place."""
    if not isinstance(scenario, dict) or scenario.get("version") != 1:
        yield "version: must be 1"
        return
    yield from _unknown(scenario, ("version", "entries"), "")
    if not isinstance(scenario.get("entries"), list):
        yield "entries: must be a list"
        return
    seen: dict[Any, int] = {}
    for n, entry in enumerate(scenario["entries"]):
        place = f"entries[{n}]"
        if not isinstance(entry, dict):
            yield f"{place}: must be an object"
            continue
        yield from _problems_of_entry(entry, place)
        key = json.dumps([entry.get("bead"), entry.get("role"), entry.get("attempt", 1)])
        if seen.setdefault(key, n) != n:
            yield f"{place}: is for the same bead, role and attempt as entries[{seen[key]}]"


def _problems_of_entry(entry: dict[str, Any], place: str) -> Iterator[str]:
    yield from _unknown(entry, ("bead", "role", "attempt", "steps", "fixes"), f"{place}.")
    if not isinstance(entry.get("bead"), str) or not entry["bead"]:
        yield f'{place}.bead: must be the id of a bead, or "*"'
    if entry.get("role") not in ROLES:
        yield f"{place}.role: must be one of {', '.join(ROLES)}"
    if not _is_number(entry.get("attempt", 1), 1):
        yield f"{place}.attempt: must be a number from 1"
    yield from _problems_of_steps(entry.get("steps"), f"{place}.steps")
    fixes = entry.get("fixes", [])
    if not isinstance(fixes, list):
        yield f"{place}.fixes: must be a list of lists of steps"
        return
    for n, steps in enumerate(fixes):
        yield from _problems_of_steps(steps, f"{place}.fixes[{n}]")


def _problems_of_steps(steps: Any, place: str) -> Iterator[str]:
    if not isinstance(steps, list):
        yield f"{place}: must be a list of steps"
        return
    for n, step in enumerate(steps):
        if not isinstance(step, dict) or len(step) != 1:
            yield f"{place}[{n}]: must be an object with one key, the name of the step"
            continue
        ((name, value),) = step.items()
        if name not in _WANTED:
            yield f"{place}[{n}].{name}: unknown; a step is one of {', '.join(_WANTED)}"
        elif not _WANTED[name][0](value):
            yield f"{place}[{n}].{name}: must be {_WANTED[name][1]}"


def _unknown(given: dict[str, Any], known: tuple[str, ...], place: str) -> Iterator[str]:
    return (f"{place}{key}: unknown" for key in given if key not in known)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any, least: int, most: float = 1e12) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_files(value: Any) -> bool:
    return isinstance(value, dict) and all(path and _is_text(value[path]) for path in value)


def _is_change(value: Any) -> bool:
    return _is_files(value) and set(value) == {"path", "find", "replace"} and value["find"] != ""


def _is_error(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and set(value) <= {"status", "message", "as"}
        and _is_number(value.get("status"), 100, 599)
        and _is_text(value.get("message", ""))
        and value.get("as", "error") in ("error", "end_turn")
    )


def _is_flood(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and set(value) == {"stream", "bytes"}
        and value["stream"] in ("stdout", "stderr", "updates")
        and _is_number(value["bytes"], 1)
    )


def _is_paths(value: Any) -> bool:
    return isinstance(value, list) and all(_is_text(path) and path for path in value)


def _is_seconds(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


_WANTED: dict[str, tuple[Callable[[Any], bool], str]] = {
    "say": (_is_text, "a text"),
    "write": (_is_files, "an object of paths and texts"),
    "edit": (_is_change, "an object with the texts path, find and replace"),
    "delete": (_is_paths, "a list of paths"),
    "apply": (_is_text, "a unified diff"),
    "run": (_is_text, "a line for the shell"),
    "answer": (lambda value: isinstance(value, dict), "an object"),
    "wait": (_is_seconds, "a number of seconds"),
    "hang": (lambda value: value is True, "true"),
    "crash": (lambda value: value is True, "true"),
    "exit": (lambda value: _is_number(value, 0, 255), "a number from 0 to 255"),
    "stop": (_is_text, "a stop reason"),
    "error": (_is_error, 'an object: status, and if need be message, and as "end_turn"'),
    "flood": (_is_flood, "an object: stream (stdout, stderr or updates) and bytes"),
    "leave": (_is_text, "a line for the shell"),
}
