"""Commands that judge: a contract's checks, a reviewer's challenges, permanent checks."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from oya.gates.feedback import bounded, clip

_SHOWN: Final = 1_500
_NOT_FOUND: Final = {126: "cannot be executed", 127: "names a command that is not there"}
_DURATION: Final = re.compile(r"\b\d+(?:[.,:]\d+)*\s?(?:ns|µs|us|ms|s|secs?|seconds?|m|min)\b")


@dataclass(frozen=True, slots=True)
class Check:
    """A command and the exit code that it is to have."""

    command: str
    expect: int = 0


@dataclass(frozen=True, slots=True)
class Ran:
    """A command as it ran. `exit` is None where a signal or the timeout ended it;
    `last_line` is that of its output (`last_line`)."""

    exit: int | None
    last_line: str
    tail: str
    timed_out: bool = False
    seconds: float = 0.0
    cpu_seconds: float = 0.0


def last_line(output: str) -> str:
    """The last line that is not blank. Every red `go test ./...` ends with a bare FAIL, below
    what failed, and how: the line before that is meant then."""
    lines = [stripped for line in output.splitlines() if (stripped := line.strip())]
    return next((line for line in reversed(lines) if line != "FAIL"), lines[-1] if lines else "")


def judge_check(ran: Ran, expect: int) -> bool:
    """Whether it holds. A run that was cut short does not."""
    return not ran.timed_out and ran.exit == expect


def same_result(one: Ran, other: Ran) -> bool:
    """Whether two runs gave the same exit code and last line, durations apart (every test
    runner ends with one). Runs cut short tell nothing, so they are never the same."""
    if one.exit is None or other.exit is None or one.timed_out or other.timed_out:
        return False
    return one.exit == other.exit and timeless(one.last_line) == timeless(other.last_line)


def judge_red_checks(results: Sequence[tuple[Check, Ran]]) -> tuple[str, ...]:
    """The gate of a contract of kind check: at least one is red on the base, for a reason.

    A check that fails because its command is missing or never ends would stay red; that
    is a finding, as is a list without a red one.
    """
    findings = []
    for check, ran in results:
        if ran.timed_out:
            findings.append(f"`{check.command}` was still running after {ran.seconds:.0f} s")
        elif ran.exit in _NOT_FOUND and ran.exit != check.expect:
            findings.append(f"`{check.command}` {_NOT_FOUND[ran.exit]}: {ran.last_line}")
    if not findings and all(judge_check(ran, check.expect) for check, ran in results):
        findings.append(
            "nothing is red: every check holds before the work is done"
            if results
            else "no check is named"
        )
    return bounded(findings)


def failing_checks(results: Sequence[tuple[Check, Ran]]) -> tuple[str, ...]:
    """What to tell the implementer about checks that do not hold; nothing: all hold."""
    return bounded(
        [
            f"`{check.command}` {_how(ran)}, expected {check.expect}\n{clip(ran.tail, _SHOWN)}"
            for check, ran in results
            if not judge_check(ran, check.expect)
        ]
    )


def _how(ran: Ran) -> str:
    if ran.timed_out:
        return f"was still running after {ran.seconds:.0f} s"
    return "was ended by a signal" if ran.exit is None else f"exited with {ran.exit}"


def timeless(line: str) -> str:
    """A text without its durations."""
    return _DURATION.sub("…", line)
