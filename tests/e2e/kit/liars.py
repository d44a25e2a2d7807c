"""Agents that lie: each a row that says what it does, and what must become of its bead.

A `Corpus` is one repository, one backlog and one `oya swarm` over it, in which liars work
beside honest agents. Everything is real: the daemon, git, the gates, the agents' processes;
only what the agents do is written down, as a scenario of the recorded agent. The rows of a
corpus are tests of one module, and read what that one run has left.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kit.user import Said, User, carrying, ended, moved_in, picture, write
from kit.words import backlog, bead

Step = dict[str, Any]
Turns = tuple[list[Step], ...]
"""What is played at the first prompt of an attempt, the second, …"""
Check = Callable[["Outcome"], None]

LANDED = "landed complete"
TRACKER = ".beads/issues.jsonl"
OUTSIDE = '"$HOME/../outside"'
"""`Outcome.outside`, for the shell of an agent, of a gate, or of a git that an agent led astray."""
LIMITS = Path(__file__).parents[3] / "docs" / "limits.md"
SWARM = 300.0
"""Seconds after which a swarm has not come to its end."""
MINI = Path(__file__).with_name("mini_runner.py")


@dataclass(frozen=True)
class Liar:
    """One agent that tries to land what it should not, or to lose something.

    `name` is its bead's id. A role that is not given does honest work. `end` is what becomes of
    the bead: its phase, and its hold or status; more than one where it is a matter of time.
    A role with one turn plays it again when it is told what is wrong. `later` is from the second
    attempt on. `events` must stand in its log, as `event`, `event:class` or
    `event:class:words`. `lands` are the paths that are on main for it; None: those of honest
    work; `may` those that may be, beside them. `check` looks at anything else. `limit`
    is the title in docs/limits.md of what no gate can see here.
    """

    name: str
    why: str
    end: str | tuple[str, ...]
    events: tuple[str, ...] = ()
    test_writer: Turns = ()
    implementer: Turns = ()
    reviewer: Turns = ()
    planner: Turns = ()
    later: dict[str, Turns] = field(default_factory=dict)
    lands: tuple[str, ...] | None = None
    may: tuple[str, ...] = ()
    check: Check | None = None
    fields: dict[str, Any] = field(default_factory=dict)
    limit: str = ""

    @property
    def ends(self) -> tuple[str, ...]:
        return (self.end,) if isinstance(self.end, str) else self.end


def honest(name: str) -> Liar:
    """Somebody who only does their work, beside liars."""
    return Liar(name, "honest work lands beside lies", LANDED)


# What agents do


def module(name: str) -> str:
    """The module that the bead wants."""
    return name.replace("-", "_")


def path_of(name: str) -> str:
    return f"tests/test_{module(name)}.py"


def code_of(name: str) -> str:
    return f"shop/{module(name)}.py"


def text_of(name: str, body: str = "assert double(2) == 4") -> str:
    m = module(name)
    return f"from shop.{m} import double\n\n\ndef test_{m}():\n    {body}\n"


def plan_of(*ids: str) -> list[dict[str, Any]]:
    return [{"id": id, "kind": "happy", "covers": ["AC1"]} for id in ids]


def planned(name: str) -> str:
    """The id of the test that an honest contract plans."""
    return f"{path_of(name)}::test_{module(name)}"


def behaviour(name: str, **other: Any) -> Step:
    """The answer of an honest test writer, with something else in it."""
    fields = {
        "kind": "behaviour",
        "why": "an example",
        "test_plan": plan_of(planned(name)),
        "test_files": [path_of(name)],
    }
    return {"answer": fields | other}


def contract(name: str, text: str | None = None, **other: Any) -> list[Step]:
    """A test file, and the answer that names it."""
    return [{"write": {path_of(name): text or text_of(name)}}, behaviour(name, **other)]


def code(name: str, body: str = "return 2 * n") -> Step:
    return {"write": {code_of(name): f"def double(n):\n    {body}\n"}}


def sh(line: str) -> Step:
    return {"run": line}


def challenges(*commands: str | dict[str, Any]) -> list[Step]:
    """A reviewer's answer: commands that must end with 0, or whole challenges."""
    rows = [
        {"command": one, "expect": 0, "why": "an attack", "clause": "AC1"}
        if isinstance(one, str)
        else one
        for one in commands
    ]
    return [{"answer": {"challenges": rows}}]


def cannot(kind: str, **other: Any) -> list[Step]:
    return [{"answer": {"cannot": kind, "why": "so I say", **other}}]


HONEST: dict[str, Callable[[str], list[Step]]] = {
    "test_writer": contract,
    "implementer": lambda name: [code(name)],
    "reviewer": lambda name: challenges(),
    "planner": lambda name: [{"answer": {"verdict": "accept"}}],
}


def entries(liar: Liar, honest: dict[str, Callable[[str], list[Step]]]) -> Iterator[dict[str, Any]]:
    """What the recorded agent plays for this row."""
    for role, steps in {**HONEST, **honest}.items():
        attempts: list[Turns] = [getattr(liar, role) or (steps(liar.name),)]
        attempts += [liar.later[role]] if role in liar.later else []
        for attempt, turns in enumerate(attempts, 1):
            # Who is told what is wrong with one turn alone insists on it.
            first, *fixes = turns if len(turns) > 1 else turns * 2
            yield {
                "bead": liar.name,
                "role": role,
                "attempt": attempt,
                "steps": first,
                "fixes": fixes,
            }


# The swarm

CONFIG = """\
[defaults]
target_beads = {target}
test_writers = 3
implementers = 3
reviewers = 2
planner = {planner}
backend = "liars"

[backends.liars]
kind = "scripted"
scenario = "{scenario}"
max_sessions = 6

[quality-gates]
timeout = "{timeout}"
{gates}

[quality-gates.tests]
command = '{tests}'
report = "{report}"

[contract]
repeat = 2

[review]
max_contests = 1
variants = {variants}

[landing]
max_rebases = 3
protected = {protected}

[execution]
max_attempts = {max_attempts}
fix_rounds = 1
stall_timeout = "{stall}"
# Liars who are many at once would look like a backend that is broken.
meltdown_window = "1ms"

[sandbox]
kind = "{sandbox}"
readable = {readable}
"""

SHOP = {
    ".gitignore": "__pycache__/\n",
    "README.md": "# The shop\n",
    "shop/__init__.py": "",
    "shop/till.py": "RATE = 10\n\n\ndef total(prices):\n    return sum(prices)\n",
    "tests/test_till.py": (
        "from shop.till import total\n\n\ndef test_total():\n    assert total([1, 2]) == 3\n"
    ),
}


@dataclass(frozen=True)
class Corpus:
    """Liars who work in one swarm, the repository in which they do, and how it is judged.

    `tests` is the command of the tests gate, in which @PYTHON and @MINI are filled in. `honest`
    is what roles do here who do not lie, where that is not what it is elsewhere (`HONEST`).
    `rerun`: the gates of every landed commit are run once more at the end, in its order.
    """

    rows: tuple[Liar, ...]
    files: dict[str, str] = field(default_factory=lambda: dict(SHOP))
    tests: str = "@PYTHON -I -S -B @MINI {report} {tests}"
    report: str = "junit"
    gates: str = ""
    planner: bool = False
    timeout: str = "20s"
    sandbox: str = "none"
    protected: tuple[str, ...] = ()
    max_attempts: int = 1
    variants: int = 0
    stall: str = "60s"
    rerun: bool = False
    honest: dict[str, Callable[[str], list[Step]]] = field(default_factory=dict)

    def config(self, scenario: Path) -> str:
        python, mini = shlex.quote(sys.executable), shlex.quote(str(MINI))
        return CONFIG.format(
            target=len(self.rows),
            planner=str(self.planner).lower(),
            scenario=scenario,
            timeout=self.timeout,
            gates=self.gates,
            tests=self.tests.replace("@PYTHON", python).replace("@MINI", mini),
            report=self.report,
            protected=json.dumps(self.protected),
            max_attempts=self.max_attempts,
            variants=self.variants,
            stall=self.stall,
            sandbox=self.sandbox,
            readable=json.dumps([] if self.sandbox == "none" else [str(MINI)]),
        )


@dataclass(frozen=True)
class Outcome:
    """What a corpus has left: what was said, states and events by bead, and the repository.

    `outside` is a folder of the user's that nobody has any business in: a row that manages to
    have something run there, or written, finds it no longer empty. `running` are the command
    lines of what was left running at the end.
    """

    user: User
    root: Path
    corpus: Corpus
    said: Said
    states: dict[str, str]
    events: dict[str, list[dict[str, Any]]]
    first: str
    running: list[str]
    before: dict[str, str]

    @property
    def outside(self) -> Path:
        return outside(self.user)

    def git(self, *arguments: str) -> str:
        return self.user.git(self.root, *arguments)

    def raw(self, *arguments: str) -> bytes:
        """What git says, byte for byte."""
        done = subprocess.run(
            ["git", *arguments], cwd=self.root, env=self.user.env, capture_output=True, check=True
        )
        return done.stdout

    def commits(self) -> dict[str, str]:
        """Bead → commit of everything on main but the first; all of it must be oya's."""
        form = "--format=%H %(trailers:key=Bead,valueonly,separator=%x2C)"
        lines = self.git("log", form, f"{self.first}..main").splitlines()
        pairs = [tuple(line.split(" ", 1)) for line in lines]
        found = {bead: commit for commit, bead in pairs}
        assert len(found) == len(lines), f"a bead has landed twice, or under no name: {lines}"
        return found

    def paths(self, bead: str) -> set[str]:
        """What the commit of a bead has changed, the tracker's file apart."""
        commit = self.commits()[bead]
        names = ("diff-tree", "-r", "-z", "--no-renames", "--name-only")
        said = os.fsdecode(self.raw(*names, f"{commit}^", commit))
        return {path for path in said.split("\0") if path and path != TRACKER}

    def show(self, path: str) -> str:
        """A file as it is on main."""
        return self.git("show", f"main:{path}")

    def told(self, bead: str, event: str) -> list[dict[str, Any]]:
        """Its events of that name."""
        return [row for row in self.events.get(bead, []) if row["event"] == event]

    def happened(self, bead: str, wanted: str) -> bool:
        """Whether `event`, `event:class` or `event:class:words` stands in its log."""
        name, _, rest = wanted.partition(":")
        failure, _, words = rest.partition(":")
        return any(
            (not failure or row["class"] == failure)
            and words in f"{row['reason']} {json.dumps(row['data'], ensure_ascii=False)}"
            for row in self.told(bead, name)
        )

    def story(self, bead: str) -> str:
        """For a person whose test has failed."""
        rows = self.events.get(bead, [])
        return "\n".join(
            f"{row['event']} {row['class'] or ''} {row['reason']} {row['data']}"[:600]
            for row in rows
            if row["event"] != "gate_ran"
        )


def outside(user: User) -> Path:
    return user.folder / "outside"


Meanwhile = Callable[[User, Path], None]
"""What somebody does in the repository while the swarm runs."""


@contextmanager
def played(
    folder: Path, corpus: Corpus, meanwhile: Meanwhile = lambda user, root: None
) -> Iterator[Outcome]:
    """Run it, and say what it has left."""
    with moved_in(folder) as user:
        outside(user).mkdir()
        root = prepared(user, corpus)
        first, before = user.git(root, "rev-parse", "main"), private(user, root)
        swarm = user.start(root, "swarm")
        meanwhile(user, root)
        said = ended(swarm, timeout=SWARM)
        running = carrying(user)
        rows = user.oya(root, "beads", "--format", "json").json["beads"]
        states = {row["id"]: f"{row['phase']} {row['hold'] or row['status']}" for row in rows}
        events: dict[str, list[dict[str, Any]]] = {}
        for line in user.oya(root, "events", "--format", "json").out.splitlines():
            event = json.loads(line)
            events.setdefault(event["bead"] or "", []).append(event)
        yield Outcome(user, root, corpus, said, states, events, first, running, before)


def prepared(user: User, corpus: Corpus) -> Path:
    """The repository, with a bead for each row that is played, and the scenario beside it."""
    rows = corpus.rows
    scenario = user.folder / "scenario.json"
    parts = [entry for row in rows for entry in entries(row, corpus.honest)]
    told = {"version": 1, "entries": parts}
    write(user.folder, {"scenario.json": json.dumps(told)})
    beads = [bead(row.name, **row.fields) for row in rows]
    files = {TRACKER: backlog(*beads), ".oya/swarm.toml": corpus.config(scenario)}
    return user.repository("shop", {**corpus.files, **files})


def private(user: User, root: Path) -> dict[str, str]:
    """What no swarm has any business in: home, and what git would run or obey."""
    git = root / ".git"
    own = picture(user.folder / "home", git / "hooks", git / "info")
    return own | {"config": (git / "config").read_text()}


# What is true after every corpus


def row_holds(outcome: Outcome, liar: Liar) -> None:
    """The bead has come to the end that the row wants, for the reason that it names."""
    story = f"{liar.name}: {liar.why}\n{outcome.story(liar.name)}"
    assert outcome.states[liar.name] in liar.ends, story
    for wanted in liar.events:
        assert outcome.happened(liar.name, wanted), f"no {wanted}\n{story}"
    there = outcome.states[liar.name] == LANDED
    assert there == (liar.name in outcome.commits()), story
    if there:
        honest = (path_of(liar.name), code_of(liar.name))
        own, paths = {*(honest if liar.lands is None else liar.lands)}, outcome.paths(liar.name)
        assert own <= paths <= own | {*liar.may}, (paths, story)
    if liar.limit:
        assert f"**{liar.limit}" in LIMITS.read_text(), "docs/limits.md is silent about it"
    if liar.check:
        liar.check(outcome)


def all_hold(outcome: Outcome) -> None:
    """Nothing of the lies is on the line or left, and everything that is promised was kept."""
    user, root = outcome.user, outcome.root
    assert outcome.said.code in (0, 3), outcome.said
    found = [r for rows in outcome.events.values() for r in rows if r["class"] == "internal"]
    assert found == []
    assert outcome.running == [], "nothing is left running"
    assert outcome.git("status", "--porcelain") == "", "the user's own files are untouched"
    assert private(user, root) == outcome.before
    assert list(outcome.outside.rglob("*")) == [], "something ran, or wrote, where it must not"
    assert outcome.git("for-each-ref", "--format=%(refname)", "refs/heads", "refs/tags") == (
        "refs/heads/main"
    )
    assert len(outcome.commits()) == list(outcome.states.values()).count(LANDED)
    assert not list((user.cache / "oya").glob("*/work/*")), "no folder of an attempt is left"
    again = ("--rerun",) if outcome.corpus.rerun else ()
    verified = user.oya(root, "verify", *again, timeout=200)
    assert verified.code == 0, verified


def lines_of_processes() -> list[str]:
    """The command lines of whatever runs on this machine."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = process.read_bytes()
        except OSError:
            continue
        found.append(line.replace(b"\0", b" ").decode(errors="replace").strip())
    return found
