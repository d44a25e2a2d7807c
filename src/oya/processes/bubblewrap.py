"""Bubblewrap: how a program is started so that it sees and reaches little.

The root is there, read-only; where secrets and sockets lie (home, /root, /run, /tmp and
others) there are empty folders of this run alone, and only what is named is bound back.
A process namespace takes everything along when its first process goes, which goes with
the guard; there are no capabilities, and where the kernel lets us no user namespaces
to get some by.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from oya.errors import ConfigError
from oya.processes.port import Command, shell
from oya.processes.programs import Needs

COVERED = ("/home", "/root", "/run", "/tmp", "/var/tmp", "/mnt", "/media")  # noqa: S108
"""Empty in every sandbox, as are the user's home and what a policy adds."""
CACHES = (
    ".bun/install/cache",
    ".cache",
    ".cargo/git",
    ".cargo/registry",
    ".gradle/caches",
    ".gradle/wrapper",
    ".local/share/pnpm",
    ".local/share/uv",
    ".m2",
    ".npm",
    ".nuget/packages",
    "go/pkg",
)
"""Where tools keep what they have downloaded and compiled, below home: this stays."""
SCRATCH = 4 * 2**30
"""Bytes that one run may keep in its /tmp, and as much in its home outside CACHES."""
_ELSEWHERE = 16 * 2**20
_PROBE = 20.0
_ISOLATION = (
    ("--unshare-all", "--unshare-user", "--disable-userns"),
    ("--unshare-all", "--unshare-user"),
    ("--unshare-all",),
)
"""Best first. The last is what is left where bwrap is setuid."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What a sandbox lets through, beside the folder of each command, which may be written to.

    `home` is what HOME names. `covered` are emptied besides; what of it is `readable` or
    `writable`, or a program on `path`, is there all the same. `caches` is a folder in which
    CACHES are kept from run to run; None: nothing stays.
    """

    home: Path
    path: str = ""
    covered: tuple[Path, ...] = ()
    readable: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()
    caches: Path | None = None
    network: bool = False


@dataclass(frozen=True, slots=True)
class Bubblewrap:
    """The program, its version, and the namespaces that it can make here."""

    program: str
    version: str
    isolation: tuple[str, ...]

    def argv(self, command: Command, layout: Layout) -> tuple[str, ...]:
        """The command line that runs `command` inside."""
        return (
            self.program,
            *self.isolation,
            *(("--share-net",) if layout.policy.network else ()),
            *("--die-with-parent", "--new-session", "--cap-drop", "ALL"),
            *("--hostname", "localhost"),
            *layout.mounts(command),
            *("--chdir", str(command.cwd), "--"),
            *command.argv,
        )


def find(policy: Policy, folder: Path) -> Bubblewrap:
    """The bubblewrap of this machine, after it has run something under the policy in `folder`.

    `ConfigError` with the reason where that does not work.
    """
    program = shutil.which("bwrap")
    if program is None:
        raise unusable("bubblewrap (bwrap) is not installed")
    version = _said((program, "--version"))[1].split()[-1:]
    reasons = list[str]()
    for isolation in _ISOLATION:
        candidate = Bubblewrap(program, version[0] if version else "?", isolation)
        code, said = _said(candidate.argv(_nothing(folder), Layout(policy)), folder)
        if code == 0:
            return candidate
        reasons.append(said.strip()[-300:] or f"exit {code}")
    raise unusable(f"bubblewrap does not work here: {reasons[0]}")


def unusable(why: str) -> ConfigError:
    """Says why there is no sandbox, and both ways out."""
    return ConfigError(
        f"`sandbox.kind`: {why}.",
        safe="Nothing was started, and nothing ran outside of it.",
        hint="Install bubblewrap (Debian, Ubuntu: apt install bubblewrap) and allow it user\n"
        "namespaces; or do without, with all your rights for agents and gates, and write into\n"
        '.oya/swarm.toml:\n\n[sandbox]\nkind = "none"',
    )


def _nothing(folder: Path) -> Command:
    return Command(shell(":"), cwd=folder, env={})


def _said(argv: tuple[str, ...], cwd: Path | None = None) -> tuple[int, str]:
    try:
        done = subprocess.run(
            argv,
            cwd=cwd,
            env={},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PROBE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return -1, str(error)
    return done.returncode, (done.stdout + done.stderr).decode(errors="replace")


class Layout:
    """What lies where in the sandboxes of one policy, worked out once."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.covers: tuple[Path, ...] = ()
        for path in (*map(Path, COVERED), policy.home, *policy.covered):
            names = [name for name, _ in self._both(path) if name != Path("/")]
            self.covers += tuple(n for n in names if path.is_dir() and n not in self.covers)

    @functools.cached_property
    def bound_back(self) -> dict[Path, Path]:
        """Read-only in every sandbox: path there → path outside."""
        found = dict(_searched(self.policy.path, self.covers, self.policy.home))
        for path in (*self.policy.readable, *_resolver(self)):
            found |= self._named(path)
        return found

    def hides(self, path: Path) -> bool:
        """Whether a path lies in a folder that is covered."""
        return _lies_in(path, self.covers)

    def mounts(self, command: Command) -> tuple[str, ...]:
        """The arguments that build it: outer folders first, so that inner ones stand in them."""
        steps = [*self._fixed, *self._of(command)]
        return tuple(word for _, words in sorted(steps) for word in words)

    @functools.cached_property
    def _fixed(self) -> list[_Step]:
        return [
            _step(0, Path("/"), "--ro-bind", "/", "/"),
            _step(1, Path("/dev"), "--dev", "/dev"),
            _step(1, Path("/proc"), "--proc", "/proc"),
            *(_step(1, cover, *self._empty(cover)) for cover in self.covers),
            *self._caches(),
            *(_read(name, real) for name, real in self.bound_back.items()),
            *(_write(name, real) for p in self.policy.writable for name, real in self._both(p)),
        ]

    def _of(self, command: Command) -> Iterator[_Step]:
        needs = self._needs()
        for path in command.readable:
            needs.file(path)
        for name, real in needs.paths.items():
            yield _read(name, real)
        for path in (*command.writable, command.cwd):
            for name, real in self._both(path):
                yield _write(name, real)

    def _needs(self) -> Needs:
        return _needs(self.covers, self.policy.home)

    def _named(self, path: Path) -> dict[Path, Path]:
        if path.is_file():
            needs = self._needs()
            needs.file(path)
            return needs.paths
        return {name: real for name, real in self._both(path) if self.hides(name)}

    def _both(self, path: Path) -> list[tuple[Path, Path]]:
        """Where a path is to stand: as it is named, if that is hidden, and where it really is."""
        names = dict.fromkeys((Path(os.path.normpath(path)), Path(os.path.realpath(path))))
        *_, real = names
        return [(name, real) for name in names if name == real or self.hides(name)]

    def _empty(self, cover: Path) -> tuple[str, ...]:
        public = cover in (Path("/tmp"), Path("/var/tmp"))  # noqa: S108
        own = public or cover == self.policy.home
        size = SCRATCH if own else _ELSEWHERE
        mode = "1777" if public else "0755"
        return ("--perms", mode, "--size", str(size), "--tmpfs", str(cover))

    def _caches(self) -> Iterator[_Step]:
        kept, home = self.policy.caches, self.policy.home
        if kept is None or home not in self.covers:
            return
        for name in CACHES:
            at = home / name
            if not _lies_in(at, tuple(self.bound_back)):
                (kept / name).mkdir(mode=0o700, parents=True, exist_ok=True)
                yield _step(2, at, "--bind-try", str(kept / name), str(at))


def _lies_in(path: Path, folders: tuple[Path, ...]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _needs(covers: tuple[Path, ...], home: Path) -> Needs:
    ups = (up for cover in covers for up in (cover, *cover.parents))
    local = home / ".local"
    return Needs(lambda path: _lies_in(path, covers), (*ups, local, local / "share"))


@functools.lru_cache(maxsize=8)
def _searched(path: str, covers: tuple[Path, ...], home: Path) -> dict[Path, Path]:
    """A look at every program there is takes a tenth of a second."""
    needs = _needs(covers, home)
    needs.search(path)
    return needs.paths


_Step = tuple[tuple[int, int, str], tuple[str, ...]]


def _step(rank: int, at: Path, *words: str) -> _Step:
    return (len(at.parts), rank, str(at)), words


def _read(name: Path, real: Path) -> _Step:
    return _step(3, name, "--ro-bind-try", str(real), str(name))


def _write(name: Path, real: Path) -> _Step:
    return _step(4, name, "--bind", str(real), str(name))


def _resolver(layout: Layout) -> list[Path]:
    """Whom to ask for addresses: systemd and others keep it in /run, behind a link."""
    file = Path(os.path.realpath("/etc/resolv.conf"))
    return [file] if layout.policy.network and layout.hides(file) else []
