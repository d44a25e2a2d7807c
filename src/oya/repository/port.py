"""The port: git as primitives. No checkout, no working tree is touched by any of these.

`rev`, `commit` and `tree` are names that git resolves; object ids are full hex. Paths
are as git stores them (`/` between parts, bytes that are no UTF-8 as surrogates).
Every call may raise `GitError`; none retries.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a commit is by."""

    name: str
    email: str


OYA = Identity("oya", "oya@localhost")


@dataclass(frozen=True, slots=True)
class Merged:
    """A merge. Where `conflicts` names paths, `tree` has git's markers in them."""

    tree: str
    conflicts: tuple[str, ...] = ()

    @property
    def clean(self) -> bool:
        return not self.conflicts


@dataclass(frozen=True, slots=True)
class FileChange:
    """One path that differs. `status`: A added, D deleted, M modified, T another type.

    `mode` and `blob` are the new ones (`000000` and zeros when deleted), `old_mode`
    and `old_blob` those before. Renames are a D and an A.
    """

    status: str
    path: str
    mode: str
    blob: str
    old_mode: str
    old_blob: str


class Repository(Protocol):
    """One repository, shared by all its worktrees."""

    async def read_ref(self, name: str) -> str | None:
        """The object that a full ref name points to; None if there is no such ref."""
        ...

    async def cas_ref(self, name: str, new: str, old: str | None) -> bool:
        """Set the ref if it is at `old` (None: if it does not exist); False if it is not."""
        ...

    async def delete_ref(self, name: str, old: str | None = None) -> None:
        """Delete the ref, if it is at `old` (None: wherever it is). Missing is fine."""
        ...

    async def list_refs(self, prefix: str) -> dict[str, str]:
        """Full name → object of every ref below `prefix` (whole components), sorted."""
        ...

    async def resolve(self, rev: str) -> str | None:
        """The commit that `rev` names, or None. HEAD is the main worktree's."""
        ...

    async def tree_of(self, commit: str) -> str:
        """The tree of a commit."""
        ...

    async def parents(self, commit: str) -> tuple[str, ...]:
        """The parents of a commit, the first one first."""
        ...

    async def subject(self, commit: str) -> str:
        """The first paragraph of a commit's message, on one line."""
        ...

    async def is_ancestor(self, older: str, newer: str) -> bool:
        """Whether `older` is in the history of `newer`, or the same."""
        ...

    async def merge_base(self, a: str, b: str) -> str | None:
        """A best common ancestor; None for histories that have nothing in common."""
        ...

    async def count(self, older: str, newer: str) -> int:
        """How many commits `newer` has that `older` has not."""
        ...

    async def contains(self, ref: str, commit: str) -> bool:
        """Whether `ref` exists and has `commit` in its history."""
        ...

    async def head_branch(self) -> str | None:
        """The branch (without refs/heads/) of the user's worktree; None if detached."""
        ...

    async def merge_tree(self, ours: str, theirs: str, *, base: str | None = None) -> Merged:
        """Merge two commits. With `base`, three trees or commits, whatever their history."""
        ...

    async def commit_tree(
        self, tree: str, parents: Sequence[str], message: str, *, author: Identity | None = None
    ) -> str:
        """Make a commit by `author`, who is committer too; by default the user.

        `RepositoryUnfit` if the user has no git identity.
        """
        ...

    async def write_tree(self, tree: str, changes: Mapping[str, bytes | None]) -> str:
        """The tree with these files replaced, or removed (None). Modes are kept; new: 100644."""
        ...

    async def take_paths(self, tree: str, source_tree: str, paths: Collection[str]) -> str:
        """The tree with these paths, files or folders, as in `source_tree`; absent is removed."""
        ...

    async def diff(self, a: str, b: str) -> tuple[FileChange, ...]:
        """What changes from `a` to `b`, by path."""
        ...

    async def diff_text(self, a: str, b: str, limit: int = 100_000) -> str:
        """The patch from `a` to `b`; cut after `limit` bytes, which its last line says."""
        ...

    async def read_file(self, rev: str, path: str) -> bytes | None:
        """A file of a commit or tree (of a symlink, its target); None if there is none."""
        ...

    async def list_files(self, rev: str) -> dict[str, str]:
        """Path → blob of all files of a commit or tree."""
        ...

    async def add_note(self, commit: str, text: str, ref: str = "refs/notes/oya") -> None:
        """Write the note of a commit, in place of the one it has."""
        ...
