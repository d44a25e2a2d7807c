"""Where things are: the repository, oya's state in it, its cache, its socket.

Imports only what starts quickly; every command begins here.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from oya.errors import RepositoryUnfit, UsageError
from oya.repository.environment import git_environment

SOCKET = "daemon.socket"
"""In the state: the path of the running daemon's socket."""
_SOCKET_LONGEST = 100  # bytes; the kernel takes 107
_DEADLINE = 20.0
_NO_TEXT = re.compile("[\udc80-\udcff]")
"""Bytes that are no UTF-8; the engine takes no such path."""


@dataclass(frozen=True, slots=True)
class Place:
    """One repository, whatever worktree or subfolder one stands in.

    `root` is the top of the worktree where the command was typed, `common_dir` git's
    common directory, both absolute and free of symlinks. `socket` is where the daemon listens,
    or would, started from here.
    """

    root: Path
    common_dir: Path
    repo_id: str
    state: Path
    cache: Path
    socket: Path

    @property
    def main_root(self) -> Path:
        """The top of the main worktree; `root` if the repository has none."""
        return self.common_dir.parent if self.common_dir.name == ".git" else self.root

    @property
    def admin(self) -> Path:
        """What oya notes of workspaces and slots: not on the disk that their owners may fill."""
        return self.state / "admin"

    def make_folders(self) -> None:
        """Create the state, cache and socket folders, for this user alone.

        `UsageError` if one cannot be made, or the socket's belongs to somebody else.
        """
        try:
            for folder in (self.state, self.cache, self.socket.parent):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            (self.cache / "repository").write_text(f"{self.main_root}\n", errors="surrogateescape")
        except OSError as error:
            raise UsageError(
                f"oya cannot write to {error.filename or self.cache}: {error.strerror}",
                safe="Nothing was changed.",
                hint="Make it writable, or set XDG_CACHE_HOME and XDG_RUNTIME_DIR.",
            ) from error
        seen = self.socket.parent.lstat()
        if seen.st_uid != os.getuid() or seen.st_mode & 0o022:
            raise UsageError(
                f"{self.socket.parent} belongs to somebody else, or others may write to it",
                safe="Nothing was changed.",
                hint="Set XDG_RUNTIME_DIR to a folder of your own.",
            )


def find_place(cwd: Path) -> Place:
    """The repository that `cwd` is in; one git process, nothing is written.

    `RepositoryUnfit` if there is none, or it is bare; `UsageError` if no path for a
    socket is short enough.
    """
    root, common_dir = _ask_git(cwd)
    digest = hashlib.sha256(os.fsencode(common_dir)).hexdigest()[:12]
    main = common_dir.parent if common_dir.name == ".git" else common_dir
    repo_id = f"{re.sub(r'[^A-Za-z0-9_-]+', '-', main.name)[:24] or 'repository'}-{digest}"
    return Place(
        root=root,
        common_dir=common_dir,
        repo_id=repo_id,
        state=common_dir / "oya",
        cache=_cache_home() / "oya" / repo_id,
        socket=_said(common_dir / "oya") or _socket(repo_id, digest),
    )


def _ask_git(cwd: Path) -> tuple[Path, Path]:
    command = ("git", "rev-parse", "--is-bare-repository", "--git-common-dir", "--show-toplevel")
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=git_environment(),
            capture_output=True,
            timeout=_DEADLINE,
            check=False,
        )
    except FileNotFoundError as error:
        raise RepositoryUnfit(
            f"{cwd} does not exist" if error.filename == str(cwd) else "git is not installed",
            hint="oya needs git 2.38 or newer.",
        ) from error
    except (NotADirectoryError, PermissionError) as error:
        raise RepositoryUnfit(f"{cwd} cannot be entered: {error.strerror}") from error
    except subprocess.TimeoutExpired as error:
        raise RepositoryUnfit(f"git does not answer in {cwd}") from error
    lines = [os.fsdecode(line) for line in done.stdout.split(b"\n")]
    if lines[0] == "true":
        raise RepositoryUnfit(
            f"{cwd} is a bare repository; oya needs a worktree",
            safe="Nothing was changed.",
            hint="Clone it, or `git worktree add` a folder and go there.",
        )
    if done.returncode == 0 and (len(lines) != 4 or _NO_TEXT.search("".join(lines))):
        raise RepositoryUnfit(
            f"the path of {cwd} has a newline in it, or bytes that are no UTF-8",
            safe="Nothing was changed.",
            hint="Give that folder another name.",
        )
    if done.returncode != 0 or len(lines) < 3:
        said = done.stderr.decode(errors="replace").strip()
        if "not a git repository" in said:
            raise RepositoryUnfit(
                f"{cwd} is not in a git repository",
                safe="Nothing was changed.",
                hint="Go into a repository, or make one: git init",
            )
        raise RepositoryUnfit(f"git cannot work in {cwd}: {said[:500]}")
    return Path(lines[2]).resolve(), (cwd / lines[1]).resolve()


def _cache_home() -> Path:
    named = os.environ.get("XDG_CACHE_HOME", "")
    return Path(named) if named.startswith("/") else Path.home() / ".cache"


def _said(state: Path) -> Path | None:
    """Where a daemon says that its socket is; its environment need not be ours."""
    try:
        path = Path((state / SOCKET).read_text(errors="surrogateescape"))
        return path if path.is_socket() else None
    except (OSError, ValueError):
        return None


def _socket(repo_id: str, digest: str) -> Path:
    temporary = Path(os.environ.get("TMPDIR") or "/tmp") / f"oya-{os.getuid()}"  # noqa: S108
    candidates = [temporary / f"{repo_id}.sock", temporary / f"{digest}.sock"]
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime.startswith("/") and Path(runtime).is_dir():
        candidates.insert(0, Path(runtime) / "oya" / f"{repo_id}.sock")
    for candidate in candidates:
        if len(os.fsencode(candidate)) <= _SOCKET_LONGEST:
            return candidate
    raise UsageError(
        f"the path of the socket is too long: {candidates[-1]}",
        safe="Nothing was changed.",
        hint="Set XDG_RUNTIME_DIR or TMPDIR to a shorter path.",
    )
