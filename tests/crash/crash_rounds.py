"""Runs of the scenario with several kills each: chosen, carried out, checked.

A run is a repository of its own. The daemon is started, dies at a named point or by a signal,
is started again, and so on; then `oya swarm` goes to the end, and the checker looks. What a run
did is one line of text (`Kill.text`), and the same line does it again.
"""

from __future__ import annotations

import random
import signal
import subprocess
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import crash_checker
from crash_kit import GONE, Ground, until

from oya.crashpoints import POINTS

OUTSIDE, GUARDS, ALL = "outside", "guards", "everything"
LIFE = 60.0
"""Seconds that a daemon may take to its death or its end, on a busy machine."""
EARLY = 2.5
"""Seconds within which a kill from outside comes."""

FIRST = (
    "store.sequence_written",
    "store.sequence_created",
    "store.batch_migrated",
    "store.migrating",
    "store.migrated",
    "line.begun",
    "tracker.added",
)
"""Points that only a fresh repository comes by, in that order."""
UNTRACKED = ("tracker.written", "tracker.renamed", "tracker.closed", "tracker.forgotten")
"""Points that are there only where git does not track the tracker's file."""
ENDING = ("store.stopped", "store.closed", "store.clean_marked")
"""Points of a graceful end: the daemon is stopped by SIGTERM."""
OLD = tuple(name for name in POINTS if name.startswith("retention."))
"""Points that only a daemon comes by whose records are old: crash_retention.py dies at them."""
_KEPT = ("follow.kept", "follow.staged", "follow.merged", "follow.let_go")
ELSEWHERE = {
    **{name: "tests/unit/store/test_store_transfer.py" for name in POINTS if "import_" in name},
    "line.pushed": "tests/unit/swarm/test_line_remote.py",
    **dict.fromkeys(_KEPT, "tests/unit/repository/test_follow_file.py"),
}
"""Points that no daemon of these runs comes by, and the test that dies at them."""
HERE = tuple(name for name in POINTS if name not in (*OLD, *ELSEWHERE))
_LANDINGS = tuple(f"landing.{name}" for name in ("started", "held", "proven", "noted"))
AFTER = {
    "resume.completed": ("landing.line_moved",),
    "resume.dropped": ("landing.intended",),
    "resume.left": (*_LANDINGS, "landing.intended"),
    "resume.candidate_gone": ("landing.landed", "resume.left"),
}
"""Points that come only right after a death at one of these, which is therefore chosen first."""
HARVEST = ("resume.harvested", "resume.lease_ended")
"""Points that come only where attempts were under way."""
OFTEN = {"store.committing": 90, "store.committed": 90, "store.acknowledged": 90}
"""Points that are passed often: up to which passage they kill."""
BEFORE_RECOVERY = ("daemon.", "store.", OUTSIDE)
"""Points that a daemon may come by before it has ended what the one before left running."""
SOMETIMES = 3
"""The same for other points of attempts and gates."""


@dataclass(frozen=True)
class Kill:
    """One death: at a point (the n-th passage), or after so many seconds by a signal."""

    how: str
    n: int = 1
    seconds: float = 0.0

    @property
    def text(self) -> str:
        """As it is typed."""
        passage = f":{self.n}" if self.n > 1 else ""
        moment = f"@{self.seconds:.2f}" if self.seconds else ""
        return f"{self.how}{passage}{moment}"

    @classmethod
    def parse(cls, text: str) -> Kill:
        """The reverse of `text`."""
        rest, _, seconds = text.partition("@")
        how, _, n = rest.partition(":")
        if how not in POINTS and how not in (OUTSIDE, GUARDS, ALL):
            raise SystemExit(f"there is no point {how}")
        return cls(how, int(n or 1), float(seconds or 0))


@dataclass
class Tally:
    """What all runs came to, shared by those that go on side by side."""

    hits: Counter[str] = field(default_factory=Counter)
    planned: Counter[str] = field(default_factory=Counter)
    breaches: list[tuple[str, str, str]] = field(default_factory=list)
    """(promise, words, the command that does the run again)."""
    runs: int = 0
    heard: int = 0
    """Events that followers were told."""
    lock: Lock = field(default_factory=Lock)

    @property
    def kills(self) -> int:
        """All of them."""
        return sum(self.hits.values())

    def least(self, names: Iterable[str], chance: random.Random) -> str:
        """The point with the fewest kills and tries; among equals, by chance."""
        with self.lock:
            name = min(names, key=lambda n: (self.hits[n], self.planned[n], chance.random()))
            self.planned[name] += 1
        return name

    def lags(self, names: Iterable[str]) -> bool:
        """Whether one of these has been hit no more often than the least hit of all."""
        with self.lock:
            return min(self.hits[n] for n in names) <= min(self.hits[n] for n in HERE) + 1

    def hit(self, kill: Kill) -> None:
        """It has killed."""
        with self.lock:
            self.hits[kill.how] += 1


@dataclass
class Run:
    """One repository and its kills. `given`: exactly these; else up to `most` are chosen."""

    seed: int
    tally: Tally
    folder: Path
    most: int = 8
    given: tuple[Kill, ...] | None = None
    tracked: bool = True
    _ground: Ground = field(init=False)
    _done: list[Kill] = field(default_factory=list)
    _last: str = ""
    _ended: bool = False
    wrong: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)

    @property
    def command(self) -> str:
        """What does this run again."""
        kills = " ".join(kill.text for kill in self._done)
        untracked = "" if self.tracked else " UNTRACKED=1"
        return f'make crash{untracked} KILLS="{kills}"'

    def go(self) -> None:
        """To its end; whatever is wrong is in the tally."""
        self.folder.mkdir(parents=True)
        self._ground = Ground.make(self.folder, tracked=self.tracked)
        self._ground.listen()
        try:
            for kill in self._kills():
                self._done.append(kill)
                self._live(kill)
                if self._ended:
                    break
            self._finish()
        except Exception:
            self.wrong.append(("went_on", traceback.format_exc()))
        finally:
            self._ground.close()
        with self.tally.lock:
            self.tally.runs += 1
            self.tally.heard += len(self._ground.heard)
            self.tally.breaches += [(*wrong, self.command) for wrong in self.wrong]

    # Choosing -----------------------------------------------------------------------------

    def _kills(self) -> Iterator[Kill]:
        if self.given is not None:
            yield from self.given
            return
        if self.tally.lags(FIRST):
            yield Kill(self.tally.least(FIRST, self._chance))
        while len(self._done) < self.most:
            yield self._chosen()

    def _chosen(self) -> Kill:
        sometimes = self._chance.random()
        if sometimes < 0.2:
            how = GUARDS if sometimes < 0.05 else ALL if sometimes < 0.1 else OUTSIDE
            return Kill(how, seconds=self._chance.uniform(0.05, EARLY))
        name = self.tally.least(self._possible(), self._chance)
        if self._last not in AFTER.get(name, (self._last,)):
            name = self.tally.least((n for n in AFTER[name] if n not in AFTER), self._chance)
        if name in ENDING:
            return Kill(name, seconds=self._chance.uniform(0.6, EARLY))
        if name.startswith(("attempt.", "gate.", "process.", "workspace.", *OFTEN)):
            return Kill(name, self._chance.randint(1, OFTEN.get(name, SOMETIMES)))
        return Kill(name)

    def _possible(self) -> list[str]:
        then = [name for name, before in AFTER.items() if self._last in before]
        if then and self.tally.lags(then):
            return then
        never = {*FIRST, *(UNTRACKED if self.tracked else ())}
        if not self._under_way():
            never |= {*HARVEST}
        return [name for name in HERE if name not in never]

    def _under_way(self) -> bool:
        homes = (self._ground.home / "cache" / "oya").glob("*/work/*")
        return any(True for _ in homes)

    # Dying --------------------------------------------------------------------------------

    def _live(self, kill: Kill) -> None:
        at = kill.text.partition("@")[0] if kill.how in POINTS else ""
        orphans = {*self._ground.pids()}
        process = self._ground.live(at)
        with _ended(process):
            self._die(kill, process)
        self._ended = process.returncode == 0
        if process.returncode == -signal.SIGKILL:
            self.tally.hit(kill)
            self._last = kill.how
        elif process.returncode not in (0, 5):
            out = (self._ground.home / "daemon.out").read_text()[-2000:]
            self.wrong.append(("went_on", f"{kill.text}: exit {process.returncode}: {out}"))
        self._look_at_processes(kill, orphans)

    def _die(self, kill: Kill, process: subprocess.Popen[bytes]) -> None:
        if kill.how in ENDING:  # before that nobody hears a SIGTERM
            until(lambda: process.poll() is not None or self._ground.answers(), "an answer", LIFE)
        if kill.seconds:
            try:
                process.wait(kill.seconds)
            except subprocess.TimeoutExpired:
                if kill.how == GUARDS:
                    self._ground.kill_with_guards()
                elif kill.how == ALL:
                    self._ground.kill_everything()
                else:
                    process.send_signal(signal.SIGKILL if kill.how == OUTSIDE else signal.SIGTERM)
        try:
            process.wait(LIFE)
        except subprocess.TimeoutExpired:
            words = f"{kill.text}: neither dead nor done after {LIFE:.0f} s"
            self.wrong.append(("went_on", words))

    def _look_at_processes(self, kill: Kill, orphans: set[int]) -> None:
        """Nothing runs after a death; only where the guards died too, until the next daemon
        has recovered."""
        if kill.how == GUARDS:
            return
        may = orphans if kill.how.startswith(BEFORE_RECOVERY) else set[int]()
        ground = self._ground
        try:
            until(lambda: {*ground.pids()} <= may, "nothing left", GONE, ground.living)
        except AssertionError as error:
            self.wrong.append((crash_checker.nothing_runs.__name__, f"{kill.text}: {error}"))
        self._ground.note_stakes()

    # Afterwards ---------------------------------------------------------------------------

    def _finish(self) -> None:
        ground = self._ground
        if not (self._ended or self._is_complete()):
            final = ground.finish()
            if final["id"] == "swarm-1" and final["landed_beads"] != 4:
                self.wrong.append(("went_on", f"it ended with {final}"))
        until(lambda: not ground.living(), "nothing left", GONE, ground.living)
        ground.hear_no_more()
        if not ground.heard:
            self.wrong.append(("went_on", "no daemon has said anything to the follower"))
        found, breaches = crash_checker.look(ground)
        self.wrong += breaches
        swarms = {row["swarm"] for row in found.events}
        ends = {row["swarm"] for row in found.events if row["event"] == "swarm_completed"}
        # A kill may come between the end of the swarm and that of its daemon; then a second
        # swarm is right, and has nothing to do.
        if swarms != {"swarm-1"} and "swarm-1" not in ends:
            self.wrong.append(("went_on", f"there are {swarms}"))

    def _is_complete(self) -> bool:
        """A kill may have come after the swarm's end."""
        line = self._ground.git("rev-list", "--count", "refs/oya/line/main", check=False)
        if line != "5":
            return False
        return bool(self._ground.json("swarm", "status")["status"] == "completed")


@contextmanager
def _ended(process: subprocess.Popen[bytes]) -> Iterator[None]:
    try:
        yield
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
