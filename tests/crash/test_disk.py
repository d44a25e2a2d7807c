"""Disks that are full, or may not be written to: nothing lost, and it goes on."""

from __future__ import annotations

import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from crash_checker import Evidence, check
from crash_kit import Ground, pause, until

Make = Callable[..., Ground]

CAP_SYS_ADMIN = 21
MAY_MOUNT = bool(
    int(Path("/proc/self/status").read_text().partition("CapEff:")[2].split()[0], 16)
    >> CAP_SYS_ADMIN
    & 1
)
"""Whether this process may mount: root, outside most containers."""
NO_MOUNT = "may not mount: CAP_SYS_ADMIN is missing"


def test_a_file_limit_is_met_and_lifted_and_the_same_daemon_goes_on(ground: Ground) -> None:
    """Every file that the daemon, its gits or its gates would let grow is at its end: the log of
    the engine first of all."""
    pid = ground.start()
    assert ground.wait_for("contract_accepted")
    log = max((ground.state / "data" / "clog").iterdir())
    limits = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (log.stat().st_size, limits[1]))
    until(lambda: "cannot be written" in _said(ground), "a word about it", told=ground.living)
    pause(1.0)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)

    until(lambda: not ground.living(), "its end", told=lambda: _said(ground)[-3000:])
    final = ground.json("swarm", "status")
    assert (final["status"], final["landed_beads"]) == ("completed", 4)
    _never_twice(check(ground))


@pytest.mark.skipif(not MAY_MOUNT, reason=NO_MOUNT)
def test_a_full_disk_is_met_and_there_is_room_again(tmp_path: Path, make_ground: Make) -> None:
    with _mounted("-t", "tmpfs", "-o", "size=24m", "none", at=tmp_path):
        ground = make_ground()
        pid = ground.start()
        assert ground.wait_for("contract_accepted")
        with (tmp_path / "full").open("wb", buffering=0) as file:
            with pytest.raises(OSError, match="No space left"):
                while True:
                    file.write(bytes(1 << 16))
            pause(3.0)  # what it says of it may not fit on the disk either
            alive = pid in ground.pids()
            assert alive or not (ground.state / "daemon.pid").exists(), "it has died of it"
            file.truncate(0)

        ground.finish()  # attached to the one that goes on, or another, where it gave up
        until(lambda: not ground.living(), "its end", told=ground.living)
        _never_twice(check(ground))
        ground.close()


# Root may write whatever the modes say.
@pytest.mark.skipif(not MAY_MOUNT and os.getuid() == 0, reason=f"{NO_MOUNT}, and this is root")
def test_a_state_that_may_not_be_written_to_is_refused_untouched(ground: Ground) -> None:
    ground.start()
    assert ground.wait_for("implementation_accepted")
    ground.kill()
    with _read_only(ground.state):
        before = _files(ground.state)
        refused = ground.oya("swarm", code=None)
        assert refused.returncode in (1, 2), refused
        assert "Traceback" not in refused.stderr
        assert refused.stderr.startswith("oya: "), refused
        assert "Read-only" in refused.stderr or "Permission" in refused.stderr, refused
        assert _files(ground.state) == before
    until(lambda: not ground.living(), "the refused daemon to go", told=ground.living)

    ground.finish()
    check(ground)


def _never_twice(found: Evidence) -> None:
    """An outage of the disk may cost attempts; it must not look like the work of a second one."""
    assert {row["swarm"] for row in found.events} == {"swarm-1"}


def _said(ground: Ground) -> str:
    return (ground.state / "logs" / "daemon.log").read_text(errors="replace")


def _files(folder: Path) -> dict[str, bytes]:
    found = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@contextmanager
def _read_only(folder: Path) -> Iterator[None]:
    if not MAY_MOUNT:
        paths = [folder, *folder.rglob("*")]
        modes = [path.stat().st_mode for path in paths]
        for path, mode in zip(paths, modes, strict=True):
            path.chmod(mode & 0o555)
        try:
            yield
        finally:
            for path, mode in zip(paths, modes, strict=True):
                path.chmod(mode)
        return
    with _mounted("--bind", str(folder), at=folder):
        subprocess.run(("mount", "-o", "remount,bind,ro", str(folder)), check=True)
        yield


@contextmanager
def _mounted(*what: str, at: Path) -> Iterator[None]:
    subprocess.run(("mount", *what, str(at)), check=True)
    try:
        yield
    finally:
        subprocess.run(("umount", "--lazy", str(at)), check=True)
