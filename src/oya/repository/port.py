"""The port: git as primitives. No checkout, no working tree is touched by any of these.

`rev`, `commit` and `tree` are names that git resolves; object ids are full hex. Paths
are as git stores them (`/` between parts, bytes that are no UTF-8 as surrogates).
Every call may raise `GitError`; none retries.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a commit is by."""

    name: str
    email: str


OYA = Identity("oya", "oya@localhost")


@dataclass(frozen=True, slots=True)
class Merged:
    """A merge. Where `conflicts` names paths, `tree` has git's markers in them.

    `helped` says, for a person, which paths git's own help has resolved, and how.
    """

    tree: str
    conflicts: tuple[str, ...] = ()
    helped: tuple[str, ...] = ()

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


@dataclass(frozen=True, slots=True)
class Followed:
    """Where a branch is now: `behind` commits that landed are not in it.

    `why` says, for a person, what is in the way; empty if nothing is. `moved` tells
    that this call moved it, `note` what a person should know of that.
    """

    behind: int
    why: str = ""
    moved: bool = False
    note: str = ""


class PushEnd(StrEnum):
    """How a push has ended. After `UNREACHABLE` nobody knows whether it has arrived."""

    OK = "ok"
    MOVED = "moved"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"


@dataclass(frozen=True, slots=True)
class Pushed:
    """The end of a push; `reason`, for a person, is what the remote or git said of it."""

    end: PushEnd
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """A commit, and its whole message."""

    commit: str
    message: str


@dataclass(frozen=True, slots=True)
class Head:
    """What an attempt has come to. `start` is in its history.

    `left_out` names what is not in it: files over `max_file`, repositories within the
    workspace, what git cannot take; `.git` if the agent's own commits were unsound.
    """

    commit: str
    tree: str
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Workspace:
    """A folder for one attempt; `start` is the commit it began from, merges included.

    `conflicts` are the paths that have git's conflict markers in them. The merge
    itself is concluded, markers and all, so that the agent works on a clean tree.
    `unprepared` says why it could not be prepared; empty: it is.
    """

    bead: str
    epoch: int
    path: Path
    branch: str
    start: str
    conflicts: tuple[str, ...] = ()
    unprepared: str = ""


@dataclass(frozen=True, slots=True)
class Harvested:
    """What became of a workspace that nobody works in any more.

    `head` is None if nothing was in it yet, or if it could not be read: then the
    folder was moved to `kept`.
    """

    head: Head | None
    kept: Path | None = None


def upstream_ref(remote: str, branch: str) -> str:
    """Where a remote's branch is kept as it was last fetched."""
    return f"refs/oya/upstream/{remote}/{branch}"


class Repository(Protocol):
    """One repository, shared by all its worktrees."""

    async def read_ref(self, name: str) -> str | None:
        """The object that a full ref name points to; None if there is no such ref."""
        ...

    async def read_refs(self, *names: str) -> dict[str, str]:
        """Full name → object of those that exist, all as they were at one moment."""
        ...

    async def set_ref(self, name: str, new: str) -> None:
        """Set a ref that only oya writes, wherever it was."""
        ...

    async def cas_ref(self, name: str, new: str, old: str | None) -> bool:
        """Set the ref if it is at `old` (None: if it does not exist); False if it is not.

        After a `GitError` it has not moved, or cannot be read.
        """
        ...

    async def delete_ref(self, name: str, old: str | None = None) -> None:
        """Delete the ref, if it is at `old` (None: wherever it is). Missing is fine."""
        ...

    async def clear_locks(self) -> tuple[str, ...]:
        """Take away the locks on oya's own refs that a git which was killed has left.

        Only for whoever is alone with the repository's state; one that lies there unchanged for
        5 s is nobody's. Their names; at once where there is none.
        """
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

    async def first_parents(self, commit: str, limit: int) -> tuple[str, ...]:
        """A commit and those before it along first parents, at most `limit`, the newest first."""
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

    async def messages(self, older: str, newer: str, limit: int) -> list[Said]:
        """What the commits say that `newer` has and `older` has not, newest first, no commit
        before one that it is in the history of; at most `limit`."""
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

    async def help_merge(self, ours: str, theirs: str, merged: Merged, *, landed: str) -> Merged:
        """`merged`, which those two commits came to, with the conflicts resolved that git's own
        help resolves; `helped` says which.

        Help is a merge driver, where the user has configured one and the attributes of `landed`,
        a commit that people or oya have landed, name it for the path; then a resolution that
        `remember` was told of. Where there is none, or it fails, the conflict stays.
        """
        ...

    async def remember(self, ours: str, theirs: str, resolved: str, by: str) -> None:
        """Keep how the commit `resolved` has what conflicts between those two, for the same
        conflict to come; `by` is who will be named. It may be forgotten at any time.

        Only of files that its first parent has as `ours` does: what else happened to them is no
        part of the resolution.
        """
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

    async def list_root(self, rev: str) -> dict[str, str]:
        """Name → mode, kind and object id of each entry at the top of a commit or tree."""
        ...

    async def list_files(self, rev: str) -> dict[str, str]:
        """Path → blob of all files of a commit or tree."""
        ...

    async def add_note(self, commit: str, text: str, ref: str = "refs/notes/oya") -> None:
        """Write the note of a commit, in place of the one it has."""
        ...

    # remotes, by the names that the user's configuration has for them

    async def fetch(self, remote: str, branch: str) -> str | None:
        """Bring the remote's branch to `upstream_ref(remote, branch)`; its tip, or None.

        None: the remote has no such branch, and neither has that ref a value then. No other ref
        is written. `RemoteError` if the remote cannot be read; the ref is as before then.
        """
        ...

    async def remote_tip(self, remote: str, branch: str) -> str | None:
        """Where the remote's branch is now; nothing is written. `RemoteError` if not known."""
        ...

    async def push(self, remote: str, commit: str, branch: str, expect: str | None) -> Pushed:
        """Push `commit` to the remote's branch: once, plainly, never by force.

        A remote from whose tip `commit` is no fast-forward has `MOVED`; one that has `commit`
        already is `OK`. `expect` is the tip that it stands on, or None: `GitError` if it does
        not. No hook of the user's runs, no other ref is pushed or written.
        """
        ...


class MergedFile(Protocol):
    """A tracked file with changes of the user's that does not keep a checkout from following."""

    @property
    def path(self) -> str:
        """The file, relative to the root of a worktree."""
        ...

    async def read(self, root: Path) -> bytes:
        """The file below that root. `OyaError` where it cannot be merged as it stands."""
        ...

    def merge(self, base: bytes | None, ours: bytes, theirs: bytes) -> bytes:
        """What `theirs` (the user's) and `ours` made of `base`; merging that again changes
        nothing."""
        ...

    async def rewrite(self, root: Path, change: Callable[[bytes], bytes]) -> None:
        """Put `change` of the file in its place: all or nothing, durably, and of what it is at
        that very moment. `OyaError`, with nothing changed, if that cannot be done."""
        ...


Hook = Callable[[Path, Mapping[str, str]], Awaitable[None]]
"""What runs in a folder before or after its use; with more variables for its environment."""


class Follow(Protocol):
    """Lets the user's checkouts of a branch follow the line."""

    async def __call__(self, branch: str, line: str) -> Followed:
        """Fast-forward the local branch to `line`, in every worktree that has it checked out.

        All of them move, or none; what is in the way is said and never touched. Changes in the
        tracker's file are not in the way: they stay uncommitted, merged with what landed there.
        """
        ...


class Workspaces(Protocol):
    """One folder per attempt, in which an agent may do what it likes. One daemon at a time.

    Different workspaces may be used at the same time, one only by one caller at a time.
    """

    def attempt_ref(self, bead: str, epoch: int) -> str:
        """Where the newest head of an attempt is kept."""
        ...

    def base_ref(self, bead: str, epoch: int) -> str:
        """What holds the start of an attempt while its workspace exists."""
        ...

    def folder(self, bead: str, epoch: int) -> Path:
        """Where the workspace of an attempt is, while there is one."""
        ...

    async def create(
        self, bead: str, epoch: int, *, start: str, merge: Sequence[str] = ()
    ) -> Workspace:
        """Make a workspace at `start`, with the commits of `merge` merged in one by one.

        `GitError` if it cannot be made; nothing is left of it then.
        """
        ...

    async def commit(self, ws: Workspace, message: str, *, last: bool = False) -> Head:
        """Make what is in the folder the attempt's head, and keep that under its ref.

        The head's tree is what lies there, apart from what `Head.left_out` names; `.beads/`
        and `.oya/out/` are as at the start. May be called again and again. `last`: nobody works
        there any more, so nothing is written there, and what is gone from it stays so.
        `GitError` if it cannot be read; then nothing was changed, and `harvest` saves it.
        """
        ...

    async def snapshot(self, ws: Workspace) -> Head:
        """What is in the folder now, as `commit` would take it, under the attempt's ref.

        For a look in the middle of a turn: the folder and its `.git` stay as they are, and the
        next head does not follow this one. `GitError` if it cannot be read.
        """
        ...

    async def restore(self, ws: Workspace, commit: str, paths: Collection[str]) -> None:
        """Put these files back as they are in `commit`; those it lacks are removed."""
        ...

    async def remove(self, ws: Workspace) -> None:
        """Remove the folder and what held its start; the attempt's ref stays.

        Call `commit` first: what is not committed is gone.
        """
        ...

    async def leftovers(self, *, every: bool = False) -> list[tuple[str, int, Path]]:
        """Bead, epoch and folder of workspaces that were not made by this object.

        `every`: of all there are, where nobody works in any of them.
        """
        ...

    async def harvest(self, path: Path) -> Harvested:
        """Save the work in a leftover folder under its attempt's ref, and remove it.

        Never raises for what is in it: a folder that cannot be read is moved to `kept`.
        """
        ...
