"""Git's objects as values: files, trees, commits, and a three-way merge of them.

Ids are what git's are for: equal content has an equal id. A conflict is two different
changes of one path; where both sides made the same change there is none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

T = TypeVar("T")

FILE = "100644"
EMPTY_ID = "0" * 40


@dataclass(frozen=True)
class File:
    """What a path has in a tree."""

    data: bytes
    mode: str = FILE

    @cached_property
    def blob(self) -> str:
        """The id of its content."""
        return hashlib.sha1(
            b"blob %d\0%s" % (len(self.data), self.data), usedforsecurity=False
        ).hexdigest()

    @property
    def kind(self) -> str:
        """A file or a symbolic link, without what may be done with it."""
        return self.mode[:3]


Files = Mapping[str, File]


@dataclass(frozen=True, slots=True)
class Commit:
    """`depth` is the length of the longest way to a root: no ancestor is deeper."""

    id: str
    tree: str
    parents: tuple[str, ...]
    message: str
    author: str
    depth: int


class Objects:
    """Every tree and commit there ever was; nothing is ever forgotten."""

    def __init__(self) -> None:
        self.trees: dict[str, Files] = {}
        self.commits: dict[str, Commit] = {}
        self._common: dict[tuple[str, str], str | None] = {}

    def add_tree(self, files: Files) -> str:
        """The id of the tree with these files."""
        said = "".join(f"{path}\0{files[path].mode}{files[path].blob}\n" for path in sorted(files))
        tree = _hash("tree", said)
        if tree not in self.trees:
            self.trees[tree] = dict(files)
        return tree

    def add_commit(
        self, tree: str, parents: tuple[str, ...], message: str, author: str, at: str
    ) -> str:
        """The id of the commit; the same words at the same time are the same commit."""
        said = f"{tree}\n{' '.join(parents)}\n{author}\n{at}\n{message}"
        commit = _hash("commit", said)
        if commit not in self.commits:
            depth = 1 + max((self.commits[p].depth for p in parents), default=0)
            self.commits[commit] = Commit(commit, tree, parents, message, author, depth)
        return commit

    def files(self, rev: str) -> Files:
        """The files of a commit or a tree; `KeyError` if there is neither."""
        commit = self.commits.get(rev)
        return self.trees[commit.tree if commit else rev]

    def ancestors(self, commit: str) -> Iterator[str]:
        """The commit and all before it, each once."""
        seen = {commit: None}
        line = [commit]
        while line:
            found = line.pop()
            yield found
            for parent in self.commits[found].parents:
                if parent not in seen:
                    seen[parent] = None
                    line.append(parent)

    def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether `older` is in the history of `newer`, or the same."""
        floor = self.commits[older].depth
        seen = {newer}
        line = [newer]
        while line:
            found = line.pop()
            if found == older:
                return True
            for parent in self.commits[found].parents:
                if parent not in seen and self.commits[parent].depth >= floor:
                    seen.add(parent)
                    line.append(parent)
        return False

    def merge_base(self, a: str, b: str) -> str | None:
        """The deepest common ancestor; of several the one with the smallest id."""
        key = (a, b) if a < b else (b, a)
        if key not in self._common:
            shared = set(self.ancestors(a)).intersection(self.ancestors(b))
            best = sorted(shared, key=lambda c: (-self.commits[c].depth, c))
            self._common[key] = best[0] if best else None
        return self._common[key]


def lay(files: dict[str, T], path: str, file: T) -> None:
    """Put a file there; what was in its way, a file above it or a folder, is gone."""
    if path not in files:
        parts = path.split("/")
        for count in range(1, len(parts)):
            files.pop("/".join(parts[:count]), None)
        take_away(files, path)
    files[path] = file


def take_away(files: dict[str, T], path: str) -> None:
    """Remove what is there, a file or a folder; nothing is fine."""
    for found in [name for name in files if name == path or name.startswith(f"{path}/")]:
        del files[found]


def is_path(path: str) -> bool:
    """Whether a tree can have it."""
    return all(part not in ("", ".", "..") and part.lower() != ".git" for part in path.split("/"))


def merge(base: Files, ours: Files, theirs: Files) -> tuple[Files, tuple[str, ...]]:
    """The merged files, and the paths in conflict, which have git's markers in them."""
    merged = dict(ours)
    conflicts = []
    for path in sorted({*base, *theirs}):
        was, mine, other = base.get(path), ours.get(path), theirs.get(path)
        if other in (was, mine):
            continue
        if mine == was:
            if other is None:
                merged.pop(path, None)
            else:
                merged[path] = other
            continue
        conflicts.append(path)
        merged[path] = _marked(mine, other)
    return merged, tuple(conflicts)


def _marked(mine: File | None, other: File | None) -> File:
    if mine is None or other is None:  # git leaves the side that still has the file
        kept = mine or other
        assert kept is not None
        return kept
    text = b"<<<<<<< ours\n%s=======\n%s>>>>>>> theirs\n"
    return File(text % (_ended(mine.data), _ended(other.data)), mine.mode)


def _ended(data: bytes) -> bytes:
    return data if not data or data.endswith(b"\n") else data + b"\n"


def _hash(kind: str, said: str) -> str:
    data = f"{kind} {said}".encode("utf-8", "surrogateescape")
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()
