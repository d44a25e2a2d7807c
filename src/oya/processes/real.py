"""Programs run for real, each under a guard of its own."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import socket
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

from oya.crashpoints import point
from oya.errors import ProcessError
from oya.processes import orphans
from oya.processes.port import Command, Ended
from oya.processes.table import carrying, cpu_seconds_of_tree

_GUARD = Path(__file__).with_name("guard.py")
_LINE_LIMIT = 64 * 2**20
_GONE_WITHIN = 10.0  # s; killing takes milliseconds, unless the kernel itself is stuck
_SWEEP_AGAIN = 0.02
_numbers = itertools.count(1)


def survivors(marker: str) -> list[int]:
    """Ids of the processes, guards included, that `GuardedProcesses(marker)` has started."""
    return carrying(orphans.MARK, marker)


class GuardedProcesses:
    """Implements `Processes`. Every program's environment carries OYA_MARK=`marker`."""

    def __init__(self, marker: str) -> None:
        self._marker = marker

    async def run(self, command: Command) -> Ended:
        with ExitStack() as files:
            stdin = _file_of(command.stdin, files)
            guard = self._start(command, [(stdin, 0)], "12", command.output)
        try:
            await asyncio.wait([guard.over], timeout=command.timeout)
            timed_out = not guard.over.done()
        finally:
            await guard.gone()
        return guard.ended(timed_out=timed_out)

    async def open(self, command: Command, *, stderr: Path) -> GuardedSession:
        with ExitStack() as ours, ExitStack() as theirs:
            (stdin_end, stdin), (stdout, stdout_end) = _pipe(theirs, ours), _pipe(ours, theirs)
            guard = self._start(command, [(stdin_end, 0), (stdout_end, 1)], "2", stderr)
            ours.pop_all()
        try:
            session = await GuardedSession.connect(guard, stdin, stdout)
        except BaseException:
            await guard.gone()
            raise
        try:
            await asyncio.wait([guard.started])
        except BaseException:
            await session.close(grace=0)
            raise
        if guard.failed():
            await session.close()
        return session

    async def end_orphans(self) -> list[int]:
        return await orphans.end_orphans(self._marker)

    def _start(
        self, command: Command, streams: list[tuple[int, int]], logged: str, log: Path | None
    ) -> _Guard:
        marks = orphans.marks(self._marker, next(_numbers))
        env, token = {**command.env, **marks}, marks[orphans.GUARD]
        ours, theirs = socket.socketpair()
        control = 3
        argv = [sys.executable, "-I", "-S", "-E", str(_GUARD), str(control)]
        argv += [logged if log else "", str(command.output_limit), str(command.nice)]
        argv += [str(command.cwd), str(log or ""), *command.argv]
        unused = {0, 1, 2} - {target for _, target in streams}
        try:
            with theirs:
                pid = os.posix_spawn(
                    sys.executable,
                    argv,
                    env,
                    file_actions=[
                        *((os.POSIX_SPAWN_DUP2, source, target) for source, target in streams),
                        *((os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in unused),
                        (os.POSIX_SPAWN_DUP2, theirs.fileno(), control),
                    ],
                    setsid=True,
                    setsigmask=[],
                )
        except (OSError, ValueError) as error:
            ours.close()
            raise ProcessError(f"cannot start the guard of {command.argv[0]}: {error}") from error
        point("process.started")
        return _Guard(command, log, token, pid, ours)


class _Guard:
    """Our side of one guard: what it has told, and the end that it hangs on."""

    def __init__(
        self, command: Command, log: Path | None, token: str, pid: int, control: socket.socket
    ) -> None:
        self._command, self._log, self._token, self.pid = command, log, token, pid
        self._control = control
        self._told = b""
        self._cpu = 0.0
        self._signal: int | None = None
        self._loop = asyncio.get_running_loop()
        self._began = self._ended = self._loop.time()
        self.started: asyncio.Future[None] = self._loop.create_future()
        self.over: asyncio.Future[None] = self._loop.create_future()
        control.setblocking(False)
        self._loop.add_reader(control, self._hear)

    def _hear(self) -> None:
        try:
            heard = self._control.recv(4096)
        except BlockingIOError:
            return
        except OSError:  # reset: it died before it had read
            heard = b""
        self._told += heard
        if not self.started.done():
            self.started.set_result(None)
        if not heard:
            self._loop.remove_reader(self._control)
            self._control.close()
            self._reap()

    def _reap(self) -> None:
        """The other end closes only with the guard's last breath, so this does not wait."""
        self._ended = self._loop.time()
        with suppress(ChildProcessError):
            _, status, usage = os.wait4(self.pid, 0)
            self._cpu = usage.ru_utime + usage.ru_stime  # its own and all that it has reaped
            self._signal = os.WTERMSIG(status) if os.WIFSIGNALED(status) else None
        self.over.set_result(None)
        if not self._last_word():
            self._kill_until_gone()  # or whoever reads the program's output waits for its end

    def _kill_until_gone(self) -> None:
        """Again and again: between a look and a kill the program may have started another."""
        if self._kill_orphans() and self._loop.time() < self._ended + _GONE_WITHIN:
            self._loop.call_later(_SWEEP_AGAIN, self._kill_until_gone)

    async def gone(self) -> None:
        """Hang up, and return when nothing is left; a cancellation is raised only then."""
        cancelled: asyncio.CancelledError | None = None
        deadline = self._loop.time() + _GONE_WITHIN
        if not self.over.done():
            with suppress(OSError):  # it has just ended by itself
                self._control.shutdown(socket.SHUT_WR)
        while not self.over.done():
            if self._loop.time() > deadline:  # stopped, or stuck
                os.kill(self.pid, signal.SIGKILL)
            try:
                await asyncio.wait([self.over], timeout=max(0.1, deadline - self._loop.time()))
            except asyncio.CancelledError as error:
                cancelled = error
        if not self._last_word():
            cancelled = await self._sweep() or cancelled
        if cancelled:
            raise cancelled

    async def _sweep(self) -> asyncio.CancelledError | None:
        """Until nothing of it is left."""
        cancelled: asyncio.CancelledError | None = None
        deadline = self._loop.time() + _GONE_WITHIN
        while left := self._kill_orphans():
            if self._loop.time() > deadline:
                raise ProcessError(
                    f"{self._command.argv[0]} could not be ended: processes {left} are left",
                    hint=f"kill -9 {' '.join(map(str, left))}",
                )
            try:
                await asyncio.sleep(_SWEEP_AGAIN)
            except asyncio.CancelledError as error:
                cancelled = error
        return cancelled

    def _kill_orphans(self) -> list[int]:
        """What a guard that was killed itself has left, as far as it is there now."""
        left = carrying(orphans.GUARD, self._token)
        for pid in left:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        return left

    def _last_word(self) -> list[str]:
        words = self._told.decode().splitlines()[-1:]
        return words[0].split() if words and words[0] != "started" else []

    def failed(self) -> bool:
        return self._last_word()[:1] == ["failed"]

    def ended(self, *, timed_out: bool = False) -> Ended:
        match self._last_word():
            case ["ended", code, seconds]:
                n = int(code)
                exit_, killed_by = (n, None) if n >= 0 else (None, -n)
                return Ended(exit_, killed_by, timed_out, float(seconds), self._cpu)
            case ["failed", what, errno]:
                raise self._cannot_start(what, int(errno))
            case _:
                seconds_ = self._ended - self._began
                return Ended(None, self._signal or signal.SIGKILL, timed_out, seconds_, self._cpu)

    def _cannot_start(self, what: str, errno: int) -> ProcessError:
        name, why = self._command.argv[0], os.strerror(errno)
        match what:
            case "cwd":
                return ProcessError(f"cannot start {name} in {self._command.cwd}: {why}")
            case "log":
                return ProcessError(f"cannot start {name}: cannot write {self._log}: {why}")
            case "program":
                hint = "Check that it is installed, executable, and on the PATH it is given."
                return ProcessError(f"cannot start {name}: {why}", hint=hint)
            case _:
                return ProcessError(f"cannot start the guard of {name}: {why}")

    def cpu_seconds(self) -> float:
        """So far; never less than before, though a program may lose what it does not reap."""
        if not self.over.done():
            self._cpu = max(self._cpu, cpu_seconds_of_tree(self.pid))
        return self._cpu


class GuardedSession:
    """Implements `Session`."""

    def __init__(
        self,
        guard: _Guard,
        stdin: asyncio.StreamWriter,
        stdout: asyncio.StreamReader,
        stdout_pipe: asyncio.ReadTransport,
    ) -> None:
        self._guard = guard
        self._stdout_pipe = stdout_pipe
        self.stdin = stdin
        self.stdout = stdout
        self.pid = guard.pid

    @classmethod
    async def connect(cls, guard: _Guard, stdin: int, stdout: int) -> GuardedSession:
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=_LINE_LIMIT)
        with ExitStack() as files:
            source = files.enter_context(os.fdopen(stdout, "rb", 0))
            sink = files.enter_context(os.fdopen(stdin, "wb", 0))
            reading, _ = await loop.connect_read_pipe(
                lambda: asyncio.StreamReaderProtocol(reader), source
            )
            # Writing needs flow control only; this is the public class that has it.
            writing, protocol = await loop.connect_write_pipe(
                lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), sink
            )
            files.pop_all()
        return cls(guard, asyncio.StreamWriter(writing, protocol, None, loop), reader, reading)

    async def close(self, grace: float = 1.0) -> Ended:
        try:
            self.stdin.close()
            await asyncio.wait([self._guard.over], timeout=grace)
        finally:
            try:
                await self._guard.gone()
            finally:
                self._stdout_pipe.close()
        return self._guard.ended()

    async def wait(self) -> Ended:
        await asyncio.wait([self._guard.over])
        await self._guard.gone()
        return self._guard.ended()

    def activity(self) -> float:
        return self._guard.cpu_seconds()


def _file_of(data: bytes, files: ExitStack) -> int:
    """A descriptor that reads as `data`; a file in memory, so nobody has to feed it."""
    if not data:
        fd = os.open(os.devnull, os.O_RDONLY)
        files.callback(os.close, fd)
        return fd
    fd = os.memfd_create("stdin")
    files.callback(os.close, fd)
    os.set_blocking(fd, False)
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]
    os.set_blocking(fd, True)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _pipe(reading: ExitStack, writing: ExitStack) -> tuple[int, int]:
    read, write = os.pipe()
    reading.callback(os.close, read)
    writing.callback(os.close, write)
    return read, write
