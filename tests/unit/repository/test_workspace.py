"""What a real folder and real git add to the promises of tests/contract/test_workspaces.py."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from oya.errors import GitError, PrepareFailed
from oya.repository.checkout import Checkout
from oya.repository.copies import Copied, Copies
from oya.repository.git import GitRepository
from oya.repository.port import Workspace
from oya.repository.workspace import GitWorkspaces
from repository_kit import commit, git, write


@pytest.fixture
def spaces(repo: GitRepository) -> GitWorkspaces:
    return GitWorkspaces(repo, repo.place, max_file=1000)


async def make(repo: GitRepository, spaces: GitWorkspaces, epoch: int = 1) -> Workspace:
    start = await repo.resolve("refs/heads/main")
    assert start
    return await spaces.create("b-1", epoch, start=start)


async def paths_of(repo: GitRepository, rev: str) -> set[str]:
    return set(await repo.list_files(rev))


async def test_a_workspace_is_a_clean_clone_on_a_branch_of_its_own(
    repo: GitRepository, spaces: GitWorkspaces, folder: Path
) -> None:
    git(folder, "tag", "-m", "release", "v1.0")
    ws = await make(repo, spaces)
    assert ws.path.is_relative_to(repo.place.cache / "work")
    assert (ws.path / "src" / "b.txt").read_text() == "two\n"
    assert git(ws.path, "status", "--porcelain=v1", "--branch") == "## oya/b-1"
    assert git(ws.path, "rev-parse", "HEAD") == ws.start
    assert git(ws.path, "remote") == ""
    assert git(ws.path, "describe") == "v1.0"
    assert git(ws.path, "log", "--format=%s") == "first"
    assert git(ws.path, "fsck") == ""
    assert await repo.read_ref(spaces.base_ref("b-1", 1)) == ws.start
    assert git(folder, "status", "--porcelain=v1", "--branch") == "## main"


async def test_the_clone_commits_under_an_identity_of_its_own_without_hooks_or_signing(
    repo: GitRepository, spaces: GitWorkspaces, tmp_path: Path
) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    (hooks / "pre-commit").write_text("#!/bin/sh\nexit 1\n")
    (hooks / "pre-commit").chmod(0o755)
    with (tmp_path / "home" / "gitconfig").open("a") as file:
        file.write(f"[core]\n\thooksPath = {hooks}\n[commit]\n\tgpgSign = true\n")
    ws = await make(repo, spaces)
    commit(ws.path, {"n.txt": "n"})
    assert git(ws.path, "show", "-s", "--format=%an %ae %cn") == "oya oya@localhost oya"


async def test_what_is_uncommitted_becomes_the_head_of_the_attempt(
    repo: GitRepository, spaces: GitWorkspaces, folder: Path
) -> None:
    ws = await make(repo, spaces)
    write(ws.path, {"a.txt": "new\n", "deep/er/n.txt": "n", "ü \n": "odd"})
    (ws.path / "src" / "b.txt").unlink()
    (ws.path / "link").symlink_to("a.txt")
    (ws.path / "deep" / "run").write_text("#!/bin/sh\n")
    (ws.path / "deep" / "run").chmod(0o755)
    head = await spaces.commit(ws, "Snapshot of b-1")
    assert head.left_out == ()
    changes = {c.path: (c.status, c.mode) for c in await repo.diff(ws.start, head.commit)}
    assert changes == {
        "a.txt": ("M", "100644"),
        "deep/er/n.txt": ("A", "100644"),
        "deep/run": ("A", "100755"),
        "link": ("A", "120000"),
        "src/b.txt": ("D", "000000"),
        "ü \n": ("A", "100644"),
    }
    assert await repo.parents(head.commit) == (ws.start,)
    assert await repo.tree_of(head.commit) == head.tree
    assert await repo.read_ref(spaces.attempt_ref("b-1", 1)) == head.commit
    assert git(folder, "show", "-s", "--format=%an %s", head.commit) == "oya Snapshot of b-1"
    assert git(folder, "status", "--porcelain=v1", "--branch") == "## main"


async def test_snapshots_follow_each_other_and_the_agent_sees_a_clean_tree(
    repo: GitRepository, spaces: GitWorkspaces
) -> None:
    ws = await make(repo, spaces)
    write(ws.path, {"a.txt": "2"})
    first = await spaces.commit(ws, "one")
    assert git(ws.path, "status", "--porcelain=v1", "--branch") == "## oya/b-1"
    assert git(ws.path, "rev-parse", "HEAD") == first.commit
    write(ws.path, {"a.txt": "3"})
    second = await spaces.commit(ws, "two")
    assert await repo.parents(second.commit) == (first.commit,)
    assert await repo.read_file(second.commit, "a.txt") == b"3"
    assert await spaces.commit(ws, "three") == second


async def test_a_change_of_the_same_size_at_once_is_seen(
    repo: GitRepository, spaces: GitWorkspaces
) -> None:
    ws = await make(repo, spaces)
    for text in ("abc\n", "xyz\n", "one\n", "eno\n"):
        write(ws.path, {"a.txt": text})
        head = await spaces.commit(ws, "m")
        assert await repo.read_file(head.commit, "a.txt") == text.encode()


async def test_a_look_leaves_what_the_agent_is_doing_with_git(repo: GitRepository) -> None:
    spaces = GitWorkspaces(repo, repo.place)
    ws = await make(repo, spaces)
    own = commit(ws.path, {"own": "1"})
    write(ws.path, {"staged": "1", "loose": "1", ".oya/gate/request": "x"})
    git(ws.path, "add", "staged")
    before = git(ws.path, "status", "--porcelain", "--branch")
    look = await spaces.snapshot(ws)
    assert await paths_of(repo, look.commit) == {"a.txt", "src/b.txt", "own", "staged", "loose"}
    assert git(ws.path, "status", "--porcelain", "--branch") == before
    assert git(ws.path, "rev-parse", "HEAD") == own
    git(ws.path, "reset", "-q", "--hard", ws.start)  # the agent thinks better of it
    head = await spaces.commit(ws, "m")
    assert await paths_of(repo, head.commit) == {"a.txt", "src/b.txt", "loose"}


async def test_commits_of_the_agent_are_the_history_of_the_head(
    repo: GitRepository, spaces: GitWorkspaces
) -> None:
    ws = await make(repo, spaces)
    mine = commit(ws.path, {"n.txt": "committed"}, "by the agent")
    head = await spaces.commit(ws, "m")
    assert head.commit == mine
    write(ws.path, {"n.txt": "more"})
    further = await spaces.commit(ws, "m")
    assert await repo.parents(further.commit) == (mine,)


async def test_a_moved_branch_a_detached_head_and_a_merge_are_taken_as_they_are(
    repo: GitRepository, spaces: GitWorkspaces
) -> None:
    ws = await make(repo, spaces)
    git(ws.path, "switch", "-q", "-c", "mine")
    commit(ws.path, {"x": "1"})
    git(ws.path, "switch", "-q", "oya/b-1")
    commit(ws.path, {"y": "1"})
    git(ws.path, "merge", "-q", "mine", "-m", "merged")
    git(ws.path, "switch", "-q", "--detach")
    git(ws.path, "branch", "-q", "-D", "oya/b-1", "mine")
    git(ws.path, "pack-refs", "--all")
    git(ws.path, "repack", "-adq")
    write(ws.path, {"z": "1"})
    head = await spaces.commit(ws, "m")
    assert await paths_of(repo, head.commit) == {"a.txt", "src/b.txt", "x", "y", "z"}
    (merge,) = await repo.parents(head.commit)
    assert len(await repo.parents(merge)) == 2


async def test_a_rewritten_history_still_has_the_start_in_it(
    repo: GitRepository, spaces: GitWorkspaces
) -> None:
    ws = await make(repo, spaces)
    git(ws.path, "checkout", "-q", "--orphan", "new")
    other = commit(ws.path, {"x": "1"}, "rootless")
    head = await spaces.commit(ws, "m")
    assert await repo.parents(head.commit) == (ws.start, other)
    assert await paths_of(repo, head.commit) == {"a.txt", "src/b.txt", "x"}


async def test_the_answer_and_the_tracker_never_get_into_the_head(
    repo: GitRepository, spaces: GitWorkspaces, folder: Path
) -> None:
    commit(folder, {".beads/issues.jsonl": "{}\n", ".oya/swarm.toml": "x"})
    ws = await make(repo, spaces)
    edits = {".beads/issues.jsonl": "closed", ".beads/new": "x", ".oya/out/reviewer.json": "{}"}
    write(ws.path, {**edits, "n": "1"})
    (ws.path / ".beads" / "issues.jsonl").chmod(0o755)
    head = await spaces.commit(ws, "m")
    assert [c.path for c in await repo.diff(ws.start, head.commit)] == ["n"]
    git(ws.path, "add", "-f", "-A", ".")
    commit(ws.path, {".beads/issues.jsonl": "again", "m": "1"}, "everything")
    git(ws.path, "rm", "-q", "--cached", ".beads/issues.jsonl")
    git(ws.path, "commit", "-q", "-m", "gone")
    head = await spaces.commit(ws, "m")
    assert {c.path for c in await repo.diff(ws.start, head.commit)} == {"n", "m"}
    assert head.left_out == ()


async def test_big_files_are_named_and_left_out_committed_or_not(
    repo: GitRepository, spaces: GitWorkspaces
) -> None:
    ws = await make(repo, spaces)
    commit(ws.path, {"committed.bin": "x" * 1001, "a.txt": "y" * 1001, "ok": "z" * 1000}, "big")
    write(ws.path, {"loose.bin": "x" * 1001})
    head = await spaces.commit(ws, "m")
    assert set(head.left_out) == {"committed.bin", "a.txt", "loose.bin"}
    assert await paths_of(repo, head.commit) == {"a.txt", "src/b.txt", "ok"}
    assert await repo.read_file(head.commit, "a.txt") == b"one\n"
    assert (ws.path / "loose.bin").exists()
    again = await spaces.commit(ws, "m")
    assert (again.commit, set(again.left_out)) == (head.commit, set(head.left_out))


async def test_ignored_files_are_no_work(
    repo: GitRepository, spaces: GitWorkspaces, folder: Path
) -> None:
    commit(folder, {".gitignore": "build/\n"})
    (folder / ".git" / "info" / "exclude").write_text("private\n")
    ws = await make(repo, spaces)
    write(ws.path, {"build/x": "1", "private": "2", "n": "3"})
    assert git(ws.path, "status", "--porcelain") == "?? n"
    head = await spaces.commit(ws, "m")
    assert [c.path for c in await repo.diff(ws.start, head.commit)] == ["n"]


async def test_byte_code_is_no_work_but_where_it_is_committed(
    repo: GitRepository, spaces: GitWorkspaces
) -> None:
    ws = await make(repo, spaces)
    write(ws.path, {"src/__pycache__/x.pyc": "1", "src/x.py": "3"})
    assert git(ws.path, "status", "--porcelain") == "?? src/x.py"
    head = await spaces.commit(ws, "m")
    assert [c.path for c in await repo.diff(ws.start, head.commit)] == ["src/x.py"]
    write(ws.path, {"src/__pycache__/x.pyc": "1"})
    git(ws.path, "add", "-f", "src/__pycache__/x.pyc")
    git(ws.path, "commit", "-q", "-m", "forced")
    head = await spaces.commit(ws, "m")
    assert await repo.read_file(head.commit, "src/__pycache__/x.pyc") == b"1"


async def test_an_ignored_file_that_the_agent_committed_is_kept(
    repo: GitRepository, spaces: GitWorkspaces, folder: Path
) -> None:
    commit(folder, {".gitignore": "lib/\n"})
    ws = await make(repo, spaces)
    write(ws.path, {"lib/x": "1"})
    git(ws.path, "add", "-f", "lib/x")
    git(ws.path, "commit", "-q", "-m", "forced")
    write(ws.path, {"lib/x": "22"})
    head = await spaces.commit(ws, "m")
    assert await repo.read_file(head.commit, "lib/x") == b"22"


async def test_conflicts_stay_as_markers_on_a_clean_tree(
    repo: GitRepository, spaces: GitWorkspaces, folder: Path
) -> None:
    start = await repo.resolve("main")
    assert start
    work = await repo.commit_tree(
        await repo.write_tree(start, {"a.txt": b"work\n"}), [start], "work"
    )
    base = commit(folder, {"a.txt": "base\n"})
    ws = await spaces.create("b-1", 1, start=base, merge=[work])
    assert ws.conflicts == ("a.txt",)
    assert "base\n=======\nwork\n" in (ws.path / "a.txt").read_text()
    assert git(ws.path, "status", "--porcelain") == ""


async def test_files_are_put_back_as_they_were(
    repo: GitRepository, spaces: GitWorkspaces, tmp_path: Path
) -> None:
    ws = await make(repo, spaces)
    write(ws.path, {"a.txt": "edited", "new.txt": "n", "kept.txt": "k"})
    frozen = (await spaces.commit(ws, "m")).commit
    outside = tmp_path / "outside"
    write(outside, {"b.txt": "mine", "c.txt": "mine"})
    (ws.path / "src" / "b.txt").unlink()
    (ws.path / "src").rmdir()
    (ws.path / "src").symlink_to(outside)
    write(ws.path, {"a.txt": "again", "late.txt": "x"})
    (ws.path / "new.txt").unlink()
    write(ws.path, {"new.txt/x": "a folder now"})
    paths = ["a.txt", "new.txt", "src/b.txt", "src/c.txt", "late.txt", "never.txt", "../../x"]
    await spaces.restore(ws, frozen, paths)
    assert (ws.path / "a.txt").read_text() == "edited"
    assert (ws.path / "new.txt").read_text() == "n"
    assert (ws.path / "src" / "b.txt").read_text() == "two\n"
    assert not (ws.path / "late.txt").exists()
    assert (outside / "b.txt").read_text() == (outside / "c.txt").read_text() == "mine"
    assert (await spaces.commit(ws, "m")).tree == await repo.tree_of(frozen)


async def test_removed_is_removed_and_the_work_stays(
    repo: GitRepository, spaces: GitWorkspaces
) -> None:
    ws = await make(repo, spaces)
    write(ws.path, {"n": "1"})
    head = await spaces.commit(ws, "m")
    await spaces.remove(ws)
    assert not ws.path.exists()
    assert list((repo.place.admin / "work").iterdir()) == []
    assert await repo.list_refs("refs/oya") == {spaces.attempt_ref("b-1", 1): head.commit}


class Died(BaseException):
    """The end of oya, in the middle of something."""


@pytest.mark.parametrize("known", [True, False])
async def test_half_a_folder_that_was_being_removed_is_no_work(
    repo: GitRepository, spaces: GitWorkspaces, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    ws = await make(repo, spaces)
    write(ws.path, {"n.txt": "done"})
    head = await spaces.commit(ws, "Done")
    if not known:
        shutil.rmtree(repo.place.admin / "work")

    def half(path: Path) -> None:
        if path.exists():
            (path / "a.txt").unlink()
            (path / "n.txt").unlink()
            raise Died

    with monkeypatch.context() as dying:
        dying.setattr("oya.repository.workspace.take_away", half)
        with pytest.raises(Died):
            await spaces.remove(ws)

    later = GitWorkspaces(repo, repo.place)
    ((bead, epoch, path),) = await later.leftovers()
    assert (bead, epoch) == ("b-1", 1)
    assert (await later.harvest(path)).head is None
    assert await repo.read_ref(spaces.attempt_ref("b-1", 1)) == head.commit
    assert await later.leftovers() == []
    assert await repo.list_refs("refs/oya/base") == {}


async def test_half_a_folder_that_was_being_put_back_is_no_work(
    repo: GitRepository, spaces: GitWorkspaces, monkeypatch: pytest.MonkeyPatch
) -> None:
    ws = await make(repo, spaces)
    write(ws.path, {"n.txt": "done"})
    head = await spaces.commit(ws, "Done")
    shutil.rmtree(ws.path)  # by the agent

    async def half(checkout: Checkout, commit: str) -> None:
        write(checkout.folder, {"n.txt": "done"})
        raise Died

    with monkeypatch.context() as dying:
        dying.setattr(Checkout, "fill", half)
        with pytest.raises(Died):
            await spaces.commit(ws, "After that")

    later = GitWorkspaces(repo, repo.place)
    ((_, _, path),) = await later.leftovers()
    assert (await later.harvest(path)).head is None
    assert await repo.read_ref(spaces.attempt_ref("b-1", 1)) == head.commit


async def test_preparing_is_not_the_agents_work(repo: GitRepository) -> None:
    async def prepare(path: Path, more: Mapping[str, str]) -> None:
        write(path, {"env/x": "made", "env/y": "made", "a.txt": "locked\n"})

    spaces = GitWorkspaces(repo, repo.place, prepare=prepare)
    ws = await make(repo, spaces)
    assert (ws.path / "env" / "x").exists()
    assert (await spaces.commit(ws, "m")).commit == ws.start
    write(ws.path, {"env/y": "changed by the agent"})
    head = await spaces.commit(ws, "m")
    assert [c.path for c in await repo.diff(ws.start, head.commit)] == ["env/y"]


async def test_copied_files_are_there_and_never_committed(repo: GitRepository) -> None:
    copies = Copies((Copied(".env", b"secret", 0o600), Copied("conf/b [1].x", b"b", 0o644)))
    seen = list[bool]()

    async def prepare(path: Path, more: Mapping[str, str]) -> None:
        seen.append((path / ".env").exists())

    spaces = GitWorkspaces(repo, repo.place, copies=copies, prepare=prepare)
    ws = await make(repo, spaces)
    assert seen == [True]
    assert (ws.path / "conf" / "b [1].x").read_text() == "b"
    assert git(ws.path, "status", "--porcelain") == ""
    write(ws.path, {".env": "changed", "new": "1"})
    git(ws.path, "add", "-f", ".env", "new", "conf")
    git(ws.path, "commit", "-q", "-m", "everything")
    head = await spaces.commit(ws, "m")
    assert [c.path for c in await repo.diff(ws.start, head.commit)] == ["new"]
    assert git(ws.path, "status", "--porcelain") == ""


async def test_a_preparation_that_fails_leaves_nothing(repo: GitRepository) -> None:
    async def prepare(path: Path, more: Mapping[str, str]) -> None:
        raise GitError("no network")

    spaces = GitWorkspaces(repo, repo.place, prepare=prepare)
    with pytest.raises(GitError, match="no network"):
        await make(repo, spaces)
    assert await spaces.leftovers() == []
    assert await repo.list_refs("refs/oya") == {}


async def test_where_prepare_fails_the_folder_stands_and_says_so(repo: GitRepository) -> None:
    async def prepare(path: Path, more: Mapping[str, str]) -> None:
        write(path, {"env/x": "half"})
        raise PrepareFailed("failed", line="uv sync", exit=2, output="the lock is stale")

    ws = await make(repo, GitWorkspaces(repo, repo.place))
    assert ws.unprepared == ""
    spaces = GitWorkspaces(repo, repo.place, prepare=prepare)
    ws = await spaces.create("b-2", 1, start=ws.start)
    assert ws.unprepared == "`uv sync` ([workspace] prepare) exited with 2\nthe lock is stale"
    assert (await spaces.commit(ws, "m")).commit == ws.start, "nobody's work is in it"


async def test_gc_in_the_main_repository_takes_nothing_from_a_workspace(
    repo: GitRepository, spaces: GitWorkspaces, folder: Path
) -> None:
    ws = await make(repo, spaces)
    git(folder, "commit", "-q", "--amend", "-m", "amended")
    git(folder, "reflog", "expire", "--expire=now", "--all")
    git(folder, "gc", "-q", "--prune=now")
    commit(ws.path, {"n": "1"})
    head = await spaces.commit(ws, "m")
    assert await repo.is_ancestor(ws.start, head.commit)


async def test_the_work_of_a_dead_daemon_is_harvested(
    repo: GitRepository, spaces: GitWorkspaces
) -> None:
    ws = await make(repo, spaces)
    commit(ws.path, {"committed": "1"})
    write(ws.path, {"loose": "2"})
    (repo.place.admin / "work" / "b-1.1" / "index.lock").touch()
    (ws.path / ".git" / "index.lock").touch()
    later = GitWorkspaces(repo, repo.place)
    assert await spaces.leftovers() == []
    assert await later.leftovers() == [("b-1", 1, ws.path)]
    found = await later.harvest(ws.path)
    assert found.head
    assert await paths_of(repo, found.head.commit) == {"a.txt", "src/b.txt", "committed", "loose"}
    assert await repo.list_refs("refs/oya") == {later.attempt_ref("b-1", 1): found.head.commit}
    assert await later.leftovers() == []


async def test_the_work_of_a_dead_daemon_is_harvested_though_the_cache_is_another(
    repo: GitRepository, spaces: GitWorkspaces, tmp_path: Path
) -> None:
    """So it is after `mv` of the repository, or in a shell with another XDG_CACHE_HOME: what was
    not committed was taken for gone."""
    ws = await make(repo, spaces)
    write(ws.path, {"loose": "2"})
    moved = replace(repo.place, cache=tmp_path / "another cache")
    later = GitWorkspaces(repo, moved)
    ((bead, epoch, path),) = await later.leftovers()
    assert (bead, epoch, path.exists()) == ("b-1", 1, False)
    found = await later.harvest(path)
    assert found.head
    assert await paths_of(repo, found.head.commit) == {"a.txt", "src/b.txt", "loose"}
    assert await later.leftovers() == []
    assert not ws.path.exists()
    assert not path.exists()


async def test_a_half_made_workspace_is_no_work(repo: GitRepository, spaces: GitWorkspaces) -> None:
    stop = asyncio.Event()

    async def prepare(path: Path, more: Mapping[str, str]) -> None:
        stop.set()
        await asyncio.Event().wait()

    dying = GitWorkspaces(repo, repo.place, prepare=prepare)
    task = asyncio.create_task(make(repo, dying))
    await stop.wait()
    (path,) = [p for _, _, p in await spaces.leftovers()]
    (path / "a.txt").unlink()
    found = await spaces.harvest(path)
    assert (found.head, found.kept) == (None, None)
    assert await repo.list_refs("refs/oya") == {}
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("lost", ["record.json", "index", "both"])
async def test_what_oya_knew_of_it_may_be_lost(
    repo: GitRepository, spaces: GitWorkspaces, lost: str
) -> None:
    ws = await make(repo, spaces)
    write(ws.path, {"n": "1"})
    admin = repo.place.admin / "work" / "b-1.1"
    for name in ("record.json", "index") if lost == "both" else (lost,):
        (admin / name).write_text("spoilt")
    found = await GitWorkspaces(repo, repo.place).harvest(ws.path)
    assert found.head
    assert await paths_of(repo, found.head.commit) == {"a.txt", "src/b.txt", "n"}


async def test_odd_ids_are_names_like_any_other(repo: GitRepository, spaces: GitWorkspaces) -> None:
    start = await repo.resolve("main")
    assert start
    bead = "../x y.lock"
    ws = await spaces.create(bead, 3, start=start)
    assert ws.path.parent == repo.place.cache / "work"
    write(ws.path, {"n": "1"})
    head = await spaces.commit(ws, "m")
    assert await repo.read_ref("refs/oya/attempts/%2E%2E%2Fx%20y%2Elock/3") == head.commit
    assert await GitWorkspaces(repo, repo.place).leftovers() == [(bead, 3, ws.path)]
