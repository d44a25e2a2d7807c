"""The guard: a process that runs one program, and outlives everything below it.

    python -I -S -E guard.py CONTROL LOGGED LIMIT NICE CWD LOG PROGRAM [ARGUMENT...]

It is the subreaper of all that its program starts, so orphans, daemons and sessions
of their own become its children, and are killed as such: a process id that only we
can reap is never somebody else's. CONTROL is a socket whose other end oya holds.
When that end closes, by whatever means, or the program ends, or somebody sends a
SIGTERM, every descendant is killed. It answers there `started`, then
`ended EXIT_OR_MINUS_SIGNAL SECONDS`, or only `failed WHAT ERRNO`.

LOGGED says which descriptors (1, 2) go to the file LOG, at most LIMIT bytes of it.
Started hundreds of times: it imports nothing that costs milliseconds.
"""

# ruff: noqa: SIM105 (contextlib is one of those imports)

import _ctypes
import _signal  # type: ignore[import-not-found]
import os
import select
import sys
import time

_PR_SET_CHILD_SUBREAPER = 36
_SIGCHLD = 17
_ASKED_TO_END = {1, 2, 3, 15}
_KILL_AGAIN = 20  # ms between rounds, while something is still there
_TO_DEFAULT = [n for n in range(1, 32) if n not in (9, 19)]
_CHUNK = 65536


def main() -> None:
    control = int(sys.argv[1])
    os.set_inheritable(control, False)
    try:
        logged, limit, nice, cwd, log, *argv = sys.argv[2:]
        _close_all_but(control)
        _become_subreaper()
        wake = _wake_on_signals()
        out = Log(log, int(limit)) if logged else None
        program = _start(argv, cwd, int(nice), logged, out)
    except OSError as error:
        _tell(control, f"failed {error.filename2 or 'guard'} {error.errno}\n")
        return
    began = time.monotonic()
    _tell(control, "started\n")
    _forget_standard_streams()
    status, ended = _watch(program, control, wake, out)
    if out:
        out.finish()
    _tell(control, f"ended {os.waitstatus_to_exitcode(status)} {ended - began:.6f}\n")


def _watch(program: int, control: int, wake: int, out: "Log | None") -> tuple[int, float]:
    """Return the program's wait status and when it ended, once nothing is left below."""
    poll = select.poll()
    for fd in (control, wake, out.source if out else -1):
        if fd >= 0:
            poll.register(fd, select.POLLIN)
    ending, status, ended = False, 0, 0.0
    while True:
        for fd, _ in poll.poll(_KILL_AGAIN if ending else None):
            if fd == control:
                ending = True
                poll.unregister(control)
            elif fd == wake:
                ending |= not _ASKED_TO_END.isdisjoint(os.read(wake, 4096))
            elif out and out.take() == 0:
                poll.unregister(out.source)
        if ending:
            _kill_children()
        while True:
            try:
                pid, state = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return status, ended
            if pid == 0:
                break
            if pid == program:
                status, ended, ending = state, time.monotonic(), True
                _kill_children()


def _kill_children() -> None:
    for pid in _children():
        try:
            os.kill(pid, 9)
        except OSError:  # another user's: then oya says that it could not be ended
            pass


def _children() -> list[int]:
    try:
        with open("/proc/thread-self/children", "rb") as file:  # noqa: PTH123
            return [int(pid) for pid in file.read().split()]
    except FileNotFoundError:  # a kernel without CONFIG_PROC_CHILDREN
        return _children_by_scan()


def _children_by_scan() -> list[int]:
    found, me = [], os.getpid()
    for name in os.listdir("/proc"):  # noqa: PTH208
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123
                    if int(file.read().rpartition(b")")[2].split()[1]) == me:
                        found.append(int(name))
            except OSError:
                pass
    return found


def _start(argv: list[str], cwd: str, nice: int, logged: str, out: "Log | None") -> int:
    try:
        os.chdir(cwd)
    except OSError as error:
        raise OSError(error.errno, "", "", None, "cwd") from None
    if nice:
        os.nice(nice)
    actions = [(os.POSIX_SPAWN_DUP2, out.sink, int(fd)) for fd in logged] if out else []
    try:
        # A session of its own, so that `kill 0` in there does not reach the guard.
        return os.posix_spawnp(
            argv[0],
            argv,
            _environment(),
            file_actions=actions,
            setsid=True,
            setsigmask=[],
            setsigdef=_TO_DEFAULT,
        )
    except OSError as error:
        raise OSError(error.errno, "", "", None, "program") from None
    finally:
        if out:
            os.close(out.sink)


def _environment() -> dict[bytes, bytes]:
    """As it was given: the interpreter itself adds LC_CTYPE to os.environ."""
    with open("/proc/self/environ", "rb") as file:  # noqa: PTH123
        pairs = (entry.partition(b"=") for entry in file.read().split(b"\0") if entry)
        return {name: value for name, _, value in pairs}


def _become_subreaper() -> None:
    prctl = _ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl")  # type: ignore[arg-type]
    if _ctypes.call_function(prctl, (_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)) != 0:
        raise OSError(38, "no subreaper")


def _wake_on_signals() -> int:
    wake, write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    _signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    for number in (_SIGCHLD, *_ASKED_TO_END):
        _signal.signal(number, lambda *_: None)
    return wake


def _close_all_but(control: int) -> None:
    """Descriptors that oya, or whoever started it, forgot to mark close-on-exec."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        if int(name) > 2 and int(name) != control:
            try:
                os.close(int(name))
            except OSError:  # the listing's own
                pass


def _forget_standard_streams() -> None:
    """Otherwise neither side of the program's pipes would hear the other one close."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(null, fd, inheritable=False)


def _tell(control: int, line: str) -> None:
    try:
        os.write(control, line.encode())
    except OSError:  # nobody is left to hear it
        pass


class Log:
    """A file that takes any amount of output and keeps its head and its tail."""

    def __init__(self, path: str, limit: int) -> None:
        try:
            self.file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise OSError(error.errno, "", "", None, "log") from None
        self.source, self.sink = os.pipe2(os.O_CLOEXEC)
        os.set_blocking(self.source, False)
        self.head = limit // 2
        self.tail_limit = limit - self.head
        self.tail = bytearray()
        self.cut = 0

    def take(self) -> int | None:
        """Take one chunk and return its size; None when there is none now, 0 for ever."""
        try:
            chunk = os.read(self.source, _CHUNK)
        except BlockingIOError:
            return None
        self.write(chunk[: self.head])
        self.tail += chunk[self.head :]
        self.head = max(0, self.head - len(chunk))
        if len(self.tail) > self.tail_limit + 16 * _CHUNK:
            self.trim()
        return len(chunk)

    def trim(self) -> None:
        excess = max(0, len(self.tail) - self.tail_limit)
        self.cut += excess
        del self.tail[:excess]

    def finish(self) -> None:
        """After the program: what is still in the pipe, then the tail."""
        for _ in range(1 + 64 * 16):  # a pipe's largest size, should somebody else still write
            if not self.take():
                break
        self.trim()
        if self.cut:
            self.write(f"\n[oya: {self.cut} bytes cut here]\n".encode())
        self.write(bytes(self.tail))

    def write(self, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(self.file, data) :]
        except OSError:  # a full disk must not stop the program
            pass


if __name__ == "__main__":
    main()
    os._exit(0)
