"""A person with a home of their own, who types the installed `oya`."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PROGRAM = Path(sys.prefix) / "bin" / "oya"
PASSED_ON = ("PATH", "LANG", "LC_ALL", "TZ", "TERM")


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    def __str__(self) -> str:
        return f"exit {self.code}\n--- stdout\n{self.out[-6000:]}\n--- stderr\n{self.err[-6000:]}"

    @property
    def json(self) -> Any:
        """The last line of stdout."""
        return json.loads(self.out.splitlines()[-1])

    @property
    def both(self) -> str:
        return f"{self.out}\n{self.err}"


@dataclass
class User:
    """Home, cache and runtime folder are this person's alone; nothing of ours leaks in."""

    folder: Path
    runtime: Path
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def env(self) -> dict[str, str]:
        env = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        return env | {
            "PATH": f"{PROGRAM.parent}:{env['PATH']}",
            "HOME": str(self.folder / "home"),
            "XDG_CACHE_HOME": str(self.cache),
            "XDG_RUNTIME_DIR": str(self.runtime),
            "GIT_CONFIG_NOSYSTEM": "1",
            **self.extra,
        }

    def oya(self, cwd: Path, *arguments: str, timeout: float = 100.0) -> Said:
        """Type it, and wait for its end."""
        done = subprocess.run(
            [str(PROGRAM), *arguments],
            cwd=cwd,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def start(self, cwd: Path, *arguments: str) -> subprocess.Popen[str]:
        """Type it in a pipe, and do something else meanwhile."""
        return subprocess.Popen(
            [str(PROGRAM), *arguments],
            cwd=cwd,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def git(self, cwd: Path, *arguments: str) -> str:
        """What git says; it must not fail."""
        done = subprocess.run(
            ["git", *arguments], cwd=cwd, env=self.env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"git {arguments}: {done.stderr}"
        return done.stdout.rstrip("\n")

    def repository(self, name: str, files: dict[str, str]) -> Path:
        """A repository of that name with one commit on `main`."""
        root = self.folder / name
        write(root, files)
        self.git(root, "init", "-q", "-b", "main")
        self.git(root, "add", "-A")
        self.git(root, "commit", "-q", "-m", "Begin")
        return root


def attached(user: User, root: Path) -> subprocess.Popen[str]:
    """`oya swarm` in a second terminal, once it has said that it is attached."""
    running = user.start(root, "swarm")
    assert running.stderr is not None
    said = running.stderr.readline()
    assert said.startswith("Attached to "), said
    return running


def ended(running: subprocess.Popen[str], timeout: float = 100.0) -> Said:
    """Wait for the end of what `User.start` began."""
    out, err = running.communicate(timeout=timeout)
    return Said(running.returncode, out, err)


def write(root: Path, files: dict[str, str]) -> None:
    """Write text files, with the folders that they need."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@contextmanager
def moved_in(folder: Path) -> Iterator[User]:
    """A user whose home is `folder`; whatever swarm they left is ended at once afterwards."""
    # Short, since it carries a socket; pytest's folders may be too long for that.
    runtime = Path(tempfile.mkdtemp(prefix="oya-run-"))
    home = folder / "home"
    home.mkdir(parents=True)
    (home / ".gitconfig").write_text("[user]\n\tname = Ada\n\temail = ada@example.org\n")
    user = User(folder, runtime)
    try:
        yield user
    finally:
        for state in folder.glob("*/.git/oya"):
            if (state / "daemon.pid").exists():
                user.oya(state.parents[1], "swarm", "stop", "--now")
        shutil.rmtree(runtime, ignore_errors=True)


def carrying(user: User) -> list[str]:
    """Command lines of the processes that were started in this user's home."""
    mark = f"HOME={user.folder / 'home'}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:
            continue
    return found


def picture(*roots: Path) -> dict[str, str]:
    """What stands below these folders: each path, and a digest of what it holds."""
    seen = {}
    for root in roots:
        for path in sorted(root.rglob("*")):
            if path.is_symlink():
                seen[str(path)] = f"link to {os.readlink(path)}"
            elif path.is_file():
                seen[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
            else:
                seen[str(path)] = "folder"
    return seen
