"""Deaths of a real daemon while it lets go of what is old.

A swarm is over, and all that it left is older than `[store] retention`: notes, evidence, refs of
attempts. The next daemon takes them out, dies in the middle of it, and the one after that goes on.
After each death `oya verify` must find whatever is missing explained; in the end as much is gone
as without a death, and no more.

    old = Old.make(folder, Tally())
    old.go(kills(round=3))
    old.wrong                           # (promise, words) of each breach
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import crash_checker
from crash_kit import GONE, Ground, until
from crash_rounds import LIFE, Kill, Tally

ROUNDS = 5
"""How often `make crash` dies at each of the points."""
RETENTION = '\n[store]\nretention = "1s"\n'


def kills(round: int) -> tuple[Kill, ...]:
    """One death at each point, in the order in which they come: what is gone at one of them does
    not come by it again."""
    return (
        Kill("retention.events_gone"),
        Kill("retention.evidence_gone"),
        Kill("retention.ref_gone", round),
    )


@dataclass
class Old:
    """One repository, and its git directory as it was when its swarm had ended."""

    ground: Ground
    tally: Tally
    wrong: list[tuple[str, str]] = field(default_factory=list)
    _undisturbed: set[str] = field(default_factory=set)

    @classmethod
    def make(cls, folder: Path, tally: Tally) -> Old:
        """A swarm lands its beads, then its records are too old."""
        folder.mkdir(parents=True)
        ground = Ground.make(folder)
        ground.finish()
        shutil.copytree(ground.repository / ".git", ground.home / "whole")
        settings = ground.repository / ".oya/swarm.toml"
        settings.write_text(settings.read_text() + RETENTION)
        return cls(ground, tally)

    def go(self, deaths: Sequence[Kill]) -> None:
        """From what it was to what is left, through these deaths."""
        if not self._undisturbed:
            self._live()
            self._undisturbed = self._left()
        self._restore()
        for kill in deaths:
            self._live(kill)
        self._live()
        for promise in PROMISES:
            found = promise(self._left(), self._undisturbed)
            self.wrong += [(promise.__name__, words) for words in found]

    def _restore(self) -> None:
        git = self.ground.repository / ".git"
        shutil.rmtree(git)
        shutil.copytree(self.ground.home / "whole", git)

    def _live(self, kill: Kill | None = None) -> None:
        """One daemon, to its death or its end."""
        ground, at = self.ground, kill.text if kill else ""
        code = ground.live(at).wait(LIFE)
        if code != (-signal.SIGKILL if kill else 0):
            self.wrong.append(("went_on", f"{at or 'to the end'}: exit {code}"))
        elif kill:
            self.tally.hit(kill)
        try:
            until(lambda: not ground.living(), "nothing left", GONE, ground.living)
        except AssertionError as error:
            self.wrong.append((crash_checker.nothing_runs.__name__, f"{at}: {error}"))
        self.wrong += crash_checker.broken(ground)

    def _left(self) -> set[str]:
        """The first swarm's events that are still there, and all refs, a line each."""
        events = self.ground.oya("events", "--format", "json").stdout.splitlines()
        first = {line for line in events if '"swarm": "swarm-1"' in line}
        return first | {*self.ground.git("for-each-ref").splitlines()}


def nothing_else_goes(left: set[str], undisturbed: set[str]) -> Iterator[str]:
    """What is left without a death is left with some."""
    yield from (f"it is gone: {line}" for line in sorted(undisturbed - left))


def what_is_old_goes(left: set[str], undisturbed: set[str]) -> Iterator[str]:
    """What goes without a death is gone after some."""
    yield from (f"it is still there: {line}" for line in sorted(left - undisturbed))


PROMISES = (nothing_else_goes, what_is_old_goes)
"""Beside those of `oya verify`."""
