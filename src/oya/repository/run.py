"""One git process: with a deadline, a bound on what it says, and nothing left of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
from collections.abc import Awaitable, Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO, TypeVar, cast

from oya.errors import GitError
from oya.repository.environment import git_environment

DEADLINE = 120.0
_GRACE = 2.0  # s for git to clean up after itself when it is ended
_OUTPUT_LIMIT = 256_000_000
_STDERR_KEPT = 64_000
_CHUNK = 1 << 18

_A = TypeVar("_A")
_B = TypeVar("_B")


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


async def both(first: Awaitable[_A], second: Awaitable[_B]) -> tuple[_A, _B]:
    """Wait for both at once; if one fails, not before the other one has ended as well."""
    a, b = await asyncio.gather(first, second, return_exceptions=True)
    for result in (a, b):
        if isinstance(result, BaseException):
            raise result
    return cast("tuple[_A, _B]", (a, b))


class Git:
    """Runs git on one repository.

    Without `cwd` it works on the repository alone (`GIT_DIR` is its common
    directory), with it in that worktree. `GitError` when git ends with a code not in
    `ok`, says more than `limit` bytes (unless `cut`), or is not done after `timeout`
    seconds. At the deadline and on cancel git is killed with its whole group. `marks` are
    carried by each git, so that one which outlives oya is known.
    """

    def __init__(
        self,
        common_dir: Path,
        timeout: float = DEADLINE,
        marks: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self._common_dir = common_dir
        self._timeout = timeout
        self._environment = git_environment(None, **marks)
        # Looked up once: a search along PATH at each start costs as much as the start.
        self._git = shutil.which("git", path=self._environment.get("PATH")) or "git"

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
        seconds = timeout or self._timeout
        try:
            git = _Process((self._git, *args), environment, cwd or self._common_dir, stdin, limit)
        except OSError as error:
            raise GitError(f"git could not be started: {error.strerror}") from error
        try:
            over, _ = await asyncio.wait((git.over,), timeout=seconds)
            if not over and git.has_exited():  # by the deadline: what it said is left to be heard
                over, _ = await asyncio.wait((git.over,), timeout=_GRACE)
            if not over:
                raise GitError(f"git {args[0]} was not done after {seconds:g} s")
        finally:
            await git.end()
        output = git.output()
        if output.cut and not cut:
            raise GitError(f"git {args[0]} said more than {limit} bytes")
        if output.code not in ok and not output.cut:
            said = output.stderr.strip()[-2000:]
            raise GitError(f"git {' '.join(args)[:300]} ended with {output.code}: {said}")
        return output


class _Process:
    """A running program. asyncio's own cannot be cancelled safely while it starts.

    (Python 3.11: a cancelled `create_subprocess_exec` waits for pipes that it never
    connected.) This one has started when it is there, and takes no thread.
    """

    def __init__(
        self,
        argv: Sequence[str],
        env: Mapping[str, str],
        cwd: Path,
        stdin: bytes | None,
        limit: int,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.over: asyncio.Future[None] = self._loop.create_future()
        self._gone: asyncio.Future[None] = self._loop.create_future()
        self._process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            cwd=cwd,
            bufsize=0,
            start_new_session=True,
        )
        assert self._process.stdout and self._process.stderr
        self._out = _Heard(self._process.stdout, limit)
        self._err = _Heard(self._process.stderr, _STDERR_KEPT)
        self._unsaid = memoryview(stdin or b"")
        self._pidfd = os.pidfd_open(self._process.pid)
        self._loop.add_reader(self._pidfd, self._exited)
        for heard in (self._out, self._err):
            self._loop.add_reader(heard.fd, self._hear, heard)
        if self._process.stdin:
            os.set_blocking(self._process.stdin.fileno(), False)
            self._loop.add_writer(self._process.stdin.fileno(), self._say)

    def output(self) -> Output:
        stderr = self._err.data().decode("utf-8", "replace")
        return Output(self._process.returncode, self._out.data(), stderr, self._out.over_limit)

    def has_exited(self) -> bool:
        """Whether it has, be it that nobody has noticed yet."""
        if self._gone.done():
            return True
        options = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return os.waitid(os.P_PIDFD, self._pidfd, options) is not None

    async def end(self) -> None:
        """Nothing of it is left afterwards: neither its group nor a descriptor."""
        for heard in (self._out, self._err):
            self._stop_hearing(heard)
        self._stop_saying()
        if not self._gone.done():
            # Asked first: git then takes its lock files away, which a killed one leaves behind.
            self._kill(signal.SIGTERM)
            await asyncio.wait((self._gone,), timeout=_GRACE)
            self._kill()
            await self._gone

    def _kill(self, how: signal.Signals = signal.SIGKILL) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, how)

    def _hear(self, heard: _Heard) -> None:
        if not heard.more():
            self._stop_hearing(heard)
            self._check()
        elif self._out.over_limit:
            self._kill()

    def _say(self) -> None:
        assert self._process.stdin
        try:
            written = os.write(self._process.stdin.fileno(), self._unsaid[:_CHUNK])
        except BlockingIOError:
            return
        except OSError:  # git may end without reading all of it
            self._unsaid = self._unsaid[:0]
        else:
            self._unsaid = self._unsaid[written:]
        if not self._unsaid:
            self._stop_saying()

    def _exited(self) -> None:
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        self._process.wait()
        self._gone.set_result(None)
        self._check()

    def _check(self) -> None:
        if self._gone.done() and self._out.closed and self._err.closed and not self.over.done():
            self.over.set_result(None)

    def _stop_hearing(self, heard: _Heard) -> None:
        if not heard.closed:
            self._loop.remove_reader(heard.fd)
            heard.close()

    def _stop_saying(self) -> None:
        if self._process.stdin and not self._process.stdin.closed:
            self._loop.remove_writer(self._process.stdin.fileno())
            self._process.stdin.close()


class _Heard:
    """One pipe and what came out of it, up to a limit."""

    def __init__(self, pipe: IO[bytes], limit: int) -> None:
        self._pipe = pipe
        self.fd = pipe.fileno()
        os.set_blocking(self.fd, False)
        self._chunks: list[bytes] = []
        self._room = limit
        self.over_limit = False

    @property
    def closed(self) -> bool:
        return self._pipe.closed

    def more(self) -> bool:
        """Read once; False at the end."""
        try:
            chunk = os.read(self.fd, _CHUNK)
        except BlockingIOError:
            return True
        self.over_limit |= len(chunk) > self._room
        self._chunks.append(chunk[: self._room])
        self._room -= len(self._chunks[-1])
        return bool(chunk)

    def data(self) -> bytes:
        return b"".join(self._chunks)

    def close(self) -> None:
        self._pipe.close()
