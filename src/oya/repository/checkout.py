"""A working tree of oya's beside the repository, written and read without trusting it.

Agents, and tests that agents wrote, run in these folders and may do anything to the
`.git` in them: hooks, filters, fsmonitor, a symlink to the user's own repository. So
oya's git never reads that `.git`. It works with the user's repository as `GIT_DIR`
(objects go straight there, and the user's own configuration holds, but for its filters)
and with an index that lies outside the folder. The `.git` that agents and gates see is
laid by hand: what `git clone --shared` makes, without a remote, and new after each of
oya's turns.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from oya.errors import GitError
from oya.folders import is_real_folder, open_up, read_small, take_away
from oya.repository.environment import git_environment
from oya.repository.filters import no_filters, written
from oya.repository.git import Entry, GitRepository, index_lines
from oya.repository.port import OYA
from oya.repository.run import Output

_CONFIG = f"""[core]
\trepositoryformatversion = {{version}}
\tfilemode = true
\tbare = false
\tlogallrefupdates = true
\thooksPath = /dev/null
\tfsmonitor = false
[extensions]{{extensions}}
[user]
\tname = {OYA.name}
\temail = {OYA.email}
[commit]
\tgpgSign = false
[tag]
\tgpgSign = false
[gc]
\tauto = 0
[maintenance]
\tauto = false
"""

# What the user's configuration might say about the user's own index and worktree.
_OWN = {
    "core.sparseCheckout": "false",
    "core.splitIndex": "false",
    "core.untrackedCache": "false",
    "core.trustctime": "true",
    "core.checkStat": "default",
    "core.fileMode": "true",
    "core.symlinks": "true",
}

BYTE_CODE = "__pycache__/"
"""What every run of Python leaves: ignored, whether the user's repository says so or not."""
_OBJECT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_MOST_REFUSED = 100
_TRIES = 10
_REFUSED = re.compile(r"(?:Ignoring path|Unable to process path) (.*)")


class Checkout:
    """A folder, and the index that oya keeps of it in `admin`. `aside`, where the next `.git`
    is made, lies on the same disk, and in nobody's folder."""

    def __init__(self, repo: GitRepository, folder: Path, admin: Path) -> None:
        self._repo = repo
        self._git = repo.git
        self._common_dir = repo.place.common_dir
        self.folder = folder
        self.aside = folder.parent.with_name(f"{folder.parent.name}.git") / folder.name
        self._admin = admin
        self._index = admin / "index"

    async def fill(self, commit: str) -> None:
        """Make the tracked files exactly those of the commit; only what differs is written."""
        await self._run("read-tree", "--reset", "-u", commit)

    async def load(self, commit: str) -> None:
        """Make the index that of the commit; no file is touched."""
        await self._run("read-tree", "--reset", commit)

    async def clean(self, keep: Iterable[str] = ()) -> None:
        """Remove everything that is not in the index, ignored or not, repositories too; but for
        what lies at the paths of `keep`."""
        await self._run("clean", "-ffdxq", *(f"--exclude=/{literal(path)}" for path in keep))

    async def ignored(self, folders: Iterable[str]) -> list[str]:
        """Those of these folders that git ignores here."""
        asked = {f"./{path}/": path for path in folders}
        if not asked:
            return []
        said = "".join(f"{path}\0" for path in asked).encode("utf-8", "surrogateescape")
        args = ("check-ignore", "-z", "--stdin")
        # Which this one git refuses to take.
        env = {**await self._environment(), "GIT_LITERAL_PATHSPECS": "0"}
        out = await self._git(*args, stdin=said, ok=(0, 1), env=env, cwd=self.folder)
        return [asked[path] for path in out.fields if path in asked]

    async def changed(self) -> list[str]:
        """Paths that differ from the index: modified, deleted, new and not ignored, be it by
        `BYTE_CODE`.

        A repository in there is named with a `/` at its end, and not looked into.
        """
        ignored = (f"--exclude={BYTE_CODE}", "--exclude-standard")
        args = ("ls-files", "-z", "--others", "--modified", *ignored)
        out = await self._run(*args)
        if "ermission denied" in out.stderr:
            await asyncio.to_thread(open_up, self.folder)
            out = await self._run(*args)
        return list(dict.fromkeys(out.fields))

    async def add(self, paths: Iterable[str]) -> list[str]:
        """Take these paths into the index as they lie there; return those git refuses."""
        left, refused = list(dict.fromkeys(paths)), list[str]()
        while left and len(refused) < _MOST_REFUSED:
            try:
                out = await self._run(
                    "update-index", "-z", "--add", "--remove", "--replace", "--stdin",
                    stdin="".join(f"{path}\0" for path in left).encode("utf-8", "surrogateescape"),
                )  # fmt: skip
            except GitError as error:
                found = [path for path in _REFUSED.findall(str(error)) if path in left]
                if not found:
                    raise
                refused += found
                left = [path for path in left if path not in found]
            else:
                return refused + [path for path in _REFUSED.findall(out.stderr) if path in left]
        return refused

    async def put(self, entries: Iterable[Entry]) -> None:
        """Set entries of the index; no file is touched."""
        if lines := index_lines(entries):
            await self._run("update-index", "-z", "--index-info", stdin=lines)

    async def write_tree(self) -> str:
        """The tree of the index."""
        return (await self._run("write-tree")).text

    async def restore(self, commit: str, paths: Iterable[str]) -> None:
        """Make these paths, files or folders, those of the commit, in the folder too."""
        names = "".join(f"{path}\0" for path in paths).encode("utf-8", "surrogateescape")
        if names:
            await self._run(
                "restore", f"--source={commit}", "--staged", "--worktree", "--no-overlay",
                "--ignore-unmerged", "--pathspec-from-file=-", "--pathspec-file-nul",
                stdin=names,
            )  # fmt: skip

    async def _run(self, *args: str, stdin: bytes | None = None) -> Output:
        env = await self._environment()
        return await self._git(*args, stdin=stdin, env=env, cwd=self.folder)

    async def _environment(self) -> dict[str, str]:
        env = git_environment({**_OWN, **await no_filters(self._repo)})
        config = {name: value for name, value in env.items() if name.startswith("GIT_CONFIG_")}
        own = {"GIT_WORK_TREE": str(self.folder), "GIT_INDEX_FILE": str(self._index)}
        return {**config, **own}

    def make_usable(self) -> None:
        """Make the folder a folder that can be entered, and take away a lock left on the index."""
        if not is_real_folder(self.folder):
            take_away(self.folder)
            self.folder.mkdir(parents=True)
        self.folder.chmod(0o755)
        self._admin.mkdir(parents=True, exist_ok=True)
        (self._admin / "index.lock").unlink(missing_ok=True)

    def forget_index(self) -> None:
        """The next `fill` or `load` starts from nothing."""
        self._index.unlink(missing_ok=True)

    def lay_git(self, commit: str, branch: str | None, tags: str, exclude: str = "") -> None:
        """Lay a `.git` with this commit checked out, in place of whatever is there.

        `branch` is a full ref name, None for a detached HEAD; `tags` the lines of a
        packed-refs file. Made `aside`: whoever still runs in the folder could make each
        step there lead elsewhere. `GitError` if it cannot be put there.
        """
        try:
            lay_git_dir(self.aside, [self._common_dir / "objects"], commit, branch, tags)
            own = _read_text(self._common_dir / "info" / "exclude")
            _write(self.aside / "info" / "exclude", f"{own}\n{exclude}\n")
            with contextlib.suppress(FileNotFoundError):
                shutil.copy2(self._index, self.aside / "index")
            self._move_in()
        finally:
            take_away(self.aside)

    def _move_in(self) -> None:
        """Put what lies aside in place of the `.git`: a rename goes through no link."""
        for tries_left in reversed(range(_TRIES)):
            take_away(self.folder / ".git")
            try:
                self.aside.rename(self.folder / ".git")
            except OSError as error:
                if not tries_left:
                    raise GitError(
                        f"the .git of {self.folder} cannot be laid: {error.strerror}",
                        hint="A process that works there puts something else in its place.",
                    ) from error
            else:
                return

    def head(self) -> str | None:
        """The commit that HEAD of the folder's `.git` names, read by hand; None if it does not."""
        git_dir = self.folder / ".git"
        if not is_real_folder(git_dir):
            return None
        head = (read_small(git_dir / "HEAD") or "").strip()
        if head.startswith("ref: refs/") and ".." not in head:
            name = head.removeprefix("ref: ")
            head = (read_small(git_dir / name) or "").strip() or _packed(git_dir, name)
        return head if _OBJECT.fullmatch(head) else None

    async def take_commits(self, head: str, ref: str) -> bool:
        """Fetch what was committed in the folder up to `head`, and set `ref` to it.

        Through a `.git` of oya's own that only borrows the folder's objects. False if
        they are not all there and sound.
        """
        between = self._admin / "exchange"
        objects = [self.folder / ".git" / "objects", self._common_dir / "objects"]
        await asyncio.to_thread(lay_git_dir, between, objects, head, None, "")
        try:
            await self._git(
                "-c", "protocol.file.allow=always", "fetch", "--quiet", "--no-tags",
                "--no-write-fetch-head", "--no-recurse-submodules", "--force", str(between),
                f"HEAD:{ref}",
            )  # fmt: skip
        except GitError:
            return False
        finally:
            await asyncio.to_thread(take_away, between)
        return True


def lay_git_dir(
    path: Path, objects: Iterable[Path], commit: str, branch: str | None, tags: str
) -> None:
    """Write a git directory that borrows all objects from those folders."""
    take_away(path)
    (path / "objects" / "info").mkdir(parents=True)
    (path / "objects" / "pack").mkdir()
    (path / "refs" / "heads").mkdir(parents=True)
    (path / "info").mkdir()
    alternates = "".join(f"{folder}\n" for folder in objects)
    _write(path / "objects" / "info" / "alternates", alternates)
    sha256 = len(commit) == 64
    extensions = "\n\tobjectFormat = sha256" if sha256 else ""
    _write(path / "config", _CONFIG.format(version=int(sha256), extensions=extensions))
    if tags:
        _write(path / "packed-refs", tags)
    if branch:
        (path / branch).parent.mkdir(parents=True, exist_ok=True)
        _write(path / branch, f"{commit}\n")
    _write(path / "HEAD", f"ref: {branch}\n" if branch else f"{commit}\n")


async def tags_of(repo: GitRepository) -> str:
    """The tags of the repository as lines of packed-refs: tools make versions of them.

    Asked for again when git has written tags or packed refs; a tag in a folder of its own
    may be seen late.
    """
    stamp = tuple(written(repo.place.common_dir / name) for name in ("refs/tags", "packed-refs"))
    if repo.tags is None or repo.tags[0] != stamp:
        out = await repo.git("for-each-ref", "--format=%(objectname) %(refname)", "refs/tags")
        repo.tags = (stamp, f"{out.text}\n" if out.text else "")
    return repo.tags[1]


def literal(path: str) -> str:
    """A path as a pattern of gitignore that stands for itself."""
    return re.sub(r"([\\*?\[ ])", r"\\\1", path)


def _packed(git_dir: Path, name: str) -> str:
    lines = (read_small(git_dir / "packed-refs", 10_000_000) or "").splitlines()
    return next((line.split()[0] for line in lines if line.endswith(f" {name}")), "")


def _read_text(path: Path) -> str:
    try:
        return path.read_text(errors="surrogateescape")
    except OSError:
        return ""


def _write(path: Path, text: str) -> None:
    path.write_text(text, errors="surrogateescape")
