"""One git process: with a deadline, a bound on what it says, and nothing left of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path

from oya.errors import GitError
from oya.repository.environment import git_environment

DEADLINE = 120.0
_OUTPUT_LIMIT = 256_000_000
_STDERR_KEPT = 64_000
_CHUNK = 1 << 18


@dataclass(frozen=True, slots=True)
class Output:
    """What a git process said. `cut` tells that it was stopped at the limit."""

    code: int
    stdout: bytes
    stderr: str
    cut: bool = False

    @property
    def text(self) -> str:
        """stdout without the last newline; bytes that are no UTF-8 as surrogates."""
        return self.stdout.decode("utf-8", "surrogateescape").removesuffix("\n")

    @property
    def fields(self) -> list[str]:
        """stdout split at its NULs."""
        return self.stdout.decode("utf-8", "surrogateescape").split("\0")[:-1]


class Git:
    """Runs git on one repository.

    Without `cwd` it works on the repository alone (`GIT_DIR` is its common
    directory), with it in that worktree. `GitError` when git ends with a code not in
    `ok`, says more than `limit` bytes (unless `cut`), or is not done after `timeout`
    seconds. At the deadline and on cancel git is killed with its whole group.
    """

    def __init__(self, common_dir: Path, timeout: float = DEADLINE) -> None:
        self._common_dir = common_dir
        self._timeout = timeout
        self._environment = git_environment()

    async def __call__(
        self,
        *args: str,
        stdin: bytes | None = None,
        ok: Container[int] = (0,),
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        limit: int = _OUTPUT_LIMIT,
        cut: bool = False,
        timeout: float | None = None,
    ) -> Output:
        environment = {**self._environment, **(env or {})}
        if cwd is None or "GIT_WORK_TREE" in environment:
            environment["GIT_DIR"] = str(self._common_dir)
        git = await _start(args, environment, cwd or self._common_dir, stdin is not None)
        seconds = timeout or self._timeout
        try:
            async with asyncio.timeout(seconds):
                output = await _talk(git, stdin, limit)
        except TimeoutError:
            raise GitError(f"git {args[0]} was not done after {seconds:g} s") from None
        finally:
            await _end(git)
        if output.cut and not cut:
            raise GitError(f"git {args[0]} said more than {limit} bytes")
        if output.code not in ok and not output.cut:
            said = output.stderr.strip()[-2000:]
            raise GitError(f"git {' '.join(args)[:300]} ended with {output.code}: {said}")
        return output


async def _start(
    args: tuple[str, ...], env: Mapping[str, str], cwd: Path, speaks: bool
) -> asyncio.subprocess.Process:
    try:
        return await asyncio.create_subprocess_exec(
            "git",
            *args,
            stdin=asyncio.subprocess.PIPE if speaks else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=env,
            cwd=cwd,
            limit=_CHUNK,
            start_new_session=True,
        )
    except OSError as error:
        raise GitError(f"git could not be started in {cwd}: {error.strerror}") from error


async def _talk(git: asyncio.subprocess.Process, stdin: bytes | None, limit: int) -> Output:
    assert git.stdout and git.stderr
    feeding = asyncio.create_task(_feed(git, stdin)) if stdin is not None else None
    listening = asyncio.create_task(_read(git.stderr, _STDERR_KEPT, drain=True))
    try:
        stdout, cut = await _read(git.stdout, limit, drain=False)
        if cut:
            _kill(git)
        stderr, _ = await listening
        code = await git.wait()
    finally:
        for task in (feeding, listening):
            if task:
                task.cancel()
    return Output(code, stdout, stderr.decode("utf-8", "replace"), cut)


async def _feed(git: asyncio.subprocess.Process, stdin: bytes) -> None:
    assert git.stdin
    with contextlib.suppress(ConnectionError):  # git may end without reading all of it
        git.stdin.write(stdin)
        await git.stdin.drain()
    git.stdin.close()


async def _read(stream: asyncio.StreamReader, limit: int, *, drain: bool) -> tuple[bytes, bool]:
    chunks, size = [], 0
    while chunk := await stream.read(_CHUNK):
        if size < limit:
            chunks.append(chunk[: limit - size])
        size += len(chunk)
        if size > limit and not drain:
            break
    return b"".join(chunks), size > limit


def _kill(git: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(git.pid, signal.SIGKILL)


async def _end(git: asyncio.subprocess.Process) -> None:
    if git.returncode is None:
        _kill(git)
        await git.wait()
