"""What git knows of landings and of kept work, asked in a few calls whatever their number."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from oya.repository.git import GitRepository

_AT_ONCE = 500
_TRACKER = b".beads"
_LEFT = ("refs/oya/base", "refs/oya/candidates", "refs/oya/tracker", "refs/heads/oya")
_TRAILER = "%(trailers:key={},valueonly,separator=%x20)"
_FORMAT = "--format=" + "%x1f".join(("%H", "%P", *map(_TRAILER.format, ("Bead", "Swarm"))))


@dataclass(frozen=True, slots=True)
class Landed:
    """A commit with a trailer `Bead:`; `bead` as it stands there, `parent` the first one."""

    id: str
    parent: str
    bead: str
    swarm: str


@dataclass(frozen=True, slots=True)
class Line:
    """One branch's line; `tip` is None where nothing has landed on it."""

    branch: str
    tip: str | None
    commits: list[Landed]


class Reading:
    """Reads one repository, and changes nothing."""

    def __init__(self, repo: GitRepository) -> None:
        self._repo = repo

    async def line(self, branch: str) -> Line:
        """The line of a branch, with the commits that name a bead, oldest first."""
        tip = await self._repo.read_ref(f"refs/oya/line/{branch}")
        if tip is None:
            return Line(branch, None, [])
        out = await self._repo.git(
            "log", "--topo-order", "--reverse", "--no-show-signature", "-z", "--grep=^Bead: ",
            _FORMAT, tip, "--",
        )  # fmt: skip
        rows = [row.split("\x1f") for row in out.text.split("\0") if row]
        commits = [Landed(id, parents.split(" ")[0], b, s) for id, parents, b, s in rows if b]
        return Line(branch, tip, commits)

    async def before(self, base: str | None) -> frozenset[str]:
        """The commits that name a bead and were there when the log began."""
        if base is None or await self._repo.resolve(base) is None:
            return frozenset()
        out = await self._repo.git("log", "--format=%H", "--grep=^Bead: ", base, "--")
        return frozenset(out.text.split())

    async def noted(self) -> frozenset[str]:
        """The commits with a note of oya's: those that it made."""
        if await self._repo.read_ref("refs/notes/oya") is None:
            return frozenset()
        out = await self._repo.git("notes", "--ref=oya", "list")
        return frozenset(line.split(" ")[1] for line in out.text.splitlines())

    async def judged(self, commits: Sequence[str]) -> dict[str, str]:
        """The digest of each commit's tree as gates judge it: the root without the tracker's
        folder. Commits that are not there are left out."""
        found = {}
        for start in range(0, len(commits), _AT_ONCE):
            some = commits[start : start + _AT_ONCE]
            asked = "".join(f"{commit}^{{tree}}\n" for commit in some).encode()
            out = (await self._repo.git("cat-file", "--batch", stdin=asked)).stdout
            for commit in some:
                header, _, out = out.partition(b"\n")
                if header.endswith(b" missing"):
                    continue
                size = int(header.rsplit(b" ", 1)[1])
                length = len(header.split(b" ")[0]) // 2
                found[commit] = _digest(out[:size], length)
                out = out[size + 1 :]
        return found

    async def attempts(self) -> list[tuple[str, int, str]]:
        """(bead as in the ref's name, epoch, head) of every attempt that is kept."""
        refs = await self._repo.list_refs("refs/oya/attempts")
        parts = [(name.split("/")[3:], head) for name, head in refs.items()]
        return [(p[0], int(p[1]), head) for p, head in parts if len(p) == 2 and p[1].isdecimal()]

    async def unheld(self, commits: Sequence[str]) -> frozenset[str]:
        """Those that no ref reaches, or that are not there at all."""
        if not commits:
            return frozenset()
        asked = "".join(f"{commit}\n" for commit in commits).encode()
        out = await self._repo.git("cat-file", "--batch-check=%(objectname)", stdin=asked)
        there = [line for line in out.text.splitlines() if " " not in line]
        gone = set(commits) - set(there)
        if there:
            asked = "".join(f"{commit}\n" for commit in there).encode()
            out = await self._repo.git("rev-list", "--stdin", "--not", "--all", stdin=asked)
            gone |= set(there) & set(out.text.split())
        return frozenset(gone)

    async def leftovers(self) -> list[str]:
        """Refs that only hold something under way."""
        out = await self._repo.git("for-each-ref", "--format=%(refname)", *_LEFT)
        return out.text.splitlines()

    async def file(self, commit: str, path: str) -> bytes | None:
        """A file of a commit."""
        return await self._repo.read_file(commit, path)


def _digest(tree: bytes, length: int) -> str:
    """The digest of a raw tree object whose ids have that many bytes."""
    lines = []
    while tree:
        mode, _, rest = tree.partition(b" ")
        name, _, rest = rest.partition(b"\0")
        kind = {b"40000": b"tree", b"160000": b"commit"}.get(mode, b"blob")
        if name != _TRACKER:
            id = rest[:length].hex().encode()
            lines.append(b"%s %s %s\t%s" % (mode.zfill(6), kind, id, name))
        tree = rest[length:]
    return hashlib.sha256(b"\n".join(lines)).hexdigest()
