"""What an agent may do to its folder; oya saves its work, runs nothing of it, and goes on."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from folders_kit import DEEP, nest, without_privilege
from oya.errors import GitError
from oya.folders import take_away
from oya.repository.checkout import Checkout
from oya.repository.git import GitRepository
from oya.repository.port import Workspace
from oya.repository.slot import Slots
from oya.repository.workspace import GitWorkspaces
from repository_kit import commit, git, make_repository, write


@pytest.fixture
def spaces(repo: GitRepository) -> GitWorkspaces:
    return GitWorkspaces(repo, repo.place, max_file=1_000_000)


@pytest.fixture
async def ws(repo: GitRepository, spaces: GitWorkspaces) -> Workspace:
    start = await repo.resolve("main")
    assert start
    return await spaces.create("b-1", 1, start=start)


async def changed(repo: GitRepository, ws: Workspace, head: str) -> dict[str, str]:
    return {c.path: c.status for c in await repo.diff(ws.start, head)}


def users_state(folder: Path) -> dict[str, bytes]:
    """Everything of the user's repository that nobody but the user may change."""
    kept = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_file() and not name.startswith((".git/objects", ".git/refs/oya", ".git/oya")):
            kept[name] = path.read_bytes()
    return kept


def no_git(ws: Path, _: Path) -> None:
    shutil.rmtree(ws / ".git")


def git_is_a_file(ws: Path, user: Path) -> None:
    shutil.rmtree(ws / ".git")
    (ws / ".git").write_text(f"gitdir: {user}/.git\n")


def git_is_the_users(ws: Path, user: Path) -> None:
    shutil.rmtree(ws / ".git")
    (ws / ".git").symlink_to(user / ".git")


def common_dir_is_the_users(ws: Path, user: Path) -> None:
    (ws / ".git" / "commondir").write_text(f"{user}/.git\n")


def files_of_git_are_the_users(ws: Path, user: Path) -> None:
    for name in ("config", "index", "HEAD"):
        (ws / ".git" / name).unlink(missing_ok=True)
        (ws / ".git" / name).symlink_to(user / ".git" / name)
    shutil.rmtree(ws / ".git" / "refs")
    (ws / ".git" / "refs").symlink_to(user / ".git" / "refs")


def worktree_is_the_users(ws: Path, user: Path) -> None:
    git(ws, "config", "core.worktree", str(user))


def head_is_gone(ws: Path, _: Path) -> None:
    (ws / ".git" / "HEAD").unlink()


def head_is_nonsense(ws: Path, _: Path) -> None:
    (ws / ".git" / "HEAD").write_text("ref: refs/../../../../etc/passwd\n")


def head_never_ends(ws: Path, _: Path) -> None:
    (ws / ".git" / "HEAD").unlink()
    os.mkfifo(ws / ".git" / "HEAD")


def index_is_locked(ws: Path, _: Path) -> None:
    (ws / ".git" / "index.lock").touch()


def index_is_nonsense(ws: Path, _: Path) -> None:
    (ws / ".git" / "index").write_bytes(b"DIRC" + b"\xff" * 100)


def init_again(ws: Path, _: Path) -> None:
    shutil.rmtree(ws / ".git")
    git(ws, "init", "-q")


def git_is_unreadable(ws: Path, _: Path) -> None:
    (ws / ".git").chmod(0)


DAMAGE = [
    no_git,
    git_is_a_file,
    git_is_the_users,
    common_dir_is_the_users,
    files_of_git_are_the_users,
    worktree_is_the_users,
    head_is_gone,
    head_is_nonsense,
    head_never_ends,
    index_is_locked,
    index_is_nonsense,
    init_again,
    git_is_unreadable,
]


@pytest.mark.parametrize("damage", DAMAGE)
async def test_damage_to_git_costs_no_work_and_touches_nothing_of_the_users(
    repo: GitRepository,
    spaces: GitWorkspaces,
    ws: Workspace,
    folder: Path,
    damage: Callable[[Path, Path], None],
) -> None:
    before = users_state(folder)
    write(ws.path, {"n": "1", "a.txt": "mine\n"})
    damage(ws.path, folder)
    head = await spaces.commit(ws, "m")
    assert await changed(repo, ws, head.commit) == {"n": "A", "a.txt": "M"}
    assert await repo.is_ancestor(ws.start, head.commit)
    assert users_state(folder) == before
    assert git(ws.path, "status", "--porcelain=v1", "--branch") == "## oya/b-1"
    commit(ws.path, {"further": "1"})
    further = await spaces.commit(ws, "m")
    assert "further" in await changed(repo, ws, further.commit)
    await spaces.remove(ws)
    assert users_state(folder) == before


@pytest.mark.parametrize("damage", DAMAGE)
async def test_damage_to_git_does_not_stop_the_harvest(
    repo: GitRepository, ws: Workspace, folder: Path, damage: Callable[[Path, Path], None]
) -> None:
    before = users_state(folder)
    write(ws.path, {"n": "1"})
    damage(ws.path, folder)
    found = await GitWorkspaces(repo, repo.place).harvest(ws.path)
    assert found.head
    assert await changed(repo, ws, found.head.commit) == {"n": "A"}
    assert not ws.path.exists()
    assert users_state(folder) == before


def put_there(
    monkeypatch: pytest.MonkeyPatch, ws: Workspace, target: Path, times: int
) -> list[int]:
    """An agent's process is faster than oya: `.git` is a link as soon as it is gone."""
    target.mkdir()
    left = [times]

    def taken_away(path: Path) -> None:
        take_away(path)
        if path == ws.path / ".git" and left[0]:
            left[0] -= 1
            path.symlink_to(target)

    monkeypatch.setattr("oya.repository.checkout.take_away", taken_away)
    return left


async def test_git_is_laid_through_no_link_that_is_put_there_meanwhile(
    spaces: GitWorkspaces, ws: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(ws.path, {"n": "1"})
    left = put_there(monkeypatch, ws, tmp_path / "keys", 2)
    await spaces.commit(ws, "m")
    assert left == [0]
    assert list((tmp_path / "keys").iterdir()) == []
    assert git(ws.path, "status", "--porcelain=v1", "--branch") == "## oya/b-1"


async def test_whoever_always_puts_something_there_gets_no_git(
    repo: GitRepository,
    spaces: GitWorkspaces,
    ws: Workspace,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write(ws.path, {"n": "1"})
    put_there(monkeypatch, ws, tmp_path / "keys", 1000)
    with pytest.raises(GitError, match=r"\.git of .* cannot be laid"):
        await spaces.commit(ws, "m")
    assert list((tmp_path / "keys").iterdir()) == []
    kept = await repo.read_ref(spaces.attempt_ref("b-1", 1))
    assert kept
    assert await changed(repo, ws, kept) == {"n": "A"}
    await spaces.remove(ws)
    assert list(repo.place.cache.rglob("*b-1*")) == []


async def test_a_git_that_a_death_left_half_laid_goes_with_the_workspace(
    repo: GitRepository, ws: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def died(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("oya.repository.checkout.shutil.copy2", died)
    monkeypatch.setattr("oya.repository.checkout.take_away", lambda path: None)
    checkout = Checkout(repo, ws.path, repo.place.admin / "work" / ws.path.name)
    with pytest.raises(KeyboardInterrupt):
        checkout.lay_git(ws.start, None, "")
    monkeypatch.undo()
    assert checkout.aside.is_dir()
    await GitWorkspaces(repo, repo.place).harvest(ws.path)
    assert list(repo.place.cache.rglob("*b-1*")) == []


def rebase_in_progress(ws: Path) -> None:
    git(ws, "switch", "-q", "-c", "other")
    commit(ws, {"a.txt": "other\n"})
    git(ws, "switch", "-q", "oya/b-1")
    commit(ws, {"a.txt": "mine\n"})
    git(ws, "rebase", "other", check=False)
    assert (ws / ".git" / "rebase-merge").is_dir()


def merge_in_progress(ws: Path) -> None:
    git(ws, "switch", "-q", "-c", "other")
    commit(ws, {"a.txt": "other\n"})
    git(ws, "switch", "-q", "oya/b-1")
    commit(ws, {"a.txt": "mine\n"})
    git(ws, "merge", "other", check=False)
    assert (ws / ".git" / "MERGE_HEAD").exists()


@pytest.mark.parametrize("operation", [rebase_in_progress, merge_in_progress])
async def test_an_operation_in_progress_is_taken_as_it_lies_there(
    repo: GitRepository, spaces: GitWorkspaces, ws: Workspace, operation: Callable[[Path], None]
) -> None:
    operation(ws.path)
    text = (ws.path / "a.txt").read_bytes()
    assert b"<<<<<<<" in text
    head = await spaces.commit(ws, "m")
    assert await repo.read_file(head.commit, "a.txt") == text
    assert git(ws.path, "status") == "On branch oya/b-1\nnothing to commit, working tree clean"


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    """A program that leaves a file beside it when it runs."""
    program = tmp_path / "trap"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\ncat\n")
    program.chmod(0o755)
    return program


async def test_nothing_of_the_agents_configuration_runs(
    repo: GitRepository, spaces: GitWorkspaces, ws: Workspace, trap: Path, tmp_path: Path
) -> None:
    commit(ws.path, {"own": "1"})
    (ws.path / ".gitattributes").write_text("* filter=evil diff=evil merge=evil\n")
    hooks = ws.path / ".git" / "hooks"
    hooks.mkdir()
    for name in ("post-checkout", "pre-commit", "reference-transaction", "post-index-change"):
        shutil.copy(trap, hooks / name)
    settings = {
        "core.hooksPath": str(hooks),
        "core.fsmonitor": str(trap),
        "core.sshCommand": str(trap),
        "core.alternateRefsCommand": str(trap),
        "core.gitProxy": str(trap),
        "uploadpack.packObjectsHook": str(trap),
        "diff.external": str(trap),
        "filter.evil.clean": str(trap),
        "filter.evil.smudge": str(trap),
        "filter.evil.process": str(trap),
        "filter.evil.required": "true",
        "diff.evil.command": str(trap),
        "diff.evil.textconv": str(trap),
        "merge.evil.driver": str(trap),
        "protocol.ext.allow": "always",
        "remote.origin.url": f"ext::{trap}",
        "remote.origin.promisor": "true",
        "extensions.partialClone": "origin",
        "gpg.program": str(trap),
        "commit.gpgSign": "true",
        "credential.helper": str(trap),
    }
    config = "".join(
        f"[{section}{f' {chr(34)}{rest[0]}{chr(34)}' if rest else ''}]\n\t{key} = {value}\n"
        for name, value in settings.items()
        for section, *rest, key in [name.split(".")]
    )
    with (ws.path / ".git" / "config").open("a") as file:
        file.write(config)
    write(ws.path, {"n": "1", "a.txt": "changed\n"})
    head = await spaces.commit(ws, "m")
    assert set(await changed(repo, ws, head.commit)) == {"own", "n", "a.txt", ".gitattributes"}
    await repo.diff_text(ws.start, head.commit)
    await spaces.restore(ws, ws.start, ["a.txt"])
    await spaces.commit(ws, "m")
    await spaces.remove(ws)
    assert not (tmp_path / "sprung").exists()


async def test_the_trap_of_that_test_can_spring(ws: Workspace, trap: Path, tmp_path: Path) -> None:
    (ws.path / ".gitattributes").write_text("* filter=evil\n")
    git(ws.path, "config", "filter.evil.clean", str(trap))
    git(ws.path, "add", "-A")
    assert (tmp_path / "sprung").exists()


@pytest.fixture
def filters(folder: Path, ws: Workspace, trap: Path) -> None:
    """Filters of the user's, configured while oya runs, that would spring the trap."""
    for name, kind in (("mine", "clean"), ("mine", "smudge"), ("a.b", "process")):
        git(folder, "config", f"filter.{name}.{kind}", str(trap))
        git(folder, "config", "--global", f"filter.{name}-global.{kind}", str(trap))
    git(folder, "config", "filter.mine.required", "true")


@pytest.mark.parametrize("name", ["mine", "a.b", "mine-global", "a.b-global"])
@pytest.mark.usefixtures("filters")
async def test_no_filter_of_the_users_runs_in_a_folder_of_an_agents(
    repo: GitRepository, spaces: GitWorkspaces, ws: Workspace, tmp_path: Path, name: str
) -> None:
    write(ws.path, {".gitattributes": f"* filter={name}\n", "a.txt": "mine\n", "n": "1"})
    looked = await spaces.snapshot(ws)
    head = await spaces.commit(ws, "m")
    assert looked.tree == head.tree
    assert await repo.read_file(head.commit, "a.txt") == b"mine\n"
    await spaces.restore(ws, ws.start, ["a.txt"])
    await spaces.restore(ws, head.commit, ["a.txt"])
    assert (ws.path / "a.txt").read_text() == "mine\n"
    await spaces.remove(ws)
    again = await spaces.create("b-1", 2, start=head.commit)
    assert (again.path / "a.txt").read_text() == "mine\n"
    assert (await spaces.commit(again, "m")).commit == head.commit
    async with Slots(repo, repo.place, 1).checkout(head.commit) as slot:
        assert (slot.path / "n").read_text() == "1"
    assert not (tmp_path / "sprung").exists()


async def test_commits_whose_objects_are_not_there_are_named(
    repo: GitRepository, spaces: GitWorkspaces, ws: Workspace
) -> None:
    made = commit(ws.path, {"n": "1"})
    for path in (ws.path / ".git" / "objects").glob("??/*"):
        if made not in str(path).replace("/", ""):
            path.chmod(0o644)
            path.write_bytes(b"spoilt")
    head = await spaces.commit(ws, "m")
    assert head.left_out == (".git",)
    assert await changed(repo, ws, head.commit) == {"n": "A"}


async def test_repositories_within_are_named_and_left_out(
    repo: GitRepository, spaces: GitWorkspaces, ws: Workspace
) -> None:
    make_repository(ws.path / "vendor" / "lib")
    make_repository(ws.path / "empty-of-files", {})
    write(ws.path, {"vendor/readme": "1", "n": "1"})
    head = await spaces.commit(ws, "m")
    assert set(head.left_out) == {"vendor/lib/", "empty-of-files/"}
    assert await changed(repo, ws, head.commit) == {"n": "A", "vendor/readme": "A"}
    git(ws.path, "-c", "advice.addEmbeddedRepo=false", "add", "-A")
    git(ws.path, "commit", "-q", "-m", "with gitlinks")
    head = await spaces.commit(ws, "m")
    assert {path.rstrip("/") for path in head.left_out} == {"vendor/lib", "empty-of-files"}
    assert await changed(repo, ws, head.commit) == {"n": "A", "vendor/readme": "A"}


async def test_a_file_may_become_a_folder_a_repository_or_a_symlink_and_back(
    repo: GitRepository, spaces: GitWorkspaces, ws: Workspace
) -> None:
    (ws.path / "a.txt").unlink()
    make_repository(ws.path / "a.txt")
    shutil.rmtree(ws.path / "src")
    (ws.path / "src").symlink_to("/")
    head = await spaces.commit(ws, "m")
    assert await changed(repo, ws, head.commit) == {"a.txt": "D", "src/b.txt": "D", "src": "A"}
    shutil.rmtree(ws.path / "a.txt")
    write(ws.path, {"a.txt/x": "1"})
    (ws.path / "src").unlink()
    write(ws.path, {"src/b.txt": "two\n"})
    head = await spaces.commit(ws, "m")
    assert await changed(repo, ws, head.commit) == {"a.txt": "D", "a.txt/x": "A"}


async def test_symlink_loops_pipes_and_sockets_do_no_harm(
    repo: GitRepository, spaces: GitWorkspaces, ws: Workspace
) -> None:
    (ws.path / "loop").symlink_to("loop")
    (ws.path / "deep").mkdir()
    (ws.path / "deep" / "up").symlink_to("..")
    os.mkfifo(ws.path / "pipe")
    (ws.path / "a.txt").unlink()
    os.mkfifo(ws.path / "a.txt")
    head = await spaces.commit(ws, "m")
    assert await changed(repo, ws, head.commit) == {"loop": "A", "deep/up": "A"}
    assert head.left_out == ("a.txt",)
    await spaces.remove(ws)
    assert not ws.path.exists()


async def test_a_name_that_git_refuses_is_named(
    repo: GitRepository, spaces: GitWorkspaces, ws: Workspace
) -> None:
    write(ws.path, {"n": "1", "git~1": "x", "deep/.GIT/config": "x"})
    head = await spaces.commit(ws, "m")
    assert "n" in await changed(repo, ws, head.commit)
    assert "git~1" in head.left_out


async def test_a_folder_that_was_deleted_itself_is_back(
    repo: GitRepository, spaces: GitWorkspaces, ws: Workspace
) -> None:
    write(ws.path, {"n": "1"})
    first = await spaces.commit(ws, "m")
    shutil.rmtree(ws.path)
    assert await spaces.commit(ws, "m") == first
    assert (ws.path / "n").read_text() == "1"


async def test_a_folder_that_became_a_symlink_is_not_followed(
    repo: GitRepository, spaces: GitWorkspaces, ws: Workspace, tmp_path: Path
) -> None:
    write(tmp_path / "outside", {"secret": "1"})
    shutil.rmtree(ws.path)
    ws.path.symlink_to(tmp_path / "outside")
    head = await spaces.commit(ws, "m")
    assert head.commit == ws.start
    await spaces.remove(ws)
    assert (tmp_path / "outside" / "secret").exists()


async def test_an_index_that_hides_changes_hides_nothing(
    repo: GitRepository, spaces: GitWorkspaces, ws: Workspace
) -> None:
    git(ws.path, "update-index", "--assume-unchanged", "a.txt")
    git(ws.path, "update-index", "--skip-worktree", "src/b.txt")
    write(ws.path, {"a.txt": "x", "src/b.txt": "y"})
    head = await spaces.commit(ws, "m")
    assert await changed(repo, ws, head.commit) == {"a.txt": "M", "src/b.txt": "M"}


_WITHOUT_PRIVILEGE = """
import asyncio, json, os, sys
from pathlib import Path
from oya.repository.git import GitRepository
from oya.repository.places import find_place
from oya.repository.workspace import GitWorkspaces

async def main():
    place = find_place(Path(sys.argv[1]))
    place.make_folders()
    repo = GitRepository(place)
    spaces = GitWorkspaces(repo, place)
    ws = await spaces.create("b-1", 1, start=await repo.resolve("main"))
    for name in ("new/deep", "src"):
        (ws.path / name).mkdir(parents=True, exist_ok=True)
    (ws.path / "new" / "deep" / "x").write_text("1")
    (ws.path / "secret").write_text("2")
    (ws.path / "secret").chmod(0)
    for name in ("new/deep", "new", "src", ".git", "."):
        (ws.path / name).chmod(0)
    try:
        (ws.path / "secret").read_text()
        print(json.dumps("privileged"))
        return
    except PermissionError:
        pass
    head = await spaces.commit(ws, "m")
    diff = {c.path: c.status for c in await repo.diff(ws.start, head.commit)}
    (ws.path / "new" / "deep").chmod(0)
    (ws.path / "new").chmod(0o500)
    await spaces.remove(ws)
    print(json.dumps([diff, list(head.left_out), ws.path.exists()]))

asyncio.run(main())
"""


@pytest.mark.parametrize(("levels", "name"), [(DEEP, "d"), (30, "d" * 200)])
async def test_folders_in_folders_deeper_than_anything_allows_are_taken_away(
    repo: GitRepository, spaces: GitWorkspaces, ws: Workspace, folder: Path, levels: int, name: str
) -> None:
    nest(ws.path, levels, name)
    write(ws.path, {"n.txt": "done"})
    head = await spaces.commit(ws, "Done")
    assert (await changed(repo, ws, head.commit))["n.txt"] == "A"
    await spaces.remove(ws)
    assert await spaces.leftovers(every=True) == []
    assert not ws.path.exists()


def test_folders_and_files_without_permissions_are_opened(folder: Path) -> None:
    """In a process without root's power to read everything."""
    said = without_privilege(_WITHOUT_PRIVILEGE, str(folder))
    assert said == '[{"new/deep/x": "A", "secret": "A"}, [], false]'
