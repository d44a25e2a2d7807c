"""Remotes: fetch one branch, push one commit, and say why that did not go through.

Git keeps the user's own `refs/remotes/…` in step with what it fetches and pushes, and so
would weaken their next `--force-with-lease`. So the remote is used under another name, which
has all of its configuration but that: where it is, how it is reached, who it is for.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from oya.errors import GitError, RemoteError
from oya.repository.environment import git_environment
from oya.repository.port import Pushed, PushEnd, upstream_ref
from oya.repository.run import Git, Output

ASK = 60.0
"""Seconds within which a remote must say where a branch is."""
FETCH = 120.0
PUSH = 300.0
"""Seconds for all of a push, hooks of the remote among them."""

_NAME = "oya-upstream"  # the remote's other name, in the configuration of one git alone
_LEFT_OUT = ("fetch", "push", "mirror", "prune", "prunetags", "tagopt")
_QUIET = ("--no-tags", "--no-prune", "--no-recurse-submodules", "--no-auto-maintenance")
_ONE_REF = ("--no-follow-tags", "--no-signed", "--recurse-submodules=no", "--no-verify")
_STALLED = ("-c", "http.lowSpeedLimit=1", "-c", "http.lowSpeedTime=30")
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)")
_SECRET = re.compile(r"//[^/@\s]+@")
_NOISE = ("hint:", "error: failed to push some refs", "Please make sure", "and the repository")
_MOVED = ("fetch first", "non-fast-forward", "stale info")
_LONGEST = 400  # characters of a reason
_REASON = re.compile(r"\[(?P<by>[a-z ]+)\](?: \((?P<why>.*)\))?")


class Remotes:
    """The remotes of one repository. `root` is where relative addresses of theirs start."""

    def __init__(self, git: Git, root: Path) -> None:
        self._git = git
        self._root = root

    async def fetch(self, remote: str, branch: str) -> str | None:
        """See `port.Repository.fetch`."""
        ref, name = upstream_ref(remote, branch), f"refs/heads/{branch}"
        args = ("fetch", "--quiet", "--no-write-fetch-head", *_QUIET, _NAME, f"+{name}:{ref}")
        out = await self._ask(remote, (*_STALLED, *args), FETCH)
        if out.code:
            if f"couldn't find remote ref {name}" not in out.stderr:
                raise _unreachable(remote, said(out.stderr))
            await self._git("update-ref", "--no-deref", "-d", ref)
            return None
        return (await self._git("rev-parse", "--verify", ref)).text

    async def tip(self, remote: str, branch: str) -> str | None:
        """See `port.Repository.remote_tip`."""
        name = f"refs/heads/{branch}"
        out = await self._ask(remote, (*_STALLED, "ls-remote", "--refs", _NAME, name), ASK)
        if out.code:
            raise _unreachable(remote, said(out.stderr))
        pairs = (line.split("\t", 1) for line in out.text.splitlines())
        return next((pair[0] for pair in pairs if pair[1:] == [name]), None)

    async def push(self, remote: str, commit: str, branch: str) -> Pushed:
        """See `port.Repository.push`."""
        name = f"refs/heads/{branch}"
        args = ("push", "--porcelain", *_ONE_REF, _NAME, f"{commit}:{name}")
        try:
            out = await self._ask(remote, args, PUSH)
        except RemoteError as error:
            return Pushed(PushEnd.UNREACHABLE, str(error))
        return _end(out, name)

    async def _ask(self, remote: str, args: tuple[str, ...], timeout: float) -> Output:
        env = await self._alias(remote)
        try:
            return await self._git(*args, ok=range(256), env=env, cwd=self._root, timeout=timeout)
        except GitError as error:
            if "was not done after" not in str(error):
                raise
            raise _unreachable(remote, f"no answer within {timeout:g} s") from error

    async def _alias(self, remote: str) -> dict[str, str]:
        """The environment that gives the remote its other name."""
        pattern = rf"^(remote\.{re.escape(remote)}\..*|core\.sshcommand)$"
        out = await self._git("config", "-z", "--get-regexp", pattern, ok=(0, 1))
        pairs = [(key, value) for key, _, value in (f.partition("\n") for f in out.fields)]
        own = f"remote.{remote}."
        rest = [(key.removeprefix(own), value) for key, value in pairs if key.startswith(own)]
        if not rest:
            raise RemoteError(
                f"there is no remote {remote}",
                safe="Nothing was changed.",
                hint=f"git remote add {remote} URL",
            )
        given = [(f"remote.{_NAME}.{key}", v) for key, v in rest if key not in _LEFT_OUT]
        env = git_environment()
        first = int(env["GIT_CONFIG_COUNT"])
        for number, (key, value) in enumerate(given, first):  # an address may have a password
            env |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        env["GIT_CONFIG_COUNT"] = str(first + len(given))
        if len(rest) < len(pairs) and "GIT_SSH_COMMAND" not in os.environ:
            env["GIT_SSH_COMMAND"] = dict(pairs)["core.sshcommand"]
        return env


def _end(out: Output, name: str) -> Pushed:
    """How it ended, by the line that git has about the ref."""
    told = (line.split("\t", 2) for line in out.text.splitlines() if line[1:2] == "\t")
    line = next((parts for parts in told if parts[1].endswith(f":{name}")), None)
    words = said(out.stderr)
    if line is None or len(line) < 3:
        return Pushed(PushEnd.UNREACHABLE, words or f"git push ended with {out.code}")
    flag, _, summary = line
    if flag in (" ", "*", "="):
        return Pushed(PushEnd.OK)
    found = _REASON.match(summary)
    by, why = (found["by"], found["why"] or "") if found else ("", summary)
    if by == "rejected" and why in _MOVED:
        return Pushed(PushEnd.MOVED, why)
    end = PushEnd.UNREACHABLE if by == "remote failure" else PushEnd.REFUSED
    return Pushed(end, ": ".join(part for part in (why, words) if part)[:_LONGEST])


def said(stderr: str) -> str:
    """What git and the remote said, on one line: no control characters, no secrets, bounded."""
    lines = (
        "".join(c for c in _ESCAPE.sub("", line) if c.isprintable()).strip()
        for line in stderr.splitlines()
    )
    words = (line.removeprefix("remote:").strip() for line in lines)
    kept = dict.fromkeys(word for word in words if word and not word.startswith(_NOISE))
    return _SECRET.sub("//", " ".join(kept))[:_LONGEST]


def _unreachable(remote: str, why: str) -> RemoteError:
    return RemoteError(
        f"{remote} cannot be reached: {why}",
        safe="Nothing was changed there.",
        hint=f"git ls-remote {remote}",
    )
