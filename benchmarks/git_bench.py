"""What oya's git costs for each bead, beside a bare script of git commands that does the same.

On a repository of 20,000 files and 5,000 commits: a workspace is made, two commits of an agent
are kept under the attempt's ref, its head is merged into the line, the tracker's file is changed
with it, the line moves by compare-and-swap, the user's checkout follows, and the folder goes.
Both wait for the disk at the same places
(core.fsync = committed,reference), start from the same line and an idle disk, and take turns, each
the first in every other round.

Where temporary files lie, and in memory (/dev/shm) too. A bead is one checkout of 20,000 files:
on a disk that is nearly all that is seen, and now and then ten times as slow as before, so that
the seconds of the processor say more; in memory it is half a second, beside which every process
counts. There the same again is measured where 10, 100 and 1,000 beads have landed.
"""

from __future__ import annotations

import asyncio
import os
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from oya.beads import PATH
from oya.repository.follow import follow
from oya.repository.git import GitRepository
from oya.repository.places import find_place
from oya.repository.workspace import GitWorkspaces
from oya.swarm.line import Line
from oya.swarm.merging import merge_candidate
from oya.trackers.jsonl import JsonlFile

FILES = 20_000
COMMITS = 5_000
ROUNDS = 4
MEMORY = Path("/dev/shm")
LANDED = (10, 100, 1_000)
LINE = "refs/oya/line/main"
IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "Ada"), ("EMAIL", "ada@example.com"))
}
BARE = """\
set -e
git clone -q --shared "$1" "$2"
cd "$2"
git switch -q -c work
for n in 1 2; do
  mkdir -p new; echo "$n" > "new/$3-$n.txt"; echo "$n" >> "d0/f$3.txt"
  [ "$n" = 1 ] || echo "{\\"id\\": \\"$3\\"}" >> .beads/issues.jsonl
  git add -A
  git commit -q -m "work $n"
done
git push -q origin "HEAD:refs/oya/attempts/$3/1"
cd "$1"
base=$(git rev-parse refs/oya/line/main)
tree=$(git merge-tree --write-tree "$base" "refs/oya/attempts/$3/1")
commit=$(git commit-tree "$tree" -p "$base" -m "landed $3")
git update-ref refs/oya/candidates/$3 "$commit"
git notes --ref=oya add -f -m evidence "$commit"
git update-ref refs/oya/line/main "$commit" "$base"
git update-ref -d refs/oya/candidates/$3
git merge -q --ff-only refs/oya/line/main
rm -rf "$2"
"""


def measures() -> Iterator[tuple[str, float, str, str, float]]:
    """Seconds a bead, medians of rounds in turn; then with more and more that has landed."""
    for where, folder in _places().items():
        with tempfile.TemporaryDirectory(prefix="oya-bench-", dir=folder) as name:
            yield from _measures(where, Path(name), grows=folder is not None or not _in_memory())


def _places() -> dict[str, Path | None]:
    return {"": None} | ({"_in_memory": MEMORY} if _in_memory() else {})


def _in_memory() -> bool:
    return MEMORY.is_dir() and os.access(MEMORY, os.W_OK)


def _measures(
    where: str, folder: Path, *, grows: bool
) -> Iterator[tuple[str, float, str, str, float]]:
    with _home(folder):
        root = _make(folder / "repo")
        mine, bare = asyncio.run(_paired(root, "n"))
        yield f"git_seconds_per_bead{where}", mine.wall, "s", "bare script", bare.wall
        yield f"git_cpu_per_bead{where}", mine.cpu, "CPU s", "bare script", bare.cpu
        first = mine.wall / bare.wall
        for count in LANDED if grows else ():
            _landed_before(root, count)
            mine, bare = asyncio.run(_paired(root, f"m{count}-"))
            ratio = mine.wall / bare.wall
            name = f"git_seconds_per_bead{where}_after_{count}"
            yield name, mine.wall, "s", "bare script", bare.wall
            yield f"git_ratio{where}_after_{count}", ratio, "ratio", "after none", first


@dataclass(frozen=True)
class _Oya:
    repo: GitRepository
    workspaces: GitWorkspaces
    line: Line


@dataclass(frozen=True)
class _Took:
    """Seconds, with those of the processor by this process and all that it has run."""

    wall: float
    cpu: float

    @classmethod
    def now(cls) -> _Took:
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return cls(time.perf_counter(), sum(one.ru_utime + one.ru_stime for one in used))

    @classmethod
    def since(cls, began: _Took) -> _Took:
        now = cls.now()
        return cls(now.wall - began.wall, now.cpu - began.cpu)

    @classmethod
    def median(cls, took: Sequence[_Took]) -> _Took:
        """Of each by itself."""
        wall, cpu = zip(*((one.wall, one.cpu) for one in took), strict=True)
        return cls(statistics.median(wall), statistics.median(cpu))


async def _paired(root: Path, prefix: str) -> tuple[_Took, _Took]:
    repo = GitRepository(find_place(root))
    line = Line(repo, "main", partial(follow, repo, file=JsonlFile()))
    oya = _Oya(repo, GitWorkspaces(repo, repo.place), line)
    mine, bare = [], []
    for number in range(ROUNDS + 1):
        if number % 2:
            bare.append(_bare(root, f"{prefix}{number}b"))
        mine.append(await _bead(oya, f"{prefix}{number}"))
        if not number % 2:
            bare.append(_bare(root, f"{prefix}{number}b"))
    return _Took.median(mine[1:]), _Took.median(bare[1:])


async def _bead(oya: _Oya, bead: str) -> _Took:
    """What a bead takes, from its workspace to the last of it."""
    os.sync()
    began = _Took.now()
    repo, workspaces, line = oya.repo, oya.workspaces, oya.line
    await line.refresh()
    workspace = await workspaces.create(bead, 1, start=line.base)
    for number in (1, 2):
        _work(workspace.path, bead, number)
        head = await workspaces.commit(workspace, f"work {number}")
    commit = await _candidate(repo, line.base, head.commit, bead)
    await repo.set_ref(f"refs/oya/candidates/{bead}", commit)
    await line.refresh(now=True)
    await repo.add_note(commit, "evidence")
    assert await line.advance(commit)
    await repo.delete_ref(f"refs/oya/candidates/{bead}")
    assert (await line.follow()).moved
    await workspaces.remove(workspace)
    return _Took.since(began)


async def _candidate(repo: GitRepository, base: str, head: str, bead: str) -> str:
    """As `swarm.candidate` makes it: merged, looked through, and with the bead closed."""
    merged = await merge_candidate(repo, base, head, PATH, landed=base)
    await repo.diff(base, merged.tree)
    tracker = await repo.read_file(base, PATH) or b""
    tree = await repo.write_tree(merged.tree, {PATH: tracker + b'{"id": "%s"}\n' % bead.encode()})
    return await repo.commit_tree(tree, (base,), f"landed {bead}")


def _work(folder: Path, bead: str, number: int) -> None:
    new = folder / "new"
    new.mkdir(exist_ok=True)
    (new / f"{bead}-{number}.txt").write_text(f"{number}\n")
    with (folder / f"d0/f{bead}.txt").open("a") as file:
        file.write(f"{number}\n")


def _bare(root: Path, bead: str) -> _Took:
    folder = root.parent / "bare-work"
    argv = ["sh", "-c", BARE, "bare", str(root), str(folder), bead]
    os.sync()
    began = _Took.now()
    subprocess.run(argv, check=True, capture_output=True, env={**os.environ, **IDENTITY})
    return _Took.since(began)


def _make(root: Path) -> Path:
    """The files lie in 200 folders; each commit after the first changes one of them."""
    _git(root.parent, "init", "-q", "-b", "main", str(root))
    paths = [f"d{n % 200}/f{n}.txt" for n in range(FILES)]
    lines = [_commit(1, "first"), *(_file(path, f"{path}\n" * 20) for path in paths)]
    lines.append(_file(PATH, "".join(f'{{"id": "bead-{n}"}}\n' for n in range(100))))
    for number in range(2, COMMITS + 1):
        path = paths[number * 7919 % FILES]
        lines += [_commit(number, f"commit {number}"), _file(path, f"{number}\n" * 20)]
    _git(root, "fast-import", "--quiet", stdin="".join(lines))
    _git(root, "reset", "-q", "--hard", "main")
    _git(root, "update-ref", LINE, "main")
    _git(root, "config", "core.fsync", "committed,reference")
    _git(root, "config", "user.name", "Ada")
    _git(root, "config", "user.email", "ada@example.com")
    return root


def _landed_before(root: Path, count: int) -> None:
    """So many more beads have landed: commits of the line with notes, three attempts each."""
    lines, refs = [f"reset {LINE}\nfrom {LINE}^0\n"], []
    for number in range(count):
        bead = f"old{count}-{number}"
        lines.append(_commit(number + 1, f"landed\n\nBead: {bead}\n", LINE))
        lines.append(_file(f"new/{bead}.txt", f"{bead}\n"))
        refs += [f"create refs/oya/attempts/{bead}/{epoch} {{}}\n" for epoch in (1, 2, 3)]
    _git(root, "fast-import", "--quiet", stdin="".join(lines))
    tip = _git(root, "rev-parse", LINE)
    _git(root, "update-ref", "--stdin", stdin="".join(refs).format(*[tip] * len(refs)))
    _git(root, "merge", "-q", "--ff-only", LINE)


def _commit(second: int, message: str, ref: str = "refs/heads/main") -> str:
    who = f"Ada <ada@example.com> {1_700_000_000 + second} +0000"
    return f"commit {ref}\ncommitter {who}\ndata {len(message)}\n{message}\n"


def _file(path: str, text: str) -> str:
    return f"M 100644 inline {path}\ndata {len(text)}\n{text}\n"


def _git(folder: Path, *args: str, stdin: str = "") -> str:
    argv = ["git", "-C", str(folder), *args]
    done = subprocess.run(argv, check=True, capture_output=True, input=stdin.encode())
    return done.stdout.decode().strip()


class _home:
    """A cache and a home of the benchmark's own."""

    def __init__(self, folder: Path) -> None:
        self._set = {"XDG_CACHE_HOME": str(folder / "cache"), "HOME": str(folder / "home")}
        self._before: dict[str, str | None] = {}

    def __enter__(self) -> None:
        self._before = {name: os.environ.get(name) for name in self._set}
        os.environ.update(self._set)

    def __exit__(self, *_: object) -> None:
        for name, value in self._before.items():
            os.environ.pop(name, None) if value is None else os.environ.update({name: value})
