"""What a program in a sandbox tries, and cannot do; and what it needs, and can.

Each attempt is a program that ends with 0 where it gets through. The same program is run
outside, where that does no harm, so that a mistake in it is not taken for a wall.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from oya.errors import ConfigError, ProcessError
from oya.processes import Command, GuardedProcesses, Processes, shell, survivors
from oya.processes.bubblewrap import CACHES, Bubblewrap, Policy, find
from oya.processes.programs import files_among
from sandbox_kit import bubblewrap, sandboxed

PYTHON = Path(sys.executable)


@dataclass
class Bench:
    """A home with secrets, a folder to work in, and the same programs outside and inside."""

    folder: Path
    marker: str
    env: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        for name in ("home/.ssh", "work", "objects", "outside"):
            (self.folder / name).mkdir(parents=True)
        (self.home / ".ssh/secret").write_text("secret\n")
        (self.home / ".netrc").write_text("secret\n")
        (self.folder / "objects/pack").write_text("an object\n")
        self.env = {"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin", "HOME": str(self.home)}
        self.env |= {"WORK": str(self.work), "TOP": str(self.folder), "PY": str(PYTHON)}

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def work(self) -> Path:
        return self.folder / "work"

    @property
    def outside(self) -> Processes:
        return GuardedProcesses(self.marker)

    def inside(self, **policy: object) -> Processes:
        objects = self.folder / "objects"
        given = {"home": self.home, "readable": (objects, PYTHON), **policy}
        return sandboxed(self.outside, Policy(**given))  # type: ignore[arg-type]

    async def run(self, processes: Processes, line: str, **env: object) -> tuple[int | None, str]:
        """Exit code and output."""
        log = self.folder / "log"
        words = {name: str(value) for name, value in env.items()}
        command = Command(shell(line), self.work, self.env | words, output=log, timeout=20)
        ended = await processes.run(command)
        return ended.exit, log.read_text()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path, f"test-{uuid.uuid4().hex}")
    yield bench
    assert survivors(bench.marker) == []


# What it tries

ATTEMPTS = {
    "a file outside": "echo x > $TOP/outside/file",
    "through a link": "ln -sfn $TOP/outside link; echo x > link/file",
    "a hard link": "ln $TOP/objects/pack $WORK/pack && echo x >> $WORK/pack",
    "the repository's objects": "echo x > $TOP/objects/new",
    "an object away": "chmod u+w $TOP/objects/pack; rm -f $TOP/objects/pack",
    "a secret in home": "grep secret ~/.ssh/secret",
    "another": "grep secret ~/.netrc",
    "a secret by its own name": "grep secret $TOP/home/.ssh/secret",
    "the home of root": "ls -A /root | grep -vx .pyenv",
    "sockets in /run": "ls -A /run /var/run/ | grep -v : | grep .",
    "what others have in /tmp": "ls $TOP/outside",
    "the folders of another process": "ls /proc/$OTHER/root/ | grep .",
    "its environment": "grep -a SECRET /proc/$OTHER/environ",
    "a kill": "kill -0 $OTHER",
    "a trace": (
        '$PY -c \'import ctypes,os,sys; p=int(os.environ["OTHER"]);'
        "l=ctypes.CDLL(None); r=l.ptrace(16,p,0,0); r or l.ptrace(17,p,0,0); sys.exit(r != 0)'"
    ),
    "a server of the machine": (
        "$PY -c 'import os,socket;"
        'socket.create_connection(("127.0.0.1", int(os.environ["PORT"])), 5)\''
    ),
    "an abstract socket": (
        "$PY -c 'import os,socket;s=socket.socket(socket.AF_UNIX);"
        's.connect("\\0" + os.environ["ABSTRACT"])\''
    ),
    "its own user namespace": "unshare --user true",
}
FIRST = "echo x > $TOP/outside/file"
AS_ROOT = {
    "the machine's own files": "test -w /usr",
    "the root writable": f"mount -o remount,rw,bind / ; {FIRST} && grep x $TOP/outside/file",
    "a mount over it": "mount -t tmpfs none /etc",
    "a disk": "mknod disk b 1 0 && head -c 1 disk",
    "the kernel's settings": "echo 1 > /proc/sys/kernel/sysrq",
    "the machine's name": "hostname changed",
    "another user": "setpriv --reuid 65534 --clear-groups true",
}


@pytest.fixture
def others() -> Iterator[dict[str, object]]:
    """A process, and servers, that are not the sandbox's."""
    other = subprocess.Popen(["sleep", "60"], env={"SECRET": "1", "PATH": os.environ["PATH"]})
    name = f"oya-{uuid.uuid4().hex}"
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as hidden:
        hidden.bind(f"\0{name}")
        hidden.listen()
        yield {"OTHER": other.pid, "PORT": server.getsockname()[1], "ABSTRACT": name}
    other.kill()
    other.wait()


@pytest.mark.parametrize("line", ATTEMPTS.values(), ids=ATTEMPTS.keys())
async def test_it_cannot_get_through(bench: Bench, others: dict[str, object], line: str) -> None:
    processes = bench.inside()
    if line == ATTEMPTS["its own user namespace"] and not forbids_namespaces():
        pytest.skip("bubblewrap is older than 0.8, and cannot forbid user namespaces")
    inside = await bench.run(processes, line, **others)
    assert inside[0] not in (0, None), inside
    assert list((bench.folder / "outside").iterdir()) == []
    assert (bench.folder / "objects/pack").read_text() == "an object\n"
    if os.getuid() == 0 or line not in (ATTEMPTS["the home of root"], ATTEMPTS["a trace"]):
        outside = await bench.run(bench.outside, line, **others)
        assert outside[0] == 0, outside


@pytest.mark.parametrize("line", AS_ROOT.values(), ids=AS_ROOT.keys())
async def test_root_has_no_powers_there(bench: Bench, line: str) -> None:
    code, said = await bench.run(bench.inside(), line)
    assert code not in (0, None), said
    assert list((bench.folder / "outside").iterdir()) == []


async def test_only_root_s_powers_are_taken_by_that(bench: Bench) -> None:
    status = "grep -E '^(CapEff|CapBnd|NoNewPrivs)' /proc/self/status"
    code, said = await bench.run(bench.inside(), status)
    assert (code, said.split()[1::2]) == (0, ["0" * 16, "0" * 16, "1"])


async def test_a_killed_guard_leaves_nothing_though_it_hides(bench: Bench) -> None:
    """Not even what carries no mark, has a session of its own, and whose parent is gone."""
    line = "(setsid sh -c 'env -i setsid sleep 61.375 &' &); echo; while :; do sleep 1; done"
    session = await bench.inside().open(
        Command(shell(line), bench.work, bench.env), stderr=bench.folder / "stderr"
    )
    await session.stdout.readline()
    await until(lambda: len(running("61.375")) == 1)
    os.kill(session.pid, signal.SIGKILL)
    await until(lambda: running("61.375") == [])
    await session.close()


OYA = """
import asyncio, sys
from pathlib import Path
from oya.processes import Command, GuardedProcesses, shell
from oya.processes.bubblewrap import Policy, find
from oya.processes.sandbox import Sandboxed

async def main():
    marker, folder = sys.argv[1], Path(sys.argv[2])
    policy = Policy(home=folder / "home")
    inside = Sandboxed(GuardedProcesses(marker), policy, find(policy, folder / "work"))
    line = "(setsid sh -c 'env -i setsid sleep 61.625 &' &); while :; do sleep 1; done"
    command = Command(shell(line), folder / "work", {"PATH": "/usr/bin:/bin"})
    session = await inside.open(command, stderr=folder / "stderr")
    print(session.pid, flush=True)
    await session.wait()

asyncio.run(main())
"""


async def test_a_guard_and_its_owner_killed_at_once_leave_nothing(bench: Bench) -> None:
    bench.inside()  # or there is nothing to test
    argv = [sys.executable, "-c", OYA, bench.marker, str(bench.folder)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as oya:
        assert oya.stdout
        guard = int(await asyncio.to_thread(oya.stdout.readline))
        await until(lambda: len(running("61.625")) == 1)
        os.kill(guard, signal.SIGSTOP)  # so that it does not hear of the other's end
        oya.kill()
        oya.wait()
        os.kill(guard, signal.SIGKILL)
    await until(lambda: running("61.625") == [] and survivors(bench.marker) == [])


async def test_a_disk_filled_in_memory_ends_at_a_bound(bench: Bench) -> None:
    line = "head -c 17M /dev/zero > /run/full"
    code, said = await bench.run(bench.inside(), line)
    assert (code, "No space left" in said) == (1, True), said


# What it needs

NEEDS = {
    "its folder": "echo x > $WORK/file && cat $WORK/file",
    "temporary files": "mktemp && mktemp -d && echo x > ${TMPDIR:-/tmp}/y",
    "a home to write to": "mkdir -p ~/.config/tool && echo x > ~/.config/tool/file",
    "the objects": "grep object $TOP/objects/pack",
    "a server of its own": (
        '$PY -c \'import socket; s=socket.create_server(("127.0.0.1", 0));'
        "socket.create_connection(s.getsockname(), 5)'"
    ),
    "devices": "head -c 1 /dev/urandom > /dev/null && test -w /dev/shm",
    "its own processes": "test -d /proc/$$ && sleep 0 & wait",
    "the name of the machine": "getent hosts $(hostname)",
    "processes of Python's": (
        "$PY -c 'import multiprocessing as m; p=m.Pool(2); print(p.map(abs, [-1])); p.terminate()'"
    ),
}


@pytest.mark.parametrize("line", NEEDS.values(), ids=NEEDS.keys())
async def test_what_it_needs_is_there(bench: Bench, line: str) -> None:
    code, said = await bench.run(bench.inside(), line, TMPDIR=bench.folder / "outside")
    assert code == 0, said


async def test_the_network_is_there_where_it_is_let_in(
    bench: Bench, others: dict[str, object]
) -> None:
    line = ATTEMPTS["a server of the machine"]
    assert (await bench.run(bench.inside(network=True), line, **others))[0] == 0


async def test_what_is_handed_over_is_there_and_no_more(bench: Bench) -> None:
    given, kept = bench.folder / "outside/given", bench.folder / "outside/kept"
    given.write_text("the prompt\n")
    kept.mkdir()
    line = f"cat {given} && ! echo x > {given} && echo y > {kept}/report && ls {given.parent}"
    log = bench.folder / "log"
    command = Command(
        shell(line), bench.work, bench.env, output=log, readable=(given,), writable=(kept,)
    )
    assert (await bench.inside().run(command)).ok, log.read_text()
    assert log.read_text().split()[-2:] == ["given", "kept"]
    assert (kept / "report").read_text() == "y\n"
    assert given.read_text() == "the prompt\n"


async def test_of_home_only_caches_stay_and_they_are_not_the_user_s(bench: Bench) -> None:
    inside = bench.inside(caches=bench.folder / "caches")
    made = " ".join(f"~/{name}/deep" for name in CACHES)
    wrote = await bench.run(inside, f"mkdir -p {made} && echo evil > ~/.profile")
    assert wrote[0] == 0, wrote
    tests = " && ".join(f"test -d ~/{name}/deep" for name in CACHES)
    assert (await bench.run(inside, f"{tests} && ! test -e ~/.profile"))[0] == 0
    assert sorted(os.listdir(bench.home)) == [".netrc", ".ssh"]


async def test_a_home_behind_a_link_is_hidden_by_either_name(bench: Bench) -> None:
    link = bench.folder / "link"
    link.symlink_to(bench.home)
    inside = bench.inside(home=link, covered=(bench.home,))
    line = f"! ls {bench.home}/.ssh && ! ls ~/.ssh && touch ~/x"
    code, said = await bench.run(inside, line, HOME=link)
    assert code == 0, said
    assert not (bench.home / "x").exists()


async def test_a_tool_in_home_runs_with_all_it_stands_on(bench: Bench) -> None:
    """As `uv tool install` lays them: a link, a script, an environment, an interpreter."""
    venv = bench.home / ".local/share/uv/tools/tool"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    script = venv / "bin/tool"
    script.write_text(f"#!{venv}/bin/python\nimport sys, json\nprint(sys.prefix)\n")
    script.chmod(0o755)
    (bench.home / ".local/bin").mkdir()
    (bench.home / ".local/bin/tool").symlink_to(script)
    path = f"{bench.home}/.local/bin:{bench.env['PATH']}"
    code, said = await bench.run(bench.inside(path=path), "tool; ls ~/.local/share", PATH=path)
    assert (code, said) == (0, f"{venv}\nuv\n")


# Where it does not work


async def test_a_sandbox_that_cannot_be_made_is_no_red_gate(bench: Bench) -> None:
    """What bubblewrap says is believed where nothing runs there; anybody can say it."""
    inside = bench.inside()
    with pytest.raises(ProcessError, match=r"cannot start /bin/sh in the sandbox.*no-such-folder"):
        await inside.run(
            Command(
                shell("true"),
                bench.work,
                bench.env,
                output=bench.folder / "log",
                writable=(bench.folder / "no-such-folder",),
            )
        )
    lied = await bench.run(inside, "echo 'bwrap: No permissions'; exit 1")
    assert lied == (1, "bwrap: No permissions\n")


def test_without_bubblewrap_it_says_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(bench.folder))
    with pytest.raises(ConfigError, match=r"bwrap.* is not installed") as caught:
        find(Policy(home=bench.home), bench.work)
    assert 'kind = "none"' in caught.value.hint


def test_one_that_does_not_work_says_why(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = bench.folder / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: No permissions to create new namespace' >&2; exit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{bench.folder}:/usr/bin:/bin")
    with pytest.raises(ConfigError, match="No permissions to create new namespace"):
        find(Policy(home=bench.home), bench.work)


def test_the_best_isolation_that_works_is_taken(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = bench.folder / "bwrap"
    fake.write_text('#!/bin/sh\ncase "$*" in *disable-userns*) exit 1;; esac\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", f"{bench.folder}:/usr/bin:/bin")
    found = find(Policy(home=bench.home), bench.work)
    assert found.isolation == ("--unshare-all", "--unshare-user")


def test_only_files_among_the_words_are_handed_over(bench: Bench) -> None:
    words = ("sh", str(bench.home), str(bench.home / ".netrc"), "/no/such/file", ".netrc")
    assert files_among(words) == (bench.home / ".netrc",)


# Helpers


def forbids_namespaces() -> bool:
    found = bubblewrap()
    return isinstance(found, Bubblewrap) and "--disable-userns" in found.isolation


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def running(number: str) -> list[int]:
    """Processes `sleep NUMBER`, whatever they carry."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if (entry / "cmdline").read_bytes() == f"sleep\0{number}\0".encode():
                found.append(int(entry.name))
        except OSError:
            continue
    return found
