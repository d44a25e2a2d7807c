"""What a program needs beside its own file, where its folder is hidden from it.

Programs under home are seldom one file: an interpreter has its library beside it, a
virtual environment its interpreter elsewhere, a shim the tool that it asks. Yet whole
folders are not handed out lightly, since `~/.local` or `~/.cargo` hold secrets too.

    needs = Needs(hidden=lambda path: path.is_relative_to(home))
    needs.search(os.environ["PATH"])
    needs.paths     {as it is named: where it really is}
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

_MAX_ENTRIES = 5000
"""Programs of one folder that are looked at."""
_MAX_LINKS = 40
_SYSTEM = frozenset(map(Path, ("/bin", "/sbin", "/usr/bin", "/usr/sbin")))
_LIBRARIES = ("pyvenv.cfg", "lib", "lib64", "libexec")
"""What tells a folder `bin` that its parent is an installation, and of one piece."""


def files_among(words: Iterable[str]) -> tuple[Path, ...]:
    """Those words of a command line that name a file by its absolute path."""
    return tuple(Path(word) for word in words if word.startswith("/") and Path(word).is_file())


class Needs:
    """Collects in `paths` what must be shown for programs to run: name → real path.

    `hidden` says whether a path lies where nothing is seen; what is seen needs nothing.
    `wide` are folders that are never shown as a whole, whatever lies in them.
    """

    def __init__(self, hidden: Callable[[Path], bool], wide: Iterable[Path] = ()) -> None:
        self._hidden = hidden
        self._wide = frozenset(wide)
        self._searched: set[Path] = set()
        self.paths: dict[Path, Path] = {}

    def search(self, path: str) -> None:
        """All programs of a PATH; entries that are relative or no folder are passed over."""
        for entry in path.split(os.pathsep):
            if entry.startswith("/"):
                self._folder(Path(os.path.normpath(entry)))

    def file(self, path: Path) -> None:
        """One file, what it is a link to, and what runs it."""
        for one in _names(path):
            if not self._hidden(one):
                continue
            modules = next((up for up in one.parents[::-1] if up.name == "node_modules"), None)
            if modules is None and any(_around(one.parent, self._wide)):
                self._folder(one.parent)
            else:
                self._show(modules or one)
        interpreter = _interpreter(path)
        if interpreter is not None and self._hidden(interpreter):
            self.file(interpreter)

    def _folder(self, folder: Path) -> None:
        if folder in self._searched or not folder.is_dir():
            return
        self._searched.add(folder)
        if self._hidden(folder) and folder not in self._wide:
            for root in (*_around(folder, self._wide), folder):
                self._show(root)
        for one in _entries(folder):
            if one.is_symlink() or folder not in _SYSTEM:
                self._linked(one)

    def _linked(self, program: Path) -> None:
        names = _names(program)
        if any(self._hidden(one) and one.parent != program.parent for one in names):
            for one in names[1:]:
                self.file(one)
        elif (interpreter := _interpreter(program)) is not None and self._hidden(interpreter):
            self.file(interpreter)

    def _show(self, path: Path) -> None:
        real = Path(os.path.realpath(path))
        for name in (path, real):
            if real.exists() and self._hidden(name) and not self._shown(name):
                self.paths[name] = real

    def _shown(self, name: Path) -> bool:
        return any(one in self.paths for one in (name, *name.parents))


def _entries(folder: Path) -> Iterator[Path]:
    try:
        with os.scandir(folder) as found:
            for entry in itertools.islice(found, _MAX_ENTRIES):
                yield Path(entry.path)
    except OSError:
        return


def _names(path: Path) -> list[Path]:
    """A path, and every path that it stands for, link by link."""
    names = [path]
    for _ in range(_MAX_LINKS):
        try:
            target = path.readlink()
        except OSError:
            break
        path = Path(os.path.normpath(path.parent / target))
        names.append(path)
    return list(dict.fromkeys((*names, Path(os.path.realpath(path)))))


def _interpreter(script: Path) -> Path | None:
    """The program that the first line of a script names, if it may be run as one."""
    try:
        # A FIFO would never open; and what is only read has a first line that means nothing.
        if not (script.is_file() and os.access(script, os.X_OK)):
            return None
        with script.open("rb") as file:
            first = file.readline(512) if file.read(2) == b"#!" else b""
    except OSError:
        return None
    words = os.fsdecode(first).split()
    return Path(words[0]) if words and words[0].startswith("/") else None


def _around(folder: Path, wide: frozenset[Path]) -> Iterator[Path]:
    """What the programs of a folder need beside it: by what lies there, not by a list of tools."""
    parent = folder.parent
    if (folder / "rustup").exists():
        yield parent.parent / ".rustup"
    if parent in wide:
        if parent.name == ".local":
            yield parent / "lib"
    elif (
        folder.name == "shims"
        or (folder / "volta").exists()
        or (folder.name in ("bin", "sbin") and any((parent / n).exists() for n in _LIBRARIES))
    ):
        yield parent
