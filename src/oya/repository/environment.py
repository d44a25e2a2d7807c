"""The environment of every git that oya runs: no prompts, no hooks, no surprises."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

# They would point git somewhere else (`git rev-parse --local-env-vars`, and a few).
_LOCAL = frozenset(
    [
        "GIT_ALTERNATE_OBJECT_DIRECTORIES",
        "GIT_COMMON_DIR",
        "GIT_CONFIG",
        "GIT_CONFIG_COUNT",
        "GIT_CONFIG_PARAMETERS",
        "GIT_DIR",
        "GIT_EXTERNAL_DIFF",
        "GIT_GRAFT_FILE",
        "GIT_IMPLICIT_WORK_TREE",
        "GIT_INDEX_FILE",
        "GIT_NAMESPACE",
        "GIT_OBJECT_DIRECTORY",
        "GIT_PREFIX",
        "GIT_QUARANTINE_PATH",
        "GIT_REPLACE_REF_BASE",
        "GIT_SHALLOW_FILE",
        "GIT_WORK_TREE",
    ]
)

_FIXED = {
    "LC_ALL": "C",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_ASKPASS": "true",
    "SSH_ASKPASS": "true",
    "GIT_EDITOR": "true",
    "GIT_PAGER": "cat",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_LITERAL_PATHSPECS": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
}

_CONFIG = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.fsync": "committed,reference",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "commit.gpgSign": "false",
    "tag.gpgSign": "false",
    "merge.autoStash": "false",
    # Else the attributes of what is merged would choose filters and drivers to run.
    "merge.renormalize": "false",
    "user.useConfigOnly": "true",
}


def git_environment(config: Mapping[str, str] | None = None, **more: str) -> dict[str, str]:
    """The environment for one git: the user's, what keeps git quiet, then `config` and `more`.

    Git's configuration goes in as variables, which win over every file.
    """
    env = {
        name: value
        for name, value in os.environ.items()
        if name not in _LOCAL and not name.startswith(("GIT_CONFIG_KEY_", "GIT_CONFIG_VALUE_"))
    }
    env.update(_FIXED)
    if "GIT_SSH" not in env:
        env.setdefault("GIT_SSH_COMMAND", "ssh -oBatchMode=yes -oConnectTimeout=20")
    settings = {**_CONFIG, **(config or {})}
    env["GIT_CONFIG_COUNT"] = str(len(settings))
    for number, (key, value) in enumerate(settings.items()):
        env[f"GIT_CONFIG_KEY_{number}"] = key
        env[f"GIT_CONFIG_VALUE_{number}"] = value
    env.update(more)
    return env


def worktree_env(worktree: Path | None) -> dict[str, str]:
    """What makes that folder a worktree in which nothing is staged."""
    if worktree is None:
        return {}
    return {"GIT_WORK_TREE": str(worktree), "GIT_INDEX_FILE": str(worktree / ".git-index")}
