"""moon's own reports: what it ran, and how each task ended.

Its exit code says too little: a `moon ci` for which nothing is affected ends with 0, and
leaves the report of the run before. So that is removed first, and the new one is held
against what was asked for. A report lies in the slot, where tasks that agents wrote may have
been: it is read bounded, and nothing in it is trusted to have a form.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from oya.folders import take_away
from oya.gates.files import NotAFile, read_regular

QUICK: Final = "moon run :quick"
CI: Final = 'moon ci --base "$OYA_BASE" --head "$OYA_HEAD"'
FORCE: Final = "--force"
CACHE: Final = ".moon/cache"
_LIMIT: Final = 50_000_000
_MOON: Final = re.compile(r"\s*moon\s+(run|ci)\b")
_GREEN: Final = frozenset({"passed", "cached", "cached-from-remote"})
_NAMED: Final = 10


@dataclass(frozen=True, slots=True)
class Task:
    """One task as moon reports it; `exit` is that of the run that decided, if there was one."""

    target: str
    status: str
    exit: int | None = None
    allowed_to_fail: bool = False

    @property
    def green(self) -> bool:
        return self.status in _GREEN and self.exit in (0, None)


class NoReport(Exception):
    """There is none that can be read; the text says why."""


def command_of(line: str) -> str | None:
    """ "run" or "ci", where a line is a call of moon that leaves a report."""
    found = _MOON.match(line)
    return found[1] if found else None


def forget(root: Path, line: str) -> None:
    """Remove the report that an earlier run has left in this checkout."""
    if (path := _report(root, line)) is not None:
        take_away(path)


def problem(root: Path, line: str) -> str:
    """What keeps the run of this line from having passed, by its report; empty if nothing.

    Raises NoReport.
    """
    path = _report(root, line)
    if path is None:
        raise NoReport(f"{CACHE} is no folder of the checkout")
    try:
        data = read_regular(path, _LIMIT + 1)
    except NotAFile as error:
        raise NoReport(f"moon's report is {error}") from error
    if len(data) > _LIMIT:
        raise NoReport(f"moon's report is larger than {_LIMIT} bytes")
    return judge(parse(data), asked_for(line))


def asked_for(line: str) -> tuple[str, ...]:
    """The targets that must have run: all that `moon run` names; `moon ci` chooses itself."""
    if command_of(line) != "run":
        return ()
    try:
        words = shlex.split(line)[2:]
    except ValueError:
        return ()
    words = words[: words.index("--")] if "--" in words else words
    return tuple(word for word in words if ":" in word and not word.startswith("-"))


def parse(data: bytes) -> tuple[Task, ...]:
    """The tasks of a report. Raises NoReport where it is none."""
    try:
        actions = json.loads(data)["actions"]
        return tuple(_tasks(actions))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise NoReport("moon's report cannot be read") from error


def judge(tasks: tuple[Task, ...], targets: tuple[str, ...]) -> str:
    """What keeps these tasks from being green; empty if nothing does."""
    bad = [task for task in tasks if not task.green and not task.allowed_to_fail]
    if bad:
        more = f", and {len(bad) - _NAMED} more" if len(bad) > _NAMED else ""
        return f"{', '.join(map(_said, bad[:_NAMED]))}{more}"
    missing = [target for target in targets if not any(_meets(t, target) for t in tasks)]
    if missing:
        return f"moon did not run {', '.join(missing[:_NAMED])}"
    if not any(task.green for task in tasks):
        return "moon ran no task"
    return ""


def _meets(task: Task, target: str) -> bool:
    """Whether a task is one that was asked for: `:quick` is that of every project, and which
    those of `#tag:quick` are, only moon knows."""
    project, _, name = target.rpartition(":")
    return task.target == target or (
        (project == "" or project[0] in "#^~") and task.target.endswith(f":{name}")
    )


def _said(task: Task) -> str:
    return f"{task.target} {task.status}" + (f" (exit {task.exit})" if task.exit else "")


def _tasks(actions: Any) -> Iterator[Task]:
    for action in actions:
        node = action["node"]
        if node["action"] != "run-task":
            if action["status"] == "failed":
                yield Task(str(action.get("label"))[:200], "failed")
            continue
        yield Task(
            str(node["params"]["target"])[:200],
            str(action["status"])[:50],
            _exit(action.get("operations") or ()),
            action.get("allowFailure") is True,
        )


def _exit(operations: Any) -> int | None:
    codes = [one["meta"].get("exitCode") for one in operations]
    numbers = [code for code in codes if isinstance(code, int)]
    return numbers[-1] if numbers else None


def _report(root: Path, line: str) -> Path | None:
    """Where the report of a line lies; None where a link leads out of the checkout."""
    folders = (root / ".moon", root / CACHE)
    if any(folder.is_symlink() for folder in folders):
        return None
    return root / CACHE / f"{command_of(line)}Report.json"
