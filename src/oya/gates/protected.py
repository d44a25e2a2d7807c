"""Protected paths: what may land only when a person has seen it.

A change of these could change what judges later changes, or run code where oya or the
forge lands: oya's own folder, files of CI services, git attributes and modules, and the
scripts that the configured commands run. Scripts that those call in turn are not known
here: name them in `[landing] protected`.
"""

from __future__ import annotations

import json
import posixpath
import shlex
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, Final

from oya.gates.globs import among

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
_INTO: Final = frozenset({"cd", "pushd", "-C", "--directory", "--prefix", "--dir", "--cwd"})
"""Words after which a folder comes, in which the rest of the line then runs."""


def protected_paths(
    changed: Iterable[str], patterns: Sequence[str], commands: Sequence[str]
) -> tuple[str, ...]:
    """The changed paths that are protected: by `patterns`, those built in, or as the scripts
    of `commands` (lines for the shell); `package.json` apart."""
    scripts, globs = _gate_scripts(commands)
    every = (*BUILT_IN, *patterns, *globs)
    kept = (path for path in changed if not among(path, NOT_LANDED))
    return tuple(sorted(path for path in kept if path in scripts or among(path, every)))


def _gate_scripts(commands: Sequence[str]) -> tuple[set[str], set[str]]:
    """The words of these lines that could be files (a folder is none: `pytest tests` does not
    protect the tests), and globs for what `make` and its like read."""
    scripts, globs = set[str](), set[str]()
    for line in commands:
        words = list(_words(line))
        for folder in ("", *_folders(words)):
            for word in words:
                scripts.update(_inside(folder, word))
                for path in _RUNS.get(posixpath.basename(word), ()):
                    globs.update(_inside(folder, path))
    return scripts, globs


def runs_package_scripts(commands: Sequence[str]) -> bool:
    """Whether one of these lines may run scripts of a `package.json`."""
    return any(
        posixpath.basename(word) in _PACKAGE_RUNNERS for line in commands for word in _words(line)
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


def _words(line: str) -> Iterator[str]:
    """Words of a line, those in quotes too (`sh -c 'cd web && ./ci.sh'`); one that cannot be
    parsed is cut at its spaces."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        words = list(lexer)
    except ValueError:
        words = line.split()
    for word in words:
        for part in word.split():
            yield part.rpartition("=")[2].strip("'\"`;&|()") or part


def _folders(words: Sequence[str]) -> list[str]:
    return [word for before, word in pairwise(words) if before in _INTO]


def _inside(folder: str, path: str) -> Iterator[str]:
    """A path of the repository; none for what is an option, leads out of it, or names all."""
    joined = posixpath.normpath(posixpath.join(folder, path))
    if not path.startswith("-") and not joined.startswith(("..", "/")) and joined != ".":
        yield joined
