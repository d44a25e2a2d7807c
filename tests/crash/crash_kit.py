"""A small repository, a real swarm on it, and ways to kill it.

Four beads whose gates are shell lines: `alpha` (its first implementer crashes), `beta` (its
first implementation does not survive the review), `gamma` and `delta` (they change the same
line, so the second one to land conflicts). The agent is the recorded one, and what it plays
holds for any number of attempts: it does not matter which of them a kill takes.

    ground = Ground.make(tmp_path)
    ground.start()                      # `oya swarm --detach`: nobody but the daemon is left
    ground.wait_for("claimed", 2)
    ground.kill()                       # SIGKILL; then nothing may run, and nothing is lost
    ground.finish()                     # `oya swarm`, to the end
    crash_checker.check(ground)
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from crash_follower import Follower

from oya import crashpoints
from oya.daemon.client import Client, NoDaemon
from oya.daemon.request import Request

BEADS = ("gamma", "delta", "alpha", "beta")
"""In the order of their priority."""
GONE = 30.0
"""Seconds after which nothing of a killed swarm may run."""
PATIENCE = 90.0
"""Seconds for anything else, on a busy machine."""
LOOK = 0.05
CHILD = "sleep 3218"
"""A program that an agent starts."""

CONFIG = """\
[defaults]
target_beads = 4
test_writers = 2
implementers = 2
reviewers = 2
backend = "recorded"
[backends.recorded]
kind = "scripted"
scenario = "{scenario}"
max_sessions = 4
[sandbox]
kind = "none"
[quality-gates]
quick = ["test -s list.txt"]
ci = ["sh check.sh"]
[contract]
repeat = 2
[execution]
grace = "1s"
stall_timeout = "40s"
{more}
"""

CHECK = """\
# Every line of the list is a word, and every check that somebody has written holds.
if [ -e "$HOME/slow-gate" ]; then rm "$HOME/slow-gate"; exec sleep 3217; fi
! grep -vqx '[a-z]*' list.txt || exit 1
for check in checks/*.sh; do sh "$check" || { echo "$check: red"; exit 1; }; done
"""

Steps = list[dict[str, Any]]


def scenario(waits: Mapping[str, float], crash: bool = True, child: str = "") -> dict[str, Any]:
    """What the agents play. `waits`: bead → seconds that its first implementer takes longer;
    the bead's own trouble comes with the second one then. `crash`: whether alpha's is played.
    `child`: whose first implementer begins with a program that does not end (`CHILD`)."""
    entries: list[dict[str, Any]] = [
        {"bead": "*", "role": "reviewer", "steps": [{"answer": {"challenges": []}}]},
        {"bead": "*", "role": "planner", "steps": [{"answer": {"verdict": "accept"}}]},
        {"bead": "beta", "role": "test_writer", "steps": [{"answer": _beta_contract()}]},
        {"bead": "beta", "role": "reviewer", "steps": [{"answer": _beta_challenge()}]},
    ]
    entries += [_test_writer(bead) for bead in BEADS if bead != "beta"]
    for bead in BEADS:
        first, later = _implementation(bead)
        first = first if crash or bead != "alpha" else later
        first = [{"run": CHILD}, *first] if bead == child else first
        slow = bead in waits
        if slow:
            entries.append(_implementer(bead, 1, [*later, {"wait": waits[bead]}]))
        entries.append(_implementer(bead, 1 + slow, first))
        entries.append(_implementer(bead, 2 + slow, later))
    return {"version": 1, "entries": entries}


def _implementer(bead: str, attempt: int, steps: Steps) -> dict[str, Any]:
    return {"bead": bead, "role": "implementer", "attempt": attempt, "steps": steps}


def _implementation(bead: str) -> tuple[Steps, Steps]:
    """What the first implementer does, and every later one."""
    if bead == "alpha":
        done: Steps = [{"delete": ["half.txt"]}, {"write": {"alpha.txt": "alpha\n"}}]
        return [{"write": {"half.txt": "half of it\n"}}, {"crash": True}], done
    if bead == "beta":
        return [{"write": {"beta.txt": "beta\n"}}], [{"write": {"beta.txt": "beta, strict\n"}}]
    # Both sides of a conflict are kept, once, whatever the markers say.
    line = f"(grep -hx '[a-z]*' list.txt; echo {bead}) | sort -u > list.new; mv list.new list.txt"
    return [{"run": line}], [{"run": line}]


def _test_writer(bead: str) -> dict[str, Any]:
    where = "alpha.txt" if bead == "alpha" else "list.txt"
    plan = {"id": f"checks/{bead}.sh", "kind": "happy", "covers": ["AC1"]}
    answer = {"kind": "behaviour", "test_plan": [plan], "test_files": [f"checks/{bead}.sh"]}
    steps: Steps = [
        {"write": {f"checks/{bead}.sh": f"grep -qx {bead} {where}\n"}},
        {"answer": answer},
    ]
    return {"bead": bead, "role": "test_writer", "steps": steps}


def _beta_contract() -> dict[str, Any]:
    check = {"command": "grep -q beta beta.txt", "expect": 0, "clause": "AC1"}
    return {"kind": "check", "checks": [check]}


def _beta_challenge() -> dict[str, Any]:
    challenge = {"command": "grep -q strict beta.txt || { echo lax; exit 3; }", "clause": "AC1"}
    return {"challenges": [challenge | {"expect": 0, "why": "It has to be strict."}]}


def backlog() -> str:
    """`.beads/issues.jsonl`."""
    rows = [
        {
            "id": bead,
            "title": f"Say {bead}",
            "description": f"The repository should know {bead}.",
            "acceptance_criteria": f"{bead} is there",
            "status": "open",
            "priority": number,
            "issue_type": "task",
            "created_at": f"2026-05-0{number + 1}T09:00:00Z",
        }
        for number, bead in enumerate(BEADS)
    ]
    return "".join(json.dumps(row) + "\n" for row in rows)


@dataclass
class Ground:
    """One repository with a home of its own. Whatever has that home in its environment is of
    this swarm, so that no list of process ids is needed to find what is left."""

    repository: Path
    home: Path
    run: Path
    tracked: bool = True
    at_stake: dict[str, dict[str, bytes]] = field(default_factory=dict)
    """Attempt ("bead/epoch") → uncommitted files that lay in its workspace at a kill."""
    heard: list[dict[str, Any]] = field(default_factory=list)
    """Every event that `wait_for` has passed, or a follower: what was acknowledged to somebody
    outside. None of it may be lost."""
    kills: int = 0
    _seen: int = 0
    _pid: int = 0
    _ended: bool = False
    _follower: Follower | None = None

    @classmethod
    def make(
        cls,
        folder: Path,
        *,
        more: str = "",
        waits: Mapping[str, float] | None = None,
        crash: bool = True,
        child: str = "",
        tracked: bool = True,
    ) -> Ground:
        """A fresh one. `more`: lines for the end of the configuration (`[execution]`);
        `tracked`: git has the tracker's file; the rest is for `scenario`."""
        home, repository = folder / "home", folder / "book"
        home.mkdir()
        run = Path(tempfile.mkdtemp(prefix="oya-crash-"))  # a socket's path must be short
        ground = cls(repository.resolve(), home.resolve(), run, tracked)
        recorded = folder / "scenario.json"
        recorded.write_text(json.dumps(scenario(waits or {}, crash, child)))
        files = {
            "check.sh": CHECK,
            "checks/title.sh": "test -s title.txt\n",
            "title.txt": "A list of words\n",
            "list.txt": "bread\nzest\n",
            ".beads/issues.jsonl": backlog(),
            ".oya/swarm.toml": CONFIG.format(scenario=recorded, more=more),
        }
        for name, text in files.items():
            (repository / name).parent.mkdir(parents=True, exist_ok=True)
            (repository / name).write_text(text)
        (home / ".gitconfig").write_text("[user]\n\tname = Ada\n\temail = ada@example.com\n")
        ground.git("init", "-q", "-b", "main")
        if not tracked:
            (repository / ".git/info/exclude").write_text(".beads/\n")
        ground.git("add", "-A")
        ground.git("commit", "-q", "-m", "A list of words, and a backlog")
        return ground

    @property
    def env(self) -> dict[str, str]:
        """The environment of everything here."""
        return {
            "PATH": f"{self.home / 'bin'}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "XDG_CACHE_HOME": str(self.home / "cache"),
            "XDG_RUNTIME_DIR": str(self.run),
            "LANG": "C.UTF-8",
            "GIT_CONFIG_NOSYSTEM": "1",
        }

    @property
    def state(self) -> Path:
        """oya's own folder in the repository."""
        return self.repository / ".git" / "oya"

    @property
    def cache(self) -> Path:
        """Workspaces and slots."""
        return next((self.home / "cache" / "oya").iterdir())

    @property
    def client(self) -> Client:
        """To the daemon's socket."""
        found = next((self.run / "oya").glob("*.sock"), self.run / "none")
        return Client(found, timeout=10.0)

    # Commands ----------------------------------------------------------------------------

    def git(self, *args: str, check: bool = True) -> str:
        """What git says on stdout."""
        done = subprocess.run(
            ("git", "-C", str(self.repository), *args),
            env=self.env,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert not check or done.returncode == 0, (args, done.stderr)
        return done.stdout.rstrip("\n")

    def popen(self, *args: str, **more: Any) -> subprocess.Popen[str]:
        """One oya command, started."""
        command = (sys.executable, "-P", "-m", "oya.cli.main", *args)
        given: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(command, cwd=self.repository, env=self.env, **(given | more))

    def oya(self, *args: str, code: int | None = 0) -> subprocess.CompletedProcess[str]:
        """One oya command to its end, with this exit code."""
        process = self.popen(*args)
        out, err = process.communicate(timeout=PATIENCE)
        assert code is None or process.returncode == code, (args, process.returncode, out, err)
        return subprocess.CompletedProcess(args, process.returncode, out, err)

    def json(self, *args: str) -> Any:
        """The answer of a command, the last line of it."""
        return json.loads(self.oya(*args, "--format", "json").stdout.splitlines()[-1])

    def start(self, *args: str) -> int:
        """Start the swarm, or go on; the daemon's process id."""
        self.oya("swarm", "--detach", *args)
        return self.daemon()

    def daemon(self) -> int:
        """The running daemon's process id."""
        self._pid = int((self.state / "daemon.pid").read_text())
        return self._pid

    def new_daemon(self) -> int:
        """Wait for one that has only just taken the state; its process id."""
        before = self._pid
        until(lambda: self._said_pid() not in (0, before), "a new daemon")
        return self.daemon()

    def _said_pid(self) -> int:
        try:
            return int((self.state / "daemon.pid").read_text())
        except (OSError, ValueError):
            return 0

    def live(self, crash_at: str = "") -> subprocess.Popen[bytes]:
        """A daemon, started as `oya swarm` starts it, that kills itself at this point."""
        request = Request(str(self.repository)).to_json()
        more = {crashpoints.VARIABLE: crash_at} if crash_at else {}
        with (self.home / "daemon.out").open("ab") as out:
            process = subprocess.Popen(
                (sys.executable, "-P", "-m", "oya.daemon", request),
                cwd="/",
                env=self.env | more,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self._pid = process.pid
        return process

    def finish(self, code: int = 0) -> dict[str, Any]:
        """`oya swarm` to its end, unless a kill came after that; the final status."""
        if self._ended:
            return dict(self.json("swarm", "status"))
        done = self.oya("swarm", "--format", "json", code=code)
        final: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        assert final["exit"] == code, done
        return final

    # Moments ------------------------------------------------------------------------------

    def wait_for(self, event: str, n: int = 1, *, bead: str | None = None) -> bool:
        """Until the n-th such event from here on; False if the daemon ended without it."""
        for row in self._follow():
            if row["event"] == event and bead in (None, row["bead"]):
                n -= 1
            if n == 0:
                return True
        return False

    def listen(self) -> None:
        """From now on everything is heard that a daemon here says, until `hear_no_more`."""
        self._follower = Follower(lambda: self.client)
        self.heard = self._follower.heard

    def hear_no_more(self) -> None:
        """Once nothing runs: what was heard is whole."""
        assert self._follower is not None
        self._follower.stop()

    def _follow(self) -> Iterator[dict[str, Any]]:
        until(lambda: self.answers() or not self._lives(), "the daemon's socket")
        try:
            for row in self.client.follow(self._seen):
                if "seq" not in row:
                    return
                self._seen = row["seq"]
                self.heard.append(row)
                yield row
        except NoDaemon:
            return

    def answers(self) -> bool:
        """Whether the daemon does, on its socket."""
        try:
            return bool(self.client.get("status"))
        except NoDaemon:
            return False

    def _lives(self) -> bool:
        return self._pid in self.pids()

    # Ends ---------------------------------------------------------------------------------

    def kill(self) -> None:
        """SIGKILL the daemon, unless it has ended by itself. Within 5 s nothing of the swarm
        runs, before any other command."""
        try:
            os.kill(self._pid, signal.SIGKILL)
            self.kills += 1
        except ProcessLookupError:
            pass
        until(lambda: not self.living(), "nothing left", GONE, self.living)
        self._ended = not (self.state / "daemon.pid").exists()  # which it takes away itself
        self.note_stakes()

    def kill_everything(self) -> None:
        """SIGKILL whatever is of this ground, gits too, as the end of a container does. Locks of
        git's in the user's part of the repository go, as a person would have them go."""
        _signal(self._pid, signal.SIGSTOP)
        while pids := self.pids():
            for pid in (self._pid, *pids):
                _signal(pid, signal.SIGKILL)
        for name in ("index.lock", "HEAD.lock", "packed-refs.lock", "refs/heads/main.lock"):
            (self.repository / ".git" / name).unlink(missing_ok=True)

    def kill_with_guards(self) -> None:
        """SIGKILL the daemon and all guards at one moment: what they guarded is left running."""
        guards = self.pids("guard.py")
        for pid in guards:
            _signal(pid, signal.SIGSTOP)
        for pid in (self._pid, *guards):
            _signal(pid, signal.SIGKILL)

    def note_stakes(self) -> None:
        """Remember what lies uncommitted in the workspaces: none of it may be lost."""
        if not (self.home / "cache").exists():
            return
        for folder in sorted((self.cache / "work").glob("*")):
            attempt = "/".join(folder.name.rsplit(".", 1))
            if not _is_ready(self.state / "admin" / "work" / folder.name):
                continue
            listed = self.git(
                *("-C", str(folder), "ls-files", "--others", "--modified", "--", ".", ":!.oya"),
                check=False,
            )
            paths = [path for path in listed.splitlines() if (folder / path).is_file()]
            lies = {path: (folder / path).read_bytes() for path in paths}
            self.at_stake.setdefault(attempt, {}).update(lies)

    def living(self) -> list[str]:
        """What runs here: pid and command line of each process."""
        return [f"{pid} {_words(pid)}" for pid in self.pids()]

    def pids(self, *words: str) -> list[int]:
        """Processes of this ground whose command line and environment have all these words."""
        home = f"HOME={self.home}".encode()
        found = []
        for name in os.listdir("/proc"):
            if name.isdigit():
                there = _environment(int(name))
                text = f"{_words(int(name))} {' '.join(there)}" if home.decode() in there else ""
                if text and all(word in text for word in words):
                    found.append(int(name))
        return sorted(found)

    def close(self) -> None:
        """Whatever a failing test has left is ended, and the socket's folder goes."""
        for pid in self.pids():
            _signal(pid, signal.SIGKILL)
        if self._follower is not None:
            self._follower.leave()
        shutil.rmtree(self.run, ignore_errors=True)


def until(
    true: Callable[[], object],
    what: str,
    seconds: float = PATIENCE,
    told: Callable[[], object] = lambda: "",
) -> None:
    """Wait until it is so; an assertion about `what` after so many seconds."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"waited {seconds} s for {what}: {told()}"
        pause(LOOK)


def pause(seconds: float) -> None:
    """Let so much time pass: what is tested here are other processes, which have real clocks."""
    select.select([], [], [], seconds)


def _signal(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _is_ready(record: Path) -> bool:
    """Whether a workspace was finished, so that an agent may have worked in it."""
    return any('"ready": true' in path.read_text() for path in record.glob("*.json"))


def _words(pid: int) -> str:
    try:
        data = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return ""
    return data.decode("utf-8", "replace").replace("\0", " ")


def _environment(pid: int) -> list[str]:
    try:
        data = Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return []
    return data.decode("utf-8", "replace").split("\0")
