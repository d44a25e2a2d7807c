from __future__ import annotations

import asyncio
import json
import os
import shutil
from pathlib import Path

import pytest

from oya.errors import GitError
from oya.processes import survivors
from oya.processes.orphans import end_orphans
from oya.repository.git import GitRepository
from oya.repository.run import Git

LINE = "refs/oya/line/main"


@pytest.fixture
def slow_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A git that leaves a child and never ends; writes both process ids to the file returned."""
    pids = tmp_path / "pids"
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(
        f"#!/bin/sh\nsleep 600 &\necho $! $$ > {pids}.new\nmv {pids}.new {pids}\nwait\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return pids


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def until(condition: object) -> None:
    assert callable(condition)
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


async def test_at_the_deadline_git_is_killed_with_all_its_children(
    repo: GitRepository, slow_git: Path
) -> None:
    slow = GitRepository(repo.place)
    task = asyncio.create_task(slow.git("version", timeout=2))
    await until(slow_git.exists)
    with pytest.raises(GitError, match="not done after 2 s"):
        await task
    pids = [int(word) for word in slow_git.read_text().split()]
    await until(lambda: not any(alive(pid) for pid in pids))


async def test_a_git_that_had_ended_by_the_deadline_was_in_time(repo: GitRepository) -> None:
    task = asyncio.create_task(repo.git("version", timeout=1e-6))
    await asyncio.sleep(0)  # it has started
    os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)  # and the loop sees its end with the deadline
    assert (await task).text.startswith("git version")


async def test_a_cancelled_call_kills_git_with_all_its_children(
    repo: GitRepository, slow_git: Path
) -> None:
    slow = GitRepository(repo.place)
    task = asyncio.create_task(slow.git("version"))
    await until(slow_git.exists)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    pids = [int(word) for word in slow_git.read_text().split()]
    await until(lambda: not any(alive(pid) for pid in pids))


def stuck(repo: GitRepository, folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Git:
    """A git that never ends once it has updated a ref, by `script`."""
    program, real = folder / "bin" / "git", shutil.which("git")
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\n[ "$1" = update-ref ] || exec {real} "$@"\n{script}\nexec sleep 600\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return Git(repo.place.common_dir, timeout=2)


@pytest.mark.parametrize("old", [True, False])
async def test_a_ref_that_moved_before_the_deadline_has_moved(
    repo: GitRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: bool
) -> None:
    new = await repo.resolve("main")
    assert new
    before = await repo.commit_tree(await repo.tree_of(new), (), "before") if old else None
    if before:
        await repo.set_ref(LINE, before)
    repo.git = stuck(repo, tmp_path, monkeypatch, f'{shutil.which("git")} "$@"')
    assert await repo.cas_ref(LINE, new, before)
    assert await repo.read_ref(LINE) == new


async def test_a_ref_that_had_not_moved_by_the_deadline_is_an_error(
    repo: GitRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = await repo.resolve("main")
    assert new
    repo.git = stuck(repo, tmp_path, monkeypatch, "")
    with pytest.raises(GitError, match="not done after"):
        await repo.cas_ref(LINE, new, None)


async def test_a_ref_that_another_moved_meanwhile_is_a_lost_race(
    repo: GitRepository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = await repo.resolve("main")
    assert new
    other = await repo.commit_tree(await repo.tree_of(new), (), "other")
    real = shutil.which("git")
    repo.git = stuck(repo, tmp_path, monkeypatch, f"{real} update-ref {LINE} {other}")
    assert not await repo.cas_ref(LINE, new, None)


async def test_a_failure_says_what_git_said(repo: GitRepository) -> None:
    with pytest.raises(GitError, match=r"git rev-parse .*ended with 128: fatal:"):
        await repo.tree_of("no-such-thing")


async def test_more_output_than_the_limit_is_an_error(repo: GitRepository) -> None:
    with pytest.raises(GitError, match="more than 3 bytes"):
        await repo.git("version", limit=3)


async def test_input_that_git_does_not_read_is_no_error(repo: GitRepository) -> None:
    out = await repo.git("version", stdin=b"x" * 5_000_000)
    assert out.text.startswith("git version")


async def test_git_missing_is_an_error_of_ours(
    repo: GitRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(GitError, match="could not be started"):
        await GitRepository(repo.place).git("version")


async def test_variables_of_the_shell_do_not_reach_git(
    folder: Path, repo: GitRepository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_DIR", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "core.bare")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "true")
    again = GitRepository(repo.place)
    assert await again.dirty_paths() == ()
    assert await again.resolve("HEAD")


async def test_a_call_may_be_cancelled_at_any_moment(repo: GitRepository) -> None:
    for turns in range(40):
        task = asyncio.create_task(repo.git("version", stdin=b"x"))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        async with asyncio.timeout(10):
            await asyncio.wait([task])
        assert task.cancelled() or task.result().code == 0
    assert (await repo.git("version")).code == 0


async def test_calls_leave_no_descriptors_open(repo: GitRepository) -> None:
    await repo.git("version")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        await repo.git("version", stdin=b"x")
        with pytest.raises(GitError):
            await repo.git("rev-parse", "--verify", "nothing")
    assert len(list(Path("/proc/self/fd").iterdir())) == before


async def test_a_cancelled_git_may_take_its_lock_files_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repo: GitRepository
) -> None:
    """A lock that stays behind would stop every later git, the user's own included."""
    lock = tmp_path / "packed-refs.lock"
    program = tmp_path / "bin" / "git"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ntrap 'rm {lock}; exit 1' TERM\n: >{lock}\nsleep 600 & wait\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    call = asyncio.create_task(GitRepository(repo.place).git("pack-refs"))
    await until(lock.exists)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert not lock.exists()


async def test_a_git_that_outlives_oya_is_known(repo: GitRepository, slow_git: Path) -> None:
    slow = GitRepository(repo.place)
    task = asyncio.create_task(slow.git("version"))
    await until(slow_git.exists)
    await until(lambda: len(survivors(repo.place.repo_id)) == 2)  # it, and its child
    assert await end_orphans(repo.place.repo_id) == []  # since we live
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_locks_that_a_killed_git_has_left_on_our_refs_go(
    repo: GitRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oya.repository.git._STALE", 0.2)
    head = await repo.resolve("main")
    assert head
    names = ("refs/oya/line/main", "refs/notes/oya", "refs/oya/attempts/a/1")
    theirs = repo.place.common_dir / "refs/heads/main.lock"
    theirs.touch()
    assert await repo.clear_locks() == ()
    for name in names:
        lock = repo.place.common_dir / f"{name}.lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()
        with pytest.raises(GitError, match="lock"):
            await repo.set_ref(name, head)
    assert sorted(await repo.clear_locks()) == sorted(f"{name}.lock" for name in names)
    for name in names:
        await repo.set_ref(name, head)
    assert theirs.exists()


async def test_a_lock_that_somebody_works_with_stays(
    repo: GitRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oya.repository.git._STALE", 60.0)
    lock = repo.place.common_dir / "refs/oya/line/main.lock"
    lock.parent.mkdir(parents=True)
    lock.touch()
    task = asyncio.create_task(repo.clear_locks())
    while not task.done():
        await asyncio.sleep(0)
        lock.unlink(missing_ok=True)  # by who made it
    assert task.result() == ()


async def flushes(repo: GitRepository, trace: Path, *args: str, stdin: bytes | None = None) -> int:
    """How often this git has waited for the disk."""
    await repo.git(*args, stdin=stdin, env={"GIT_TRACE2_EVENT": str(trace)})
    rows = [json.loads(line) for line in trace.read_text().splitlines()]
    trace.unlink()
    found = [int(row["value"]) for row in rows if row.get("key") == "fsync/hardware-flush"]
    return sum(found)


async def test_what_a_ref_must_hold_is_on_the_disk_when_git_ends(
    repo: GitRepository, tmp_path: Path
) -> None:
    trace = tmp_path / "trace"
    head = await repo.resolve("main")
    assert head
    tree = await repo.tree_of(head)
    assert await flushes(repo, trace, "hash-object", "-w", "--stdin", stdin=b"new") == 1
    assert await flushes(repo, trace, "commit-tree", tree, "-F", "-", stdin=b"x") == 1
    assert await flushes(repo, trace, "update-ref", "refs/oya/line/main", head) == 1
    assert await flushes(repo, trace, "rev-parse", "main") == 0
