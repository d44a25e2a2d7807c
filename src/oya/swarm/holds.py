"""What reviewed work needs a person for before it lands."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Sequence

from oya.gates.frozen import LINK
from oya.gates.protected import (
    PACKAGE,
    gate_scripts,
    protected_paths,
    runs_package_scripts,
    scripts_differ,
)
from oya.lifecycle.model import Hold
from oya.repository.port import Repository
from oya.swarm.config import Settings
from oya.swarm.contract import Contract

NAMED = 10
"""Protected paths that a reason names, at most."""
FOLLOWED = 40
"""Symbolic links, one behind the other, that are followed."""
LONGEST = 200
"""Characters of a path, or of a contract's own reason, that a reason shows."""


async def hold_for(
    settings: Settings, repo: Repository, contract: Contract, base: str, commit: str
) -> tuple[Hold | None, str]:
    """The reason to hold the work from `base` to `commit`, and in words what it is about.

    Protected paths come before a weak contract, that before approval; the words name all
    that apply, since whoever approves the head approves all of it.
    """
    found: list[tuple[Hold, str]] = []
    paths = await protected_of(settings, repo, base, commit)
    if paths:
        found.append((Hold.PROTECTED, f"changes {_named(paths)}"))
    if own := await _own_judges(repo, contract, base, commit) - set(paths):
        words = f"changes {_named(sorted(own))}, which its own checks run"
        found.append((Hold.WEAK_CONTRACT, words))
    if contract.kind not in settings.contract.unattended:
        why = _harmless(" ".join(str(contract.answer.get("why", "")).split()))
        kind = f"its contract is of kind {contract.kind}"
        found.append((Hold.WEAK_CONTRACT, f"{kind}: {why}" if why else kind))
    if not settings.continuous_deployment.enabled:
        found.append((Hold.APPROVAL, "continuous deployment is off" if found else ""))
    if not found:
        return None, ""
    return found[0][0], "; ".join(words for _, words in found if words)


async def protected_of(
    settings: Settings, repo: Repository, base: str, commit: str
) -> tuple[str, ...]:
    """The protected paths that differ between two commits, sorted.

    What lies in a folder of `[workspace] keep` is among them: what makes a slot ready believes
    what it finds there, such as a package of the right version.
    """
    patterns = (*settings.landing.protected, *settings.workspace.keep)
    return await _changed(repo, base, commit, patterns, gate_lines(settings))


async def _own_judges(repo: Repository, contract: Contract, base: str, commit: str) -> set[str]:
    """What the checks of a contract of kind check run and the work has changed: nothing else
    proves it, and no code can tell whether this was the work, or a way to have them pass."""
    if contract.kind != "check":
        return set()
    commands = [check.command for check in contract.checks]
    whole = await _changed(repo, base, commit, (), commands)
    since = {change.path for change in await repo.diff(contract.commit, commit)}
    return since.intersection(whole)


async def _changed(
    repo: Repository, base: str, commit: str, patterns: Sequence[str], commands: Sequence[str]
) -> tuple[str, ...]:
    """The paths that differ, sorted, and are protected by patterns, or by what these lines run."""
    patterns = (*patterns, *await _behind_links(repo, base, commands))
    changes = await repo.diff(base, commit)
    found = set(protected_paths((c.path for c in changes), patterns, commands))
    if runs_package_scripts(commands):
        for path in (c.path for c in changes if c.path.rpartition("/")[2] == PACKAGE):
            before, after = [await repo.read_file(rev, path) for rev in (base, commit)]
            if scripts_differ(before, after):
                found.add(path)
    return tuple(sorted(found))


def gate_lines(settings: Settings) -> tuple[str, ...]:
    """Every line of the configuration that judges work, or makes a folder ready for it."""
    gates = settings.quality_gates
    tests = (gates.tests.command,) if gates.tests.command else ()
    return (*gates.quick, *gates.ci, *tests, *settings.workspace.prepare)


async def _behind_links(repo: Repository, base: str, commands: Sequence[str]) -> list[str]:
    """What the commands run by way of symbolic links of `base`: the links, and what is behind."""
    links = Links(repo, base)
    scripts, globs = gate_scripts(commands)
    found = [path for word in sorted(scripts | globs) for path in await links.behind(word)]
    return list(dict.fromkeys(found))


class Links:
    """The symbolic links of a tree; each folder of it is read once."""

    def __init__(self, repo: Repository, rev: str) -> None:
        self._repo = repo
        self._rev = rev
        self._folders: dict[str, dict[str, str]] = {}

    async def behind(self, path: str) -> list[str]:
        """The links on the way to a path, or a glob, and what it is behind all of them; nothing
        where there is none, or they lead out of the tree. At most `FOLLOWED` are followed."""
        found: list[str] = []
        while len(found) < FOLLOWED and (link := await self._first_link(path)):
            target = await self._repo.read_file(self._rev, link) or b""
            to = posixpath.join(posixpath.dirname(link), target.decode("utf-8", "surrogateescape"))
            path = posixpath.normpath(posixpath.join(to, path[len(link) + 1 :]))
            if path.startswith(("..", "/")):
                return [*found, link]
            found.append(link)
        return [*found, path] if found else []

    async def _first_link(self, path: str) -> str | None:
        tree, above = self._rev, ""
        for name, here in _on_the_way(path):
            entries = self._folders.get(above)
            if entries is None:
                entries = self._folders[above] = await self._repo.list_root(tree)
            mode, _, rest = entries.get(name, "").partition(" ")
            if mode == LINK:
                return here
            if not rest.startswith("tree "):
                return None
            tree, above = rest.removeprefix("tree "), here
        return None


def _on_the_way(path: str) -> Iterator[tuple[str, str]]:
    """Each part of a path, with the path up to there."""
    parts = path.split("/")
    yield from ((part, "/".join(parts[: n + 1])) for n, part in enumerate(parts))


def _named(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
    return f"{', '.join(_harmless(path) for path in paths[:NAMED])}{more}"


def _harmless(words: str) -> str:
    """An agent's words, names of files too: bounded, and without what a terminal would obey."""
    return "".join(c if c.isprintable() else "?" for c in words[:LONGEST])
