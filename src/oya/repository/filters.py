"""Filters: the user's programs through which git passes files, where attributes name them.

Attributes lie in the tree, so whoever writes the tree would choose which of these programs run on
it, and often what they run: `python -m NAME` takes a module from where it stands. So none runs
in a folder of oya's: what lies there is what git stores, which is the same in all of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from oya.repository.git import GitRepository

_OFF: Final = {"clean": "", "smudge": "", "process": "", "required": "false"}


async def filters(repo: GitRepository) -> tuple[str, ...]:
    """The names of those that are configured.

    Asked for again when a file of configuration was written; one that another includes may be
    seen late.
    """
    stamp = tuple(written(path) for path in _configuration(repo.place.common_dir))
    if repo.filters is None or repo.filters[0] != stamp:
        out = await repo.git("config", "-z", "--name-only", "--get-regexp", r"^filter\.", ok=(0, 1))
        names = (key.removeprefix("filter.").rpartition(".")[0] for key in out.fields)
        repo.filters = (stamp, tuple(dict.fromkeys(names)))
    return repo.filters[1]


async def no_filters(repo: GitRepository) -> dict[str, str]:
    """The configuration with which none of them runs."""
    return {
        f"filter.{name}.{key}": value for name in await filters(repo) for key, value in _OFF.items()
    }


def written(path: Path) -> int:
    """When this file or folder was last written; 0 where there is none."""
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0


def _configuration(common_dir: Path) -> Iterator[Path]:
    yield from (common_dir / name for name in ("config", "config.worktree", "HEAD"))
    if named := os.environ.get("GIT_CONFIG_GLOBAL"):
        yield Path(named)
    else:
        yield Path.home() / ".gitconfig"
        yield Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "git" / "config"
