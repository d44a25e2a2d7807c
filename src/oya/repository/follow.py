"""The checkout follows: the only place where oya moves what the user has checked out."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import Path

from oya.crashpoints import point
from oya.errors import OyaError
from oya.folders import folders_over, is_real_folder, walk
from oya.repository.git import GitRepository
from oya.repository.keep import KEPT, Kept
from oya.repository.port import FileChange, Followed, MergedFile
from oya.repository.run import both

_BUSY = {
    "MERGE_HEAD": "a merge",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "BISECT_LOG": "a bisect",
    "sequencer": "a cherry-pick or revert",
}
_NAMED = 3


@dataclass(frozen=True, slots=True)
class Worktree:
    """One worktree of the repository: where it is, where git keeps its state."""

    path: Path
    git_dir: Path
    branch: str | None
    locked: bool


async def follow(
    repo: GitRepository, branch: str, line: str, *, file: MergedFile | None = None
) -> Followed:
    """Fast-forward the local branch to `line`, in every worktree that has it checked out.

    All of them move, or none: a worktree with a staged or modified tracked file, with
    an operation in progress or an index.lock, keeps the branch where it is, and so
    does a branch that is not an ancestor of `line`. Untracked files, ignored or not,
    are never overwritten: they keep it where it is. `file` alone may be modified: it stays
    so, merged with what `line` has of it.
    Raises nothing for what is in the way.
    """
    kept = Kept(repo, file) if file else None
    why = await _settled(repo, kept) if kept else ""
    tip = await repo.read_ref(f"refs/heads/{branch}")
    if tip is None:
        return Followed(0, f"there is no branch {branch}")
    if tip == line or await repo.is_ancestor(line, tip):
        return Followed(0, why)
    behind = await repo.count(tip, line)
    if why:
        return Followed(behind, why)
    if not await repo.is_ancestor(tip, line):
        return Followed(behind, f"{branch} has commits that did not go through oya")
    point("follow.moving")
    note = ""
    try:
        why = await _move(repo, branch, tip, line, kept, file)
    except OyaError as error:
        why = str(error)
    point("follow.moved")
    if kept:
        try:
            trees = [tree.path for tree in await worktrees(repo)]
            if file and await kept.settle(trees):
                note = f"your changes in {file.path} stay, merged with what landed there"
        except OyaError as error:
            why = why or str(error)
    now = await repo.read_ref(f"refs/heads/{branch}")
    if why or now != line:
        still = await repo.count(now, line) if now else behind
        return Followed(still, why or f"{branch} moved in the meantime")
    return Followed(0, moved=True, note=note)


async def _settled(repo: GitRepository, kept: Kept) -> str:
    """What a death has left is brought to its end; why not, or nothing."""
    if not await repo.list_refs(KEPT):
        return ""
    try:
        await kept.settle([tree.path for tree in await worktrees(repo)])
    except OyaError as error:
        return str(error)
    return ""


async def _move(
    repo: GitRepository,
    branch: str,
    tip: str,
    line: str,
    kept: Kept | None,
    file: MergedFile | None,
) -> str:
    """Move branch and worktrees; what is in the way, or nothing."""
    trees = await worktrees(repo)
    for tree in trees:
        if uses(tree, branch) and tree.branch != branch:
            return f"{branch} is in the middle of {busy(tree.git_dir) or 'something'}: {tree.path}"
    here = [tree for tree in trees if tree.branch == branch]
    changed = []
    for tree in here:
        why, modified = await _look(repo, tree, file.path if file else None)
        if why:
            return why
        if modified:
            changed.append(tree.path)
    if not here:
        moved = await repo.cas_ref(f"refs/heads/{branch}", line, tip)
        return "" if moved else f"{branch} moved in the meantime"
    coming = await repo.diff(tip, line)
    for tree in here:
        if theirs := await asyncio.to_thread(_in_the_way, tree.path, coming):
            return f"{tree.path} has untracked files where others have landed: {a_few(theirs)}"
    if kept and file and changed:
        if (there := await _versions(repo, file.path, tip, line))[1] is None:
            return f"{changed[0]} has changes in {file.path}, which is gone in what landed"
        for number, path in enumerate(changed if there[0] != there[1] else ()):
            await kept.keep(path, number, tip, line)
    first, *others = here
    how = ("--ff-only", "--no-overwrite-ignore", "--no-squash", "--no-stat", "--quiet")
    env = {"GIT_REFLOG_ACTION": "oya"}
    out = await repo.git("merge", *how, line, cwd=first.path, env=env, ok=range(256))
    if out.code:
        return f"{first.path}: {_first_lines(out.stderr or out.text)}"
    for tree in others:
        await repo.git("read-tree", "-m", "-u", tip, line, cwd=tree.path)
    return ""


async def _versions(
    repo: GitRepository, path: str, tip: str, line: str
) -> tuple[bytes | None, bytes | None]:
    return await both(repo.read_file(tip, path), repo.read_file(line, path))


async def _look(repo: GitRepository, tree: Worktree, may_differ: str | None) -> tuple[str, bool]:
    """What keeps oya from moving this worktree, for a person, empty if nothing does; and whether
    `may_differ` is modified, a file that may be, though not staged or removed.
    """
    if tree.locked and not tree.path.is_dir():
        return f"{tree.path} is locked and not there", False
    if operation := busy(tree.git_dir):
        return f"{tree.path} is in the middle of {operation}", False
    if (tree.git_dir / "index.lock").exists():
        return f"git is at work in {tree.path} (index.lock)", False
    changes = await repo.changes(tree.path)  # a look at every file: once
    dirty = [path for path, how in changes.items() if (path, how) != (may_differ, " M")]
    if not dirty:
        return "", bool(changes)
    return f"{tree.path} has changes in {a_few(dirty)}", False


def _in_the_way(worktree: Path, coming: Sequence[FileChange]) -> list[str]:
    """What git does not track there, and `coming` would put something in place of. (Git itself
    overwrites what it ignores, without a word.)"""
    gone = {change.path for change in coming if change.status == "D"}
    added = (change.path for change in coming if change.status == "A")
    found = (_untracked(worktree, path, gone) for path in added)
    return list(dict.fromkeys(path for path in found if path))


def _untracked(worktree: Path, path: str, gone: Container[str]) -> str | None:
    """What lies at this path, over it or, where it is a folder, below it, and is not in `gone`."""
    for over in folders_over(path):
        if over in gone:
            return None  # a tracked file, which makes room
        if not is_real_folder(worktree / over):
            return over if os.path.lexists(worktree / over) else None
    if not is_real_folder(worktree / path):
        return path if os.path.lexists(worktree / path) else None
    files = (folder / name for folder, _, names in walk(worktree / path) for name in names)
    below = (str(file.relative_to(worktree)) for file in files)
    return next((file for file in below if file not in gone), None)


def a_few(paths: Sequence[str]) -> str:
    """The first of these paths, and how many more there are."""
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return f"{', '.join(paths[:_NAMED])}{more}"


def busy(git_dir: Path) -> str:
    """The operation that a worktree is in the middle of; empty if none."""
    return next((what for name, what in _BUSY.items() if (git_dir / name).exists()), "")


def uses(tree: Worktree, branch: str) -> bool:
    """Whether the worktree stands on the branch, or rebases or bisects it."""
    full = f"refs/heads/{branch}"
    names = ("rebase-merge/head-name", "rebase-apply/head-name", "BISECT_START")
    return tree.branch == branch or any(
        _line(tree.git_dir / name) in (full, branch) for name in names
    )


async def worktrees(repo: GitRepository) -> list[Worktree]:
    """All worktrees whose folder is there, or that are locked; the main one first."""
    out = await repo.git("worktree", "list", "--porcelain", "-z")
    found = []
    for number, block in enumerate(out.text.split("\0\0")):
        fields = dict(_field(field) for field in block.split("\0") if field)
        if "worktree" not in fields or "bare" in fields or "prunable" in fields:
            continue
        path = Path(fields["worktree"])
        branch = fields.get("branch", "").removeprefix("refs/heads/") or None
        git_dir = repo.place.common_dir if number == 0 else _git_dir(path)
        found.append(Worktree(path, git_dir, branch, "locked" in fields))
    return found


def _git_dir(path: Path) -> Path:
    return (path / _line(path / ".git").removeprefix("gitdir: ")).resolve()


def _field(text: str) -> tuple[str, str]:
    name, _, value = text.partition(" ")
    return name, value


def _line(path: Path) -> str:
    try:
        return path.read_text(errors="surrogateescape").strip()
    except OSError:
        return ""


def _first_lines(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " ".join(lines[: _NAMED + 1])[:500]
