"""What reviewed work needs a person for before it lands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from oya.gates.protected import PACKAGE, protected_paths, runs_package_scripts, scripts_differ
from oya.lifecycle.model import Hold
from oya.repository.port import Repository
from oya.swarm.config import Settings
from oya.swarm.contract import Contract

NAMED = 10
"""Protected paths that a reason names, at most."""
LONGEST = 200
"""Characters of a path that a reason shows."""


async def hold_for(
    settings: Settings, repo: Repository, contract: Contract, base: str, commit: str
) -> tuple[Hold | None, str]:
    """The reason to hold the work from `base` to `commit`, and in words what it is about.

    Protected paths come before a weak contract, that before approval; the words name all
    that apply, since whoever approves the head approves all of it.
    """
    found: list[tuple[Hold, str]] = []
    if paths := await protected_of(settings, repo, base, commit):
        found.append((Hold.PROTECTED, f"changes {_named(paths)}"))
    if contract.kind not in settings.contract.unattended:
        found.append((Hold.WEAK_CONTRACT, f"its contract is of kind {contract.kind}"))
    if not settings.continuous_deployment.enabled:
        found.append((Hold.APPROVAL, "continuous deployment is off" if found else ""))
    if not found:
        return None, ""
    return found[0][0], "; ".join(words for _, words in found if words)


async def protected_of(
    settings: Settings, repo: Repository, base: str, commit: str
) -> tuple[str, ...]:
    """The protected paths that differ between two commits, sorted."""
    commands = gate_lines(settings)
    changes = await repo.diff(base, commit)
    found = set(protected_paths((c.path for c in changes), settings.landing.protected, commands))
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


def _named(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
    return f"{', '.join(_shown(paths[:NAMED]))}{more}"


def _shown(paths: Sequence[str]) -> Iterator[str]:
    """Names of files are an agent's words: bounded, and without what a terminal would obey."""
    for path in paths:
        yield "".join(c if c.isprintable() else "?" for c in path[:LONGEST])
