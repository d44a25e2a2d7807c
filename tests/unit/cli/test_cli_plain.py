"""What agents, tests and trackers have written does not reach a terminal as orders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from oya.cli import logs, output
from oya.cli.screen import Screen

EVIL = "\x1b[2J\x1b]0;pwned\x07\x9b1m\u202eabc\r"
TAME = "␛[2J␛]0;pwned␇\ufffd1m\ufffdabc␍"


class Daemon:
    """Answers any question with a status full of orders."""

    def get(self, what: str) -> dict[str, Any]:
        return {
            "id": "swarm-1",
            "status": "running",
            "reason": EVIL,
            "started_at": None,
            "estimated_completion": None,
            "landed_beads": 0,
            "target_beads": 1,
            "phases": {},
            "beads": {"pending": 0, "held": 0, "failed": 0},
            "landing": {
                "queued": 0,
                "behind": {},
                "red_base": None,
                "remote": EVIL,
                "left_out": None,
            },
            "backends": [],
            "agents": [],
        }


def test_words_for_a_person_show_what_a_terminal_would_obey(
    capsys: pytest.CaptureFixture[str],
) -> None:
    output.lines([f"a title {EVIL}", "\x1b[31mred\x1b[0m\tand tabs"])
    output.say(EVIL)
    assert capsys.readouterr() == (f"a title {TAME}\nred\tand tabs\n", f"{TAME}\n")


def test_a_diff_that_is_piped_is_exact(capsys: pytest.CaptureFixture[str]) -> None:
    output.lines([EVIL], exact=True)
    assert capsys.readouterr().out == f"{EVIL}\n"


def test_a_log_is_shown_and_not_obeyed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.log").write_text(EVIL)
    assert logs._print_tail(tmp_path / "x.log") == len(EVIL.encode())
    logs._print_from(tmp_path / "x.log", 0)
    assert capsys.readouterr().out == TAME * 2


def test_the_screen_shows_and_does_not_obey(capsys: pytest.CaptureFixture[str]) -> None:
    screen = Screen(Daemon(), Console(width=120, force_terminal=True))  # type: ignore[arg-type]
    screen.add(f"an event {EVIL}")
    screen.refresh()
    screen.close()
    shown = capsys.readouterr().out
    assert "pwned" in shown
    assert "\x1b]" not in shown
    assert "\x07" not in shown
