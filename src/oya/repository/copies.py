"""Ignored files of the user's that every workspace and slot gets: `[workspace] copy`."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from oya.errors import ConfigError
from oya.folders import is_real_folder
from oya.repository.git import GitRepository

MAX_BYTES = 10_000_000
"""Of all of them together: they are held in memory, so that all get the same."""


@dataclass(frozen=True, slots=True)
class Copied:
    """One file, as it was when oya started."""

    path: str
    data: bytes
    mode: int


@dataclass(frozen=True, slots=True)
class Copies:
    """All of them. What is read once holds for a whole swarm, as the configuration does."""

    files: tuple[Copied, ...] = ()

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(file.path for file in self.files)

    @property
    def digest(self) -> str:
        """Stands for paths, contents and modes; "" for no files."""
        said = [(one.path, one.mode, hashlib.sha256(one.data).hexdigest()) for one in self.files]
        return hashlib.sha256(repr(said).encode()).hexdigest() if said else ""

    def lay(self, folder: Path) -> None:
        """Write those files for which nothing lies in the folder; through no link in it."""
        for file in self.files:
            *over, name = file.path.split("/")
            if (there := _enter(folder, over)) is not None:
                _write(there / name, file)


NO_COPIES = Copies()


def read_copies(root: Path, paths: Sequence[str]) -> Copies:
    """The files of the main worktree `root`. `ConfigError`: one is missing, no file, or large."""
    left, files = MAX_BYTES, list[Copied]()
    for path in dict.fromkeys(paths):
        file = root / path
        try:
            if not file.is_file():
                raise _refused(path, "is not a file of the main worktree")
            with file.open("rb") as opened:
                data = opened.read(left + 1)
        except OSError as error:
            raise _refused(path, f"cannot be read: {error.strerror}") from error
        left -= len(data)
        if left < 0:
            raise _refused(path, f"is too large: {MAX_BYTES} bytes may be copied in all")
        files.append(Copied(path, data, file.stat().st_mode & 0o777))
    return Copies(tuple(files))


async def require_untracked(repo: GitRepository, paths: Sequence[str]) -> None:
    """`ConfigError` for one that git tracks: it is in every tree, and must not differ there."""
    if not paths:
        return
    ask = ("ls-files", "-z", "--", *paths)
    out = await repo.git(*ask, cwd=repo.place.main_root)
    if out.fields:
        raise _refused(out.fields[0], "is tracked by git: it is in every workspace as it is")


def _refused(path: str, why: str) -> ConfigError:
    return ConfigError(
        f"`workspace.copy`: {path} {why}.",
        safe="Nothing was started.",
        hint="Name ignored files, by their paths from the root of the repository.",
    )


def _enter(folder: Path, names: Sequence[str]) -> Path | None:
    """The folder below it, made where it is missing; None where a link or a file is in the way."""
    for name in names:
        folder = folder / name
        if not os.path.lexists(folder):
            folder.mkdir()
        if not is_real_folder(folder):
            return None
    return folder


def _write(path: Path, file: Copied) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(path, flags, 0o600)
    except FileExistsError:
        return  # the tree has one of its own
    with open(fd, "wb") as opened:  # noqa: PTH123 (a descriptor)
        os.fchmod(fd, file.mode)
        opened.write(file.data)
