"""The registry of crash points, and what the code makes of it."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import oya
from oya import crashpoints
from oya.errors import UsageError

SOURCE = Path(oya.__file__).parent
_CALL = re.compile(r"\bpoint\((.*?)\)")


@pytest.fixture(autouse=True)
def _disarmed() -> Iterator[None]:
    yield
    crashpoints.action = None


def test_the_code_comes_by_exactly_the_points_that_are_named() -> None:
    files = [path for path in SOURCE.rglob("*.py") if path.name != "crashpoints.py"]
    called = [name for path in files for name in _CALL.findall(path.read_text())]
    assert sorted(set(called)) == sorted(f'"{name}"' for name in crashpoints.POINTS)


def test_the_docs_list_them_as_they_are() -> None:
    rows = [f"| `{name}` | {words} |" for name, words in crashpoints.POINTS.items()]
    page = (SOURCE.parents[1] / "docs/testing.md").read_text().splitlines()
    assert [line for line in page if line.startswith("| `")] == rows


def test_without_an_action_nothing_happens() -> None:
    crashpoints.arm(None)
    crashpoints.point("landing.noted")


def test_an_action_gets_each_name_as_it_comes() -> None:
    came: list[str] = []
    crashpoints.action = came.append
    crashpoints.point("landing.noted")
    crashpoints.point("landing.intended")
    assert came == ["landing.noted", "landing.intended"]


@pytest.mark.parametrize(
    ("wanted", "what", "hint"),
    [
        ("landing.note", "there is no point landing.note", "Did you mean landing.noted?"),
        ("zzz:3", "there is no point zzz", "They are listed in docs/testing.md."),
        ("landing.noted:0", "0 is not a number above 0", ""),
        ("landing.noted:x", "x is not a number above 0", ""),
    ],
)
def test_what_there_is_not_is_a_clear_error(wanted: str, what: str, hint: str) -> None:
    with pytest.raises(UsageError, match=what) as refused:
        crashpoints.arm(wanted)
    assert refused.value.hint == hint
    assert crashpoints.action is None


@pytest.mark.parametrize(("wanted", "lines"), [("store.committed", 0), ("store.committed:3", 2)])
def test_it_dies_by_sigkill_at_the_passage_that_was_named(wanted: str, lines: int) -> None:
    program = (
        "from oya import crashpoints\n"
        f"crashpoints.arm({wanted!r})\n"
        "for n in range(9):\n"
        "    crashpoints.point('store.committing')\n"
        "    crashpoints.point('store.committed')\n"
        "    print(n, flush=True)\n"
    )
    done = subprocess.run(
        (sys.executable, "-c", program), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert done.stdout.splitlines() == [str(n) for n in range(lines)]
