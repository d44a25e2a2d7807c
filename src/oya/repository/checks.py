"""Whether oya can work on this repository; everything that would break later, said now."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from oya.beads import PATH
from oya.errors import RepositoryUnfit
from oya.repository.filters import filters
from oya.repository.follow import a_few, busy
from oya.repository.git import GitRepository
from oya.repository.run import both

OLDEST_GIT = (2, 38)
_UNTOUCHED = "Nothing was changed."
_FILTER = re.compile(r"^[^#\n]*\bfilter=(\S+)", re.MULTILINE)
_NAMED = 3
_MOST_ATTRIBUTES = 1000


@dataclass(frozen=True, slots=True)
class Fitness:
    """A repository that oya can work on; `warnings` are for a person to read."""

    branch: str
    git_version: str
    warnings: tuple[str, ...] = ()


async def fitness(repo: GitRepository) -> Fitness:
    """Look at the repository; a few git processes, nothing is written.

    `RepositoryUnfit` if git is older than 2.38, there are no commits, HEAD is
    detached, the user has no git identity, or the repository is shallow, partial, has
    submodules or uses Git LFS. A dirty checkout or an operation in progress is only
    warned of: oya will not move it; and so are filters, which oya does not run.
    """
    version = await _version(repo)
    branch = await repo.head_branch()
    if branch is None:
        raise RepositoryUnfit(
            "HEAD is detached, so there is no branch to land on",
            safe=_UNTOUCHED,
            hint="git switch main",
        )
    if await repo.read_ref(f"refs/heads/{branch}") is None:
        raise RepositoryUnfit(
            "the repository has no commits",
            safe=_UNTOUCHED,
            hint='git add -A && git commit -m "First commit"',
        )
    await _whole(repo)
    named = await _plain(repo, f"refs/heads/{branch}")
    await repo.require_identity()
    return Fitness(branch, version, tuple(await _warnings(repo, branch, named)))


async def _version(repo: GitRepository) -> str:
    said = (await repo.git("version")).text
    found = re.search(r"(\d+)\.(\d+)\S*", said)
    if not found or (int(found[1]), int(found[2])) < OLDEST_GIT:
        raise RepositoryUnfit(
            f"git is too old: {said}", safe=_UNTOUCHED, hint="oya needs git 2.38 or newer."
        )
    return found[0]


async def _whole(repo: GitRepository) -> None:
    """Neither shallow nor partial."""
    out = await repo.git("rev-parse", "--is-shallow-repository")
    if out.text == "true":
        raise RepositoryUnfit(
            "the repository is shallow; oya cannot work on that yet",
            safe=_UNTOUCHED,
            hint="git fetch --unshallow",
        )
    partial = await repo.git(
        "config", "--get-regexp", r"^(extensions\.partialclone|remote\..*\.promisor)$", ok=(0, 1)
    )
    if partial.code == 0:
        raise RepositoryUnfit(
            "the repository is a partial clone; oya cannot work on that yet",
            safe=_UNTOUCHED,
            hint="Make a full clone: git clone URL",
        )


async def _plain(repo: GitRepository, rev: str) -> set[str]:
    """Neither submodules nor LFS; the filters that its attributes name."""
    out = await repo.git("ls-tree", "-r", "-z", "--full-tree", rev)
    entries = [entry.split("\t", 1) for entry in out.fields]
    modules = [path for about, path in entries if about.startswith("160000")]
    if modules:
        raise RepositoryUnfit(
            f"the repository has submodules ({', '.join(modules[:_NAMED])}); "
            "oya cannot work on that yet",
            safe=_UNTOUCHED,
        )
    blobs = [about.split()[2] for about, path in entries if path.split("/")[-1] == ".gitattributes"]
    named = await _named_filters(repo, blobs[:_MOST_ATTRIBUTES])
    if "lfs" in named:
        raise RepositoryUnfit(
            "the repository uses Git LFS (filter=lfs in .gitattributes); "
            "oya cannot work on that yet",
            safe=_UNTOUCHED,
        )
    return named


async def _named_filters(repo: GitRepository, blobs: list[str]) -> set[str]:
    if not blobs:
        return set()
    asked = "".join(f"{blob}\n" for blob in blobs).encode()
    return {*_FILTER.findall((await repo.git("cat-file", "--batch", stdin=asked)).text)}


async def _warnings(repo: GitRepository, branch: str, named: set[str]) -> list[str]:
    root = repo.place.root
    out, changes = await both(
        repo.git("rev-parse", "--absolute-git-dir", cwd=root), repo.changes(root)
    )
    dirty = [path for path, how in changes.items() if (path, how) != (PATH, " M")]
    stays = f"{branch} will not be moved there until that is over"
    found = []
    if operation := busy(Path(out.text)):
        found.append(f"{root} is in the middle of {operation}: {stays}")
    if dirty:
        found.append(f"{root} has uncommitted changes ({a_few(dirty)}): {stays}")
    if theirs := named.intersection(await filters(repo)):
        found.append(
            f"attributes name filters of yours (filter={', '.join(sorted(theirs))}): "
            "agents and gates see those files as git stores them"
        )
    return found
