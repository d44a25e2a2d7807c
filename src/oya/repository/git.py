"""The port over git's plumbing, and what the main worktree says of itself."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from oya.errors import GitError, RepositoryUnfit
from oya.folders import folders_over, temporary
from oya.processes.orphans import marks
from oya.repository.drivers import driven
from oya.repository.environment import worktree_env
from oya.repository.places import Place
from oya.repository.port import FileChange, Identity, Merged, Pushed, Said
from oya.repository.remotes import Remotes
from oya.repository.rerere import Rerere
from oya.repository.run import Git, both

_ID = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_TREES_KNOWN = 1000
_LISTINGS_KNOWN = 16
_MESSAGES = 8_000_000  # bytes of messages that are read at once
_STALE = 5.0  # s; a git that packs refs has a lock on each for less
_LOOK_AGAIN = 0.05
_EPOCH = "2000-01-01T00:00:00Z"  # synthetic merge bases: the same trees give the same ids

T = TypeVar("T")
Entry = tuple[str | None, str, str]  # mode (None: remove it), blob, path


class GitRepository:
    """`port.Repository` on a real repository.

    `git` runs further commands on it; only this package uses that.
    """

    def __init__(self, place: Place) -> None:
        self.place = place
        self.git = Git(place.common_dir, marks=marks(place.repo_id, "git"))
        self._remotes = Remotes(self.git, place.main_root)
        self._rerere = Rerere(self)
        self.tags: tuple[tuple[int, ...], str] | None = None
        self.filters: tuple[tuple[int, ...], tuple[str, ...]] | None = None
        self._trees: dict[str, str] = {}
        self._files: dict[str, dict[str, str]] = {}

    # refs

    async def read_ref(self, name: str) -> str | None:
        assert name.startswith("refs/"), name
        out = await self.git("rev-parse", "--verify", "-q", "--end-of-options", name, ok=(0, 1))
        return out.text if out.code == 0 else None

    async def read_refs(self, *names: str) -> dict[str, str]:
        out = await self.git("for-each-ref", "--format=%(refname) %(objectname)", *names)
        found = dict(_pair(line) for line in out.text.splitlines())
        return {name: found[name] for name in names if name in found}

    async def cas_ref(self, name: str, new: str, old: str | None) -> bool:
        args = ("update-ref", "--no-deref", name, new, old or "")
        try:
            out = await self.git(*args, ok=range(256))
        except GitError:  # it was ended, and has not said what it had done by then
            now = await self.read_ref(name)
            if now == old:
                raise
            return now == new
        if out.code and await self.read_ref(name) == old:
            # It has not moved: a lock, a full disk, an object that is missing.
            said = out.stderr.strip()[-2000:]
            raise GitError(f"git {' '.join(args)} ended with {out.code}: {said}")
        return out.code == 0

    async def set_ref(self, name: str, new: str) -> None:
        await self.git("update-ref", "--no-deref", name, new)

    async def delete_ref(self, name: str, old: str | None = None) -> None:
        try:
            await self.git("update-ref", "--no-deref", "-d", name, *([old] if old else []))
        except GitError:
            if await self.read_ref(name) is not None:
                raise

    async def clear_locks(self) -> tuple[str, ...]:
        seen: dict[tuple[str, int, int], float] = {}
        gone: list[str] = []
        loop = asyncio.get_running_loop()
        while found := await asyncio.to_thread(_locks, self.place.common_dir):
            for lock in found:
                if loop.time() - seen.setdefault(lock, loop.time()) >= _STALE:
                    with contextlib.suppress(FileNotFoundError):
                        (self.place.common_dir / lock[0]).unlink()
                        gone.append(lock[0])
            await asyncio.sleep(_LOOK_AGAIN)
        return tuple(gone)

    async def list_refs(self, prefix: str) -> dict[str, str]:
        out = await self.git("for-each-ref", "--format=%(refname) %(objectname)", prefix)
        return dict(_pair(line) for line in out.text.splitlines())

    # commits

    async def resolve(self, rev: str) -> str | None:
        out = await self.git(
            "rev-parse", "--verify", "-q", "--end-of-options", f"{rev}^{{commit}}", ok=(0, 1, 128)
        )
        return out.text if out.code == 0 else None

    async def tree_of(self, commit: str) -> str:
        found = self._trees.get(commit)
        if found is None:
            found = (await self.git("rev-parse", "--verify", f"{commit}^{{tree}}")).text
            _remember(self._trees, commit, found, _TREES_KNOWN)
        return found

    async def parents(self, commit: str) -> tuple[str, ...]:
        out = await self.git("rev-parse", f"{commit}^{{commit}}^@")
        return tuple(out.text.split())

    async def first_parents(self, commit: str, limit: int) -> tuple[str, ...]:
        out = await self.git("rev-list", "--first-parent", f"--max-count={limit}", commit, "--")
        return tuple(out.text.split())

    async def subject(self, commit: str) -> str:
        return (await self.git("show", "-s", "--no-show-signature", "--format=%s", commit)).text

    async def is_ancestor(self, older: str, newer: str) -> bool:
        return (await self.git("merge-base", "--is-ancestor", older, newer, ok=(0, 1))).code == 0

    async def merge_base(self, a: str, b: str) -> str | None:
        out = await self.git("merge-base", a, b, ok=(0, 1))
        return out.text if out.code == 0 else None

    async def count(self, older: str, newer: str) -> int:
        return int((await self.git("rev-list", "--count", f"{older}..{newer}", "--")).text)

    async def messages(self, older: str, newer: str, limit: int) -> list[Said]:
        out = await self.git(
            "log", "-z", "--topo-order", "--no-show-signature", "--format=%H%n%B", f"-n{limit}",
            f"{older}..{newer}", "--", limit=_MESSAGES, cut=True,
        )  # fmt: skip
        found = (row.partition("\n") for row in out.text.split("\0") if row)
        return [Said(commit, message) for commit, _, message in found]

    async def contains(self, ref: str, commit: str) -> bool:
        tip = await self.read_ref(ref)
        return tip is not None and await self.is_ancestor(commit, tip)

    async def merge_tree(self, ours: str, theirs: str, *, base: str | None = None) -> Merged:
        if base is not None:
            ours, theirs = await self._related(base, ours, theirs)
        return await self.merge_in(None, ours, theirs)

    async def merge_in(
        self, worktree: Path | None, ours: str, theirs: str, timeout: float | None = None
    ) -> Merged:
        """Merge two commits; git takes attributes from that folder, and no worktree of the
        user's."""
        out = await self.git(
            "merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", ours, theirs,
            ok=(0, 1), env=worktree_env(worktree), cwd=worktree, timeout=timeout,
        )  # fmt: skip
        tree, *rest = out.text.rstrip("\n").split("\0")
        paths = rest[: rest.index("")] if "" in rest else rest
        conflicts = tuple(dict.fromkeys(paths)) if out.code else ()
        if out.code and not (tree and conflicts):
            raise GitError(f"git cannot merge {theirs} into {ours}: {out.stderr.strip()[-500:]}")
        return Merged(tree, conflicts)

    async def stages(self, ours: str, theirs: str) -> dict[str, list[tuple[str, str, str]]]:
        """What git would put into an index where two commits conflict: path → (mode, blob, stage)
        of each side that has it."""
        out = await self.git(
            "merge-tree", "--write-tree", "-z", "--no-messages", ours, theirs, ok=(0, 1)
        )
        found: dict[str, list[tuple[str, str, str]]] = {}
        for row in out.text.rstrip("\n").split("\0")[1:]:
            about, _, path = row.partition("\t")
            if path:
                mode, blob, stage = about.split()
                found.setdefault(path, []).append((mode, blob, stage))
        return found

    async def help_merge(self, ours: str, theirs: str, merged: Merged, *, landed: str) -> Merged:
        merged = await driven(self, ours, theirs, merged, landed)
        return await self._rerere.recall(ours, theirs, merged)

    async def remember(self, ours: str, theirs: str, resolved: str, by: str) -> None:
        await self._rerere.learn(ours, theirs, resolved, by)

    async def _related(self, base: str, ours: str, theirs: str) -> tuple[str, str]:
        """Two commits whose only common ancestor is the base (git < 2.40 takes no base)."""
        root = await self._synthetic(base)
        return await both(self._synthetic(ours, root), self._synthetic(theirs, root))

    async def _synthetic(self, rev: str, *parents: str) -> str:
        tree = await self.tree_of(rev)
        by = Identity("oya", "oya@localhost")
        return await self.commit_tree(tree, parents, "merge", author=by, at=_EPOCH)

    async def commit_tree(
        self,
        tree: str,
        parents: Sequence[str],
        message: str,
        *,
        author: Identity | None = None,
        at: str | None = None,
    ) -> str:
        env: dict[str, str] = {}
        for who in ("AUTHOR", "COMMITTER"):
            if author:
                env |= {f"GIT_{who}_NAME": author.name, f"GIT_{who}_EMAIL": author.email}
            if at:
                env[f"GIT_{who}_DATE"] = at
        given = [word for parent in parents for word in ("-p", parent)]
        data = message.encode("utf-8", "surrogateescape")
        try:
            out = await self.git("commit-tree", tree, *given, "-F", "-", stdin=data, env=env)
        except GitError as error:
            raise _about_identity(error) from error
        return out.text

    async def require_identity(self) -> None:
        """`RepositoryUnfit` if git does not know who the user is."""
        try:
            await self.git("var", "GIT_COMMITTER_IDENT")
        except GitError as error:
            raise _about_identity(error) from error

    # trees

    async def write_tree(self, tree: str, changes: Mapping[str, bytes | None]) -> str:
        kept = {path: data for path, data in changes.items() if data is not None}
        blobs, there = await both(self._write_blobs(kept), self.entries(tree, changes))
        entries: list[Entry] = [
            (there[path][0] if path in there else "100644", blob, path)
            for path, blob in blobs.items()
        ]
        gone = [path for path in changes if path not in kept and path in there]
        return await self.edit_tree(tree, [(None, there[p][1], p) for p in gone] + entries)

    async def take_paths(self, tree: str, source_tree: str, paths: Collection[str]) -> str:
        wanted = set(paths)
        changes = [
            change
            for change in await self.diff(tree, source_tree)
            if change.path in wanted or any(over in wanted for over in folders_over(change.path))
        ]
        return await self.edit_tree(
            tree, [(None if c.status == "D" else c.mode, c.blob, c.path) for c in changes]
        )

    async def edit_tree(self, tree: str, entries: Iterable[Entry]) -> str:
        """The tree with these entries put in."""
        lines = index_lines(entries)
        if not lines:
            return await self.tree_of(tree)
        async with temporary() as folder:
            env = {"GIT_INDEX_FILE": str(folder / "index")}
            await self.git("read-tree", tree, env=env)
            await self.git("update-index", "-z", "--index-info", stdin=lines, env=env)
            return (await self.git("write-tree", env=env)).text

    async def entries(self, tree: str, paths: Collection[str]) -> dict[str, tuple[str, str]]:
        """Path → (mode, blob) of those that are files in the tree."""
        if not paths:
            return {}
        out = await self.git("ls-tree", "-z", "--full-tree", tree, "--", *paths)
        split = (entry.split("\t", 1) for entry in out.fields)
        words = ((path, about.split()) for about, path in split)
        return {path: (mode, blob) for path, (mode, kind, blob) in words if kind == "blob"}

    async def _write_blobs(self, files: Mapping[str, bytes]) -> dict[str, str]:
        if len(files) == 1:
            ((path, data),) = files.items()
            out = await self.git("hash-object", "-w", "--stdin", stdin=data)
            return {path: out.text}
        if not files:
            return {}
        async with temporary() as folder:
            await asyncio.to_thread(_write_numbered, folder, files.values())
            names = "".join(f"{folder}/{number}\n" for number in range(len(files)))
            out = await self.git(
                "hash-object", "-w", "--no-filters", "--stdin-paths", stdin=names.encode()
            )
        return dict(zip(files, out.text.split(), strict=True))

    async def diff(self, a: str, b: str) -> tuple[FileChange, ...]:
        out = await self.git("diff-tree", "-r", "-z", "--raw", "--no-renames", a, b)
        fields = iter(out.fields)
        changes = []
        for about, path in zip(fields, fields, strict=True):
            old_mode, mode, old_blob, blob, status = about.lstrip(":").split()
            changes.append(FileChange(status[0], path, mode, blob, old_mode, old_blob))
        return tuple(changes)

    async def diff_text(self, a: str, b: str, limit: int = 100_000) -> str:
        out = await self.git(
            "diff-tree", "-r", "-p", "--no-renames", "--no-ext-diff", "--no-textconv",
            "--no-color", a, b, limit=limit, cut=True,
        )  # fmt: skip
        text = out.stdout.decode("utf-8", "replace")
        return f"{text}\n[cut after {limit} bytes]\n" if out.cut else text

    async def read_file(self, rev: str, path: str) -> bytes | None:
        asked = f"{rev}:{path}\0".encode("utf-8", "surrogateescape")
        out = await self.git("cat-file", "-z", "--batch", stdin=asked)
        begin = out.stdout.index(b"\n") + 1  # a file may be large: it is copied once
        words = out.stdout[:begin].split()
        if len(words) != 3 or words[1] != b"blob":
            return None
        return out.stdout[begin : begin + int(words[2])]

    async def list_root(self, rev: str) -> dict[str, str]:
        out = await self.git("ls-tree", "-z", "--full-tree", rev)
        split = (entry.split("\t", 1) for entry in out.fields)
        return {name: about for about, name in split}

    async def list_files(self, rev: str) -> dict[str, str]:
        files = self._files.get(rev)
        if files is None:
            out = await self.git("ls-tree", "-r", "-z", "--full-tree", rev)
            entries = (entry.split("\t", 1) for entry in out.fields)
            files = {path: about.split()[2] for about, path in entries}
            _remember(self._files, rev, files, _LISTINGS_KNOWN)
        return dict(files)

    async def add_note(self, commit: str, text: str, ref: str = "refs/notes/oya") -> None:
        data = text.encode("utf-8", "surrogateescape")
        await self.git("notes", f"--ref={ref}", "add", "-f", "-F", "-", commit, stdin=data)

    # remotes

    async def remotes(self) -> tuple[str, ...]:
        """The names of those that are configured."""
        return tuple((await self.git("remote")).text.splitlines())

    async def fetch(self, remote: str, branch: str) -> str | None:
        return await self._remotes.fetch(remote, branch)

    async def remote_tip(self, remote: str, branch: str) -> str | None:
        return await self._remotes.tip(remote, branch)

    async def push(self, remote: str, commit: str, branch: str, expect: str | None) -> Pushed:
        if expect is not None and not await self.is_ancestor(expect, commit):
            raise GitError(f"{commit} does not contain {expect}, which it should stand on")
        return await self._remotes.push(remote, commit, branch)

    # the user's worktrees

    async def head_branch(self) -> str | None:
        out = await self.git("symbolic-ref", "-q", "HEAD", ok=(0, 1), cwd=self.place.root)
        return out.text.removeprefix("refs/heads/") if out.code == 0 else None

    async def working_file(self, path: str) -> bytes | None:
        """A file of the main worktree as it lies there; None if there is none."""
        try:
            return await asyncio.to_thread((self.place.main_root / path).read_bytes)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            return None

    async def dirty_paths(self, worktree: Path | None = None) -> tuple[str, ...]:
        """Tracked paths with staged or unstaged changes, by default of the main worktree."""
        return tuple(await self.changes(worktree or self.place.main_root))

    async def changes(self, worktree: Path) -> dict[str, str]:
        """Those paths, each with its two letters of `git status`: what is staged, what is not."""
        out = await self.git(
            "status", "--porcelain=v1", "-z", "--untracked-files=no", "--no-renames", cwd=worktree
        )
        return {entry[3:]: entry[:2] for entry in out.fields}

    async def tracked(self, path: str) -> bool:
        """Whether the main worktree's index has this file."""
        out = await self.git("ls-files", "-z", "--", path, cwd=self.place.main_root)
        return path in out.fields


def _locks(common_dir: Path) -> list[tuple[str, int, int]]:
    """The locks on oya's own refs: name, inode and time of change."""
    found = []
    for path in (*common_dir.glob("refs/oya/**/*.lock"), common_dir / "refs/notes/oya.lock"):
        with contextlib.suppress(OSError):
            seen = path.lstat()
            found.append((str(path.relative_to(common_dir)), seen.st_ino, seen.st_mtime_ns))
    return found


def _remember(known: dict[str, T], rev: str, value: T, limit: int) -> None:
    """Keep what can never change: only full ids name one thing for ever."""
    if _ID.fullmatch(rev):
        while len(known) >= limit:
            del known[next(iter(known))]
        known[rev] = value


def index_lines(entries: Iterable[Entry]) -> bytes:
    """What `update-index -z --index-info` reads: removals, then the rest."""
    removed, put = [], []
    for mode, blob, path in entries:
        if mode is None:
            removed.append(f"0 {blob}\t{path}\0")
        else:
            put.append(f"{mode} {blob}\t{path}\0")
    return "".join(removed + put).encode("utf-8", "surrogateescape")


def _about_identity(error: GitError) -> GitError | RepositoryUnfit:
    said = str(error)
    if not any(word in said for word in ("auto-detection", "tell me who you are", "empty ident")):
        return error
    return RepositoryUnfit(
        "git does not know who you are, and commits need an author",
        safe="Nothing was landed.",
        hint='git config --global user.name "Your Name" && '
        "git config --global user.email you@example.com",
    )


def _pair(line: str) -> tuple[str, str]:
    name, _, value = line.partition(" ")
    return name, value


def _write_numbered(folder: Path, contents: Iterable[bytes]) -> None:
    for number, data in enumerate(contents):
        (folder / str(number)).write_bytes(data)
