"""What reviewed work needs a person for before it lands."""

from __future__ import annotations

from collections.abc import Sequence

from oya.gates.protected import PACKAGE, protected_paths, runs_package_scripts, scripts_differ
from oya.lifecycle.model import Hold
from oya.repository.port import Repository
from oya.swarm.config import Settings
from oya.swarm.contract import Contract

NAMED = 10
"""Protected paths that a reason names, at most."""
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
    if paths := await protected_of(settings, repo, base, commit):
        found.append((Hold.PROTECTED, f"changes {_named(paths)}"))
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
    commands = gate_lines(settings)
    patterns = (*settings.landing.protected, *settings.workspace.keep)
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


def _named(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
    return f"{', '.join(_harmless(path) for path in paths[:NAMED])}{more}"


def _harmless(words: str) -> str:
    """An agent's words, names of files too: bounded, and without what a terminal would obey."""
    return "".join(c if c.isprintable() else "?" for c in words[:LONGEST])
