"""What real git and real remotes add to the promises of tests/contract/test_repository.py."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from oya.errors import RemoteError
from oya.repository import remotes
from oya.repository.git import GitRepository
from oya.repository.port import PushEnd, upstream_ref
from oya.repository.remotes import said
from repository_kit import commit, git

UPSTREAM = upstream_ref("origin", "main")
DAEMON = Path(subprocess.check_output(["git", "--exec-path"], text=True).strip()) / "git-daemon"


@pytest.fixture
def bare(folder: Path, tmp_path: Path) -> Path:
    """The remote `origin`, of which the user has fetched everything."""
    bare = tmp_path / "up.git"
    git(tmp_path, "clone", "-q", "--bare", str(folder), str(bare))
    git(folder, "remote", "add", "origin", str(bare))
    git(folder, "fetch", "-q")
    return bare


def hook(bare: Path, name: str, text: str) -> None:
    path = bare / "hooks" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


async def ahead(repo: GitRepository) -> tuple[str, str]:
    """A commit that has not been pushed, and what it stands on."""
    at = git(repo.place.root, "rev-parse", "main")
    tree = await repo.write_tree(at, {"new.txt": b"n"})
    return await repo.commit_tree(tree, [at], "new"), at


def elsewhere(bare: Path, tmp_path: Path, tag: str = "") -> str:
    """What somebody else pushes."""
    other = tmp_path / "other"
    git(tmp_path, "clone", "-q", str(bare), str(other))
    made = commit(other, {"theirs.txt": "1\n"})
    if tag:
        git(other, "tag", tag)
    git(other, "push", "-q", "--tags", "origin", "main")
    return made


async def test_what_the_user_has_fetched_and_tagged_stays_as_they_left_it(
    repo: GitRepository, folder: Path, bare: Path, tmp_path: Path
) -> None:
    git(folder, "tag", "mine")
    for key, value in {
        "fetch.prune": "true",
        "fetch.pruneTags": "true",
        "remote.origin.prune": "true",
        "remote.origin.tagOpt": "--tags",
        "push.followTags": "true",
    }.items():
        git(folder, "config", key, value)
    theirs = elsewhere(bare, tmp_path, tag="theirs")
    before = git(folder, "for-each-ref")
    assert await repo.fetch("origin", "main") == theirs
    new = await repo.commit_tree(await repo.tree_of(theirs), [theirs], "new")
    git(folder, "tag", "-a", "-m", "x", "release", new)
    assert (await repo.push("origin", new, "main", theirs)).end is PushEnd.OK
    git(folder, "tag", "-d", "release")
    assert await repo.fetch("origin", "main") == new
    git(folder, "update-ref", "-d", UPSTREAM)
    assert git(folder, "for-each-ref") == before
    assert git(bare, "tag") == "theirs"


async def test_a_mirror_and_a_name_with_a_dot_are_remotes_like_others(
    repo: GitRepository, folder: Path, bare: Path
) -> None:
    git(folder, "remote", "add", "--mirror=push", "my.fork", str(bare))
    new, at = await ahead(repo)
    assert (await repo.push("my.fork", new, "main", at)).end is PushEnd.OK
    assert git(bare, "rev-parse", "main") == new
    assert git(bare, "for-each-ref", "--format=%(refname)") == "refs/heads/main"


async def test_an_address_may_be_relative_and_have_a_short_form(
    repo: GitRepository, folder: Path, bare: Path
) -> None:
    git(folder, "remote", "set-url", "origin", "../up.git")
    assert await repo.fetch("origin", "main")
    git(folder, "config", f"url.{bare.parent}/.insteadOf", "here:")
    git(folder, "remote", "set-url", "origin", "here:up.git")
    new, at = await ahead(repo)
    assert (await repo.push("origin", new, "main", at)).end is PushEnd.OK


async def test_no_hook_of_the_users_runs(
    repo: GitRepository, folder: Path, bare: Path, tmp_path: Path
) -> None:
    hook(folder / ".git", "pre-push", f"touch {tmp_path}/ran; exit 1")
    new, at = await ahead(repo)
    assert (await repo.push("origin", new, "main", at)).end is PushEnd.OK
    assert not (tmp_path / "ran").exists()


async def test_an_update_hook_declines_in_plain_words(repo: GitRepository, bare: Path) -> None:
    hook(bare, "update", r"printf 'not \033[31mon\033[0m Fridays\007\n' >&2; exit 1")
    new, at = await ahead(repo)
    pushed = await repo.push("origin", new, "main", at)
    assert pushed.end is PushEnd.REFUSED
    assert pushed.reason.startswith("hook declined: not on Fridays ")


async def test_a_hook_that_says_a_lot_is_cut(repo: GitRepository, bare: Path) -> None:
    hook(bare, "pre-receive", "yes 0123456789 | head -c 3000000 >&2; exit 1")
    new, at = await ahead(repo)
    pushed = await repo.push("origin", new, "main", at)
    assert pushed.end is PushEnd.REFUSED
    assert len(pushed.reason) <= 400


async def test_a_lock_over_there_is_no_race_that_was_lost(repo: GitRepository, bare: Path) -> None:
    new, at = await ahead(repo)
    (bare / "refs/heads/main.lock").touch()
    pushed = await repo.push("origin", new, "main", at)
    assert pushed.end is PushEnd.REFUSED
    assert "failed to update ref" in pushed.reason


async def test_a_slow_hook_is_not_waited_for_beyond_the_deadline(
    repo: GitRepository, bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remotes, "PUSH", 0.5)
    hook(bare, "update", f"echo $$ > {tmp_path}/pid; exec sleep 600")
    new, at = await ahead(repo)
    pushed = await repo.push("origin", new, "main", at)
    assert pushed.end is PushEnd.UNREACHABLE
    assert "no answer within 0.5 s" in pushed.reason
    assert git(bare, "rev-parse", "main") == at


async def test_a_remote_that_does_not_answer_is_not_waited_for(
    repo: GitRepository, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remotes, "ASK", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        git(folder, "remote", "add", "origin", f"git://127.0.0.1:{silent.getsockname()[1]}/x")
        with pytest.raises(RemoteError, match="no answer"):
            await repo.remote_tip("origin", "main")


async def test_the_users_own_ssh_command_is_used(
    repo: GitRepository, folder: Path, tmp_path: Path
) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text(f'#!/bin/sh\nprintf "%s " "$@" > {tmp_path}/said\necho no >&2; exit 255\n')
    ssh.chmod(0o755)
    git(folder, "config", "core.sshCommand", f"{ssh} -i mine")
    git(folder, "remote", "add", "origin", "ssh://git@example.invalid/x")
    with pytest.raises(RemoteError, match="cannot be reached: no"):
        await repo.fetch("origin", "main")
    assert "-i mine" in (tmp_path / "said").read_text()


class Daemon:
    """`git daemon` over the folder of the remote, at an address of its own."""

    def __init__(self, bare: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._argv = [
            str(DAEMON), "--reuseaddr", "--listen=127.0.0.1", f"--port={self.port}",
            "--export-all", "--enable=receive-pack", f"--base-path={bare.parent}",
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._argv, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 20
        while time.monotonic() < until:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.01)
        raise AssertionError("git daemon does not listen")

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None


@pytest.fixture
def daemon(folder: Path, bare: Path) -> Iterator[Daemon]:
    made = Daemon(bare)
    git(folder, "remote", "set-url", "origin", f"git://127.0.0.1:{made.port}/up.git")
    made.start()
    yield made
    made.kill()


@pytest.mark.skipif(not DAEMON.exists(), reason="git daemon is not installed")
async def test_a_server_that_dies_is_out_of_reach_until_it_is_back(
    repo: GitRepository, bare: Path, daemon: Daemon
) -> None:
    new, at = await ahead(repo)
    assert await repo.fetch("origin", "main") == at
    daemon.kill()
    pushed = await repo.push("origin", new, "main", at)
    assert pushed.end is PushEnd.UNREACHABLE
    assert "onnect" in pushed.reason
    with pytest.raises(RemoteError, match="cannot be reached"):
        await repo.fetch("origin", "main")
    daemon.start()
    assert (await repo.push("origin", new, "main", at)).end is PushEnd.OK
    assert await repo.remote_tip("origin", "main") == new == git(bare, "rev-parse", "main")


def test_what_was_said_has_no_secrets() -> None:
    heard = "fatal: unable to access 'https://me:hunter2@example.com/x/': 403\nhint: try\n"
    assert said(heard) == "fatal: unable to access 'https://example.com/x/': 403"
