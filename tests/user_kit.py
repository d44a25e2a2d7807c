"""A repository with a user in front of it: a real one, and a simulated one.

What a port promises is one thing, how a user prepares the world for it another. The
contract suites say the latter in these words, so that each runs on both.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Protocol

from oya.agents.answers import AnswerFiles, FolderAnswers
from oya.repository import record
from oya.repository.follow import follow
from oya.repository.port import Follow, Repository, Workspaces
from oya.repository.workspace import GitWorkspaces
from oya.testing.simulation.git import GitDisk, SimulatedGit
from oya.testing.simulation.life import Life
from oya.testing.simulation.objects import File, lay, take_away
from oya.testing.simulation.remote import Remote
from oya.testing.simulation.workspaces import FolderDisk, SimulatedAnswers, SimulatedWorkspaces
from oya.trackers.jsonl import JsonlFile
from repository_kit import commit, git, make_repository, opened, write

EXECUTABLE, LINK = "100755", "120000"
FIRST = {"a.txt": "one\n", "src/b.txt": "two\n"}
Changes = Mapping[str, str | File | None]


class Prompt(Life):
    """A life in which nothing takes time: tests do not wait."""

    def __init__(self) -> None:
        super().__init__(random.Random(1), lambda step: None)

    def some(self, most: float) -> float:
        return 0.0


class User(Protocol):
    """What somebody does in their own worktree, and sees there."""

    def commit(self, files: Changes, message: str = "change") -> str:
        """Change these files (None: remove), commit all, and say which commit that is."""
        ...

    def write(self, files: Mapping[str, str]) -> None: ...

    def delete(self, path: str) -> None: ...

    def read(self, path: str) -> str | None: ...

    def switch(self, branch: str, *, new: bool = False) -> None: ...

    def detach(self) -> None: ...

    def begin_merge(self) -> None:
        """Leave the worktree in the middle of a merge."""
        ...

    def is_clean(self) -> bool:
        """Whether every tracked file is as in the commit that the worktree stands at."""
        ...

    def author(self, commit: str) -> str: ...

    def message(self, commit: str) -> str: ...

    def note(self, commit: str) -> str: ...


@dataclass(frozen=True)
class GitUser:
    """By git, in a folder."""

    folder: Path

    def commit(self, files: Changes, message: str = "change") -> str:
        for path, what in files.items():
            self._lay(self.folder / path, what)
        return commit(self.folder, {}, message)

    def _lay(self, path: Path, what: str | File | None) -> None:
        path.unlink(missing_ok=True)
        if what is None:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(what, str):
            path.write_text(what)
        elif what.mode == LINK:
            path.symlink_to(what.data.decode())
        else:
            path.write_bytes(what.data)
            path.chmod(int(what.mode[-3:], 8))

    def write(self, files: Mapping[str, str]) -> None:
        for path, text in files.items():
            self._lay(self.folder / path, text)

    def delete(self, path: str) -> None:
        (self.folder / path).unlink()

    def read(self, path: str) -> str | None:
        file = self.folder / path
        return file.read_text() if file.exists() else None

    def switch(self, branch: str, *, new: bool = False) -> None:
        git(self.folder, "switch", "-q", *(("-c",) if new else ()), branch)

    def detach(self) -> None:
        git(self.folder, "switch", "-q", "--detach")

    def begin_merge(self) -> None:
        git(self.folder, "switch", "-q", "-c", "aside")
        self.commit({"aside.txt": "1"})
        git(self.folder, "switch", "-q", "-")
        git(self.folder, "merge", "-q", "--no-ff", "--no-commit", "aside")

    def is_clean(self) -> bool:
        return git(self.folder, "status", "--porcelain", "--untracked-files=no") == ""

    def author(self, commit: str) -> str:
        return git(self.folder, "show", "-s", "--format=%an", commit)

    def message(self, commit: str) -> str:
        return git(self.folder, "show", "-s", "--format=%B", commit).rstrip()

    def note(self, commit: str) -> str:
        return git(self.folder, "notes", "--ref=oya", "show", commit)


@dataclass(frozen=True)
class SimulatedUser:
    """In the worktree of a `GitDisk`."""

    disk: GitDisk

    def commit(self, files: Changes, message: str = "change") -> str:
        changes = {
            path: File(what.encode()) if isinstance(what, str) else what
            for path, what in files.items()
        }
        return self.disk.commit(changes, message, "0")

    def write(self, files: Mapping[str, str]) -> None:
        for path, text in files.items():
            self.disk.working[path] = text.encode()

    def delete(self, path: str) -> None:
        del self.disk.working[path]

    def read(self, path: str) -> str | None:
        data = self.disk.working.get(path)
        return None if data is None else data.decode()

    def switch(self, branch: str, *, new: bool = False) -> None:
        disk, name = self.disk, f"refs/heads/{branch}"
        assert disk.at is not None
        if new:
            disk.refs[name] = disk.at
        elif disk.at != disk.refs[name]:
            disk.check_out(disk.refs[name])
        disk.head = branch

    def detach(self) -> None:
        self.disk.head, self.disk.detached = None, self.disk.at

    def begin_merge(self) -> None:
        self.disk.busy = "a merge"

    def is_clean(self) -> bool:
        return not self.disk.dirty()

    def author(self, commit: str) -> str:
        return self.disk.objects.commits[commit].author

    def message(self, commit: str) -> str:
        return self.disk.objects.commits[commit].message.rstrip()

    def note(self, commit: str) -> str:
        return self.disk.notes["refs/notes/oya", commit]


class Elsewhere(Protocol):
    """The remote `origin`, which has `main` as it was at first."""

    def tip(self, branch: str = "main") -> str | None: ...

    def commit(self, files: Mapping[str, str], *, amend: bool = False) -> str:
        """What somebody else has pushed on its main; `amend`: by force, over the newest."""
        ...

    def delete(self, branch: str) -> None: ...

    def refuse(self, words: str) -> None:
        """Decline every push with these words; none: take them again."""
        ...

    def vanish(self) -> None: ...

    def come_back(self) -> None: ...


@dataclass(frozen=True)
class GitElsewhere:
    """A bare repository in a folder, and a clone in which somebody else works."""

    folder: Path

    @property
    def _clone(self) -> Path:
        clone = self.folder.with_name("other")
        if not clone.exists():
            git(self.folder.parent, "clone", "-q", str(self.folder), str(clone))
        return clone

    def tip(self, branch: str = "main") -> str | None:
        return git(self.folder, "rev-parse", "-q", "--verify", branch, check=False) or None

    def commit(
        self, files: Mapping[str, str], *, amend: bool = False, message: str = "by somebody else"
    ) -> str:
        git(self._clone, "fetch", "-q")
        git(self._clone, "reset", "-q", "--hard", "origin/main~1" if amend else "origin/main")
        made = commit(self._clone, dict(files), message)
        git(self._clone, "push", "-q", "--force", "origin", "main")
        return made

    def delete(self, branch: str) -> None:
        git(self.folder, "update-ref", "-d", f"refs/heads/{branch}")

    def refuse(self, words: str) -> None:
        hook = self.folder / "hooks" / "pre-receive"
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\necho '{words}' >&2\nexit {1 if words else 0}\n")
        hook.chmod(0o755)

    def vanish(self) -> None:
        self.folder.rename(self.folder.with_name("gone"))

    def come_back(self) -> None:
        self.folder.with_name("gone").rename(self.folder)


@dataclass(frozen=True)
class SimulatedElsewhere:
    """A `Remote` of a `GitDisk`."""

    disk: GitDisk

    @property
    def _remote(self) -> Remote:
        return self.disk.remotes["origin"]

    def tip(self, branch: str = "main") -> str | None:
        return self._remote.refs.get(f"refs/heads/{branch}")

    def commit(self, files: Mapping[str, str], *, amend: bool = False) -> str:
        objects, tip = self.disk.objects, self._remote.refs["refs/heads/main"]
        if amend:
            tip = self._remote.refs["refs/heads/main"] = objects.commits[tip].parents[0]
        changed = {path: File(text.encode()) for path, text in files.items()}
        there = {**objects.files(tip), **changed}
        return self._remote.push_as_other(objects, there, "main", "0")

    def delete(self, branch: str) -> None:
        del self._remote.refs[f"refs/heads/{branch}"]

    def refuse(self, words: str) -> None:
        self._remote.refuses = words

    def vanish(self) -> None:
        self._remote.unreachable = "it is not there"

    def come_back(self) -> None:
        self._remote.unreachable = ""


class Agent(Protocol):
    """What somebody does in the folders of workspaces."""

    def write(self, folder: Path, files: Mapping[str, str]) -> None: ...

    def delete(self, folder: Path, path: str = "") -> None:
        """A file or a folder in it, or all of it."""
        ...

    def files(self, folder: Path) -> dict[str, str]:
        """What lies there, but for git's own; empty where there is no folder."""
        ...


class GitAgent:
    """On a real disk."""

    def write(self, folder: Path, files: Mapping[str, str]) -> None:
        for path in files:
            for above in reversed((folder / path).relative_to(folder).parents):
                if (folder / above).is_file():
                    (folder / above).unlink()
        write(folder, dict(files))

    def delete(self, folder: Path, path: str = "") -> None:
        gone = folder / path
        if gone.is_dir():
            shutil.rmtree(gone)
        else:
            gone.unlink()

    def files(self, folder: Path) -> dict[str, str]:
        paths = [path for path in folder.rglob("*") if path.is_file()]
        names = {path.relative_to(folder).as_posix(): path for path in paths}
        return {name: p.read_text() for name, p in names.items() if not name.startswith(".git/")}


@dataclass(frozen=True)
class SimulatedAgent:
    """In a `FolderDisk`."""

    disk: FolderDisk

    def write(self, folder: Path, files: Mapping[str, str]) -> None:
        for path, text in files.items():
            lay(self.disk.folders[folder], path, text.encode())

    def delete(self, folder: Path, path: str = "") -> None:
        if path:
            take_away(self.disk.folders[folder], path)
        else:
            del self.disk.folders[folder]

    def files(self, folder: Path) -> dict[str, str]:
        there = {**self.disk.folders, **self.disk.kept}.get(folder, {})
        return {path: data.decode() for path, data in there.items()}


@dataclass(frozen=True)
class Place:
    """A repository with one commit on `main`, and who is at work there.

    `open` gives the workspaces as a new daemon finds them. `forget` loses what oya has
    noted beside a folder; `undo` notes that it was not yet whole.
    """

    repo: Repository
    user: User
    follow: Follow
    agent: Agent
    open: Callable[[], Workspaces]
    forget: Callable[[Path], None]
    undo: Callable[[Path], None]
    answers: AnswerFiles
    elsewhere: Elsewhere


def with_remote(folder: Path) -> GitElsewhere:
    """Give the repository in that folder a remote beside it."""
    bare = folder.with_name("up stream.git")
    git(folder.parent, "clone", "-q", "--bare", str(folder), str(bare))
    git(folder, "remote", "add", "origin", str(bare))
    return GitElsewhere(bare)


def on_git(root: Path) -> Place:
    folder = make_repository(root / "repo", FIRST)
    repo = opened(folder)
    admin = repo.place.admin / "work"

    def undo(path: Path) -> None:
        known = record.load(admin / path.name)
        assert known
        replace(known, ready=False).save(admin / path.name)

    return Place(
        repo,
        GitUser(folder),
        partial(follow, repo, file=JsonlFile()),
        GitAgent(),
        lambda: GitWorkspaces(repo, repo.place),
        lambda path: (admin / path.name / "record.json").unlink(),
        undo,
        FolderAnswers(),
        with_remote(folder),
    )


def on_disk(root: Path) -> Place:
    user, folders, life = SimulatedUser(GitDisk()), FolderDisk(), Prompt()
    user.commit(FIRST, "first")
    user.disk.remotes["origin"] = Remote(dict(user.disk.refs))
    repo = SimulatedGit(user.disk, life, ticking())

    def undo(path: Path) -> None:
        folders.records[path.name].ready = False

    return Place(
        repo,
        user,
        repo.follow,
        SimulatedAgent(folders),
        lambda: SimulatedWorkspaces(folders, repo, user.disk.objects, life),
        lambda path: folders.records.__delitem__(path.name),
        undo,
        SimulatedAnswers(folders, life),
        SimulatedElsewhere(user.disk),
    )


def ticking() -> Callable[[], datetime]:
    """A clock that is a second later whenever it is asked: no two commits are at one time."""
    moments = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=n) for n in range(10_000))
    return lambda: next(moments)


PLACES: dict[str, Callable[[Path], Place]] = {"git": on_git, "simulated": on_disk}
