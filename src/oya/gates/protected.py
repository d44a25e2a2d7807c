"""Protected paths: what may land only when a person has seen it.

A change of these could change what judges later changes, or run code where oya or the
forge lands: oya's own folder, files of CI services, git attributes and modules, what lies
where installed packages do, and what the configured commands run or are configured by.
What they only read is work like any other; scripts that scripts call in turn are not known
here: name them in `[landing] protected`.
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any, Final

from oya.gates.globs import among
from oya.gates.shell_line import globs_run, what_runs, words

BUILT_IN: Final = (
    ".oya/**",
    "**/.gitattributes",
    ".gitmodules",
    ".ci/**",
    ".github/workflows/**",
    ".github/actions/**",
    ".gitlab-ci.yml",
    ".gitlab/**",
    ".circleci/**",
    ".forgejo/**",
    ".gitea/**",
    ".woodpecker/**",
    ".woodpecker.y*ml",
    ".buildkite/**",
    ".azure-pipelines/**",
    "azure-pipelines.y*ml",
    "bitbucket-pipelines.yml",
    ".travis.yml",
    ".cirrus.yml",
    ".drone.yml",
    ".appveyor.yml",
    "appveyor.yml",
    "**/Jenkinsfile",
    "**/node_modules/**",
)
"""Globs that are always protected (`gates.globs`)."""
NOT_LANDED: Final = (".oya/out/**", ".beads/**")
"""What no agent's edit gets into an accepted tree, whatever is done about the rest."""
PACKAGE: Final = "package.json"
"""Only its `scripts` are protected, and only where a command runs them."""

_RUNS: Final[dict[str, tuple[str, ...]]] = {
    "make": ("GNUmakefile", "makefile", "Makefile"),
    "just": ("justfile", "Justfile", ".justfile"),
    "task": ("Taskfile.y*ml",),
    "tox": ("tox.ini",),
    "nox": ("noxfile.py",),
    "pre-commit": (".pre-commit-config.yaml",),
    "moon": (".moon/**", "**/moon.yml"),
}
"""Programs that run what a file of the repository says, and that file."""
_PACKAGE_RUNNERS: Final = frozenset({"npm", "pnpm", "yarn", "bun"})
FOLDERS: Final = 10
"""Folders of a line that are followed, at most."""
_INTO: Final = frozenset({"cd", "pushd", "-C", "--directory", "--prefix", "--dir", "--cwd"})
"""Words after which a folder comes, in which the rest of the line then runs."""


def protected_paths(
    changed: Iterable[str], patterns: Sequence[str], commands: Sequence[str]
) -> tuple[str, ...]:
    """The changed paths that are protected: by `patterns`, those built in, or as the scripts
    of `commands` (lines for the shell); `package.json` apart."""
    scripts, globs = gate_scripts(commands)
    every = (*BUILT_IN, *patterns, *globs)
    kept = (path for path in changed if not among(path, NOT_LANDED))
    return tuple(sorted(path for path in kept if path in scripts or among(path, every)))


def gate_scripts(commands: Sequence[str]) -> tuple[set[str], set[str]]:
    """What these lines run, by the words that name it; and globs for what `make` and its like
    read, and for what is run without being named."""
    scripts, globs = set[str](), set[str]()
    for line in commands:
        said, runs, other = list(words(line)), list(what_runs(line)), list(globs_run(line))
        for folder in ("", *_folders(said)):
            scripts.update(path for word in runs for path in _inside(folder, word))
            globs.update(path for word in other for path in _inside(folder, word))
            for word in said:
                for path in _RUNS.get(posixpath.basename(word), ()):
                    globs.update(_inside(folder, path))
    return scripts, globs


def runs_package_scripts(commands: Sequence[str]) -> bool:
    """Whether one of these lines may run scripts of a `package.json`."""
    return any(
        posixpath.basename(word) in _PACKAGE_RUNNERS for line in commands for word in words(line)
    )


def scripts_differ(before: bytes | None, after: bytes | None) -> bool:
    """Whether two versions of a `package.json` (None: there is none) have other scripts; one
    that cannot be read has."""
    try:
        return bool(_scripts(before) != _scripts(after))
    except (ValueError, AttributeError, RecursionError):
        return before != after


def _scripts(data: bytes | None) -> Any:
    return (json.loads(data).get("scripts") or {}) if data is not None else {}


def _folders(said: Sequence[str]) -> list[str]:
    """Where a line may be when it runs something: each folder that it names may lie in those
    before it."""
    named = [word for before, word in pairwise(said) if before in _INTO][:FOLDERS]
    deep = (accumulate(named[start:], posixpath.join) for start in range(len(named)))
    return list(dict.fromkeys(folder for each in deep for folder in each))


def _inside(folder: str, path: str) -> Iterator[str]:
    """A path of the repository; none for what is an option, leads out of it, or names all."""
    joined = posixpath.normpath(posixpath.join(folder, path))
    if not path.startswith("-") and not joined.startswith(("..", "/")) and joined != ".":
        yield joined
