"""Which names belong to the project: those whose first part is a package or module in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from oya.folders import walk
from oya.gates.reason import ProjectNames

_NOT_THE_PROJECT: Final = frozenset({"tests", "test", "conftest"})
_FOREIGN_FOLDERS: Final = frozenset({"node_modules", "site-packages", "__pycache__"})
_BUILT: Final = frozenset({"pyvenv.cfg", "CACHEDIR.TAG"})
"""Files that say of their folder that nobody wrote what lies there."""
_WALK_LIMIT: Final = 50_000


def project_names(files: Iterable[str]) -> ProjectNames:
    """From the paths of a tree, whether a dotted name belongs to it.

    `larder.scale` does if the tree has a folder `larder` with Python below it, or a
    `larder.py`, at any depth. What lies in a folder of tests does not count: a missing
    helper of the tests is theirs to write, not the implementation's.
    """
    tops: set[str] = set()
    for path in files:
        *folders, name = path.split("/")
        stem, _, suffix = name.rpartition(".")
        if not stem or suffix not in ("py", "pyi") or not _NOT_THE_PROJECT.isdisjoint(folders):
            continue
        tops.update(folders)
        tops.add(stem)
    tops -= _NOT_THE_PROJECT
    return lambda dotted: dotted.partition(".")[0] in tops


def files_below(root: Path, endings: tuple[str, ...] = (".py", ".pyi")) -> Iterator[str]:
    """Files of a checkout relative to it whose names end so; what is installed or built
    there (virtual environments, node_modules, cargo's target, what begins with a dot) is left
    out, and links are not followed."""
    seen = 0
    for folder, folders, names in walk(root):
        if not _BUILT.isdisjoint(names):
            folders.clear()
            continue
        folders[:] = sorted(d for d in folders if d not in _FOREIGN_FOLDERS and d[0] != ".")
        seen += len(names) + len(folders)
        if seen > _WALK_LIMIT:
            return
        here = folder.relative_to(root).as_posix()
        paths = (f"{here}/{name}" for name in sorted(names) if name.endswith(endings))
        yield from (path.removeprefix("./") for path in paths)
